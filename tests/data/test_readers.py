import os
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the field's name for it

from camzoo.core.errors import DataError
from camzoo.data.readers import companions, read_volume, volume_stem
from camzoo.data.readers.dicom import scan_series
from camzoo.data.readers.itk import read_itk
from camzoo.data.readers.png import read_png_stack
from camzoo.data.readers.stderr import captured_stderr
from camzoo.data.volume import Volume

LAYOUTS = [("S", "P", "L"), ("I", "P", "L"), ("S", "A", "R"), ("A", "S", "R"), ("R", "I", "P")]
NAMES = ["q.dcm", "b.DCM", "z.dcm", "a.dcm"]


def read(path):
    return read_volume(path, case="case7", patient="p")


def written(write, folder, kind, array, affine):
    if kind == "dicom":
        return write.dicom(folder / "series", array, affine, names=NAMES)
    name, compress = {"zraw": ("a.mhd", True), "raw": ("a.mhd", False)}.get(kind, (kind, True))
    if name.startswith("b.nii"):
        return write.nifti(folder / name, array, affine)
    return write.itk(folder / name, array, affine, compress=compress)


KINDS = ["b.nii", "b.nii.gz", "raw", "zraw", "a.mha", "a.nrrd", "dicom"]


@pytest.mark.parametrize("axes", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_the_same_canonical_volume(write, tmp_path, scan, kind, axes):
    affine = write.affine((3, 0.8, 0.5), axes, tilt=20)
    found = read(written(write, tmp_path, kind, scan, affine))
    expected = Volume(scan, affine, "case7", "p").canonical()
    np.testing.assert_array_equal(found.array, expected.array)
    np.testing.assert_allclose(found.affine, expected.affine, atol=1e-5)
    assert (found.case, found.patient) == ("case7", "p")
    np.testing.assert_allclose(sorted(found.spacing), (0.5, 0.8, 3), atol=1e-6)


def test_lps_to_ras_agrees_with_itk_writing_nifti(write, tmp_path, scan):
    """ITK turns LPS into RAS itself when it writes NIfTI; nibabel reads that."""
    mha = write.itk(tmp_path / "a.mha", scan, write.affine((3, 0.8, 0.5), ("I", "A", "L"), tilt=30))
    sitk.WriteImage(sitk.ReadImage(str(mha)), str(tmp_path / "b.nii.gz"))
    ours, theirs = read(mha), read(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(ours.array, theirs.array)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)


@pytest.mark.parametrize(("name", "io"), [("a.mha", "MetaImageIO"), ("a.nrrd", "NrrdImageIO")])
def test_what_itk_finds_is_what_room_was_looked_for(write, tmp_path, scan, name, io):
    """ITK takes memory for the size that it reads, which another parser has checked."""
    path = write.itk(tmp_path / name, scan, write.affine())
    found = read_itk(path, "text", io, stated=scan.size, known=None, unit_mm=1.0)
    np.testing.assert_array_equal(found.array, scan)
    with pytest.raises(DataError, match=f"{name}: the header states 7 numbers, and ITK reads"):
        read_itk(path, "text", io, stated=7, known=None, unit_mm=1.0)


# NIfTI -------------------------------------------------------------------------------------------


def header_of(path, *, zooms, sform=None, qform=None, units="mm", shape=(9, 6, 4)):
    """A file whose forms are set one by one, each None or an affine of (x, y, z)."""
    image = nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), None)
    image.header.set_zooms(zooms + (1,) * (len(shape) - 3))
    if qform is not None:
        image.header.set_qform(np.asarray(qform, float), 1)
    image.header.set_sform(
        None if sform is None else np.asarray(sform, float), int(sform is not None)
    )
    image.header["pixdim"][1:4] = zooms
    image.header.set_xyzt_units(units)
    nib.Nifti1Image.to_filename(image, path)
    return path


