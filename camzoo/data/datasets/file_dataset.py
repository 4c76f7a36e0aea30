"""What the data sets that are read from files share."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Final

from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.data.datasets.base import Case, Dataset
from camzoo.data.datasets.places import folders_below, matches, top_folder
from camzoo.data.disk import named_faults
from camzoo.data.labels import relabel
from camzoo.data.readers import read_volume
from camzoo.data.registry import datasets
from camzoo.data.volume import Volume

#: How many data sets a message offers.
_SHOWN: Final = 3


class FileDataset(Dataset):
    """A data set in a folder, whose cases are an image, a label and files that belong to them.

    ``Case.files`` starts with the image and the label, whether they exist or not: what is wrong
    with one case shows when that case is read, so that one bad case does not hide the others.

    Args:
        root: The folder, or one that holds nothing else than the unpacked archive.

    Raises:
        ConfigError: There is no root.

    Attributes:
        layout: What is looked for under the root, for messages.
        marks: Patterns of names by which a folder is known to hold the data set.
        tops: Folders that its archives are unpacked to.
        values: Value in a label file -> class.
    """

    layout: ClassVar[str]
    marks: ClassVar[tuple[str, ...]] = ()
    tops: ClassVar[tuple[str, ...]] = ()
    values: Mapping[int, int]

    def __init__(self, root: Path | None) -> None:
        if root is None:
            raise ConfigError(f"data set {self.name!r} is read from files: give --root DIR")
        self.root = top_folder(Path(root), self.marks, self.tops)

    @abstractmethod
    def find(self) -> Iterable[Case]:
        """Look for the cases under the root, in any order."""

    def cases(self) -> Sequence[Case]:
        """All cases with a label, sorted by id.

        Raises:
            DataError: There is no such folder or nothing usable in it, or an id is taken twice or
                holds other characters than letters, digits, '.', '_' and '-'.
        """
        with named_faults(self.root):
            if not self.root.is_dir():
                raise DataError(f"{self.root} is no folder; {self._remedy()}")
            found = sorted(self.find(), key=lambda case: case.id)
        if not found:
            raise DataError(
                f"no case of {self.facts.title} under {self.root}: expected {self.layout}; "
                f"{self._remedy()}"
            )
        ids = Counter(case.id for case in found)
        twice = [i for i, count in ids.items() if count > 1]
        odd = [i for i in ids if not re.fullmatch(r"[A-Za-z0-9._-]+", i)]
        if twice or odd:
            raise DataError(
                f"{self.root}: case ids must differ and hold only letters, digits, '.', '_' and "
                f"'-'; rename {', '.join(twice or odd)}"
            )
        return found

    def image(self, case: Case) -> Volume:
        """Read the scan of ``case``."""
        return read_volume(case.files[0], case=case.id, patient=case.patient)

    def label(self, case: Case) -> Volume:
        """Read the label of ``case`` and translate its values."""
        volume = read_volume(case.files[1], case=case.id, patient=case.patient)
        return relabel(volume, self.values)

    def _remedy(self) -> str:
        return remedy(type(self), self.root)


def remedy(kind: type[FileDataset], root: Path) -> str:
    """Say what to do where no data set of a kind lies in ``root``."""
    meant = _meant(kind.name, root)
    if meant:
        return f"did you mean {meant}?"
    return (
        f"get the data from {kind.facts.where} (see `camzoo data fetch {kind.name}`), "
        "give the right --root, or run `--dataset phantom`, which needs no files"
    )


def _meant(name: str, root: Path) -> str:
    """The data sets that lie in or below ``root``, as they are named on the command line."""
    if not root.is_dir():
        return ""
    kinds = _known_kinds()
    found: dict[Path, str] = {}
    for folder in folders_below(root):
        if not found.keys() & set(folder.parents):
            kind = next((k for k in kinds if k.marks and matches(folder, k.marks)), None)
            if kind is not None and (kind.name, folder) != (name, root):
                found[folder] = f"--root {folder}" + (
                    f" with data set {kind.name}" if kind.name != name else ""
                )
    return " or ".join([*found.values()][:_SHOWN])


def _known_kinds() -> list[type[FileDataset]]:
    """All data sets that are read from files; one that cannot be imported is none."""
    kinds: list[type[FileDataset]] = []
    for name in datasets:
        with suppress(CamzooError):
            kind = datasets.get(name)
            if isinstance(kind, type) and issubclass(kind, FileDataset):
                kinds.append(kind)
    return kinds


def visible_files(folder: Path) -> list[Path]:
    """Files in ``folder`` by name, without hidden ones; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and not p.is_dir())


def unless_hidden(cases: Iterable[Case]) -> list[Case]:
    """Keep the cases of a test folder, or none where its owners keep all its labels to themselves.

    Where some labels are there, a case without one is kept: its label was lost, and reading it
    says so.
    """
    found = list(cases)
    return found if any(case.files[1].exists() for case in found) else []
