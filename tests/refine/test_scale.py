from camzoo.refine.crf import CrfSettings
from camzoo.refine.scale import shrunk, shrunk_radius


def test_distances_by_hand():
    assert shrunk(13, 256) == 6.5
    assert [shrunk_radius(10, side) for side in (512, 256, 64)] == [10, 5, 2]


def test_kernels_shrink_and_nothing_else():
    crf = CrfSettings(iterations=3, gaussian_sxy=4, bilateral_sxy=20)
    assert crf.on_slices(128) == CrfSettings(iterations=3, gaussian_sxy=1, bilateral_sxy=5)
    assert crf.on_slices(512) == crf
