import stat
import zipfile
from types import SimpleNamespace

import pytest

from camzoo.core.errors import DataError
from camzoo.data import unpacking
from camzoo.data.unpacking import unpack


@pytest.fixture
def bundle(tmp_path):
    def make(members, **options):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", **options) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return path

    return make


def tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_members_land_below_the_target(bundle, tmp_path):
    unpack(bundle({"MR/1/a.dcm": b"1", "CT/2/b.dcm": b"2"}), tmp_path / "Train_Sets")
    assert tree(tmp_path / "Train_Sets") == ["CT/2/b.dcm", "MR/1/a.dcm"]


def test_a_single_folder_becomes_the_target_and_clutter_is_left_out(bundle, tmp_path):
    members = {"whatever/Case00.mhd": b"1", "__MACOSX/._x": b"", "whatever/.DS_Store": b""}
    unpack(bundle(members), tmp_path / "training_data")
    assert tree(tmp_path / "training_data") == ["Case00.mhd"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "training_data"]


def test_a_single_file_is_no_folder(bundle, tmp_path):
    unpack(bundle({"Case00.mhd": b"1"}), tmp_path / "training_data")
    assert tree(tmp_path / "training_data") == ["Case00.mhd"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "a/../../evil.txt",
        "/evil.txt",
        "..\\evil.txt",
        "C:/evil.txt",
        f"../{9999 * 'a'}",
    ],
)
def test_paths_that_lead_out_are_refused(bundle, tmp_path, name):
    path = bundle({"good/a.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match=r"leads out of the archive; nothing was unpacked") as e:
        unpack(path, tmp_path / "target")
    assert len(str(e.value)) < 1000
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
    assert not (tmp_path.parent / "evil.txt").exists()


def test_links_are_refused(bundle, tmp_path):
    link = zipfile.ZipInfo("good/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="'good/link' is a link"):
        unpack(bundle({"good/a.txt": b"1", link: b"/etc/passwd"}), tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_bombs_are_refused(bundle, tmp_path):
    path = bundle({"a/zeros": b"\0" * 5_000_000}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"bytes that unpack to 5000000 are no data set"):
        unpack(path, tmp_path / "target")


def test_a_member_that_unpacks_to_more_than_it_declares(bundle, tmp_path):
    """The declared size is patched down in both headers; no more than it is written."""
    noise = bytes(range(251)) * 40
    path = bundle({"a.bin": noise}, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    declared = len(noise).to_bytes(4, "little")
    assert data.count(declared) == 2
    path.write_bytes(data.replace(declared, (100).to_bytes(4, "little")))
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(path, tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_full_disk_is_noticed_before_it_is_full(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: SimpleNamespace(free=2))
    with pytest.raises(DataError, match=r"unpacks to 3 bytes, .* has 2; make room"):
        unpack(bundle({"a.txt": b"123"}), tmp_path / "target")


def test_a_damaged_archive_leaves_nothing(bundle, tmp_path):
    path = bundle({"d/a.txt": b"1" * 100, "d/b.txt": b"2" * 100})
    data = bytearray(path.read_bytes())
    data[data.index(b"2" * 100) + 50] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="cannot be unpacked: BadZipFile: Bad CRC-32"):
        unpack(path, tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
    path.write_bytes(b"no zip at all")
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(path, tmp_path / "target")


def test_damage_inside_of_what_is_packed(bundle, tmp_path):
    path = bundle({"d/a.txt": bytes(range(251)) * 9}, compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    start = data.index(b"d/a.txt") + len(b"d/a.txt")
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be unpacked: error: .*; download it again"):
        unpack(path, tmp_path / "target")


@pytest.mark.parametrize("names", [["a" * 300], ["a", "a/b"]], ids=["long", "file and folder"])
def test_names_that_no_disk_takes(bundle, tmp_path, names):
    with pytest.raises(DataError, match=r"a\.zip cannot be unpacked into .*: \w+Error: "):
        unpack(bundle(dict.fromkeys(names, b"1")), tmp_path / "target")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_an_empty_archive_is_no_data_set(bundle, tmp_path):
    with pytest.raises(DataError, match="are no data set"):
        unpack(bundle({}), tmp_path / "target")
