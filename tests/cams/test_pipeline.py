from dataclasses import replace

import numpy as np
import pytest
import torch

from camzoo.cams.base import CamMethod, cams
from camzoo.cams.finishing import Finisher, finish
from camzoo.cams.map_arrays import MapArrays, MapStatus
from camzoo.cams.pipeline import input_side, make_maps
from camzoo.config import BackboneConfig, MapsConfig
from camzoo.network.backbone import build_classifier
from tests.toy import toy_slices

CONFIG = MapsConfig(side=64, scales=(1.0, 2.0), size=32, batch=5, flip="always")


def run(slices, config=CONFIG, methods=None):
    classifier = build_classifier(
        BackboneConfig(name="resnet10t", weights="none", frozen=0), len(slices.organs), seed=0
    )
    methods = methods or {"cam": cams.get("cam")()}
    sinks = {
        name: MapArrays.empty(len(slices), len(slices.organs), config.size) for name in methods
    }
    make_maps(classifier, methods, slices, config, sinks, layer=None, precision="fp32")
    return sinks


class Corner(CamMethod):
    """Evidence in the top left corner, negative elsewhere; class 2 has none at all."""

    def saliency(self, view):
        maps = torch.full((*view.logits.shape, *view.features.shape[-2:]), -1.0)
        maps[:, 0, 0, 0] = 8.0
        return maps


def test_absent_classes_are_empty_and_present_ones_peak_at_one():
    slices = toy_slices(count=12)
    arrays = run(slices)["cam"]
    assert arrays.maps.dtype == np.float16
    assert arrays.maps.shape == (12, 2, 32, 32)
    peaks = arrays.maps.max(axis=(2, 3))
    assert not peaks[slices.tags == 0].any()
    assert (arrays.status[slices.tags == 0] == MapStatus.ABSENT).all()
    good = arrays.status == MapStatus.OK
    assert good.any()
    assert peaks[good] == pytest.approx(np.ones(good.sum()), abs=2e-3)
    assert (arrays.peak[good] > 0).all()


def test_a_flip_twin_is_brought_back():
    """Corner looks at the top left of each view: with the twin un-mirrored, both corners light."""
    slices = toy_slices(count=4)
    both = run(slices, methods={"corner": Corner()})["corner"].maps
    one = run(slices, CONFIG.model_copy(update={"flip": "never"}), {"corner": Corner()})["corner"]
    present = slices.tags[:, 0] == 1
    assert (both[present, 0, 0, 0] == both[present, 0, 0, -1]).all()
    assert both[present, 0, 0, 0] == pytest.approx(1, abs=2e-3)
    assert not one.maps[present, 0, 0, -1].any()


def test_negative_evidence_is_no_evidence():
    slices = toy_slices(count=4)
    arrays = run(slices, methods={"corner": Corner()})["corner"]
    present = slices.tags[:, 1] == 1
    assert (arrays.status[present, 1] == MapStatus.ALL_NEGATIVE).all()
    assert not arrays.maps[:, 1].any()


def test_mirrored_slices_get_mirrored_maps():
    slices = toy_slices(count=8)
    mirror = replace(slices, store=np.ascontiguousarray(slices.store[:, :, ::-1]))
    straight, mirrored = run(slices)["cam"].maps, run(mirror)["cam"].maps
    assert np.abs(straight - mirrored[..., ::-1]).max() < 2e-2


def test_the_batch_size_does_not_matter():
    slices = toy_slices(count=7)
    one = run(slices, CONFIG.model_copy(update={"batch": 1}))["cam"].maps
    many = run(slices, CONFIG.model_copy(update={"batch": 7}))["cam"].maps
    assert np.abs(one.astype(np.float32) - many).max() < 5e-3


