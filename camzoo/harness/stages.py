"""All stages from files to numbers, in the order of a run."""

from __future__ import annotations

from typing import Final

from camzoo.data.prepare import prepare
from camzoo.harness.stage import Stage
from camzoo.harness.workers.curves import make_curves
from camzoo.harness.workers.labels import score_labels
from camzoo.harness.workers.maps import make_method_maps
from camzoo.harness.workers.scores import score_maps
from camzoo.harness.workers.segment import segment_volumes
from camzoo.harness.workers.step import run_step
from camzoo.harness.workers.train import train_classifier

#: From volumes to slices, tags and masks.
PREPARE: Final = Stage(
    "prepare",
    prepare,
    ("data.name", "data.options", "data.size", "data.percentiles", "data.min_area", "data.slices"),
)
#: The shared classifier of a cell. Of its starting weights the content counts, not the place.
TRAIN: Final = Stage(
    "train",
    train_classifier,
    ("backbone", "training"),
    ignored=("backbone.layer", "backbone.weights"),
    resumable=True,
)
#: The maps of a CAM method, for all slices.
MAPS: Final = Stage("maps", make_method_maps, ("backbone.layer", "maps"), ignored=("maps.batch",))
#: The maps behind a step of a chain. Its settings are in the keys of the maps that it reads.
STEPS: Final = Stage("steps", run_step, resumable=True)
#: The overlap of maps with the masks, at every threshold.
CURVES: Final = Stage("curves", make_curves, ("evaluation.thresholds",))
#: All metrics of maps, at the thresholds that were chosen.
SCORES: Final = Stage("scores", score_maps)
#: A baseline that learned, and the volumes that it segmented. It may read any setting of the run
#: but those of other cells, of other methods and of the machine.
SEGMENT: Final = Stage(
    "segment",
    segment_volumes,
    ("data", "backbone", "training", "maps", "segmentation", "evaluation"),
    ignored=(
        "data.root", "data.folds", "data.k_folds", "data.limit", "backbone.weights", "maps.batch",
        "evaluation.protocols", "evaluation.fixed",
    ),
    resumable=True,
)  # fmt: skip
#: All metrics of what a baseline segmented, and of the labels it learned from.
LABELS: Final = Stage("segment-scores", score_labels)

STAGES: Final = (PREPARE, TRAIN, MAPS, STEPS, CURVES, SCORES, SEGMENT, LABELS)
