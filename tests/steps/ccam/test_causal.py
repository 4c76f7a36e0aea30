import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig, MapsConfig, TrainingConfig
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.registries import cams
from camzoo.steps.ccam.category import CategoryAttention
from camzoo.steps.ccam.causal import CausalCam, CausalClassifier, CausalLoss, Strength, numbered
from tests.toy import toy_slices

BACKBONE = BackboneConfig(name="resnet10t", weights="none", frozen=0)
CPU = torch.device("cpu")
GRID = 16


def network(classes=2):
    classifier = build_classifier(BACKBONE, classes, seed=0)
    return CausalClassifier(classifier, CategoryAttention(GRID, 4, seed=0), seed=0)


def maps_of(method, classifier, slices, config):
    arrays = MapArrays.empty(len(slices), len(slices.organs), config.size)
    make_maps(
        classifier, {"": method}, slices, config, {"": arrays},
        layer=None, precision="fp32",
    )  # fmt: skip
    return arrays


def test_the_added_channel_is_a_channel_of_the_head():
    """Logit and map are those of a head on the features with M_c beside them (eq. 3)."""
    causal = network().eval()
    with torch.no_grad():
        causal.weight.copy_(torch.tensor([0.7, -0.4]))
    images = torch.rand(3, 3, 64, 96)
    coarse = torch.randint(0, 3, (3, GRID, GRID))
    context = F.interpolate(torch.rand(3, 2, 2, 2), size=(GRID, GRID), mode="bilinear")
    with torch.no_grad():
        logits = causal(images, coarse, context)
        view = Viewer(causal.classifier.model)(images)
        shares = causal.attention(coarse, context)
        blended = (shares[:, :, None, None] * context).sum(1)
        small = F.interpolate(
            blended[:, None], size=view.features.shape[2:], mode="bilinear", antialias=True
        )
        features = torch.cat([view.features, small], dim=1)
        head = torch.cat([causal.classifier.head.weight.flatten(1), causal.weight[:, None]], dim=1)
        maps = torch.einsum("ck,bkhw->bchw", head, features)
        method = CausalCam(cams.get("cam")(), causal.weight, torch.eye(3), blended, aligned=True)
        torch.testing.assert_close(method(view), maps)
        # Pooling M_c on its own grid or on that of the features is the same up to the resizing.
        torch.testing.assert_close(maps.mean((2, 3)), logits, atol=0.02, rtol=0)


@pytest.mark.parametrize("flip", ["always", "never"])
def test_without_weight_the_maps_are_those_of_the_classifier_bit_for_bit(flip):
    slices = toy_slices()
    config = MapsConfig(side=64, scales=(1.0, 1.5), size=32, flip=flip, batch=8)
    classifier = build_classifier(BACKBONE, 2, seed=0)
    plain = maps_of(cams.get("cam")(), classifier, slices, config)
    prior = torch.rand(len(slices), GRID, GRID)
    off = CausalCam(cams.get("cam")(), torch.zeros(2), torch.eye(len(prior)), prior, aligned=True)
    causal = maps_of(off, classifier, slices, config)
    assert np.array_equal(plain.maps, causal.maps)
    assert np.array_equal(plain.peak, causal.peak)
    assert off.ratio == [0.0, 0.0]


@pytest.mark.parametrize("aligned", [True, False])
def test_a_mirrored_view_gets_a_mirrored_prior_where_it_is_aligned(aligned):
    """On a black map only the prior is left: once, or with its mirror image."""
    slices = toy_slices(count=4)
    prior = torch.zeros(4, GRID, GRID)
    prior[:, :, :4] = 1
    classifier = build_classifier(BACKBONE, 2, seed=0)
    torch.nn.init.zeros_(classifier.head.weight)
    config = MapsConfig(side=64, scales=(1.0,), size=GRID, flip="always")
    method = CausalCam(
        cams.get("cam")(), torch.ones(2), torch.eye(len(prior)), prior, aligned=aligned
    )
    maps = maps_of(method, classifier, slices, config).maps[3, 0].astype(np.float32)
    mirrored = maps[:, ::-1]
    assert maps[:, :4].mean() > 0.5
    assert (mirrored[:, :4].mean() < 0.2) == aligned


