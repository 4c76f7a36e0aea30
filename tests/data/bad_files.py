"""Builders of files that lie, of files that are damaged, and of things that are no files.

Every builder takes a good file, which it spoils. Kinds that any format can have are built for every
ending of the registry of formats; the others are written by hand for the one format they belong to.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813 - the field's name for it

from camzoo.data.readers import companions

SHAPE = (8, 20, 24)
#: Right angles, none of the body's axes, anisotropic.
SPACING = (3.0, 0.7, 0.6)


def gland() -> np.ndarray:
    label = np.zeros(SHAPE, np.uint8)
    label[2:6, 6:13, 8:15] = 1
    return label


def edit(path: Path, pattern: bytes, new: bytes) -> None:
    """Replace what a pattern finds once in the header of a text format."""
    data, count = re.subn(pattern, lambda _: new, path.read_bytes(), count=1)
    assert count == 1, (path, pattern)
    path.write_bytes(data)


def poke(path: Path, offset: int, value: np.generic) -> None:
    """Write a number into an uncompressed file."""
    data = bytearray(path.read_bytes())
    data[offset : offset + value.nbytes] = value.tobytes()
    path.write_bytes(data)


@dataclass(frozen=True)
class Writer:
    """How a file of one ending is written, and how its spacing is falsified."""

    save: Callable[..., Path]
    respace: Callable[[Path, str], None]


def _save_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    nib.Nifti1Image(array.T, affine[:, [2, 1, 0, 3]]).to_filename(path)
    return path


def _save_itk(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    lps = np.diag([-1, -1, 1, 1]) @ affine[:, [2, 1, 0, 3]]
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    frames = array.ndim - 3
    direction = np.eye(array.ndim)
    direction[:3, :3] = lps[:3, :3] / spacing
    image = sitk.GetImageFromArray(array, isVector=False)
    image.SetSpacing([*spacing.tolist(), *[1.0] * frames])
    image.SetDirection(direction.ravel().tolist())
    image.SetOrigin([*lps[:3, 3].tolist(), *[0.0] * frames])
    sitk.WriteImage(image, str(path), True)
    return path


def _respace_nifti(path: Path, value: str) -> None:
    image = nib.load(path)
    array, affine = np.asanyarray(image.dataobj), image.affine
    plain = path.with_name("plain.nii")
    nib.Nifti1Image(array, affine).to_filename(plain)
    poke(plain, 76 + 4 * 2, np.float32(value))
    data = plain.read_bytes()
    plain.unlink()
    if path.name.lower().endswith(".gz"):
        import gzip

        data = gzip.compress(data)
    path.write_bytes(data)


def _respace_metaimage(path: Path, value: str) -> None:
    edit(path, rb"ElementSpacing = \S+ \S+ \S+", f"ElementSpacing = 0.6 {value} 3".encode())


def _respace_nrrd(path: Path, value: str) -> None:
    line = f"space directions: (0.6,0,0) (0,{value},0) (0,0,3)"
    if float(value) < 0:  # a length has no sign: the axis has no direction
        line = "space directions: none none none"
    edit(path, rb"space directions: [^\n]*", line.encode())


_NIFTI = Writer(_save_nifti, _respace_nifti)
_METAIMAGE = Writer(_save_itk, _respace_metaimage)
_NRRD = Writer(_save_itk, _respace_nrrd)
#: One for every ending that is read; a test compares the two.
WRITERS = {
    ".nii.gz": _NIFTI,
    ".nii": _NIFTI,
    ".mhd": _METAIMAGE,
    ".mha": _METAIMAGE,
    ".nrrd": _NRRD,
    ".nhdr": _NRRD,
}


def writer_of(path: Path) -> Writer:
    return next(w for suffix, w in WRITERS.items() if path.name.lower().endswith(suffix))


def rewrite(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    for file in companions(path):
        file.unlink()
    path.unlink()
    writer_of(path).save(path, array, affine)


def frames_of(path: Path, array: np.ndarray, affine: np.ndarray) -> Path:
    """Write [frames, z, y, x], each format in its own way."""
    writer_of(path).save(path, array, affine)
    if path.suffix in (".nrrd", ".nhdr"):  # ITK writes four axes of space; the body has three
        edit(path, rb"space dimension: 4", b"space: left-posterior-superior")
        edit(path, rb"space directions: [^\n]*", vectors(affine))
        edit(path, rb"kinds: [^\n]*", b"kinds: domain domain domain list")
        edit(path, rb"space origin: [^\n]*", b"space origin: (-1,-2,3)")
    return path


def vectors(affine: np.ndarray) -> bytes:
    lps = (np.diag([-1, -1, 1, 1]) @ affine)[:3, :3].T[::-1]
    text = " ".join(f"({','.join(f'{part:.17g}' for part in vector)})" for vector in lps)
    return f"space directions: {text} none".encode()


def voxels_of(path: Path) -> Path:
    """The file that holds the voxels."""
    return (*companions(path), path)[0]


# Kinds that any format can have -------------------------------------------------------------------

#: Name -> what is done to a good label file, given its affine.
ANY: dict[str, Callable[[Path, np.ndarray], None]] = {}


def any_format(function: Callable[[Path, np.ndarray], None]) -> Callable[[Path, np.ndarray], None]:
    ANY[function.__name__] = function
    return function


@any_format
def sheared(path, affine):
    tilted = affine.copy()
    tilted[:3, 0] += np.array([0, 3 * np.tan(np.radians(20)), 0])
    rewrite(path, gland(), tilted)


@any_format
def spacing_of_zero(path, _affine):
    writer_of(path).respace(path, "0")


@any_format
def negative_spacing(path, _affine):
    writer_of(path).respace(path, "-0.7")


@any_format
def spacing_that_is_no_number(path, _affine):
    writer_of(path).respace(path, "nan")


@any_format
def infinite_spacing(path, _affine):
    writer_of(path).respace(path, "inf")


@any_format
def truncated(path, _affine):
    voxels = voxels_of(path)
    data = voxels.read_bytes()
    voxels.write_bytes(data[: len(data) - 20])


@any_format
def a_tenth(path, _affine):
    voxels = voxels_of(path)
    data = voxels.read_bytes()
    voxels.write_bytes(data[: len(data) // 10])


@any_format
def empty(path, _affine):
    path.write_bytes(b"")


@any_format
def zeros(path, _affine):
    path.write_bytes(bytes(1000))


@any_format
def prose(path, _affine):
    path.write_text("Dear colleague, the scan follows by post.\n" * 20)


@any_format
def a_picture(path, _affine):
    picture = path.with_name("picture.png")
    sitk.WriteImage(sitk.GetImageFromArray(gland()[3]), str(picture))
    picture.replace(path)


@any_format
def a_pipe(path, _affine):
    path.unlink()
    os.mkfifo(path)


@any_format
def a_folder(path, _affine):
    path.unlink()
    path.mkdir()


@any_format
def a_link_to_itself(path, _affine):
    path.unlink()
    path.symlink_to(path)


@any_format
def two_frames(path, affine):
    rewrite(path, np.stack([gland(), gland()]), affine)


@any_format
def fractions(path, affine):
    rewrite(path, gland() * np.float32(0.7), affine)


@any_format
def negative_labels(path, affine):
    rewrite(path, -gland().astype(np.int16), affine)


@any_format
def labels_that_are_no_numbers(path, affine):
    rewrite(path, np.where(gland() > 0, np.nan, 0).astype(np.float32), affine)


@any_format
def labels_beyond_a_byte(path, affine):
    rewrite(path, gland().astype(np.int16) * 1000, affine)


@any_format
def another_grid(path, affine):
    rewrite(path, gland(), affine @ np.diag([1, 1, 1.3, 1]))


@any_format
def elsewhere(path, affine):
    moved = affine.copy()
    moved[:3, 3] += 40
    rewrite(path, gland(), moved)


# Kinds of one format ------------------------------------------------------------------------------

#: Name -> ending and what is done to a good label file of it.
OWN: dict[str, tuple[str, Callable[[Path], None]]] = {}


def own(suffix: str):
    def note(function):
        OWN[function.__name__] = (suffix, function)
        return function

    return note


def _text(name: str, suffix: str, pattern: bytes, new: bytes) -> None:
    OWN[name] = (suffix, lambda path: edit(path, pattern, new))


def _number(name: str, offset: int, value: np.generic) -> None:
    OWN[name] = (".nii", lambda path: poke(path, offset, value))


_number("nifti_of_30000_cubed", 42, np.array([30000] * 3, np.int16))
_number("nifti_with_negative_sizes", 42, np.int16(-24))
_number("nifti_of_no_axes", 40, np.int16(0))
_number("nifti_of_nine_axes", 40, np.int16(9))
_number("nifti_with_an_infinite_slope", 112, np.float32(np.inf))
_number("nifti_with_an_infinite_intercept", 116, np.float32(-np.inf))
_number("nifti_with_a_slope_of_1e38", 112, np.array([1e38, 0], np.float32))
_number("nifti_with_voxels_before_its_header", 108, np.float32(-1))
_number("nifti_with_voxels_in_its_header", 108, np.float32(147))
_number("nifti_with_voxels_between_bytes", 108, np.float32(352.5))
_number("nifti_with_an_unknown_form", 254, np.int16(216))
_number("nifti_with_a_damaged_magic", 347, np.uint8(77))
_number("nifti_with_voxels_at_infinity", 108, np.float32(np.inf))
_number("nifti_with_voxels_beyond_its_end", 108, np.float32(1e6))
_number("nifti_of_an_unknown_type", 70, np.int16(7777))
_number("nifti_of_an_unknown_unit", 123, np.uint8(7))
_number("nifti_with_voxels_in_another_file", 344, np.frombuffer(b"ni1\0", np.uint8))
_number("nifti_without_a_magic", 344, np.zeros(4, np.uint8))
_number("nifti_without_an_orientation", 252, np.zeros(2, np.int16))
_number("nifti_with_two_voxel_sizes", 80, np.array([5, 6, 7], np.float32))
_number("nifti_with_an_infinite_place", 292, np.float32(np.inf))
_text("mha_of_30000_cubed", ".mha", rb"DimSize = [\d ]+", b"DimSize = 30000 30000 30000")
_text("mha_of_many_axes", ".mha", rb"NDims = 3", b"NDims = 1e308")
_text("mha_of_two_axes", ".mha", rb"NDims = 3", b"NDims = 2")
_text("mha_of_half_an_axis", ".mha", rb"NDims = 3", b"NDims = 3.5")
_text("mha_with_few_sizes", ".mha", rb"DimSize = [\d ]+", b"DimSize = 24 20")
_text("mha_with_few_directions", ".mha", rb"TransformMatrix = [^\n]*", b"TransformMatrix = 1 0 0")
_text("mha_of_huge_voxels", ".mha", rb"ElementSpacing = \S+", b"ElementSpacing = 1e308")
_text("mha_at_the_edge_of_the_world", ".mha", rb"Offset = \S+", b"Offset = 1e300")
_text("mhd_with_a_zero_in_a_name", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = \0a")
_text(
    "mha_of_no_number_of_channels", ".mha", rb"DimSize", b"ElementNumberOfChannels = nan\nDimSize"
)
_text("mha_with_a_header_of_nan", ".mha", rb"DimSize", b"HeaderSize = nan\nDimSize")
_text("mha_of_no_voxels", ".mha", rb"DimSize = [\d ]+", b"DimSize = 24 0 8")
_text("mha_of_halves_of_voxels", ".mha", rb"DimSize = [\d ]+", b"DimSize = 24 20.5 8")
_text("mha_with_less_than_its_size", ".mha", rb"DimSize = [\d ]+", b"DimSize = 24 20 9")
_text("mha_in_unknown_units", ".mha", rb"ElementSpacing", b"DistanceUnits = ell\nElementSpacing")
_text("mha_without_spacing", ".mha", rb"ElementSpacing", b"ElementPlacing")
_text("mha_without_directions", ".mha", rb"TransformMatrix", b"TransferMatrix")
_text(
    "mha_with_long_directions", ".mha", rb"TransformMatrix = [^\n]*",
    b"TransformMatrix = 2 0 0 0 2 0 0 0 2",
)  # fmt: skip
_text("mhd_without_a_file", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = ")
_text("mhd_with_a_lost_file", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = lost.raw")
_text("mhd_with_a_folder", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = .")
_text("mhd_with_a_lost_list", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = LIST\nb\nc")
_text("mhd_of_text", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = s%s.raw 0 7 1")
_text("mhd_without_end", ".mhd", rb"ElementDataFile = [^\n]*", b"ElementDataFile = %d.raw 0 7 0")
_text(
    "nrrd_without_directions", ".nrrd", rb"space directions: [^\n]*",
    b"space directions: none none none",
)  # fmt: skip
_text("nrrd_of_the_scanner", ".nrrd", rb"space: [^\n]*", b"space: scanner-xyz")
_text("nrrd_of_the_right_hand", ".nrrd", rb"space: [^\n]*", b"space: 3D-right-handed")
_text("nrrd_without_space", ".nrrd", rb"space: [^\n]*", b"space dimension: 3")
_text("nrrd_in_two_units", ".nrrd", rb"kinds:", b'space units: "mm" "mm" "cm"\nkinds:')
_text("nrrd_in_seconds", ".nrrd", rb"kinds:", b'space units: "s" "s" "s"\nkinds:')
_text("nrrd_of_30000_cubed", ".nrrd", rb"sizes: [^\n]*", b"sizes: 30000 30000 30000")
_text("nrrd_in_bzip2", ".nrrd", rb"encoding: [^\n]*", b"encoding: bzip2")
_text("nrrd_with_less_than_its_size", ".nrrd", rb"sizes: [^\n]*", b"sizes: 24 20 9")
_text("nrrd_of_blocks", ".nrrd", rb"type: [^\n]*", b"type: block")
_text("nhdr_with_a_lost_file", ".nhdr", rb"data file: [^\n]*", b"data file: lost.raw.gz")
_text("nhdr_of_text", ".nhdr", rb"data file: [^\n]*", b"data file: s%s.raw 0 7 1")
#: Beyond what ITK has room for, which ended the process.
_text("nrrd_with_a_long_line", ".nrrd", rb"kinds:", b"a" * 1200 + b"\nkinds:")
_text("nhdr_of_a_long_type", ".nhdr", rb"type: [^\n]*", b"type: " + b"a" * 1200)
_text("mha_with_a_long_name", ".mha", rb"DimSize", b"Name = " + b"a" * 300 + b"\nDimSize")
_text("nrrd_with_a_byte_order_mark", ".nrrd", rb"^NRRD", b"\xef\xbb\xbfNRRD")


def _flip(path: Path) -> None:
    voxels = voxels_of(path)
    data = bytearray(voxels.read_bytes())
    data[-30] ^= 255
    voxels.write_bytes(data)


for _suffix in (".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr"):
    OWN[f"a_flipped_byte_in{_suffix}"] = (_suffix, _flip)


@own(".mha")
def mha_of_30000_cubed_in_text(path):
    edit(path, rb"CompressedData = True", b"CompressedData = False")
    edit(path, rb"BinaryData = True", b"BinaryData = False")
    edit(path, rb"DimSize = [\d ]+", b"DimSize = 30000 30000 30000")


@own(".mha")
def mha_of_30000_cubed_of_a_type_not_known(path):
    edit(path, rb"CompressedData = True", b"CompressedData = False")
    edit(path, rb"ElementType = \S+", b"ElementType = MET_LONG")
    edit(path, rb"DimSize = [\d ]+", b"DimSize = 30000 30000 30000")


@own(".mhd")
def mhd_with_a_pipe(path):
    voxels = voxels_of(path)
    voxels.unlink()
    os.mkfifo(voxels)


@own(".nii.gz")
def gzip_that_gives_more_than_its_header_states(path):
    import gzip

    path.write_bytes(path.read_bytes() + gzip.compress(bytes(1 << 25)))


@own(".nii")
def nifti_of_colours(path):
    colours = np.zeros(SHAPE[::-1], [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.Nifti1Image(colours, np.eye(4)).to_filename(path)


@own(".nii")
def nifti_of_complex_numbers(path):
    nib.Nifti1Image(gland().T.astype(np.complex64), np.eye(4)).to_filename(path)


@own(".nii")
def nifti_of_one_plane(path):
    nib.Nifti1Image(gland()[3].T, np.eye(4)).to_filename(path)


# Arrays -------------------------------------------------------------------------------------------

#: Name -> what is done to a good npy file.
ARRAYS: dict[str, Callable[[Path], None]] = {}


def array(function):
    ARRAYS[function.__name__] = function
    return function


def _saved(name: str, values: np.ndarray) -> None:
    ARRAYS[name] = lambda path: np.save(path, values, allow_pickle=True)


_saved("of_strings", gland().astype("U3"))
_saved("of_complex_numbers", gland().astype(complex))
_saved("of_dates", gland().astype("datetime64[D]"))
_saved("of_structures", np.zeros(SHAPE, [("a", "u1"), ("b", "f4")]))
_saved("of_objects", gland().astype(object))
_saved("of_one_axis", gland().ravel())
_saved("of_no_axes", np.array(1))
_saved("of_fractions", gland() * 0.3)


@array
def an_archive(path):
    with path.open("wb") as file:
        np.savez(file, gland())


@array
def of_a_type_with_an_escape(path):
    """Python warns of it when the header, an expression, is parsed."""
    _restate(path, b"'|u1'", b"'\\.u'")


@array
def of_196_tebibytes(path):
    _restate(path, b"(8, 20, 24)", b"(30000, 30000, 30000)")


@array
def of_negative_sizes(path):
    _restate(path, b"(8, 20, 24)", b"(-8, -20, 24)")


@array
def of_no_size_and_one_beyond_all(path):
    _restate(path, b"(8, 20, 24)", b"(0, 9" + b"9" * 25 + b")")


@array
def of_a_header_without_end(path):
    _restate(path, b"'descr'", b"'descr")


@array
def of_a_header_that_is_a_program(path):
    _restate(path, b"'descr'", b"exit(1)")


@array
def of_a_later_version(path):
    data = path.read_bytes()
    path.write_bytes(data[:6] + b"\x09" + data[7:])


@array
def array_truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


@array
def array_without_header(path):
    path.write_bytes(path.read_bytes()[:60])


@array
def array_of_prose(path):
    path.write_text("1, 2, 3\n" * 100)


@array
def array_empty(path):
    path.write_bytes(b"")


@array
def array_pipe(path):
    path.unlink()
    os.mkfifo(path)


@array
def array_folder(path):
    path.unlink()
    path.mkdir()


def _restate(path: Path, old: bytes, new: bytes) -> None:
    """Change the header of an array, in the length that it has."""
    data = path.read_bytes()
    length = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + length].replace(old, new).rstrip().ljust(length - 1) + b"\n"
    assert old in data
    assert len(header) == length
    path.write_bytes(data[:10] + header + data[10 + length :])