def test_an_sform_without_lengths_does_not_turn_millimetres_into_voxels(tmp_path):
    """As in the official ACDC archive: nibabel alone would say 1 x 1 x 1 mm."""
    unit, true = np.diag([-1, -1, 1, 1]), np.diag([-1.25, -1.4, 10, 1])
    zooms = (1.25, 1.4, 10.0)
    path = header_of(tmp_path / "a.nii", zooms=zooms, sform=unit, qform=true)
    assert nib.load(path).header.get_best_affine()[2, 2] == 1
    assert read(path).spacing == pytest.approx((10, 1.4, 1.25))
    only = header_of(tmp_path / "b.nii", zooms=zooms, sform=unit)
    np.testing.assert_allclose(read(only).affine, read(path).affine, atol=1e-5)


def test_a_good_sform_is_preferred_to_the_qform(tmp_path):
    """Same lengths, other directions: the sform is what nibabel and other readers take."""
    sform, qform = np.diag([-2.0, -3, 4, 1]), np.diag([2.0, 3, 4, 1])
    path = header_of(tmp_path / "a.nii", zooms=(2.0, 3.0, 4.0), sform=sform, qform=qform)
    raw = np.arange(9 * 6 * 4).reshape(9, 6, 4).T
    np.testing.assert_array_equal(read(path).array, raw)  # LPS already: nothing is flipped


@pytest.mark.parametrize(
    ("units", "factor"), [("unknown", 1), ("mm", 1), ("meter", 1000), ("micron", 0.001)]
)
def test_units_of_length_become_millimetres(tmp_path, units, factor):
    path = header_of(
        tmp_path / "a.nii", zooms=(2.0, 3.0, 4.0), sform=np.diag([2, 3, 4, 1]), units=units
    )
    assert read(path).spacing == pytest.approx((4 * factor, 3 * factor, 2 * factor))


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ({}, "states no orientation"),
        ({"sform": np.diag([1.5, 1.5, 5, 1])}, r"contradicts itself.*2\.0, 3\.0, 4\.0.*1\.5"),
    ],
)
def test_a_header_without_a_usable_form_is_refused(tmp_path, forms, message):
    path = header_of(tmp_path / "a.nii", zooms=(2.0, 3.0, 4.0), **forms)
    with pytest.raises(DataError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"case case7: {path}")


def test_a_voxel_size_of_zero_is_not_taken_for_one(tmp_path):
    """nibabel alone would set it to 1 while it loads, and scale the qform with that."""
    affine = np.diag([2.0, 3, 4, 1])
    path = header_of(tmp_path / "a.nii", zooms=(2.0, 3.0, 4.0), sform=affine, qform=affine)
    data = bytearray(path.read_bytes())
    data[80:92] = bytes(12)  # pixdim[1:4]
    path.write_bytes(data)
    assert nib.load(path).header.get_qform()[2, 2] == 1
    with pytest.raises(DataError, match=r"states voxels of 0 x 0 x 0 mm \(pixdim\)"):
        read(path)


def test_trailing_axes_of_length_one_are_dropped_and_time_is_refused(tmp_path):
    sform = np.diag([2, 3, 4, 1])
    one = header_of(tmp_path / "a.nii", zooms=(2.0, 3.0, 4.0), sform=sform, shape=(9, 6, 4, 1))
    assert read(one).shape == (4, 6, 9)
    many = header_of(tmp_path / "b.nii", zooms=(2.0, 3.0, 4.0), sform=sform, shape=(9, 6, 4, 2))
    with pytest.raises(DataError, match="one grey value per voxel, got 2 values"):
        read(many)


def test_scaled_integers_and_colours(tmp_path):
    image = nib.Nifti1Image(np.full((3, 4, 5), 3, np.int16), np.eye(4))
    image.header.set_slope_inter(2, 1)
    image.to_filename(tmp_path / "a.nii.gz")
    assert read(tmp_path / "a.nii.gz").array.max() == 7
    colour = np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(colour, np.eye(4)).to_filename(tmp_path / "b.nii.gz")
    with pytest.raises(DataError, match="one grey value per voxel"):
        read(tmp_path / "b.nii.gz")


