"""A few cases of a data set, for trying things."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np

from camzoo.core.errors import SplitError
from camzoo.data.datasets.base import Case, Dataset

#: A patient each to train on, to choose thresholds on, and to test on.
_FEWEST = 3


def limited(dataset: Dataset, count: int, *, seed: int) -> Dataset:
    """Return a data set with at most ``count`` of the cases.

    Patients are taken in the order of a permutation, one case each before anybody's second, and
    where the owners name a test set, from both sides in proportion, so that every subset of a split
    keeps patients.

    Args:
        dataset: Left as it is.
        count: Most cases to take.
        seed: Seed of the permutation.

    Raises:
        SplitError: So few cases cannot be divided.
    """
    cases = list(dataset.cases())
    if count >= len(cases):
        return dataset
    if count < _FEWEST:
        raise SplitError(
            f"data.limit={count} leaves too few cases to train on, to choose thresholds on and to "
            f"test on; take at least {_FEWEST}"
        )
    tested = [case for case in cases if case.official == "test"]
    rest = [case for case in cases if case.official != "test"]
    for_test = 0
    if tested:
        for_test = max(1, min(round(count * len(tested) / len(cases)), count - 2))
    chosen = {
        case.id
        for side, many in ((tested, for_test), (rest, count - for_test))
        for case in list(_by_turns(side, seed))[:many]
    }
    few = copy.copy(dataset)
    kept = tuple(case for case in cases if case.id in chosen)
    # On the object, not in a class around it: all that a data set does with its cases follows.
    object.__setattr__(few, "cases", lambda: kept)
    return few


def _by_turns(cases: Sequence[Case], seed: int) -> Iterator[Case]:
    """Yield the first case of every patient, in the order of a permutation, then the second."""
    by_patient: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.id):
        by_patient.setdefault(case.patient, []).append(case)
    patients = sorted(by_patient)
    order = [patients[i] for i in np.random.default_rng(seed).permutation(len(patients))]
    for turn in range(max(map(len, by_patient.values()), default=0)):
        yield from (by_patient[p][turn] for p in order if turn < len(by_patient[p]))
