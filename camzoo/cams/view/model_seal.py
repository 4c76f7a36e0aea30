"""A classifier that many methods look at and none may change: what was changed, and back again."""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Final

import torch
from torch import Tensor, nn

from camzoo.cams.view.seals import checksum, quick_checksum, writes_to

#: Where a module keeps its parts and its hooks, and what else it remembers of itself.
_REGISTRIES: Final = tuple(
    key for key, value in vars(nn.Module()).items() if isinstance(value, dict)
)


class ModelSeal:
    """Remembers a model as it is, weights included.

    Args:
        model: The model, on the device and in the mode that it is used in.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.renew()

    def renew(self) -> None:
        """Take the model as it is now for what it has to be."""
        self._modules = [
            _ModuleState.of(name, module) for name, module in self._model.named_modules()
        ]
        named = [*self._model.named_parameters(), *self._model.named_buffers()]
        self._tensors = [_TensorState.of(name, tensor) for name, tensor in named]
        self._mark = self._bits()

    def changes(self, *, thorough: bool = False) -> str:
        """Say what of the model is not as it was, for messages; "" if all is.

        Args:
            thorough: Read the weights, too, which waits for the device. Else only what torch
                itself notes is seen: not what is written through NumPy or ``.data``.
        """
        found = [f"{state.name} ({what})" for state in self._modules if (what := state.changed())]
        found += [state.name for state in self._tensors if state.changed()]
        if thorough and not found and not torch.equal(self._bits(), self._mark):
            found = [state.name for state in self._tensors if state.rewritten()]
        return f"the classifier: {shorten(', '.join(found), 120)}" if found else ""

    def _bits(self) -> Tensor:
        return quick_checksum([state.memory for state in self._tensors])

    def restore(self) -> None:
        """Bring the model back to what it was."""
        for module in self._modules:
            module.restore()
        for tensor in self._tensors:
            tensor.restore()
        self.renew()
        torch.clear_autocast_cache()  # which holds copies of weights in another precision


@dataclass(frozen=True)
class _ModuleState:
    name: str
    module: nn.Module
    settings: dict[str, Any]
    registries: dict[str, dict[Any, Any]]

    @classmethod
    def of(cls, name: str, module: nn.Module) -> _ModuleState:
        registries = {key: dict(vars(module)[key]) for key in _REGISTRIES}
        return cls(name or type(module).__name__, module, _settings(module), registries)

    def changed(self) -> str:
        """Say which kind of thing is not as it was."""
        if not _same(_settings(self.module), self.settings):
            return "mode or settings"
        own = vars(self.module)
        for key, entries in self.registries.items():
            if (own[key] or entries) and not _same(own[key], entries):
                return key.strip("_").replace("_", " ")
        return ""

    def restore(self) -> None:
        own = vars(self.module)
        for key in _settings(self.module).keys() - self.settings.keys():
            del own[key]
        own.update(self.settings)
        for key, entries in self.registries.items():
            own[key].clear()
            own[key].update(entries)


@dataclass(frozen=True)
class _TensorState:
    """A parameter or buffer.

    Attributes:
        memory: Where its numbers lay.
        numbers: A copy of them.
    """

    name: str
    tensor: Tensor
    memory: Tensor
    numbers: Tensor
    writes: int
    requires_grad: bool
    grad: Tensor | None

    @classmethod
    def of(cls, name: str, tensor: Tensor) -> _TensorState:
        memory, grad = tensor.data, tensor.grad if tensor.is_leaf else None
        numbers, writes = memory.clone(), writes_to(tensor)
        return cls(name, tensor, memory, numbers, writes, tensor.requires_grad, grad)

    def changed(self) -> bool:
        """Whether torch notes that it was written, or it lies elsewhere."""
        tensor = self.tensor
        return (
            writes_to(tensor) != self.writes
            or tensor.requires_grad != self.requires_grad
            or tensor.data_ptr() != self.memory.data_ptr()
        )

    def rewritten(self) -> bool:
        """Whether its numbers are others; such as are none compare by their bits."""
        return not torch.equal(checksum(self.memory), checksum(self.numbers))

    def restore(self) -> None:
        with torch.inference_mode(mode=False), torch.no_grad():
            self.memory.copy_(self.numbers)
            self.tensor.data = self.memory
            self.tensor.requires_grad_(self.requires_grad)
            self.tensor.grad = self.grad


def _settings(module: nn.Module) -> dict[str, Any]:
    """The mode, a forward of its own, and of torch's modules all that they are set to.

    Other modules may remember things of their own from pass to pass.
    """
    own = vars(module)
    if type(module).__module__.startswith("torch.nn."):
        return {key: value for key, value in own.items() if key not in _REGISTRIES}
    return {key: own[key] for key in ("training", "forward") if key in own}


def _same(one: dict[Any, Any], other: dict[Any, Any]) -> bool:
    """Whether two dictionaries hold the very same things in the same order."""
    if one.keys() != other.keys():
        return False
    return all(value is other[key] or _equal(value, other[key]) for key, value in one.items())


def _equal(one: Any, other: Any) -> bool:
    plain = (bool, int, float, str, tuple, list)
    return isinstance(one, plain) and type(one) is type(other) and one == other
