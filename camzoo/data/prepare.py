"""From volumes to the slice store: scaling, letterboxing, tags."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from camzoo.core.choices import SliceChoice
from camzoo.core.errors import DataError
from camzoo.core.names import require_name
from camzoo.core.progress import Tick, silent
from camzoo.data.content import Content
from camzoo.data.datasets.base import Case, Dataset
from camzoo.data.loading import LoadedCase, load_case
from camzoo.data.notes import Note, told
from camzoo.data.plane import choose_plane
from camzoo.data.slices import INDEX, NOTES, CaseInfo, PreparedIndex, digest_of_data


def prepare(
    dataset: Dataset,
    folder: Path,
    *,
    size: int,
    percentiles: tuple[float, float],
    min_area: int,
    slices: SliceChoice = SliceChoice.ACQUIRED,
    tick: Tick = silent,
) -> None:
    """Read every case of ``dataset`` and write the prepared folder, one case in memory at a time.

    Args:
        dataset: Where the cases come from.
        folder: An existing, empty folder.
        size: Side of the square working grid in pixels.
        percentiles: Percentiles of each volume's intensities that are mapped to 0 and 255.
        min_area: An organ tags a slice when it covers at least this many voxels of the scan.
        slices: How the plane is chosen in which each case is cut.
        tick: Told (cases done, cases in all).

    Raises:
        DataError: A case cannot be read, or an organ is in no slice at all.
        ConfigError: The id of a case is no name, and could become no file.
    """
    cases = list(dataset.cases())
    for case in cases:
        require_name(case.id, "the id of a case")
    masks = folder / "masks"
    masks.mkdir()
    index = _Index(dataset, size)
    with (folder / "images.u8").open("wb") as store:
        for done, case in enumerate(cases):
            loaded = load_case(dataset, case)
            label = np.ascontiguousarray(loaded.label.array, dtype=np.uint8)
            voxels = loaded.image.array.astype(np.float32)
            info = _info(loaded, case, index.slices, slices)
            images = _slices(voxels, info, size, percentiles)
            tags = tag_slices(info.plane.cut(label), len(dataset.organs), min_area)
            store.write(images.data)
            np.save(masks / f"{case.id}.npy", label, allow_pickle=False)
            index.add(info, voxels, label, images, tags, loaded.notes)
            tick(done + 1, len(cases))
    index.write(folder)


def data_digest(dataset: Dataset, tick: Tick = silent) -> str:
    """Return the digest of a data set, as :attr:`PreparedIndex.data` has it, without preparing it.

    Args:
        dataset: Where the cases come from.
        tick: Told (cases done, cases in all).

    Raises:
        DataError: A case cannot be read.
    """
    cases, content = list(dataset.cases()), Content(dataset.organs)
    for done, case in enumerate(cases, start=1):
        loaded = load_case(dataset, case)
        label = np.ascontiguousarray(loaded.label.array, dtype=np.uint8)
        info = _info(loaded, case, 0, SliceChoice.ACQUIRED)
        content.add(info, loaded.image.array.astype(np.float32), label)
        tick(done, len(cases))
    return digest_of_data(content.images, content.labels)


class _Index:
    """What the cases that were read so far come to."""

    def __init__(self, dataset: Dataset, size: int) -> None:
        self.slices = 0
        self._dataset, self._size = dataset, size
        self._digest, self._content = hashlib.sha256(), Content(dataset.organs)
        self._infos: list[CaseInfo] = []
        self._tags: list[NDArray[np.uint8]] = []
        self._noted: list[tuple[str, Note]] = []

    def add(
        self,
        info: CaseInfo,
        voxels: NDArray[np.float32],
        label: NDArray[np.uint8],
        images: NDArray[np.uint8],
        tags: NDArray[np.uint8],
        notes: Sequence[Note],
    ) -> None:
        self.slices = info.rows.stop
        self._infos.append(info)
        self._tags.append(tags)
        self._noted += [(info.id, note) for note in notes]
        self._content.add(info, voxels, label)
        for part in (repr(info).encode(), images.data, label.data):
            self._digest.update(part)

    def write(self, folder: Path) -> None:
        tags, dataset = np.concatenate(self._tags), self._dataset
        _require_every_organ(tags, dataset.organs)
        np.save(folder / "tags.npy", tags, allow_pickle=False)
        self._digest.update(tags.data)
        index = PreparedIndex(
            dataset.organs,
            dataset.sided,
            self._size,
            self._digest.hexdigest(),
            self._content.images,
            self._content.labels,
            tuple(self._infos),
        )
        notes = [*dataset.notes(), *told(self._noted)]
        (folder / NOTES).write_text(json.dumps(notes, indent=1), encoding="utf-8")
        (folder / "index.json").write_bytes(INDEX.dump_json(index, indent=1))


def tag_slices(label: NDArray[np.uint8], classes: int, min_area: int) -> NDArray[np.uint8]:
    """Tag each slice of labels [n, rows, columns] with the organs it shows: uint8 [n, classes]."""
    areas = np.stack([(label == c).sum(axis=(1, 2)) for c in range(1, classes + 1)], axis=1)
    return np.ascontiguousarray(areas >= min_area).astype(np.uint8)


def grey_levels(
    voxels: NDArray[np.float32], percentiles: tuple[float, float]
) -> NDArray[np.float32]:
    """Scale a volume that is not constant so that two of its percentiles become 0 and 255."""
    low, high = (float(value) for value in np.percentile(voxels, percentiles))
    if high <= low:  # a few bright voxels on a constant ground: the percentiles say nothing
        low, high = float(voxels.min()), float(voxels.max())
    scaled: NDArray[np.float32] = np.clip((voxels - low) * (255.0 / (high - low)), 0, 255)
    return scaled


def unit_grey(voxels: NDArray[Any], percentiles: tuple[float, float]) -> NDArray[np.float32]:
    """Scale a volume as :func:`grey_levels` does, from 0 to 1."""
    return grey_levels(voxels.astype(np.float32), percentiles) / np.float32(255)


def _slices(
    voxels: NDArray[np.float32], info: CaseInfo, size: int, percentiles: tuple[float, float]
) -> NDArray[np.uint8]:
    # Scaled before padding, so that the border of the letterbox is as dark as the darkest voxel.
    scaled = grey_levels(voxels, percentiles)
    cut = torch.from_numpy(np.ascontiguousarray(info.plane.cut(scaled)))
    grid = info.letterbox.to_grid(cut, size)
    slices: NDArray[np.uint8] = grid.round().clamp(0, 255).to(torch.uint8).contiguous().numpy()
    return slices


def _info(loaded: LoadedCase, case: Case, first: int, slices: SliceChoice) -> CaseInfo:
    image = loaded.image
    affine = tuple(tuple(float(v) for v in row) for row in image.affine)
    plane = choose_plane(image.spacing, slices)
    return CaseInfo(case.id, case.patient, first, image.shape, image.spacing, affine, plane)


def _require_every_organ(tags: NDArray[np.uint8], organs: Sequence[str]) -> None:
    for organ, column in zip(organs, tags.T, strict=True):
        if not column.any():
            raise DataError(
                f"{organ} is in no slice of the data set; "
                "check the label values, lower min_area, or leave the organ out"
            )
