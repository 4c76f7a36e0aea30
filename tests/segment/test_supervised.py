"""The U-Net on masks of few patients: whose it learns, and that it sees nothing of the others."""

from dataclasses import replace

import numpy as np
import pytest

from camzoo.core.errors import ConfigError
from camzoo.core.supervision import Supervision
from camzoo.segment.supervised import Supervised, reference_labels
from tests.segment.toy import toy_context, toy_masks

CASES = ("a", "b", "c", "d")


class Watched(Supervised):
    """Learns nothing, and keeps what it would have learnt from."""

    def learn(self, context, labels, loss=None):
        self.seen = context.train, labels


@pytest.fixture
def context(tmp_path):
    """Four cases of three patients: c and d are of one."""
    whole = toy_context(tmp_path, supervision=Supervision.MASK)
    quarter = len(whole.train) // 4
    cases = tuple((name, i * quarter, (i + 1) * quarter) for i, name in enumerate(CASES))
    train = replace(whole.train, cases=cases)
    masks = toy_masks(train)

    class Masks:
        def slices(self, case):
            start = CASES.index(case) * quarter
            return masks[start : start + quarter]

    patients = {"a": "p", "b": "q", "c": "r", "d": "r"}
    return replace(whole, train=train, patients=patients, masks=Masks)


def learnt(context, **settings):
    watched = Watched(**settings)
    watched.fit(context)
    train, labels = watched.seen
    np.testing.assert_array_equal(labels, reference_labels(context, labels.shape[1])[train.rows])
    quarter = len(context.train) // 4
    return {CASES[row // quarter] for row in train.rows}, len(train.rows) / quarter


def test_all_cases_of_so_many_patients_are_learnt(context):
    for draw in range(6):
        cases, quarters = learnt(context, patients=1, draw=draw)
        assert cases in ({"a"}, {"b"}, {"c", "d"})
        assert quarters == len(cases)
    assert learnt(context, patients=3) == (set(CASES), 4)
    assert learnt(context) == (set(CASES), 4)


def test_draws_differ_and_grow(context):
    ones = {frozenset(learnt(context, patients=1, draw=draw)[0]) for draw in range(12)}
    assert len(ones) == 3
    for draw in range(12):
        one, two = (learnt(context, patients=k, draw=draw)[0] for k in (1, 2))
        assert one < two


def test_more_patients_than_there_are(context):
    with pytest.raises(ConfigError, match="4 were asked for, and there are 3 to train on"):
        learnt(context, patients=4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"patients": 0}, "patients: takes a whole number from 1 on, got 0"),
     ({"draw": -1}, "draw: takes a whole number from 0 on, got -1")],
)  # fmt: skip
def test_numbers_that_are_too_small(settings, message):
    with pytest.raises(ConfigError, match=message):
        Supervised(**settings)


def test_it_needs_masks(tmp_path):
    from camzoo.core.errors import FirewallError

    with pytest.raises(FirewallError):
        Supervised(patients=1).fit(toy_context(tmp_path, supervision=Supervision.IMAGE))
