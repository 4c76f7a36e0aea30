"""As good as how many annotated patients, by hand."""

import numpy as np
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics.worth import ExchangeRate

PATIENTS = ["a", "b", "c", "d"]
#: All patients alike, so that every replicate has the same means.
ALIKE = {1: [0.2] * 4, 2: [0.4] * 4, 8: [0.8] * 4}


@pytest.mark.parametrize(
    ("score", "patients"),
    [
        (0.2, 1),
        (0.3, 2**0.5),  # half-way from 1 to 2 in log k
        (0.4, 2),
        (0.5, 2 * 4**0.25),  # a quarter of the way from 2 to 8
        (0.6, 4),
        (0.8, 8),
        (0.1, 0),
        (0.9, np.inf),
    ],
)
def test_between_the_numbers_that_were_tried_it_is_linear_in_log_k(score, patients):
    worth = ExchangeRate(ALIKE, PATIENTS).worth([score] * 4)
    assert worth.patients == pytest.approx(patients)
    assert tuple(worth.interval) == pytest.approx((patients, patients))


def test_masks_that_lower_the_score_are_averaged_away():
    """0.5 and 0.3 of 2 and 4 patients become 0.4 and 0.4: the fewest that give 0.4 are 2."""
    rate = ExchangeRate({1: [0.2] * 4, 2: [0.5] * 4, 4: [0.3] * 4, 8: [0.8] * 4}, PATIENTS)
    assert rate.worth([0.4] * 4).patients == pytest.approx(2)
    assert rate.gives(4) == pytest.approx(0.4)
    assert rate.means.tolist() == pytest.approx([0.2, 0.5, 0.3, 0.8])


def test_what_so_many_masks_give():
    rate = ExchangeRate(ALIKE, PATIENTS)
    assert rate.gives(4) == pytest.approx(0.6)
    assert rate.gives(8) == pytest.approx(0.8)
    assert np.isnan(rate.gives(9))


def test_the_interval_widens_as_patients_differ():
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(15), 2)
    ability = rng.normal(0, 0.02, 15)[patients]
    scores = {k: 0.2 + 0.1 * np.log2(k) + ability for k in (1, 2, 4, 8, 16)}
    rate = ExchangeRate(scores, patients)
    paired = rate.worth(0.4 + ability)
    assert paired.patients == pytest.approx(4)
    assert tuple(paired.interval) == pytest.approx((4, 4))  # what all share moves nothing
    own = rate.worth(0.4 + rng.normal(0, 0.1, 15)[patients])
    low, high = own.interval
    assert low < own.patients < high
    assert high / low > 1.5


def test_a_score_above_the_bound_in_some_replicates_has_no_upper_end():
    rng = np.random.default_rng(1)
    rate = ExchangeRate({1: [0.2] * 20, 4: [0.4] * 20}, np.arange(20))
    worth = rate.worth(0.39 + rng.normal(0, 0.1, 20))
    assert worth.interval.high == np.inf
    assert 1 < worth.interval.low < 4


def test_one_patient_has_no_interval():
    worth = ExchangeRate({1: [0.2], 2: [0.4]}, ["a"]).worth([0.3])
    assert worth.patients == pytest.approx(2**0.5)
    assert np.isnan(worth.interval).all()


def test_one_number_of_patients_is_no_rate():
    with pytest.raises(ConfigError, match="at least two numbers of patients, got 1"):
        ExchangeRate({4: [0.5]}, ["a"])
