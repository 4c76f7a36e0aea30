import math
from collections import Counter

import numpy as np
import pytest
import torch
from camzoo_baselines.co_attention import CoAttention, carried
from camzoo_baselines.mcis import (
    CoAttentionNet,
    CoAttentiveCam,
    Mcis,
    McisLoss,
    Partners,
    drawn_partners,
    drawn_slices,
    pair_loss,
)

from camzoo.cams.methods.activation import Cam
from camzoo.cams.pipeline import resize
from camzoo.cams.view.viewer import Viewer
from camzoo.config import BackboneConfig
from camzoo.core.errors import ConfigError
from camzoo.learning.augmentation import Augmentation
from camzoo.learning.loop import minimise
from camzoo.learning.recipe import sgd
from camzoo.network.backbone import build_classifier
from camzoo.registries import baselines, cams
from tests.baselines.tiny import RECIPE, tiny_classifier, tiny_context
from tests.toy import toy_slices

VIEWS = Augmentation.of(RECIPE, sided=False)


def network_of(classes=3, **backbone):
    """A network whose gate and affinity have learnt something, with cells of 32 pixels."""
    config = BackboneConfig(
        name="resnet10t", weights="none", frozen=0, output_stride=32, **backbone
    )
    network = CoAttentionNet(build_classifier(config, classes, seed=0), 64).eval()
    torch.manual_seed(1)
    for learnt in (network.gate, network.attention.weight):
        torch.nn.init.normal_(learnt, std=0.02)
    return network


def cost(logit, tag):
    return math.log1p(math.exp(-logit if tag else logit))


def test_partners_share_a_tag_as_often_as_asked_for():
    """Of slices with the tags (1, 0), (1, 1), (0, 1), none and (1, 0)."""
    tags = torch.tensor([[1.0, 0], [1, 1], [0, 1], [0, 0], [1, 0]])
    generator = torch.Generator().manual_seed(0)
    for sharing, expected in {
        0.0: [{1, 2, 3, 4}, {0, 2, 3, 4}, {0, 1, 3, 4}, {0, 1, 2, 4}, {0, 1, 2, 3}],
        1.0: [{1, 4}, {0, 2, 4}, {1}, {0, 1, 2, 4}, {0, 1}],
    }.items():
        draws = [torch.rand(5, 6, generator=generator) for _ in range(300)]
        partners = torch.stack([drawn_partners(tags, each, sharing) for each in draws])
        for found, among in zip(partners.T.tolist(), expected, strict=True):
            counts = Counter(found)
            assert set(counts) == among
            assert all(abs(n / 300 - 1 / len(among)) < 0.12 for n in counts.values())
    draws = [torch.rand(5, 6, generator=generator) for _ in range(1000)]
    third = [drawn_partners(tags, each, 0.5)[2].item() == 1 for each in draws]
    assert np.mean(third) == pytest.approx(0.5 + 0.5 / 4, abs=0.05)


def test_a_slice_that_is_alone_is_its_own_partner():
    assert drawn_partners(torch.ones(1, 2), torch.rand(1, 2), 0.5).tolist() == [0]


def test_the_losses_of_a_pair_by_hand():
    """Two pairs, two organs and two places.

    In the first pair the means of what was found are 3 and -1. The gate hides a half and three
    quarters of the places; (3, 2) and (-1, 1) are left. Both organs are there, the first one is
    shared. In the second pair they are 0 and 2, a quarter is hidden, and (3, 0) and (-3, -3) are
    left. The first organ is there and not shared.
    """
    found = torch.tensor(
        [[[2.0, 4], [-1, -1], [0, math.log(3)]], [[0, 0], [1, 3], [-math.log(3)] * 2]]
    )
    own = torch.tensor([[[6.0, 8], [-2, 4], [9, 9]], [[4, 0], [-4, -4], [9, 9]]])
    tags, shared = torch.tensor([[1.0, 1], [1, 0]]), torch.tensor([[1.0, 0], [0, 0]])
    common = (cost(3, 1) + cost(-1, 0) + cost(0, 0) + cost(2, 0)) / 4
    contrast = (cost(2.5, 0) + cost(0, 1) + cost(1.5, 1) + cost(-3, 0)) / 4
    assert pair_loss(found, own, tags, shared).item() == pytest.approx(common + contrast)


