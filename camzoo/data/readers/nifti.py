"""NIfTI-1 and NIfTI-2 (nibabel)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from threading import Lock
from typing import Any, Final
from warnings import WarningMessage, catch_warnings, simplefilter

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.imageglobals import logger
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from camzoo.core.errors import DataError
from camzoo.data.disk import read_bytes
from camzoo.data.notes import Note
from camzoo.data.readers.base import Voxels, inflate, require_room, require_spacing, unreadable
from camzoo.data.volume import POSITION_TOLERANCE_VOXELS, FloatArray

#: NIfTI's units of length in mm; files that leave the unit out mean mm.
_UNIT_MM: Final = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: Bits of ``xyzt_units`` that are the unit of length.
_LENGTH_BITS: Final = 0x07
#: Largest relative difference between two statements of the voxel size in one header.
_SAME: Final = 0.01
#: First number in a file, by which NIfTI-2 is told from NIfTI-1.
_HEADERS: Final = {348: nib.Nifti1Image, 540: nib.Nifti2Image}
#: Bytes at the beginning of a file that hold the header of either kind.
_HEADER_BYTES: Final = 540
#: Magic of files that hold header and voxels.
_SINGLE_FILE: Final = (b"n+1\0", b"n+2\0")
_FORM_CODES: Final = range(6)
_GZIP: Final = b"\x1f\x8b"
#: More than the header takes when it is compressed.
_HEADER_PACKED: Final = 1 << 16
#: Bytes that may follow the voxels.
_SPARE_BYTES: Final = 1 << 24
#: What nibabel lets through from the layers below it when a file is damaged.
_FAULTS: Final = (ImageFileError, HeaderDataError, WrapStructError, EOFError, KeyError, ValueError)

_TURN: Final = Lock()


def read_nifti(path: Path) -> Voxels:
    """Read a NIfTI file, compressed or not, whatever its name says of that.

    Raises:
        DataError: The file is damaged or shorter than its header states, or its header does not
            say the orientation, contradicts itself about the voxel size, or holds a slope that is
            no number.
    """
    data = read_bytes(path)
    try:
        raw = _header(path, _beginning(path, data))
        need = _stated_bytes(path, raw)
        require_spacing(path, "pixdim", raw["pixdim"][1:4].tolist())
        plain = _plain(path, data, need)
        with _listening() as warned:
            image = _HEADERS[int(raw["sizeof_hdr"])].from_bytes(plain)
            affine, notes = _affine(path, raw, image.header)
            array = np.asanyarray(image.dataobj)
    except _FAULTS as error:
        raise unreadable(path, "NIfTI", f"{type(error).__name__}: {error}") from error
    said = (Note("what nibabel says of the header", str(warning.message)) for warning in warned)
    return Voxels(array.T, affine[:, [2, 1, 0, 3]], (*notes, *said))


@contextmanager
def _listening() -> Iterator[list[WarningMessage]]:
    """Keep what nibabel has to say about a header, and its log, away from the terminal.

    Who listens is the whole process: of threads that read at once, each has its turn.
    """
    with _TURN, catch_warnings(record=True) as warned:
        simplefilter("always")
        logger.disabled = True
        try:
            yield warned
        finally:
            logger.disabled = False


def _plain(path: Path, data: bytes, need: int) -> Any:
    """All bytes of a file, decompressed where they are gzip's, which must be ``need`` or more."""
    plain: bytes | bytearray = data
    if data.startswith(_GZIP):
        require_room(path, need, len(data), deflated=True)
        plain = inflate(path, data, need + _SPARE_BYTES)
    require_room(path, need, len(plain))
    return plain


def _beginning(path: Path, data: bytes) -> bytes:
    """The first bytes of a file, decompressed where they are gzip's."""
    if not data.startswith(_GZIP):
        return data[:_HEADER_BYTES]
    stream = zlib.decompressobj(31)
    try:
        beginning = stream.decompress(data[:_HEADER_PACKED], _HEADER_BYTES)
    except zlib.error as error:
        raise DataError(f"{path}: the compressed data are damaged ({error})") from error
    if len(beginning) < min(_HEADERS) and not stream.eof:
        raise DataError(f"{path}: the compressed data end early, the file is truncated")
    return beginning


