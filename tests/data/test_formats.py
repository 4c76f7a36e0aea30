"""What every format must do with files that are good but odd: a walk through the registry."""

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the field's name for it

from camzoo.core.errors import DataError
from camzoo.data.check import check_dataset
from camzoo.data.datasets.promri import ProMRI
from camzoo.data.loading import load_case
from camzoo.data.readers import FORMATS, VOLUME_SUFFIXES, companions, read_volume, read_voxels
from camzoo.evaluate.prediction_files import read_maps, read_reference
from camzoo.evaluate.scoring import score_masks
from tests.data.bad_files import SHAPE, SPACING, WRITERS, edit, frames_of, gland

SCAN = np.random.default_rng(0).integers(1, 900, SHAPE).astype(np.int16)


def read(path):
    return read_volume(path, case="a", patient="p")


@pytest.fixture
def affine(write):
    return write.affine(SPACING, ("S", "P", "L"), origin=(1, 2, 3), tilt=25)


def test_endings_are_of_one_format_each():
    endings = [suffix for kind in FORMATS for suffix in kind.suffixes]
    assert len(set(endings)) == len(endings)
    assert all(suffix == suffix.lower() for suffix in endings)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_endings_in_capitals(tmp_path, affine, suffix):
    WRITERS[suffix].save(tmp_path / f"a{suffix}", SCAN, affine)
    WRITERS[suffix].save(tmp_path / f"a_segmentation{suffix}", gland(), affine)
    for name in ("a", "a_segmentation"):
        (tmp_path / f"{name}{suffix}").rename(tmp_path / f"{name}{suffix.upper()}")
    (case,) = ProMRI(tmp_path).cases()
    loaded = load_case(ProMRI(tmp_path), case)
    np.testing.assert_array_equal(loaded.image.array, SCAN)
    np.testing.assert_array_equal(loaded.label.array, gland())


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_every_file_of_a_case_is_in_the_fingerprint(tmp_path, affine, suffix):
    path = WRITERS[suffix].save(tmp_path / f"a{suffix}", SCAN, affine)
    assert {path, *companions(path)} == set(tmp_path.iterdir())
    label = WRITERS[suffix].save(tmp_path / f"a_segmentation{suffix}", gland(), affine)
    for file in {path, label, *companions(path), *companions(label)}:
        before = ProMRI(tmp_path).fingerprint()
        file.write_bytes(file.read_bytes() + b"\n")
        assert ProMRI(tmp_path).fingerprint() != before


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_scores_of_every_format(tmp_path, affine, suffix):
    """One case of the format, one whose ending is in capitals, and one file that is no volume."""
    for folder in ("masks", "preds"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            WRITERS[suffix].save(tmp_path / folder / f"{name}{suffix}", gland(), affine)
        (tmp_path / folder / f"b{suffix}").rename(tmp_path / folder / f"b{suffix.upper()}")
    (tmp_path / "preds" / "c.tif").write_bytes(b"II*\0")
    (tmp_path / "preds" / "notes").mkdir()
    (tmp_path / "preds" / "notes" / "d.jpeg").write_bytes(b"")
    scores = score_masks(tmp_path / "preds", tmp_path / "masks")
    assert scores.rows["case"].tolist() == ["a", "b"]
    assert (scores.rows["dsc"] == 1).all()
    (note,) = scores.notes
    assert f"{tmp_path / 'preds'}: ignored c.tif, notes/d.jpeg" in note


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_one_frame_is_a_volume_and_several_are_counted(tmp_path, affine, suffix):
    expected = read(WRITERS[".nii"].save(tmp_path / "right.nii", SCAN, affine))
    found = read(frames_of(tmp_path / f"a{suffix}", SCAN[None], affine))
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)
    three = frames_of(tmp_path / f"b{suffix}", np.stack([SCAN, SCAN + 1, SCAN + 2]), affine)
    with pytest.raises(DataError, match=r"one grey value per voxel, got 3 values \(frames"):
        read(three)
    np.testing.assert_array_equal(read_voxels(three).array[2], SCAN + 2)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_maps_of_several_classes(tmp_path, affine, suffix):
    maps = np.random.default_rng(1).random((3, *SHAPE)).astype(np.float32)
    reference = read_reference(
        WRITERS[".nii"].save(tmp_path / "right.nii", gland(), affine), "a", "p", None
    )
    found = read_maps(frames_of(tmp_path / f"a{suffix}", maps, affine), reference)
    np.testing.assert_array_equal(found, maps)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_labels_that_are_whole_but_for_rounding(tmp_path, affine, suffix):
    WRITERS[suffix].save(tmp_path / f"a{suffix}", SCAN, affine)
    near = gland() * np.float64(0.9999999997671694)
    WRITERS[suffix].save(tmp_path / f"a_segmentation{suffix}", near, affine)
    (case,) = ProMRI(tmp_path).cases()
    assert load_case(ProMRI(tmp_path), case).label.array.sum() == gland().sum()
    (tmp_path / "masks").mkdir()
    (tmp_path / "preds").mkdir()
    WRITERS[suffix].save(tmp_path / "masks" / f"a{suffix}", gland(), affine)
    WRITERS[suffix].save(tmp_path / "preds" / f"a{suffix}", near, affine)
    assert score_masks(tmp_path / "preds", tmp_path / "masks").rows["dsc"].tolist() == [1]


