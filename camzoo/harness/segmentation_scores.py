"""Scores of what baselines predicted, and of the labels that they trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from camzoo.core.stored import read_array, reading, write_frame
from camzoo.data.readers import read_volume
from camzoo.data.slices import CaseInfo
from camzoo.evaluate.measure import measure_labels
from camzoo.evaluate.prepared_cases import PreparedCases
from camzoo.evaluate.result_files import SCORES, read_scores
from camzoo.evaluate.rows import NO_THRESHOLD, PSEUDO_MASK, SEGMENTATION
from camzoo.harness.baseline_inputs import BaselineCell
from camzoo.harness.source import metrics_code
from camzoo.harness.store import Artifact, Key
from camzoo.harness.work import labels_work

#: Raised whenever the result changes for the same key.
VERSION: Final = 2
#: In the folder of a baseline: label volumes of the test cases, and labels of training slices.
PREDICTIONS: Final = "predictions"
PSEUDO_MASKS: Final = "pseudo-masks.npy"
LabelsOf = Callable[[CaseInfo], NDArray[np.uint8]]


def segmentation_scores(
    cell: BaselineCell, segmented: Mapping[str, Artifact]
) -> dict[str, list[dict[str, Any]]]:
    """Score the test volumes, and the pseudo-masks of the training volumes where there are any.

    Args:
        cell: That the baselines ran in.
        segmented: By baseline: the folder with its predictions and pseudo-masks.

    Returns:
        By baseline: partial result rows, without the columns of the cell and the method.
    """
    keys = {name: labels_key(artifact) for name, artifact in segmented.items()}

    def make(folders: dict[str, Path]) -> set[str]:
        places = {name: segmented[name].folder for name in folders}
        drawn = {name: place for name, place in places.items() if (place / PSEUDO_MASKS).exists()}
        with cell.context.reporter.stage(f"scoring {', '.join(folders)}") as tick:
            volumes = {name: _stored_labels(place) for name, place in places.items()}
            test = measure_labels(PreparedCases(cell.prepared, volumes, cell.split.test), tick)
            pseudo = {name: _drawn_labels(cell, place) for name, place in drawn.items()}
            train = measure_labels(PreparedCases(cell.prepared, pseudo, cell.split.train), tick)
        for name, folder in folders.items():
            rows = [{"stage": SEGMENTATION, "subset": "test"} | row for row in test[name]]
            rows += [{"stage": PSEUDO_MASK, "subset": "train"} | row for row in train.get(name, [])]
            frame = pd.DataFrame.from_records(rows).assign(protocol=NO_THRESHOLD)
            write_frame(frame, folder / SCORES)
        return set(folders)

    slices = cell.prepared.tagged(cell.split.test)
    scored = cell.context.store.get_all(
        "segment-scores",
        keys,
        make,
        title=f"scores of baselines, fold {cell.split.fold}, seed {cell.seed}",
        works=dict.fromkeys(keys, labels_work(len(slices), len(slices.organs))),
    )
    return {name: read_scores(artifact.folder) for name, artifact in scored.items()}


def labels_key(segmented: Artifact) -> Key:
    """What the scores of a baseline's predictions depend on."""
    return {"version": VERSION, "segment": segmented.digest, "metrics": metrics_code()}


def _stored_labels(folder: Path) -> LabelsOf:
    def labels(info: CaseInfo) -> NDArray[np.uint8]:
        path = folder / PREDICTIONS / f"{info.id}.nii.gz"
        with reading(path):
            array: NDArray[np.uint8] = read_volume(path, case=info.id, patient=info.patient).array
        return array

    return labels


def _drawn_labels(cell: BaselineCell, folder: Path) -> LabelsOf:
    """Pseudo-masks on the grid of the scan; what is unknown is background."""
    slices = cell.prepared.tagged(cell.split.train)
    pseudo = read_array(folder / PSEUDO_MASKS, np.uint8, (len(slices), None, None))
    rows = {case: slice(start, stop) for case, start, stop in slices.cases}
    classes = len(slices.organs) + 1

    def labels(info: CaseInfo) -> NDArray[np.uint8]:
        label = torch.from_numpy(np.array(pseudo[rows[info.id]])).long()
        planes = F.one_hot(label.where(label < classes, 0), classes).movedim(-1, 1)
        fine = info.letterbox.from_grid(planes).argmax(dim=1).to(torch.uint8).numpy()
        return info.plane.restore(fine)

    return labels
