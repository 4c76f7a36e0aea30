"""Real slices and trained weights through the whole path: scales, mirroring, gating, finishing."""

import numpy as np
import pytest

from camzoo.cams.map_arrays import MapArrays, MapStatus
from camzoo.cams.pipeline import make_maps
from camzoo.config import BackboneConfig, MapsConfig
from camzoo.data.prepare import prepare
from camzoo.data.slices import Prepared
from camzoo.network.backbone import build_classifier
from camzoo.registries import cams, datasets

METHODS = ["cam", "grad-cam", "layer-cam", "grad-cam++", "ablation-cam", "eigen-cam", "otsu"]


@pytest.fixture(scope="module")
def real(real_data, real_weights, tmp_path_factory):
    """Slices of one patient, and a classifier on ImageNet weights."""
    dataset = datasets.get("acdc")(real_data / "ACDC")
    folder = tmp_path_factory.mktemp("prepared")
    first = dataset.cases()[:1]
    dataset.cases = lambda: first
    prepare(dataset, folder, size=128, percentiles=(0.5, 99.5), min_area=1)
    slices = Prepared(folder).tagged()
    config = BackboneConfig(name="mobilenetv2_100", weights=real_weights, frozen=0)
    return slices, build_classifier(config, len(slices.organs), seed=0)


def maps_of(real, scales, flip, methods=METHODS, layer=None):
    slices, classifier = real
    config = MapsConfig(side=128, scales=scales, flip=flip, size=64, batch=8)
    sinks = {n: MapArrays.empty(len(slices), len(slices.organs), config.size) for n in methods}
    instances = {name: cams.get(name)() for name in methods}
    make_maps(classifier, instances, slices, config, sinks, layer=layer, precision="fp32")
    return sinks


@pytest.mark.data
def test_scales_and_mirrors_on_real_slices(real):
    slices, _ = real
    for name, arrays in maps_of(real, (1.0, 2.0), "always").items():
        ok = arrays.status == MapStatus.OK
        assert (arrays.status[slices.tags == 0] == MapStatus.ABSENT).all(), name
        assert ok[slices.tags > 0].all(), name
        peaks = arrays.maps.max((2, 3))[ok]
        np.testing.assert_allclose(peaks, 1, atol=2e-3)


@pytest.mark.data
def test_identities_survive_the_path(real):
    """CAM and Grad-CAM stay one map through scales, mirrors and normalisation."""
    sinks = maps_of(real, (0.5, 1.0), "always", ["cam", "grad-cam"])
    np.testing.assert_allclose(sinks["cam"].maps, sinks["grad-cam"].maps, atol=2e-3)


@pytest.mark.data
def test_mirrored_slices_have_mirrored_maps(real):
    """With each view's mirrored twin, the maps of a slice and of its mirror image are mirrored."""
    slices, classifier = real
    straight = maps_of(real, (1.0,), "always", ["cam", "layer-cam"])
    turned = type(slices)(
        np.ascontiguousarray(np.asarray(slices.store)[..., ::-1]), slices.rows, slices.tags,
        slices.organs, slices.sided, slices.cases,
    )  # fmt: skip
    mirrored = maps_of((turned, classifier), (1.0,), "always", ["cam", "layer-cam"])
    for name, arrays in straight.items():
        np.testing.assert_allclose(arrays.maps, mirrored[name].maps[..., ::-1], atol=5e-3)


@pytest.mark.data
def test_a_layer_in_the_middle_takes_the_same_path(real):
    sinks = maps_of(real, (1.0,), "never", ["grad-cam", "layer-cam"], layer="blocks.5")
    slices, _ = real
    for arrays in sinks.values():
        assert (arrays.status[slices.tags > 0] != MapStatus.NON_FINITE).all()
        assert np.isfinite(arrays.maps.astype(np.float32)).all()
