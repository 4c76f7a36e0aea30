from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.affinitynet import AffinityNet, AffinityNetBaseline
from torch import nn

from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.objectives import LabelLoss
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.refine.affinity_loss import affinity_loss
from camzoo.refine.pair_affinity import affinity_from_features
from camzoo.segment.base import clear_absent
from camzoo.segment.maps import cut_maps
from tests.baselines.scenes import best_dice, spilt_maps
from tests.baselines.tiny import tiny_classifier
from tests.refine.test_affinity import scenes
from tests.segment.toy import toy_context

BARE = BackboneConfig(name="resnet10t", weights="none", frozen=0)
RECIPE = TrainingConfig(
    epochs=10, batch=4, crop=64, resize=(64, 64), lr=0.03, head_factor=1.0, momentum=0.9,
    precision="fp32",
)  # fmt: skip
CPU = torch.device("cpu")


def pooled(truth):
    """Labels on the grid of the features, where a cell has only one; else UNKNOWN."""
    planes = F.one_hot(torch.from_numpy(truth).long()).movedim(-1, 1).float()
    share, label = F.avg_pool2d(planes, 8).max(dim=1)
    return torch.where(share > 0.9, label, UNKNOWN).numpy().astype(np.uint8)


def test_affinities_are_larger_within_a_region_than_across(tmp_path):
    slices, truth = scenes(count=16)
    network = AffinityNet(build_classifier(BARE, 2, seed=0), seed=0)
    objective = LabelLoss(
        network, pooled(truth), Augmentation.of(RECIPE, sided=False), RECIPE.precision, 8,
        lambda features, labels, _: affinity_loss(affinity_from_features(features, 4), labels),
    )  # fmt: skip
    history = minimise(
        objective, network, slices, sgd(RECIPE), seed=0, device=CPU, checkpoint=tmp_path / "c"
    ).epochs
    assert history[-1].loss < 0.7 * history[0].loss
    slices, truth = scenes(count=4, seed=1)
    with torch.no_grad():
        features = network.eval()(slices.images(slice(None)).float() / 255)
    affinity = affinity_from_features(features, 3)
    labels = torch.from_numpy(pooled(truth))
    within, across = [], []
    for dy, dx in ((0, 1), (1, 0), (0, 2), (2, 0)):
        plane = affinity.values[:, affinity.offsets.index((dy, dx)), : 8 - dy, : 8 - dx]
        first, second = labels[:, : 8 - dy, : 8 - dx], labels[:, dy:, dx:]
        known = (first != UNKNOWN) & (second != UNKNOWN)
        within.append(plane[known & (first == second)])
        across.append(plane[known & (first != second)])
    assert torch.cat(within).mean() > torch.cat(across).mean() + 0.2


