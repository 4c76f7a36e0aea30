"""From a finished run to what a student learns: which maps or labels, of which cases, where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from camzoo.core.errors import ConfigError
from camzoo.core.progress import Reporter
from camzoo.report.opened_runs import open_cell
from camzoo.report.viewed_cells import ViewedCell
from camzoo.students.nnunet_raw import RawFolder, write_raw
from camzoo.students.pseudo_masks import PseudoMasks, of_baseline, of_maps
from camzoo.submissions.published import open_published


@dataclass(frozen=True)
class Choice:
    """What is taught: maps of a method, or labels of a baseline.

    Attributes:
        method: Line of the maps that are cut; None for a baseline.
        baseline: Line of a baseline; None for a method.
        protocol: How the threshold of maps was chosen.
        unsure: What a map may miss its threshold by and be taken for unknown.

    Raises:
        ConfigError: Both or neither are named, or a baseline with settings of maps.
    """

    method: str | None = None
    baseline: str | None = None
    protocol: str = "validated"
    unsure: float = 0.0

    def __post_init__(self) -> None:
        if (self.method is None) == (self.baseline is None):
            raise ConfigError("give either --method or --baseline, exactly one of them")
        if self.baseline is not None and (self.protocol, self.unsure) != ("validated", 0.0):
            raise ConfigError(
                "--protocol and --unsure are about maps, and labels of a baseline are taken as "
                "they are: leave them out, or give --method"
            )

    def of(self, viewed: ViewedCell, run: Path) -> PseudoMasks:
        """Find the pseudo-masks in a fold and seed of a run.

        Raises:
            ConfigError: They are not there.
        """
        if self.baseline is not None:
            return of_baseline(viewed, run, self.baseline)
        assert self.method is not None
        return of_maps(viewed, self.method, self.protocol, self.unsure)


@dataclass(frozen=True)
class Lesson:
    """What was written.

    Attributes:
        run: Name of the run.
        fold: Which patients are tested.
        seed: Of the training.
        organs: Classes 1..C.
        sided: Whether some are named by the side of the body that they lie on.
        labels: What made the pseudo-masks.
        supervision: What was seen of the training cases for that.
        training: Number of training cases.
        test: Number of test cases.
        ignored: Voxels of training cases that are not to be learnt.
    """

    run: str
    fold: int
    seed: int
    organs: tuple[str, ...]
    sided: bool
    labels: str
    supervision: str
    training: int
    test: int
    ignored: int

    def record(self) -> dict[str, Any]:
        """Return the same for a program."""
        return asdict(self)

    @property
    def line(self) -> str:
        """The same for a reader."""
        ignored = f", {self.ignored} voxels ignored" if self.ignored else ""
        return (
            f"{self.training} training cases with {self.labels}{ignored}; {self.test} test cases "
            f"({self.run}, fold {self.fold}, seed {self.seed}; supervision {self.supervision})"
        )


def teach(
    run: Path,
    folder: RawFolder,
    choice: Choice,
    *,
    fold: int | None,
    seed: int | None,
    root: Path | None,
    reporter: Reporter,
) -> Lesson:
    """Write the pseudo-masks of a finished run as a raw data set of nnU-Net.

    Args:
        run: Its folder, with the store beside it.
        folder: Where to write.
        choice: What is taught.
        fold: Fold of the run; None for the first that there is.
        seed: Seed of its training; likewise.
        root: Folder of the data set; None for where the run found it.
        reporter: Who is told.

    Raises:
        ConfigError: The run or what is chosen of it is not there, or the folder holds something.
        DataError: The data are not those of the run, or cannot be read.
    """
    viewed, _ = open_cell(run, fold, seed)
    taught = choice.of(viewed, run)
    with reporter.stage("reading the data set") as tick:
        published = open_published(run, root, tick)
    where: dict[str, Any] = {"run": viewed.record.run, "fold": viewed.fold, "seed": viewed.seed}
    test = viewed.record.manifest["splits"][str(viewed.fold)]["test"]
    ignored = write_raw(folder, published, taught, test, where, reporter)
    dataset = published.dataset
    return Lesson(
        **where,
        organs=dataset.organs,
        sided=dataset.sided,
        labels=taught.source,
        supervision=taught.supervision,
        training=len(taught.cases),
        test=len(test),
        ignored=ignored,
    )
