"""Statistics of values that come in clusters: several cases, slices or eyes of one patient.

Values of one patient resemble each other. Intervals that resample cases one by one are therefore
too narrow; here patients are what is resampled, and what is paired in tests.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from camzoo.core.errors import ConfigError

FloatArray = NDArray[np.float64]
REPLICATES: Final = 2000
#: Pairs up to which the distribution of the signed-rank sum is computed exactly.
_EXACT: Final = 100
#: Differences that are ranked at once.
_AT_ONCE: Final = 500_000
#: Decimals of a difference; what lies below comes from rounding and would break ties.
_DIGITS: Final = 12


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN where it cannot be computed."""

    low: float
    high: float


def bootstrap_means(
    values: ArrayLike, patients: ArrayLike, *, replicates: int = REPLICATES, seed: int = 0
) -> FloatArray:
    """Return the mean of each replicate in which patients are drawn with replacement.

    A patient that is drawn brings all its values, so the mean runs over values, as the reported one
    does (Davison and Hinkley, 1997, section 3.8).

    Args:
        values: Shape [n] or [n, m]; the m columns are resampled together.
        patients: Shape [n]: whose value it is.
        replicates: How many times to draw.
        seed: Seed of the draw. The same number of patients and seed give the same draws.

    Returns:
        Shape [replicates] or [replicates, m].
    """
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    table = np.asarray(values, dtype=np.float64)
    sums = np.zeros((len(names), *table.shape[1:]))
    np.add.at(sums, index, table)
    drawn = draws(len(names), replicates, seed)
    totals = drawn @ np.bincount(index)
    means: FloatArray = (drawn @ sums) / totals.reshape(-1, *[1] * (table.ndim - 1))
    return means


def bootstrap_interval(
    values: ArrayLike,
    patients: ArrayLike,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """Return the interval of the mean of ``values`` [n], resampling ``patients`` [n].

    Percentiles of few patients cover too little. They are widened to what a t interval would take
    (the expanded percentile interval of Hesterberg, 2015, section 3.3), with the number of patients
    of equal size that would tell as much (Kish, 1965): a patient with many values counts for more.

    Raises:
        ConfigError: The level is not between 0 and 1.
    """
    if len(np.unique(np.asarray(patients))) < 2:
        _require_level(level)
        return Interval(np.nan, np.nan)
    tail = expanded_tail(patients, level)
    means = bootstrap_means(values, patients, replicates=replicates, seed=seed)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def expanded_tail(patients: ArrayLike, level: float = 0.95) -> float:
    """Return the share of replicates that lies below, and above, :func:`bootstrap_interval`.

    Patients are at least two.

    Raises:
        ConfigError: The level is not between 0 and 1.
    """
    _require_level(level)
    _, sizes = np.unique(np.asarray(patients), return_counts=True)
    equal = sizes.sum() ** 2 / (sizes**2).sum()
    quantile = special.stdtrit(equal - 1, (1 - level) / 2) * np.sqrt(equal / (equal - 1))
    return float(special.ndtr(quantile))


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"the confidence level must lie between 0 and 1, got {level}")


def wilcoxon_p(
    differences: ArrayLike, *, greater: bool = False, ahead: ArrayLike | None = None
) -> FloatArray:
    """P-values of the paired Wilcoxon signed-rank test (Wilcoxon, 1945).

    Pairs without a difference are dropped and equal ones share their mean rank. Up to 100 pairs the
    p-value is exact given these ranks, ties or not; beyond, the normal approximation is used.

    Args:
        differences: Shape [n, m]: m comparisons over n independent pairs.
        greater: Whether to ask only if they lie above 0, and not to which side they lie.
        ahead: Shape [m]: the signs that differences of means have, where p is to speak for these.

    Returns:
        Shape [m]; 1 where all pairs tie or there are none, and where ranks contradict ``ahead``.
    """
    table = np.asarray(differences, dtype=np.float64).T.round(_DIGITS)
    order = np.argsort(np.abs(table), axis=1)
    ascending = np.take_along_axis(table, order, axis=1)
    ranks, ties = _doubled_ranks(np.abs(ascending))
    positive = np.where(ascending > 0, ranks, 0).sum(axis=1)
    pairs = np.count_nonzero(ranks, axis=1)
    p = np.ones(len(table))
    many = pairs > _EXACT
    z = _normal_z(positive[many], pairs[many], ties[many])
    p[many] = special.ndtr(-z) if greater else 2 * special.ndtr(-np.abs(z))
    for i in np.flatnonzero((pairs > 0) & ~many):
        negative = pairs[i] * (pairs[i] + 1) - positive[i]
        chances = _chances(ranks[i, -pairs[i] :].tobytes())
        smaller = chances[min(positive[i], negative)]
        if not greater:
            p[i] = min(1.0, 2 * smaller)
        elif negative <= positive[i]:
            p[i] = smaller
        else:
            p[i] = 1 - (chances[positive[i] - 1] if positive[i] else 0.0)
    if ahead is not None:
        p[(2 * positive - pairs * (pairs + 1)) * np.asarray(ahead) < 0] = 1
    return p


