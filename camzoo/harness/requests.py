"""What a run asks the store for: of each result the key, the title, and the work it takes.

The run and its plan ask alike. A plan asks before results are there: the keys of those that follow
are then not known, and None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from camzoo.cams.pipeline import input_side
from camzoo.config import BenchConfig
from camzoo.core.spec import Spec, all_settings
from camzoo.data.datasets import Dataset
from camzoo.data.slices import Prepared
from camzoo.data.splits import Split
from camzoo.evaluate.choose import Choices
from camzoo.evaluate.rows import line_name
from camzoo.harness import stages
from camzoo.harness.context import Context, Place
from camzoo.harness.identity import content_of, starting_weights
from camzoo.harness.stage import Request, Work
from camzoo.harness.store import Artifact
from camzoo.learning.augmentation import mirrored
from camzoo.learning.recipe import Length, passes
from camzoo.metrics.definitions import stored_metrics
from camzoo.registries import baselines, cams, steps
from camzoo.segment.base import Baseline
from camzoo.steps.base import MapStep
from camzoo.steps.chain import Chain


@dataclass(frozen=True)
class Amounts:
    """How much there is of what times grow with.

    Attributes:
        slices: Number of slices in all.
        train: Slices to train on.
        test: Slices to test on.
        organs: Classes without the background.
        mirrored: Whether maps are summed with those of mirrored views.
    """

    slices: int
    train: int
    test: int
    organs: int
    mirrored: bool

    @classmethod
    def of(cls, config: BenchConfig, prepared: Prepared, split: Split) -> Amounts:
        """Count what a cell has."""
        slices = prepared.tagged()
        train, test = (len(prepared.tagged(cases)) for cases in (split.train, split.test))
        mirror = mirrored(config.maps.flip, sided=slices.sided)
        return cls(len(slices), train, test, len(slices.organs), mirror)


@dataclass(frozen=True)
class Requests:
    """The requests of a cell.

    Attributes:
        context: Context of the run.
        place: Fold and seed.
        split: Cases per subset.
        amounts: What there is to compute.
        train: The classifier; None while the plan does not know it.
    """

    context: Context
    place: Place
    split: Split
    amounts: Amounts
    train: Artifact | None

    def maps(self, methods: Sequence[Spec]) -> dict[str, Request]:
        """Ask for the maps of CAM methods, by method."""
        return {str(method): self._maps(method) for method in methods}

    def _maps(self, method: Spec) -> Request:
        config, key = self.context.config, None
        if self.train:
            kind = cams.get(method.name)
            key = stages.MAPS.key(
                config,
                inputs={"train": self.train.digest},
                given={"method": method.name, "settings": dict(method.settings)},
                plugged=[kind],
            )
        sides = [input_side(config.maps.side, scale) for scale in config.maps.scales]
        views = sum(side**2 for side in sides) * (2 if self.amounts.mirrored else 1)
        work = Work(f"{method} on {_network(config)}", self.amounts.slices * views)
        return Request(stages.MAPS, key, f"maps, {self.place}", work)

    def step(
        self,
        chain: Chain,
        spec: Spec,
        step: MapStep,
        *,
        base: Artifact | None,
        source: Artifact | None,
    ) -> Request:
        """Ask for the maps behind a step.

        Args:
            chain: That it is in.
            spec: The step as it is written.
            step: Constructed.
            base: The maps of the method at the head.
            source: The maps that come in.
        """
        config, key = self.context.config, None
        if self.train and base and source:
            key = stages.STEPS.key(
                config,
                inputs={
                    "train": self.train.digest, "base": base.digest, "source": source.digest,
                },
                given={
                    "step": spec.name, "settings": all_settings(spec, steps) | dict(step.contents),
                },
                plugged=[type(step)],
            )  # fmt: skip
        work = Work(f"{spec.name} on {_network(config)}", self.amounts.slices * config.maps.size**2)
        return Request(stages.STEPS, key, f"{spec.name} of {chain}, {self.place}", work)

    def curves(self, name: str, maps: Artifact | None) -> Request:
        """Ask for the sweep of the thresholds over the maps of a method."""
        config = self.context.config
        key = stages.CURVES.key(config, inputs={"maps": maps.digest}) if maps else None
        counts = self.amounts.slices * self.amounts.organs * len(config.evaluation.thresholds)
        return Request(stages.CURVES, key, f"threshold sweep of {name}", Work("sweep", counts))

    def scores(self, maps: Artifact | None, choices: Choices | None) -> Request:
        """Ask for all metrics of the maps of a method at its chosen thresholds."""
        config, key = self.context.config, None
        if maps and choices is not None:
            chosen = {case: [asdict(choice) for choice in some] for case, some in choices.items()}
            key = stages.SCORES.key(
                config,
                inputs={"maps": maps.digest},
                given={"choices": chosen},
                plugged=_metrics(),
            )
        counts = self.amounts.slices * self.amounts.organs * len(config.evaluation.protocols)
        return Request(stages.SCORES, key, "surface distances", Work("distances", counts))

    def segment(
        self, named: Spec, baseline: Baseline, maps: Mapping[str, Artifact | None]
    ) -> Request:
        """Ask for what a baseline predicts.

        Args:
            named: The baseline as it is written.
            baseline: Constructed.
            maps: Those that it reads, by method.
        """
        config, key = self.context.config, None
        known = {name: a.digest for name in baseline.reads if (a := maps.get(name))}
        if self.train and len(known) == len(set(baseline.reads)):
            key = stages.SEGMENT.key(
                config,
                inputs={
                    "train": self.train.digest, **{f"maps of {n}": d for n, d in known.items()},
                },
                given={
                    "baseline": named.name,
                    "settings": dict(named.settings),
                    "val": self.split.val,
                    "test": self.split.test,
                },
                plugged=[baselines.get(named.name)],
            )  # fmt: skip
        unet = config.segmentation
        kind = f"{line_of(named)} on {_network(config)}, {unet.widths}, {unet.precision}"
        work = Work(kind, _shown(unet, self.amounts.train) * unet.side**2)
        return Request(stages.SEGMENT, key, f"baseline {line_of(named)}, {self.place}", work)

    def labels(self, segmented: Artifact | None) -> Request:
        """Ask for all metrics of what a baseline predicted, and of the labels it learned from."""
        key = None
        if segmented:
            key = stages.LABELS.key(
                self.context.config,
                inputs={"segment": segmented.digest},
                plugged=_metrics(),
            )
        work = Work("labels", self.amounts.test * self.amounts.organs)
        return Request(stages.LABELS, key, f"scores of baselines, {self.place}", work)


def ask_prepare(config: BenchConfig, dataset: Dataset) -> Request:
    """Ask for slices, tags and masks."""
    cases = [case.id for case in dataset.cases()]
    key = stages.PREPARE.key(
        config,
        inputs={},
        given={"files": dataset.fingerprint(), "cases": cases},
        plugged=[type(dataset)],
    )
    work = Work(f"{config.data.name} {config.data.size}", len(cases))
    return Request(stages.PREPARE, key, "slices and tags", work)


def ask_train(
    context: Context, prepared: Prepared | None, split: Split, place: Place, amounts: Amounts
) -> Request:
    """Ask for the classifier of a cell."""
    config, key = context.config, None
    if prepared is not None:
        key = stages.TRAIN.key(
            config,
            inputs={"slices": prepared.index.content},
            given={
                "cases": split.train,
                "weights": content_of(starting_weights(config.backbone)),
                "seed": place.seed,
                "device": context.device.type,
            },
        )
    training = config.training
    work = Work(_network(config), _shown(training, amounts.train) * training.crop**2)
    return Request(stages.TRAIN, key, f"classifier, {place}", work)


def line_of(baseline: Spec) -> str:
    """How tables call a baseline."""
    return line_name(baseline.name, baseline.variant)


def _metrics() -> list[type]:
    """Those that rows have a column for; a new one has scores measured again."""
    return [type(metric) for metric in stored_metrics()]


def _shown(length: Length, slices: int) -> int:
    """How many slices a training shows to its network."""
    return passes(length, slices) * slices if slices else 0


def _network(config: BenchConfig) -> str:
    return f"{config.backbone.name} in {config.training.precision}"
