import os
import socket
from pathlib import Path

import pytest

from camzoo.core.errors import DataError
from camzoo.data.disk import named_faults, read_bytes, read_json_object, read_text, require_file


def test_a_file_has_a_size(tmp_path):
    (tmp_path / "a").write_bytes(b"123")
    assert require_file(tmp_path / "a") == 3
    assert read_bytes(tmp_path / "a") == b"123"


def test_what_is_no_file_says_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
    for name, kind in (("pipe", "a pipe"), ("socket", "a socket"), ("", "a folder")):
        with pytest.raises(DataError, match=f"is {kind}, expected a file"):
            require_file(tmp_path / name)
    with pytest.raises(DataError, match="/dev/null is a device"):
        require_file(Path("/dev/null"))
    with pytest.raises(DataError, match=r"lost is missing"):
        require_file(tmp_path / "lost")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (PermissionError(13, "Permission denied", "x/a.nii"), "x/a.nii cannot be read: Permission"),
        (OSError(5, "Input/output error"), "b.nii cannot be read: Input/output error"),
        (MemoryError(), "b.nii does not fit into the memory"),
    ],
)
def test_what_the_system_says_names_the_file(tmp_path, fault, said):
    with pytest.raises(DataError, match=said), named_faults(tmp_path / "b.nii"):
        raise fault


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "a").chmod(0)
    with pytest.raises(DataError, match="a cannot be read: Permission denied"):
        read_bytes(tmp_path / "a")


def test_text_with_and_without_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.txt"
    for data in ("ä\n".encode(), b"\xef\xbb\xbf" + "ä\n".encode()):
        path.write_bytes(data)
        assert read_text(path) == "ä\n"
    path.write_bytes(b"\xe4")
    with pytest.raises(DataError, match=r"a\.txt is no text in UTF-8"):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "got a list"), ("null", "got null"), ("1.5", "got a number"), ('"a"', "got text"),
        ("true", "got a truth value"), ("{", "is no JSON"), ("[" * 100_000, "nested too deeply"),
    ],
)  # fmt: skip
def test_json_that_is_no_object(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=said) as error:
        read_json_object(tmp_path / "a.json")
    assert "a.json" in str(error.value)
