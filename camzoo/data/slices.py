"""Slices and tags on disk, and the wall between them and the masks.

A prepared data set is a folder with ``images.u8`` (all slices, memory-mapped), ``tags.npy``,
``index.json`` and ``masks/``, a file per case. Training code is handed :class:`TaggedSlices`, which
knows nothing of the masks. Those come only from :class:`MaskVault`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from camzoo.data.grid import Letterbox
from camzoo.errors import FirewallError
from camzoo.stored import read_array, read_json, reading
from camzoo.supervision import Supervision


@dataclass(frozen=True)
class CaseInfo:
    """What is known of a prepared case besides its voxels.

    Attributes:
        id: Case id.
        patient: Patient id.
        first: Row of its first slice in the store; its slices follow in z order.
        shape: Voxels along (z, y, x) of the scan.
        spacing: mm along (z, y, x).
        affine: 4 x 4, index (z, y, x, 1) to RAS mm.
    """

    id: str
    patient: str
    first: int
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]

    @property
    def rows(self) -> slice:
        """Rows of the store that hold its slices."""
        return slice(self.first, self.first + self.shape[0])

    @property
    def letterbox(self) -> Letterbox:
        """The way between its slices and the working grid."""
        return Letterbox(*self.shape[1:])

    @property
    def diagonal_mm(self) -> float:
        """Diagonal of the volume in mm: the distance a failed segmentation is counted as."""
        return float(np.linalg.norm(np.multiply(self.shape, self.spacing)))


@dataclass(frozen=True)
class TaggedSlices:
    """Slices with their image-level labels: all that image-level supervision may see.

    Attributes:
        store: All slices of the data set, uint8 [M, S, S], usually a memory map.
        rows: Which of them belong here, [N], ascending.
        tags: Whether an organ is in a slice, uint8 [N, C].
        organs: Names of the C classes.
        sided: True where slices must not be mirrored left to right.
        cases: Case ids, and which rows of ``rows`` are theirs: (id, start, stop).
    """

    store: NDArray[np.uint8]
    rows: NDArray[np.int64]
    tags: NDArray[np.uint8]
    organs: tuple[str, ...]
    sided: bool
    cases: tuple[tuple[str, int, int], ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """Side of the working grid in pixels."""
        return int(self.store.shape[-1])

    def images(self, indices: Sequence[int] | NDArray[np.int64] | slice) -> Tensor:
        """Return slices as uint8 [n, S, S], copied out of the store."""
        return torch.from_numpy(np.ascontiguousarray(self.store[self.rows[indices]]))

    def tag_tensor(self, indices: Sequence[int] | NDArray[np.int64] | slice) -> Tensor:
        """Return tags as float32 [n, C]."""
        return torch.from_numpy(self.tags[indices].astype(np.float32))

    def batches(self, size: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Walk through all slices in order: (which, uint8 images [b, S, S], float tags [b, C])."""
        for start in range(0, len(self), size):
            which = slice(start, min(start + size, len(self)))
            yield which, self.images(which), self.tag_tensor(which)

    def at(self, indices: NDArray[np.int64]) -> TaggedSlices:
        """Only the slices at ``indices``, ascending."""
        cases = tuple(
            (case, int(np.searchsorted(indices, start)), int(np.searchsorted(indices, stop)))
            for case, start, stop in self.cases
        )
        return TaggedSlices(
            self.store, self.rows[indices], self.tags[indices], self.organs, self.sided, cases
        )

    @property
    def positive_rows(self) -> NDArray[np.int64]:
        """Rows of the slices that show at least one organ, ascending."""
        return np.flatnonzero(self.tags.any(axis=1))

    def positives(self) -> TaggedSlices:
        """Only the slices that show at least one organ."""
        return self.at(self.positive_rows)


class ReferenceMasks:
    """Reference labels by case, opened for a declared purpose. Get one from :class:`MaskVault`."""

    def __init__(self, folder: Path, cases: Iterable[str]) -> None:
        self._folder = folder
        self.cases = frozenset(cases)

    def label(self, case: str) -> NDArray[np.uint8]:
        """Return the label volume uint8 [z, y, x] of ``case`` on the grid of the scan.

        Raises:
            FirewallError: The case is not among those that were opened.
        """
        if case not in self.cases:
            raise FirewallError(f"the mask of case {case} was not opened for this purpose")
        return np.array(read_array(self._folder / f"{case}.npy", np.uint8, (None,) * 3))