def test_a_label_through_the_scale_factor_of_nifti(tmp_path, affine):
    """nibabel keeps a float array as integers and a slope: 1 comes back as 0.9999999998."""
    image = nib.Nifti1Image(gland().T.astype(float), affine[:, [2, 1, 0, 3]])
    image.set_data_dtype(np.uint16)
    image.to_filename(tmp_path / "a_segmentation.nii.gz")
    stored = np.unique(np.asanyarray(nib.load(tmp_path / "a_segmentation.nii.gz").dataobj))
    assert 0 < abs(stored[1] - 1) < 1e-6
    WRITERS[".nii"].save(tmp_path / "a.nii", SCAN, affine)
    (case,) = ProMRI(tmp_path).cases()
    assert load_case(ProMRI(tmp_path), case).label.array.sum() == gland().sum() == 196


def test_compression_is_told_from_content(tmp_path, affine):
    plain = WRITERS[".nii"].save(tmp_path / "b.nii", SCAN, affine)
    packed = WRITERS[".nii.gz"].save(tmp_path / "c.nii.gz", SCAN, affine)
    twice = tmp_path / "d.nii.gz"  # as bgzip writes it: several streams, one after the other
    data = plain.read_bytes()
    twice.write_bytes(gzip.compress(data[:1000]) + gzip.compress(data[1000:]))
    expected = read(plain).array
    np.testing.assert_array_equal(read(twice).array, expected)
    plain.rename(tmp_path / "b.nii.gz")
    packed.rename(tmp_path / "c.nii")
    for name in ("b.nii.gz", "c.nii"):
        np.testing.assert_array_equal(read(tmp_path / name).array, expected)


# Voxels in other files ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "field", "form"),
    [
        (".mhd", rb"ElementDataFile = [^\n]*", "ElementDataFile = LIST\n{names}"),
        (".mhd", rb"ElementDataFile = [^\n]*", "ElementDataFile = a_%02d.raw 0 7 1"),
        (".mhd", rb"ElementDataFile = [^\n]*", "ElementDataFile = a_%02d.raw 0"),
        (".nhdr", rb"data file: [^\n]*", "data file: LIST\n{names}"),
        (".nhdr", rb"data file: [^\n]*", "data file: a_%02d.raw 0 7 1"),
    ],
)
def test_slices_in_a_file_each(tmp_path, affine, suffix, field, form):
    path = tmp_path / f"a{suffix}"
    image = sitk.GetImageFromArray(SCAN)
    image.SetSpacing(SPACING[::-1])
    sitk.WriteImage(image, str(path), False)
    raw = tmp_path / "a.raw"
    data, size = raw.read_bytes(), SCAN[0].nbytes
    raw.unlink()
    slices = [tmp_path / f"a_{k:02d}.raw" for k in range(8)]
    for k, file in enumerate(slices):
        file.write_bytes(data[k * size : (k + 1) * size])
    edit(path, field, form.format(names="\n".join(file.name for file in slices)).encode())
    np.testing.assert_array_equal(read(path).array, SCAN)
    assert companions(path) == tuple(slices)
    slices[3].unlink()
    with pytest.raises(DataError, match=rf"a\{suffix} says where .*a_03\.raw is missing"):
        read(path)


@pytest.mark.parametrize("suffix", [".mhd", ".nhdr"])
def test_longer_voxel_files_are_noted(tmp_path, suffix):
    sitk.WriteImage(sitk.GetImageFromArray(SCAN), str(tmp_path / f"a{suffix}"), False)
    assert read(tmp_path / f"a{suffix}").notes == ()
    with (tmp_path / "a.raw").open("ab") as file:
        file.write(b"123")
    (note,) = read(tmp_path / f"a{suffix}").notes
    assert note.detail == "3 bytes in a.raw"


@pytest.mark.parametrize(
    ("suffix", "pattern", "new"),
    [
        (".mha", rb"BinaryDataByteOrderMSB = False", b"BinaryDataByteOrderMSB = True"),
        (".nrrd", rb"endian: little", b"endian: big"),
    ],
)
def test_compressed_voxels_of_either_byte_order(tmp_path, affine, suffix, pattern, new):
    """The bytes stay and the header says the other order: every number has its bytes swapped."""
    path = WRITERS[suffix].save(tmp_path / f"a{suffix}", SCAN, affine)
    edit(path, pattern, new)
    found = read(path).array
    np.testing.assert_array_equal(found, SCAN.byteswap())
    assert found.dtype.isnative
    assert found.flags.writeable


