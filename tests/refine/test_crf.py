import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.refine.crf import CrfSettings, mean_field, unary_from_labels, unary_from_scores

WHOLE = CrfSettings(
    iterations=5, gaussian_sxy=2.0, bilateral_sxy=6.0, bilateral_intensity=12.0, window=1e3
)


def slices(batch=2, height=11, width=14, labels=3, seed=0):
    """Noisy slices with a bright rectangle, and scores that are wrong here and there."""
    rng = np.random.default_rng(seed)
    image = np.full((batch, height, width), 90.0)
    image[:, 3:8, 4:12] = 170
    image += rng.normal(0, 6, image.shape)
    scores = rng.random((batch, labels, height, width)) + 0.1
    scores[:, 1, 3:8, 4:12] += 0.8
    image = image.round().clip(0, 255).astype(np.uint8)
    return image, scores / scores.sum(axis=1, keepdims=True)


def softmax(x):
    shifted = np.exp(x - x.max(axis=0))
    return shifted / shifted.sum(axis=0)


def brute_force(unary, image, settings):
    """All pairs of pixels in one matrix; unary [L, h, w], image uint8 [h, w]."""
    labels, height, width = unary.shape
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(float)
    grey = image.ravel().astype(float)
    square = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    smooth = np.exp(-square / (2 * settings.gaussian_sxy**2))
    smooth *= square < math.ceil(settings.window * settings.gaussian_sxy) ** 2
    alike = (grey[:, None] - grey) ** 2 / settings.bilateral_intensity**2
    appearance = np.exp(-square / (2 * settings.bilateral_sxy**2) - alike / 2)
    appearance *= square < math.ceil(settings.window * settings.bilateral_sxy) ** 2
    energy = unary.reshape(labels, -1)
    q = softmax(-energy)
    for _ in range(settings.iterations):
        message = 0.0
        for kernel, weight in (
            (smooth, settings.gaussian_compat),
            (appearance, settings.bilateral_compat),
        ):
            root = 1 / np.sqrt(kernel.sum(axis=1))
            message = message + weight * (q @ (root[:, None] * kernel * root))
        q = softmax(message - energy)
    return q.reshape(unary.shape)


def energies(scores):
    return torch.from_numpy(-np.log(scores))


def grey(image):
    return torch.from_numpy(image).double() / 255


@pytest.mark.parametrize("window", [1e3, 1.5])
def test_equals_the_sum_over_all_pairs(window):
    image, scores = slices()
    settings = replace(WHOLE, window=window)
    found = mean_field(energies(scores), grey(image), settings)
    single = mean_field(energies(scores).float(), grey(image).float(), settings)
    for index in range(len(image)):
        expected = brute_force(-np.log(scores[index]), image[index], settings)
        np.testing.assert_allclose(found[index].numpy(), expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(single[index].numpy(), expected, rtol=0, atol=1e-5)


def test_two_pixels_by_hand():
    """Smoothness alone: K = [[1, e^-1/2], [e^-1/2, 1]], both rows sum to 1 + e^-1/2."""
    settings = CrfSettings(gaussian_sxy=1, gaussian_compat=2, bilateral_compat=0, iterations=1)
    q = torch.tensor([[[[0.8, 0.4]], [[0.2, 0.6]]]])
    found = mean_field(-q.log(), torch.zeros(1, 1, 2), settings)
    # To the left pixel: 2 (0.8 + 0.60653 * 0.4) / 1.60653 for the first label, the rest of 2 for
    # the second; exp of the difference 2 * 1.297967 - 2 times 0.8 / 0.2.
    odds = 4 * math.exp(2 * 1.2979671 - 2)
    assert float(found[0, 0, 0, 0]) == pytest.approx(odds / (1 + odds), rel=1e-5)


def test_the_default_window_is_close_to_the_whole():
    image, scores = slices(height=26, width=30)
    settings = replace(WHOLE, bilateral_sxy=3.0, iterations=1)
    whole = mean_field(energies(scores), grey(image), settings)
    cut = mean_field(energies(scores), grey(image), replace(settings, window=3.0))
    assert 0 < (whole - cut).abs().max() < 0.01


def test_labels_follow_the_edges_of_the_image():
    image, _ = slices(batch=1, height=16, width=18)
    truth = torch.zeros(1, 16, 18, dtype=torch.int64)
    truth[:, 3:8, 4:12] = 1
    loose = torch.zeros_like(truth)
    loose[:, 2:10, 3:14] = 1
    unary = unary_from_labels(loose, torch.tensor([[True, True]]), 0.7)
    settings = replace(WHOLE, gaussian_compat=0.0)
    found = mean_field(unary, grey(image).float(), settings).argmax(1)
    assert (loose != truth).sum() > 40
    assert (found != truth).sum() == 0


def test_no_iterations_give_the_unary_back():
    image, scores = slices()
    found = mean_field(energies(scores), grey(image), CrfSettings(iterations=0))
    np.testing.assert_allclose(found, scores, rtol=1e-12)


def test_slices_of_a_batch_do_not_mix():
    image, scores = slices(batch=3)
    together = mean_field(energies(scores), grey(image), WHOLE)
    alone = mean_field(energies(scores[1:2]), grey(image[1:2]), WHOLE)
    assert torch.allclose(together[1], alone[0], atol=1e-12)


def test_unary_from_labels_by_hand():
    labels = torch.tensor([[[0, 2]], [[0, 1]]])
    present = torch.tensor([[True, True, True], [True, True, False]])
    unary = unary_from_labels(labels, present, 0.7)
    right, one_of_two, other = -math.log(0.7), -math.log(0.15), -math.log(0.3)
    expected = [
        [[right, one_of_two], [one_of_two, one_of_two], [one_of_two, right]],
        [[right, other], [other, right], [math.inf, math.inf]],
    ]
    assert torch.allclose(unary[:, :, 0], torch.tensor(expected))


def test_a_slice_without_organs_is_background_for_sure():
    unary = unary_from_labels(torch.zeros(1, 5, 6).long(), torch.tensor([[True, False]]), 0.7)
    found = mean_field(unary, torch.rand(1, 5, 6), CrfSettings())
    assert (found[:, 0] == 1).all()
    assert (found[:, 1] == 0).all()


def test_scores_are_clipped_and_ruled_out():
    scores = torch.tensor([[[[0.0, 0.5]], [[0.25, 2.0]]]])
    unary = unary_from_scores(scores, torch.tensor([[True, True]]))
    by_hand = [[math.log(1e5), math.log(2)], [math.log(4), 0]]
    assert torch.allclose(unary[0, :, 0], torch.tensor(by_hand))
    gone = unary_from_scores(scores, torch.tensor([[True, False]]))
    assert torch.isinf(gone[0, 1]).all()


@pytest.mark.parametrize(
    "change", [{"iterations": -1}, {"gaussian_sxy": 0.0}, {"bilateral_intensity": -1.0},
               {"window": 0.0}],
)  # fmt: skip
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ConfigError, match="positive standard deviations"):
        CrfSettings(**change)