# MetaImage and NRRD ------------------------------------------------------------------------------


def without(path, field):
    """Take the lines that begin with ``field`` out of a text header."""
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join(line for line in lines if not line.startswith(field.encode())))
    return path


@pytest.mark.parametrize(
    ("name", "field", "message"),
    [
        ("a.mhd", "ElementSpacing", "no elementspacing, so the spacing"),
        ("a.mhd", "TransformMatrix", "no transformmatrix or orientation or rotation"),
        ("a.nrrd", "space directions", "no space directions"),
        ("a.nrrd", "space:", "no space, so the orientation"),
    ],
)
def test_headers_without_geometry_are_refused(write, tmp_path, scan, name, field, message):
    path = without(write.itk(tmp_path / name, scan, write.affine()), field)
    with pytest.raises(DataError, match=message):
        read(path)


def test_a_header_that_names_no_file_or_a_lost_one(write, tmp_path, scan, capfd):
    path = write.itk(tmp_path / "a.mhd", scan, write.affine())
    assert companions(path) == (tmp_path / "a.raw",)
    assert companions(write.itk(tmp_path / "b.mha", scan, write.affine())) == ()
    assert companions(tmp_path / "lost.mhd") == ()
    (tmp_path / "a.raw").unlink()
    with pytest.raises(DataError, match=r"a\.raw is missing"):
        read(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd"])
def test_vectors_and_other_dimensions_are_refused(tmp_path, name):
    vectors = sitk.GetImageFromArray(np.zeros((3, 4, 5, 2), np.int16), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / name))
    with pytest.raises(DataError, match="one grey value per voxel, got 2 values"):
        read(tmp_path / name)
    series = sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), isVector=False)
    sitk.WriteImage(series, str(tmp_path / name))
    with pytest.raises(DataError, match=r"got 2 values \(frames|the header has no space"):
        read(tmp_path / name)


# Truncation --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "cut"),
    [
        ("b.nii", "b.nii"),
        ("b.nii.gz", "b.nii.gz"),
        ("raw", "a.raw"),
        ("zraw", "a.zraw"),
        ("a.mha", "a.mha"),
        ("a.nrrd", "a.nrrd"),
        ("dicom", "series/z.dcm"),
    ],
)
@pytest.mark.parametrize("keep", [0.0, 0.4, 0.9])
def test_truncated_files_say_so_and_nothing_leaks(write, tmp_path, kind, cut, keep, capfd):
    """Random voxels do not compress, so that half of the bytes is far from all voxels."""
    noise = np.random.default_rng(0).integers(0, 30000, (4, 20, 30)).astype(np.int16)
    path = written(write, tmp_path, kind, noise, write.affine())
    write.truncate(tmp_path / cut, keep)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(tmp_path) in str(error.value)
    assert "case case7" in str(error.value)
    assert capfd.readouterr().err == ""