def labels_on_grid(masks: ReferenceMasks, cases: Iterable[str], side: int) -> NDArray[np.uint8]:
    """Reference labels of whole cases on a square grid, uint8 [n, side, side].

    Args:
        masks: Opened for these cases.
        cases: In the order of the slices.
        side: Of the grid, which covers what the working grid covers.
    """
    volumes = (torch.from_numpy(masks.label(case)) for case in cases)
    return np.concatenate(
        [Letterbox(*v.shape[1:]).labels_to_grid(v, side).numpy() for v in volumes]
    )


class MaskVault:
    """Hands out reference masks to evaluation, and to training that declares it needs them."""

    def __init__(self, folder: Path, cases: Iterable[str]) -> None:
        self._folder = folder
        self._cases = frozenset(cases)

    def for_evaluation(self) -> ReferenceMasks:
        """Masks of all cases, to score what was predicted."""
        return ReferenceMasks(self._folder, self._cases)

    def for_training(
        self, supervision: Supervision, cases: Iterable[str], *, who: str
    ) -> ReferenceMasks:
        """Masks of the training ``cases``, for a method whose supervision allows it.

        Raises:
            FirewallError: ``supervision`` does not include masks.
        """
        if not supervision.opens_masks:
            raise FirewallError(
                f"{who} declares supervision {supervision.value!r} and asked for reference masks; "
                "declare 'image+seed' or 'mask', or learn from tags only"
            )
        return ReferenceMasks(self._folder, set(cases) & self._cases)


@dataclass(frozen=True)
class PreparedIndex:
    """``index.json`` of a prepared data set.

    Attributes:
        organs: Names of classes 1..C.
        sided: Whether an organ's name depends on the side of the body.
        size: Side of the working grid in pixels.
        content: Hash of images, tags, masks and geometry: what everything later depends on.
        cases: In the order of the store.
    """

    organs: tuple[str, ...]
    sided: bool
    size: int
    content: str
    cases: tuple[CaseInfo, ...]

    @property
    def slices(self) -> int:
        """Number of slices in the store."""
        return self.cases[-1].rows.stop if self.cases else 0


INDEX: Final = TypeAdapter(PreparedIndex)


@dataclass(frozen=True)
class Prepared:
    """A prepared data set, opened from its folder."""

    folder: Path

    @cached_property
    def index(self) -> PreparedIndex:
        """What the folder holds."""
        return read_json(self.folder / "index.json", INDEX)

    @cached_property
    def cases(self) -> dict[str, CaseInfo]:
        """Case id to facts, in the order of the store."""
        return {info.id: info for info in self.index.cases}

    def tagged(self, cases: Iterable[str] | None = None) -> TaggedSlices:
        """Slices and tags of the named cases (all when None), in the order of the store."""
        wanted = set(self.cases if cases is None else cases)
        infos = [info for info in self.index.cases if info.id in wanted]
        rows = [np.arange(info.rows.start, info.rows.stop, dtype=np.int64) for info in infos]
        stops = np.cumsum([info.shape[0] for info in infos]).tolist()
        spans = zip((i.id for i in infos), [0, *stops], stops, strict=False)
        chosen = np.concatenate(rows) if rows else np.empty(0, np.int64)
        size, total = self.index.size, self.index.slices
        images = self.folder / "images.u8"
        with reading(images):
            flat = np.memmap(images, np.uint8, "r")
            store = flat.reshape(total, size, size)
        tags = read_array(self.folder / "tags.npy", np.uint8, (total, len(self.index.organs)))
        return TaggedSlices(
            store=store,
            rows=chosen,
            tags=tags[chosen],
            organs=self.index.organs,
            sided=self.index.sided,
            cases=tuple(spans),
        )

    @property
    def vault(self) -> MaskVault:
        """The masks, behind their wall."""
        return MaskVault(self.folder / "masks", self.cases)
