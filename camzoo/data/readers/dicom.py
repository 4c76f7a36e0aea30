"""A folder with the DICOM slices of one series (SimpleITK, imported when such a folder is read).

Slices are ordered by their position along the normal of the slice plane, never by file name.
Series identifiers are not compared: anonymised sets give every slice another one. Two series in one
folder show as two slices at one position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import DataError
from camzoo.core.text import shortly
from camzoo.data.disk import require_file
from camzoo.data.readers.base import Voxels, require_spacing
from camzoo.data.readers.dicom_elements import require_whole_elements
from camzoo.data.readers.itk import LPS_TO_RAS, ItkFile
from camzoo.data.volume import FloatArray

_POSITION: Final = ("0020|0032", "ImagePositionPatient", 3)
_ORIENTATION: Final = ("0020|0037", "ImageOrientationPatient", 6)
_SPACING: Final = ("0028|0030", "PixelSpacing", 2)
#: Largest difference of a gap between slices from the median gap, as a share of it.
_GAP_TOLERANCE: Final = 0.05
#: Largest difference of direction cosines that are the same.
_COSINE_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class Series:
    """Where the slices of a series lie.

    Attributes:
        files: One per slice, ordered along the normal.
        affine: Shape [4, 4], from (slice, row, column, 1) to RAS mm.
        shape: (rows, columns) of every slice.
    """

    files: tuple[Path, ...]
    affine: FloatArray
    shape: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Slice:
    """Header of one slice, in LPS as DICOM has it."""

    file: Path
    position: FloatArray
    orientation: FloatArray
    spacing: FloatArray
    shape: tuple[int, int]

    @property
    def normal(self) -> FloatArray:
        """Unit vector from slice to slice."""
        return np.cross(self.orientation[:3], self.orientation[3:])

    @property
    def depth(self) -> float:
        """Position along the normal, mm."""
        return float(self.position @ self.normal)


def read_series(folder: Path) -> Voxels:
    """Read the slices in ``folder`` as one volume.

    Raises:
        DataError: As :func:`scan_series`, or a slice is truncated.
    """
    series = scan_series(folder)
    return Voxels(np.stack([_slice(file) for file in series.files]), series.affine)


def slice_files(folder: Path) -> list[Path]:
    """Return the files in ``folder`` that are taken for slices, by name."""
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() == ".dcm" and not p.name.startswith(".")
    )


def scan_series(folder: Path) -> Series:
    """Order the slices in ``folder`` from their headers alone.

    Raises:
        DataError: There are fewer than two slices, slices differ in size, spacing or orientation,
            two lie at one position, one is missing between others, or they are shifted sideways.
    """
    files = slice_files(folder)
    if len(files) < 2:
        raise DataError(
            f"{folder}: expected one series of at least 2 DICOM slices (*.dcm), got {len(files)}"
        )
    slices = sorted((_header(file) for file in files), key=lambda s: s.depth)
    first = slices[0]
    _require_one_plane(folder, slices)
    gap = _require_even_gaps(folder, slices)
    _require_straight(folder, slices)
    affine = np.eye(4)
    affine[:3, 0] = first.normal * gap
    affine[:3, 1] = first.orientation[3:] * first.spacing[0]  # down the rows
    affine[:3, 2] = first.orientation[:3] * first.spacing[1]  # along the columns
    affine[:3, 3] = first.position
    return Series(tuple(s.file for s in slices), LPS_TO_RAS @ affine, first.shape)


def _header(path: Path) -> _Slice:
    require_file(path)
    require_whole_elements(path)  # once: voxels are read of files whose headers were
    file = _open(path)
    columns, rows, *frames = file.size
    if any(count != 1 for count in frames):
        raise DataError(
            f"{path}: expected one slice per file, got {frames[0]} frames; convert it to NIfTI"
        )
    orientation = _numbers(file, _ORIENTATION)
    directions = orientation.reshape(2, 3)
    if not np.allclose(directions @ directions.T, np.eye(2), atol=_COSINE_TOLERANCE):
        raise DataError(
            f"{path}: ImageOrientationPatient {orientation.tolist()} is no pair of orthogonal unit "
            "vectors; correct or export the series again"
        )
    position, spacing = _numbers(file, _POSITION), _numbers(file, _SPACING)
    require_spacing(path, "PixelSpacing", spacing.tolist())
    return _Slice(path, position, orientation, spacing, (rows, columns))


def _slice(path: Path) -> NDArray[Any]:
    pixels = _open(path).array()
    if len(pixels) != 1:
        raise DataError(f"{path}: expected one grey value per pixel, got {len(pixels)} (colours)")
    plane: NDArray[Any] = pixels[0]
    return plane


def _open(path: Path) -> ItkFile:
    return ItkFile(path, "DICOM", "GDCMImageIO")


def _numbers(file: ItkFile, tag: tuple[str, str, int]) -> FloatArray:
    key, name, count = tag
    text = file.tag(key)
    try:
        values = np.array([float(part) for part in text.split("\\")])
    except ValueError:
        values = np.array([])
    if len(values) != count or not np.isfinite(values).all():
        raise DataError(
            f"{file.path}: expected {count} numbers in {name} ({key.replace('|', ',')}), got "
            f"{shortly(text.strip())}; geometry is never guessed: export the series again with it"
        )
    return values


def _require_one_plane(folder: Path, slices: Sequence[_Slice]) -> None:
    first = slices[0]
    for other in slices[1:]:
        for what, a, b in (
            ("size", first.shape, other.shape),
            ("PixelSpacing", first.spacing, other.spacing),
            ("ImageOrientationPatient", first.orientation, other.orientation),
        ):
            if not np.allclose(a, b, rtol=0, atol=_COSINE_TOLERANCE):
                raise DataError(
                    f"{folder}: {first.file.name} and {other.file.name} differ in {what}: "
                    f"{_plain(a)} and {_plain(b)}; keep the slices of one series"
                )


def _require_even_gaps(folder: Path, slices: Sequence[_Slice]) -> float:
    """Return the distance from slice to slice in mm."""
    gaps = np.diff([s.depth for s in slices])
    median = float(np.median(gaps))
    for before, after, gap in zip(slices, slices[1:], gaps, strict=False):
        if gap < _GAP_TOLERANCE * median or gap == 0:
            raise DataError(
                f"{folder}: {before.file.name} and {after.file.name} lie at the same position; "
                "keep the slices of one series"
            )
        if abs(gap - median) > _GAP_TOLERANCE * median:
            raise DataError(
                f"{folder}: {before.file.name} and {after.file.name} are {gap:.3f} mm apart, "
                f"others {median:.3f} mm; restore the slice if one is missing between them, or "
                "resample the series to even gaps"
            )
    return float(gaps.mean())


def _require_straight(folder: Path, slices: Sequence[_Slice]) -> None:
    first = slices[0]
    offsets = np.array([s.position - first.position for s in slices])
    sideways = np.linalg.norm(offsets - np.outer(offsets @ first.normal, first.normal), axis=1)
    worst = int(sideways.argmax())
    if sideways[worst] > 0.5 * first.spacing.min():
        raise DataError(
            f"{folder}: {slices[worst].file.name} is shifted by {sideways[worst]:.3f} mm within "
            f"its plane against {first.file.name}; resample the series to a straight stack"
        )


def _plain(values: Any) -> list[float]:
    return [float(v) for v in np.ravel(values)]