def test_shapes_and_probabilities_are_checked():
    with pytest.raises(ConfigError, match=r"\[2, 3, 4, 5\] and \[B, h, w\] = \[2, 5, 4\]"):
        mean_field(torch.zeros(2, 3, 4, 5), torch.zeros(2, 5, 4), CrfSettings())
    with pytest.raises(ConfigError, match=r"within \(0, 1\), got 1.0"):
        unary_from_labels(torch.zeros(1, 2, 2).long(), torch.ones(1, 2).bool(), 1.0)


@pytest.mark.parametrize("iterations", [1, 5])
def test_close_to_the_authors_code(iterations):
    """pydensecrf finds the same sums on a permutohedral lattice, which only approximates them."""
    densecrf = pytest.importorskip("pydensecrf.densecrf")
    image, _ = slices(batch=1, height=40, width=48)
    loose = torch.zeros(1, 40, 48, dtype=torch.int64)
    loose[:, 6:22, 8:40] = 1
    unary = unary_from_labels(loose, torch.tensor([[True, True]]), 0.7)
    crf = densecrf.DenseCRF2D(48, 40, 2)
    crf.setUnaryEnergy(unary.view(2, -1).numpy())
    crf.addPairwiseGaussian(sxy=3, compat=3)
    rgb = np.ascontiguousarray(np.repeat(image[0][..., None], 3, axis=2))
    crf.addPairwiseBilateral(sxy=10, srgb=20, rgbim=rgb, compat=10)
    theirs = np.array(crf.inference(iterations)).reshape(2, 40, 48)
    settings = CrfSettings(iterations=iterations, bilateral_intensity=20 / math.sqrt(3), window=1e3)
    ours = mean_field(unary, grey(image).float(), settings)[0].numpy()
    assert np.abs(ours - torch.softmax(-unary[0], 0).numpy()).mean() > 0.1  # there is much to find
    assert np.abs(ours - theirs).mean() < 0.01
    assert np.mean(ours.argmax(0) == theirs.argmax(0)) > 0.99


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_device_gives_the_same_probabilities():
    image, scores = slices()
    here = mean_field(energies(scores), grey(image), WHOLE)
    there = mean_field(energies(scores).cuda(), grey(image).cuda(), WHOLE)
    assert there.is_cuda
    assert torch.allclose(here, there.cpu(), atol=1e-10)
