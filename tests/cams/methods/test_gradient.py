"""Every formula against numbers worked out by hand.

Features on a 1 x 2 grid: A_0 = (1, 5), A_1 = (2, 4). With y = 3/2 sum A_0^2 - sum A_1^2 the
gradients are g_0 = (3, 15), g_1 = (-4, -8). With y = 3 mean A_0 - 2 mean A_1 they are 3/2 and -1.
"""

import pytest
import torch

from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.networks import GivenFeatures, SquaredFeatures, lively, pictures

IMAGES = torch.tensor([[[[1.0, 5.0]], [[2.0, 4.0]]]])
WEIGHTS = [[3.0, -2.0]]

SQUARED = {
    "grad-cam": [18 * 1 - 12 * 2, 18 * 5 - 12 * 4],
    "hires-cam": [2 * (3 * 1 - 4 * 2), 2 * (15 * 5 - 8 * 4)],
    "layer-cam": [2 * (3 * 1), 2 * (15 * 5)],
    "xgrad-cam": [26 * 1 - 40 / 3 * 2, 26 * 5 - 40 / 3 * 4],  # 2 * 78 / 6 and -2 * 40 / 6
    # S_0 = 6: 3 / (2 + 18) + 15 / (2 + 90) = 36 / 115; channel 1 has no positive gradient
    "grad-cam++": [36 / 115 * 1, 36 / 115 * 5],
}
LINEAR = {
    "grad-cam": [3 * 1 - 2 * 2, 3 * 5 - 2 * 4],
    "hires-cam": [3 * 1 - 2 * 2, 3 * 5 - 2 * 4],
    "layer-cam": [3 * 1, 3 * 5],
    "xgrad-cam": [3 * 1 - 2 * 2, 3 * 5 - 2 * 4],
    # w / (2 + w mean A_0) = 3 / (2 + 9)
    "grad-cam++": [3 / 11 * 1, 3 / 11 * 5],
}


@pytest.mark.parametrize("name", SQUARED)
def test_by_hand_on_the_general_path(name):
    maps = cams.get(name)()(Viewer(SquaredFeatures(WEIGHTS))(IMAGES))
    assert maps.flatten().tolist() == pytest.approx(SQUARED[name], rel=1e-6)


@pytest.mark.parametrize("name", LINEAR)
def test_by_hand_in_closed_form(name):
    maps = cams.get(name)()(Viewer(GivenFeatures(WEIGHTS))(IMAGES))
    assert maps.flatten().tolist() == pytest.approx(LINEAR[name], rel=1e-6)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("network", ["test_resnet", "test_efficientnet"])
def test_both_paths_agree(name, network, monkeypatch):
    """The closed form against gradients that autograd takes through the head."""
    model, images = lively(network), pictures(3)
    closed = cams.get(name)()(Viewer(model)(images))
    monkeypatch.setattr("camzoo.cams.view.viewer.find_readout", lambda *_: None)
    view = Viewer(model)(images)
    assert not view.closed_form
    general = cams.get(name)()(view)
    gap = (closed - general).abs().amax((2, 3)) / closed.abs().amax((2, 3))
    assert gap.max() < 1e-5


def test_tiny_gradients_do_not_drown_in_an_epsilon():
    """Grad-CAM++ of a logit 1e-6 as large: the weight is that much smaller, and nothing else."""
    small = Viewer(GivenFeatures([[3e-6, -2e-6]]))(IMAGES)
    maps = cams.get("grad-cam++")()(small)
    expected = 3e-6 / (2 + 9e-6)
    assert maps.flatten().tolist() == pytest.approx([expected, 5 * expected], rel=1e-6)


def test_channels_without_mass_or_gradient_have_no_weight():
    images = torch.tensor([[[[-1.0, 1.0]], [[0.0, 0.0]], [[2.0, 4.0]]]])
    view = Viewer(GivenFeatures([[3.0, 1.0, 0.0]]))(images)
    assert cams.get("xgrad-cam")()(view).tolist() == [[[[0.0, 0.0]]]]
    assert cams.get("grad-cam++")()(view).flatten().tolist() == [-1.5, 1.5]  # 3 / (2 + 0)
