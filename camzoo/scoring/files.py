"""Anyone's masks and maps on disk: which file belongs to which case and method, and how to read it.

References lie in one folder, a file per case. Predictions lie in a folder with the same file names,
or in any number of folders below it, one per method. NIfTI files say their spacing and orientation;
npy files are arrays on the grid of the reference's file, (z, y, x) with the classes of maps first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo.data.readers.base import unreadable
from camzoo.data.readers.nifti import read_nifti
from camzoo.data.volume import FloatArray, Volume, require_same_grid
from camzoo.errors import ConfigError, DataError, GeometryError
from camzoo.pairs import parse_pairs

#: Endings of files that are read; the longest first.
SUFFIXES: Final = (".nii.gz", ".nii", ".npy")
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
        DataError: The folder is missing, or two files name one case.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder; name the folder that holds the files")
    cases: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
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
    folders = [folder, *sorted(p for p in folder.rglob("*") if p.is_dir())]
    methods = {}
    for path in folders:
        cases = find_cases(path)
        if cases:
            methods[path.relative_to(folder).as_posix() if path != folder else folder.name] = cases
    if not methods:
        raise DataError(
            f"{folder} holds no file that ends in {', '.join(SUFFIXES)}, at any depth; "
            "put the files of each method into a folder of its own there"
        )
    return methods


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
        path: NIfTI or npy.
        case: Its name.
        patient: Whose it is.
        spacing: (z, y, x) in mm for files that do not say theirs, None for files that do.

    Raises:
        DataError: The file cannot be read, or does not hold whole numbers from 0 on.
        GeometryError: The spacing is given twice or not at all.
    """
    planes, affine = _read(path)
    if affine is not None and spacing is not None:
        raise GeometryError(
            f"{path} has a header that says its spacing, so --spacing must be left out; "
            "there is one source of spacing, never two"
        )
    if affine is None and spacing is None:
        raise GeometryError(
            f"{path} does not say its spacing (npy files have no header); "
            "add --spacing z=...,y=...,x=... in mm"
        )
    stored = Volume(
        _as_labels(planes, path),
        _upright(spacing) if affine is None else affine,
        case,
        patient,
        str(path),
    )
    return Reference(stored.canonical(), stored, has_header=affine is not None)


def read_prediction(path: Path, reference: Reference) -> NDArray[np.uint8]:
    """Read a predicted label volume on the canonical grid of ``reference``.

    Raises:
        DataError: The file cannot be read, or does not hold whole numbers from 0 on.
        GeometryError: It lies on another grid.
    """
    planes, affine = _read(path)
    (labels,) = _aligned(_as_labels(planes, path)[None], affine, path, reference)
    return np.asarray(labels, dtype=np.uint8)


def read_maps(path: Path, reference: Reference) -> FloatArray:
    """Read maps [C, z, y, x] on the canonical grid of ``reference``; one class may lack its axis.

    Raises:
        DataError: The file cannot be read or holds NaN.
        GeometryError: It lies on another grid.
    """
    planes, affine = _read(path)
    if planes.ndim not in (3, 4):
        raise DataError(f"{path}: expected maps [C, z, y, x] or [z, y, x], got {planes.shape}")
    maps = planes if planes.ndim == 4 else planes[None]
    maps = maps if np.issubdtype(maps.dtype, np.floating) else maps.astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(maps))
    if bad:
        raise DataError(
            f"{path}: {bad} values are NaN or infinite, which no threshold can judge; "
            "mend the method that made the map"
        )
    return _aligned(maps, affine, path, reference)


def _read(path: Path) -> tuple[NDArray[Any], FloatArray | None]:
    """Voxels [..., z, y, x] as stored, and the affine where the file has one."""
    if path.suffix != ".npy":
        return read_nifti(path)
    try:
        return np.load(path, allow_pickle=False), None
    except (OSError, ValueError, EOFError) as error:
        raise unreadable(path, "npy", error) from error


def _aligned(
    planes: NDArray[Any], affine: FloatArray | None, path: Path, reference: Reference
) -> NDArray[Any]:
    """Bring planes [C, z, y, x] to the canonical grid of the reference, or refuse them."""
    stored = reference.stored
    if affine is None and planes.shape[1:] != stored.shape:
        raise GeometryError(
            f"case {stored.case}: {path} is {planes.shape[1:]} and its reference {stored.source} "
            f"{stored.shape} (z, y, x); write the array on the grid of the reference"
        )
    grid = stored.affine if affine is None else affine
    volumes = [Volume(p, grid, stored.case, stored.patient, str(path)).canonical() for p in planes]
    _require_same_order(volumes[0], reference)
    if affine is not None and reference.has_header:
        require_same_grid(reference.label, volumes[0])
    return np.stack([volume.array for volume in volumes])


def _require_same_order(volume: Volume, reference: Reference) -> None:
    """Refuse a header whose spacing is that of the reference in another order, or another one."""
    ours, theirs = volume.spacing, reference.label.spacing
    if volume.shape == reference.label.shape and np.allclose(ours, theirs, rtol=1e-3):
        return
    where = f"case {volume.case}: {volume.source} has {_grid(volume)}, its reference"
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
    strange = planes[~((planes >= 0) & (planes <= 255) & (planes == np.rint(planes)))]
    if strange.size:
        values = ", ".join(f"{value:g}" for value in np.unique(strange)[:_SHOWN])
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


def _case_name(path: Path) -> str | None:
    hidden = path.name.startswith(".")
    suffixes: Iterator[str] = (s for s in SUFFIXES if path.name.endswith(s))
    suffix = next(suffixes, None)
    return path.name[: -len(suffix)] if suffix and path.is_file() and not hidden else None


def listed(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