def test_damaged_bytes_in_a_compressed_file(write, tmp_path):
    noise = np.random.default_rng(0).integers(0, 30000, (4, 20, 30)).astype(np.int16)
    path = write.nifti(tmp_path / "a.nii.gz", noise, write.affine())
    data = bytearray(path.read_bytes())
    for start, length in ((len(data) // 2, 1), (len(data) // 4, len(data) // 2)):
        data[start : start + length] = bytes(length)
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"a\.nii\.gz: the compressed data are damaged"):
            read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti2(tmp_path, scan, name):
    nib.Nifti2Image(scan.T, np.diag([-0.5, -0.8, 3, 1])).to_filename(tmp_path / name)
    found = read(tmp_path / name)
    np.testing.assert_array_equal(found.array, scan)
    assert found.spacing == (3, 0.8, 0.5)


def test_truncated_png(write, tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (1, 20, 30))
    write.png(tmp_path, noise, ["a.png"])
    write.truncate(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png cannot be read as PNG"):
        read_png_stack([tmp_path / "a.png"], (20, 30))
    assert capfd.readouterr().err == ""


def test_stderr_comes_back_after_the_capture(capfd):
    with captured_stderr() as said:
        os.write(2, b"MetaImage:\n  ideal = 7200")
        assert said() == "MetaImage: ideal = 7200"
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


# DICOM -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", LAYOUTS)
def test_dicom_geometry_agrees_with_simpleitk(write, tmp_path, scan, axes):
    """ITK's own series reader, given the files in our order."""
    folder = write.dicom(tmp_path, scan, write.affine((3, 0.8, 0.5), axes, tilt=15), names=NAMES)
    series = scan_series(folder)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in series.files])
    image = reader.Execute()
    lps = np.diag([-1, -1, 1, 1]) @ series.affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    np.testing.assert_allclose(spacing, image.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(
        lps[:3, :3] / spacing, np.reshape(image.GetDirection(), (3, 3)), atol=1e-6
    )
    np.testing.assert_allclose(lps[:3, 3], image.GetOrigin(), atol=1e-6)
    assert series.shape == (6, 9)


def test_dicom_order_is_position_not_name(write, tmp_path, scan):
    folder = write.dicom(tmp_path, scan, write.affine(axes=("I", "P", "L")), names=NAMES)
    assert [f.name for f in scan_series(folder).files] == NAMES[::-1]  # written from head to foot


def position(z, x=0.0):
    return {"0020|0032": f"{x}\\0\\{z}"}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({2: position(9), 3: position(12)}, r"slice001\.dcm and slice002\.dcm are 6\.000 mm apart"),
        ({3: position(9.5)}, r"slice002\.dcm and slice003\.dcm are 3\.500 mm apart, others 3\.000"),
        ({2: position(3)}, "same position"),
        ({3: position(9, x=2)}, r"slice003\.dcm is shifted by 2\.000 mm"),
        ({1: {"0020|0037": "0\\1\\0\\1\\0\\0"}}, "differ in ImageOrientationPatient"),
    ],
)
def test_bad_series_are_refused(write, tmp_path, scan, tags, message, capfd):
    """An upright stack, 3 mm apart, with one thing wrong."""
    upright = {k: position(3 * k) for k in range(4)}
    for k, wrong in tags.items():
        upright[k] = {**upright[k], **wrong}
    folder = write.dicom(tmp_path, scan, write.affine((3, 0.8, 0.5)), tags=upright)
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(folder) in str(error.value)
    assert capfd.readouterr().err == ""


def test_a_lost_slice_is_noticed(write, tmp_path, scan):
    folder = write.dicom(tmp_path, scan, write.affine((3, 0.8, 0.5)), names=NAMES)
    (folder / NAMES[1]).unlink()
    with pytest.raises(DataError, match=r"apart, others|a slice is missing"):
        read(folder)


def test_slices_of_another_spacing_or_size_are_refused(write, tmp_path, scan):
    affine = write.affine((3, 0.8, 0.5))
    for name, array, other in (
        ("spacing", scan[:1], write.affine((3, 0.7, 0.5), origin=(5, -7, 23))),
        ("size", scan[:1, :, :5], write.affine((3, 0.8, 0.5), origin=(5, -7, 23))),
    ):
        folder = write.dicom(tmp_path / name, scan, affine)
        write.dicom(folder, array, other, names=["more.dcm"])
        with pytest.raises(DataError, match=r"slice000\.dcm and more\.dcm differ in"):
            read(folder)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_slices(write, tmp_path, scan, count):
    folder = write.dicom(tmp_path / "s", scan[:count], write.affine())
    (folder / "._hidden.dcm").write_text("what some systems leave behind")
    with pytest.raises(DataError, match=f"at least 2 DICOM slices .*got {count}"):
        read(folder)


