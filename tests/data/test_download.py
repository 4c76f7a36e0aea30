import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from camzoo.core.errors import ConfigError, DataError
from camzoo.data.download import download

BODY = bytes(range(256)) * 9000  # 2.2 MiB: more than one chunk
MD5 = hashlib.md5(BODY).hexdigest()


class Server:
    """Serves ``body`` at any path, can cut the connection and can ignore ranges."""

    def __init__(self):
        self.body = BODY
        self.cut_after = None
        self.ranges = True
        self.requests = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        wanted = request.headers.get("Range") if self.ranges else None
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.requests.append(start)
        if request.path.startswith("/missing"):
            request.send_error(404, "Not Found")
            return
        if start >= len(self.body):
            request.send_error(416)
            return
        request.send_response(206 if wanted else 200)
        if wanted:
            last = len(self.body) - 1
            request.send_header("Content-Range", f"bytes {start}-{last}/{last + 1}")
        request.send_header("Content-Length", str(len(self.body) - start))
        request.end_headers()
        end = len(self.body) if self.cut_after is None else start + self.cut_after
        request.wfile.write(self.body[start:end])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_a_file_with_its_hash(server, tmp_path):
    ticks = []
    found = download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5, lambda *t: ticks.append(t))
    assert found == MD5
    assert (tmp_path / "a.zip").read_bytes() == BODY
    assert ticks[-1] == (2, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
    download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5)
    assert len(server.requests) == 1  # what is there and right is not asked for again


def test_a_cut_download_is_continued(server, tmp_path):
    server.cut_after = 1_000_000
    with pytest.raises(DataError, match=f"cut after 1000000 of {len(BODY)} bytes; run .* again"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip.part"]
    with pytest.raises(DataError, match="cut after 2000000 of"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5)
    server.cut_after = None
    assert download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5) == MD5
    assert server.requests == [0, 1_000_000, 2_000_000]
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.ranges = False
    (tmp_path / "a.zip.part").write_bytes(b"x" * 500)
    assert download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5) == MD5


def test_a_part_that_is_too_long_starts_over(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"x" * (len(BODY) + 1))
    assert download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5) == MD5
    assert server.requests == [len(BODY) + 1, 0]


def test_a_wrong_hash_leaves_nothing_behind(server, tmp_path):
    server.body = BODY[:-1] + b"?"
    with pytest.raises(DataError, match=f"expected a file with MD5 {MD5}, got another"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5)
    assert list(tmp_path.iterdir()) == []
    server.body = BODY
    assert download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5) == MD5


def test_a_part_of_another_file_is_noticed_by_the_hash(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(b"x" * 500)
    with pytest.raises(DataError, match="got another"):
        download(f"{server.url}/a.zip", tmp_path / "a.zip", MD5)
    assert list(tmp_path.iterdir()) == []


def test_without_a_pinned_hash_the_one_obtained_comes_back(server, tmp_path, capfd):
    server.body = b"anything"
    found = download(f"{server.url}/a.zip", tmp_path / "a.zip", None)
    assert found == hashlib.md5(b"anything").hexdigest()
    assert capfd.readouterr().err == ""  # pooch's own advice is for its own callers


def test_a_file_that_is_not_there_and_a_server_that_is_not_there(server, tmp_path):
    with pytest.raises(DataError, match="the server answered 404"):
        download(f"{server.url}/missing.zip", tmp_path / "a.zip", None)
    with pytest.raises(DataError, match="the connection failed"):
        download("http://127.0.0.1:1/a.zip", tmp_path / "a.zip", None)


def test_only_web_addresses(tmp_path):
    with pytest.raises(ConfigError, match="http or https address, got 'file:"):
        download(f"file://{tmp_path}/a.zip", tmp_path / "b.zip", None)
