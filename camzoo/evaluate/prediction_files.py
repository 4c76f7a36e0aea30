"""Anyone's masks and maps on disk: which file belongs to which case and method, and how to read it.

References lie in one folder, a file per case. Predictions lie in a folder with the same file names,
or in any number of folders below it, one per method. Volume files of every format that data sets
are read from say their spacing and orientation; npy files are arrays on the grid of the reference's
file, (z, y, x) with the classes of maps first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError, DataError, GeometryError
from camzoo.core.spec import parse_pairs
from camzoo.data.disk import named_faults
from camzoo.data.labels import shown, whole_numbers
from camzoo.data.notes import Note, listed
from camzoo.data.readers import VOLUME_SUFFIXES, companions, read_voxels
from camzoo.data.readers.npy import read_npy
from camzoo.data.volume import (
    FloatArray,
    Volume,
    field_of_view_notes,
    on_grid_of,
    require_same_grid,
)

_NPY: Final = ".npy"
#: Endings of files that are read, in any case; the longest first.
SUFFIXES: Final = (*VOLUME_SUFFIXES, _NPY)
Spacing = tuple[float, float, float]
#: Method -> case -> file.
Methods = Mapping[str, Mapping[str, Path]]
#: How many of a list of names a message shows.
_SHOWN: Final = 5


@dataclass(frozen=True)
class Reference:
    """The label of a case.

    Attributes:
        label: Canonical; integers, 0 is background.
        stored: The same voxels as the file orders them: the grid of npy predictions.
        has_header: Whether orientation and spacing came from the file.
    """

    label: Volume
    stored: Volume
    has_header: bool

    @property
    def notes(self) -> tuple[Note, ...]:
        """What stands out in the file."""
        return (*field_of_view_notes(self.label), *self.label.notes)


def parse_spacing(text: str | None) -> Spacing | None:
    """Read a spacing whose axes are named: ``z=3,y=0.6,x=0.6``.

    Raises:
        ConfigError: An axis is not named, or is no positive number.
    """
    if text is None:
        return None
    if "=" not in text:
        raise ConfigError(
            f"--spacing {text} does not say which axis is which; write z=3,y=0.6,x=0.6 (mm)"
        )
    pairs = parse_pairs("--spacing", text.split(","))
    values = [pairs.get(axis) for axis in ("z", "y", "x")]
    numbers = [float(v) for v in values if isinstance(v, int | float) and 0 < v < np.inf]
    if len(numbers) != 3 or len(pairs) != 3:
        raise ConfigError(f"--spacing takes z, y and x in mm, each above 0, got {text}")
    return numbers[0], numbers[1], numbers[2]


def find_cases(folder: Path) -> dict[str, Path]:
    """Map case names to the volume files directly in ``folder``.

    Raises:
        DataError: The folder is missing or cannot be opened, or two files name one case.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the folder that holds the files")
    cases: dict[str, Path] = {}
    for path in _visible(folder):
        name = _case_name(path)
        if name is None:
            continue
        if name in cases:
            raise DataError(
                f"{folder}: case {name} stands twice, as {cases[name].name} and {path.name}; "
                "keep one of them"
            )
        cases[name] = path
    return cases


def find_methods(folder: Path) -> Methods:
    """Map method names to their cases: every folder with volume files at or below ``folder``.

    A method is called by its path below ``folder``; files directly in it, by the folder's name.

    Raises:
        DataError: There is no volume file, or two files of a method name one case.
    """
    methods = {}
    for path in _folders(folder):
        cases = find_cases(path)
        if cases:
            methods[path.relative_to(folder).as_posix() if path != folder else folder.name] = cases
    if not methods:
        raise DataError(
            f"{folder} holds no file that ends in {', '.join(SUFFIXES)}, at any depth; "
            "put the files of each method into a folder of its own there"
        )
    return methods


def find_ignored(folder: Path) -> list[str]:
    """Name the visible files at or below ``folder`` that are no cases nor read with one."""
    ignored: list[str] = []
    for place in _folders(folder):
        files = [path for path in _visible(place) if not path.is_dir()]
        read = {path for path in files if _case_name(path) is not None}
        read |= {voxels for path in read for voxels in companions(path)}
        ignored += [path.relative_to(folder).as_posix() for path in files if path not in read]
    return ignored