def _doubled_ranks(sizes: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Twice the mean rank of each size, and sums of t³ - t over ties of t sizes.

    Twice the rank is a whole number even where ties share it. Zeros have no rank, and are no tie.

    Args:
        sizes: Ascending along the second axis, [m, n].

    Returns:
        Shapes [m, n] and [m].
    """
    place = np.broadcast_to(np.arange(sizes.shape[1]), sizes.shape)
    edge = np.diff(sizes, axis=1) > 0
    ends = np.ones((len(sizes), 1), dtype=np.bool_)
    first = np.maximum.accumulate(np.where(np.hstack([ends, edge]), place, 0), axis=1)
    behind = np.where(np.hstack([edge, ends]), place, sizes.shape[1])
    last = np.minimum.accumulate(behind[:, ::-1], axis=1)[:, ::-1]
    there = sizes > 0
    zeros = np.count_nonzero(~there, axis=1)[:, None]
    tied = np.where(there, (last - first + 1) ** 2 - 1, 0).sum(axis=1)
    return np.where(there, first + last + 2 - 2 * zeros, 0), tied


def _normal_z(
    positive: NDArray[np.int64], pairs: NDArray[np.int64], ties: NDArray[np.int64]
) -> FloatArray:
    """Normal deviate of the positive sum of doubled ranks; ties narrow its spread."""
    spread = np.sqrt((pairs * (pairs + 1) * (2 * pairs + 1) - ties / 2) / 24)
    z: FloatArray = (positive / 2 - pairs * (pairs + 1) / 4) / spread
    return z


@lru_cache(maxsize=256)
def _chances(ranks: bytes) -> FloatArray:
    """Chance that the positive sum of ``ranks`` (int64) is at most s, for s up to half of all.

    Under the null each rank is positive or negative with equal chance: the number of ways to each
    sum grows rank by rank. Comparisons without ties have the same ranks, and share this.
    """
    doubled = np.frombuffer(ranks, dtype=np.int64).tolist()
    half, reached = sum(doubled) // 2, 0
    ways = np.zeros(half + 1)
    ways[0] = 1.0
    for rank in doubled:
        reached = min(reached + rank, half)
        ways[rank : reached + 1] += ways[: reached + 1 - rank]
    chances: FloatArray = np.cumsum(ways) * 0.5 ** len(doubled)
    return chances


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values [m] so that the chance of any false alarm stays below the level (Holm, 1979).

    Needs no independence between the tests.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def paired_tests(
    scores: ArrayLike, best: int, *, chosen_here: bool, means: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Test all methods against one of them: raw and Holm-adjusted p-values.

    A method that was picked because it came out best has beaten every rival in hindsight. Holm's
    correction must then run over all pairs of methods; over the pairs with the best alone it would
    raise false alarms more often than it claims.

    Signed ranks may speak for one method and means for the other, where one is a little better in
    most units and much worse in few. No test says then that the higher mean is better: p is 1.

    Args:
        scores: Shape [n, m]: n independent units (patients), m methods.
        best: Column to compare with.
        chosen_here: Whether ``best`` was picked by looking at ``scores``.
        means: Shape [m], if not those of the scores: what tells which of two is the better one.

    Returns:
        Two arrays [m]: NaN for ``best`` itself.
    """
    table = np.asarray(scores, dtype=np.float64)
    methods = table.shape[1]
    pairs = [pair for pair in combinations(range(methods), 2) if chosen_here or best in pair]
    p, adjusted = np.full(methods, np.nan), np.full(methods, np.nan)
    if pairs:
        first, second = np.array(pairs).T
        parts = np.array_split(np.arange(len(pairs)), len(table) * len(pairs) // _AT_ONCE + 1)
        level = np.asarray(table.mean(axis=0) if means is None else means, dtype=np.float64)
        ahead = np.sign((level[first] - level[second]).round(_DIGITS))
        raw = np.concatenate(
            [wilcoxon_p(table[:, first[k]] - table[:, second[k]], ahead=ahead[k]) for k in parts]
        )
        mine = (first == best) | (second == best)
        rival = np.where(first == best, second, first)[mine]
        p[rival], adjusted[rival] = raw[mine], holm(raw)[mine]
    return p, adjusted


def first_probability(
    scores: ArrayLike, patients: ArrayLike, *, replicates: int = REPLICATES, seed: int = 0
) -> FloatArray:
    """Return how often each of m methods has the best mean when patients are resampled.

    Args:
        scores: Shape [n, m]; higher is better.
        patients: Shape [n].
        replicates: How many times to draw.
        seed: Seed of the draw.

    Returns:
        Shape [m], summing to 1; methods that tie for the first place share it.
    """
    return among_first(bootstrap_means(scores, patients, replicates=replicates, seed=seed), 1)


def among_first(scores: ArrayLike, places: int) -> FloatArray:
    """Return how often each of m methods is among the first, from scores [replicates, m].

    Methods that tie for the last places share them, so that the shares sum to the places.
    """
    table = np.asarray(scores, dtype=np.float64)
    places = min(places, table.shape[1])
    last = np.partition(table, -places, axis=1)[:, -places, None]
    above, equal = table > last, table == last
    left = places - above.sum(axis=1, keepdims=True)
    shares: FloatArray = (above + equal * left / equal.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def kendall_tau(one: ArrayLike, other: ArrayLike) -> float:
    """Return Kendall's tau-b of two rankings of the same things (Kendall, 1945).

    It is 1 for the same order, -1 for the reverse, and NaN where either says nothing.

    Args:
        one: Shape [m].
        other: Shape [m].
    """
    signs = [np.sign(np.subtract.outer(x, x)) for x in map(np.asarray, (one, other))]
    untied = np.sqrt(np.prod([np.count_nonzero(sign) for sign in signs], dtype=np.float64))
    return float((signs[0] * signs[1]).sum() / untied) if untied else float("nan")


@lru_cache(maxsize=16)
def draws(clusters: int, replicates: int, seed: int) -> FloatArray:
    """Return how often each cluster is drawn in each replicate, shape [replicates, clusters]."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=replicates)
    drawn: FloatArray = counts.astype(np.float64)
    drawn.flags.writeable = False
    return drawn
