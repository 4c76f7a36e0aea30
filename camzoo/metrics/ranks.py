"""How far the ranks of methods may be believed: what patients, trainings and folds leave open.

Methods are ranked by the mean over cases of a value that a patient, a training (seed) and a fold
each move. All three are resampled in a nested bootstrap: patients and folds with replacement, seeds
with replacement within their fold. What folds differ by is first shrunken by what their patients
and seeds explain of it, so that nothing counts twice (effects of multilevel data; Carpenter,
Goldstein and Rasbash, 2003). What a run did not repeat, as a single seed, is not in the result.

Ranks follow from pairs of methods: one is ahead of another if the difference of their means, over
its standard error, is larger than the largest of all pairs in 95 % of the replicates, in which each
is divided by the standard error of that replicate (Romano and Wolf, 2005, which steps down through
the pairs). The interval of a rank counts the methods ahead and behind in this sense (Mogstad,
Romano, Shaikh and Wilhelm, 2024): all intervals of a table hold together with that confidence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from camzoo.metrics.statistics import REPLICATES, FloatArray, among_first, draws

IntArray = NDArray[np.intp]
#: The places of a podium.
PODIUM: Final = 3
#: Chance that any interval of a table is wrong.
LEVEL: Final = 0.05
#: Numbers of one array that pairs are compared in.
_AT_ONCE: Final = 2_000_000
#: Decimals of a mean; what lies below comes from rounding and would break ties.
_DIGITS: Final = 12
#: Least standard error of a replicate, as a share of that of the data.
_FLOOR: Final = 0.35
#: Standard errors below this share of the largest come from rounding.
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class Ranks:
    """Ranks of m methods, 1 being the best.

    Attributes:
        rank: Of the means, [m]; equal means share the smaller rank.
        low: Smallest rank that is not ruled out, [m].
        high: Largest one, [m].
        podium: How often each mean is among the first, the first two and the first three of a
            replicate, [m, 3].
        p: Of each pair, two-sided, adjusted for all pairs, [m, m]; 1 on the diagonal.
    """

    rank: IntArray
    low: IntArray
    high: IntArray
    podium: FloatArray
    p: FloatArray


class Units(NamedTuple):
    """Where each of n values comes from, numbered from 0, each of shape [n].

    Attributes:
        patient: Whose case it is.
        case: Which case; the rows of one weigh together as much as those of another.
        fold: Which fold its classifier was trained in.
        seed: Which training of that fold.
    """

    patient: IntArray
    case: IntArray
    fold: IntArray
    seed: IntArray

    @classmethod
    def of(
        cls,
        patients: ArrayLike,
        cases: ArrayLike | None = None,
        folds: ArrayLike | None = None,
        seeds: ArrayLike | None = None,
    ) -> Units:
        """Number names; every value is a case of its own, of one fold and seed, if not said."""
        n = len(np.asarray(patients))
        named = (patients, range(n) if cases is None else cases, folds, seeds)
        return cls(
            *(np.zeros(n, np.intp) if x is None else np.unique(x, return_inverse=True)[1]
              for x in named)
        )  # fmt: skip


class _Source(NamedTuple):
    """A kind of unit that is drawn.

    Attributes:
        effects: What each unit adds to the means, [units, m]; they sum to 0.
        draws: How often each unit is drawn in each replicate, [replicates, units].
        freedom: Degrees of freedom of the effects.
    """

    effects: FloatArray
    draws: FloatArray
    freedom: int

    @property
    def scale(self) -> float:
        """What brings the sum of squared effects to the variance that the kind gives to means."""
        return float(np.sqrt(len(self.effects) / self.freedom))


def rank_methods(
    scores: ArrayLike,
    units: Units,
    *,
    level: float = LEVEL,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Ranks:
    """Rank methods by their means, with what is known about each rank.

    Args:
        scores: Shape [n, m], higher is better.
        units: Where the n values of each method come from.
        level: Chance that any interval is wrong.
        replicates: How many times to draw.
        seed: Seed of the draws.
    """
    table = np.asarray(scores, dtype=np.float64)
    weight = 1 / np.bincount(units.case)[units.case] / (units.case.max() + 1)
    means = weight @ table
    of_patients, trainings = _sources(weight[:, None] * table, weight, units, replicates, seed)
    # Patients are drawn plainly, as in every bootstrap of a challenge; of few folds and seeds that
    # would show too little of their spread.
    resampled = means + of_patients.draws @ of_patients.effects
    for source in trainings:
        resampled += source.scale * source.draws @ source.effects
    means, resampled = means.round(_DIGITS), resampled.round(_DIGITS)
    p = _pairs(means, [of_patients, *trainings], of_patients.draws.shape[1])
    ahead = (means[:, None] > means) & (p <= level)
    return Ranks(
        rank=1 + (means > means[:, None]).sum(axis=1),
        low=1 + ahead.sum(axis=0),
        high=len(means) - ahead.sum(axis=1),
        podium=np.stack([among_first(resampled, k + 1) for k in range(PODIUM)], axis=1),
        p=p,
    )


def _sources(
    parts: FloatArray, weight: FloatArray, units: Units, replicates: int, seed: int
) -> tuple[_Source, list[_Source]]:
    """What patients, and what seeds and folds, add to the means.

    Args:
        parts: Weighted scores, [n, m], whose sum is the mean.
        weight: Shape [n].
        units: Where the values come from.
        replicates: How many times to draw.
        seed: Seed of the draws.
    """
    in_fold = np.bincount(units.fold, weight)
    folds = _sums(units.fold, parts)
    centred = parts - (folds / in_fold[:, None])[units.fold] * weight[:, None]
    patients, n_folds = units.patient.max() + 1, len(folds)
    of_patients = _Source(
        _sums(units.patient, centred),
        draws(patients, replicates, seed),
        max(patients - n_folds, 1),
    )
    trainings = []
    for k in range(n_folds):
        mine = units.fold == k
        _, trained = np.unique(units.seed[mine], return_inverse=True)
        seeds = trained.max() + 1
        if seeds > 1:
            drawn = draws(seeds, replicates, seed + 1 + k)
            trainings.append(_Source(_sums(trained, centred[mine]), drawn, seeds - 1))
    if n_folds > 1:
        effects = folds - in_fold[:, None] * parts.sum(axis=0)
        drawn = draws(n_folds, replicates, seed + 1 + n_folds)
        between = _Source(effects, drawn, n_folds - 1)
        share = _unexplained(between, [of_patients, *trainings])
        trainings.append(between._replace(effects=np.sqrt(share) * effects))
    return of_patients, trainings


def _unexplained(folds: _Source, others: list[_Source]) -> float:
    """Share of the variance between folds that their patients and seeds do not explain.

    It is taken over all methods together, without what moves all of them alike.
    """
    between = _apart(folds)
    explained = sum(map(_apart, others))
    return max(0.0, 1 - explained / between) if between > 0 else 0.0


def _apart(source: _Source) -> float:
    effects = source.scale * source.effects
    return float(np.square(effects - effects.mean(axis=1, keepdims=True)).sum())


def _sums(group: IntArray, values: FloatArray) -> FloatArray:
    sums = np.zeros((group.max() + 1, values.shape[1]))
    np.add.at(sums, group, values)
    return sums


def _pairs(means: FloatArray, sources: list[_Source], patients: int) -> FloatArray:
    """Adjusted p-values of all pairs, [m, m], stepping down from the clearest pair.

    Pairs are worked on from the least clear one on, with the largest ratio so far per replicate.
    """
    p = np.ones((len(means), len(means)))
    one, other = np.triu_indices(len(means), k=1)
    if not len(one):
        return p
    errors = np.sqrt(sum(_squared(source, one, other) for source in sources))
    gaps = np.abs(means[one] - means[other])
    # What is the same everywhere is infinitely clear, and says nothing of others' spread.
    same = errors <= _ROUNDING * errors.max()
    sure = np.where(gaps > _ROUNDING * gaps.max(), np.inf, 0.0)
    ratios = np.divide(gaps, errors, out=sure, where=~same)
    errors[same] = np.inf
    order = np.argsort(ratios, kind="stable")
    largest = np.zeros(len(sources[0].draws))
    reached = np.empty(len(order))
    size = max(1, _AT_ONCE // max(len(largest), *(len(source.effects) for source in sources)))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        found = _replicated(sources, one[part], other[part], errors[part])
        np.maximum(found[:, 0], largest, out=found[:, 0])
        np.maximum.accumulate(found, axis=1, out=found)
        largest = found[:, -1].copy()
        reached[start : start + size] = np.count_nonzero(found >= ratios[part], axis=0)
    adjusted = (1 + reached) / (1 + len(largest))
    adjusted = np.maximum.accumulate(adjusted[::-1])[::-1]
    # Of so few patients even a test of signs could not find less.
    adjusted = np.minimum(np.maximum(adjusted, 2.0 ** (1 - patients)), 1.0)
    p[one[order], other[order]] = p[other[order], one[order]] = adjusted
    return p


def _replicated(
    sources: list[_Source], one: IntArray, other: IntArray, errors: FloatArray
) -> FloatArray:
    """Difference of each pair in each replicate over its standard error there, [replicates, k].

    The standard error of a replicate is no smaller than a share of that of the data: of two methods
    that differ in few patients some replicates have none of these, and their ratios would hide
    every other pair.
    """
    replicates = len(sources[0].draws)
    gap, variance = np.zeros((2, replicates, len(one)))
    for source in sources:
        effects = source.scale * (source.effects[:, one] - source.effects[:, other])
        moved = source.draws @ effects
        gap += moved
        np.square(effects, out=effects)
        variance += source.draws @ effects - moved**2 / len(effects)
    found: FloatArray = np.abs(gap) / np.sqrt(np.maximum(variance, (_FLOOR * errors) ** 2))
    return found


def _squared(source: _Source, one: IntArray, other: IntArray) -> FloatArray:
    """Variance that a source gives to the difference of each pair."""
    products = source.scale**2 * source.effects.T @ source.effects
    alone = np.diag(products)
    squared: FloatArray = np.maximum(alone[one] + alone[other] - 2 * products[one, other], 0.0)
    return squared
