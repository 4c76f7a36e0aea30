"""A spoilt length costs one line, not a gigabyte; and every way of writing DICOM is followed."""

import resource
import struct
from pathlib import Path

import pytest

from camzoo.core.errors import DataError
from camzoo.data.readers import read_volume
from camzoo.data.readers.dicom_elements import require_whole_elements

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED, JPEG = (
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.70",
)
UNDEFINED = 0xFFFFFFFF


def element(group, number, kind, value, *, length=None, order="<", kinds=True):
    """One element, byte by byte as the standard has it."""
    length = len(value) if length is None else length
    head = struct.pack(f"{order}HH", group, number)
    if not kinds or group == 0xFFFE:
        return head + struct.pack(f"{order}I", length) + value
    if kind in ("OB", "OW", "SQ", "UN"):
        return head + kind.encode() + b"\0\0" + struct.pack(f"{order}I", length) + value
    return head + kind.encode() + struct.pack(f"{order}H", length) + value


def item(value=b"", **how):
    return element(0xFFFE, 0xE000, "", value, **how)


def end(of="sequence", **how):
    return element(0xFFFE, 0xE00D if of == "item" else 0xE0DD, "", b"", **how)


def written(syntax, *elements, mark=True):
    meta = element(2, 0x10, "UI", syntax.encode() + b"\0" * (len(syntax) % 2))
    return (bytes(128) + b"DICM" + meta if mark else b"") + b"".join(elements)


def usual(**how):
    """A name, a sequence of either kind with an item of either kind, and pixels."""
    name = element(0x10, 0x10, "PN", b"A^B ", **how)
    ended = item(name + end("item", **how), length=UNDEFINED, **how)
    return [
        name,
        element(0x40, 0x275, "SQ", item(name, **how), **how),
        element(0x40, 0x276, "SQ", ended + end(**how), length=UNDEFINED, **how),
        element(0x7FE0, 0x10, "OW", bytes(24), **how),
    ]


def fragments():
    """Compressed pixels: of what is in items nothing is an element, whatever it looks like."""
    looks_like = element(0x10, 0x10, "PN", b"", length=60000)
    return element(0x7FE0, 0x10, "OB", item() + item(looks_like) + end(), length=UNDEFINED)


GOOD = {
    "explicit": written(EXPLICIT, *usual()),
    "implicit": written(IMPLICIT, *usual(kinds=False)),
    "big endian": written(BIG_ENDIAN, *usual(order=">")),
    "without mark": written(EXPLICIT, *usual(), mark=False),
    "without mark, implicit": written(IMPLICIT, *usual(kinds=False), mark=False),
    "compressed": written(JPEG, *usual()[:3], fragments(), usual()[0]),
    "deflated": written(DEFLATED, b"\x63\x60" * 40),
    "unknown elements": written(
        EXPLICIT, element(9, 1, "UN", item(b"\x63" * 90), length=UNDEFINED)
    ),
    "padding": written(EXPLICIT, *usual(), bytes(24)),
    "a length that looks like a kind": written(
        IMPLICIT, element(0x7FE0, 0x10, "OW", bytes(0x5344), kinds=False), usual(kinds=False)[0]
    ),
}
IMPLICITLY = {"implicit", "without mark, implicit", "a length that looks like a kind"}
#: What is in them is written in a way that is not followed, nor is what comes after it.
LEFT_ALONE = {"deflated", "unknown elements"}


@pytest.mark.parametrize("name", GOOD)
def test_every_way_of_writing_is_followed_to_the_end(tmp_path, name):
    (tmp_path / "a.dcm").write_bytes(GOOD[name])
    require_whole_elements(tmp_path / "a.dcm")


@pytest.mark.parametrize("name", [n for n in GOOD if n not in LEFT_ALONE])
def test_what_follows_is_still_looked_at(tmp_path, name):
    """One element more, of four bytes of which three are there."""
    order = ">" if name == "big endian" else "<"
    more = element(
        0x7FE1, 0x1010, "LO", b"abc", length=4, order=order, kinds=name not in IMPLICITLY
    )
    (tmp_path / "a.dcm").write_bytes(GOOD[name] + more)
    with pytest.raises(DataError, match=r"element \(7fe1,1010\) states 4 bytes, and 3 are left"):
        require_whole_elements(tmp_path / "a.dcm")


@pytest.mark.parametrize("inside", ["SQ", "item", "kind"])
def test_lengths_inside_of_sequences_and_kinds_that_there_are_not(tmp_path, inside):
    long = element(0x10, 0x10, "PN", b"ab", length=60000)
    spoilt = {
        "SQ": element(0x40, 0x275, "SQ", item(long)),
        "item": element(0x40, 0x275, "SQ", item(long + end("item"), length=UNDEFINED) + end(),
                        length=UNDEFINED),
        "kind": element(0x10, 0x10, "SX", b"ab"),
    }  # fmt: skip
    (tmp_path / "a.dcm").write_bytes(written(EXPLICIT, spoilt[inside], *usual()))
    stated = int.from_bytes(b"SX\x02\x00", "little") if inside == "kind" else 60000
    with pytest.raises(DataError, match=rf"element \(0010,0010\) states {stated} bytes, and \d+ a"):
        require_whole_elements(tmp_path / "a.dcm")


@pytest.mark.parametrize("data", [b"", b"\x08\x00", bytes(131), bytes(128) + b"DICM\x02\x00"])
def test_what_is_too_short_for_an_element_is_left_to_the_reader(tmp_path, data):
    (tmp_path / "a.dcm").write_bytes(data)
    require_whole_elements(tmp_path / "a.dcm")


def test_files_of_gdcm_are_followed(write, tmp_path, scan):
    """An independent writer; each of its files, cut in its pixels, is refused."""
    folder = write.dicom(tmp_path / "s", scan, write.affine())
    for file in sorted(folder.glob("*.dcm")):
        require_whole_elements(file)
        whole = file.read_bytes()
        for size in (len(whole) - 1, len(whole) - 30):
            file.write_bytes(whole[:size])
            with pytest.raises(DataError, match=r"\(7fe0,0010\) states .* copy or export it again"):
                require_whole_elements(file)


def test_a_spoilt_slice_costs_no_memory(write, tmp_path, scan):
    """GDCM took 1.2 GB for it each time that it was read, and kept them."""
    folder = write.dicom(tmp_path / "s", scan, write.affine())
    file = next(folder.glob("*.dcm"))
    data = file.read_bytes()
    at = data.index(b"\x02\x00\x13\x00SH")
    file.write_bytes(data[: at + 4] + b"SX" + data[at + 6 :])
    before = resident()
    for _ in range(3):
        with pytest.raises(DataError, match=r"cannot be read as DICOM: element \(0002,0013\)"):
            read_volume(folder, case="a", patient="p")
    assert resident() - before < 200 * 2**20


def resident():
    """Bytes that the process has in memory."""
    pages = int(Path("/proc/self/statm").read_text("utf-8").split()[1])
    return pages * resource.getpagesize()
