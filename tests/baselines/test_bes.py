import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.bes import (
    BACKGROUND,
    BOUNDARY,
    ORGAN,
    AttentionLoss,
    Bes,
    _walked,
    attended,
    boundary_labels,
    boundary_loss,
    odd,
)

from camzoo.cams.map_arrays import MapArrays
from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.errors import ConfigError, DataError
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.refine.affinity import boundary_objective
from camzoo.refine.boundary import BoundaryNet, find_edges
from camzoo.segment.maps import cut_maps
from tests.baselines.scenes import best_dice, spilt_maps
from tests.baselines.tiny import tiny_classifier
from tests.refine.test_affinity import boundaries, network, scenes
from tests.segment.toy import toy_context
from tests.toy import toy_slices

CPU = torch.device("cpu")
B, R, E, U = BACKGROUND, ORGAN, BOUNDARY, UNKNOWN  # R: region of an organ


def columns(*labels, height=9):
    return torch.tensor([[list(labels)] * height], dtype=torch.uint8)


def middle(labels, organs=1, window=7, share=0.3, margin=0.1):
    found = boundary_labels(labels, organs, window, share=share, margin=margin)
    assert found.dtype == torch.uint8
    assert found.shape == labels.shape
    return found[0, 4].tolist()


def test_a_straight_boundary_by_hand():
    """Columns of a 7-window around 12 columns, half background, half organ.

    Around column 5 there are 4 of background and 3 of organ: 4/7 - 3/7 = 1/7, one column. Around
    column 4 they are 5 and 2: 2/7 is no share of 0.3, and 5/7 above 0.6 with 3/7 between them is
    background. At the rim the window is cut: around column 0 there are 4 columns of background.
    """
    labels = columns(*[0] * 6, *[1] * 6)
    assert middle(labels) == [B, B, B, B, B, E, E, R, R, R, R, R]


def test_unknown_pixels_count_in_the_window():
    """Three columns of each with an unknown one between: 3/7 both. With a belt of three: 2/7."""
    assert middle(columns(*[0] * 6, U, *[1] * 6))[6] == E
    belt = middle(columns(*[0] * 6, U, U, U, *[1] * 6))
    assert belt[5:10] == [U, U, U, U, U]
    assert belt[4] == B  # 5/7 of background, none of the organ
    assert E not in belt


def test_two_organs_have_a_boundary_and_are_no_background():
    """With 13 pixels, 6 and 7 columns of two organs: 1/13 apart, as the paper's margin has it."""
    labels = columns(*[1] * 10, *[2] * 10, height=15)
    found = boundary_labels(labels, 2, 13, share=0.3, margin=0.1)[0, 7].tolist()
    # Around column 7 there are 9 and 4 columns: 9/13 organ against no background.
    assert found == [R] * 9 + [E] * 2 + [R] * 9
    one = boundary_labels(labels.clamp(max=1), 2, 13, share=0.3, margin=0.1)
    assert (one == ORGAN).all()


def test_windows_shrink_with_the_slices_and_stay_odd():
    assert [odd(13 * side / 512) for side in (512, 256, 128, 64)] == [13, 7, 3, 3]


def test_the_loss_by_hand():
    """p = 3/4 in all four pixels: background, organ, boundary, unknown; a mean per kind."""
    logits = torch.full((1, 1, 4), math.log(3.0), requires_grad=True)
    labels = torch.tensor([[[B, R, E, U]]])
    loss = boundary_loss(logits, labels, None)
    expected = (math.log(4) + math.log(4)) / 2 + math.log(4 / 3) * math.sqrt(0.75)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    # d(-log p)/dlogit = -(1 - p), times the root of p that has no gradient of its own.
    assert logits.grad[0, 0, 2].item() == pytest.approx(-0.25 * math.sqrt(0.75), abs=1e-6)
    assert logits.grad[0, 0, 3] == 0
    nothing = boundary_loss(logits, torch.full((1, 1, 4), U), None)
    assert nothing.item() == 0


