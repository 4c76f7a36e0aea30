from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from camzoo.config import BackboneConfig, TrainingConfig
from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.data.labels import UNKNOWN
from camzoo.data.slices import TaggedSlices
from camzoo.network.backbone import build_classifier
from camzoo.refine.affinity import (
    AffinitySettings,
    enlarged_parts,
    fit_boundary,
    label_slices,
    refine_maps,
)
from camzoo.refine.boundary import BoundaryNet, find_edges
from camzoo.refine.confidence import ConfidenceSettings
from camzoo.refine.crf import CrfSettings
from tests.refine.dense import edge_affinity, squared_walk

CPU = torch.device("cpu")
RECIPE = TrainingConfig(
    epochs=20, batch=4, crop=64, resize=(64, 64), lr=0.3, head_factor=1.0, momentum=0.9,
    precision="fp32",
)  # fmt: skip
PLAIN = CrfSettings(iterations=0)
SETTINGS = AffinitySettings(
    confidence=ConfidenceSettings(foreground_crf=PLAIN), training=RECIPE, training_radius=5
)


def scenes(count=12, size=64, seed=0):
    """Slices with a bright and a dark rectangle on grey, and the labels 1 and 2 of the two."""
    rng = np.random.default_rng(seed)
    images = rng.integers(110, 126, (count, size, size)).astype(np.uint8)
    truth = np.zeros((count, size, size), np.uint8)
    for n in range(count):
        for label, grey in ((1, 230), (2, 20)):
            top, height, width = rng.integers(4, 30), rng.integers(14, 26), rng.integers(14, 26)
            left = rng.integers(2, 6) + 32 * (label - 1)
            truth[n, top : top + height, left : left + width] = label
            images[n][truth[n] == label] = grey
    slices = TaggedSlices(
        store=images, rows=np.arange(count), tags=np.ones((count, 2), np.uint8),
        organs=("bright", "dark"), sided=True, cases=(("a", 0, count),),
    )  # fmt: skip
    return slices, truth


def unsure(truth):
    """Labels with a band of unknown pixels along every edge, as confident labels have it."""
    planes = F.one_hot(torch.from_numpy(truth).long()).movedim(-1, 1).float()
    alone = F.max_pool2d(planes, 9, 1, 4).sum(1) == 1
    return np.where(alone.numpy(), truth, UNKNOWN).astype(np.uint8)


def network(seed=0):
    backbone = BackboneConfig(name="resnet10t", weights="none", frozen=0)
    return BoundaryNet(build_classifier(backbone, 2, seed=0), seed=seed)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    slices, truth = scenes()
    net = network()
    ticks = []
    losses = fit_boundary(
        net, slices, unsure(truth), SETTINGS, seed=0, device=CPU,
        checkpoint=tmp_path_factory.mktemp("boundary") / "checkpoint.safetensors",
        tick=lambda *t: ticks.append(t),
    )  # fmt: skip
    return net, losses, ticks


def boundaries(truth):
    """Whether a pixel of the quarter grid touches two labels; and whether it is far from any."""
    planes = F.one_hot(torch.from_numpy(truth).long()).movedim(-1, 1).float()
    near = F.max_pool2d(planes, 4, 4).sum(1) > 1
    far = F.max_pool2d(near[:, None].float(), 5, 1, 2)[:, 0] == 0
    return near, far


def test_the_loss_falls_and_edges_of_unseen_slices_lie_on_boundaries(trained):
    net, losses, ticks = trained
    assert len(losses) == RECIPE.epochs
    assert losses[-1] < 0.3 * losses[0]
    assert ticks[-1] == (60, 60)
    slices, truth = scenes(count=4, seed=1)
    edges = find_edges(net, slices.images(slice(None)).float() / 255, precision="fp32")
    near, far = boundaries(truth)
    # One pixel on the line is enough: an edge is a line on either side of the boundary.
    reach = F.max_pool2d(edges[:, None], 3, 1, 1)[:, 0]
    assert reach[near].mean() > 0.8
    assert edges[far].mean() < 0.1


def test_maps_that_spill_over_are_drawn_to_the_edges(trained):
    slices, truth = scenes(count=4, seed=1)
    edges = find_edges(trained[0], slices.images(slice(None)).float() / 255, precision="fp32")
    masks = torch.stack([torch.from_numpy(truth == c) for c in (1, 2)], dim=1).float()
    blurred = F.avg_pool2d(masks, 29, 1, 14)
    maps = blurred / blurred.amax((2, 3), keepdim=True)
    maps[0, 1] = masks[0, 1] = 0
    refined = refine_maps(maps, edges, SETTINGS)

    def best_dice(planes):
        found = []
        for threshold in np.arange(0.1, 0.95, 0.05):
            mask = (planes > threshold).float()
            found.append(float(2 * (mask * masks).sum() / (mask.sum() + masks.sum())))
        return max(found)

    assert refined.shape == maps.shape
    assert (refined[0, 1] == 0).all()
    refined = refined / refined.amax((2, 3), keepdim=True).clamp_min(1e-9)
    assert best_dice(refined) > best_dice(maps) + 0.05


