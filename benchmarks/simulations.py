"""Do the intervals cover and the tests stay quiet as often as they claim? Data with known truth."""

from __future__ import annotations

import numpy as np

from camzoo.metrics.ranks import Units, rank_methods
from camzoo.metrics.statistics import bootstrap_interval, paired_tests


def clustered(rng, patients):
    """Return values of patients with 1 to 6 slices each, true mean 0, and whose they are."""
    index = np.repeat(np.arange(patients), rng.integers(1, 7, patients))
    return rng.normal(size=patients)[index] + 0.5 * rng.normal(size=len(index)), index


def coverage(patients, runs, *, by_patient, seed=8):
    """Return the share of 95 % intervals that hold the true mean.

    Args:
        patients: Number of patients per data set.
        runs: Number of data sets.
        by_patient: Whether patients are resampled, or their slices one by one.
        seed: Of the data.
    """
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(runs):
        values, index = clustered(rng, patients)
        units = index if by_patient else np.arange(len(values))
        low, high = bootstrap_interval(values, units, replicates=500)
        hits += low <= 0 <= high
    return hits / runs


def false_alarms(runs, *, all_pairs, seed=12):
    """Return how often eight equal methods (20 patients) show a significant difference to the best.

    Args:
        runs: Number of data sets.
        all_pairs: Whether Holm's correction runs over all pairs or over the best's rivals alone.
        seed: Of the data.
    """
    rng = np.random.default_rng(seed)
    alarms = 0
    for _ in range(runs):
        scores = rng.normal(size=(20, 1)) + rng.normal(size=(20, 8))
        _, adjusted = paired_tests(scores, int(scores.mean(0).argmax()), chosen_here=all_pairs)
        alarms += bool(np.nanmin(adjusted) < 0.05)
    return alarms / runs


#: What moves a method besides its mean, and differs from method to method: draws [n, methods].
NOISE = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "skewed": lambda rng, shape: rng.exponential(size=shape) - 1,
}


def trained(rng, means, patients, folds, seeds, noise="normal", spread=(0.2, 0.3)):
    """Return scores of methods over patients, folds and seeds, and where each comes from.

    Args:
        rng: Generator.
        means: True mean of each method, [m].
        patients: Number of patients, dealt to the folds.
        folds: Number of folds; each has trainings of its own.
        seeds: Trainings of a fold, which all predict its patients.
        noise: How patients move a method; its standard deviation is 1.
        spread: Standard deviation of what a fold and a training add to a method; 0 for what is not
            repeated, as no data can tell it.
    """
    m, each = len(means), patients // folds
    fold, patient, seed = (x.ravel() for x in np.mgrid[:folds, :each, :seeds])
    of_fold = spread[0] * (folds > 1) * rng.normal(size=(folds, m))
    of_seed = spread[1] * (seeds > 1) * rng.normal(size=(folds, seeds, m))
    of_patient = rng.normal(size=(folds, each, 1)) + NOISE[noise](rng, (folds, each, m))
    rest = 0.3 * rng.normal(size=(len(fold), m))
    scores = means + of_fold[fold] + of_seed[fold, seed] + of_patient[fold, patient] + rest
    case = fold * each + patient
    return scores, Units.of(case, case, fold, seed)


def rank_coverage(runs, means, *, seed=3, replicates=500, **layout):
    """Return how often all rank intervals of a table hold the true ranks, and how often one does.

    Methods of equal mean share all ranks that any order of them gives. Where no interval may leave
    one out, as with equal methods, the former is one minus the family-wise error.

    Args:
        runs: Number of data sets.
        means: True means, [m].
        seed: Of the data.
        replicates: Of the bootstrap.
        layout: Of :func:`trained`.
    """
    rng, means = np.random.default_rng(seed), np.asarray(means, dtype=float)
    low = 1 + (means > means[:, None]).sum(axis=1)
    high = len(means) - (means < means[:, None]).sum(axis=1)
    held = np.empty((runs, len(means)), dtype=bool)
    for run in range(runs):
        ranks = rank_methods(*trained(rng, means, **layout), replicates=replicates)
        held[run] = (ranks.low <= low) & (ranks.high >= high)
    return held.all(axis=1).mean(), held.mean()
