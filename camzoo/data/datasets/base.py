"""What a data set has to say about itself: its cases, its classes, and how to read one case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from camzoo.data.disk import named_faults
from camzoo.data.registry import datasets
from camzoo.data.volume import Volume


@dataclass(frozen=True)
class Case:
    """One volume of a data set, not read yet.

    Attributes:
        id: Unique in its data set; only letters, digits, '.', '_' and '-'.
        patient: Cases of one patient are never put into two subsets of a patient-level split.
        files: What is read for the case (folders of slices count as one entry); files that their
            headers refer to need not be named.
        official: The subset the owners of the data set put the case into, where they did.
    """

    id: str
    patient: str
    files: tuple[Path, ...] = ()
    official: Literal["train", "test"] | None = None


@dataclass(frozen=True)
class Fractions:
    """A split drawn at random: shares of the patients for test and validation, the rest trains."""

    test: float
    val: float


@dataclass(frozen=True)
class Folds:
    """k-fold cross-validation: fold i tests, the next one validates, the others train."""

    k: int


@dataclass(frozen=True)
class Facts:
    """What is printed about a data set: where it comes from and under which terms."""

    title: str
    citation: str
    licence: str
    where: str
    #: What a reader of the numbers must know ("spacing is nominal", "phantom").
    caveats: tuple[str, ...] = field(default=())


class Dataset(ABC):
    """A data set in the layout in which its owners ship it.

    A subclass takes ``root`` and its own keyword options in ``__init__`` and finds its cases there,
    without reading voxels. Reading is lazy, one case at a time; volumes come back canonical
    (:meth:`camzoo.data.volume.Volume.canonical`) and the label on the grid of the image.

    Attributes:
        name: Its name in the registry, set on registration.
        facts: Source, licence, citation.
        organs: Names of the classes 1..C in label order; class 0 is background everywhere.
        sided: True where an organ's name depends on the side of the body (left and right kidney):
            such images are never mirrored left to right.
        split: How the patients are divided by default.
    """

    name: ClassVar[str]
    facts: ClassVar[Facts]
    organs: tuple[str, ...]
    sided: bool = False
    split: Fractions | Folds = Fractions(test=0.25, val=0.1)

    @abstractmethod
    def cases(self) -> Sequence[Case]:
        """All cases with a label, sorted by id.

        Raises:
            DataError: Nothing usable lies under the root.
        """

    @abstractmethod
    def image(self, case: Case) -> Volume:
        """Read the scan of ``case``: canonical, any numeric type.

        Raises:
            DataError: The file is missing, truncated, constant or holds NaN.
        """

    @abstractmethod
    def label(self, case: Case) -> Volume:
        """Read the label of ``case``: canonical, uint8, 0 = background, c = ``organs[c - 1]``.

        Raises:
            DataError: The file is missing or truncated, or holds a value that is not a label.
        """

    def fingerprint(self) -> dict[str, object]:
        """What the voxels depend on, as JSON: changes whenever a file that is read does."""
        from camzoo.data.readers import companions

        return {
            case.id: [_stamp(file) for path in case.files for file in (path, *companions(path))]
            for case in self.cases()
        }

    @property
    def own_name(self) -> str:
        """What runs and tables call it: one part of a path on every system.

        The registry name, unless that is the name of a layout or of a family: whose data it is then
        stands in the files, or in an option.
        """
        return self.name

    def notes(self) -> Sequence[str]:
        """What stands out in the folder as a whole, a line each: no faults."""
        return ()


def _stamp(path: Path) -> list[object]:
    """Name, size and time of a file, or of everything in a folder; nothing of what is missing."""
    with named_faults(path):
        files = sorted(p for p in [path, *path.rglob("*")] if p.is_file())
        return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


D = TypeVar("D", bound=type[Dataset])


def register_dataset(name: str) -> Callable[[D], D]:
    """Class decorator that makes a :class:`Dataset` known to the whole program as ``name``.

    Raises:
        ConfigError: The name is taken, or the class is no data set.
    """
    return datasets.register(name)
