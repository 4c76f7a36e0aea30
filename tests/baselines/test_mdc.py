import math

import numpy as np
import pytest
import torch
from camzoo_baselines.mdc import BlocksLoss, DilatedBlocks, DilatedCam, Mdc, block

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
BACKBONE = BackboneConfig(name="resnet10t", weights="none", frozen=0)


def by_loops(features, made, dilation):
    """Maps [C, h, w] of a block for features [K, h, w], one tap after the other, in numpy."""
    spread, _, head = made
    weights, bias = spread.weight.detach().numpy(), spread.bias.detach().numpy()
    _, height, width = features.shape
    hidden = np.zeros((len(weights), height, width)) + bias[:, None, None]
    for row in range(3):
        for column in range(3):
            dy, dx = (row - 1) * dilation, (column - 1) * dilation
            for y in range(height):
                for x in range(width):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        seen = features[:, y + dy, x + dx]
                        hidden[:, y, x] += weights[:, :, row, column] @ seen
    return np.einsum("cj,jyx->cyx", head.weight.detach().numpy()[:, :, 0, 0], hidden.clip(min=0))


@pytest.mark.parametrize("dilation", [1, 3])
def test_a_block_against_loops(dilation):
    torch.manual_seed(0)
    made = block(4, 6, 3, dilation)
    features = torch.randn(2, 4, 5, 8)
    with torch.no_grad():
        maps = made(features).numpy()
    for one, given in zip(maps, features.numpy(), strict=True):
        np.testing.assert_allclose(one, by_loops(given, made, dilation), atol=1e-5)


def test_blocks_reach_as_far_as_their_dilations():
    """What changes in one cell is seen so many cells away, by each block in its own distance."""
    network = DilatedBlocks(build_classifier(BACKBONE, 1, seed=0), 256, (1, 3, 6, 9), 8, seed=0)
    features = torch.rand(1, 512, 13, 15)
    other = features.clone()
    other[:, :, 6, 7] += 5
    reached = []
    with torch.no_grad():
        for one, changed in zip(network.maps(features), network.maps(other), strict=True):
            rows, columns = (one != changed)[0, 0].nonzero(as_tuple=True)
            reached.append((sorted({*rows.tolist()}), sorted({*columns.tolist()})))
    assert reached == [([6 - d, 6, 6 + d], [7 - d, 7, 7 + d]) for d in (1, 2, 3, 5)]


def test_maps_are_added_to_the_undilated_one_by_hand(monkeypatch):
    """On [0, 1] the maps are (1, 1/2, 0), (0, 1, 1/4), (1, 0, 0) and (0, 1, 1)."""
    network = DilatedBlocks(tiny_classifier(1), 64, (1, 3, 6, 9), 4, seed=0)
    given = torch.tensor([[4.0, 2, -3], [-1, 8, 2], [0.5, 0, 0], [-9, 3, 3]]).view(4, 1, 1, 1, 3)
    monkeypatch.setattr(network, "maps", lambda _features: list(given))
    classifier = network.classifier
    found = DilatedCam(network).saliency(Viewer(classifier.model)(torch.rand(1, 3, 64, 64)))
    expected = torch.tensor([1 + 1 / 3, 1 / 2 + 2 / 3, 5 / 12])
    torch.testing.assert_close(found.flatten(), expected)


def test_maps_are_read_from_the_features_of_a_view():
    network = DilatedBlocks(build_classifier(BACKBONE, 3, seed=0), 64, (1, 3), 8, seed=0).eval()
    grey = torch.rand(2, 64, 96)
    view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
    with torch.no_grad():
        exact, wide = (each.relu() for each in network(grey))
    tops = (each.amax((2, 3), keepdim=True).clamp_min(1e-5) for each in (exact, wide))
    first, second = tops
    torch.testing.assert_close(DilatedCam(network).saliency(view), exact / first + wide / second)


class Given(torch.nn.Module):
    """Maps of two blocks, of a slice with the organ and one without."""

    def forward(self, _views):
        maps = torch.tensor([[[1.0, 3.0], [-1.0, -1.0]], [[0.0, 0.0], [-3.0, 1.0]]])
        return list(maps[:, :, None, None])


def test_every_block_learns_the_tags():
    """Logits are the means, 2 and -1 of the first block, 0 and -1 of the second."""
    value, logits = BlocksLoss(Given(), VIEWS, "fp32").on_views(
        torch.rand(2, 64, 64), torch.tensor([[1.0], [0.0]])
    )
    costs = (math.log1p(math.exp(-x)) for x in (2, 1, 0, 1))
    assert value.item() == pytest.approx(sum(costs) / 4)
    assert logits.flatten().tolist() == [1, -1]


def test_every_block_learns_the_tags_of_unseen_slices(tmp_path):
    slices, unseen = toy_slices(16), toy_slices(16, seed=1)
    network = DilatedBlocks(tiny_classifier(), 64, (1, 3, 6, 9), 16, seed=0)
    own = {"seed": 0, "device": torch.device("cpu"), "checkpoint": tmp_path / "blocks"}
    recipe = sgd(RECIPE.model_copy(update={"epochs": 80}))
    minimise(BlocksLoss(network, VIEWS, "fp32"), network, slices, recipe, **own)
    network.eval()
    grey, tags = unseen.images(slice(None)).float() / 255, unseen.tag_tensor(slice(None)) > 0
    with torch.no_grad():
        for maps in network(grey):
            assert ((maps.mean((2, 3)) > 0) == tags).float().mean() > 0.9


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
def test_it_trains_and_predicts(organs, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=(), organs=organs)
    baseline = baselines.get("mdc")(width=8)
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), len(organs), 16, 16)
    assert set(np.unique(baseline.pseudo)) <= set(range(len(organs) + 1))
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, len(organs) + 1, 32, 32)


@pytest.mark.parametrize("rates", [(1,), (3, 1), (0, 1), (2, 2)])
def test_wrong_settings_are_refused(rates):
    with pytest.raises(ConfigError, match="two or more ascending rates > 0"):
        Mdc(rates=rates)
