import pytest
import torch

from camzoo.core.errors import ConfigError
from camzoo.refine.confidence import (
    UNKNOWN,
    ConfidenceSettings,
    alpha_scores,
    confident_labels,
    labels_from_alphas,
)
from camzoo.refine.crf import CrfSettings

PLAIN = CrfSettings(iterations=0)
SHARP = CrfSettings(iterations=5, gaussian_compat=0, bilateral_sxy=4, bilateral_intensity=10)


def one_row(*maps):
    """Maps [1, C, 1, w] of one row each, and a slice of zeros under them."""
    planes = torch.tensor(maps)[None, :, None]
    return planes, torch.zeros(1, 1, planes.shape[-1])


def test_two_thresholds_by_hand():
    maps, image = one_row([0.0, 0.5, 0.6, 0.8, 0.81, 0.9], [0.0, 0.1, 0.2, 0.3, 0.85, 0.2])
    settings = ConfidenceSettings(foreground_crf=PLAIN)
    labels = confident_labels(maps, torch.ones(1, 2), image, settings)
    assert labels.dtype == torch.uint8
    # A map at the threshold is background: 0.5 is at or below the low one, 0.8 not above the high.
    assert labels.flatten().tolist() == [0, 0, UNKNOWN, UNKNOWN, 2, 1]


def scene():
    """Two slices 20 x 26 with a bright organ, and maps that spill over its edge."""
    image = torch.full((2, 20, 26), 0.3)
    image[:, 6:14, 8:18] = 0.8
    maps = torch.zeros(2, 2, 20, 26)
    maps[:, 1, 4:16, 6:20] = 0.6
    maps[:, 1, 5:12, 7:16] = 0.9
    maps[1] = 0
    return maps, torch.tensor([[0.0, 1.0], [0.0, 0.0]]), image


def test_the_crf_draws_confident_labels_to_the_edges():
    maps, tags, image = scene()
    settings = ConfidenceSettings(foreground_crf=SHARP, background_crf=SHARP)
    labels = confident_labels(maps, tags, image, settings)
    organ = image[0] > 0.5
    assert (labels[0][organ] == 2).all()
    assert (labels[0][~organ] == 0).all()
    plain = ConfidenceSettings(foreground_crf=PLAIN)
    coarse = confident_labels(maps, tags, image, plain)
    assert set(coarse[0].unique().tolist()) == {0, 2, UNKNOWN}


def test_a_slice_without_organs_is_background():
    maps, tags, image = scene()
    for crf in (PLAIN, SHARP):
        settings = ConfidenceSettings(foreground_crf=crf, background_crf=crf)
        assert (confident_labels(maps, tags, image, settings)[1] == 0).all()


def test_classes_that_are_absent_never_win():
    """Class 1 is not in the slice: whatever the CRF does, only 0, 2 and the rest come out."""
    maps, tags, image = scene()
    noise = torch.rand(image.shape, generator=torch.Generator().manual_seed(0))
    labels = confident_labels(maps, tags, noise, ConfidenceSettings())
    assert set(labels.unique().tolist()) <= {0, 2, UNKNOWN}


def test_alpha_scores_by_hand():
    maps, image = one_row([0.5, 0.2], [0.1, 0.0])
    scores = alpha_scores(maps, torch.ones(1, 2), image, alpha=2, crf=PLAIN)[0, :, 0]
    expected = torch.tensor([[0.25, 0.5, 0.1], [0.64, 0.2, 1e-5]]).T
    assert torch.allclose(scores, expected / expected.sum(0), atol=1e-6)


def test_alphas_by_hand():
    low = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0], [0.0, 0.0, 0.0]])
    high = torch.tensor([[0.2, 0.8, 0.0], [0.4, 0.6, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 0.0]])
    labels = labels_from_alphas(low.T[None, :, None], high.T[None, :, None])
    # Organ in both; neither sure; the sure background outvotes the organ; outside the slice.
    assert labels.flatten().tolist() == [1, UNKNOWN, 0, UNKNOWN]


def test_two_alphas_nest():
    """The small alpha's organ lies within the large one's; in between nothing is sure."""
    ramp = torch.linspace(0, 1, 40)
    maps, image = one_row(ramp.tolist())
    low, high = (alpha_scores(maps, torch.ones(1, 1), image, alpha=a, crf=PLAIN) for a in (1, 8))
    labels = labels_from_alphas(low, high).flatten().tolist()
    first_unsure, first_organ = labels.index(UNKNOWN), labels.index(1)
    assert labels == [0] * first_unsure + [UNKNOWN] * (first_organ - first_unsure) + [1] * (
        40 - first_organ
    )
    assert first_organ == 20  # 1 - x = x at one half
    assert 5 < first_unsure < 10  # (1 - x)^8 = x at 0.19


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match=r"got 0.6 and 0.4"):
        ConfidenceSettings(foreground=0.4, background=0.6)
    maps, image = one_row([0.5])
    with pytest.raises(ConfigError, match="alpha of the background score must be positive, got 0"):
        alpha_scores(maps, torch.ones(1, 1), image, alpha=0, crf=PLAIN)
