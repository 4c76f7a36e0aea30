import copy
import math

import numpy as np
import pytest
import torch
from camzoo_baselines.own_maps import unit
from camzoo_baselines.seam import (
    CorrectedCam,
    PixelCorrelation,
    Seam,
    SeamLoss,
    SeamNet,
    cross_error,
    equivariance_error,
    strongest,
    suppression,
)

from camzoo.cams.pipeline import resize
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.objectives import TagLoss
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.registries import baselines, cams
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context
from tests.toy import toy_slices

VIEWS = Augmentation.of(RECIPE, sided=False)
BACKBONE = BackboneConfig(name="resnet10t", weights="none", frozen=0)


@pytest.fixture(scope="module")
def network():
    return SeamNet(build_classifier(BACKBONE, 2, seed=0), seed=0).eval()


def test_rows_of_the_affinity_are_weights_of_a_mean():
    torch.manual_seed(0)
    pcm = PixelCorrelation((8, 12))
    grey = torch.rand(3, 1, 48, 80)
    stages = [torch.rand(3, 8, 6, 10), torch.rand(3, 12, 3, 5)]
    affinity = pcm.affinity(grey, stages, (3, 5))
    assert affinity.shape == (3, 15, 15)
    assert (affinity >= 0).all()
    torch.testing.assert_close(affinity.sum(dim=2), torch.ones(3, 15))
    maps = torch.rand(3, 4, 3, 5)
    by_hand = affinity[1] @ maps[1, 2].flatten()
    torch.testing.assert_close(pcm(maps, grey, stages)[1, 2].flatten(), by_hand)
    constant = pcm(torch.full((3, 1, 3, 5), 0.7), grey, stages)
    torch.testing.assert_close(constant, torch.full((3, 1, 3, 5), 0.7))


def test_places_that_look_alike_share_their_maps():
    """Two kinds of places, orthogonal in what the PCM sees: maps are averaged within a kind."""
    pcm = PixelCorrelation((2, 2))
    kind = torch.tensor([[1.0, 0, 1], [0, 1, 0]])
    stage = torch.stack([kind, 1 - kind])[None]
    with torch.no_grad():
        for reduction in pcm.reductions:
            reduction.weight.zero_()
            reduction.weight[:2, :, 0, 0] = torch.eye(2)
        pcm.embedding.weight.zero_()
        pcm.embedding.weight[:2, 1:3, 0, 0] = torch.eye(2)
    maps = torch.tensor([[[[0.9, 0.1, 0.3], [0.2, 0.6, 0.0]]]])
    spread = pcm(maps, torch.zeros(1, 1, 2, 3), [stage, stage])
    torch.testing.assert_close(spread[0, 0], torch.tensor([[0.6, 0.1, 0.6], [0.1, 0.6, 0.1]]))


def test_the_largest_class_stays_and_the_background_is_what_is_left():
    maps = torch.tensor([0.5, 0.8]).view(1, 2, 1, 1)
    torch.testing.assert_close(strongest(maps).flatten(), torch.tensor([0.2, 0.0, 0.8]))


def test_equivariance_by_hand():
    """A row (4, 2, -3, -1) becomes (1, 1/2, 0, 0), and half as long (9/14, 1/14).

    The weights of the triangle that halves it are 3/7, 3/7 and 1/7. Against (1, 1) that leaves
    5/14 + 13/14; the second class is absent and its two places count as zero: 9/7 over 4.
    """
    large = torch.tensor([4.0, 2.0, -3.0, -1.0]).repeat(1, 2, 2, 1)
    small = torch.ones(1, 2, 1, 2)
    tags = torch.tensor([[1.0, 0.0]])
    assert equivariance_error(large, small, tags, planes=3).item() == pytest.approx(9 / 28)
    # The mean over the 20 classes of the paper's data: 18 more planes of zeros.
    assert equivariance_error(large, small, tags, planes=21).item() == pytest.approx(9 / 7 / 40)
    assert equivariance_error(large, unit(large), torch.ones(1, 2), planes=3).item() == 0


def test_the_largest_fifth_counts():
    """One class, 5 places, 10 entries: the 2 largest of the differences are 1.0 and 0.6."""
    cam = torch.tensor([[[[1.0, 0.0, 0.0, 0.0, 0.0]]]])
    organ = torch.tensor([1.0, 0.6, 0.0, 0.0, 0.0])
    background = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0])
    spread = torch.stack([background, organ])[None, :, None]
    tags, grid = torch.ones(1, 1), (1, 5)
    error = cross_error(cam, spread, tags, hard=0.2, planes=2, grid=grid)
    assert error.item() == pytest.approx((1.0 + 0.6) / 2)
    # A fifth of 21 planes are 21 entries: all 10 that are there, and 11 zeros.
    error = cross_error(cam, spread, tags, hard=0.2, planes=21, grid=grid)
    assert error.item() == pytest.approx((1.0 + 0.6) / 21)


