"""What pictures of a run need besides its records: slices, masks and maps of the store.

Torch is imported where something is shown: a page of records alone takes less than its import.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from camzoo.core.text import plain
from camzoo.evaluate.rows import line_name
from camzoo.harness.manifest import STORE, CellFacts
from camzoo.report.facts import SYNTHETIC, data_sets
from camzoo.report.records import Record
from camzoo.report.shown_cases import headline, mean_scores, standing

if TYPE_CHECKING:
    from camzoo.cams.map_files import MapFiles
    from camzoo.data.slices import Prepared


@dataclass(frozen=True)
class ViewedCell:
    """A fold and seed of a run, with the store beside it.

    Attributes:
        record: The run.
        prepared: Slices and masks.
        fold: Which patients are tested.
        seed: Of the training.
        places: Folders of its maps, by line.
        rows: Headline rows of the test cases of its fold, of all seeds.
    """

    record: Record
    prepared: Prepared
    fold: int
    seed: int
    places: Mapping[str, Path]
    rows: pd.DataFrame

    @property
    def facts(self) -> CellFacts:
        """What the manifest says of it."""
        where = self.fold, self.seed
        cells = self.record.manifest["cells"]
        return next(cell for cell in cells if (cell["fold"], cell["seed"]) == where)

    @property
    def maps(self) -> dict[str, MapFiles]:
        """Its maps, by line; opened anew each time, as those of all cells are too many files."""
        from camzoo.cams.map_files import MapFiles

        return {name: MapFiles.open(place) for name, place in self.places.items()}

    @property
    def scores(self) -> pd.Series[float]:
        """Mean DSC of its test cases over methods, organs and seeds, ascending.

        All seeds of a fold have their cases in one order, so that they can be compared.
        """
        return mean_scores(self.rows)

    @property
    def standing(self) -> dict[str, str]:
        """The best, the median and the worst test case, with what each is called."""
        return standing(self.scores)

    def cases(self, most: int) -> list[str]:
        """Test cases: the worst, the median, the best, and then the others from the worst on."""
        named = self.standing
        others = (str(case) for case in self.scores.index if case not in named)
        return [*reversed(named), *others][:most]

    def thresholds(self, case: str, subset: str = "test") -> dict[str, dict[str, float]]:
        """Threshold of each protocol, by line: one for all organs of a case of a subset."""
        rows = self.record.rows[self.record.rows["case"] == case]
        rows = rows[(rows["fold"] == self.fold) & (rows["seed"] == self.seed)]
        rows = rows[(rows["subset"] == subset) & rows["threshold"].notna()]
        found: dict[str, dict[str, float]] = {}
        for row in rows.drop_duplicates(["method", "variant", "protocol"]).to_dict("records"):
            line = line_name(str(row["method"]), str(row["variant"]))
            found.setdefault(line, {})[str(row["protocol"])] = float(row["threshold"])
        return found


def stored_maps(cell: CellFacts, folder: Path) -> dict[str, Path]:
    """Folders of the maps of a cell of a run in ``folder``, by line: those that are still there."""
    named = cell.get("maps", {})
    places = {name: folder.parent / STORE / place for name, place in named.items()}
    return {name: place for name, place in places.items() if place.is_dir()}


def view(record: Record, folder: Path, *, include_images: bool) -> tuple[ViewedCell, ...] | str:
    """Find the folds and seeds that are shown of a run, or say why none can be.

    Args:
        record: The run.
        folder: Where it was read from; the store is expected beside it.
        include_images: Whether scans of real patients may go into a report.
    """
    if not include_images and not is_synthetic(record):
        licence = record.manifest["dataset"].get("licence", "not known")
        return (
            "its scans are of real patients and stay out of a report, unless --include-images "
            f"says otherwise; their licence: {plain(licence)}"
        )
    where = record.manifest["dataset"].get("prepared")
    if where is None:
        return "it was made before runs said where their maps are; the same bench again says so"
    slices = folder.parent / STORE / where
    there = any(stored_maps(cell, folder) for cell in record.manifest["cells"])
    if not slices.is_dir() or not there:
        return f"its maps are gone: {plain(slices.parent.parent)} has them no longer"

    from camzoo.data.slices import Prepared

    prepared = Prepared(slices)
    if prepared.index.content != record.manifest["dataset"].get("content"):
        return "the slices in the store are not those that the run was made from"
    cells = tuple(_cells(record, prepared, folder))
    return cells or "it has no test cases with a validated threshold"


def _cells(record: Record, prepared: Prepared, folder: Path) -> Iterator[ViewedCell]:
    """Those that have maps, and test cases with a validated threshold."""
    rows = headline(record.rows)
    for cell in record.manifest["cells"]:
        fold, seed, places = cell["fold"], cell["seed"], stored_maps(cell, folder)
        mine = rows[rows["fold"] == fold]
        if places and (mine["seed"] == seed).any():
            yield ViewedCell(record, prepared, fold, seed, places, mine)


def is_synthetic(record: Record) -> bool:
    """Whether nobody was ever scanned for its data, neither to learn from nor to test on."""
    return set(data_sets(record).values()) == {SYNTHETIC}
