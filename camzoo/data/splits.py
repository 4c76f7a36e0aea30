"""Which cases train, which choose thresholds, which are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from camzoo.core.choices import SplitKind
from camzoo.core.errors import SplitError
from camzoo.data.datasets.base import Dataset, Folds, Fractions


@dataclass(frozen=True)
class Split:
    """Case ids per subset, each sorted.

    Raises:
        SplitError: A case stands in two subsets, or no case is left to train on.
    """

    kind: SplitKind
    fold: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        everyone = [*self.train, *self.val, *self.test]
        twice = sorted({case for case in everyone if everyone.count(case) > 1})
        if twice:
            raise SplitError(f"cases {', '.join(twice[:5])} stand in two subsets of the split")
        if not self.train:
            raise SplitError("the split leaves no case to train on")

    def subset_of(self) -> dict[str, str]:
        """Map each case id to "train", "val" or "test"."""
        return {
            case: name
            for name, cases in (("train", self.train), ("val", self.val), ("test", self.test))
            for case in cases
        }


def make_split(
    dataset: Dataset, kind: SplitKind, *, fold: int = 0, seed: int = 0, k: int | None = None
) -> Split:
    """Divide the cases of a data set.

    Where the owners name a test set it is used as it is, and only validation is drawn from the
    rest. Otherwise ``dataset.split`` says how; every subset gets at least one unit.

    Args:
        dataset: Its cases and its default way of splitting.
        kind: Whether patients or volumes are the units that are divided.
        fold: Which fold tests, for a data set that is cross-validated; 0 otherwise.
        seed: Seed of the permutation; the same seed gives the same split on every machine.
        k: Number of folds that all cases are divided into, in the place of the default way and of a
            test set that the owners name.

    Raises:
        SplitError: Too few units, a fold that does not exist, or (patient split) a patient on both
            sides.
    """
    cases = sorted(dataset.cases(), key=lambda case: case.id)
    unit = {case.id: case.patient if kind is SplitKind.PATIENT else case.id for case in cases}
    way = dataset.split if k is None else Folds(k)
    test_units = {unit[case.id] for case in cases if case.official == "test" and k is None}
    units = sorted(set(unit.values()) - test_units)
    rng = np.random.default_rng(seed)
    shuffled = [units[i] for i in rng.permutation(len(units))]

    if test_units:
        share = way.val if isinstance(way, Fractions) else 0.1
        val, train = _take(shuffled, share, what="validation")
        test = sorted(test_units)
        _require_no_fold(fold)
    elif isinstance(way, Folds):
        train, val, test = _folds(shuffled, way.k, fold)
    else:
        _require_no_fold(fold)
        test, rest = _take(shuffled, way.test, what="test")
        val, train = _take(rest, way.val * len(shuffled) / len(rest), what="validation")

    split = Split(kind, fold, *(_members(unit, chosen) for chosen in (train, val, test)))
    if kind is SplitKind.PATIENT:
        require_patient_level(split, {case.id: case.patient for case in cases})
    return split


def require_patient_level(split: Split, patient_of: Mapping[str, str]) -> None:
    """Refuse a split in which a patient stands in two subsets.

    Raises:
        SplitError: Naming the patients and their cases.
    """
    subsets: dict[str, set[str]] = {}
    for case, subset in split.subset_of().items():
        subsets.setdefault(patient_of[case], set()).add(subset)
    leaks = sorted(patient for patient, where in subsets.items() if len(where) > 1)
    if leaks:
        raise SplitError(
            f"patients {', '.join(leaks[:5])} stand in two subsets of a patient-level split; "
            "put all cases of a patient into one subset"
        )


def _take(units: Sequence[str], share: float, *, what: str) -> tuple[list[str], list[str]]:
    count = max(1, round(share * len(units)))
    if count >= len(units):
        raise SplitError(
            f"{len(units)} patients or volumes are too few for a {what} subset beside training; "
            "add cases (at least 3 are needed)"
        )
    return list(units[:count]), list(units[count:])


def _folds(units: Sequence[str], k: int, fold: int) -> tuple[list[str], list[str], list[str]]:
    k = min(k, len(units))
    if k < 3:
        raise SplitError(
            f"cross-validation needs at least 3 patients or volumes, got {len(units)}; add cases"
        )
    if not 0 <= fold < k:
        raise SplitError(f"fold {fold} does not exist; choose 0 to {k - 1}")
    parts = [list(units[i::k]) for i in range(k)]
    test, val = parts[fold], parts[(fold + 1) % k]
    train = [u for i, part in enumerate(parts) if i not in (fold, (fold + 1) % k) for u in part]
    return train, val, test


def _members(unit: Mapping[str, str], chosen: Sequence[str]) -> tuple[str, ...]:
    wanted = set(chosen)
    return tuple(case for case, name in unit.items() if name in wanted)


def _require_no_fold(fold: int) -> None:
    if fold != 0:
        raise SplitError(
            f"fold {fold} asked for, but this data set has one test set; use fold 0, or divide all "
            "of it into folds: --set data.k_folds=5"
        )
