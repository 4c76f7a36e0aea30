from camzoo.refine.crf import CrfSettings
from camzoo.refine.scale import pair_radius, shrunk


def test_distances_by_hand():
    assert shrunk(13, 256) == 6.5


def test_the_farthest_step_of_pairs_shrinks_by_hand():
    """Within radius 5 steps go up to 4, on slices of half the side up to 2: within radius 3."""
    assert [pair_radius(5, side) for side in (512, 256, 128, 32)] == [5, 3, 2, 2]
    assert [pair_radius(10, side) for side in (512, 256, 64)] == [10, 5, 2]


def test_kernels_shrink_and_nothing_else():
    crf = CrfSettings(iterations=3, gaussian_sxy=4, bilateral_sxy=20)
    assert crf.on_slices(128) == CrfSettings(iterations=3, gaussian_sxy=1, bilateral_sxy=5)
    assert crf.on_slices(512) == crf
