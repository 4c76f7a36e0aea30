"""Maps and masks of a report as NIfTI, on the voxels of the scans that they were made from.

Arrays lie in camzoo's order of axes and the affine says so: in the world, a voxel of a file is the
voxel of the scan, whatever order the scan's own file has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from camzoo.core.errors import ConfigError
from camzoo.core.names import as_name, is_name
from camzoo.metrics.sweep import apply_threshold
from camzoo.report.opened_runs import OpenedRun
from camzoo.report.viewed_cells import ViewedCell
from camzoo.segment.export import write_volume

_ENDING: Final = ".nii.gz"


def write_nifti(runs: Sequence[OpenedRun], folder: Path, cases: int) -> None:
    """Write the first cases of :meth:`ViewedCell.cases`, in a folder for each run.

    That holds ``reference/CASE``, ``masks/PROTOCOL/METHOD/CASE`` (labels uint8) and
    ``maps/METHOD/ORGAN/CASE`` (float32), of the first fold and seed. ``camzoo score`` reads them.

    Args:
        runs: Those of the report.
        folder: An empty folder.
        cases: Most cases of each run.

    Raises:
        ConfigError: The maps of a run are not at hand, or may not leave.
    """
    for run in runs:
        if isinstance(run.viewed, str):
            raise ConfigError(f"no maps of {run.record.run} can be exported: {run.viewed}")
        first = run.viewed[0]
        for case in first.cases(cases):
            _write_case(first, case, folder / run.record.run)


def _write_case(cell: ViewedCell, case: str, folder: Path) -> None:
    info, stored = cell.prepared.cases[case], cell.maps
    affine = np.array(info.affine)
    organs, lines = file_names(cell.prepared.index.organs), file_names(stored)
    file = file_names(cell.prepared.cases)[case] + _ENDING
    label = cell.prepared.vault.for_evaluation().label(case)
    write_volume(_in(folder / "reference", file), label, affine)
    for line, protocols in cell.thresholds(case).items():
        if line not in stored:
            continue
        maps = stored[line].volume(info).numpy()
        for organ, values in zip(organs.values(), maps, strict=True):
            write_volume(_in(folder / "maps" / lines[line] / organ, file), values, affine)
        for protocol, threshold in protocols.items():
            place = _in(folder / "masks" / protocol / lines[line], file)
            write_volume(place, apply_threshold(maps, threshold), affine)


def file_names(texts: Iterable[str]) -> dict[str, str]:
    """Give every text a name of its own that may be a file's: itself where that is one.

    Example:
        >>> file_names(["c-cam[cc]", "a/b", "a:b", "..", "A_b"])
        {'c-cam[cc]': 'c-cam[cc]', 'a/b': 'a_b', 'a:b': 'a_b-2', '..': 'unnamed', 'A_b': 'A_b-3'}
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for text in texts:
        name = text if is_name(text) else as_name(text) or "unnamed"
        free, number = name, 1
        while (
            free.casefold() in taken
        ):  # names that differ in capitals are one file on some systems
            number += 1
            free = f"{name}-{number}"
        taken.add(free.casefold())
        names[text] = free
    return names


def _in(folder: Path, file: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / file