class Given(torch.nn.Module):
    """Features, maps and gate of two slices of 1 x 2 places."""

    FEATURES = ([[math.log(3), 0.0]], [[1.0, 0.0]])
    MAPS = ([4.0, 0.0], [-1.0, -3.0])
    GATE = ([0.0, 4 * math.log(3)],) * 2

    def __init__(self):
        super().__init__()
        self.attention = CoAttention(len(self.FEATURES[0]))

    def forward(self, _views):
        planes = torch.tensor([self.MAPS, self.GATE]).movedim(0, 1)
        return torch.tensor(self.FEATURES)[:, :, None], planes[:, :, None]


@pytest.mark.parametrize("tags", [(1, 0), (1, 1), (0, 0), (0, 1)])
def test_the_loss_of_one_organ_by_hand(tags):
    """Places look at each other with weights (3, 1) / 4 and (1, 1) / 2, in both directions.

    The first slice finds (-1.5, -2) and the second one (3, 2). Both find log 3 and 2 log 3 for
    their gates, which hide 3/4 and 9/10: (1, 0) and (-1/4, -3/10) are left.
    """
    value, logits = McisLoss(Given(), VIEWS, "fp32", 0.5).on_views(
        torch.rand(2, 64, 64), torch.tensor(tags).float()[:, None]
    )
    one, other = tags
    own = cost(2, one) + cost(-2, other)
    common = cost(-1.75, one and other) + cost(2.5, one and other)
    contrast = cost(0.5, one > other) + cost(-0.275, other > one)
    assert value.item() == pytest.approx((own + common + contrast) / 2)
    assert logits.flatten().tolist() == [2, -2]


class Three(Given):
    """Three slices with two channels."""

    FEATURES = ([[0.3, 1.0], [2.0, -1.0]], [[1.0, 0.5], [0.0, 1.0]], [[0.2, 0.9], [-1.0, 3.0]])
    MAPS = ([4.0, 0.0], [-1.0, -3.0], [2.0, 7.0])
    GATE = ([0.0, 1.0], [3.0, -1.0], [-2.0, 5.0])


def test_every_slice_is_the_first_of_one_pair():
    """Against one pair after the other, with partners from the same draws.

    The affinity is not symmetric, so that it matters who is first.
    """
    network, tags = Three(), torch.tensor([[1.0], [0.0], [1.0]])
    torch.manual_seed(0)
    torch.nn.init.normal_(network.attention.weight)
    torch.manual_seed(3)
    value, _ = McisLoss(network, VIEWS, "fp32", 0.5).on_views(torch.rand(3, 64, 64), tags)
    torch.manual_seed(3)
    torch.rand(3, 64, 64)
    partners = drawn_partners(tags, torch.rand(3, 4), 0.5).tolist()
    features, planes = (each.flatten(2) for each in network(None))
    weight = network.attention.weight.detach()
    losses = []
    for one, other in enumerate(partners):
        shared = tags[[one]] * tags[[other]]
        affinity = features[one].T @ weight @ features[other]
        found = planes[other] @ affinity.softmax(1).T, planes[one] @ affinity.softmax(0)
        for number, each in zip((one, other), found, strict=True):
            losses.append(pair_loss(each[None], planes[[number]], tags[[number]], shared).item())
    own = [cost(2, 1), cost(-2, 0), cost(4.5, 1)]
    assert value.item() == pytest.approx(np.mean(losses) + np.mean(own), rel=1e-5)


def test_head_and_gate_read_as_well_before_features_are_carried():
    """In the order of the paper features are carried; both slices are not square, and differ."""
    network = network_of()
    with torch.no_grad():
        (one, _), (other, planes) = (network(torch.rand(2, *s)) for s in ((64, 96), (128, 32)))
        grey = torch.rand(2, 64, 96)
        view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
        torch.testing.assert_close(network(grey)[1][:, :-1], cams.get("cam")()(view))
    affinity = network.attention(one.flatten(2), other.flatten(2))
    assert affinity.shape == (2, 6, 4)
    features = carried(affinity, other.flatten(2))
    found = carried(affinity, planes.flatten(2))
    head = network.classifier.head.weight.flatten(1)
    torch.testing.assert_close(found[:, :-1], head @ features)
    torch.testing.assert_close(found[:, -1:], network.gate @ features)


