import nibabel as nib
import numpy as np
import pytest

from camzoo.core.errors import ConfigError, DataError, GeometryError
from camzoo.evaluate.prediction_files import (
    find_cases,
    find_methods,
    parse_spacing,
    read_maps,
    read_prediction,
    read_reference,
    require_pairs,
)
from tests.evaluate.cohorts import AFFINE, SHAPE, blurred, label, save

SPACING = (3.0, 0.7, 0.8)


def reference(tmp_path, suffix=".nii.gz", spacing=None):
    path = save(tmp_path / "masks" / f"a{suffix}", label())
    return read_reference(path, "a", "p", spacing)


def test_spacing_names_its_axes_in_any_order():
    assert parse_spacing("x=0.8,z=3,y=0.7") == SPACING
    assert parse_spacing(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3,0.7,0.8", "does not say which axis is which"),
        ("z=3,y=0.7", "takes z, y and x in mm"),
        ("z=3,y=0.7,x=0", "each above 0"),
        ("z=3,y=0.7,x=wide", "takes z, y and x in mm"),
        ("z=3,y=0.7,x=1,t=2", "takes z, y and x in mm"),
        ("z=3,z=2,y=1,x=1", "z is given twice"),
    ],
)
def test_a_spacing_that_leaves_doubt_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_spacing(text)


def test_every_folder_with_files_is_a_method(tmp_path):
    for name in ("cam/a.nii.gz", "deep/er/a.npy", "deep/er/b.npy", "notes/readme.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_methods(tmp_path)
    assert {m: sorted(cases) for m, cases in found.items()} == {"cam": ["a"], "deep/er": ["a", "b"]}
    assert list(find_methods(tmp_path / "cam")) == ["cam"]


def test_a_case_that_stands_twice_is_named(tmp_path):
    for name in ("a.nii.gz", "a.npy"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"case a stands twice, as a\.nii\.gz and a\.npy"):
        find_cases(tmp_path)


def test_folders_without_files_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no file that ends in \.nii\.gz"):
        find_methods(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        find_cases(tmp_path / "absent")


def test_all_that_do_not_pair_are_named_at_once(tmp_path):
    references = {"a": tmp_path, "b": tmp_path}
    methods = {"x": {"a": tmp_path, "z": tmp_path}, "y": {"b": tmp_path}}
    with pytest.raises(DataError) as fault:
        require_pairs(references, methods, allow_missing=False)
    text = str(fault.value)
    assert "x: no reference for z" in text
    assert "x: no prediction for b" in text
    assert "y: no prediction for a" in text
    with pytest.raises(DataError, match="no reference for z") as fault:
        require_pairs(references, methods, allow_missing=True)
    assert "no prediction" not in str(fault.value)


def test_spacing_has_one_source(tmp_path):
    with pytest.raises(GeometryError, match=r"a\.npy does not say its spacing.*--spacing"):
        reference(tmp_path, ".npy")
    with pytest.raises(GeometryError, match=r"a\.nii\.gz has a header.*must be left out"):
        reference(tmp_path, spacing=SPACING)
    assert reference(tmp_path, ".npy", SPACING).label.spacing == pytest.approx(SPACING)
    assert reference(tmp_path).label.spacing == pytest.approx(SPACING)


def test_predictions_meet_their_reference_whatever_the_order_of_their_file(tmp_path):
    expected = reference(tmp_path)
    flipped = np.diag([-0.8, 0.7, -3.0, 1.0])
    flipped[:3, 3] = [0.8 * (SHAPE[2] - 1), 0, 3.0 * (SHAPE[0] - 1)]
    for path, array, affine in (
        (tmp_path / "same.nii", label(), AFFINE),
        (tmp_path / "flipped.nii.gz", label()[::-1, :, ::-1], flipped),
        (tmp_path / "array.npy", label(), None),
    ):
        found = read_prediction(save(path, array, affine), expected)
        np.testing.assert_array_equal(found.array, expected.label.array)


def test_maps_of_all_classes_and_of_one(tmp_path):
    expected = reference(tmp_path)
    maps = blurred(0, 0.2)
    as_npy = read_maps(save(tmp_path / "m.npy", maps), expected)
    as_nifti = read_maps(save(tmp_path / "m.nii.gz", maps), expected)
    np.testing.assert_array_equal(as_npy, as_nifti)
    assert as_npy.shape == (2, *SHAPE)
    # The reference's x axis points right, canonical ones left: files are flipped on reading.
    np.testing.assert_array_equal(as_npy[:, :, ::-1, ::-1], maps)
    single = read_maps(save(tmp_path / "s.npy", maps[0]), expected)
    np.testing.assert_array_equal(single[0], as_npy[0])


def test_shapes_must_agree(tmp_path):
    expected = reference(tmp_path)
    with pytest.raises(GeometryError, match=r"case a.*\(6, 15, 14\).*\(6, 16, 14\)"):
        read_prediction(save(tmp_path / "p.npy", label()[:, :-1]), expected)
    elsewhere = AFFINE.copy()
    elsewhere[2, 3] = 1.5
    for affine, array in ((elsewhere, label()[1:]), (AFFINE, label()[:, 6:])):
        with pytest.raises(GeometryError, match=r"case a.*differ in shape|labelled voxels"):
            read_prediction(save(tmp_path / "p.nii.gz", np.pad(array, 1), affine), expected)
    maps = save(tmp_path / "m.nii.gz", blurred(0, 0.1)[:, 1:])
    with pytest.raises(GeometryError, match=r"shape \(5, 16, 14\).*shape \(6, 16, 14\)"):
        read_maps(maps, expected)


def test_a_prediction_of_fewer_slices_is_placed_by_its_header(tmp_path):
    moved = AFFINE.copy()
    moved[2, 3] = 3.0
    expected = reference(tmp_path)
    found = read_prediction(save(tmp_path / "p.nii.gz", label()[1:], moved), expected)
    np.testing.assert_array_equal(found.array, expected.label.array)
    assert ["placed by its header" in note.what for note in found.notes] == [True]


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.diag([0.8, 0.7, 2.5, 1.0]), r"spacing \(2\.5, 0\.7, 0\.8\) mm .*\(3, 0\.7, 0\.8\)"),
        (np.diag([3.0, 0.7, 0.8, 1.0]), "axes in another order"),
    ],
)
@pytest.mark.parametrize("with_header", [True, False])
def test_spacings_must_agree(tmp_path, affine, message, with_header):
    kind = (".nii.gz", None) if with_header else (".npy", SPACING)
    with pytest.raises(GeometryError, match=message):
        read_prediction(save(tmp_path / "p.nii.gz", label(), affine), reference(tmp_path, *kind))