class Halves(nn.Module):
    """Features of a slice whose left half is unlike the right one."""

    def forward(self, grey):
        features = torch.zeros(len(grey), 1, grey.shape[1] // 8, grey.shape[2] // 8)
        features[..., features.shape[-1] // 2 :] = 20
        return features


def test_maps_walk_within_a_region_and_not_across():
    maps = torch.zeros(1, 2, 16, 16)
    maps[0, 0, 6:10, :4] = 1  # in the left half alone; the second organ is absent
    shares = AffinityNetBaseline().walk(Halves(), maps, torch.rand(1, 64, 64), precision="fp32")
    assert shares.shape == maps.shape
    assert (shares[0, 0, :, :7] > 0.05).all()
    assert (shares[0, 0, :, 9:] < 1e-6).all()
    assert (shares[0, 1] == 0).all()


def test_shares_of_a_single_region_in_the_end_are_those_of_the_means():
    """All affinities are 1: organ and background become constant, weighted by neighbours."""
    flat = Halves()
    flat.forward = lambda grey: torch.zeros(len(grey), 1, 2, 2)
    maps = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    shares = AffinityNetBaseline(walk_alpha=2.0).walk(
        flat, maps, torch.rand(1, 16, 16), precision="fp32"
    )
    organ, background = 1.5 / 4, (0 + 0.25 + 1 + 1) / 4  # each cell neighbours all others
    expected = torch.full_like(shares, organ / (organ + background))
    torch.testing.assert_close(shares, expected)


def test_maps_that_spill_over_walk_back_along_learnt_affinities(tmp_path):
    """Learnt from maps, cut where the paper does: where the organ beats the background.

    Over affinities of a network that has learnt nothing the same walk makes the maps worse.
    """
    slices, truth = scenes(count=8)
    twice = np.ones((1, 2, 2), np.uint8)  # organs of four to six cells, not two or three
    slices, fine = replace(slices, store=np.kron(slices.store, twice)), np.kron(truth, twice)
    maps = spilt_maps(fine, spill=41)
    asked = []
    context = toy_context(tmp_path, side=64)
    context = replace(
        context, train=slices, val=slices, maps=lambda name: maps, val_maps=lambda name: maps,
        threshold=lambda planes: asked.append(planes.numpy()) or 0.5, classifier=tiny_classifier(),
        config=context.config.changed({"training": RECIPE.model_dump()}),
    )  # fmt: skip
    baseline = AffinityNetBaseline(radius=13.0, beta=4.0, exp_times=5, epochs=20, batch=4)
    labels = baseline.pseudo_masks(context)
    (walked,) = asked
    assert best_dice(walked, fine) > best_dice(maps.maps, fine) + 0.05
    fresh = AffinityNet(context.classifier, seed=0).eval()
    unlearnt = baseline._walked(fresh, maps, slices, context).maps
    assert best_dice(unlearnt, fine) < best_dice(maps.maps, fine)
    assert walked.shape == (8, 2, 32, 32)
    assert ((walked >= 0) & (walked <= 1)).all()
    assert np.array_equal(labels, cut_maps(walked, 0.5, 64))  # training slices walk, too
    assert np.array_equal(labels, clear_absent(labels, slices))
    agreement = (labels == truth)[truth > 0].mean(), (labels == truth)[truth == 0].mean()
    assert min(agreement) > 0.8
    assert (tmp_path / "affinities.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low_alpha": 0.0}, "0 < low_alpha < high_alpha and walk_alpha > 0, got 0.0, 4.0 and 2.0"),
        ({"low_alpha": 4.0}, "0 < low_alpha < high_alpha .*got 4.0, 4.0 and 2.0"),
        ({"walk_alpha": 0.0}, "walk_alpha > 0, got 0.5, 4.0 and 0.0"),
        ({"radius": 0.0}, "radius > 0.*got 0.0, 8.0, 8, 8 and 8"),
        ({"beta": 0.0}, "beta > 0.*got 5.0, 0.0, 8, 8 and 8"),
        ({"exp_times": -1}, "exp_times >= 0.*got 5.0, 8.0, -1, 8 and 8"),
        ({"epochs": 0}, "epochs >= 1.*got 5.0, 8.0, 8, 0 and 8"),
        ({"batch": 0}, "batch >= 1.*got 5.0, 8.0, 8, 8 and 0"),
    ],
)
def test_what_it_cannot_use_is_refused(change, message):
    AffinityNetBaseline(exp_times=0)
    with pytest.raises(ConfigError, match=f"affinitynet: expected.*{message}"):
        AffinityNetBaseline(**change)


@pytest.mark.parametrize(
    ("name", "changes", "widths"),
    [
        ("resnet50", {}, [512, 1024, 2048]),
        ("mobilenetv2_100", {}, [32, 96, 320]),
        ("mobilenetv2_100", {"stages": (4,)}, [24, 32, 96]),
        ("mobilenetv2_100", {"stages": (3, 5), "channels": 1}, [32, 96, 320]),
        ("convnext_atto", {}, [80, 160, 320]),
    ],
)
def test_the_last_three_stages_of_any_trunk_at_stride_8(name, changes, widths):
    config = BackboneConfig(name=name, weights="none", frozen=0, **changes)
    network = AffinityNet(build_classifier(config, 2, seed=0), seed=0).eval()
    assert [layer.in_channels for layer in network.squeeze] == widths
    features = network(torch.rand(2, 64, 96))
    assert features.shape == (2, 448, 8, 12)
    features.mean().backward()
    learn = {n.split(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert learn == {"_classifier", "squeeze", "mix"}