def test_refinement_is_the_walk_of_the_papers():
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(2, 6, 9, generator=generator, dtype=torch.float64).float()
    maps = torch.rand(2, 3, 6, 9, generator=generator)
    settings = AffinitySettings(radius=3, beta=4.0, exp_times=3)
    refined = refine_maps(maps, edges, settings)
    for index in range(2):
        matrix = edge_affinity(edges[index].double(), 3)
        seeds = (maps[index] * (1 - edges[index])).double()
        walked = squared_walk(seeds, matrix, 4.0, 3)
        assert torch.allclose(refined[index].double(), walked, atol=1e-5)


def test_equal_seeds_give_equal_networks(tmp_path):
    slices, truth = scenes(count=5)
    settings = replace(SETTINGS, training=RECIPE.model_copy(update={"epochs": 1, "batch": 2}))
    states = []
    for run, seed in enumerate((0, 0, 1)):
        net = network()
        fit_boundary(
            net, slices, unsure(truth), settings,
            seed=seed, device=CPU, checkpoint=tmp_path / str(run),
        )  # fmt: skip
        states.append(net.edge.weight.detach().clone())
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_confident_labels_of_slices_part_by_part():
    slices, truth = scenes(count=5)
    coarse = np.stack([truth == c for c in (1, 2)], axis=1)[:, :, ::2, ::2].astype(np.float16)
    ticks = []
    labels = label_slices(
        coarse, slices, SETTINGS.confidence, device=CPU, batch=2, tick=lambda *t: ticks.append(t)
    )
    assert labels.shape == truth.shape
    assert labels.dtype == np.uint8
    assert ticks == [(2, 5), (4, 5), (5, 5)]
    sure = labels != UNKNOWN
    assert 0.8 < sure.mean() < 1
    assert (labels[sure] == truth[sure]).mean() > 0.97


def test_parts_hold_maps_tags_and_slices_on_one_grid():
    slices, _ = scenes(count=3)
    coarse = np.arange(6, dtype=np.float16).reshape(3, 2, 1, 1)
    parts = list(enlarged_parts(coarse, slices, CPU, batch=2))
    assert [which for which, *_ in parts] == [slice(0, 2), slice(2, 3)]
    maps, tags, grey = (torch.cat(tensors) for tensors in list(zip(*parts, strict=True))[1:])
    assert torch.equal(maps, torch.arange(6.0).view(3, 2, 1, 1).expand(3, 2, 64, 64))
    assert torch.equal(tags, torch.ones(3, 2))
    np.testing.assert_array_equal((grey * 255).round(), slices.store)


def test_divergence_is_named(tmp_path):
    slices, truth = scenes(count=4)
    recipe = RECIPE.model_copy(update={"lr": 1e30, "momentum": 0.0, "epochs": 3})
    with pytest.raises(CamzooError, match=r"diverged in epoch \d.*lower training\.lr"):
        fit_boundary(
            network(), slices, unsure(truth), replace(SETTINGS, training=recipe),
            seed=0, device=CPU, checkpoint=tmp_path / "checkpoint.safetensors",
        )  # fmt: skip


def test_labels_must_fit_the_slices(tmp_path):
    slices, truth = scenes(count=4)
    with pytest.raises(DataError, match="4 slices and 3 labels"):
        fit_boundary(
            network(), slices, truth[:3], SETTINGS,
            seed=0, device=CPU, checkpoint=tmp_path / "checkpoint.safetensors",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius": 1}, "2 pixels or more, got 1"),
        ({"training_radius": 0}, "2 pixels or more, got 0"),
        ({"beta": 0.0}, "beta of the affinities must be positive"),
        ({"exp_times": -1}, "exp_times 0 or more"),
        ({"training": TrainingConfig(crop=66)}, "multiple of 4 pixels, got 66"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        AffinitySettings(**change)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_everything_runs_on_the_device(tmp_path):
    slices, truth = scenes(count=4)
    device = torch.device("cuda")
    coarse = np.stack([truth == c for c in (1, 2)], axis=1).astype(np.float16)
    labels = label_slices(coarse, slices, ConfidenceSettings(), device=device)
    net = network()
    recipe = RECIPE.model_copy(update={"precision": "bf16", "epochs": 2})
    losses = fit_boundary(
        net, slices, labels, replace(SETTINGS, training=recipe),
        seed=0, device=device, checkpoint=tmp_path / "checkpoint.safetensors",
    )  # fmt: skip
    edges = find_edges(net, slices.images(slice(None)).to(device) / 255, precision="bf16")
    refined = refine_maps(torch.from_numpy(coarse).to(device), edges, SETTINGS)
    assert len(losses) == 2
    assert refined.is_cuda
    assert torch.isfinite(refined).all()
