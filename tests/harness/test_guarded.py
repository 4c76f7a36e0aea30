"""Whatever a method does wrong fails its own row, with a message that helps, and nothing else."""

import numpy as np
import pytest
import torch

from camzoo.cams.base import CamMethod, FitContext, cams
from camzoo.cams.map_arrays import MapArrays
from camzoo.cams.pipeline import make_maps
from camzoo.config import MapsConfig
from camzoo.harness.guarded import Guarded
from camzoo.network.backbone import Classifier
from tests.cams.networks import GivenFeatures
from tests.toy import toy_slices

CPU = torch.device("cpu")
CONFIG = MapsConfig(side=32, scales=(1.0,), flip="always", size=8, batch=4)
SLICES = toy_slices(count=6, size=32)  # a batch of four, and one of two


def run(*methods):
    """Maps of methods side by side, and the guards around them."""
    classifier = Classifier(
        GivenFeatures([[1.0, 0, 0], [0, 1.0, 0]]), (0.0,) * 3, (1.0,) * 3, frozen_norm=True
    )
    guarded = {str(number): Guarded(method) for number, method in enumerate(methods)}
    for method in guarded.values():
        generator = torch.Generator().manual_seed(0)
        method.fit(FitContext(classifier, SLICES, generator, CPU))
    sinks = {name: MapArrays.empty(6, 2, 8) for name in guarded}
    make_maps(classifier, guarded, SLICES, CONFIG, sinks, layer=None, precision="fp32")
    return list(sinks.values()), list(guarded.values())


def giving(change):
    """A method that returns what ``change`` makes of right maps, float32 [B, 2, 32, 32]."""

    class Method(CamMethod):
        """Written for one test."""

        def saliency(self, view):
            return change(torch.ones(*view.logits.shape, *view.features.shape[2:]))

    return Method


WRONG = {
    "no class axis": (lambda maps: maps[:, 0], "got float32 [4, 32, 32] on cpu"),
    "one class": (lambda maps: maps[:, :1], "got float32 [4, 1, 32, 32] on cpu"),
    "a class too many": (lambda maps: maps[:, [0, 1, 1]], "got float32 [4, 3, 32, 32] on cpu"),
    "one image": (lambda maps: maps[:1], "got float32 [1, 2, 32, 32] on cpu"),
    "no places": (lambda maps: maps[..., :0], "got float32 [4, 2, 32, 0] on cpu"),
    "integers": (lambda maps: maps.long(), "got int64 [4, 2, 32, 32] on cpu"),
    "yes or no": (lambda maps: maps > 0, "got bool [4, 2, 32, 32] on cpu"),
    "elsewhere": (lambda maps: maps.to("meta"), "got float32 [4, 2, 32, 32] on meta"),
    "numpy": (lambda maps: maps.numpy(), "got ndarray"),
    "a list": (list, "got list"),
    "nothing": (lambda _maps: None, "got NoneType"),
}


@pytest.mark.parametrize(("change", "got"), WRONG.values(), ids=WRONG)
def test_what_is_no_map_fails_the_row_and_says_what_was_expected(change, got):
    (wrong, right), (failing, cam) = run(giving(change), cams.get("cam"))
    expected = "ConfigError: expected float maps [4, 2, h, w] on cpu"
    assert failing.failure == f"{expected}, {got}"
    assert not wrong.maps.any()
    assert not cam.failure
    assert right.maps.any()


def test_maps_on_a_graph_fail_the_row():
    _, (failing, _) = run(giving(lambda maps: maps.requires_grad_() * 2), cams.get("cam"))
    assert "the maps hang on a graph; detach them" in failing.failure


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_any_width_are_maps(kind):
    (arrays,), (method,) = run(giving(lambda maps: maps.to(kind)))
    assert not method.failure
    # A constant map is 1 wherever its class is there.
    assert np.array_equal(arrays.maps[:, :, 3, 5], SLICES.tags)


def test_maps_that_are_not_finite_are_the_business_of_the_pipeline():
    (arrays,), (method,) = run(giving(lambda maps: maps * torch.nan))
    assert not method.failure
    assert not arrays.maps.any()


def test_a_method_that_compares_more_classes_than_there_are_fails():
    class Comparing(giving(lambda maps: maps)):
        """Never asks how many classes there are."""

        min_classes = 3

    _, (method,) = run(Comparing)
    assert method.failure == "ConfigError: it compares classes and needs 3; the classifier has 2"


def test_a_method_that_failed_is_not_asked_again():
    asked = []

    def fail(maps):
        asked.append(len(maps))
        raise ValueError("no such thing")

    _, (method,) = run(giving(fail))
    assert method.failure == "ValueError: no such thing"
    assert asked == [4]
