import math

import numpy as np
import pytest
import torch
from camzoo_baselines.amecam import (
    AmeCam,
    Blend,
    BlendedCam,
    BlendLoss,
    ExitLoss,
    Exits,
    alike,
    contrast,
    on_one_grid,
)

from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.registries import baselines
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context
from tests.toy import toy_slices

VIEWS = Augmentation.of(RECIPE, sided=False)


class Scores(torch.nn.Module):
    """Gives the scores of two exits that were fixed by hand, and keeps what it saw."""

    def forward(self, seen):
        self.seen = seen
        return torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand_as(seen)


def test_every_place_is_blended_by_its_weights():
    """Scores log 3 and 0 are weights of 3/4 and 1/4; the attention sees slices through the maps."""
    blend = Blend(2, seed=0)
    blend.layers = Scores()
    maps = torch.tensor([[[[1.0, 0.0, 0.4]], [[0.0, 1.0, 0.8]]]])
    grey = torch.tensor([[[0.5, 1.0, 0.0]]])
    torch.testing.assert_close(blend(maps, grey), torch.tensor([[[0.75, 0.25, 0.5]]]))
    assert blend.layers.seen.flatten().tolist() == pytest.approx([0.5, 0, 0, 0, 1, 0])


def test_likeness_by_hand():
    """Three directions at 0, 60 and 90 degrees; the rank of a pair lowers its weight."""
    rows = torch.tensor([[1.0, 0.0], [0.5, math.sqrt(0.75)], [0.0, 2.0]])
    near, far, itself = -math.log(math.sqrt(0.75)), -math.log(0.5), -math.log(0.9995)
    never = -math.log(0.0005)
    a_half = math.log(2)  # each rank halves the weight, and a row's own is 2
    expected = (3 * 2 * itself + far + never / 2 + near + far / 2 + near + never / 2) / 9
    assert alike(rows, a_half).item() == pytest.approx(expected, rel=1e-3)


def test_a_blend_that_separates_slices_costs_less_than_one_that_does_not():
    """Two slices with an organ on the left: shown by the blend, half of it, or the wrong half."""
    grey = torch.tensor([[[0.9, 0.8, 0.2, 0.1]], [[0.7, 0.9, 0.1, 0.2]]])
    organ = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]).expand(2, 1, 4)
    undecided = torch.full((2, 1, 4), 0.5)
    crossed = torch.stack((organ[0], 1 - organ[0]))
    sure, unsure, wrong = (contrast(each, grey, 0.25) for each in (organ, undecided, crossed))
    assert sure < 1
    assert unsure > sure + 1
    assert wrong > sure + 1


class Given:
    """Maps of two exits, of a slice with the organ and one without."""

    def __call__(self, _views):
        fine, coarse = [[1.0, 3.0], [-1.0, -1.0]], [[2.0], [-4.0]]
        maps = torch.tensor(fine), torch.tensor(coarse)
        return [each[:, None, None] for each in (*maps, *maps)]


def test_later_exits_weigh_more():
    """Logits 2 and -1 at the exits 1 and 3, 2 and -4 at 2 and 4; weights of 1/4 to 1."""
    loss = ExitLoss(Given(), VIEWS, "fp32")
    value, logits = loss.on_views(torch.rand(2, 64, 64), torch.tensor([[1.0], [0.0]]))
    fine, coarse = (sum(math.log1p(math.exp(-x)) for x in pair) / 2 for pair in ((2, 1), (2, 4)))
    assert value.item() == pytest.approx((0.25 + 0.75) * fine + (0.5 + 1) * coarse)
    assert logits.flatten().tolist() == [2, -4]


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """Exits and a blend that have learnt, and how the blend was before."""
    folder, slices = tmp_path_factory.mktemp("learnt"), toy_slices(16)
    own = {"seed": 0, "device": torch.device("cpu")}
    exits = Exits(tiny_classifier(), seed=0)
    loss = ExitLoss(exits, VIEWS, "fp32")
    steep = sgd(RECIPE.model_copy(update={"lr": 0.2}))
    minimise(loss, exits, slices, steep, checkpoint=folder / "exits", **own)
    exits.eval()
    before = {name: value.clone() for name, value in exits.state_dict().items()}
    blend = Blend(4, seed=0)
    contrasting = BlendLoss(blend, VIEWS, "fp32", exits, 0.25)
    recipe = sgd(RECIPE.model_copy(update={"epochs": 20}))
    minimise(contrasting, blend, slices.positives(), recipe, checkpoint=folder / "blend", **own)
    assert all(value.equal(before[name]) for name, value in exits.state_dict().items())
    return exits, blend.eval(), Blend(4, seed=0).eval()


@torch.no_grad()
def test_every_exit_knows_the_tags_of_unseen_slices(learnt):
    unseen = toy_slices(16, seed=1)
    maps = learnt[0](unseen.images(slice(None)).float() / 255)
    tags = unseen.tag_tensor(slice(None)) > 0
    assert [each.shape[-1] for each in maps] == [32, 16, 8, 4]
    for each in maps:
        assert ((each.mean((2, 3)) > 0) == tags).float().mean() > 0.9


@torch.no_grad()
def test_the_blend_learns_to_separate_unseen_slices(learnt):
    exits, trained, untrained = learnt
    unseen = toy_slices(16, seed=1).positives()
    grey, tags = unseen.images(slice(None)).float() / 255, unseen.tag_tensor(slice(None))
    after, before = (
        BlendLoss(blend, VIEWS, "fp32", exits, 0.25).on_views(grey, tags)[0]
        for blend in (trained, untrained)
    )
    assert after < 0.95 * before


def test_maps_are_blends_of_each_class_on_a_quarter_of_the_side():
    backbone = BackboneConfig(name="resnet10t", weights="none", frozen=0)
    exits = Exits(build_classifier(backbone, 3, seed=0), seed=0).eval()
    blend = Blend(4, seed=0).eval()
    grey = torch.rand(6, 64, 96)
    view = Viewer(exits.classifier.model)(exits.classifier.normalise(grey))
    maps = BlendedCam(exits, blend)(view)
    assert maps.shape == (6, 3, 16, 24)
    with torch.no_grad():
        given, small = on_one_grid(exits(grey), grey)
        assert given.amin((3, 4)).max() == 0
        assert given.amax((3, 4)).min() > 0.99
        one = blend(given[5, 2][None], small[5][None])[0]
    torch.testing.assert_close(maps[5, 2], one)


def test_it_trains_and_predicts(tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=())
    baseline = baselines.get("ame-cam")()
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), 2, 16, 16)
    assert set(np.unique(baseline.pseudo)) <= {0, 1, 2}
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, 3, 32, 32)


def test_wrong_settings_and_shallow_networks_are_refused():
    with pytest.raises(ConfigError, match=r"expected decay >= 0 and rate > 0, got 0\.25 and 0"):
        AmeCam(rate=0)
    classifier = tiny_classifier()
    classifier.model.stages = classifier.model.stages[:3]
    with pytest.raises(ConfigError, match="has 4 exits, and TinyNet has 3 stages"):
        Exits(classifier, seed=0)
