import dataclasses
import hashlib
import io
import threading
import zipfile
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from camzoo.core.errors import DataError, UnknownNameError
from camzoo.core.progress import silent
from camzoo.data import fetch as module
from camzoo.data.datasets.base import Dataset, Facts
from camzoo.data.fetch import ARCHIVES, fetch


class Listener:
    """A reporter that remembers."""

    def __init__(self):
        self.lines = []

    @contextmanager
    def stage(self, title):
        self.lines.append(title)
        yield silent

    def note(self, text):
        self.lines.append(text)

    def __contains__(self, part):
        return any(part in line for line in self.lines)


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror on the loopback: the folder it serves, and its address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def put(folder, archive, members):
    """Put a zip file where the mirror has ``archive``; returns its MD5."""
    store = io.BytesIO()
    with zipfile.ZipFile(store, "w") as bundle:
        for name, data in members.items():
            bundle.writestr(name, data)
    path = folder / str(archive.record) / "files" / archive.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(store.getvalue())
    return hashlib.md5(store.getvalue()).hexdigest()


@pytest.fixture
def promise(mirror, monkeypatch):
    """The three archives of PROMISE12 on the mirror; the first with its true hash pinned."""
    folder, _ = mirror
    md5s = [
        put(folder, a, {f"{a.folder}/Case00.mhd": a.file, f"{a.folder}/Case00.raw": b"1"})
        for a in ARCHIVES["promri"]
    ]
    first, *others = ARCHIVES["promri"]
    pinned = (dataclasses.replace(first, md5=md5s[0]), *others)
    monkeypatch.setitem(module.ARCHIVES, "promri", pinned)
    return md5s


def test_what_is_pinned_is_what_the_owners_publish():
    training = ARCHIVES["promri"][0]
    assert (training.record, training.file) == (8026660, "training_data.zip")
    assert training.md5 == "f6d23994117c989daf07e5291edd0aea"
    assert [a.file for a in ARCHIVES["promri"][1:]] == [
        "test_data.zip",
        "livechallenge_test_data.zip",
    ]
    (chaos,) = ARCHIVES["chaos"]
    assert (chaos.record, chaos.file) == (3431873, "CHAOS_Train_Sets.zip")


def test_all_archives_are_unpacked_and_unpinned_hashes_are_told(mirror, promise, tmp_path):
    listener, root = Listener(), tmp_path / "data" / "promise"
    fetch("promri", root, base_url=mirror[1], reporter=listener)
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*.mhd")) == [
        "livechallenge_test_data/Case00.mhd",
        "test_data/Case00.mhd",
        "training_data/Case00.mhd",
    ]
    assert not list(root.glob("*.zip*"))
    assert f"test_data.zip: MD5 {promise[1]}. camzoo has no hash to hold against it" in listener
    assert "training_data.zip: MD5" not in listener
    assert "10.7937/K9/TCIA.2015.zF0vlOPv" in listener  # the part that is not downloaded
    assert "cite: Litjens" in listener


def test_a_second_run_downloads_nothing(mirror, promise, tmp_path):
    fetch("promri", tmp_path / "d", base_url=mirror[1])
    listener = Listener()
    fetch("promri", tmp_path / "d", base_url="http://127.0.0.1:1", reporter=listener)
    assert "training_data is there already" in listener
    assert not any(line.startswith("download ") for line in listener.lines)


def test_the_mirror_of_the_environment(mirror, promise, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMZOO_MIRROR", mirror[1] + "/")
    fetch("promri", tmp_path / "d")
    assert (tmp_path / "d" / "test_data" / "Case00.raw").read_bytes() == b"1"


def test_a_wrong_hash_unpacks_nothing(mirror, promise, tmp_path):
    put(mirror[0], ARCHIVES["promri"][0], {"training_data/Case00.mhd": b"changed"})
    with pytest.raises(DataError, match=r"training_data\.zip.*expected a file with MD5"):
        fetch("promri", tmp_path / "d", base_url=mirror[1])
    assert list((tmp_path / "d").iterdir()) == []


def test_a_malicious_archive_unpacks_nothing(mirror, tmp_path):
    put(mirror[0], ARCHIVES["chaos"][0], {"Train_Sets/MR/1/a": b"1", "../../evil": b"2"})
    with pytest.raises(DataError, match="leads out of the archive"):
        fetch("chaos", tmp_path / "d", base_url=mirror[1])
    assert not list(tmp_path.rglob("evil"))
    assert not (tmp_path / "d" / "Train_Sets").exists()


def test_an_archive_brought_by_hand_is_used_and_kept(mirror, tmp_path):
    put(mirror[0], ARCHIVES["chaos"][0], {"Train_Sets/MR/1/a": b"1"})
    source = mirror[0] / "3431873" / "files" / "CHAOS_Train_Sets.zip"
    root = tmp_path / "d"
    root.mkdir()
    source.rename(root / "CHAOS_Train_Sets.zip")
    fetch("chaos", root, base_url="http://127.0.0.1:1")
    assert (root / "Train_Sets" / "MR" / "1" / "a").read_bytes() == b"1"
    assert (root / "CHAOS_Train_Sets.zip").exists()


def test_what_cannot_be_downloaded_is_explained(tmp_path):
    listener = Listener()
    fetch("acdc", tmp_path / "d", reporter=listener)
    assert "registration" in listener
    assert "humanheart-project.creatis.insa-lyon.fr" in listener
    assert "the root must hold patientNNN/" in listener
    assert not (tmp_path / "d").exists()


def test_a_data_set_without_files_needs_nothing(tmp_path, monkeypatch):
    class Made(Dataset):
        facts = Facts("a made-up set", "-", "free", "made on the spot")

    monkeypatch.setattr(module.datasets, "get", lambda name: Made)
    listener = Listener()
    fetch("made", tmp_path, reporter=listener)
    assert listener.lines[0] == "a made-up set: nothing to download (made on the spot)"


def test_an_unknown_name_and_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(UnknownNameError):
        fetch("promise", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"fetching into .* failed: "):
        fetch("chaos", tmp_path / "file" / "d", base_url="http://127.0.0.1:1")
