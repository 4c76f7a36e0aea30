"""The conformance kit for baselines: what each has to hold to, tried out by the harness itself.

``camzoo check module:Class`` runs it. A handful of tiny phantoms go through the whole run, and the
baseline learns and predicts several times: again with an interruption, and for several organs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import nibabel
import numpy as np
from numpy.typing import NDArray

from camzoo.config import BenchConfig
from camzoo.conformance.kit import BrokenError, Result, run_checks
from camzoo.core.progress import Quiet, Reporter, Tick
from camzoo.core.supervision import Supervision
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.registries import baselines
from camzoo.segment.base import Baseline

#: Label volumes of the test cases, by case.
Predictions = dict[str, NDArray[Any]]
#: Fewest patients by variant of the phantom; with four prostates, maps of so short a training show
#: too few borders for baselines that learn from them.
_PATIENTS: Final = {"prostate": 5, "abdomen": 4}
_TINY: Final = {
    "data.options": {"size": 64}, "data.size": 64, "device": "cpu",
    "training.epochs": 1, "training.crop": 64, "training.resize": [64, 80],
    "training.lr": 0.05, "training.clip": None,
    "maps.side": 64, "maps.scales": [1.0], "maps.size": 32,
    "segmentation.side": 32, "segmentation.widths": [8, 8, 8, 16, 16], "segmentation.epochs": 1,
}  # fmt: skip


def check_baseline(kind: type[Baseline], folder: Path | None = None) -> list[Result]:
    """Run all checks on a baseline, of which those that train take seconds to a minute each.

    Args:
        kind: Need not be registered; while it is checked it is, under its place in the code.
        folder: Where the phantoms, their classifier and maps are kept for the next call; None
            keeps nothing.
    """
    with baselines.temporary(), TemporaryDirectory(prefix="camzoo-check-") as own:
        if kind.name not in baselines or baselines.get(kind.name) is not kind:
            place = f"{kind.__module__}.{kind.__qualname__}".replace("<locals>.", "")
            baselines.register(place)(kind)
        return run_checks(_CHECKS, _Subject(kind, folder or Path(own)))


@dataclass(frozen=True)
class _Subject:
    kind: type[Baseline]
    folder: Path

    @cached_property
    def ticks(self) -> _Counting:
        """Counts what the first run says of the baseline."""
        return _Counting(self.place)

    @cached_property
    def first(self) -> Predictions:
        """What it predicts of one organ."""
        return self.run("prostate", self.ticks)

    @cached_property
    def resumed(self) -> Predictions:
        """What it predicts when it learns once more, is interrupted half way and goes on."""
        self.first  # noqa: B018 - counts, and leaves classifier and maps in the store
        self.forget()
        with suppress(_InterruptedError):
            self.go_on("prostate", _Counting(self.place, self.ticks.count // 2))
        return self.go_on("prostate")

    @cached_property
    def second(self) -> Predictions:
        """What it predicts when it learns once more, undisturbed."""
        return self.run("prostate")

    @property
    def place(self) -> Path:
        """Where baselines are in the store."""
        return self.folder / "store" / "segment"

    def run(self, variant: str, reporter: Reporter | None = None) -> Predictions:
        """Learn and predict anew; classifier and maps come from the store."""
        self.forget()
        return self.go_on(variant, reporter)

    def go_on(self, variant: str, reporter: Reporter | None = None) -> Predictions:
        """Learn and predict, from where an earlier run was interrupted."""
        config = _config(variant).changed({"baselines": [self.kind.name]})
        result = bench(config, self.folder, reporter)
        for why in result.failures.values():
            raise BrokenError(why)
        (cost,) = json.loads((result.folder / "costs.json").read_text(encoding="utf-8"))
        files = sorted((self.folder / cost["predictions"]).glob("*.nii.gz"))
        return {file.name: np.asarray(nibabel.load(file).dataobj) for file in files}  # type: ignore[attr-defined]

    def forget(self) -> None:
        """Drop what baselines left in the store."""
        shutil.rmtree(self.place, ignore_errors=True)


def _config(variant: str) -> BenchConfig:
    phantom = {"data.options.variant": variant, "data.options.patients": _PATIENTS[variant]}
    return preset("smoke", "phantom").changed(_TINY | phantom)


class _Counting(Quiet):
    """Counts the ticks of a baseline that is at work in the store; ends the run after so many.

    Others tick too: the classifier and the maps, and the scores at the end.
    """

    def __init__(self, place: Path, most: float = float("inf")) -> None:
        self.count, self._place, self._most = 0, place, most

    @contextmanager
    def stage(self, title: str) -> Iterator[Tick]:
        def tick(_done: int, _total: int) -> None:
            self.count += any(path.is_dir() for path in self._place.glob(".work-*"))
            if self.count > self._most:
                raise _InterruptedError(title)

        yield tick


class _InterruptedError(BaseException):
    """What a kill is to the code that it hits: no ``except Exception`` sees it."""


def _declared(subject: _Subject) -> None:
    kind = subject.kind
    for attribute in ("title", "paper", "cost"):
        if not getattr(kind, attribute):
            raise BrokenError(f"{attribute} is empty: lists and tables show it")
    if not isinstance(kind.supervision, Supervision):
        raise BrokenError(f"supervision must be one of Supervision, got {kind.supervision!r}")


def _without_arguments(subject: _Subject) -> None:
    subject.kind()


def _one_organ(subject: _Subject) -> None:
    _expect_labels(subject.first, 1)


def _several_organs(subject: _Subject) -> None:
    _expect_labels(subject.run("abdomen"), 4)


def _expect_labels(predictions: Predictions, organs: int) -> None:
    if not predictions:
        raise BrokenError("expected predictions of the test cases, got none")
    for case, labels in predictions.items():
        if labels.max() > organs:
            raise BrokenError(f"{case}: expected labels 0 to {organs}, got {labels.max()}")


def _same_twice(subject: _Subject) -> None:
    """One that was interrupted has learnt all of it anew, and where it ends alike, all repeats."""
    with suppress(BrokenError):
        _expect_equal(subject.resumed, subject.first, "")
        return
    _expect_equal(
        subject.second, subject.first,
        "two runs differ; draw only from context.generator or seed with context.seed",
    )  # fmt: skip


def _after_interruption(subject: _Subject) -> None:
    _expect_equal(
        subject.resumed, subject.first,
        "a run that went on after an interruption ends elsewhere than one that did not; files in "
        "context.folder must hold all that a second call needs, or nothing",
    )  # fmt: skip


def _expect_equal(got: Predictions, expected: Predictions, complaint: str) -> None:
    for case, labels in expected.items():
        wrong = (got[case] != labels).mean()
        if wrong:
            raise BrokenError(f"{case}: {complaint} ({wrong:.2%} of the voxels)")


_CHECKS: Final[dict[str, Callable[[_Subject], None]]] = {
    "title, paper, cost and supervision": _declared,
    "constructed without arguments": _without_arguments,
    "one organ": _one_organ,
    "the same twice": _same_twice,
    "the same after an interruption": _after_interruption,
    "four organs, two of them with a side": _several_organs,
}
