import copy
import math

import numpy as np
import pytest
import torch
from camzoo_baselines.own_maps import unit
from camzoo_baselines.recam import ReactivatedCam, Recam, RecamLoss, RecamNet, reactivation_loss

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


def softplus(x):
    return math.log1p(math.exp(x))


def test_the_softmax_loss_by_hand():
    """Two places and two channels, (1, 3) and (2, 0), that are the scores of the two classes.

    Under the map (1, 0) of the first class the means are (1/2, 1), under (1/2, 1) of the second
    one (7/4, 1/2): the losses are log(1 + e^(1/2)) and log(1 + e^(5/4)). The first slice shows
    both, the second one the first alone, the third none.
    """
    features = torch.tensor([[[1.0, 3.0]], [[2.0, 0.0]]]).expand(3, 2, 1, 2)
    maps = torch.tensor([[[1.0, 0.0]], [[0.5, 1.0]]]).expand(3, 2, 1, 2)
    tags = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    first, second = softplus(0.5), softplus(1.25)
    loss = reactivation_loss(lambda pooled: pooled, features, maps, tags)
    assert loss.item() == pytest.approx(((first + second) / 2 + first) / 2)
    assert reactivation_loss(lambda pooled: pooled, features, maps, tags * 0).item() == 0


def test_one_organ_is_told_from_what_is_outside_of_its_map():
    """Under (1, 0) the mean is 1/2 and should be high, outside 3/2 and should be low."""
    features, maps = torch.tensor([[[[1.0, 3.0]]]]), torch.tensor([[[[1.0, 0.0]]]])
    loss = reactivation_loss(lambda pooled: pooled, features, maps, torch.ones(1, 1))
    assert loss.item() == pytest.approx((softplus(-0.5) + softplus(1.5)) / 2)


def test_maps_are_weighed_by_both_layers_and_logits_are_means_of_cam():
    backbone = BackboneConfig(name="resnet10t", weights="none", frozen=0)
    network = RecamNet(build_classifier(backbone, 3, seed=0), seed=0).eval()
    grey = torch.rand(2, 64, 96)
    with torch.no_grad():
        features, cam = network(grey)
        view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
        torch.testing.assert_close(cam, cams.get("cam")()(view))
        torch.testing.assert_close(cam.mean((2, 3)), view.logits)
        both = network.classifier.head.weight * network.second.weight
        by_hand = (both[1][:, None, None] * features[1]).sum(0)
    torch.testing.assert_close(ReactivatedCam(network)(view)[1, 1], by_hand)


def test_the_softmax_reaches_the_trunk_through_the_maps():
    """With constant scores of the tags the whole gradient is that of the second loss."""
    network = RecamNet(tiny_classifier(), seed=0)
    views, tags = torch.rand(2, 64, 64), torch.ones(2, 2)
    grads = []
    for weight in (0.0, 1.0):
        network.zero_grad()
        RecamLoss(network, VIEWS, "fp32", weight).on_views(views, tags)[0].backward()
        grads.append([p.grad.clone() for p in network.classifier.parameters()])
    assert network.second.weight.grad.abs().max() > 0
    assert all((a - b).abs().max() > 0 for a, b in zip(*grads, strict=True))


def test_the_second_layer_learns_what_maps_of_unseen_slices_show(tmp_path):
    """Better than it could without the features: that is log 2, the loss of two equal scores."""
    slices, unseen = toy_slices(16), toy_slices(16, seed=1)
    network = RecamNet(tiny_classifier(), seed=0)
    own = {"seed": 0, "device": torch.device("cpu")}
    tags = TagLoss(network.classifier, VIEWS, "fp32")
    minimise(tags, network, slices, sgd(RECIPE), checkpoint=tmp_path / "tags", **own)
    before = copy.deepcopy(network.classifier.state_dict())
    recipe = RECIPE.model_copy(update={"lr": 0.005, "head_factor": 10.0})
    loss = RecamLoss(network, VIEWS, "fp32", 1.0)
    minimise(loss, network, slices, sgd(recipe), checkpoint=tmp_path / "recam", **own)
    assert any(not v.equal(before[k]) for k, v in network.classifier.state_dict().items())
    network.eval()
    with torch.no_grad():
        features, cam = network(unseen.images(slice(None)).float() / 255)
        tag = unseen.tag_tensor(slice(None))
        found = reactivation_loss(network.second, features, unit(cam), tag)
    assert found < 0.5 * math.log(2)


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
def test_it_trains_and_predicts(organs, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=(), organs=organs)
    baseline = baselines.get("recam")()
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), len(organs), 16, 16)
    assert set(np.unique(baseline.pseudo)) == set(range(len(organs) + 1))
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, len(organs) + 1, 32, 32)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"expected weight >= 0 and rate > 0, got -1 and 0\.1"):
        Recam(weight=-1)