def test_positions_must_agree(tmp_path):
    moved = AFFINE.copy()
    moved[0, 3] = 40
    with pytest.raises(GeometryError, match="differ in position"):
        read_prediction(save(tmp_path / "p.nii.gz", label(), moved), reference(tmp_path))


@pytest.mark.parametrize("value", [0.5, -1, 300, np.nan])
def test_labels_are_whole_numbers(tmp_path, value):
    spoiled = label().astype(np.float32)
    spoiled[0, 0, 0] = value
    path = save(tmp_path / "p.npy", spoiled)
    with pytest.raises(DataError, match=rf"p\.npy: labels must be whole.*{value}"):
        read_prediction(path, reference(tmp_path))
    with pytest.raises(DataError, match="labels must be whole"):
        read_reference(path, "a", "p", SPACING)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_maps_with_nan_are_refused(tmp_path, value):
    maps = blurred(0, 0.1)
    maps[1, 2, 3, 4] = value
    with pytest.raises(DataError, match=r"m\.npy: 1 values are NaN or infinite"):
        read_maps(save(tmp_path / "m.npy", maps), reference(tmp_path))


def test_arrays_with_strange_axes_are_refused(tmp_path):
    expected = reference(tmp_path)
    with pytest.raises(DataError, match=r"expected maps .* got \(16, 14\)"):
        read_maps(save(tmp_path / "m.npy", np.zeros((16, 14))), expected)
    with pytest.raises(DataError, match=r"of one class or more.* got \(0, 6, 16, 14\)"):
        read_maps(save(tmp_path / "m.npy", np.zeros((0, 6, 16, 14))), expected)
    with pytest.raises(DataError, match=r"expected labels .* got shape \(2, 6, 16, 14\)"):
        read_prediction(save(tmp_path / "p.npy", np.stack([label()] * 2)), expected)
    one = read_prediction(save(tmp_path / "p.npy", label()[None]), expected)
    np.testing.assert_array_equal(one.array, expected.label.array)


def test_broken_files_are_named(tmp_path):
    for name in ("p.npy", "p.nii.gz"):
        path = tmp_path / name
        path.write_bytes(b"no image")
        with pytest.raises(DataError, match=rf"{name} is no (npy|NIfTI) file"):
            read_prediction(path, reference(tmp_path))


def test_headers_that_nibabel_wrote_elsewhere_are_read(tmp_path):
    image = nib.Nifti1Image(label().T, AFFINE)
    image.header.set_xyzt_units("micron")
    nib.save(image, tmp_path / "p.nii")
    with pytest.raises(GeometryError, match=r"spacing \(0\.003, 0\.0007, 0\.0008\) mm"):
        read_prediction(tmp_path / "p.nii", reference(tmp_path))
