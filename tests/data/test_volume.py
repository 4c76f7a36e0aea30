import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the field's name for it
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from camzoo.core.errors import GeometryError
from camzoo.data.volume import Volume, field_of_view_notes, on_grid_of, require_same_grid

SHAPE = (4, 6, 9)


def make(affine, array=None, case="a"):
    array = np.arange(np.prod(SHAPE)).reshape(SHAPE) if array is None else array
    return Volume(array, np.asarray(affine, float), case, "p", source=f"{case}.nii")


def signed_permutations():
    """All 48 ways to lay array axes along body axes."""
    for letters in ("SPL", "SLP", "PSL", "PLS", "LSP", "LPS"):
        for flips in range(8):
            yield tuple(
                {"S": "I", "P": "A", "L": "R"}[a] if flips >> i & 1 else a
                for i, a in enumerate(letters)
            )


def test_canonical_by_hand(write):
    """Two slices from head to foot, rows from back to front, columns to the right."""
    array = np.array([[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [10, 11, 12]]])
    volume = make(write.affine((5, 2, 1), ("I", "A", "R"), origin=(0, 0, 0)), array).canonical()
    assert volume.array.tolist() == [[[12, 11, 10], [9, 8, 7]], [[6, 5, 4], [3, 2, 1]]]
    # The first voxel is now the one that was last: 2 mm right, 2 mm front, 5 mm down.
    assert volume.affine[:3, 3].tolist() == [2, 2, -5]
    assert volume.affine[:3, :3].tolist() == [[0, 0, -1], [0, -2, 0], [5, 0, 0]]
    assert volume.spacing == (5, 2, 1)


@pytest.mark.parametrize("axes", list(signed_permutations()))
def test_every_layout_becomes_the_same_volume(write, axes):
    """The same body, stored in 48 ways, gives one canonical array and one affine."""
    reference = make(write.affine((3, 0.8, 0.5), ("S", "P", "L")))
    order = [next(i for i, pair in enumerate(("SI", "PA", "LR")) if a in pair) for a in axes]
    array, affine = reference.array.transpose(order), reference.affine[:, [*order, 3]].copy()
    for axis, letter in enumerate(axes):
        if letter in "IAR":
            array = np.flip(array, axis)
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    found = make(affine, array).canonical()
    np.testing.assert_array_equal(found.array, reference.array)
    np.testing.assert_allclose(found.affine, reference.affine, atol=1e-9)
    assert found.array.flags.c_contiguous


def random_affine(seed, spacing):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() * np.array(spacing)
    affine[:3, 3] = np.random.default_rng(seed).uniform(-100, 100, 3)
    return affine


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    spacing=st.tuples(*[st.floats(0.2, 8)] * 3),
)
def test_canonical_agrees_with_nibabel_at_any_angle(seed, spacing):
    """as_closest_canonical gives RAS (x, y, z); ours is SPL (z, y, x)."""
    ours = make(random_affine(seed, spacing)).canonical()
    image = nib.Nifti1Image(
        make(np.eye(4)).array.T.astype(np.int32), random_affine(seed, spacing)[:, [2, 1, 0, 3]]
    )
    ras = nib.as_closest_canonical(image)
    theirs = np.asarray(ras.dataobj).T[:, ::-1, ::-1]
    np.testing.assert_array_equal(ours.array, theirs)
    index = np.array([1, 2, 3, 1])  # z, y, x of ours is x' = X-1-3, y' = Y-1-2, z' = 1 of theirs
    x, y = ours.shape[2] - 1 - 3, ours.shape[1] - 1 - 2
    np.testing.assert_allclose(ours.affine @ index, ras.affine @ [x, y, 1, 1], atol=1e-8)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    axes=st.sampled_from(list(signed_permutations())),
    angle=st.floats(0, 40),
)
def test_canonical_agrees_with_simpleitk_dicom_orient(write, seed, axes, angle):
    """DICOMOrient to LPS, on oblique, permuted and flipped volumes."""
    axis = np.random.default_rng(seed).normal(size=3)
    turn = Rotation.from_rotvec(np.radians(angle) * axis / np.linalg.norm(axis)).as_matrix()
    affine = write.affine((3, 0.8, 0.5), axes)
    affine[:3, :3] = turn @ affine[:3, :3]
    ours = make(affine).canonical()

    image = sitk.GetImageFromArray(make(affine).array)
    lps = np.diag([-1, -1, 1, 1]) @ affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    theirs = sitk.DICOMOrient(image, "LPS")
    np.testing.assert_array_equal(ours.array, sitk.GetArrayFromImage(theirs))
    np.testing.assert_allclose(ours.spacing, theirs.GetSpacing()[::-1], atol=1e-9)
    np.testing.assert_allclose(ours.affine[:3, 3] * (-1, -1, 1), theirs.GetOrigin(), atol=1e-6)


def test_spacing_is_the_length_of_the_columns():
    """3-4-5 triangles: the z axis of length 10 and the y axis of length 5 lie oblique."""
    affine = np.array([[0, 0, -2, 0], [6, -4, 0, 0], [8, 3, 0, 0], [0, 0, 0, 1]])
    assert make(affine).spacing == (10, 5, 2)