def test_the_weakest_quarter_is_suppressed():
    """8 places: the two weakest are 0.1 and 0.2; a class that is absent does not count."""
    organ = torch.tensor([0.1, 0.9, 0.8, 0.2, 0.7, 0.6, 0.5, 0.4]).view(1, 1, 2, 4)
    spread = torch.cat([torch.ones(1, 1, 2, 4), organ, torch.ones(1, 1, 2, 4)], dim=1)
    assert suppression(spread, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0.15)


def test_maps_are_those_of_cam_and_means_are_logits(network):
    grey = torch.rand(2, 64, 96)
    with torch.no_grad():
        cam, spread = network(grey)
        view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
        torch.testing.assert_close(cam, cams.get("cam")()(view))
        torch.testing.assert_close(cam.mean((2, 3)), view.logits)
        maps = CorrectedCam(network)(view)
    floor = spread[:, 1:].amin(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(maps, spread[:, 1:] - floor)
    assert (maps.amin(dim=(2, 3)) == 0).all()
    assert spread.shape == (2, 3, *cam.shape[2:])


class Given:
    """Maps of two slices, the first with the organ, that were fixed by hand; by size of the view.

    CAM is [B, 1, h, w], the PCM's maps are [B, 2, h, w], background first.
    """

    LARGE = ([[4, 2, -3, -1]], [[1, 1, -5, -5]]), ([[1, 1, 2, 2]], [[0.8, 0.4, 0.2, 0.4]])
    SMALL = ([[1, 2]], [[2, -8]]), ([[0.2, 0.4]], [[0.9, 0.3]])

    def __call__(self, views):
        cam, spread = {64: self.LARGE, 32: self.SMALL}[views.shape[-1]]
        return torch.tensor(cam).float()[:, None], torch.tensor(spread).expand(2, 2, 1, -1)


def test_the_loss_by_hand():
    """The six terms of a slice that shows the organ and of one that does not.

    Over its maximum the large CAM is (1, 1/2, 0, 0); halved, by weights of 3/7, 3/7, 1/7, it is
    (9/14, 1/14). The small one is (1/2, 1). Of the other slice nothing of the organ counts.

    - Equivariance: (2/14 + 13/14) / 4 places.
    - Small CAM, PCM of the large view. Wanted are background (1/2, 0) and organ (1/2, 1); found
      are (4/7, 13/14) and (19/28, 11/28). The largest half of 2, 26, 5 and 17 28ths is 43/56 on
      average. Other slice: background (1, 1) is wanted, 12 and 2 28ths apart: 14/56.
    - Large CAM, PCM of the small view. Wanted are (5/14, 13/14) and (9/14, 1/14); found are
      (1/2, 1) and (1, 1/3). The largest half of 6, 3, 15 and 11 42nds is 26/84 on average. Other
      slice: 1/2 and 0 apart, 21/84.
    - Suppression: the weakest of 4 places has 0.2, the weaker of 2 has 0.3; nothing in the other.
    - Tags: logits are means of CAM, 1/2 and -2 in the large view, 3/2 and -3 in the small one.
    """
    loss = SeamLoss(Given(), VIEWS, "fp32", scale=0.5, hard=0.5, planes=2)
    value, logits = loss.on_views(torch.rand(2, 64, 64), torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(logits, torch.tensor([[0.5], [-2.0]]))
    tagging = sum(math.log1p(math.exp(-away)) for away in (0.5, 2, 1.5, 3)) / 4
    equivariance = 15 / 14 / 4
    across = (43 + 14) / 56 / 2 + (26 + 21) / 84 / 2
    quiet = (0.2 + 0.3) / 2 / 2
    assert value.item() == pytest.approx(tagging + equivariance + across + quiet, rel=1e-5)


def test_the_pcm_learns_what_the_other_view_shows(tmp_path):
    """On unseen slices, against the start and against a PCM that has learnt nothing.

    At the rates of a run the PCM hardly moves in so few steps; here it learns at a hundred times
    that of the trunk, behind a classifier that knows the tags.
    """
    slices, unseen = toy_slices(16), toy_slices(16, seed=1)
    network = SeamNet(tiny_classifier(), seed=0)
    own = {"seed": 0, "device": torch.device("cpu")}
    tags = TagLoss(network.classifier, VIEWS, "fp32")
    minimise(tags, network, slices, sgd(RECIPE), checkpoint=tmp_path / "tags", **own)
    fresh = copy.deepcopy(network.correlation.state_dict())
    before = _across(network, unseen)
    recipe = RECIPE.model_copy(update={"lr": 0.005, "head_factor": 100.0})
    loss = SeamLoss(network, VIEWS, "fp32", scale=0.5, hard=0.2, planes=3)
    minimise(loss, network, slices, sgd(recipe), checkpoint=tmp_path / "seam", **own)
    after = _across(network, unseen)
    network.correlation.load_state_dict(fresh)
    assert after < 0.7 * before
    assert after < 0.7 * _across(network, unseen)


@torch.no_grad()
def _across(network, slices):
    """Error of the PCM's maps against CAM of the other view, both ways."""
    network.eval()
    grey, tags = slices.images(slice(None)).float() / 255, slices.tag_tensor(slice(None))
    (large, of_large), (small, of_small) = (network(resize(grey, side)) for side in (64, 32))
    how = {"hard": 0.2, "planes": 3, "grid": small.shape[-2:]}
    one = cross_error(small, of_large, tags, **how)
    return (one + cross_error(large, of_small, tags, **how)).item()


def test_the_pcm_teaches_the_trunk_nothing(network):
    cam, spread = network(torch.rand(1, 64, 64))
    spread.sum().backward()
    learning = {name for name, p in network.named_parameters() if p.grad is not None}
    assert learning
    assert all(name.startswith("correlation.") for name in learning)
    assert cam.requires_grad


def test_equivariance_is_learnt(tmp_path):
    """Both learn the tags; the maps of SEAM follow the scale better than before and than CAM."""
    slices = toy_slices(16)
    errors = {}
    for name in ("classifier", "seam"):
        network = SeamNet(tiny_classifier(), seed=0)
        loss = {
            "classifier": TagLoss(network.classifier, VIEWS, "fp32"),
            "seam": SeamLoss(network, VIEWS, "fp32", scale=0.5, hard=0.2, planes=3),
        }[name]
        before = _error(network, slices)
        history = minimise(
            loss, network, slices, sgd(RECIPE), seed=0, device=torch.device("cpu"),
            checkpoint=tmp_path / f"{name}.safetensors",
        ).epochs  # fmt: skip
        assert history[-1].accuracy == (1.0, 1.0)
        errors[name] = _error(network, slices)
    assert errors["seam"] < 0.7 * before
    assert errors["seam"] < 0.85 * errors["classifier"]


@torch.no_grad()
def _error(network, slices):
    network.eval()
    grey = slices.images(slice(None)).float() / 255
    large, small = (network(resize(grey, s))[0] for s in (64, 32))
    tags = slices.tag_tensor(slice(None))
    return equivariance_error(large, small, tags, planes=3).item()


def test_the_trunk_learns_slowly_and_the_pcm_as_heads_do(tmp_path, monkeypatch):
    recipe = RECIPE.model_copy(update={"head_factor": 5.0})
    context, _ = tiny_context(tmp_path, recipe, epochs=1, reads=())
    rates = {}

    def spy(_context, _loss, network, _slices, config, **_):
        fresh = {id(p) for p in network.fresh}
        rates["trunk"], rates["fresh"] = config.lr, config.lr * config.head_factor
        rates["pcm is fresh"] = fresh >= {id(p) for p in network.correlation.parameters()}

    monkeypatch.setattr("camzoo.segment.learning_context.BaselineContext.minimise", spy)
    Seam(rate=0.2).pseudo_masks(context)
    assert rates == {
        "trunk": pytest.approx(0.2 * recipe.lr), "fresh": pytest.approx(5 * recipe.lr),
        "pcm is fresh": True,
    }  # fmt: skip


def test_it_trains_and_predicts(tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=())
    baseline = Seam()
    assert baseline.reads == ()
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), 2, 16, 16)
    assert asked[0].amax().item() == pytest.approx(1, abs=1e-3)
    assert baseline.pseudo.shape == (len(context.train), 32, 32)
    assert set(np.unique(baseline.pseudo)) == {0, 1, 2}
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, 3, 32, 32)


def test_what_it_cannot_use_is_refused():
    assert baselines.get("seam") is Seam
    with pytest.raises(ConfigError, match=r"0 < scale < 1"):
        Seam(scale=1.0)
