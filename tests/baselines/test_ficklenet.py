import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from camzoo_baselines.ficklenet import FickleCam, FickleLoss, FickleNet, RandomHead, selection

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
BACKBONE = BackboneConfig(name="resnet10t", weights="none", frozen=0, output_stride=32)


def head_of(classes=3, kernel=9.0, drop=0.9):
    """A random head whose taps differ, behind a trunk with cells of 32 pixels."""
    network = RandomHead(build_classifier(BACKBONE, classes, seed=0), 64, kernel, drop).eval()
    torch.manual_seed(1)
    torch.nn.init.normal_(network.taps)
    return network


def expanded(features, kept, taps):
    """The paper's way: windows laid out beside each other, cells dropped, stride as the kernel.

    ``kept`` is seen from the cells: cell v lies under tap t of the window centred t - r before it.
    """
    batch, channels, height, width = features.shape
    size = math.isqrt(kept.shape[1])
    reach = size // 2
    padded = F.pad(features, (reach,) * 4)
    wide = features.new_zeros(batch, channels, size * height, size * width)
    for y in range(height):
        for x in range(width):
            window = padded[:, :, y : y + size, x : x + size].clone()
            for tap in range(size**2):
                row, column = divmod(tap, size)
                v, u = y + row - reach, x + column - reach
                if 0 <= v < height and 0 <= u < width:
                    window[:, :, row, column] *= kept[:, tap, v, u, None]
            wide[:, :, y * size : (y + 1) * size, x * size : (x + 1) * size] = window
    kernel = taps.unflatten(1, (size, size)).permute(0, 3, 1, 2)
    return F.conv2d(wide, kernel, stride=size)


@pytest.mark.parametrize("size", [3, 5])
def test_maps_are_gradient_times_feature_of_the_papers_expanded_convolution(size):
    """Two slices, three classes, a grid of 4 x 6 cells; the logits are the means of both."""
    network = head_of(kernel=size * 4.0)
    assert network.size == size
    features = torch.rand(2, 512, 4, 6, requires_grad=True)
    kept = selection(torch.rand(2, size**2, 4, 6), 0.6)
    scores = expanded(features, kept, network.taps)
    assert scores.shape == (2, 3, 4, 6)
    with torch.no_grad():
        maps = torch.einsum("btyx,bctyx->bcyx", kept, network.answers(features))
    logits = scores.mean((2, 3))
    torch.testing.assert_close(maps.mean((2, 3)), logits, atol=1e-4, rtol=1e-4)
    for number in range(3):
        (gradient,) = torch.autograd.grad(logits[:, number].sum(), features, retain_graph=True)
        by_autograd = (gradient * features).sum(1) * 24
        torch.testing.assert_close(maps[:, number], by_autograd, atol=1e-3, rtol=1e-4)


def test_what_a_window_keeps_by_hand():
    """A row of three cells under a kernel of 3 x 3: only its middle row has cells.

    The left tap of a window that is centred on the map never has the last cell, the right one never
    the first. Draws below 0.75 are dropped, the others count four times, and the centre once.
    """
    draws = torch.zeros(1, 9, 1, 3)
    draws[0, 3] = torch.tensor([0.8, 0.7, 0.9])
    draws[0, 4] = torch.tensor([0.0, 0.9, 0.1])
    draws[0, 5] = torch.tensor([0.9, 0.75, 0.74])
    draws[0, 0] = 0.99
    expected = torch.zeros(9, 1, 3)
    expected[3, 0] = torch.tensor([4.0, 0, 0])
    expected[4, 0] = 1
    expected[5, 0] = torch.tensor([0.0, 4, 0])
    assert selection(draws, 0.75)[0].equal(expected)


def test_what_is_kept_is_right_on_average():
    """Each of the eight neighbours of the cell in the middle, over many draws, and not at once."""
    torch.manual_seed(0)
    kept = selection(torch.rand(20000, 9, 5, 7), 0.9)[:, :, 2, 3]
    neighbours = kept[:, [0, 1, 2, 3, 5, 6, 7, 8]]
    assert neighbours.unique().tolist() == pytest.approx([0, 10])
    np.testing.assert_allclose(neighbours.mean(0), 1, atol=0.1)  # a standard error of 0.02
    together = np.corrcoef(neighbours.T)[np.triu_indices(8, 1)]
    assert abs(together).max() < 0.05


