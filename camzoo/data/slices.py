"""Slices and tags on disk, and the wall between them and the masks.

A prepared data set is a folder with ``images.u8`` (all slices, memory-mapped), ``tags.npy``,
``index.json`` and ``masks/``, a file per case. Training code is handed :class:`TaggedSlices`, which
knows nothing of the masks. Those come only from :class:`MaskVault`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor

from camzoo.core.errors import FirewallError
from camzoo.core.stored import read_array, read_json, reading
from camzoo.core.supervision import Supervision
from camzoo.data.grid import Letterbox
from camzoo.data.plane import Plane, SliceStack, slice_stack


@dataclass(frozen=True)
class CaseInfo:
    """What is known of a prepared case besides its voxels.

    Attributes:
        id: Case id.
        patient: Patient id.
        first: Row of its first slice in the store; the others follow as in its plane.
        shape: Voxels along (z, y, x) of the scan.
        spacing: mm along (z, y, x).
        affine: 4 x 4, index (z, y, x, 1) to RAS mm.
        plane: Plane in which it is cut into slices.
    """

    id: str
    patient: str
    first: int
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]
    plane: Plane = Plane.AXIAL

    @property
    def slices(self) -> int:
        """Number of its slices."""
        return self.shape[self.plane.axis]

    @property
    def rows(self) -> slice:
        """Rows of the store that hold its slices."""
        return slice(self.first, self.first + self.slices)

    @property
    def letterbox(self) -> Letterbox:
        """The way between its slices and the working grid."""
        _, height, width = self.plane.arrange(self.shape)
        return Letterbox(height, width)

    @property
    def stack(self) -> SliceStack:
        """How its slices lie in the body."""
        return slice_stack(np.array(self.affine), self.plane)

    def on_scan(self, maps: Tensor) -> Tensor:
        """Bring maps of its slices [n, C, s, s] to the grid of the scan: float32 [C, z, y, x].

        Args:
            maps: Maps on the CPU, of any side.
        """
        fine = self.letterbox.from_grid(maps).transpose(0, 1)
        return torch.from_numpy(np.ascontiguousarray(self.plane.restore(fine.numpy())))

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
        sided: True where mirrored slices show organs on the wrong side of the body.
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

    def grey(
        self, indices: Sequence[int] | NDArray[np.int64] | slice, device: torch.device
    ) -> Tensor:
        """Return slices on [0, 1], float32 [n, S, S], on ``device``."""
        return as_grey(self.images(indices), device)

    def parts(self, size: int) -> Iterator[slice]:
        """Walk through all slices in order, at most ``size`` at a time."""
        for start in range(0, len(self), size):
            yield slice(start, min(start + size, len(self)))

    def batches(self, size: int, device: torch.device) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Walk through all slices in order, on ``device``.

        Yields:
            Which slices; their images on [0, 1], float32 [b, S, S]; their tags, float32 [b, C].
        """
        for which in self.parts(size):
            tags = self.tag_tensor(which).to(device, non_blocking=True)
            yield which, self.grey(which, device), tags

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


def as_grey(images: Tensor, device: torch.device) -> Tensor:
    """Bring slices from uint8 [n, S, S] to [0, 1], float32, on ``device``."""
    return images.to(device, non_blocking=True).float() / 255


class ReferenceMasks:
    """Reference labels by case, opened for a declared purpose. Get one from :class:`MaskVault`."""

    def __init__(self, folder: Path, planes: Mapping[str, Plane]) -> None:
        self._folder = folder
        self._planes = dict(planes)
        self.cases = frozenset(planes)

    def label(self, case: str) -> NDArray[np.uint8]:
        """Return the label volume uint8 [z, y, x] of ``case`` on the grid of the scan.

        Raises:
            FirewallError: The case is not among those that were opened.
        """
        if case not in self.cases:
            raise FirewallError(f"the mask of case {case} was not opened for this purpose")
        return np.array(read_array(self._folder / f"{case}.npy", np.uint8, (None,) * 3))

    def slices(self, case: str) -> NDArray[np.uint8]:
        """Return the labels of the slices of ``case``, uint8 [n, rows, columns], in their order.

        Raises:
            FirewallError: The case is not among those that were opened.
        """
        label = self.label(case)  # first: only what was opened has a plane
        return np.ascontiguousarray(self._planes[case].cut(label))