def test_frames_are_refused(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    for k in range(2):
        sitk.WriteImage(image, str(tmp_path / f"{k}.dcm"))
    with pytest.raises(DataError, match="expected one slice per file, got 3 frames"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (r"1\0\0\0\1\0", r"1\0\0\1\0\0", "is no pair of orthogonal unit vectors"),
        (r"1\0\0\0\1\0", r"1\0\0\0\1 0", r"6 numbers in ImageOrientationPatient .*got '1"),
        (r"0\0\3", "0 0 3", r"3 numbers in ImagePositionPatient \(0020,0032\), got '0 0 3'"),
        (r".8\.5", ".8 .5", r"2 numbers in PixelSpacing \(0028,0030\), got '.8 .5'"),
    ],
)
def test_damaged_geometry_tags_are_refused(write, tmp_path, scan, old, new, message):
    """GDCM refuses to write such tags, so the bytes are changed afterwards."""
    upright = {k: position(3 * k) for k in range(4)}
    folder = write.dicom(tmp_path, scan, write.affine((3, 0.8, 0.5)), tags=upright)
    file = folder / "slice001.dcm"
    assert file.read_bytes().count(old.encode()) == 1
    file.write_bytes(file.read_bytes().replace(old.encode(), new.encode()))
    with pytest.raises(DataError, match=message) as error:
        read(folder)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("spacing", [rb"0\.5  ", rb"-1\.5 ", rb"nan\.5"])
def test_pixel_spacings_that_are_no_sizes_are_refused(write, tmp_path, scan, spacing):
    upright = {k: position(3 * k) for k in range(4)}
    folder = write.dicom(tmp_path, scan, write.affine((3, 0.8, 0.5)), tags=upright)
    file = folder / "slice001.dcm"
    assert file.read_bytes().count(rb".8\.5 ") == 1
    file.write_bytes(file.read_bytes().replace(rb".8\.5 ", spacing))
    with pytest.raises(DataError, match="PixelSpacing") as error:
        read(folder)
    assert str(file) in str(error.value)


def test_a_pipe_among_slices_is_refused(write, tmp_path, scan):
    folder = write.dicom(tmp_path, scan, write.affine())
    os.mkfifo(folder / "more.dcm")
    with pytest.raises(DataError, match=r"more\.dcm is a pipe, expected a file"):
        read(folder)


# PNG and names -----------------------------------------------------------------------------------


def test_png_stack_keeps_the_order_given(write, tmp_path, scan):
    write.png(tmp_path, scan, ["b.png", "c.png", "a.png", "d.png"])
    files = [tmp_path / name for name in ("a.png", "d.png")]
    np.testing.assert_array_equal(read_png_stack(files, (6, 9)), scan[[2, 3]].astype(np.uint8))
    with pytest.raises(DataError, match=r"a\.png: expected \(9, 6\) .* got \(6, 9\)"):
        read_png_stack(files, (9, 6))


def test_png_with_colours_is_refused(tmp_path):
    picture = sitk.GetImageFromArray(np.zeros((4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(picture, str(tmp_path / "a.png"))
    with pytest.raises(DataError, match="one grey value per pixel, got 3"):
        read_png_stack([tmp_path / "a.png"], (4, 5))


def test_libraries_are_imported_only_for_their_files():
    heavy = "{'SimpleITK', 'nibabel'} & set(sys.modules)"
    code = f"import sys, camzoo.data.readers; sys.exit(bool({heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(DataError, match=r"case case7: .*lost\.nii\.gz is missing"):
        read(tmp_path / "lost.nii.gz")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"a\.txt: expected a folder of DICOM slices or a file"):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("name", "stem"),
    [("Case00.mhd", "Case00"), ("a.b.nii.gz", "a.b"), ("A.NII", "A"), ("a.raw", None)],
)
def test_volume_stem(tmp_path, name, stem):
    assert volume_stem(tmp_path / name) == stem