def test_it_starts_from_the_maps_of_the_shared_classifier():
    """Where nothing is dropped a cell that every tap reaches has exactly its CAM."""
    classifier = build_classifier(BACKBONE, 3, seed=0).eval()
    network = RandomHead(classifier, 64, 9, 0.0).eval()
    grey = torch.rand(2, 128, 192)
    with torch.no_grad():
        cam = cams.get("cam")()(Viewer(classifier.model)(classifier.normalise(grey)))
        maps = network(grey)
    torch.testing.assert_close(maps[:, :, 1:-1, 1:-1], cam[:, :, 1:-1, 1:-1])
    torch.testing.assert_close(maps[:, :, 0, 0], cam[:, :, 0, 0] * 4 / 9)


def test_a_place_is_the_organs_where_any_draw_says_so():
    """Eleven draws, more than are held at once, against one map after the other."""
    network = head_of()
    grey = torch.rand(3, 64, 96)
    view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
    found = FickleCam(network, 11, seed=5).saliency(view)
    generator = torch.Generator().manual_seed(5)
    answers = torch.einsum("ctk,bkyx->bctyx", network.taps.detach(), view.features)
    draws = [torch.rand(count, 9, 2, 3, generator=generator) for count in (8, 3)]
    each = [(answers * one).sum(2) for one in selection(torch.cat(draws), 0.9)]
    for threshold in found.flatten().quantile(torch.tensor([0.25, 0.5, 0.75])):
        any_of_them = torch.stack([one > threshold + 1e-3 for one in each]).any(0)
        assert 0 < any_of_them.float().mean() < 1
        assert (found > threshold + 1e-3).equal(any_of_them)
    alone = Viewer(network.classifier.model)(network.classifier.normalise(grey[2:]))
    again = FickleCam(network, 11, seed=5).saliency(alone)
    torch.testing.assert_close(again[0], found[2], atol=1e-4, rtol=1e-4)
    assert not FickleCam(network, 11, seed=6).saliency(view).equal(found)


def test_every_slice_of_a_step_has_a_draw_of_its_own():
    network = head_of()
    grey = torch.rand(1, 64, 96).expand(2, -1, -1)
    with torch.no_grad():
        one, other = network(grey)
    assert not torch.allclose(one, other)


class Given(torch.nn.Module):
    """Maps of a slice with the organ and of one without."""

    def forward(self, _views):
        return torch.tensor([[1.0, 3.0], [-1.0, -1.0]])[:, None, None]


def test_the_loss_by_hand():
    """Logits are the means, 2 and -1."""
    value, logits = FickleLoss(Given(), VIEWS, "fp32").on_views(
        torch.rand(2, 64, 64), torch.tensor([[1.0], [0.0]])
    )
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert value.item() == pytest.approx(expected)
    assert logits.flatten().tolist() == [2, -1]


def test_it_learns_the_tags_of_unseen_slices_and_where_organs_are(tmp_path):
    slices, unseen = toy_slices(16), toy_slices(16, seed=1)
    network = RandomHead(tiny_classifier(), 64, 6, 0.9)
    assert network.size == 3
    before = network.taps.detach().clone()
    own = {"seed": 0, "device": torch.device("cpu"), "checkpoint": tmp_path / "fickle"}
    minimise(FickleLoss(network, VIEWS, "fp32"), network, slices, sgd(RECIPE), **own)
    assert not network.taps.equal(before)
    network.eval()
    grey, tags = unseen.images(slice(None)).float() / 255, unseen.tag_tensor(slice(None)) > 0
    with torch.no_grad():
        logits = network(grey).mean((2, 3))
    assert ((logits > 0) == tags).float().mean() > 0.9
    view = Viewer(network.classifier.model)(network.classifier.normalise(grey))
    maps = FickleCam(network, 20, seed=0).saliency(view).relu()
    columns = [maps[tags[:, organ], organ].sum((0, 1)) for organ in (0, 1)]
    left, right = ((each[:2].sum() / each.sum()).item() for each in columns)
    assert left > 0.75
    assert right < 0.25


@pytest.mark.parametrize("organs", [("bright",), ("bright", "dark")], ids=len)
def test_it_trains_and_predicts(organs, tmp_path):
    recipe = RECIPE.model_copy(update={"epochs": 1})
    context, asked = tiny_context(tmp_path, recipe, epochs=1, reads=(), organs=organs)
    baseline = baselines.get("ficklenet")(draws=9)
    baseline.fit(context)
    assert asked[0].shape == (len(context.val), len(organs), 16, 16)
    assert set(np.unique(baseline.pseudo)) <= set(range(len(organs) + 1))
    assert baseline.predict(context.val.images(slice(0, 3))).shape == (3, len(organs) + 1, 32, 32)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match=r"drop < 1.*got 1, 9\.0, 200 and 0\.1"):
        FickleNet(drop=1)
