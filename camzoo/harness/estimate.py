"""How long a result takes: from times in the store, else from one step on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from camzoo.cams.pipeline import input_side
from camzoo.cams.view.feature_view import FeatureView
from camzoo.cams.view.viewer import Viewer
from camzoo.core.spec import Spec, build
from camzoo.data.datasets import Dataset
from camzoo.data.loading import LoadedCase, load_case
from camzoo.data.plane import choose_plane
from camzoo.data.slices import Prepared
from camzoo.harness.context import Context
from camzoo.harness.cost import CostMeter
from camzoo.harness.stage import Work
from camzoo.harness.store import Made, read_made
from camzoo.metrics.case import CaseReference
from camzoo.metrics.sweep import threshold_sweep
from camzoo.network.backbone import Classifier, build_classifier
from camzoo.network.precision import autocast
from camzoo.registries import cams
from camzoo.segment.losses import cross_entropy_and_dice
from camzoo.segment.unet import build_unet

STORED: Final = "stored"
MEASURED: Final = "measured"
_SENTENCES: Final = {
    STORED: "stored: times of results of the same kind in this store, by the amount of work",
    MEASURED: (
        "measured: one case was read, and one step of each network and method was run just now; "
        "what baselines and steps train besides is not in it"
    ),
}
#: Pixels in a step that is measured, at most, unless two slices have more.
_PIXELS: Final = 2**18
#: By which part of a slice a mask misses whose scoring is timed.
_ASIDE: Final = 16
#: Seconds after which no further method is tried out.
_PATIENCE: Final = 30.0


@dataclass(frozen=True)
class Estimate:
    """What making a result takes.

    Attributes:
        seconds: None where nothing tells.
        memory_mib: Likewise; high-water mark of the process.
        basis: "stored", "measured" or "" where nothing tells.
        cuda_mib: High-water mark on the CUDA device; None where there is none, or nothing tells.
    """

    seconds: float | None
    memory_mib: float | None
    basis: str
    cuda_mib: float | None = None


@dataclass(frozen=True)
class _Marks:
    """High-water marks of memory in MiB, of the process and of the CUDA device."""

    memory: float | None = None
    cuda: float | None = None


@dataclass(frozen=True)
class _Rate:
    seconds_per_unit: float
    marks: _Marks = _Marks()


class Estimator:
    """Estimates for one run.

    Args:
        context: Context of the run.
        dataset: Its cases.
        prepared: Its slices, where they are in the store.
        measure: Whether a step is run where the store has no times.
    """

    def __init__(
        self,
        context: Context,
        dataset: Dataset,
        prepared: Prepared | None,
        *,
        measure: bool = True,
    ) -> None:
        self._context, self._dataset, self._prepared = context, dataset, prepared
        self._may_measure = measure
        self._rates: dict[tuple[str, str], _Rate | None] = {}
        self._used: dict[str, None] = {}
        self._began = time.monotonic()

    @property
    def basis(self) -> tuple[str, ...]:
        """Where the estimates came from, a sentence each."""
        return tuple(_SENTENCES[name] for name in self._used)

    @cached_property
    def slices(self) -> int:
        """Slices of the data set; where they are not read yet, as if all cases had the first's."""
        if self._prepared is not None:
            return len(self._prepared.tagged())
        return len(self._dataset.cases()) * self._slices_of_first

    @cached_property
    def _slices_of_first(self) -> int:
        """Slices of the first case in the plane in which the run cuts it."""
        image = self._case[0].image
        return image.shape[choose_plane(image.spacing, self._context.config.data.slices).axis]

    def estimate(self, stage: str, work: Work, name: str | Spec) -> Estimate:
        """Estimate what ``work`` takes in a stage; for maps, ``name`` is the CAM method."""
        stored = self._stored(stage, work.kind)
        if stored:
            rate = statistics.median(
                made.seconds / made.work.amount for made in stored if made.work
            )
            marks = _Marks(
                max((made.memory_mib for made in stored if made.memory_mib), default=None),
                max((made.cuda_mib for made in stored if made.cuda_mib), default=None),
            )
            return self._told(_Rate(rate, marks), work, STORED)
        if (stage, work.kind) not in self._rates:
            self._rates[stage, work.kind] = self._measure(stage, work, name)
        measured = self._rates[stage, work.kind]
        if measured is None:
            return Estimate(None, None, "")
        return self._told(measured, work, MEASURED)

    def _told(self, rate: _Rate, work: Work, basis: str) -> Estimate:
        self._used[basis] = None
        marks = rate.marks
        return Estimate(rate.seconds_per_unit * work.amount, marks.memory, basis, marks.cuda)

    def _stored(self, stage: str, kind: str) -> list[Made]:
        device, threads = self._context.device.type, torch.get_num_threads()
        return [
            made
            for made in self._all_stored.get(stage, [])
            if made.work
            and (made.work.kind, made.device, made.threads) == (kind, device, threads)
            and made.work.amount > 0
        ]

    @cached_property
    def _all_stored(self) -> dict[str, list[Made]]:
        """What results of this store took, by stage; those that went on from half do not tell."""
        found: dict[str, list[Made]] = {}
        for folder in self._context.store.root.glob("*/[!.]*"):
            made = read_made(folder)
            if made is not None and not made.resumed:
                found.setdefault(folder.parent.name, []).append(made)
        return found

    def _measure(self, stage: str, work: Work, name: str | Spec) -> _Rate | None:
        measure: dict[str, Callable[[], _Rate | None]] = {
            "prepare": lambda: _Rate(self._case[1]),
            "train": self._train,
            "maps": lambda: self._maps(name) if isinstance(name, Spec) else None,
            "curves": self._curves,
            "scores": self._scores,
            "segment": self._unet,
            "segment-scores": self._scores,
        }
        if not self._may_measure or stage not in measure or work.amount <= 0:
            return None
        return measure[stage]()

    @cached_property
    def _case(self) -> tuple[LoadedCase, float]:
        """The first case, and the seconds that reading it took."""
        began = time.perf_counter()
        loaded = load_case(self._dataset, self._dataset.cases()[0])
        return loaded, time.perf_counter() - began

    @cached_property
    def _classifier(self) -> Classifier:
        bare = self._context.config.backbone.model_copy(update={"weights": "none"})
        classifier = build_classifier(bare, len(self._dataset.organs), seed=0)
        return classifier.to(self._context.device)

    def _train(self) -> _Rate:
        training, device = self._context.config.training, self._context.device
        batch = _batch(training.batch, training.crop)
        grey = torch.rand(batch, training.crop, training.crop, device=device)
        classifier = self._classifier.train()

        def step() -> None:
            with autocast(device, training.precision):
                logits = classifier(classifier.normalise(grey))
            logits.float().square().mean().backward()
            classifier.zero_grad(set_to_none=True)

        seconds, marks = self._timed(step, training.batch / batch)
        return _Rate(seconds / (batch * training.crop**2), marks)

    def _maps(self, spec: Spec) -> _Rate | None:
        """A view of one slice at the largest scale; a method that must learn does not tell."""
        config, device = self._context.config, self._context.device
        method = cams.get(spec.name)
        waited = time.monotonic() - self._began
        if method.needs_fit or len(self._dataset.organs) < method.min_classes or waited > _PATIENCE:
            return None
        side = input_side(config.maps.side, max(config.maps.scales))
        batch = _batch(config.maps.batch, side)
        classifier = self._classifier.eval()
        viewer = Viewer(classifier.model, config.backbone.layer)
        grey = torch.rand(batch, side, side, device=device)
        built = build(spec, cams)

        def look() -> FeatureView:
            with autocast(device, config.training.precision):
                return viewer(classifier.normalise(grey), rows=slice(0, batch))

        def step() -> None:
            with autocast(device, config.training.precision):
                built(look())

        try:
            shared, _ = self._timed(look, 1)
            seconds, marks = self._timed(step, config.maps.batch / batch)
        except Exception:  # a plug-in may raise anything; the run itself will say what
            return None
        # All methods of a run share the pass of the network.
        alone = max(0.0, seconds - shared) + shared / len(config.methods)
        return _Rate(alone / (batch * side**2), marks)

    def _unet(self) -> _Rate:
        unet, device = self._context.config.segmentation, self._context.device
        classes = len(self._dataset.organs) + 1
        network = build_unet(classes, unet.widths, seed=0).to(device).train()
        batch = _batch(unet.batch, unet.side)
        images = torch.rand(batch, 1, unet.side, unet.side, device=device)
        labels = torch.zeros(batch, unet.side, unet.side, dtype=torch.long, device=device)
        tags = torch.zeros(batch, classes - 1, device=device)

        def step() -> None:
            with autocast(device, unet.precision):
                logits = network(images)
            cross_entropy_and_dice(logits.float(), labels, tags).backward()
            network.zero_grad(set_to_none=True)

        seconds, marks = self._timed(step, unet.batch / batch)
        return _Rate(seconds / (batch * unet.side**2), marks)

    def _curves(self) -> _Rate:
        label: NDArray[Any] = self._case[0].label.array.astype(np.uint8)
        organs = len(self._dataset.organs)
        thresholds = self._context.config.evaluation.thresholds
        maps: NDArray[Any] = np.random.default_rng(0).random((organs, *label.shape), np.float32)
        seconds, _ = self._timed(lambda: threshold_sweep(maps, label, thresholds), 1)
        return _Rate(seconds / (self._slices_of_first * organs * len(thresholds)))

    def _scores(self) -> _Rate:
        """References compared with themselves moved aside: smooth masks that miss, as maps give."""
        case = self._case[0]
        label, organs = case.label.array, len(self._dataset.organs)
        aside = tuple(side // _ASIDE for side in label.shape[1:])

        def step() -> None:
            for c in range(1, organs + 1):
                reference = CaseReference(label == c, case.image.spacing, slicewise=True)
                reference.measure(np.roll(label == c, aside, axis=(1, 2)))

        seconds, _ = self._timed(step, 1)
        return _Rate(seconds / (self._slices_of_first * organs))

    def _timed(self, step: Callable[[], object], batches: float) -> tuple[float, _Marks]:
        """Seconds of a step after one to warm up, and memory if it were so many times larger."""
        device = self._context.device
        with CostMeter(device) as still:
            pass
        meters = []
        for _ in range(3):
            with CostMeter(device) as meter:
                step()
                if device.type == "cuda":
                    torch.cuda.synchronize(device)
            meters.append(meter)
        marks = _Marks(
            _grown(still.memory_mib, meters[-1].memory_mib, batches),
            _grown(still.cuda_mib, meters[-1].cuda_mib, batches),
        )
        return min(meter.seconds for meter in meters[1:]), marks


def _grown(before: float | None, peak: float | None, batches: float) -> float | None:
    """A mark, were what a step adds to it so many times larger."""
    if before is None or peak is None:
        return None
    return before + max(0.0, peak - before) * batches


def _batch(wished: int, side: int) -> int:
    """Slices in a step that is measured: as many as the run takes, but of few pixels in all."""
    return min(wished, max(2, _PIXELS // side**2))