def require_pairs(references: Mapping[str, Path], methods: Methods, *, allow_missing: bool) -> None:
    """Refuse predictions without a reference and, unless allowed, the reverse.

    Raises:
        DataError: Naming methods and cases of all that do not pair.
    """
    faults = []
    for method, cases in methods.items():
        stray = sorted(set(cases) - set(references))
        lacking = sorted(set(references) - set(cases))
        if stray:
            faults.append(
                f"{method}: no reference for {listed(stray)}; take these predictions away or add "
                "their masks under the same names"
            )
        if lacking and not allow_missing:
            faults.append(
                f"{method}: no prediction for {listed(lacking)}; add them, or count them as "
                "failures with --allow-missing"
            )
    if faults:
        raise DataError("predictions and references do not pair up:\n" + "\n".join(faults))


def read_reference(path: Path, case: str, patient: str, spacing: Spacing | None) -> Reference:
    """Read the label of a case.

    Args:
        path: A volume file or npy.
        case: Its name.
        patient: Patient that the case is of.
        spacing: (z, y, x) in mm for files that do not say theirs, None for files that do.

    Raises:
        DataError: The file cannot be read, or does not hold whole numbers from 0 on.
        GeometryError: The spacing is given twice or not at all.
    """
    file = _read(path)
    if file.affine is not None and spacing is not None:
        raise GeometryError(
            f"{path} has a header that says its spacing, so --spacing must be left out; "
            "there is one source of spacing, never two"
        )
    if file.affine is None and spacing is None:
        raise GeometryError(
            f"{path} does not say its spacing (npy files have no header); "
            "add --spacing z=...,y=...,x=... in mm"
        )
    stored = Volume(
        _as_labels(file.planes, path),
        _upright(spacing) if file.affine is None else file.affine,
        case,
        patient,
        str(path),
        file.notes,
    )
    return Reference(stored.canonical(), stored, has_header=file.affine is not None)


def read_prediction(path: Path, reference: Reference) -> Volume:
    """Read a predicted label volume on the canonical grid of ``reference``.

    Raises:
        DataError: The file cannot be read, or does not hold whole numbers from 0 on.
        GeometryError: It lies on another grid.
    """
    file = _read(path)
    (labels,) = _volumes(_as_labels(file.planes, path)[None], file, path, reference)
    if file.affine is not None and reference.has_header and labels.shape != reference.label.shape:
        return on_grid_of(reference.label, labels)
    _require_same_grid(labels, file, reference)
    return labels


def read_maps(path: Path, reference: Reference) -> FloatArray:
    """Read maps [C, z, y, x] on the canonical grid of ``reference``; one class may lack its axis.

    Raises:
        DataError: The file cannot be read or holds NaN.
        GeometryError: It lies on another grid.
    """
    file = _read(path)
    planes = file.planes
    if planes.ndim not in (3, 4) or not len(planes):
        raise DataError(
            f"{path}: expected maps [C, z, y, x] of one class or more, or [z, y, x], got "
            f"{planes.shape}"
        )
    maps = planes if planes.ndim == 4 else planes[None]
    maps = maps if np.issubdtype(maps.dtype, np.floating) else maps.astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(maps))
    if bad:
        raise DataError(
            f"{path}: {bad} values are NaN or infinite, which no threshold can judge; "
            "mend the method that made the map"
        )
    volumes = _volumes(maps, file, path, reference)
    _require_same_grid(volumes[0], file, reference)
    return np.stack([volume.array for volume in volumes])


def read_scan(path: Path, reference: Reference) -> FloatArray:
    """Read the scan [z, y, x] of a case on the canonical grid of ``reference``, any grey values.

    Raises:
        DataError: The file cannot be read, holds NaN or is constant.
        GeometryError: It lies on another grid.
    """
    file = _read(path)
    planes = np.asarray(file.planes, dtype=np.float32)
    if planes.ndim != 3 or not np.isfinite(planes).all() or planes.min() == planes.max():
        raise DataError(
            f"{path}: expected a scan [z, y, x] of finite grey values that differ, got shape "
            f"{planes.shape} with values from {planes.min():g} to {planes.max():g}"
        )
    (scan,) = _volumes(planes[None], file, path, reference)
    _require_same_grid(scan, file, reference)
    return scan.array


