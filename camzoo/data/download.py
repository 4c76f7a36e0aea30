"""Downloading one file: checked against its hash, continued where it was cut."""

from __future__ import annotations

import http.client
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pooch

from camzoo import __version__
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Tick, silent

_CHUNK: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 60


def download(url: str, target: Path, md5: str | None, tick: Tick = silent) -> str:
    """Fetch ``url`` to ``target``, or take the file that is there when its hash agrees.

    A download that was cut stays as ``<target>.part`` and is continued by the next call.

    Args:
        url: http or https.
        target: The file to write; its folder exists.
        md5: The hash the file must have, None where nobody has pinned it.
        tick: Told (MiB there, MiB in all).

    Returns:
        The MD5 of the file.

    Raises:
        ConfigError: ``url`` is of another kind.
        DataError: The server cannot be reached, the connection was cut, or the hash differs.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"expected an http or https address, got {url!r}")
    downloader = _Resuming(target.with_name(target.name + ".part"), tick)
    known = f"md5:{md5}" if md5 else None
    try:
        with _quiet(pooch.get_logger()):
            pooch.retrieve(url, known, fname=target.name, path=target.parent, downloader=downloader)
    except ValueError as error:  # pooch's word for a hash that differs; it has removed the file
        raise DataError(
            f"{url}: expected a file with MD5 {md5}, got another one ({error}); it was removed: "
            "try again, or another mirror"
        ) from error
    return str(pooch.file_hash(str(target), alg="md5"))


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True)
class _Resuming:
    """A downloader in pooch's sense that keeps what it has in ``part`` until all is there."""

    part: Path
    tick: Tick

    def __call__(self, url: str, output_file: str, _pooch: object) -> None:
        try:
            expected = self._fetch(url)
        except HTTPError as error:
            raise DataError(f"{url}: the server answered {error.code} {error.reason}") from error
        except (http.client.HTTPException, URLError, TimeoutError, ConnectionError) as error:
            raise DataError(
                f"{url}: the connection failed ({error!r}); run the command again, it goes on from "
                "what is there"
            ) from error
        have = self.part.stat().st_size
        if expected is not None and have != expected:
            raise DataError(
                f"{url}: the connection was cut after {have} of {expected} bytes; run the command "
                "again, it goes on from there"
            )
        self.part.replace(output_file)

    def _fetch(self, url: str) -> int | None:
        """Append what is missing; returns the size of the whole file, where the server says it."""
        have = self.part.stat().st_size if self.part.exists() else 0
        try:
            response = self._open(url, have)
        except HTTPError as error:
            if error.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
            have, response = 0, self._open(url, 0)  # what is there is no beginning of this file
        with response:
            start, total = _extent(response.status, response.headers)
            with self.part.open("r+b" if start else "wb") as sink:
                sink.truncate(start)
                sink.seek(start)
                while chunk := response.read(_CHUNK):
                    sink.write(chunk)
                    self.tick(sink.tell() >> 20, (total or sink.tell()) >> 20)
        return total

    def _open(self, url: str, have: int) -> Any:
        headers = {"User-Agent": f"camzoo/{__version__}"}
        if have:
            headers["Range"] = f"bytes={have}-"
        return urlopen(Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)


def _extent(status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Where in the file the answer begins, and the size of the whole file."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
    if status == HTTPStatus.PARTIAL_CONTENT and found:
        return int(found[1]), int(found[2])
    length = headers.get("Content-Length")
    return 0, int(length) if length else None
