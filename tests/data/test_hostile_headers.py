"""Every word of a text header and every byte of a binary one, replaced: read or refused."""

import re
import warnings

import numpy as np
import pytest

from camzoo.core.errors import CamzooError
from camzoo.data.readers import VOLUME_SUFFIXES, read_volume
from tests.data.bad_files import SPACING, WRITERS, gland

#: What parsers stumble over. ITK ends the process where a MetaImage states 1e308 axes.
WORDS = (b"inf", b"nan", b"-1", b"0", b"1e308", b"99999999999999999999", b"", b"none", b"\0", b"%s")
BYTES = (0x00, 0x7F, 0xFF)
#: Bytes of the header of NIfTI-1.
BINARY_HEADER = 348


def spoilt(good, suffix):
    """All variants of a file with one word or one byte of its header replaced."""
    if suffix == ".nii":
        for k in range(BINARY_HEADER):
            for byte in BYTES:
                yield good[:k] + bytes([byte]) + good[k + 1 :]
        return
    header = good.partition(b"LOCAL")[0].partition(b"\n\n")[0]
    for word in re.finditer(rb"[^\s=:(),]+", header):
        for new in WORDS:
            yield good[: word.start()] + new + good[word.end() :]


def outcome(path):
    try:
        volume = read_volume(path, case="a", patient="p")
    except CamzooError as fault:
        message = str(fault)
    else:
        assert np.isfinite(volume.affine).all()
        assert min(volume.spacing) > 0
        return "read"
    assert "\n" not in message
    assert str(path.parent) in message
    return "refused"


@pytest.mark.parametrize("suffix", [s for s in VOLUME_SUFFIXES if s != ".nii.gz"])
def test_headers_of_nonsense(write, tmp_path, suffix, capfd):
    affine = write.affine(SPACING)
    path = WRITERS[suffix].save(tmp_path / f"a{suffix}", gland(), affine)
    good = path.read_bytes()
    outcomes = {"read": 0, "refused": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in spoilt(good, suffix):
            path.write_bytes(data)
            outcomes[outcome(path)] += 1
    assert min(outcomes.values()) > 10, outcomes
    assert capfd.readouterr().err == ""