@pytest.mark.parametrize(
    ("affine", "array", "message"),
    [
        (np.eye(4), np.zeros((3, 4)), "3 axes"),
        (np.eye(3), None, "4 x 4 affine"),
        (np.diag([1, np.nan, 1, 1]), None, "finite 4 x 4 affine"),
        (np.diag([1, 0, 1, 1]), None, "spacing positive"),
        (np.diag([0, 0, 0, 1]), None, "spacing positive"),
        ([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]], None, "independent"),
    ],
)
def test_impossible_geometry_is_refused(affine, array, message):
    with pytest.raises(GeometryError, match=message) as error:
        make(affine, array, case="case7")
    assert "case7.nii: case case7" in str(error.value)


def test_a_sheared_stack_is_refused_and_rounded_cosines_are_not():
    """A gantry tilt of 30 degrees; direction cosines written with three digits."""
    tilted = [[0, 0, -1, 0], [3 * np.tan(np.radians(30)), -1, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1]]
    with pytest.raises(GeometryError, match=r"not at right angles.* meet at 60\.0 degrees"):
        make(tilted)
    c, s = np.round((np.cos(0.3), np.sin(0.3)), 3)
    assert make([[0, 0, -1, 0], [s, -c, 0, 0], [c, s, 0, 0], [0, 0, 0, 1]]).shape == SHAPE


@pytest.mark.parametrize(("start", "shape"), [((1, 2, 3), (2, 3, 4)), ((-1, 0, -2), (6, 6, 12))])
def test_a_label_of_another_extent_is_placed_by_its_header(write, start, shape):
    """Within the image, and around it with background outside."""
    affine = write.affine((3, 0.8, 0.5), tilt=20)
    own = affine.copy()
    own[:, 3] = affine @ [*start, 1]
    inner = np.zeros(shape, np.uint8)
    first = np.maximum(0, np.negative(start))
    inner[tuple(first)] = 7
    placed = on_grid_of(make(affine), make(own, inner, case="b"))
    expected = np.zeros(SHAPE, np.uint8)
    expected[tuple(np.maximum(0, start))] = 7
    np.testing.assert_array_equal(placed.array, expected)
    np.testing.assert_array_equal(placed.affine, affine)
    (note,) = placed.notes
    assert "placed by its header" in note.what
    assert f"{shape} at {tuple(start)} of {SHAPE}" in note.detail


def test_a_label_that_has_no_place_in_the_image_is_refused():
    image = make(np.diag([3.0, 1, 1, 1]))
    between, outside = np.diag([3.0, 1, 1, 1]), np.diag([3.0, 1, 1, 1])
    between[0, 3], outside[0, 3] = 1.5, 9
    for affine, shape in ((between, (2, 6, 9)), (outside, (2, 6, 9)), (np.eye(4), (2, 6, 9))):
        with pytest.raises(GeometryError, match=r"shape.*neither lies on voxels of the other"):
            on_grid_of(image, make(affine, np.zeros(shape, np.uint8), case="b"))
    large = np.zeros((5, 6, 9), np.uint8)
    large[4, 0, :3] = 1
    with pytest.raises(GeometryError, match="3 labelled voxels lie outside the image"):
        on_grid_of(image, make(image.affine, large, case="b"))


@pytest.mark.parametrize(
    ("spacing", "told"),
    [
        ((3, 0.6, 0.5), ()),
        ((0.003, 0.0006, 0.0005), ("0.012 x 0.0036 x 0.0045 mm",)),
        ((3000, 600, 500), ("1.2e+04 x 3.6e+03 x 4.5e+03 mm",)),
        ((10, 0.125, 0.125), ("voxels of 10 x 0.125 x 0.125 mm",)),
        ((4, 1.5, 1.5), ()),
    ],
)
def test_fields_of_view_of_no_patient_are_noted(spacing, told):
    notes = field_of_view_notes(make(np.diag([*spacing, 1])))
    assert len(notes) == len(told)
    for note, text in zip(notes, told, strict=True):
        assert text in note.detail


def changed(affine, **changes):
    affine = affine.copy()
    for key, value in changes.items():
        row, column = (int(c) for c in key[1:])
        affine[row, column] += value
    return affine


def test_same_grid_within_header_precision(write):
    affine = write.affine((3, 0.8, 0.5))
    require_same_grid(make(affine), make(changed(affine, _03=0.04, _11=0.001), case="b"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"_20": 0.02}, r"spacing.*3\.0, 0\.8, 0\.5.*3\.02, 0\.8, 0\.5"),
        ({"_13": 0.06}, r"position.*\(5\.0, -7\.0, 11\.0\) and \(5\.0, -6\.94, 11\.0\)"),
    ],
)
def test_another_grid_is_refused_with_both_values(write, changes, message):
    affine = write.affine((3, 0.8, 0.5))
    with pytest.raises(GeometryError, match=message) as error:
        require_same_grid(make(affine), make(changed(affine, **changes), case="b"))
    assert "image a.nii and label b.nii" in str(error.value)


def test_another_shape_is_refused():
    label = make(np.eye(4), np.zeros((4, 9, 6)), case="b")
    with pytest.raises(GeometryError, match=r"shape .*\(4, 6, 9\) and \(4, 9, 6\)"):
        require_same_grid(make(np.eye(4)), label)


def test_a_turn_that_keeps_the_first_and_last_voxel_is_seen():
    """Rows and columns swapped: two opposite corners stay, the other two trade places."""
    cube = np.zeros((5, 5, 5))
    swapped = np.eye(4)[:, [0, 2, 1, 3]]
    ends = np.array([[0, 0, 0, 1], [4, 4, 4, 1]]).T
    np.testing.assert_array_equal(np.eye(4) @ ends, swapped @ ends)
    with pytest.raises(GeometryError, match="position"):
        require_same_grid(make(np.eye(4), cube), make(swapped, cube))
