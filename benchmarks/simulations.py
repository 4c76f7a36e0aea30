"""Do the intervals cover and the tests stay quiet as often as they claim? Data with known truth."""

from __future__ import annotations

import numpy as np

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