def test_finish_by_hand():
    evidence = torch.tensor(
        [[[[0.0, 1.0], [2.0, 4.0]], [[3.0, 3.0], [3.0, 3.0]]],
         [[[0.0, float("nan")], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]],
         [[[1.0, 1.0], [1.0, 3.0]], [[1.0, 2.0], [3.0, 5.0]]]]
    )  # fmt: skip
    gates = torch.tensor([[True, True], [True, True], [False, True]])
    maps, status, peak = finish(evidence, gates, "max")
    expected = [
        [MapStatus.OK, MapStatus.CONSTANT],
        [MapStatus.NON_FINITE, MapStatus.ALL_NEGATIVE],
        [MapStatus.ABSENT, MapStatus.OK],
    ]
    assert status.tolist() == expected
    assert torch.isfinite(maps).all()
    assert maps[0, 0].flatten().tolist() == pytest.approx([0, 0.25, 0.5, 1], abs=1e-5)
    assert peak.tolist() == [[4, 3], [0, 0], [0, 5]]
    least, _, _ = finish(evidence, gates, "min-max")
    assert least[2, 1].flatten().tolist() == pytest.approx([0, 0.25, 0.5, 1], abs=1e-5)
    raw, _, _ = finish(evidence, gates, "none")
    assert raw[0, 0].flatten().tolist() == [0, 1, 2, 4]


@pytest.mark.parametrize("part", [1, 2, 3, 5])
def test_volumes_are_divided_by_their_maximum_when_their_last_slice_has_come(part):
    """Cases of 2, 0 and 3 slices; evidence of unlike size for the two classes, none for absent."""
    cases = (("a", 0, 2), ("empty", 2, 2), ("b", 2, 5))
    slices = replace(toy_slices(count=5), cases=cases)
    slices.tags[:] = [[1, 1], [1, 1], [1, 0], [1, 1], [0, 1]]
    evidence = torch.zeros(5, 2, 2, 3)
    evidence[:, 0, 1, 0] = torch.tensor([1.0, 4.0, 2.0, 3.0, 50.0])
    evidence[:, 1, 0, 2] = torch.tensor([0.0, 8.0, 90.0, 6.0, 3.0])
    out = MapArrays(np.zeros((5, 2, 2, 3), np.float16), *_status_and_peak(5))
    finisher = Finisher(slices, "volume-max")
    for which in slices.parts(part):
        gates = torch.from_numpy(slices.tags[which]) > 0
        finisher.write(out, which, evidence[which], gates)
    assert out.maps[:, 0, 1, 0] == pytest.approx([0.25, 1, 2 / 3, 1, 0], abs=1e-3)
    assert out.maps[:, 1, 0, 2] == pytest.approx([0, 1, 0, 1, 0.5], abs=1e-3)
    assert out.peak[:, 0].tolist() == [1, 4, 2, 3, 0]


def _status_and_peak(count):
    empty = MapArrays.empty(count, 2, 1)
    return empty.status, empty.peak


def test_maps_are_finished_by_volume_whatever_the_batch():
    slices = replace(toy_slices(count=9), cases=(("a", 0, 4), ("b", 4, 9)))
    raw = run(slices, CONFIG.model_copy(update={"normalisation": "none"}))["cam"]
    config = CONFIG.model_copy(update={"normalisation": "volume-max", "batch": 3})
    found = run(slices, config)["cam"]
    for start, stop in ((0, 4), (4, 9)):
        largest = raw.peak[start:stop].max(axis=0)[None, :, None, None]
        np.testing.assert_allclose(
            found.maps[start:stop], raw.maps[start:stop] / largest, rtol=2e-3, atol=1e-4
        )
        assert found.maps[start:stop].max(axis=(0, 2, 3)) == pytest.approx(np.ones(2), abs=2e-3)


def test_the_classifier_is_left_as_it_is():
    slices = toy_slices(count=2)
    classifier = build_classifier(
        BackboneConfig(name="resnet10t", weights="none", frozen=0), 2, seed=0
    ).train()
    modes = [module.training for module in classifier.modules()]
    weights = {name: value.clone() for name, value in classifier.state_dict().items()}
    outs = {"cam": MapArrays.empty(2, 2, 32)}
    make_maps(
        classifier, {"cam": cams.get("cam")()}, slices, CONFIG, outs, layer=None, precision="fp32"
    )
    assert [module.training for module in classifier.modules()] == modes
    assert all(torch.equal(value, weights[n]) for n, value in classifier.state_dict().items())


def test_input_sides_are_multiples_of_32():
    assert [input_side(256, s) for s in (0.5, 1.0, 1.5, 2.0)] == [128, 256, 384, 512]
    assert input_side(100, 1.0) == 96
    assert input_side(20, 0.5) == 32