def test_the_gate_starts_at_a_half_and_all_parts_learn():
    network = CoAttentionNet(tiny_classifier(), 64)
    _, planes = network(torch.rand(2, 64, 64))
    assert (planes[:, -1].sigmoid() == 0.5).all()
    views, tags = torch.rand(4, 64, 64), torch.tensor([[1.0, 0], [1, 1], [0, 0], [0, 1]])
    loss = McisLoss(network, VIEWS, "fp32", 0.5)
    torch.nn.init.normal_(network.gate)
    loss.on_views(views, tags)[0].backward()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


@pytest.mark.parametrize("count", [1, 3])
def test_slices_without_an_organ_and_single_ones_are_learnt_from(count):
    network = CoAttentionNet(tiny_classifier(), 64)
    loss = McisLoss(network, VIEWS, "fp32", 0.5)
    value, logits = loss.on_views(torch.rand(count, 64, 64), torch.zeros(count, 2))
    assert value.isfinite()
    assert logits.shape == (count, 2)


def test_maps_are_means_over_partners_against_loops():
    """Two slices of 2 x 3 places, one grey channel, two and three partners of 5 and 4 places."""
    network = network_of(2, channels=1)
    view = Viewer(network.classifier.model)(network.classifier.normalise(torch.rand(2, 64, 96)))
    channels = view.features.shape[1]
    partners = tuple(
        Partners(torch.randn(count, channels, places), torch.randn(count, places))
        for count, places in ((2, 5), (3, 4))
    )
    found = CoAttentiveCam(partners).saliency(view).numpy()
    assert found.shape == (2, 2, 2, 3)
    features = view.features.numpy()
    for b, organ, y, x in np.ndindex(found.shape):
        values = []
        keys, maps = partners[organ].keys.numpy(), partners[organ].maps.numpy()
        for key, each in zip(keys, maps, strict=True):
            affinity = features[b, :, y, x] @ key
            weights = np.exp(affinity - affinity.max())
            values.append((weights * each).sum() / weights.sum())
        assert found[b, organ, y, x] == pytest.approx(np.mean(values), abs=1e-4)


