"""Getting public data sets into the layout their loaders read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from camzoo.core.errors import DataError
from camzoo.core.progress import Quiet, Reporter
from camzoo.data.datasets import Dataset
from camzoo.data.datasets.file_dataset import FileDataset
from camzoo.data.download import download
from camzoo.data.registry import datasets
from camzoo.data.unpacking import unpack

#: Environment variable that names a mirror of :data:`ZENODO`.
MIRROR_VARIABLE: Final = "CAMZOO_MIRROR"
ZENODO: Final = "https://zenodo.org/records"


@dataclass(frozen=True)
class Archive:
    """A zip file of a Zenodo record.

    Attributes:
        record: Number of the record.
        file: Name of the file in it.
        folder: Where it is unpacked, below the root.
        md5: Its hash, None where nobody has pinned it.
    """

    record: int
    file: str
    folder: str
    md5: str | None = None


#: Data set -> what is downloaded for it.
ARCHIVES: Final[dict[str, tuple[Archive, ...]]] = {
    "promri": (
        Archive(8026660, "training_data.zip", "training_data", "f6d23994117c989daf07e5291edd0aea"),
        Archive(8026660, "test_data.zip", "test_data"),
        Archive(8026660, "livechallenge_test_data.zip", "livechallenge_test_data"),
    ),
    "chaos": (Archive(3431873, "CHAOS_Train_Sets.zip", "Train_Sets"),),
}


def fetch(
    name: str,
    root: Path,
    *,
    base_url: str | None = None,
    reporter: Reporter | None = None,
) -> None:
    """Download what may be downloaded of a data set, and say how to get the rest.

    What is there already is left alone. Each archive appears complete or not at all.

    Args:
        name: Registry name of the data set.
        root: Folder to put it in; it is made.
        base_url: Mirror to use in the place of Zenodo (default: the environment variable
            :data:`MIRROR_VARIABLE`): files are looked for at ``<base_url>/<record>/files/<file>``.
        reporter: Told what happens.

    Raises:
        UnknownNameError: No such data set.
        DataError: A download failed, its hash differs, it cannot be unpacked, or the folder cannot
            be written.
    """
    reporter = reporter or Quiet()
    base = (base_url or os.environ.get(MIRROR_VARIABLE) or ZENODO).rstrip("/")
    kind = datasets.get(name)
    try:
        for archive in ARCHIVES.get(name, ()):
            root.mkdir(parents=True, exist_ok=True)
            _fetch_archive(archive, root, base, reporter)
    except OSError as error:
        raise DataError(f"fetching into {root} failed: {error}") from error
    for line in _advice(name, kind):
        reporter.note(line)


def _fetch_archive(archive: Archive, root: Path, base: str, reporter: Reporter) -> None:
    target, bundle = root / archive.folder, root / archive.file
    if target.is_dir():
        reporter.note(f"{target} is there already")
        return
    brought = bundle.exists()
    url = f"{base}/{archive.record}/files/{archive.file}?download=1"
    with reporter.stage(f"download {archive.file}") as tick:
        md5 = download(url, bundle, archive.md5, tick)
    if archive.md5 is None:
        reporter.note(
            f"{archive.file}: MD5 {md5}. camzoo has no hash to hold against it: compare it with "
            f"the one shown at {ZENODO}/{archive.record}"
        )
    unpack(bundle, target)
    if not brought:
        bundle.unlink()
    reporter.note(f"{target} is complete")


def _advice(name: str, kind: type[Dataset]) -> list[str]:
    facts = kind.facts
    lines = [f"terms: {facts.licence}", f"cite: {facts.citation}"]
    if issubclass(kind, FileDataset):
        rest = "what is not downloaded" if name in ARCHIVES else facts.title
        lines.insert(0, f"{rest}: get it from {facts.where}; the root must hold {kind.layout}")
    else:
        lines.insert(0, f"{facts.title}: nothing to download ({facts.where})")
    return lines
