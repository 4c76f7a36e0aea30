"""From files of predictions to a bundle: no mask is looked at for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from camzoo.core.errors import ConfigError, DataError
from camzoo.core.supervision import Supervision
from camzoo.data.notes import listed
from camzoo.evaluate.prediction_files import Reference, find_cases, read_maps, read_prediction
from camzoo.submissions.bundle import SCHEMA, Author, Bundle, Kind, member, write_bundle
from camzoo.submissions.names import require_foreign
from camzoo.submissions.published import Published


@dataclass(frozen=True)
class Statement:
    """What an author says of a submission.

    Attributes:
        method: What it is called.
        supervision: What it saw of the data set while it learned.
        about: Author, licence, citation, and what the backbone has seen.
    """

    method: str
    supervision: Supervision
    about: Author


def pack(
    predictions: Path,
    published: Published,
    statement: Statement,
    out: Path,
    *,
    kind: Kind,
    folds: Sequence[str] = (),
) -> Bundle:
    """Write a bundle.

    Args:
        predictions: Folder with a file per case, or with a folder ``fold-K`` for each fold.
        published: The run whose split it follows.
        statement: What the author says.
        out: The file to write.
        kind: Labels, or maps between 0 and 1, which are kept in steps of 1/255.
        folds: Folds that are predicted; all of the run when left out.

    Raises:
        ConfigError: Something is said that cannot be.
        DataError: A case is missing, or a file holds no prediction of its scan.
    """
    require_foreign(statement.method)
    blank = [name for name, text in statement.about.items() if not str(text).strip()]
    if blank:
        raise ConfigError(f"a submission has to say its {', '.join(blank)}")
    manifest = published.manifest
    wanted = {fold: published.asked(kind, fold) for fold in folds or manifest["splits"]}
    files = {fold: _files(predictions, fold, cases) for fold, cases in wanted.items()}
    bundle: Bundle = {
        "schema": SCHEMA,
        "kind": kind,
        "method": statement.method,
        "supervision": statement.supervision.value,
        "about": statement.about,
        "run": manifest["run"],
        "data": manifest["dataset"]["data"],
        "organs": manifest["dataset"]["organs"],
        "folds": wanted,
        "files": {},
    }
    write_bundle(out, bundle, _voxels(published, files, kind))
    return bundle


def _files(predictions: Path, fold: str, cases: Sequence[str]) -> dict[str, Path]:
    apart = predictions / f"fold-{fold}"
    folder = apart if apart.is_dir() else predictions
    found = find_cases(folder)
    absent = sorted(set(cases) - set(found))
    if absent:
        raise DataError(
            f"{folder} has no prediction for {listed(absent)} of fold {fold}; a submission "
            "predicts every case of a fold: add them, or name the folds that you have with --folds"
        )
    return {case: found[case] for case in cases}


def _voxels(
    published: Published, files: Mapping[str, Mapping[str, Path]], kind: Kind
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    read = _maps if kind == "maps" else _labels
    count = len(published.dataset.organs)
    for fold, some in files.items():
        for case, path in some.items():
            scan = published.dataset.image(published.cases[case])
            yield member(fold, case), read(path, Reference(scan, scan, has_header=True), count)


def _labels(path: Path, scan: Reference, organs: int) -> NDArray[np.uint8]:
    labels: NDArray[np.uint8] = np.asarray(read_prediction(path, scan).array, np.uint8)
    if labels.max(initial=0) > organs:
        raise DataError(f"{path} holds the label {labels.max()}, the organs are 1 to {organs}")
    return labels


def _maps(path: Path, scan: Reference, organs: int) -> NDArray[np.uint8]:
    maps = read_maps(path, scan)
    if len(maps) != organs or maps.min() < 0 or maps.max() > 1:
        raise DataError(
            f"{path} holds {len(maps)} maps from {maps.min():g} to {maps.max():g}, expected "
            f"{organs} between 0 and 1, one for each organ"
        )
    eight_bit: NDArray[np.uint8] = np.rint(maps * 255).astype(np.uint8)
    return eight_bit