def test_attention_by_hand():
    """softmax(k F) of (0, ln 3 / k) is (1/4, 3/4): times two places, weights 1/2 and 3/2."""
    features = torch.tensor([[[[0.0, math.log(3) / 2]], [[1.0, 1.0]]]], requires_grad=True)
    pooled = attended(features, 2.0)
    torch.testing.assert_close(
        pooled, torch.tensor([[[[0.0, 1.5 * math.log(3) / 2]], [[1.0, 1.0]]]])
    )
    pooled.sum().backward()  # the weights have no gradient
    torch.testing.assert_close(features.grad, torch.tensor([[[[0.5, 1.5]], [[1.0, 1.0]]]]))
    assert torch.equal(attended(features, 0.0), features)
    with pytest.raises(ConfigError, match=r"\[B, K, h, w\], got \[2, 5, 3\]"):
        attended(torch.zeros(2, 5, 3), 1.0)


def test_low_precision_does_not_round_attention_away():
    """Weights within a few thousandths of 1 would all be 1 in bfloat16."""
    features = torch.tensor([[[[0.0, 2.0, 4.0, 2.0]]]], dtype=torch.bfloat16)
    expected = attended(features.double().float(), 1e-3).mean()
    assert expected > features.float().mean() + 1e-3
    assert attended(features, 1e-3).mean() == pytest.approx(expected.item(), abs=1e-6)


def test_without_attention_the_classifier_pools_as_ever():
    ranges = Augmentation(64, (64, 64))
    backbone = BackboneConfig(name="resnet10t", weights="none", frozen=0)
    classifier = build_classifier(backbone, 2, seed=0).eval()
    classifier.head.weight.data *= 100
    slices = toy_slices(4)
    grey, tags = slices.images(slice(None)).float() / 255, slices.tag_tensor(slice(None))

    def logits(sharpness):
        loss = AttentionLoss(classifier, ranges, "fp32", sharpness)
        value, out = loss(grey, np.arange(4), tags, torch.Generator().manual_seed(0))
        assert value.item() == pytest.approx(F.binary_cross_entropy_with_logits(out, tags).item())
        return out

    torch.testing.assert_close(logits(0.0), classifier(classifier.normalise(grey)))
    assert not torch.allclose(logits(5.0), logits(0.0), atol=1e-3)


def test_the_boundary_score_peaks_at_edges_of_unseen_slices(tmp_path):
    slices, truth = scenes(count=16)
    labels = boundary_labels(torch.from_numpy(truth), 2, 7, share=0.3, margin=0.1).numpy()
    recipe = TrainingConfig(
        epochs=12, batch=4, crop=64, resize=(64, 64), lr=0.02, head_factor=1.0, momentum=0.9,
        precision="fp32",
    )  # fmt: skip
    net = network()
    loss = boundary_objective(net, labels, recipe, boundary_loss)
    history = minimise(
        loss, net, slices, sgd(recipe), seed=0, device=CPU, checkpoint=tmp_path / "c"
    ).epochs
    assert history[-1].loss < 0.7 * history[0].loss
    slices, truth = scenes(count=4, seed=1)
    edges = find_edges(net, slices.images(slice(None)).float() / 255, precision="fp32")
    near, far = boundaries(truth)
    assert edges[near].mean() > edges[far].mean() + 0.3


def test_the_last_crf_gives_pixels_the_label_of_their_grey_level(tmp_path):
    """Two grey levels far apart: the CRF joins pixels of one level, and only those.

    Labels that are a column off are drawn back to the edge of the square. One round, as is the
    default, is not enough at the edge itself: 27 % of the weight there is that of its own column.
    """
    images = np.full((4, 64, 64), 100, np.uint8)
    images[:, 16:40, 20:36] = 250
    truth = (images == 250).astype(np.uint8)
    moved = np.roll(truth, 1, axis=2)
    moved[0, 50:53, 50:53] = 2  # an organ that the tags of the slice exclude
    tags = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.uint8)
    moved[2] *= 2
    slices = replace(toy_slices(4), store=images, tags=tags)
    context = replace(toy_context(tmp_path), train=slices)
    given = moved.copy()
    smooth = Bes(crf_iterations=5)._smooth(moved, context)
    expected = truth * np.array([1, 1, 2, 0], np.uint8)[:, None, None]
    expected[3] = moved[3]  # a slice without organs is left to those who clear it
    np.testing.assert_array_equal(smooth, expected)
    np.testing.assert_array_equal(moved, given)
    once = Bes()._smooth(moved, context)
    assert (given[:3] != expected[:3]).sum() > (once[:3] != expected[:3]).sum() > 0


