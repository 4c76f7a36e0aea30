import numpy as np

from camzoo.metrics.grouped import mean_by, percentile_by


def test_means_leave_nan_out_and_empty_groups_are_nan():
    means = mean_by(np.array([0, 0, 2, 2, 3]), np.array([1.0, 3.0, np.nan, 5.0, np.nan]), 5)
    np.testing.assert_array_equal(means, [2.0, np.nan, 5.0, np.nan, np.nan])


def test_percentiles_equal_numpys():
    rng = np.random.default_rng(0)
    group, values = rng.integers(0, 9, 200), rng.random(200)
    found = percentile_by(group, values, 10, 95)
    expected = [np.percentile(values[group == g], 95) for g in range(9)]
    np.testing.assert_allclose(found[:9], expected)
    assert np.isnan(found[9])