def test_every_slice_gets_its_own_prior_in_any_batch():
    slices = toy_slices(count=6)
    prior = torch.rand(6, GRID, GRID)
    classifier = build_classifier(BACKBONE, 2, seed=0)
    few, many = (
        maps_of(
            CausalCam(cams.get("cam")(), torch.ones(2), torch.eye(len(prior)), prior, aligned=True),
            classifier, slices, MapsConfig(side=64, scales=(1.0,), size=GRID, batch=batch),
        )
        for batch in (2, 6)
    )  # fmt: skip
    np.testing.assert_allclose(few.maps.astype(np.float32), many.maps.astype(np.float32), atol=2e-3)


def test_the_ratio_by_hand():
    """Map with maximum 2 beside a prior of 0.5 with weight -3: 1.5 / 2."""

    class Fixed:
        def saliency(self, view):
            maps = torch.full((1, 2, 4, 4), -1.0)
            maps[0, 0, 1, 2] = 2.0
            return maps

    class View:
        rows, mirrored = slice(0, 1), False

    weight, prior = torch.tensor([-3.0, 1.0]), torch.full((1, 4, 4), 0.5)
    method = CausalCam(Fixed(), weight, torch.ones(1, 1), prior, aligned=True)
    method.saliency(View())
    assert method.ratio == [0.75, 0.0]  # the second class has no positive evidence


def test_the_ratio_is_not_ruled_by_empty_views():
    strength = Strength()
    strength.add(torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 2.0))
    strength.add(torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 1e-6))
    assert strength.ratio() == [pytest.approx(1 / 2.000001)]


def test_coarse_masks_survive_resampling():
    shares = torch.tensor([0.6, 0.2, 0.0]).view(1, 3, 1, 1)
    assert numbered(shares).item() == 1
    assert numbered(shares * 0.5).item() == 0  # mostly background


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_classifier_that_was_used_on_a_device_starts_alike():
    classifier = build_classifier(BACKBONE, 2, seed=0)
    here, there = (
        CausalClassifier(one, CategoryAttention(GRID, 4, seed=0), seed=0)
        for one in (classifier, copy.deepcopy(classifier).cuda())
    )
    assert torch.equal(here.classifier.head.weight, there.classifier.head.weight)


def test_training_learns_the_tags_and_the_weight_of_the_prior(tmp_path: Path):
    slices = toy_slices(count=32).positives()
    recipe = TrainingConfig(
        epochs=6, batch=8, crop=64, resize=(64, 72), lr=0.02, head_factor=5, momentum=0.9,
        flip="never", precision="fp32", clip=5.0, weight_decay=0.0,
    )  # fmt: skip
    causal = network()
    before = causal.weight.detach().clone()
    coarse = torch.randint(0, 3, (len(slices), GRID, GRID), dtype=torch.uint8)
    ranges = Augmentation.of(recipe, sided=slices.sided)
    loss = CausalLoss(causal, coarse, torch.rand(2, GRID, GRID), True, ranges, "fp32")
    history = minimise(
        loss, causal, slices, sgd(recipe), seed=0, device=CPU, checkpoint=tmp_path / "state"
    ).epochs
    assert history[-1].loss < 0.7 * history[0].loss
    assert not torch.equal(before, causal.weight)


@pytest.mark.parametrize("aligned", [True, False])
def test_the_context_moves_with_the_slice_where_it_is_aligned(aligned):
    """A prior that is the slice itself stays so in every view only if it moves along."""
    ranges = Augmentation(GRID, (12, 24), flip=True)
    torch.manual_seed(0)
    blob = F.interpolate(torch.rand(1, 1, 4, 4), size=(GRID, GRID), mode="bilinear")[0]
    images = blob.expand(5, -1, -1)
    coarse = torch.zeros(5, GRID, GRID, dtype=torch.uint8)
    loss = CausalLoss(network(1), coarse, blob, aligned, ranges, "fp32")
    generator = torch.Generator().manual_seed(3)
    views, _, context = loss._views(images, np.arange(5), generator)
    difference = (views - context[:, 0]).abs().mean().item()
    assert (difference < 1e-6) == aligned
