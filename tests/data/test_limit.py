import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import SplitError
from camzoo.data.datasets import Case, Folds, Fractions, datasets
from camzoo.data.datasets.base import Dataset, Facts
from camzoo.data.limit import limited
from camzoo.data.splits import make_split


class Listed(Dataset):
    """Cases without files."""

    name = "listed"
    facts = Facts("t", "c", "l", "w")
    organs = ("o",)

    def __init__(self, patients, phases=1, tests=0, split=None):
        self._cases = [
            Case(f"p{p:03d}-{phase}", f"p{p:03d}", official="test" if p < tests else None)
            for p in range(patients)
            for phase in range(phases)
        ]
        self.split = split or Fractions(0.25, 0.1)

    def cases(self):
        return self._cases

    def image(self, case):
        raise NotImplementedError

    def label(self, case):
        raise NotImplementedError


KINDS = {
    "fractions": Listed(20),
    "two phases": Listed(20, phases=2),
    "official test": Listed(20, tests=4),
    "official test of two phases": Listed(20, phases=2, tests=10),
    "mostly test": Listed(20, tests=17),
    "folds": Listed(20, split=Folds(5)),
    "folds of two phases": Listed(20, phases=2, split=Folds(5)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [3, 4, 5, 7, 11, 19])
@pytest.mark.parametrize("unit", SplitKind)
def test_every_subset_keeps_patients(kind, count, unit):
    few = limited(KINDS[kind], count, seed=0)
    assert len(few.cases()) == count
    split = make_split(few, unit)
    assert split.train
    assert split.val
    assert split.test
    assert len(split.train) + len(split.val) + len(split.test) == count


def test_patients_come_before_further_cases_of_one():
    few = limited(KINDS["two phases"], 20, seed=0)
    assert len({case.patient for case in few.cases()}) == 20
    more = limited(KINDS["two phases"], 23, seed=0)
    assert len({case.patient for case in more.cases()}) == 20


def test_a_larger_limit_adds_to_a_smaller_one():
    ids = [{c.id for c in limited(KINDS["fractions"], n, seed=1).cases()} for n in (5, 9, 15)]
    assert ids[0] < ids[1] < ids[2]


def test_the_same_seed_takes_the_same_cases_and_another_takes_others():
    first, again, other = (
        [case.id for case in limited(KINDS["fractions"], 6, seed=seed).cases()]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert first == sorted(first)


def test_all_cases_are_no_limit():
    whole = KINDS["fractions"]
    assert limited(whole, 20, seed=0) is whole
    assert limited(whole, 99, seed=0) is whole


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_are_refused(count):
    with pytest.raises(SplitError, match=f"data.limit={count} leaves too few cases"):
        limited(KINDS["fractions"], count, seed=0)


def test_the_data_set_itself_stays_as_it_was():
    whole = Listed(9)
    limited(whole, 4, seed=0)
    assert len(whole.cases()) == 9


def test_what_a_data_set_does_with_its_cases_follows():
    phantom = datasets.get("phantom")(patients=8, size=32)
    few = limited(phantom, 3, seed=0)
    assert len(few.cases()) == 3
    assert few.image(few.cases()[0]).array.size
    assert few.organs == phantom.organs
    whole = Listed(9)
    assert set(limited(whole, 4, seed=0).fingerprint()) < set(whole.fingerprint())
