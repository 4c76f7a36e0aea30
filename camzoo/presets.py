"""Named settings: smoke (minutes, no files), quick (a laptop), paper (its protocol on a GPU)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from camzoo.config import (
    BackboneConfig,
    BenchConfig,
    DataConfig,
    MapsConfig,
    SegmentationConfig,
    TrainingConfig,
)
from camzoo.core.suggest import unknown


def _smoke(dataset: str) -> BenchConfig:
    """Run end to end from nothing: a small network, trained from scratch on a few phantoms.

    With one method it takes less than three minutes of one core, also of a processor without
    bfloat16. It is too small to gain much from a second thread, which would cost much on a busy
    machine.

    Rate and epochs were compared on phantoms of the data seeds 1 and 2, of which the default has no
    patient: pooled DSC of their training slices, validated, one training seed. Rates 0.01, 0.02 and
    0.05 gave 48.4, 50.1 and 49.7, epochs 4, 6 and 8 48.8, 50.1 and 49.9: less apart than the two
    phantoms (52.0 and 48.2). Any of them would do, and a better number on the phantom means little.
    """
    return BenchConfig(
        preset="smoke",
        data=DataConfig(
            name=dataset,
            options={"patients": 24} if dataset == "phantom" else {},
            size=128,
        ),
        backbone=BackboneConfig(name="resnet10t", weights="none", frozen=0),
        training=TrainingConfig(
            epochs=6, batch=16, crop=96, resize=(96, 160), rotate=10, jitter=0.2, lr=0.02,
            head_factor=1.0, momentum=0.9, clip=5.0,
        ),
        maps=MapsConfig(side=128, scales=(1.0, 1.5), size=64),
        threads=1,
        segmentation=SegmentationConfig(
            side=64, widths=(8, 16, 32, 32, 32), epochs=4, lr=5e-3, power=0.9
        ),
    )  # fmt: skip


def _quick(dataset: str) -> BenchConfig:
    """Give a real signal on two cores in minutes.

    Chosen on validation patients of ACDC and CHAOS; docs/short-trainings.md says what made the
    difference. The fewest steps are one rule for all data sets and for all that is trained: with
    140 steps, which is what 5 epochs come to on 23 prostates, CAM lost to a fixed Gaussian.
    """
    return BenchConfig(
        preset="quick",
        data=DataConfig(name=dataset),
        backbone=BackboneConfig(name="mobilenetv2_100", stages=(4, 5), frozen=4),
        training=TrainingConfig(
            epochs=10, steps=600, batch=16, crop=256, resize=(205, 384), rotate=5, jitter=0.15,
            lr=0.01, momentum=0.9, warmup=0.05, clip=5.0, rare=0.3,
        ),
        maps=MapsConfig(side=256, scales=(0.5, 1.0, 1.5, 2.0)),
        segmentation=SegmentationConfig(
            side=128, widths=(8, 16, 32, 64, 64), epochs=20, steps=1000, batch=8, lr=2e-3, power=0.9
        ),
    )  # fmt: skip


#: For one organ in the middle. The features are those before the last stage, which see less around
#: the organ: the last ones answer to whatever else shares its level. docs/short-trainings.md has
#: numbers.
_ONE_ORGAN: Final[dict[str, Any]] = {
    "backbone.stages": (4,),
    "training.epochs": 5,
    "training.resize": (256, 512),
    "training.lr": 0.005,
    "training.rare": 0.5,
    "training.rotate": 10,
    "training.jitter": 0.3,
    "maps.scales": (1.0, 1.5, 2.0),
    "segmentation.epochs": 8,
}
#: Where a data set, or a variant of it, needs other settings of a preset. On prostates a head that
#: learns ten times as fast as the trunk spoils pretrained features in its first steps, and maps
#: light bones or the gland by chance; docs/findings.md has numbers. The phantom is there to try
#: things: one scale will do.
_OWN: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "quick": {
        "acdc": _ONE_ORGAN,
        "promri": _ONE_ORGAN | {"training.head_factor": 1.0},
        "phantom": _ONE_ORGAN | {"maps.scales": (1.0,)},
        "phantom-abdomen": {"maps.scales": (1.0,)},
    }
}


def _paper(dataset: str) -> BenchConfig:
    """Follow C-CAM's protocol: IRNet's recipe, as the code of its authors has it."""
    folds = tuple(range(5)) if dataset == "chaos" else (0,)
    return BenchConfig(
        preset="paper", data=DataConfig(name=dataset, size=512, folds=folds), seeds=(0, 1, 2)
    )


PRESETS: Final[dict[str, Callable[[str], BenchConfig]]] = {
    "smoke": _smoke,
    "quick": _quick,
    "paper": _paper,
}


def preset(name: str, dataset: str, variant: str = "") -> BenchConfig:
    """Return the settings called ``name`` for a data set.

    Args:
        name: Name of the preset.
        dataset: Registry name of the data set.
        variant: Variant of the data set, where it has several; it is not set here.

    Raises:
        UnknownNameError: No such preset.
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    own = _OWN.get(name, {})
    return PRESETS[name](dataset).changed(own.get(f"{dataset}-{variant}", own.get(dataset, {})))
