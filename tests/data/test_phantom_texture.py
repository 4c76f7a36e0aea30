import numpy as np
import pytest

from camzoo.data.phantom.texture import ridges, smooth_noise


def axis(n, step):
    return (np.arange(n) * step - 7.0).astype(np.float32)


def test_every_voxel_has_zero_mean_and_unit_variance():
    axes = axis(4, 3.0), axis(5, 1.3), axis(6, 0.7)
    fields = np.stack(
        [smooth_noise(np.random.default_rng(i), axes, (5.0, 2.0, 3.0)) for i in range(2000)]
    )
    assert fields.shape == (2000, 4, 5, 6)
    # Four standard errors: 4 / sqrt(2000) for the mean, 4 * sqrt(2 / 2000) for the variance.
    assert np.abs(fields.mean(0)).max() < 0.09
    assert np.abs(fields.var(0) - 1).max() < 0.13


def test_the_correlation_length_is_in_millimetres():
    axes = axis(2, 50.0), axis(300, 1.0), axis(301, 1.0)
    field = smooth_noise(np.random.default_rng(0), axes, (10.0, 8.0, 8.0))[0]

    def correlation(lag):
        return np.corrcoef(field[:, lag:].ravel(), field[:, :-lag].ravel())[0, 1]

    assert correlation(1) > 0.97
    assert 0.1 < correlation(8) < 0.6
    assert abs(correlation(40)) < 0.1


def test_a_finer_grid_samples_the_same_field():
    coarse = axis(3, 6.0), axis(11, 2.0), axis(9, 2.0)
    fine = axis(3, 6.0), axis(21, 1.0), axis(17, 1.0)
    one, other = (
        smooth_noise(np.random.default_rng(5), axes, (9.0, 7.0, 7.0)) for axes in (coarse, fine)
    )
    np.testing.assert_allclose(one, other[:, ::2, ::2], atol=1e-5)


def test_fields_are_single_precision():
    axes = axis(2, 3.0), axis(3, 1.0), axis(4, 1.0)
    assert smooth_noise(np.random.default_rng(0), axes, (3.0, 3.0, 3.0)).dtype == np.float32


def test_ridges_are_one_on_the_zero_line_and_fall_with_the_fourth_power():
    field = np.array([0.0, 0.2, -0.4], np.float32)
    assert ridges(field, 0.2).tolist() == pytest.approx([1, 1 / 2, 1 / 17])
