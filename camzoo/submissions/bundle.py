"""The file that a submission travels in: masks or 8-bit maps of a run's cases, and a statement.

It is a zip file of ``bundle.json`` and of bare voxels, a member for each case and fold. Voxels have
no header: what they are follows from the scan that they belong to, and nothing in the file is run,
unpacked to a disk or believed. Every member is named in ``bundle.json`` with its SHA-256, and no
other may be there.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zlib
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from camzoo.core.errors import DataError
from camzoo.core.files import replace_atomically
from camzoo.core.names import is_name
from camzoo.core.text import plain
from camzoo.harness.manifest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Raised whenever a field gets another meaning.
SCHEMA: Final = 1
BUNDLE: Final = "bundle.json"
#: Bytes of the largest ``bundle.json``: a hundred thousand cases.
_LARGEST: Final = 1 << 24
#: The same moment in every bundle: equal content is an equal file.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
_CLOSED: Final = ConfigDict(strict=True, extra="forbid")
Kind = Literal["masks", "maps"]
Statement = Annotated[str, Field(min_length=1, max_length=2000)]


@with_config(_CLOSED)
class Author(TypedDict):
    """What only the author can say; it stands beside the row and is not checked."""

    #: Who made it.
    author: Statement
    #: Under which terms the predictions may be kept.
    licence: Statement
    #: What to cite.
    citation: Statement
    #: What the network saw before and while it learned: data sets, weights, masks.
    seen: Statement


@with_config(_CLOSED)
class Bundle(TypedDict):
    """``bundle.json``."""

    schema: Literal[1]
    kind: Kind
    method: str
    supervision: Literal["image", "image+size", "image+sam", "image+seed", "mask"]
    about: Author
    #: The run whose split this follows, and the digest of its data.
    run: str
    data: Digest
    organs: Annotated[list[str], Field(min_length=1)]
    #: By fold the cases that are predicted: those tested on, and of maps those validated on, too.
    folds: Annotated[dict[str, list[str]], Field(min_length=1)]
    #: SHA-256 of every other member.
    files: dict[str, Digest]


_BUNDLE: Final = TypeAdapter(Bundle)


def member(fold: str, case: str) -> str:
    """Name of the voxels of a case in a fold."""
    return f"{fold}/{case}.u8"


def write_bundle(
    path: Path, bundle: Bundle, voxels: Iterator[tuple[str, NDArray[np.uint8]]]
) -> None:
    """Write a bundle; equal arguments give equal files.

    Args:
        path: Where to.
        bundle: With no ``files`` yet.
        voxels: Members by name, in order.
    """
    files: dict[str, str] = {}
    with replace_atomically(path) as partial, ZipFile(partial, "w") as archive:
        for name, array in voxels:
            files[name] = _put(archive, name, np.ascontiguousarray(array).tobytes())
        text = json.dumps({**bundle, "files": files}, indent=1) + "\n"
        _put(archive, BUNDLE, text.encode())


def _put(archive: ZipFile, name: str, content: bytes) -> str:
    info = ZipInfo(name, _EPOCH)
    info.compress_type, info.external_attr = ZIP_DEFLATED, 0o644 << 16
    archive.writestr(info, content, compresslevel=6)
    return hashlib.sha256(content).hexdigest()


class OpenBundle:
    """A bundle that holds together; whether it belongs to a run is another question.

    Args:
        path: The file.

    Attributes:
        path: The file.
        bundle: What it says of itself.

    Raises:
        DataError: It is no bundle, is damaged, or holds what does not belong into one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._reading() as archive:
            self._require_plain(archive)
            self.bundle = self._described(archive)
        self._require_members(set(self._sizes) - {BUNDLE})

    def voxels(self, fold: str, case: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Read the voxels of a case.

        Args:
            fold: The fold.
            case: The case.
            shape: What they have to be, [z, y, x] or [C, z, y, x].

        Raises:
            DataError: They are of another size, or not what was packed.
        """
        name, size = member(fold, case), int(np.prod(shape))
        if self._sizes[name] != size:
            raise self._fault(
                f"{name} holds {self._sizes[name]} voxels, its scan has {size} {shape}; pack the "
                "predictions again, from files on the grid of the scan"
            )
        with self._reading() as archive:
            content = archive.read(name)
        if hashlib.sha256(content).hexdigest() != self.bundle["files"][name]:
            raise self._fault(f"{name} is not what was packed: its checksum differs")
        array: NDArray[np.uint8] = np.frombuffer(content, np.uint8).reshape(shape)
        return array

    @property
    def digest(self) -> str:
        """SHA-256 of ``bundle.json``, which names all else by its own."""
        text = json.dumps(self.bundle, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _require_plain(self, archive: ZipFile) -> None:
        """Every member stands once, and is a plain file that can be read."""
        self._sizes: dict[str, int] = {}
        for info in archive.infolist():
            shown = plain(repr(info.filename), 80)
            if info.filename in self._sizes:
                raise self._fault(f"{shown} stands twice")
            if not stat.S_ISREG(info.external_attr >> 16) and info.external_attr >> 28:
                raise self._fault(f"{shown} is no plain file")
            if info.flag_bits & 1:
                raise self._fault(f"{shown} is encrypted")
            if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
                raise self._fault(f"{shown} is compressed in a way that is not read")
            self._sizes[info.filename] = info.file_size
        if self._sizes.get(BUNDLE, _LARGEST) >= _LARGEST:
            raise self._fault(f"it holds no {BUNDLE} of a size that can be")

    def _described(self, archive: ZipFile) -> Bundle:
        try:
            tree = json.loads(archive.read(BUNDLE), object_pairs_hook=_once)
            return _BUNDLE.validate_python(tree)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise self._fault(
                f"{BUNDLE}: {plain(where, 80)}: {plain(first['msg'], 120)}"
            ) from error
        except (ValueError, RecursionError) as error:
            raise self._fault(f"{BUNDLE} is no JSON: {plain(error, 120)}") from error

    def _require_members(self, there: set[str]) -> None:
        """The members are those that the folds ask for, and those that have a checksum."""
        folds = self.bundle["folds"]
        cases = [case for some in folds.values() for case in some]
        for name in (*folds, *cases):
            if not is_name(name):
                raise self._fault(f"{plain(repr(name), 80)} names no fold or case")
        wanted = {member(fold, case) for fold, some in folds.items() for case in some}
        for what, names in (
            ("it has no {}", wanted - there),
            ("{} does not belong into a bundle", there - wanted),
            ("{} has no checksum", wanted - set(self.bundle["files"])),
            ("{} has a checksum and is not there", set(self.bundle["files"]) - wanted),
        ):
            if names:
                raise self._fault(what.format(plain(repr(min(names)), 80)))

    @contextmanager
    def _reading(self) -> Iterator[ZipFile]:
        try:
            with ZipFile(self.path) as archive:
                yield archive
        except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
            raise self._fault(f"it cannot be read: {plain(error, 120)}") from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _fault(self, says: str) -> DataError:
        return DataError(f"{self.path}: {says}; get the bundle from its author again")


def _once(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """An object whose keys stand once: of two, readers disagree on which counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