def labels_on_grid(masks: ReferenceMasks, cases: Iterable[str], side: int) -> NDArray[np.uint8]:
    """Reference labels of whole cases on a square grid, uint8 [n, side, side].

    Args:
        masks: Opened for these cases.
        cases: Cases in the order of the slices.
        side: Side of the grid, which covers what the working grid covers.
    """
    cut = (torch.from_numpy(masks.slices(case)) for case in cases)
    return np.concatenate([Letterbox(*s.shape[1:]).labels_to_grid(s, side).numpy() for s in cut])


class MaskVault:
    """Hands out reference masks to evaluation, and to training that declares it needs them."""

    def __init__(self, folder: Path, planes: Mapping[str, Plane]) -> None:
        self._folder = folder
        self._planes = dict(planes)

    def for_evaluation(self) -> ReferenceMasks:
        """Masks of all cases, to score what was predicted."""
        return ReferenceMasks(self._folder, self._planes)

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
        planes = {case: self._planes[case] for case in cases if case in self._planes}
        return ReferenceMasks(self._folder, planes)


def digest_of_data(images: str, labels: str) -> str:
    """Digest of a data set, from those of its scans and of its reference labels."""
    return hashlib.sha256(f"{images} {labels}".encode()).hexdigest()


@dataclass(frozen=True)
class PreparedIndex:
    """``index.json`` of a prepared data set.

    Attributes:
        organs: Names of classes 1..C.
        sided: Whether an organ's name depends on the side of the body.
        size: Side of the working grid in pixels.
        content: Hash of images, tags, masks and geometry: what everything later depends on.
        images: Digest of the scans (:class:`camzoo.data.content.Content`).
        labels: Digest of their reference labels.
        cases: Cases in the order of the store.
    """

    organs: tuple[str, ...]
    sided: bool
    size: int
    content: str
    images: str
    labels: str
    cases: tuple[CaseInfo, ...]

    @property
    def slices(self) -> int:
        """Number of slices in the store."""
        return self.cases[-1].rows.stop if self.cases else 0

    @property
    def data(self) -> str:
        """Digest of the data set: of its scans and their labels, on whatever grid."""
        return digest_of_data(self.images, self.labels)

    @property
    def stacks(self) -> dict[str, SliceStack]:
        """How the slices lie in the body, by case."""
        return {info.id: info.stack for info in self.cases}

    @property
    def mirror_exchanges_sides(self) -> bool:
        """Whether a mirrored slice shows an organ on the other side of the body than its name says.

        Not where every slice is sagittal: mirroring exchanges front and back there, and organs on
        both sides look the same.
        """
        return self.sided and any(stack.mirror_exchanges_sides for stack in self.stacks.values())


INDEX: Final = TypeAdapter(PreparedIndex)
#: What stood out in the files, a list of lines.
NOTES: Final = "notes.json"
_LINES: Final = TypeAdapter(tuple[str, ...])


@dataclass(frozen=True)
class Prepared:
    """A prepared data set, opened from its folder."""

    folder: Path

    @cached_property
    def index(self) -> PreparedIndex:
        """What the folder holds."""
        return read_json(self.folder / "index.json", INDEX)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What stood out in the files of the data set: no faults, but to be known."""
        return read_json(self.folder / NOTES, _LINES)

    @cached_property
    def cases(self) -> dict[str, CaseInfo]:
        """Case id to facts, in the order of the store."""
        return {info.id: info for info in self.index.cases}

    def tagged(self, cases: Iterable[str] | None = None) -> TaggedSlices:
        """Slices and tags of the named cases (all when None), in the order of the store."""
        wanted = set(self.cases if cases is None else cases)
        infos = [info for info in self.index.cases if info.id in wanted]
        rows = [np.arange(info.rows.start, info.rows.stop, dtype=np.int64) for info in infos]
        stops = np.cumsum([info.slices for info in infos]).tolist()
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
            sided=self.index.mirror_exchanges_sides,
            cases=tuple(spans),
        )

    @property
    def vault(self) -> MaskVault:
        """The masks, behind their wall."""
        return MaskVault(self.folder / "masks", {info.id: info.plane for info in self.index.cases})
