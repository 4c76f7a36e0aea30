"""From a bundle to rows, by the code that scores everything else here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from camzoo import __version__
from camzoo.config import EvaluationConfig
from camzoo.core.errors import DataError
from camzoo.core.names import require_name
from camzoo.core.progress import Reporter
from camzoo.core.text import plain
from camzoo.data.loading import load_case
from camzoo.data.plane import choose_plane
from camzoo.data.prepare import unit_grey
from camzoo.evaluate.cases import Case
from camzoo.evaluate.choose import choose
from camzoo.evaluate.measure import measure_labels, measure_maps, sweep_maps
from camzoo.evaluate.prepared_cases import PreparedCases
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import NO_THRESHOLD, PSEUDO_MASK, SEGMENTATION, make_rows
from camzoo.harness.manifest import SHORT
from camzoo.metrics.case import Record
from camzoo.metrics.threshold_rules.frozen import FROZEN
from camzoo.submissions.bundle import Bundle, OpenBundle
from camzoo.submissions.names import SUBMITTED, require_foreign
from camzoo.submissions.published import Published
from camzoo.submissions.records import Scored, Submission

#: Protocols of maps: those of every run.
_PROTOCOLS: Final = EvaluationConfig().protocols


def score_bundle(opened: OpenBundle, published: Published, reporter: Reporter) -> Submission:
    """Score all folds of a bundle.

    Raises:
        DataError: The bundle is not about this run, or its voxels are no labels of its organs.
        ConfigError: It says what cannot be.
    """
    bundle = opened.bundle
    _require_same(opened, published)
    records: list[Record] = []
    for fold in bundle["folds"]:
        common = _columns(bundle, published, fold)
        measure = _measured_maps if bundle["kind"] == "maps" else _measured_masks
        records += (common | record for record in measure(opened, published, fold, reporter))
    rows = make_rows(records)
    require_sound(rows, f"the rows of {opened.path}")
    scored: Scored = {
        "schema": 1, "bundle": bundle, "digest": opened.digest, "camzoo": __version__,
    }  # fmt: skip
    name = f"{published.dataset.own_name}-{bundle['method']}-{opened.digest[:SHORT]}"
    return Submission(require_name(name, "the name of a submission"), rows, scored)


def _require_same(opened: OpenBundle, published: Published) -> None:
    """What the bundle says of the run has to be what the run says of itself."""
    bundle, manifest = opened.bundle, published.manifest
    require_foreign(bundle["method"])
    said = {
        "run": (bundle["run"], manifest["run"]),
        "data": (bundle["data"], manifest["dataset"].get("data")),
        "organs": (bundle["organs"], manifest["dataset"]["organs"]),
    } | {
        f"cases of fold {fold}": (sorted(cases), sorted(published.asked(bundle["kind"], fold)))
        for fold, cases in bundle["folds"].items()
    }
    for what, (found, expected) in said.items():
        if found != expected:
            raise DataError(
                f"{opened.path}: its {what} are {plain(found, 120)}, those of the run "
                f"{manifest['run']} {plain(expected, 120)}; pack the predictions for this run"
            )


def _columns(bundle: Bundle, published: Published, fold: str) -> dict[str, Any]:
    """Columns that are the same in all rows of a fold."""
    manifest = published.manifest
    return {
        "run": bundle["run"],
        "dataset": published.dataset.own_name,
        "data": bundle["data"][:SHORT],
        "split": manifest["config"]["data"]["split"],
        "fold": int(fold),
        "seed": 0,
        "backbone": "not known",
        "method": bundle["method"],
        "variant": SUBMITTED,
        "supervision": bundle["supervision"],
        "subset": "test",
    }


def _measured_masks(
    opened: OpenBundle, published: Published, fold: str, reporter: Reporter
) -> Iterator[Record]:
    cases = _Cases(opened, published, fold, opened.bundle["folds"][fold])
    with reporter.stage(f"distances, fold {fold}") as tick:
        (found,) = measure_labels(cases, tick).values()
    how = {"stage": SEGMENTATION, "protocol": NO_THRESHOLD}
    yield from (how | record for record in found)


def _measured_maps(
    opened: OpenBundle, published: Published, fold: str, reporter: Reporter
) -> Iterator[Record]:
    split, evaluation = published.manifest["splits"][fold], published.config.evaluation
    subsets = {case: name for name in ("val", "test") for case in split[name]}
    cases = _Cases(opened, published, fold, list(subsets))
    with reporter.stage(f"threshold sweep, fold {fold}") as tick:
        (curves,) = sweep_maps(cases, evaluation.thresholds, tick, FROZEN).values()
    curves = curves.assign(subset=curves["case"].map(subsets))
    choices = choose(curves, _PROTOCOLS, evaluation.fixed, scored=["test"])
    with reporter.stage(f"distances, fold {fold}") as tick:
        (found,) = measure_maps(cases, {"": choices}, tick).values()
    yield from ({"stage": PSEUDO_MASK} | record for record in found)


@dataclass(frozen=True)
class _Cases:
    """Cases of a fold with what a bundle predicts of them."""

    opened: OpenBundle
    published: Published
    fold: str
    names: Sequence[str]
    methods: Collection[str] = ("",)
    with_thirds: Collection[str] = PreparedCases.with_thirds

    @property
    def organs(self) -> tuple[str, ...]:
        """Names of the classes 1..C."""
        return self.published.dataset.organs

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Case]:
        config = self.published.config.data
        for name in self.names:
            loaded = load_case(self.published.dataset, self.published.cases[name])
            image = loaded.image
            yield Case(
                name,
                image.patient,
                np.ascontiguousarray(loaded.label.array, np.uint8),
                image.spacing,
                image.affine,
                choose_plane(image.spacing, config.slices),
                {"": partial(self._predicted, name, image.shape)},
                partial(unit_grey, image.array, config.percentiles),
            )

    def _predicted(self, case: str, shape: tuple[int, ...]) -> NDArray[Any]:
        count = len(self.organs)
        if self.opened.bundle["kind"] == "maps":
            voxels = self.opened.voxels(self.fold, case, (count, *shape))
            return voxels.astype(np.float32) / 255
        labels = self.opened.voxels(self.fold, case, shape)
        if labels.max(initial=0) > count:
            raise DataError(
                f"{self.opened.path}: case {case}, fold {self.fold}, holds the label "
                f"{labels.max()}, the organs are 1 to {count}; get the bundle from its author again"
            )
        return labels
