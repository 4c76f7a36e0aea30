"""Agreement with independent tools on 200 random pairs, wherever the definitions coincide."""

from functools import cache

import numpy as np
import pytest

from benchmarks import peers
from camzoo.metrics.surface import surface_distances
from tests.metrics.masks import random_pair

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

PAIRS = 200
TOLERANCE_MM = 1e-6
#: MONAI keeps its distances in single precision.
SINGLE = float(np.finfo(np.float32).eps)


@cache
def pairs():
    rng = np.random.default_rng(20)
    return [random_pair(rng) for _ in range(PAIRS)]


@cache
def ours():
    return [surface_distances(*pair) for pair in pairs()]


@cache
def theirs(tool):
    return [tool(*pair) for pair in pairs()]


def differences(tool, name, mine):
    """Difference in mm of each pair, from tool's ``name`` and the function ``mine``."""
    return np.array(
        [numbers[name] - mine(d) for numbers, d in zip(theirs(tool), ours(), strict=True)]
    )


@pytest.mark.parametrize(
    ("mine", "name"), [("asd", "ASSD"), ("mad", "ASD"), ("hd", "HD"), ("hd95", "HD95")]
)
def test_medpy(mine, name):
    pytest.importorskip("medpy")
    difference = differences(peers.medpy, name, lambda d: getattr(d, mine))
    assert np.abs(difference).max() < TOLERANCE_MM


@pytest.mark.parametrize(
    ("mine", "name"), [("asd", "ASD, symmetric"), ("mad", "ASD"), ("hd", "HD")]
)
def test_monai(mine, name):
    difference = differences(peers.monai, name, lambda d: getattr(d, mine))
    farthest = np.array([d.hd for d in ours()])
    assert (np.abs(difference) < TOLERANCE_MM + SINGLE * farthest).all()


def test_hd95_of_monai_is_the_larger_of_two_percentiles():
    def larger(d):
        return max(np.percentile(d.forward, 95), np.percentile(d.backward, 95))

    farthest = np.array([d.hd for d in ours()])
    difference = differences(peers.monai, "HD95", larger)
    assert (np.abs(difference) < TOLERANCE_MM + SINGLE * farthest).all()
    assert differences(peers.monai, "HD95", lambda d: d.hd95).max() > 1


@pytest.mark.parametrize(("mine", "name"), [("assd", "ASSD"), ("hd", "HD"), ("hd95", "HD95")])
def test_panoptica(mine, name):
    pytest.importorskip("panoptica", reason="needs the extra camzoo[peers]")
    difference = differences(peers.panoptica, name, lambda d: getattr(d, mine))
    assert np.abs(difference).max() < TOLERANCE_MM


def test_surface_distance_puts_the_surface_elsewhere():
    """On voxel corners, weighted by area: never the same, less than a voxel's diagonal away."""
    if peers.surface_distance not in peers.installed().values():
        pytest.skip("surface-distance-based-measures is absent or does not run with this numpy")
    voxel = np.array([np.linalg.norm(spacing) for _, _, spacing in pairs()])
    difference = differences(peers.surface_distance, "HD", lambda d: d.hd)
    assert (np.abs(difference) <= voxel + TOLERANCE_MM).all()
    assert np.abs(difference).max() > 0.1
