"""What the data sets that are read from files share."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from camzoo.data.datasets.base import Case, Dataset
from camzoo.data.labels import relabel
from camzoo.data.readers import read_volume
from camzoo.data.volume import Volume
from camzoo.errors import ConfigError, DataError


class FileDataset(Dataset):
    """A data set in a folder, whose cases are an image, a label and files that belong to them.

    ``Case.files`` starts with the image and the label, whether they exist or not: what is wrong
    with one case shows when that case is read, so that one bad case does not hide the others.

    Args:
        root: The folder.

    Raises:
        ConfigError: There is no root.

    Attributes:
        layout: What is looked for under the root, for messages.
        values: Value in a label file -> class.
    """

    layout: ClassVar[str]
    values: Mapping[int, int]

    def __init__(self, root: Path | None) -> None:
        if root is None:
            raise ConfigError(f"data set {self.name!r} is read from files: give --root DIR")
        self.root = Path(root)

    @abstractmethod
    def find(self) -> Iterable[Case]:
        """Look for the cases under the root, in any order."""

    def cases(self) -> Sequence[Case]:
        """All cases with a label, sorted by id.

        Raises:
            DataError: There is no such folder or nothing usable in it, or an id is taken twice or
                holds other characters than letters, digits, '.', '_' and '-'.
        """
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
        return (
            f"get the data from {self.facts.where} (see `camzoo data fetch {self.name}`), "
            "give the right --root, or run `--dataset phantom`, which needs no files"
        )


def unless_hidden(cases: Iterable[Case]) -> list[Case]:
    """Keep the cases of a test folder, or none where its owners keep all its labels to themselves.

    Where some labels are there, a case without one is kept: its label was lost, and reading it
    says so.
    """
    found = list(cases)
    return found if any(case.files[1].exists() for case in found) else []
