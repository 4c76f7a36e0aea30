"""The cases of a scoring: anyone's files, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camzoo.config import DataConfig
from camzoo.core.errors import ConfigError, DataError, GeometryError
from camzoo.data.notes import Note, listed, told
from camzoo.data.plane import choose_plane, describe_slices, slice_stack
from camzoo.data.prepare import unit_grey
from camzoo.data.volume import FloatArray
from camzoo.evaluate.cases import Case
from camzoo.evaluate.normalisation import Normalisation
from camzoo.evaluate.prediction_files import (
    SUFFIXES,
    Reference,
    find_cases,
    find_ignored,
    find_methods,
    read_maps,
    read_prediction,
    read_reference,
    read_scan,
    require_pairs,
)
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import make_rows
from camzoo.evaluate.score_options import ScoreOptions, read_patients
from camzoo.metrics.case import Record
from camzoo.metrics.sweep import wide_type


class Cohort:
    """The references and the files of all methods.

    Args:
        predictions: Folder of one method, or of one folder per method.
        masks: Folder of reference labels.
        options: Settings.
        heat_maps: Whether predictions are maps; labels otherwise.

    Attributes:
        organs: Names of the classes 1..C.
        methods: Names of all methods.
        with_thirds: Organs that are scored by apex, mid and base, too.
        slices: Plane in which the columns per slice are measured, in words.

    Raises:
        DataError: Files do not pair up, a scan is missing, or the references do not hold labels
            1..C.
        GeometryError: The spacing of a reference is given twice or not at all, or apex and base
            are asked for where orientation is unknown.
        ConfigError: ``options.organs`` names too few classes.
    """

    def __init__(
        self, predictions: Path, masks: Path, options: ScoreOptions, *, heat_maps: bool
    ) -> None:
        self._options = options
        self._read = self._maps if heat_maps else self._labels
        self._dataset = masks.resolve().name
        self._paths = find_cases(masks)
        if not self._paths:
            raise DataError(f"{masks} holds no reference; put a volume or npy file per case there")
        self._files = find_methods(predictions)
        require_pairs(self._paths, self._files, allow_missing=options.allow_missing)
        self._scans = _scans(options.images, self._paths)
        self.methods = list(self._files)
        self._patients = read_patients(options.patients, list(self._paths))
        # Notes on files; one may be read more than once, and cases are read by several threads.
        self._noted: dict[tuple[str, Note], None] = {}
        self._said = (*_say_what_is_ignored(masks, predictions), *self._say_what_is_missing())
        self.organs, self.slices = self._read_all()
        self.with_thirds = self.organs if options.with_thirds else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, of the files that were read so far."""
        order = list(self._paths)
        return (*self._said, *told(sorted(self._noted, key=lambda note: order.index(note[0]))))

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Case]:
        for name in self._paths:
            reference = self._reference(name)
            label = reference.label
            yield Case(
                id=name,
                patient=label.patient,
                label=label.array,
                spacing=label.spacing,
                affine=label.affine,
                plane=choose_plane(label.spacing, self._options.slices),
                predicted={
                    method: partial(self._read, files[name], reference) if name in files else None
                    for method, files in self._files.items()
                },
                image=partial(_scan, self._scans[name], reference) if self._scans else None,
            )

    def missing(self, method: str) -> list[str]:
        """Name the cases for which a method has no file."""
        return [name for name in self._paths if name not in self._files[method]]

    def rows(self, records: Mapping[str, Iterable[Record]], **common: str) -> pd.DataFrame:
        """Return the records of all methods as result rows.

        Args:
            records: Records of each method.
            common: Columns that are the same in all rows.
        """
        common |= {"run": "score", "dataset": self._dataset, "subset": "test"}
        rows = make_rows(
            common | {"method": method} | row for method, some in records.items() for row in some
        )
        require_sound(rows, "the rows of this scoring")
        return rows

    def _labels(self, path: Path, reference: Reference) -> NDArray[np.uint8]:
        """Read the predicted labels [z, y, x] of one method.

        Raises:
            DataError: It holds a class that the references do not have.
            GeometryError: It lies on another grid.
        """
        found = read_prediction(path, reference)
        self._note(found.case, found.notes)
        labels: NDArray[np.uint8] = np.asarray(found.array, dtype=np.uint8)
        if labels.max(initial=0) > len(self.organs):
            raise DataError(
                f"{path} holds the label {labels.max()}, but the references have only "
                f"1 to {len(self.organs)} ({', '.join(self.organs)})"
            )
        return labels

    def _maps(self, path: Path, reference: Reference) -> FloatArray:
        """Read the maps [C, z, y, x] of one method, normalised.

        Raises:
            DataError: They hold NaN, too few classes, or values that are not between 0 and 1.
            GeometryError: They lie on another grid.
        """
        maps = read_maps(path, reference)
        if len(maps) != len(self.organs):
            raise DataError(
                f"{path} holds {len(maps)} maps, the references have {len(self.organs)} classes "
                f"({', '.join(self.organs)}); write one map per class"
            )
        return _normalised(maps, self._options.normalisation, path)

    def _reference(self, case: str) -> Reference:
        path, patient = self._paths[case], self._patients[case]
        reference = read_reference(path, case, patient, self._options.spacing)
        if self._options.with_thirds and not reference.has_header:
            raise GeometryError(
                f"{path} does not say which end is the head, so apex and base cannot be told "
                "apart; save the references as NIfTI"
            )
        self._note(case, reference.notes)
        return reference

    def _note(self, case: str, notes: Iterable[Note]) -> None:
        self._noted.update(dict.fromkeys((case, note) for note in notes))

    def _read_all(self) -> tuple[tuple[str, ...], str]:
        """Read all references once: names of their classes 1..C, and the planes of their slices."""
        present: set[int] = set()
        stacks = []
        for case in self._paths:
            label = self._reference(case).label
            present |= set(np.unique(label.array).tolist())
            plane = choose_plane(label.spacing, self._options.slices)
            stacks.append(slice_stack(label.affine, plane))
        organs = _organs(sorted(present - {0}), self._options.organs)
        return organs, describe_slices(stacks, self._options.slices)

    def _say_what_is_missing(self) -> tuple[str, ...]:
        return tuple(
            f"{method}: {len(gone)} of {len(self)} cases have no prediction and count as failures"
            for method in self.methods
            if (gone := self.missing(method))
        )


