"""The plane of slices: which one is chosen, how it looks, and the way back."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from camzoo.core.choices import parse_choice
from camzoo.core.errors import ConfigError
from camzoo.data.plane import (
    Plane,
    SliceChoice,
    choose_plane,
    describe_slices,
    mixed_planes,
    slice_stack,
    thick_axis,
)
from camzoo.data.readers import read_volume
from camzoo.data.volume import Volume

#: Directions (R, A, S) that columns, rows and slices of each plane run towards.
LEFT, BACK, HEAD = np.array([-1, 0, 0]), np.array([0, -1, 0]), np.array([0, 0, 1])
SEEN = {
    Plane.AXIAL: (LEFT, BACK, HEAD),
    Plane.CORONAL: (LEFT, -HEAD, BACK),
    Plane.SAGITTAL: (BACK, -HEAD, -LEFT),
}
#: All ways in which three axes can be written to a file.
ORIENTATIONS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
]
COUNT = {Plane.AXIAL: 4, Plane.CORONAL: 5, Plane.SAGITTAL: 6}


@pytest.mark.parametrize(
    ("spacing", "axis"),
    [
        ((8.0, 1.25, 1.25), 0),
        ((1.25, 8.0, 1.25), 1),
        ((1.25, 1.25, 8.0), 2),
        ((3.0, 0.5, 0.6), 0),
        ((1.0, 1.0, 1.0), None),  # isotropic
        ((1.0, 1.0, 1.25), None),  # a head in three dimensions
        ((4.0, 4.0, 1.0), None),  # two thick axes are no thick axis
        ((1.0, 1.0, 1.49), None),
        ((1.0, 1.0, 1.5), 2),
        ((1.0, 1.5 * (1 - 1e-7), 1.0), 1),  # as a header of single precision has it
        ((1.0, 2.0, 4.0), 2),
    ],
)
def test_the_thick_axis_is_that_of_a_clearly_larger_spacing(spacing, axis):
    assert thick_axis(spacing) == axis
    acquired = choose_plane(spacing, SliceChoice.ACQUIRED)
    assert acquired is (list(Plane)[axis] if axis is not None else Plane.AXIAL)
    assert choose_plane(spacing, SliceChoice.AXIAL) is Plane.AXIAL


@given(
    plane=st.sampled_from(Plane),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    leading=st.lists(st.integers(1, 3), max_size=2),
)
def test_there_and_back_is_exact(plane, shape, leading):
    volume = np.arange(np.prod([*leading, *shape])).reshape(*leading, *shape)
    slices = plane.cut(volume)
    assert slices.shape == (*leading, *plane.arrange(shape))
    np.testing.assert_array_equal(plane.restore(slices), volume)
    np.testing.assert_array_equal(plane.cut(plane.restore(slices)), slices)


def acquired(plane, spacing=(1.25, 1.0, 8.0), turn=None):
    """A scan whose slices are [n, rows, columns] = [4 to 6, 7, 9] in ``plane``, as a volume.

    Its axes are those slices, rows and columns run along, turned by a rotation of the body.
    """
    columns, rows, normal = SEEN[plane]
    shape = (COUNT[plane], 7, 9)
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    affine = np.eye(4)
    directions = np.stack([normal, rows, columns], axis=1)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ directions
    affine[:3, :3] *= (spacing[2], spacing[1], spacing[0])
    affine[:3, 3] = (12.0, -30.0, 55.0)
    return Volume(array, affine, "a", "p")


def stored(volume, order, flips):
    """The same scan with its axes in another order and sense."""
    array, affine = volume.array.transpose(order), volume.affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    return Volume(np.ascontiguousarray(array), affine, "a", "p")


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS)
def test_slices_do_not_depend_on_how_the_scan_is_stored(plane, order, flips):
    scan = acquired(plane)
    canonical = stored(scan, order, flips).canonical()
    chosen = choose_plane(canonical.spacing, SliceChoice.ACQUIRED)
    assert chosen is plane
    slices = chosen.cut(canonical.array)
    np.testing.assert_array_equal(slices, scan.array)
    np.testing.assert_array_equal(chosen.restore(slices), canonical.array)
    stack = slice_stack(canonical.affine, chosen)
    assert stack.normal == pytest.approx(tuple(SEEN[plane][2]))
    assert stack.columns == pytest.approx(tuple(SEEN[plane][0]))
    assert stack.step_mm == pytest.approx(8.0)
    assert stack.thick


@pytest.mark.parametrize(("order", "flips"), ORIENTATIONS[::5])
def test_files_in_any_orientation_give_the_same_slices(write, tmp_path, order, flips):
    scan = acquired(Plane.SAGITTAL)
    other = stored(scan, order, flips)
    path = write.nifti(tmp_path / "a.nii.gz", other.array, other.affine)
    read = read_volume(path, case="a", patient="p")
    np.testing.assert_array_equal(Plane.SAGITTAL.cut(read.array), scan.array)


@pytest.mark.parametrize("plane", Plane)
def test_slices_are_shown_as_radiologists_look_at_them(plane):
    """World coordinates grow along columns, rows and slices as the directions of the plane say."""
    canonical = stored(acquired(plane), (2, 0, 1), (True, False, True)).canonical()
    index = np.indices(canonical.shape).reshape(3, -1)
    world = canonical.affine[:3, :3] @ index + canonical.affine[:3, 3:]
    places = plane.cut(world.reshape(3, *canonical.shape))
    for axis, direction in zip((3, 2, 1), SEEN[plane], strict=True):
        steps = np.diff(places, axis=axis).reshape(3, -1)
        length = np.linalg.norm(steps, axis=0)
        np.testing.assert_allclose(direction @ (steps / length), 1)


def test_no_plane_and_no_obliquity_shows_a_mirror_image():
    """Columns, rows and slices are right-handed whatever the direction of the scan."""
    for turn in Rotation.random(300, random_state=0).as_matrix():
        for plane in Plane:
            canonical = acquired(Plane.AXIAL, turn=turn).canonical()
            places = plane.cut(
                np.tensordot(canonical.affine[:3, :3], np.indices(canonical.shape), 1)
            )
            first = places[:, 0, 0, 0]
            frame = [places[:, 0, 0, 1], places[:, 0, 1, 0], places[:, 1, 0, 0]]
            assert np.linalg.det([corner - first for corner in frame]) > 0


@pytest.mark.parametrize("degrees", [-40, -20, 0, 20, 40])
@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_oblique_scans_are_cut_as_the_nearest_upright_one(plane, degrees, axis):
    turn = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    canonical = stored(acquired(plane, turn=turn), (1, 2, 0), (False, True, True)).canonical()
    chosen = choose_plane(canonical.spacing, SliceChoice.ACQUIRED)
    assert chosen is plane
    np.testing.assert_array_equal(chosen.cut(canonical.array), acquired(plane).array)


@pytest.mark.parametrize("degrees", range(0, 91, 6))
def test_short_axis_slices_look_alike_on_both_sides_of_the_border(degrees):
    """From a sagittal heart (0) to a coronal one (90): the same picture, from apex to base."""
    turn = Rotation.from_euler("z", -degrees, degrees=True).as_matrix()
    canonical = acquired(Plane.SAGITTAL, turn=turn).canonical()
    chosen = choose_plane(canonical.spacing, SliceChoice.ACQUIRED)
    assert chosen is (Plane.SAGITTAL if degrees < 45 else Plane.CORONAL)
    np.testing.assert_array_equal(chosen.cut(canonical.array), acquired(Plane.SAGITTAL).array)


def stack_of(plane, turn=None, spacing=(1.25, 1.0, 8.0)):
    canonical = acquired(plane, spacing, turn).canonical()
    return slice_stack(canonical.affine, choose_plane(canonical.spacing, SliceChoice.ACQUIRED))


@pytest.mark.parametrize(
    ("plane", "degrees", "exchanges"),
    [
        (Plane.AXIAL, 0, True),
        (Plane.CORONAL, 0, True),
        (Plane.SAGITTAL, 0, False),  # front and back change places, left and right do not
        (Plane.SAGITTAL, 20, False),
        (Plane.SAGITTAL, 40, True),  # short-axis slices show both sides
    ],
)
def test_whether_a_mirrored_slice_exchanges_the_sides_of_the_body(plane, degrees, exchanges):
    turn = Rotation.from_euler("z", -degrees, degrees=True).as_matrix()
    assert stack_of(plane, turn).mirror_exchanges_sides is exchanges


def test_words_for_the_planes_of_a_data_set():
    sagittal, coronal = stack_of(Plane.SAGITTAL), stack_of(Plane.CORONAL, spacing=(1, 1, 9.504))
    cube = stack_of(Plane.AXIAL, spacing=(1, 1, 1))
    acquired_plane = SliceChoice.ACQUIRED
    assert describe_slices([sagittal] * 2, acquired_plane) == "acquired plane (sagittal, 8 mm)"
    assert describe_slices([sagittal, coronal, coronal], acquired_plane) == (
        "acquired plane (coronal in 2, sagittal in 1, 8 to 9.5 mm)"
    )
    assert describe_slices([cube], acquired_plane) == (
        "axial (1 mm; no axis is 1.5 times as thick as the others)"
    )
    assert describe_slices([sagittal, cube], acquired_plane) == (
        "acquired plane (sagittal, 8 mm); axial in 1 case, where no axis is 1.5 times as thick as "
        "the others"
    )
    assert describe_slices([cube], SliceChoice.AXIAL) == "axial, as set (1 mm)"


def test_different_planes_of_one_data_set_are_noted():
    sagittal, coronal = stack_of(Plane.SAGITTAL), stack_of(Plane.CORONAL)
    note = mixed_planes({"a": sagittal, "b": sagittal, "c": coronal})
    assert note is not None
    assert "coronal in 1, sagittal in 2), up to 90 degrees apart (a and c)" in note
    cube = stack_of(Plane.AXIAL, spacing=(1, 1, 1))
    assert "axial in 1, coronal in 1" in str(mixed_planes({"a": cube, "b": coronal}))


def test_hearts_that_differ_by_a_few_degrees_are_not():
    """On both sides of 45 degrees the names of the planes differ and the pictures do not."""
    turns = [Rotation.from_euler("z", -d, degrees=True).as_matrix() for d in (35, 55)]
    stacks = {str(i): stack_of(Plane.SAGITTAL, turn) for i, turn in enumerate(turns)}
    assert {stack.plane for stack in stacks.values()} == {Plane.SAGITTAL, Plane.CORONAL}
    assert mixed_planes(stacks) is None
    assert mixed_planes({}) is None


def test_a_choice_that_is_none_is_refused():
    assert parse_choice("--slices", "axial") is SliceChoice.AXIAL
    with pytest.raises(ConfigError, match="--slices takes acquired or axial, got 'coronal'"):
        parse_choice("--slices", "coronal")
