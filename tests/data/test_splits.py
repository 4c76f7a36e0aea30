from dataclasses import dataclass

import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import SplitError
from camzoo.data.datasets.base import Case, Folds, Fractions
from camzoo.data.splits import Split, make_split, require_patient_level


@dataclass
class Cohort:
    """Patients with two volumes each."""

    patients: int
    split: Fractions | Folds
    official_test: int = 0

    def cases(self):
        return [
            Case(
                f"p{p:03d}_{phase}",
                f"p{p:03d}",
                official="test" if p >= self.patients - self.official_test else None,
            )
            for p in range(self.patients)
            for phase in ("ED", "ES")
        ]


def patients(cases):
    return {case.split("_")[0] for case in cases}


def test_fractions_give_the_papers_counts():
    """ACDC: 100 patients, 25 of them test (C-CAM §4.1); validation comes out of training."""
    split = make_split(Cohort(100, Fractions(test=0.25, val=0.1)), SplitKind.PATIENT)
    assert [len(patients(s)) for s in (split.train, split.val, split.test)] == [65, 10, 25]
    assert len(split.train) == 130


def test_no_patient_is_in_two_subsets_and_none_is_lost():
    split = make_split(Cohort(17, Fractions(test=0.25, val=0.1)), SplitKind.PATIENT, seed=3)
    train, val, test = map(patients, (split.train, split.val, split.test))
    assert train.isdisjoint(val | test)
    assert val.isdisjoint(test)
    assert len(train | val | test) == 17


def test_paper_like_lets_patients_leak():
    split = make_split(Cohort(40, Fractions(test=0.25, val=0.1)), SplitKind.PAPER_LIKE)
    assert patients(split.train) & patients(split.test)


@pytest.mark.parametrize(
    ("cohort", "k"),
    [
        ((11, Folds(5)), None),
        ((11, Folds(3)), 5),
        ((11, Fractions(test=0.25, val=0.1)), 5),
        ((11, Fractions(test=0.25, val=0.1), 4), 5),  # the owners' test set is divided, too
    ],
)
def test_every_patient_is_tested_once_over_the_folds(cohort, k):
    cohort = Cohort(*cohort)
    splits = [make_split(cohort, SplitKind.PATIENT, fold=fold, k=k) for fold in range(5)]
    tested = [patient for split in splits for patient in patients(split.test)]
    assert sorted(tested) == sorted(patients(case.id for case in cohort.cases()))
    assert splits[0].val == splits[1].test


def test_an_official_test_set_is_kept():
    split = make_split(Cohort(12, Fractions(0.25, 0.1), official_test=4), SplitKind.PATIENT)
    assert patients(split.test) == {"p008", "p009", "p010", "p011"}
    assert split.val


def test_the_seed_decides():
    cohort = Cohort(30, Fractions(0.25, 0.1))
    one, again, other = (make_split(cohort, SplitKind.PATIENT, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one.test != other.test


@pytest.mark.parametrize(
    ("cohort", "fold", "message"),
    [
        (Cohort(1, Fractions(0.25, 0.1)), 0, "too few for a test subset"),
        (Cohort(2, Fractions(0.25, 0.1)), 0, "too few for a validation subset"),
        (Cohort(2, Folds(5)), 0, "at least 3"),
        (Cohort(9, Folds(5)), 5, "fold 5 does not exist; choose 0 to 4"),
        (Cohort(9, Fractions(0.25, 0.1)), 1, "has one test set; use fold 0, or .* data.k_folds=5"),
    ],
)
def test_impossible_splits_are_refused(cohort, fold, message):
    with pytest.raises(SplitError, match=message):
        make_split(cohort, SplitKind.PATIENT, fold=fold)


def test_leaks_are_named():
    split = Split(SplitKind.PATIENT, 0, ("a1", "b1"), ("c1",), ("a2",))
    with pytest.raises(SplitError, match="patients a stand in two subsets"):
        require_patient_level(split, {"a1": "a", "a2": "a", "b1": "b", "c1": "c"})
    with pytest.raises(SplitError, match="cases a1 stand in two"):
        Split(SplitKind.PATIENT, 0, ("a1",), ("a1",), ())
    with pytest.raises(SplitError, match="no case to train on"):
        Split(SplitKind.PATIENT, 0, (), ("a",), ("b",))
