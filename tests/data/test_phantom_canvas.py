import math

import numpy as np
import pytest

from camzoo.data.phantom.canvas import Canvas, Grid, Pose, Tissue
from camzoo.data.phantom.shapes import Box, Shape, Tube, ball

PALETTE = {"rim": Tissue(0.5, 0.1, 0.2), "core": Tissue(1.0, 0.3, -0.4), "dark": Tissue(0.2)}
GRID = Grid((13, 50, 70), (3.0, 1.2, 1.2), (-18.0, -29.4, -41.4))
VOXEL = math.prod(GRID.spacing)


def canvas(pose=None, grid=GRID):
    return Canvas(grid, pose or Pose(), np.random.default_rng(0), PALETTE)


def painted(*args, pose=None, **kwargs):
    on = canvas(pose)
    on.paint(*args, **kwargs)
    return on.average()


def centroid(label):
    """(y, x) in mm."""
    _, rows, columns = GRID.axes
    _, y, x = np.nonzero(label)
    return rows[y].mean(), columns[x].mean()


def test_the_axes_of_a_grid_are_millimetres_and_the_thin_slices_fill_each_slice():
    grid = Grid((2, 3, 4), (6.0, 2.0, 0.5), (10.0, -1.0, 7.0))
    z, y, x = grid.axes
    assert (z.tolist(), y.tolist(), x.tolist()) == ([10, 16], [-1, 1, 3], [7, 7.5, 8, 8.5])
    assert grid.fine_z.tolist() == [8, 10, 12, 14, 16, 18]


def test_a_painted_ball_has_the_volume_and_the_signal_of_a_ball():
    maps = painted(ball(2, -3, 0, 14), "core", organ=2)
    volume = 4 / 3 * math.pi * 14**3
    assert (maps.label == 2).sum() * VOXEL == pytest.approx(volume, rel=0.02)
    assert set(np.unique(maps.label)) == {0, 2}
    # Partial volume: the sum of the signal is the volume, to better than whole voxels give it.
    assert maps.signal.sum() * VOXEL == pytest.approx(volume, rel=0.02)
    assert maps.signal[6, 22, 36] == 1
    assert (maps.grain[6, 22, 36], maps.strand[6, 22, 36]) == pytest.approx((0.3, -0.4))
    assert (maps.occupied >= (maps.label > 0)).all()
    assert maps.occupied.sum() > (maps.label > 0).sum()


@pytest.mark.parametrize(("top", "share"), [(-1.0, 1 / 3), (0.0, 2 / 3), (3.0, 1.0)])
def test_a_slice_that_is_cut_holds_a_share_of_the_signal_and_the_label_of_the_majority(top, share):
    # Slice 6 spans -1.5 to 1.5 mm: its thin slices lie at -1, 0 and 1.
    slab = Tube((-100, top + 0.5), 0, 0, 400, 400)
    maps = painted(slab, "core", organ=1)
    assert maps.signal[6, 25, 35] == pytest.approx(share, abs=1e-5)
    assert (maps.label[6] == (share > 0.5)).all()
    assert maps.occupied[6].all()


def test_later_paint_covers_earlier_paint_and_its_label():
    on = canvas()
    on.paint(ball(0, 0, 0, 15), "core", organ=1)
    on.paint(ball(0, 0, 0, 8), "dark")
    maps = on.average()
    assert maps.label[6, 25, 35] == 0
    assert maps.signal[6, 25, 35] == pytest.approx(0.2)
    assert maps.label[6, 25, 45] == 1


def test_inner_layers_lie_inside_and_keep_the_label():
    maps = painted(ball(0, 0, 0, 15), "rim", organ=1, inner=[("core", -4)])
    assert maps.signal[6, 25, 35] == 1
    assert maps.signal[6, 25, 46] == pytest.approx(0.5)  # 13.8 mm from the centre: in the rim
    assert maps.label[6, 25, 46] == maps.label[6, 25, 35] == 1


def test_grow_thickens_a_shape():
    grown, larger = painted(ball(0, 0, 0, 10), "core", grow=3), painted(ball(0, 0, 0, 13), "core")
    assert np.abs(grown.signal - larger.signal)[6].max() < 0.1


def test_a_detail_stays_inside_its_organ_and_keeps_the_label():
    on = canvas()
    on.paint(ball(0, 0, 0, 10), "core", organ=1)
    on.paint(ball(10, 0, 0, 8), "dark", inside=1)
    maps = on.average()
    assert (maps.label == painted(ball(0, 0, 0, 10), "core", organ=1).label).all()
    assert maps.signal[6, 25, 41] == pytest.approx(0.2)
    assert maps.signal[6, 25, 47] == 0


def test_opacity_lets_the_ground_show_through():
    on = canvas()
    on.paint(ball(0, 0, 0, 15), "core")
    on.paint(ball(0, 0, 0, 15), "dark", opacity=0.25)
    assert on.average().signal[6, 25, 35] == pytest.approx(0.75 * 1.0 + 0.25 * 0.2)


def test_a_shift_moves_the_patient_by_as_many_millimetres():
    at = {
        shift: centroid(painted(ball(0, 0, 0, 12), "core", organ=1, pose=Pose(shift=shift)).label)
        for shift in ((0.0, 0.0), (6.0, -9.0))
    }
    assert np.subtract(at[6.0, -9.0], at[0.0, 0.0]) == pytest.approx((6, -9), abs=0.15)


def test_scale_and_turn_act_on_the_patient():
    long_axis = Tube((-9, 9), 0, 0, 20, 6)
    wide = painted(long_axis, "core", organ=1, pose=Pose(scale=(1.0, 1.25))).label[6]
    assert wide.any(0).sum() * 1.2 == pytest.approx(2 * 20 * 1.25, abs=2.4)
    assert wide.any(1).sum() * 1.2 == pytest.approx(2 * 6, abs=2.4)
    upright = painted(long_axis, "core", organ=1, pose=Pose(turn=90)).label[6]
    assert upright.any(1).sum() * 1.2 == pytest.approx(2 * 20, abs=2.4)


class Boundless(Shape):
    """A shape that makes the canvas look everywhere."""

    box = Box(*((-1e4, 1e4),) * 3)

    def __init__(self, shape):
        self.depth = shape.depth

    def depth(self, x, y, z):
        raise NotImplementedError


def test_the_search_for_a_shape_misses_no_voxel_of_a_bent_patient():
    pose = Pose((3.0, -5.0), (0.9, 1.1), 20.0, bend=4.0, bend_scale=25.0)
    shape = Tube((-8, 10), [(-8, -9), (10, 9)], 4, 9, 5, caps=(4, 4), angle=30, uneven=(0.1j,))
    near = painted(shape, "core", pose=pose, organ=1, grow=2)
    everywhere = painted(Boundless(shape), "core", pose=pose, organ=1, grow=2)
    assert near.label.any()
    for one, other in zip(near, everywhere, strict=True):
        np.testing.assert_array_equal(one, other)


def test_bending_is_irregular_and_of_the_stated_size():
    still, bent = (
        painted(ball(0, 0, 0, 14), "core", organ=1, pose=Pose(bend=b)) for b in (0.0, 3.0)
    )
    assert 0.02 < (still.label != bent.label).sum() / still.label.sum() < 0.6
