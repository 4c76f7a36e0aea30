"""All registries. Importing them costs nothing: what they hold is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from camzoo.core.registry import Place, Registry, built_in, describe_class

if TYPE_CHECKING:
    from camzoo.cams.base import CamMethod
    from camzoo.data.datasets.base import Dataset
    from camzoo.metrics.base import Metric
    from camzoo.segment.base import Baseline
    from camzoo.steps.base import MapStep

_CAM_FACTS: Final = (
    "supervision", "class_specific", "needs_fit", "control", "min_classes", "cost", "paper",
)  # fmt: skip
_BASELINE_FACTS: Final = ("title", "supervision", "cost", "paper")


def _classes_of_grad_cam() -> Iterator[tuple[str, Place]]:
    """The classes of pytorch-grad-cam, which :mod:`camzoo.cams.methods.wrapped` wraps."""
    from camzoo.cams.methods.grad_cam_classes import class_names, facts_of, summary_of
    from camzoo.core.outline import outline_class

    home = "camzoo.cams.methods.wrapped"
    for name in class_names():
        description = describe_class(
            outline_class(f"{home}:LibraryCam"), _CAM_FACTS, facts_of(name), summary_of(name)
        )
        yield f"gradcam:{name}", Place(f"{home}:{name}", "camzoo", description)


cams: Registry[type[CamMethod]] = Registry(
    "CAM method",
    group="camzoo.cams",
    base="camzoo.cams.base:CamMethod",
    facts=_CAM_FACTS,
    typed=_CAM_FACTS,
    sources=[built_in("camzoo.cams.methods", "register_cam"), _classes_of_grad_cam],
)
steps: Registry[type[MapStep]] = Registry(
    "step",
    group="camzoo.steps",
    base="camzoo.steps.base:MapStep",
    facts=("remakes", "cost", "paper"),
    sources=[built_in("camzoo.steps", "register_step")],
)
baselines: Registry[type[Baseline]] = Registry(
    "baseline",
    group="camzoo.baselines",
    base="camzoo.segment.base:Baseline",
    facts=_BASELINE_FACTS,
    typed=_BASELINE_FACTS,
    sources=[built_in("camzoo.segment", "register_baseline")],
)
datasets: Registry[type[Dataset]] = Registry(
    "data set",
    group="camzoo.datasets",
    base="camzoo.data.datasets.base:Dataset",
    facts=("facts.title", "facts.licence", "facts.where", "facts.citation"),
    sources=[built_in("camzoo.data.datasets", "register_dataset")],
)
metrics: Registry[type[Metric]] = Registry(
    "metric",
    group="camzoo.metrics",
    base="camzoo.metrics.base:Metric",
    facts=("label", "unit", "direction", "definition", "needs", "paper"),
    sources=[built_in("camzoo.metrics", "register_metric")],
)
#: By the word that the command line has for each.
REGISTRIES: Final[dict[str, Registry[Any]]] = {
    "cams": cams, "steps": steps, "baselines": baselines, "datasets": datasets,
    "metrics": metrics,
}  # fmt: skip
