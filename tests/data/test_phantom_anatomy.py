import math
from itertools import pairwise

import numpy as np
import pytest

from camzoo.data.phantom.abdomen import Abdomen
from camzoo.data.phantom.cardiac import Cardiac
from camzoo.data.phantom.dials import Dials
from camzoo.data.phantom.prostate import Prostate
from camzoo.data.phantom.render import render

ANATOMIES = {"prostate": Prostate, "cardiac": Cardiac, "abdomen": Abdomen}


def patient(kind, number=0, phase="", cooccurrence=0.5):
    return kind(np.random.default_rng(number), phase or kind.phases[0], cooccurrence)


def test_lengths_are_drawn_around_their_mean_and_cut_off():
    one = patient(Prostate)
    drawn = np.array([one.around(40.0, 0.1) for _ in range(4000)])
    assert drawn.mean() == pytest.approx(40, abs=0.3)
    assert drawn.std() == pytest.approx(4, rel=0.06)
    assert (drawn.min(), drawn.max()) == pytest.approx((30, 50))


def test_outlines_vary_about_the_form_that_patients_share():
    one = patient(Prostate)
    drawn = np.array([one.uneven(0.06, form=(0j, 0.5j)) for _ in range(4000)])
    assert drawn.shape == (4000, 4)
    np.testing.assert_allclose(drawn.mean(0), [0, 0.5j, 0, 0], atol=5e-3)
    # The strength is that of the second harmonic; higher ones are weaker as 2 / order.
    spread = np.sqrt((np.abs(drawn - drawn.mean(0)) ** 2).mean(0))
    np.testing.assert_allclose(spread, 0.06 * 2 / np.arange(2, 6), rtol=0.06)


@pytest.mark.parametrize("kind", ANATOMIES.values(), ids=ANATOMIES)
def test_tissues_differ_between_patients_by_less_than_between_each_other(kind):
    looks = [patient(kind, number).palette for number in range(2)]
    assert looks[0] != looks[1]
    for name, tissue in kind.tissues.items():
        assert 0.8 <= looks[0][name].signal / tissue.signal <= 1.2


def test_contracting_muscle_keeps_its_volume():
    for number in range(5):
        relaxed, tense = (patient(Cardiac, number, phase) for phase in ("ED", "ES"))
        assert relaxed.extent == tense.extent
        assert tense.cavity < 0.8 * relaxed.cavity
        assert tense.outer - tense.cavity > 1.15 * (relaxed.outer - relaxed.cavity)
        area = [math.pi * (one.outer**2 - one.cavity**2) for one in (relaxed, tense)]
        assert area[1] == pytest.approx(1.1 * area[0])


def test_layouts_of_the_abdomen_at_the_ends_of_the_dial():
    apart, together = (patient(Abdomen, cooccurrence=c).span for c in (0.0, 1.0))
    assert set(together.values()) == {(-70.0, 50.0)}
    ends = sorted(apart.values())
    assert all(high < low for (_, high), (low, _) in pairwise(ends))
    assert list(apart) == ["liver", "right kidney", "left kidney", "spleen"]


def test_half_way_of_a_quarter_of_the_dial_lies_between_two_layouts():
    # Liver: 62 to 132 mm set apart, -70 to 88 mm ordinarily; a patient varies half as much as then.
    spans = np.array([patient(Abdomen, n, cooccurrence=0.25).span["liver"] for n in range(200)])
    np.testing.assert_allclose(spans.mean(0), [(62 - 70) / 2, (132 + 88) / 2], atol=1.0)
    assert spans.mean(1).std() == pytest.approx(2.5, rel=0.2)


@pytest.mark.parametrize("kind", ANATOMIES.values(), ids=ANATOMIES)
def test_a_patient_is_painted_alike_whatever_the_dials(kind):
    base = {
        "contrast": 1.0, "cooccurrence": 0.5, "jitter": 0.0, "noise": 0.0, "bias": 0.0,
        "negatives": 0.2,
    }  # fmt: skip
    phase = kind.phases[0]
    labels = [
        render(kind, Dials(**(base | change)), size=48, seed=(3, 1), phase=phase).label
        for change in ({}, {"contrast": 0.3}, {"noise": 0.2}, {"bias": 0.5})
    ]
    for other in labels[1:]:
        np.testing.assert_array_equal(other, labels[0])
