import numpy as np

from camzoo.registries import baselines
from camzoo.segment.maps import MapBaseline, cut_maps
from tests.segment.toy import toy_context, toy_masks
from tests.toy import toy_slices


def test_maps_are_resized_before_they_are_cut():
    """A map that falls from 1 to 0 crosses 0.25 at three quarters of the way."""
    maps = np.zeros((1, 1, 2, 2), np.float16)
    maps[..., 0] = 1
    labels = cut_maps(maps, 0.25, 8)
    assert labels.dtype == np.uint8
    assert labels[0].tolist() == [[1, 1, 1, 1, 1, 0, 0, 0]] * 8  # 7/8, 5/8, 3/8, then 1/8


def test_the_largest_map_wins_where_it_exceeds_the_threshold():
    maps = np.zeros((2, 2, 1, 1), np.float16)
    maps[0, :, 0, 0] = [0.6, 0.7]
    maps[1, :, 0, 0] = [0.5, 0.4]
    assert cut_maps(maps, 0.5, 1).ravel().tolist() == [2, 0]


def test_parts_are_put_together_in_order():
    maps = np.zeros((130, 1, 1, 1), np.float16)
    maps[[0, 64, 129]] = 1
    assert np.flatnonzero(cut_maps(maps, 0.5, 1)).tolist() == [0, 64, 129]


class OnCam(MapBaseline):
    """The U-Net on CAM."""

    method = "cam"


def test_the_maps_of_the_named_method_are_cut_and_learnt(tmp_path):
    asked = []
    context = toy_context(tmp_path, epochs=1, side=64, threshold=0.5)
    object.__setattr__(context, "threshold", lambda maps: asked.append(maps.shape) or 0.5)
    baseline = OnCam()
    assert baseline.reads == ("cam",)
    baseline.fit(context)
    assert asked == [(len(context.val), 2, 16, 16)]
    agreement = (baseline.pseudo == toy_masks(context.train)).mean()
    assert agreement > 0.98  # the maps are four times as coarse


def test_another_method_may_stand_in(tmp_path):
    baseline = OnCam("layer-cam")
    baseline.fit(toy_context(tmp_path, epochs=1, reads=("layer-cam",)))
    assert baseline.reads == ("layer-cam",)
    assert OnCam.reads == ()


def test_the_papers_two_are_registered_with_the_maps_they_read(tmp_path):
    assert baselines.get("p-cam")().reads == ("cam",)
    c_cam = baselines.get("c-cam")
    assert c_cam().reads == ("c-cam",)
    standing_in = c_cam("cam")
    standing_in.fit(toy_context(tmp_path, epochs=1))
    assert standing_in.predict(toy_slices(4).images(slice(0, 2))).shape == (2, 3, 32, 32)