# What headers say ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "pattern", "new", "factor"),
    [
        (".mha", rb"ElementSpacing", b"DistanceUnits = cm\nElementSpacing", 10),
        (".mha", rb"ElementSpacing", b"DistanceUnits = um\nElementSpacing", 0.001),
        (".nrrd", rb"kinds:", b'space units: "cm" "cm" "cm"\nkinds:', 10),
        (".nrrd", rb"kinds:", b'space units: "mm" "mm" "mm"\nkinds:', 1),
        (".nrrd", rb"kinds:", b'space units: "um" "um" "um"\nkinds:', 0.001),
    ],
)
def test_units_of_text_headers(tmp_path, affine, suffix, pattern, new, factor):
    path = WRITERS[suffix].save(tmp_path / f"a{suffix}", SCAN, affine)
    before = read(path).affine
    edit(path, pattern, new)
    np.testing.assert_allclose(read(path).affine[:3], before[:3] * factor)


@pytest.mark.parametrize(
    ("space", "first", "axes"),
    [
        ("left-posterior-superior", (-1, -2, 3), (-1, -1, 1)),
        ("LPS", (-1, -2, 3), (-1, -1, 1)),
        ("right-anterior-superior", (1, 2, 3), (1, 1, 1)),
        ("RAS", (1, 2, 3), (1, 1, 1)),
        ("left-anterior-superior", (-1, 2, 3), (-1, 1, 1)),
        ("LAS", (-1, 2, 3), (-1, 1, 1)),
    ],
)
def test_spaces_of_nrrd_by_hand(tmp_path, space, first, axes):
    """The first voxel at (1, 2, 3) of the space and axes along it, in RAS mm."""
    path = tmp_path / "a.nrrd"
    header = (
        f"NRRD0004\ntype: uint8\ndimension: 3\nspace: {space}\nsizes: 2 3 4\n"
        "space directions: (0.5,0,0) (0,0.7,0) (0,0,3)\nkinds: domain domain domain\n"
        "encoding: raw\nspace origin: (1,2,3)\n\n"
    )
    path.write_bytes(header.encode() + bytes(range(24)))
    voxels = read_voxels(path)
    assert voxels.affine[:3, 3].tolist() == list(first)
    np.testing.assert_allclose(
        voxels.affine[:3, :3], np.fliplr(np.diag(np.multiply(axes, (0.5, 0.7, 3))))
    )


def test_a_byte_order_mark_in_front_of_a_header(tmp_path, affine):
    path = WRITERS[".mhd"].save(tmp_path / "a.mhd", SCAN, affine)
    expected = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    np.testing.assert_array_equal(read(path).array, expected.array)
    np.testing.assert_array_equal(read(path).affine, expected.affine)


def test_what_a_header_says_twice_is_noted(tmp_path, affine):
    path = WRITERS[".mha"].save(tmp_path / "a.mha", SCAN, affine)
    edit(path, rb"ElementSpacing", b"ElementSpacing = 9 9 9\nElementSpacing")
    (note,) = read(path).notes
    assert note.what == "the header states elementspacing twice"
    assert note.detail.startswith("9 9 9 and 0.59999")
    forms = nib.Nifti1Image(SCAN.T, affine[:, [2, 1, 0, 3]])
    elsewhere = np.diag([-0.6, -0.7, 3, 1])
    elsewhere[0, 3] = 9
    forms.set_qform(elsewhere, 1)
    forms.to_filename(tmp_path / "b.nii")
    (note,) = read(tmp_path / "b.nii").notes
    assert "sform and qform put the voxels into different places" in note.what
    assert "mm apart" in note.detail


@pytest.mark.parametrize("unit", [None, 3])
def test_lengths_in_another_unit_are_noted(tmp_path, write, unit):
    """Metres that the header calls mm, and mm that it calls microns."""
    scale = 0.001 if unit is None else 1
    affine = write.affine(tuple(mm * scale for mm in SPACING))
    for name, array in (("a", SCAN), ("a_segmentation", gland())):
        image = nib.Nifti1Image(array.T, affine[:, [2, 1, 0, 3]])
        image.header["xyzt_units"] = unit or 2
        image.to_filename(tmp_path / f"{name}.nii")
    report = check_dataset(ProMRI(tmp_path))
    assert report.faults == ()
    (note,) = report.remarks
    assert note.startswith("the field of view is no patient's")
    assert "a (0.024 x 0.014 x 0.0144 mm" in note
    (tmp_path / "masks").mkdir()
    (tmp_path / "a_segmentation.nii").rename(tmp_path / "masks" / "a.nii")
    assert score_masks(tmp_path / "masks", tmp_path / "masks").notes == (note,)
