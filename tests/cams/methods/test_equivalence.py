from itertools import combinations

import pytest
import torch

from camzoo.cams.equivalence import equivalent
from camzoo.cams.view.viewer import Viewer
from camzoo.registries import cams
from tests.cams.networks import lively, pictures

#: All that are cheap.
METHODS = [
    "cam", "grad-cam", "hires-cam", "xgrad-cam", "shapley-cam", "reciprocal-cam", "grad-cam++",
    "smooth-grad-cam++", "layer-cam", "ablation-cam", "eigen-cam", "eigen-grad-cam",
    "seg-eigen-cam", "kpca-cam", "fem", "finer-cam", "random", "centre", "otsu",
]  # fmt: skip


def same(maps, others):
    return maps.shape == others.shape and torch.allclose(
        maps, others, rtol=0, atol=1e-4 * float(maps.abs().max())
    )


@pytest.mark.parametrize("layer", [None, "layer3"])
def test_groups_are_exactly_the_methods_whose_maps_are_the_same(layer):
    """Computed from the maps themselves: what is listed is equal, and nothing else is."""
    view = Viewer(lively("test_resnet", act_layer="silu"), layer)(pictures() * 5)
    names = [name for name in METHODS if layer is None or name != "cam"]
    maps = {name: cams.get(name)()(view) for name in names}
    groups = equivalent(names, closed_form=view.closed_form)
    together = {pair for group in groups for pair in combinations(group, 2)}
    for a, b in combinations(names, 2):
        assert same(maps[a], maps[b]) == ((a, b) in together), f"{a} and {b}"


def test_gradient_methods_weigh_images_of_several_sizes_alike():
    """The sum over sizes that the pipeline makes is CAM's, too: raw maps equal at every size."""
    model = lively("test_resnet")
    for height, width in [(64, 96), (96, 160)]:
        view = Viewer(model)(pictures(2, height, width))
        expected = cams.get("cam")()(view)
        for name in equivalent(METHODS, closed_form=True)[0]:
            assert same(cams.get(name)()(view), expected), name


def test_order_repeats_and_unknown_names():
    assert equivalent(["grad-cam", "lpcam", "cam", "grad-cam", "mine"], closed_form=True) == [
        ("grad-cam", "cam")
    ]
    assert equivalent(["cam", "grad-cam"], closed_form=False) == []
    assert equivalent([], closed_form=True) == []
