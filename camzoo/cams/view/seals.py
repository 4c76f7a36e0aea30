"""Tensors that many read and none may change: whether they are still what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

#: Tensors of fewer numbers are put together before they are read.
_SMALL: Final = 2**14


@dataclass(frozen=True)
class _Seal:
    tensor: Tensor
    writes: int
    requires_grad: bool
    mark: Tensor

    def broken(self, *, thorough: bool) -> bool:
        return (
            writes_to(self.tensor) != self.writes
            or self.tensor.requires_grad != self.requires_grad
            or (thorough and not torch.equal(checksum(self.tensor), self.mark))
        )


class Seals:
    """Remembers tensors as they were when they were added.

    Torch counts how often a tensor, or another that shares its memory, was written in place; asking
    for that costs nothing. What goes past the count (NumPy, ``.data``) shows in a checksum.
    """

    def __init__(self) -> None:
        self._seals: dict[str, _Seal] = {}

    def add(self, name: str, tensor: Tensor | None) -> None:
        """Seal a tensor as it is now."""
        if tensor is not None:
            self._seals[name] = _Seal(
                tensor, writes_to(tensor), tensor.requires_grad, checksum(tensor)
            )

    def once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """Return the tensor called ``name``, made and sealed when it is first asked for."""
        if name not in self._seals:
            self.add(name, make())
        return self._seals[name].tensor

    def broken(self, *, thorough: bool = False) -> list[str]:
        """Names of the tensors that were changed; ``thorough`` compares their contents, too."""
        return [name for name, seal in self._seals.items() if seal.broken(thorough=thorough)]


def checksum(tensor: Tensor) -> Tensor:
    """Sum of the bits of a tensor, with weights that tell places apart; a number on its device."""
    with torch.no_grad():
        words, rest = _words(tensor)
        side = max(1, int(words.numel() ** 0.5))
        table = words[: words.numel() // side * side].view(-1, side)
        return (
            _weighed(table.sum(0))
            + _weighed(table.sum(1))
            + _weighed(words[table.numel() :])
            + _weighed(rest)
        )


def quick_checksum(tensors: Sequence[Tensor]) -> Tensor:
    """Sum of the bits of many tensors, in a tenth of the time, that does not tell places apart."""
    with torch.no_grad():
        small = [tensor.detach() for tensor in tensors if tensor.numel() < _SMALL]
        packed: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for tensor in small:
            packed.setdefault((tensor.dtype, tensor.device), []).append(tensor.flatten())
        large = [tensor for tensor in tensors if tensor.numel() >= _SMALL]
        parts = [_words(tensor) for tensor in (*large, *map(torch.cat, packed.values()))]
        sums = [words.sum() + rest.sum() for words, rest in parts]
        return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.int64)


def _words(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """The memory of a tensor as words of eight bytes, and the bytes that are left, as numbers."""
    dense = tensor.detach()
    if dense.ndim == 4 and not dense.is_contiguous():
        dense = dense.permute(0, 2, 3, 1)  # channels last, of which no copy has to be made
    octets = dense.contiguous().flatten().view(torch.uint8)
    if octets.storage_offset() % 8:  # words have to begin where words begin
        octets = octets.clone()
    whole = octets.numel() // 8 * 8
    return octets[:whole].view(torch.int64), octets[whole:].long()


def _weighed(numbers: Tensor) -> Tensor:
    """Sum of numbers times odd weights; what overflows is left out, the same every time."""
    weights = torch.arange(1, 2 * numbers.numel() + 1, 2, device=numbers.device)
    return (numbers * weights).sum()


def writes_to(tensor: Tensor) -> int:
    """How often torch noted that a tensor was written in place; -1 where it does not count."""
    return -1 if tensor.is_inference() else tensor._version
