import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the field's name for it
from scipy.stats import entropy as scipy_entropy

from camzoo.core.errors import ConfigError
from camzoo.core.protocol import Protocol
from camzoo.metrics.evidence import GREYS, gather
from camzoo.metrics.threshold_rules.base import Needs, ThresholdRule, suitability
from camzoo.metrics.threshold_rules.frozen import FROZEN
from camzoo.metrics.threshold_rules.registry import rules

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 20))
#: Where the organ of the scene ends, on its map.
EDGE = 0.4


def scene(noise=0.02, shape=(60, 80)):
    """A bright ellipse in grey surroundings; its map falls evenly from 1 in the middle to 0.

    The map is :data:`EDGE` where the ellipse ends.
    """
    y, x = np.mgrid[: shape[0], : shape[1]]
    radius = np.hypot((y - 30) / 26, (x - 38) / 34)
    maps = np.clip(1 - radius, 0, 1).astype(np.float32)
    grey = np.where(1 - radius > EDGE, 0.7, 0.4)
    grey = grey + noise * np.random.default_rng(0).standard_normal(shape)
    return maps, grey.clip(0, 1)


def looked_at(maps, grey):
    return gather(maps[None, None], grey[None], THRESHOLDS)


def best(name, evidence):
    (scores,) = suitability(rules.get(name)(), evidence)
    return THRESHOLDS[int(scores.argmax())]


def test_there_are_rules_that_look_at_maps_at_images_and_at_the_classifier():
    needs = [rules.get(name).needs for name in rules]
    assert len(needs) >= 6
    assert set(needs) == set(Needs)


@pytest.mark.parametrize("name", list(rules))
def test_every_rule_answers_for_every_organ_and_says_where_it_is_from(name):
    maps, grey = scene()
    evidence = gather(np.stack([maps, 0 * maps])[None], grey[None], THRESHOLDS)
    scores = np.linspace(0, 1, len(THRESHOLDS)) * np.ones((1, 2, 1))
    found = suitability(rules.get(name)(), evidence.scored(scores, 1 - scores))
    assert found.shape == (2, len(THRESHOLDS))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1]).all()  # no map, nothing to say
    assert rules.get(name).paper
    assert issubclass(rules.get(name), ThresholdRule)


@pytest.mark.parametrize("name", [n for n in rules if rules.get(n).needs is Needs.IMAGES])
def test_rules_that_see_the_image_find_where_the_organ_ends(name):
    assert best(name, looked_at(*scene())) == pytest.approx(EDGE, abs=0.051)


def test_the_frozen_rule_is_the_one_that_the_protocol_names():
    assert f"`{FROZEN.name}`" in Protocol.MASK_FREE.meaning
    assert FROZEN.name in rules


def test_fixed_is_one_half():
    assert best("fixed", looked_at(*scene())) == 0.5


def test_otsu_parts_values_where_simpleitk_does():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(0.3, 0.05, 900), rng.normal(0.75, 0.05, 300)])
    maps = values.clip(0.06, 0.99).reshape(30, 40)
    bins = sitk.OtsuThresholdImageFilter()
    bins.SetNumberOfHistogramBins(190)
    bins.Execute(sitk.GetImageFromArray(maps))
    assert best("otsu", looked_at(maps, 0 * maps)) == pytest.approx(bins.GetThreshold(), abs=0.051)


def brute(maps, grey, score):
    """Best threshold by a score of the grey values inside and outside."""
    return THRESHOLDS[int(np.argmax([score(grey[maps > t], grey[maps <= t]) for t in THRESHOLDS]))]


def test_variance_is_that_of_um_cam():
    maps, grey = scene(noise=0.1)
    found = brute(maps, grey, lambda inside, outside: -(inside.var() + outside.var()) / 2)
    assert best("variance", looked_at(maps, grey)) == found


def test_variance_by_hand():
    """Grey 0.2, 0.2, 0.8, 0.8; the mask has the last, then the last two: 0.08 / 2, and 0."""
    maps, grey = np.array([[0.1, 0.3, 0.5, 0.7]]), np.array([[0.2, 0.2, 0.8, 0.8]])
    evidence = gather(maps[None, None], grey[None], (0.4, 0.6))
    (found,) = rules.get("variance")().goodness(evidence)[0]
    step = np.diff(np.floor(np.array([0.2, 0.8]) * GREYS))[0] / GREYS
    outside = step**2 * 2 / 9  # of two equal values and a third one
    np.testing.assert_allclose(found, [0, -outside / 2 / (step**2 / 4)], atol=1e-9)