@dataclass(frozen=True, eq=False)
class _File:
    """Voxels [..., z, y, x] as stored, and the affine and notes where the file has a header."""

    planes: NDArray[Any]
    affine: FloatArray | None = None
    notes: tuple[Note, ...] = ()


def _read(path: Path) -> _File:
    if path.suffix.lower() != _NPY:
        voxels = read_voxels(path)
        return _File(voxels.array, voxels.affine, voxels.notes)
    planes = read_npy(path)
    one_frame = planes.ndim == 4 and len(planes) == 1
    return _File(planes[0] if one_frame else planes)


def _volumes(planes: NDArray[Any], file: _File, path: Path, reference: Reference) -> list[Volume]:
    """Planes [C, z, y, x] as canonical volumes; arrays without a header lie as the reference."""
    stored = reference.stored
    if file.affine is None and planes.shape[1:] != stored.shape:
        raise GeometryError(
            f"case {stored.case}: {path} is {planes.shape[1:]} and its reference {stored.source} "
            f"{stored.shape} (z, y, x); write the array on the grid of the reference"
        )
    grid = stored.affine if file.affine is None else file.affine
    return [
        Volume(plane, grid, stored.case, stored.patient, str(path), file.notes).canonical()
        for plane in planes
    ]


def _require_same_grid(volume: Volume, file: _File, reference: Reference) -> None:
    _require_same_order(volume, reference)
    if file.affine is not None and reference.has_header:
        require_same_grid(reference.label, volume)


def _require_same_order(volume: Volume, reference: Reference) -> None:
    """Refuse a header whose spacing is that of the reference in another order, or another one."""
    ours, theirs = volume.spacing, reference.label.spacing
    if volume.shape == reference.label.shape and np.allclose(ours, theirs, rtol=1e-3):
        return
    where = f"case {volume.case}: {volume.source} has {_grid(volume)}, its reference "
    where += f"{reference.label.source} has"
    if np.allclose(sorted(ours), sorted(theirs), rtol=1e-3) and not np.allclose(ours, theirs):
        raise GeometryError(
            f"{where} {_grid(reference.label)}: the same spacing with its axes in another order; "
            "correct the header or the --spacing that has them swapped"
        )
    raise GeometryError(
        f"{where} {_grid(reference.label)}; resample the prediction to the grid of the reference, "
        "or correct the header that is wrong"
    )


def _grid(volume: Volume) -> str:
    spacing = ", ".join(f"{mm:.4g}" for mm in volume.spacing)
    return f"shape {volume.shape} and spacing ({spacing}) mm (z, y, x)"


def _as_labels(planes: NDArray[Any], path: Path) -> NDArray[np.uint8]:
    if planes.ndim != 3:
        raise DataError(f"{path}: expected labels [z, y, x], got shape {planes.shape}")
    if planes.dtype.kind == "b" or planes.dtype == np.uint8:  # there are no others in it
        return planes.astype(np.uint8)
    planes = whole_numbers(planes)
    strange = planes[~((planes >= 0) & (planes <= 255) & (planes == np.rint(planes)))]
    if strange.size:
        values = ", ".join(shown(value) for value in np.unique(strange)[:_SHOWN])
        raise DataError(
            f"{path}: labels must be whole numbers from 0 to 255, but it also holds {values}; "
            "heat maps are scored with --maps"
        )
    return planes.astype(np.uint8)


def _upright(spacing: Spacing | None) -> FloatArray:
    """The canonical affine of arrays that do not say how they lie."""
    z, y, x = spacing or (1.0, 1.0, 1.0)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = z, -y, -x, 1.0
    return affine


def _folders(folder: Path) -> list[Path]:
    with named_faults(folder):
        return [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]


def _visible(folder: Path) -> list[Path]:
    with named_faults(folder):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _case_name(path: Path) -> str | None:
    name = path.name.lower()
    suffix = next((s for s in SUFFIXES if name.endswith(s)), None)
    return path.name[: -len(suffix)] if suffix and not path.is_dir() else None
