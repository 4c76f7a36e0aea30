import pytest
import torch

from camzoo.cams.base import CamMethod
from camzoo.cams.view.fusion import Fusion, fuse
from camzoo.cams.view.viewer import Viewer
from camzoo.core.errors import ConfigError
from camzoo.registries import cams
from tests.cams.networks import lively, pictures

#: Two layers that differ in scale and grid; on the finer grid the coarse one is (0.25, 1) twice.
FINE = torch.tensor([[[[100.0, -5.0], [50.0, 20.0]]]])
COARSE = torch.tensor([[[[1.0, 4.0]]]])


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        ("max", [[1.0, 1.0], [0.5, 1.0]]),
        ("mean", [[0.625, 0.5], [0.375, 0.6]]),
        ("product", [[0.25, 0.0], [0.125, 0.2]]),
    ],
)
def test_by_hand(fusion, expected):
    fused = fuse([FINE, COARSE], Fusion(fusion))[0, 0]
    torch.testing.assert_close(fused, torch.tensor(expected))


def test_maps_without_evidence_stay_empty():
    nothing = torch.full((1, 1, 2, 2), -3.0)
    assert torch.equal(fuse([nothing, nothing], Fusion.MEAN), torch.zeros(1, 1, 2, 2))
    assert torch.isfinite(fuse([nothing, FINE], Fusion.PRODUCT)).all()


def test_unknown_fusion():
    with pytest.raises(ConfigError, match="unknown fusion 'median'; known: max, mean, product"):
        Fusion.named("median")


def test_a_method_called_on_several_layers_fuses_their_maps():
    model, images, method = lively("test_resnet"), pictures(), cams.get("layer-cam")()
    together = method(Viewer(model, ["layer2", "layer4"], "mean")(images))
    alone = [method(Viewer(model, layer)(images)) for layer in ("layer2", "layer4")]
    assert together.shape == (2, 4, *alone[0].shape[2:])
    torch.testing.assert_close(together, fuse(alone, Fusion.MEAN))


def test_a_method_that_does_not_learn_as_it_says():
    class Forgetful(CamMethod):
        needs_fit = True

        def saliency(self, view):
            return view.features

    with pytest.raises(NotImplementedError, match="Forgetful says needs_fit"):
        Forgetful().fit(None)