def test_maps_without_a_boundary_are_named(tmp_path):
    """Thresholds far apart leave a belt of unknown pixels that no window reaches across."""
    slices = toy_slices(8)
    ramp = torch.linspace(0, 1, 16).expand(8, 2, 16, 16).numpy().astype(np.float16)
    maps = MapArrays(ramp, np.zeros((8, 2), np.uint8), np.ones((8, 2), np.float32))
    baseline = Bes(foreground=0.9, background=0.1)
    settings = baseline._settings(64, precision="fp32")
    context = replace(toy_context(tmp_path), train=slices)
    with pytest.raises(DataError, match=r"no window of 3 pixels .* in any of 8 slices"):
        baseline._boundary_labels(maps.maps, slices, settings.confidence, context)


def test_maps_that_spill_over_walk_back_to_explored_boundaries(tmp_path, monkeypatch):
    """Up to boundaries that nobody has learnt the same walk makes the maps worse."""
    slices, truth = scenes(count=16)
    maps = spilt_maps(truth)
    asked = []
    context = replace(
        toy_context(tmp_path, side=64), train=slices, val=slices, classifier=tiny_classifier(),
        threshold=lambda planes: asked.append(planes.numpy()) or 0.5,
    )  # fmt: skip
    monkeypatch.setattr("camzoo_baselines.bes.own_maps_of_both", lambda *_, **__: (maps, maps))
    monkeypatch.setattr(Bes, "_classifier", lambda _, context: context.classifier)
    baseline = Bes(foreground=0.4, background=0.4, epochs=80)
    labels = baseline.pseudo_masks(context)
    (walked,) = asked
    assert best_dice(walked, truth) > best_dice(maps.maps, truth) + 0.02
    fresh = BoundaryNet(context.classifier, seed=0)
    settings = baseline._settings(64, precision="fp32")
    unlearnt = _walked(fresh, maps, slices, settings, context).maps
    assert best_dice(unlearnt, truth) < best_dice(maps.maps, truth)
    expected = baseline._smooth(cut_maps(walked, 0.5, 64), context)  # training slices walk, too
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sharpness": -1.0}, "bes: expected sharpness >= 0.*got -1.0, 13.0, 0.3, 0.1 and 6"),
        ({"window": 0.0}, "window > 0.*got 0.001, 0.0, 0.3"),
        ({"share": 0.0}, "0 < share < 0.5.*got 0.001, 13.0, 0.0"),
        ({"share": 0.5}, "0 < share < 0.5.*got 0.001, 13.0, 0.5"),
        ({"margin": -0.1}, "margin >= 0.*0.3, -0.1 and 6"),
        ({"epochs": 0}, "epochs >= 1.*0.3, 0.1 and 0"),
        ({"foreground": 0.4}, "background must lie below .*got 0.5 and 0.4"),
        ({"foreground": 1.1}, r"both on \[0, 1\]; got 0.5 and 1.1"),
        ({"background": -0.1}, r"both on \[0, 1\]; got -0.1 and 0.5"),
        ({"beta": 0.0}, "beta of the affinities must be positive .*got 0.0 and 4"),
        ({"exp_times": -1}, "exp_times 0 or more, got 5.0 and -1"),
        ({"crf_iterations": -1}, r"a CRF needs iterations of 0 or more.*iterations=-1"),
    ],
)
def test_what_it_cannot_use_is_refused(change, message):
    Bes(sharpness=0.0, margin=0.0, exp_times=0, crf_iterations=0)
    with pytest.raises(ConfigError, match=message):
        Bes(**change)