def test_information_is_what_entropies_leave():
    """H(mask) + H(grey) - H(mask, grey), each by scipy from counts."""
    maps, grey = scene(noise=0.1)
    found = rules.get("information")().goodness(looked_at(maps, grey))[0, 0]
    bins = np.minimum((grey * GREYS).astype(int), GREYS - 1).ravel()
    pairs = [
        np.histogram2d((maps > t).ravel(), bins, ((0, 0.5, 1), np.arange(GREYS + 1)))[0]
        for t in THRESHOLDS
    ]
    expected = [
        scipy_entropy(p.sum(1)) + scipy_entropy(p.sum(0)) - scipy_entropy(p.ravel()) for p in pairs
    ]
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_entropy_is_that_of_both_groups():
    maps, grey = scene()
    found = rules.get("entropy")().goodness(looked_at(maps, grey))[0, 0]
    counts = -np.diff([*((maps > t).sum() for t in THRESHOLDS), 0])
    expected = [scipy_entropy(counts[:k]) + scipy_entropy(counts[k:]) for k in range(1, 19)]
    np.testing.assert_allclose(found[1:], expected, atol=1e-9)
    assert np.isnan(found[0])  # nothing lies below the lowest


def test_contrast_by_hand():
    """The mask, two pixels of 0.8, stands beside the next two, of 0.2 and 0.4."""
    maps = np.array([[0.9, 0.9, 0.5, 0.3, 0.1, 0.1]])
    grey = np.array([[0.8, 0.8, 0.2, 0.4, 0.4, 0.4]])
    evidence = gather(maps[None, None], grey[None], (0.2, 0.4, 0.6))
    found = rules.get("contrast")().goodness(evidence)[0, 0, 2]
    centres = (np.floor(grey * GREYS) + 0.5) / GREYS
    assert found == pytest.approx((centres[0, 0] - centres[0, 2:4].mean()) / centres.std())


def test_edges_by_hand():
    """Grey 0, 0.5, 0.5: at 0.4 the outline passes the step, at 0.6 it does not."""
    evidence = gather(
        np.array([[[[0.1, 0.5, 0.9]]]]), np.array([[[0.0, 0.5, 0.5]]]), (0.4, 0.6, 0.95)
    )
    found = rules.get("edges")().goodness(evidence)[0, 0]
    assert found[0] == pytest.approx(0.5 / np.std([0, 0.5, 0.5]))
    assert found[1] == 0
    assert np.isnan(found[2])


def test_stability_by_hand():
    """Sizes 4, 3, 3, 1: 1 / 3 of the size is lost around the second, 2 / 3 around the third."""
    evidence = gather(
        np.array([[[[0.15, 0.35, 0.35, 0.9]]]]), np.zeros((1, 1, 4)), (0.1, 0.2, 0.3, 0.4)
    )
    found = rules.get("stability")().goodness(evidence)[0, 0]
    np.testing.assert_allclose(found, [np.nan, -1 / 3, -2 / 3, np.nan])


def test_agreement_asks_for_the_classifier():
    evidence = looked_at(*scene())
    with pytest.raises(ConfigError, match="it was not asked"):
        suitability(rules.get("agreement")(), evidence)
    kept, lost = np.linspace(1, 0, 19), np.linspace(0.9, 0.2, 19) ** 2
    assert (
        best("agreement", evidence.scored(kept[None, None], lost[None, None]))
        == THRESHOLDS[int((kept - lost).argmax())]
    )


class Said(ThresholdRule):
    """What a test says."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, float)

    def goodness(self, evidence):
        return self.scores


def test_what_is_not_said_is_as_bad_as_the_worst_and_silent_slices_do_not_count():
    maps = np.zeros((3, 1, 1, 2))
    maps[:, :, :, 0] = 0.9
    evidence = gather(maps, np.zeros((3, 1, 2)), (0.3, 0.6))
    scores = [[[1, np.nan]], [[3, 5]], [[np.nan, np.nan]]]
    assert suitability(Said(scores), evidence).tolist() == [[2, 3]]
