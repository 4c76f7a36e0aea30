from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.affinitynet import AffinityNet, AffinityNetBaseline
from torch import nn

from camzoo.backbone import build_classifier
from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.data.labels import UNKNOWN
from camzoo.refine.affinity_loss import affinity_loss
from camzoo.refine.label_loss import LabelLoss
from camzoo.refine.pair_affinity import affinity_from_features
from camzoo.segment.base import clear_absent
from camzoo.training import minimise
from tests.baselines.scenes import spilt_maps
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
        network, pooled(truth), RECIPE, 8,
        lambda features, labels: affinity_loss(affinity_from_features(features, 4), labels),
    )  # fmt: skip
    history = minimise(
        objective, network, slices, RECIPE, seed=0, device=CPU, checkpoint=tmp_path / "c"
    )
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


def test_pseudo_masks_of_maps_that_spill_over(tmp_path):
    """Learnt from maps, cut where the paper does: where the organ beats the background."""
    slices, truth = scenes(count=16)
    maps = spilt_maps(truth, spill=13)
    asked = []
    context = toy_context(tmp_path, side=64)
    context = replace(
        context, train=slices, val=slices, maps=lambda name: maps, val_maps=lambda name: maps,
        threshold=lambda planes: asked.append(planes) or 0.5,
        config=context.config.changed({"training": RECIPE.model_dump()}),
    )  # fmt: skip
    labels = AffinityNetBaseline(epochs=10, batch=4, walk_alpha=2.0, exp_times=3).pseudo_masks(
        context
    )
    assert labels.shape == truth.shape
    assert asked[0].shape == (16, 2, 32, 32)
    assert ((asked[0] >= 0) & (asked[0] <= 1)).all()
    assert np.array_equal(labels, clear_absent(labels, slices))
    agreement = (labels == truth)[truth > 0].mean(), (labels == truth)[truth == 0].mean()
    assert min(agreement) > 0.8
    assert (tmp_path / "affinities.safetensors").exists()


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
