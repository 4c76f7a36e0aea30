"""Which class activation map gives the best masks, by how much, and can the number be believed?

The names below are camzoo's public face: all that its users and the authors of plug-ins need. They
are imported on first use, so that ``import camzoo`` costs nothing. What is not among them, or in
:mod:`camzoo.metrics`, may move from one version to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camzoo.core.lazy import lazily

__version__ = "0.1.0"

if TYPE_CHECKING:  # the same names for type checkers and editors
    from camzoo import metrics as metrics
    from camzoo import registries as registries
    from camzoo.cams import weighting as weighting
    from camzoo.cams.base import CamMethod as CamMethod
    from camzoo.cams.base import FitContext as FitContext
    from camzoo.cams.base import register_cam as register_cam
    from camzoo.cams.compute import compute_cams as compute_cams
    from camzoo.cams.map_arrays import MapArrays as MapArrays
    from camzoo.cams.picture import overlay as overlay
    from camzoo.cams.training_views import training_views as training_views
    from camzoo.cams.view.feature_view import FeatureView as FeatureView
    from camzoo.config import BenchConfig as BenchConfig
    from camzoo.config import TrainingConfig as TrainingConfig
    from camzoo.core.errors import CamzooError as CamzooError
    from camzoo.core.errors import ConfigError as ConfigError
    from camzoo.core.errors import DataError as DataError
    from camzoo.core.supervision import Supervision as Supervision
    from camzoo.data.datasets.base import Case as Case
    from camzoo.data.datasets.base import Dataset as Dataset
    from camzoo.data.datasets.base import Facts as Facts
    from camzoo.data.datasets.base import Folds as Folds
    from camzoo.data.datasets.base import Fractions as Fractions
    from camzoo.data.datasets.base import register_dataset as register_dataset
    from camzoo.data.labels import UNKNOWN as UNKNOWN
    from camzoo.data.readers import read_volume as read_volume
    from camzoo.data.slices import TaggedSlices as TaggedSlices
    from camzoo.data.volume import Volume as Volume
    from camzoo.evaluate.scoring import Scores as Scores
    from camzoo.evaluate.scoring import score as score
    from camzoo.harness.call import bench as bench
    from camzoo.harness.executors.base import Executor as Executor
    from camzoo.harness.executors.base import register_executor as register_executor
    from camzoo.harness.run import BenchResult as BenchResult
    from camzoo.harness.tasks import Done as Done
    from camzoo.harness.tasks import Task as Task
    from camzoo.harness.tasks import perform as perform
    from camzoo.learning.objectives import Objective as Objective
    from camzoo.metrics.base import CountMetric as CountMetric
    from camzoo.metrics.base import Direction as Direction
    from camzoo.metrics.base import Metric as Metric
    from camzoo.metrics.base import Needs as Needs
    from camzoo.metrics.base import VoxelCounts as VoxelCounts
    from camzoo.metrics.base import register_metric as register_metric
    from camzoo.metrics.mask_pair import MaskPair as MaskPair
    from camzoo.network.backbone import Classifier as Classifier
    from camzoo.segment.base import Baseline as Baseline
    from camzoo.segment.base import PseudoMaskBaseline as PseudoMaskBaseline
    from camzoo.segment.base import UNetBaseline as UNetBaseline
    from camzoo.segment.base import register_baseline as register_baseline
    from camzoo.segment.learning_context import BaselineContext as BaselineContext
    from camzoo.segment.maps import MapBaseline as MapBaseline
    from camzoo.segment.maps import validated_cut as validated_cut
    from camzoo.segment.training import SegmentationNet as SegmentationNet
    from camzoo.segment.training import train_unet as train_unet
    from camzoo.steps.base import MapStep as MapStep
    from camzoo.steps.base import StepContext as StepContext
    from camzoo.steps.base import StepReport as StepReport
    from camzoo.steps.base import register_step as register_step
else:  # a module with __getattr__ would have every name to a type checker
    __getattr__, __dir__, __all__ = lazily(
        __name__,
        {
            "camzoo.cams.compute": ("compute_cams",),
            "camzoo.network.backbone": ("Classifier",),
            "camzoo.cams.base": ("CamMethod", "FitContext", "register_cam"),
            "camzoo.cams.picture": ("overlay",),
            "camzoo.cams.map_arrays": ("MapArrays",),
            "camzoo.steps.base": ("MapStep", "StepContext", "StepReport", "register_step"),
            "camzoo.cams.training_views": ("training_views",),
            "camzoo.cams.view.feature_view": ("FeatureView",),
            "camzoo.config": ("BenchConfig", "TrainingConfig"),
            "camzoo.data.datasets.base": (
                "Case", "Dataset", "Facts", "Folds", "Fractions", "register_dataset",
            ),
            "camzoo.data.labels": ("UNKNOWN",),
            "camzoo.data.readers": ("read_volume",),
            "camzoo.data.slices": ("TaggedSlices",),
            "camzoo.data.volume": ("Volume",),
            "camzoo.core.errors": ("CamzooError", "ConfigError", "DataError"),
            "camzoo.harness.call": ("bench",),
            "camzoo.harness.executors.base": ("Executor", "register_executor"),
            "camzoo.harness.run": ("BenchResult",),
            "camzoo.harness.tasks": ("Done", "Task", "perform"),
            "camzoo.evaluate.scoring": ("Scores", "score"),
            "camzoo.learning.objectives": ("Objective",),
            "camzoo.metrics.base": (
                "CountMetric", "Direction", "Metric", "Needs", "VoxelCounts", "register_metric",
            ),
            "camzoo.metrics.mask_pair": ("MaskPair",),
            "camzoo.segment.base": (
                "Baseline", "PseudoMaskBaseline", "UNetBaseline", "register_baseline",
            ),
            "camzoo.segment.learning_context": ("BaselineContext",),
            "camzoo.segment.maps": ("MapBaseline", "validated_cut"),
            "camzoo.segment.training": ("SegmentationNet", "train_unet"),
            "camzoo.core.supervision": ("Supervision",),
        },
        modules={
            "metrics": "camzoo.metrics",
            "registries": "camzoo.registries",
            "weighting": "camzoo.cams.weighting",
        },
    )  # fmt: skip