def _scans(folder: Path | None, references: Mapping[str, Path]) -> dict[str, Path]:
    """The scan of every case; none without a folder."""
    if folder is None:
        return {}
    found = find_cases(folder)
    absent = sorted(set(references) - set(found))
    if absent:
        raise DataError(
            f"{folder} has no scan of {listed(absent)}; add them, or leave --images out"
        )
    return found


def _scan(path: Path, reference: Reference) -> FloatArray:
    """Read a scan with grey values from 0 to 1, scaled as those of a run."""
    return unit_grey(read_scan(path, reference), DataConfig().percentiles)


def _say_what_is_ignored(*folders: Path) -> Iterator[str]:
    for folder in dict.fromkeys(folders):
        ignored = find_ignored(folder)
        if ignored:
            yield (
                f"{folder}: ignored {listed(ignored)}; files that end in {', '.join(SUFFIXES)} are "
                "read"
            )


def _organs(labels: list[int], names: tuple[str, ...] | None) -> tuple[str, ...]:
    if not labels:
        raise DataError("the references hold no organ in any case: every voxel is 0")
    if names is None:
        if labels != list(range(1, len(labels) + 1)):
            raise DataError(
                f"the references hold the labels {', '.join(map(str, labels))}; number the classes "
                "1, 2, ... without gaps, or name all classes up to the highest with --organs"
            )
        return tuple(f"class {c}" for c in labels)
    if labels[-1] > len(names):
        raise ConfigError(
            f"--organs names {len(names)} classes, but the references hold the label {labels[-1]}"
        )
    return names


def _normalised(maps: FloatArray, kind: Normalisation, path: Path) -> FloatArray:
    if kind is Normalisation.NONE:
        wide = maps.astype(wide_type(maps.dtype), copy=False)
        low, high = wide.min(), wide.max()
        if low < 0 or high > 1:
            raise DataError(
                f"{path}: values run from {low:g} to {high:g}, thresholds from 0 to 1; choose "
                "--normalise max or minmax, or scale the maps"
            )
        return maps
    high = maps.max(axis=(1, 2, 3), keepdims=True)
    low = maps.min(axis=(1, 2, 3), keepdims=True) if kind is Normalisation.MINMAX else 0 * high
    normalised: FloatArray = np.divide(
        maps - low, high - low, out=np.zeros_like(maps), where=high > low
    )
    return normalised
