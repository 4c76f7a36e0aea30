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
from scipy import stats

from camzoo.core.errors import ConfigError

FloatArray = NDArray[np.float64]
REPLICATES: Final = 2000
#: Pairs up to which the distribution of the signed-rank sum is computed exactly.
_EXACT: Final = 100
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
    draws = _draws(len(names), replicates, seed)
    totals = draws @ np.bincount(index)
    means: FloatArray = (draws @ sums) / totals.reshape(-1, *[1] * (table.ndim - 1))
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
    if not 0 < level < 1:
        raise ConfigError(f"the confidence level must lie between 0 and 1, got {level}")
    _, sizes = np.unique(np.asarray(patients), return_counts=True)
    if len(sizes) < 2:
        return Interval(np.nan, np.nan)
    equal = sizes.sum() ** 2 / (sizes**2).sum()
    quantile = stats.t.ppf((1 - level) / 2, equal - 1) * np.sqrt(equal / (equal - 1))
    tail = float(stats.norm.cdf(quantile))
    means = bootstrap_means(values, patients, replicates=replicates, seed=seed)
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def wilcoxon_p(differences: ArrayLike) -> FloatArray:
    """Two-sided p-values of the paired Wilcoxon signed-rank test (Wilcoxon, 1945).

    Pairs without a difference are dropped and equal ones share their mean rank. Up to 100 pairs the
    p-value is exact given these ranks, ties or not; beyond, the normal approximation is used.

    Args:
        differences: Shape [n, m]: m comparisons over n independent pairs.

    Returns:
        Shape [m]; 1 where all pairs tie or there are none.
    """
    table = np.asarray(differences, dtype=np.float64).round(_DIGITS)
    return np.array([_signed_rank_p(column[column != 0]) for column in table.T])


def _signed_rank_p(differences: FloatArray) -> float:
    if not len(differences):
        return 1.0
    if len(differences) > _EXACT:
        return float(stats.wilcoxon(differences, method="approx").pvalue)
    # Twice the rank is a whole number even where ties share it.
    ranks = np.rint(2 * stats.rankdata(np.abs(differences))).astype(np.intp)
    # Under the null each rank is positive or negative with equal chance: the distribution of the
    # positive sum grows rank by rank.
    chance = np.zeros(ranks.sum() + 1)
    chance[0] = 1.0
    for rank in ranks:
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    positive = int(ranks[differences > 0].sum())
    smaller = min(positive, int(ranks.sum()) - positive)
    return float(min(1.0, 2 * chance[: smaller + 1].sum()))


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
    scores: ArrayLike, best: int, *, chosen_here: bool
) -> tuple[FloatArray, FloatArray]:
    """Test all methods against one of them: raw and Holm-adjusted p-values.

    A method that was picked because it came out best has beaten every rival in hindsight. Holm's
    correction must then run over all pairs of methods; over the pairs with the best alone it would
    raise false alarms more often than it claims.

    Args:
        scores: Shape [n, m]: n independent units (patients), m methods.
        best: Column to compare with.
        chosen_here: Whether ``best`` was picked by looking at ``scores``.

    Returns:
        Two arrays [m]: NaN for ``best`` itself.
    """
    table = np.asarray(scores, dtype=np.float64)
    methods = table.shape[1]
    pairs = [pair for pair in combinations(range(methods), 2) if chosen_here or best in pair]
    p, adjusted = np.full(methods, np.nan), np.full(methods, np.nan)
    if pairs:
        first, second = np.array(pairs).T
        raw = wilcoxon_p(table[:, first] - table[:, second])
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
    means = bootstrap_means(scores, patients, replicates=replicates, seed=seed)
    first = means == means.max(axis=1, keepdims=True)
    shares: FloatArray = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


@lru_cache(maxsize=16)
def _draws(clusters: int, replicates: int, seed: int) -> FloatArray:
    """How often each cluster is drawn in each replicate, shape [replicates, clusters]."""
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=replicates)
    draws: FloatArray = counts.astype(np.float64)
    draws.flags.writeable = False
    return draws