def test_partners_show_their_organ_and_are_drawn_by_the_generator():
    tags = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [0, 0], [1, 0]], np.uint8)
    draws = [
        [rows.tolist() for rows in drawn_slices(tags, 3, torch.Generator().manual_seed(seed))]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert draws[0] == draws[1]
    assert len({tuple(first) for first, _ in draws}) > 1
    for first, second in draws:
        assert len(set(first)) == 3
        assert set(first) <= {0, 1, 3, 5}
        assert second == [2]


def test_partners_are_seen_at_the_first_scale(tmp_path):
    """On the side of the maps, which is not that of the slices; each with the CAM of its organ."""
    context, _ = tiny_context(tmp_path, RECIPE, reads=())
    settings = context.config.changed({"maps.side": 96})
    object.__setattr__(context, "config", settings)
    network = CoAttentionNet(context.classifier, 64).eval()
    torch.nn.init.normal_(network.attention.weight)
    method = Mcis(partners=3)._method(context, network)
    rows = drawn_slices(context.train.tags, 3, torch.Generator().manual_seed(context.seed))
    for organ, (partners, chosen) in enumerate(zip(method.partners, rows, strict=True)):
        assert (context.train.tags[chosen, organ] == 1).all()
        grey = resize(context.train.images(chosen).float() / 255, 96)
        with torch.no_grad():
            features, planes = network(grey)
        torch.testing.assert_close(partners.keys, network.attention.weight @ features.flatten(2))
        torch.testing.assert_close(partners.maps, planes[:, organ].flatten(1))
        assert partners.maps.shape == (3, 36)


def test_without_partners_the_maps_are_cam(tmp_path):
    context, _ = tiny_context(tmp_path, RECIPE, reads=())
    assert isinstance(Mcis(partners=0)._method(context, None), Cam)


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
def test_pairs_of_unseen_slices_show_what_they_share_and_what_not(organs, tmp_path):
    """After a training, and not before; and maps light up where organs are."""
    slices, unseen = toy_slices(16, organs=organs), toy_slices(16, organs=organs, seed=1)
    network = CoAttentionNet(tiny_classifier(len(organs)), 64)
    assert min(_right(network, unseen)) < 0.8
    own = {"seed": 0, "device": torch.device("cpu"), "checkpoint": tmp_path / "mcis"}
    recipe = sgd(RECIPE.model_copy(update={"epochs": 80}))
    minimise(McisLoss(network, VIEWS, "fp32", 0.5), network, slices, recipe, **own)
    assert min(_right(network, unseen)) > 0.95
    assert min(_within(network, slices, unseen)) > 0.9


@torch.no_grad()
def _right(network, slices):
    """Share of right answers on shared and on unshared tags, over all pairs of eight slices."""
    network.eval()
    features, planes = (each.flatten(2) for each in network(slices.images(slice(8)).float() / 255))
    tags = slices.tag_tensor(slice(8))
    one, other = torch.cartesian_prod(torch.arange(8), torch.arange(8)).T
    found = carried(network.attention(features[one], features[other]), planes[other])
    left = planes[one, :-1] * (1 - found[:, -1:].sigmoid())
    shared = tags[one] * tags[other]
    answers = (found[:, :-1], shared), (left, tags[one] - shared)
    return [((maps.mean(2) > 0) == (tag > 0)).float().mean().item() for maps, tag in answers]


@torch.no_grad()
def _within(network, slices, unseen):
    """Share of the maps of unseen slices in cells that see the squares, 6 and 4 of 16, by organ."""
    cells = [(slice(1, 3), slice(0, 3)), (slice(2, 4), slice(2, 4))]
    grey, tags = unseen.images(slice(None)).float() / 255, unseen.tags > 0
    view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
    shares = []
    for organ, shown in enumerate(tags.T):
        rows = np.flatnonzero(slices.tags[:, organ])[:3]
        features, planes = (e.flatten(2) for e in network(slices.images(rows).float() / 255))
        partners = Partners(network.attention.keys(features), planes[:, organ])
        (maps,) = CoAttentiveCam((partners,)).saliency(view).relu().transpose(0, 1)
        shares.append((maps[shown][:, *cells[organ]].sum() / maps[shown].sum()).item())
    return shares


def test_trunk_learns_slowly_and_what_is_new_as_heads_do(tmp_path, monkeypatch):
    recipe = RECIPE.model_copy(update={"head_factor": 5.0})
    context, _ = tiny_context(tmp_path, recipe, epochs=1, reads=())
    seen = {}

    def spy(_context, loss, network, _slices, config, **_):
        seen["rates"] = config.lr, config.lr * config.head_factor
        seen["sharing"] = loss.sharing
        new = [network.gate, network.attention.weight, network.classifier.head.weight]
        seen["fresh"] = {id(p) for p in network.fresh} == {id(p) for p in new}

    monkeypatch.setattr("camzoo.segment.learning_context.BaselineContext.minimise", spy)
    Mcis(rate=0.2, sharing=0.7).pseudo_masks(context)
    assert seen["rates"] == (pytest.approx(0.2 * recipe.lr), pytest.approx(5 * recipe.lr))
    assert seen["sharing"] == 0.7
    assert seen["fresh"]


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
@pytest.mark.parametrize("partners", [0, 3])
def test_it_trains_and_predicts(organs, partners, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=(), organs=organs)
    baseline = baselines.get("mcis")(partners=partners)
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), len(organs), 16, 16)
    assert set(np.unique(baseline.pseudo)) <= set(range(len(organs) + 1))
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, len(organs) + 1, 32, 32)


@pytest.mark.parametrize("wrong", [{"partners": -1}, {"sharing": 1.5}, {"rate": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"partners >= 0, 0 <= sharing <= 1 and rate > 0, got"):
        Mcis(**wrong)