def _header(path: Path, beginning: bytes) -> Any:
    """The header as it stands in the file: on loading, nibabel takes 1 for a voxel size of 0."""
    sizes = [int.from_bytes(beginning[:4], order) for order in ("little", "big")]
    kind = next((_HEADERS[size] for size in sizes if size in _HEADERS), None)
    if kind is None or len(beginning) < min(_HEADERS):
        raise DataError(
            f"{path} is no NIfTI file: {len(beginning)} bytes of header, beginning with "
            f"{beginning[:8]!r}"
        )
    header_class: Any = kind.header_class  # nibabel's methods have no types
    raw = header_class(beginning[: header_class.sizeof_hdr], check=False)
    magic = raw["magic"].tobytes()[:4]
    if magic not in _SINGLE_FILE:
        raise DataError(
            f"{path}: expected the magic n+1 or n+2 of a NIfTI file with its voxels, got "
            f"{magic!r}; write it again as one file"
        )
    return raw


def _stated_bytes(path: Path, raw: Any) -> int:
    """Bytes up to the last voxel, after the numbers that lead to them were looked at."""
    axes = int(raw["dim"][0])
    sizes = [int(size) for size in raw["dim"][1 : axes + 1]]
    if not 1 <= axes <= 7 or min(sizes) < 1:
        raise DataError(
            f"{path}: the header states {axes} axes of {sizes} voxels; expected sizes above 0"
        )
    offset, least = float(raw["vox_offset"]), int(raw["sizeof_hdr"]) + 4
    if not (offset.is_integer() and (offset == 0 or offset >= least)):
        raise DataError(
            f"{path}: the header states voxels from byte {offset:g} on (vox_offset), expected a "
            f"whole number from {least} on"
        )
    for name in ("scl_slope", "scl_inter"):
        if math.isinf(float(raw[name])):  # NaN stands for no scaling
            raise DataError(f"{path}: the header states {name} {raw[name]}, expected a number")
    for name in ("qform_code", "sform_code"):
        if int(raw[name]) not in _FORM_CODES:
            raise DataError(f"{path}: the header states {name} {raw[name]}, expected 0 to 5")
    return max(int(offset), least) + math.prod(sizes) * int(raw.get_data_dtype().itemsize)


def _affine(path: Path, raw: Any, header: Any) -> tuple[FloatArray, tuple[Note, ...]]:
    """Index (x, y, z, 1) to RAS mm."""
    zooms = np.array(raw["pixdim"][1:4], float)
    unit = int(raw["xyzt_units"]) & _LENGTH_BITS
    if unit not in _UNIT_MM:
        raise DataError(f"{path}: the header states an unknown unit of length (code {unit})")
    affine, notes = _stated_affine(path, zooms, header)
    affine[:3] *= _UNIT_MM[unit]
    return affine, notes


def _stated_affine(
    path: Path, zooms: FloatArray, header: Any
) -> tuple[FloatArray, tuple[Note, ...]]:
    """The form that agrees with ``pixdim``.

    A header states the voxel size up to three times: in ``pixdim``, in the lengths of the sform's
    axes, and in the qform, which is scaled by ``pixdim``. The sform is preferred, as nibabel does,
    but only where it agrees with ``pixdim``: official ACDC files carry an sform of unit length
    (github.com/MIC-DKFZ/nnUNet/issues/2741), which would turn millimetres into voxels.
    """
    sform, qform = header.get_sform(coded=True), header.get_qform(coded=True)
    lengths = np.linalg.norm(sform[0][:3, :3], axis=0) if sform[1] else None
    if lengths is not None and np.allclose(lengths, zooms, rtol=_SAME, atol=0):
        chosen = np.array(sform[0], float)
        return chosen, _forms_apart(chosen, qform[0], header) if qform[1] else ()
    if qform[1]:
        return np.array(qform[0], float), ()
    if lengths is None:
        raise DataError(
            f"{path}: the header states no orientation (qform_code and sform_code are 0); "
            "write the file again with its affine"
        )
    if np.allclose(lengths, 1, rtol=_SAME, atol=0):
        # Directions without lengths.
        return np.array(sform[0] @ np.diag([*zooms, 1.0]), float), ()
    raise DataError(
        f"{path}: the header contradicts itself: voxels of {zooms.tolist()} mm by pixdim, "
        f"{lengths.tolist()} mm by the sform; correct the one that is wrong"
    )


def _forms_apart(sform: FloatArray, qform: FloatArray, header: Any) -> tuple[Note, ...]:
    """Say where the two forms of a header put the corners of the volume apart from each other."""
    sizes = [*header.get_data_shape(), 1, 1][:3]
    corners = np.array([(*c, 1) for c in product(*((0, n - 1) for n in sizes))], float).T
    apart = float(np.linalg.norm(((sform - qform) @ corners)[:3], axis=0).max())
    if apart <= POSITION_TOLERANCE_VOXELS * np.linalg.norm(sform[:3, :3], axis=0).min():
        return ()
    what = "sform and qform put the voxels into different places; the sform counts"
    return (Note(what, f"up to {apart:.3g} mm apart"),)
