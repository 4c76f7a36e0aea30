"""What pictures of a run need besides its records: slices, masks and maps of the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from camzoo.cams.map_files import MapFiles
from camzoo.core.text import plain
from camzoo.data.slices import Prepared
from camzoo.evaluate.rows import line_name
from camzoo.harness.manifest import STORE
from camzoo.report.records import Record
from camzoo.report.shown_cases import headline_of_first_cell, mean_scores, standing


@dataclass(frozen=True)
class ViewedRun:
    """A run with the store beside it.

    Attributes:
        record: The run.
        prepared: Slices and masks.
        maps: Maps of the first fold and seed, by line.
        rows: Headline rows of the test cases of that fold and seed.
    """

    record: Record
    prepared: Prepared
    maps: Mapping[str, MapFiles]
    rows: pd.DataFrame

    @property
    def scores(self) -> pd.Series[float]:
        """Mean DSC of its test cases over methods and organs, ascending."""
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

    def thresholds(self, case: str) -> dict[str, dict[str, float]]:
        """Threshold of each protocol, by line: one for all organs of a case."""
        cell = self.rows[["fold", "seed"]].head(1)
        rows = self.record.rows[self.record.rows["case"] == case].merge(cell, on=["fold", "seed"])
        rows = rows[(rows["subset"] == "test") & rows["threshold"].notna()]
        found: dict[str, dict[str, float]] = {}
        for row in rows.drop_duplicates(["method", "variant", "protocol"]).to_dict("records"):
            line = line_name(str(row["method"]), str(row["variant"]))
            found.setdefault(line, {})[str(row["protocol"])] = float(row["threshold"])
        return found


def stored_maps(record: Record, folder: Path) -> dict[str, Path]:
    """Folders of the maps of the first fold and seed, by line: those that are still there."""
    named = record.manifest["cells"][0].get("maps", {})
    places = {name: folder.parent / STORE / place for name, place in named.items()}
    return {name: place for name, place in places.items() if place.is_dir()}


def view(record: Record, folder: Path, *, include_images: bool) -> ViewedRun | str:
    """Open what is shown of a run, or say why it cannot be shown.

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
    prepared = Prepared(folder.parent / STORE / where)
    maps = {name: MapFiles.open(place) for name, place in stored_maps(record, folder).items()}
    if not prepared.folder.is_dir() or not maps:
        return f"its maps are gone: {plain(prepared.folder.parent.parent)} has them no longer"
    if prepared.index.content != record.manifest["dataset"].get("content"):
        return "the slices in the store are not those that the run was made from"
    rows = headline_of_first_cell(record.rows)
    if not len(rows):
        return "it has no test cases with a validated threshold"
    return ViewedRun(record, prepared, maps, rows)


def is_synthetic(record: Record) -> bool:
    """Whether nobody was ever scanned for its data."""
    return record.manifest["config"]["data"]["name"] == "phantom"
