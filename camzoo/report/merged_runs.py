"""Folders of runs as one, where they may be: on the same data, with the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from camzoo.core.errors import ConfigError
from camzoo.report.merged import Merged, merge
from camzoo.report.records import Record, read_record
from camzoo.report.titles import titles_of


def merge_runs(folders: Sequence[Path]) -> Merged:
    """Read runs and put them together.

    Raises:
        ConfigError: They are of different data, or their folds are of different patients.
        DataError: A file is damaged.
    """
    records = [read_record(folder) for folder in folders]
    titles = titles_of(records)
    for first, second in combinations(records, 2):
        if titles[first.run] != titles[second.run]:
            raise ConfigError(
                f"{first.run} is of {titles[first.run]} and {second.run} of {titles[second.run]}: "
                "name runs on one data set"
            )
    if difference := other_folds(records):
        raise ConfigError(
            f"{difference}: name runs of one split (data.k_folds, data.split_seed, data.limit)"
        )
    return merge(records)


def other_folds(records: Sequence[Record]) -> str:
    """Say which fold is of other patients in two records; nothing where all agree."""
    for first, second in combinations(records, 2):
        folds = [record.manifest["splits"] for record in (first, second)]
        for fold in folds[0].keys() & folds[1].keys():
            if folds[0][fold] != folds[1][fold]:
                return f"fold {fold} of {first.run} and of {second.run} are of different patients"
    return ""
