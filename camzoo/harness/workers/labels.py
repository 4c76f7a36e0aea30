"""The worker of the scores of baselines: of what they predicted, and of what they learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from camzoo.core.progress import Tick
from camzoo.core.stored import read_array, reading, write_frame
from camzoo.data.readers import read_volume
from camzoo.data.slices import CaseInfo, Prepared
from camzoo.data.splits import Split
from camzoo.evaluate.measure import measure_labels
from camzoo.evaluate.prepared_cases import PreparedCases
from camzoo.evaluate.result_files import PREDICTIONS, PSEUDO_MASKS, SCORES
from camzoo.evaluate.rows import NO_THRESHOLD, PSEUDO_MASK, SEGMENTATION

LabelsOf = Callable[[CaseInfo], NDArray[np.uint8]]


def score_labels(
    folders: Mapping[str, Path],
    prepared: Prepared,
    split: Split,
    segmented: Mapping[str, Path],
    tick: Tick,
) -> None:
    """Score the test volumes, and the pseudo-masks of the training volumes where there are any.

    Args:
        folders: Folder of each baseline, to be filled with partial result rows.
        prepared: Slices and masks.
        split: Split of the cell.
        segmented: By the name of a baseline, the folder with its predictions and pseudo-masks.
        tick: Told (cases done, cases in all).
    """
    places = {name: segmented[name] for name in folders}
    drawn = {name: place for name, place in places.items() if (place / PSEUDO_MASKS).exists()}
    volumes = {name: _stored_labels(place) for name, place in places.items()}
    test = measure_labels(PreparedCases(prepared, volumes, split.test), tick)
    pseudo = {
        name: drawn_labels(prepared, split.train, place, unknown=0) for name, place in drawn.items()
    }
    train = measure_labels(PreparedCases(prepared, pseudo, split.train), tick)
    for name, folder in folders.items():
        rows = [{"stage": SEGMENTATION, "subset": "test"} | row for row in test[name]]
        rows += [{"stage": PSEUDO_MASK, "subset": "train"} | row for row in train.get(name, [])]
        frame = pd.DataFrame.from_records(rows).assign(protocol=NO_THRESHOLD)
        write_frame(frame, folder / SCORES)


def _stored_labels(folder: Path) -> LabelsOf:
    def labels(info: CaseInfo) -> NDArray[np.uint8]:
        path = folder / PREDICTIONS / f"{info.id}.nii.gz"
        with reading(path):
            array: NDArray[np.uint8] = read_volume(path, case=info.id, patient=info.patient).array
        return array

    return labels


def drawn_labels(
    prepared: Prepared, cases: Sequence[str], folder: Path, *, unknown: int
) -> LabelsOf:
    """Open the pseudo-masks that a baseline was trained on.

    Args:
        prepared: Slices.
        cases: The training cases of its cell.
        folder: What its stage left.
        unknown: Class that :data:`~camzoo.data.labels.UNKNOWN` becomes, at most one above the
            organs.

    Returns:
        From a training case to its labels on the grid of the scan, enlarged as probabilities are.
    """
    slices = prepared.tagged(cases)
    pseudo = read_array(folder / PSEUDO_MASKS, np.uint8, (len(slices), None, None))
    rows = {case: slice(start, stop) for case, start, stop in slices.cases}
    organs = len(slices.organs)
    classes = max(organs, unknown) + 1

    def labels(info: CaseInfo) -> NDArray[np.uint8]:
        label = torch.from_numpy(np.array(pseudo[rows[info.id]])).long()
        planes = F.one_hot(label.where(label <= organs, unknown), classes).movedim(-1, 1)
        fine = info.letterbox.from_grid(planes).argmax(dim=1).to(torch.uint8).numpy()
        return info.plane.restore(fine)

    return labels
