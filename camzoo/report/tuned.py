"""Settings that are chosen fold by fold on validation patients: what tuning is worth, honestly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from camzoo.core.errors import ConfigError
from camzoo.metrics.frames import as_text
from camzoo.metrics.nested_choice import CELL, choose_by_cell
from camzoo.metrics.summary import summarise
from camzoo.report.contenders import MAPS, of_protocol, scored
from camzoo.report.equivalents import EQUALS
from camzoo.report.merged import Merged
from camzoo.report.merged_runs import other_folds
from camzoo.report.table_cells import interval, number, spread
from camzoo.report.thresholds import pooled_curves

#: What a candidate without a name is called.
_DEFAULTS: Final = "as it is"
_CANDIDATE: Final = ["variant"]
_CELL: Final = list(CELL)


@dataclass(frozen=True)
class Tuned:
    """One method with several settings.

    Attributes:
        method: Its name without them.
        choices: A row per cell and candidate: fold, seed, variant, ``score`` and ``chosen``. The
            score is the pooled DSC in percent of the validation patients at the threshold that is
            best for them, averaged over organs: what ``validated`` chooses the threshold by.
        rows: Test rows of what each cell has chosen.
        alone: Test rows of every candidate, of the same cells.
    """

    method: str
    choices: pd.DataFrame
    rows: pd.DataFrame
    alone: pd.DataFrame

    @property
    def candidates(self) -> list[str]:
        """How the candidates are called."""
        return [_called(variant) for variant in self.choices["variant"].drop_duplicates()]

    def summary(self) -> dict[str, Any]:
        """The DSC as chosen; as :func:`camzoo.metrics.summary.summarise` has it."""
        return _summaries(self.rows, [])[0]

    def each(self) -> dict[str, dict[str, Any]]:
        """Likewise of every candidate, had all cells taken it."""
        lines = _summaries(self.alone, _CANDIDATE)
        return {_called(line["variant"]): line for line in lines}


def tuned(merged: Merged) -> list[Tuned]:
    """Find the methods that have several settings, and let each fold and seed choose.

    Only maps can be chosen so: volumes that baselines segmented have no validation curves. Methods
    whose settings score alike in every cell, as controls that no setting moves, are left out, and
    so are those of which no cell has all settings. Among records whose folds are of other patients
    there is nothing to choose.
    """
    several = _with_settings(merged.maps)
    if not several or other_folds(merged.records):
        return []
    rows = scored(merged).get(MAPS, merged.maps.iloc[:0])
    found = []
    for method, mine in _by_method(rows[rows["method"].isin(several)]):
        scores = _scores(merged, method, set(mine["variant"]))
        if _differ(scores):
            found.append(_tuned(method, choose_by_cell(scores, _CANDIDATE), mine))
    return found


def _with_settings(rows: pd.DataFrame) -> list[str]:
    """Methods of which there are several lines."""
    if not len(rows):
        return []
    lines = rows[["method", *_CANDIDATE]].drop_duplicates()
    counts = lines["method"].astype(str).value_counts()
    return [str(name) for name in counts.index[counts > 1]]


def require_tuned(merged: Merged) -> list[Tuned]:
    """Find such methods (:func:`tuned`), or say how they are had.

    Raises:
        ConfigError: There is none.
    """
    found = tuned(merged)
    if not found:
        raise ConfigError(
            "no method has several settings with maps: name runs on one data set that differ in "
            "settings, or a run of one method with several, as cam[aff]:beta=5,cam[aff]:beta=10"
        )
    return found


def tuned_table(found: Sequence[Tuned]) -> pd.DataFrame:
    """A line per method: what choosing gave, beside the best and the worst candidate alone."""
    lines = []
    for one in found:
        chosen = one.summary()
        means = {name: line["mean"] for name, line in one.each().items()}
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        lines.append(
            {
                "method": one.method,
                "settings": f"{len(means)}",
                "cells": f"{int(one.choices['chosen'].sum())}",
                "volumes": f"{int(chosen['n'])}",
                "chosen: DSC (%)": spread(chosen, 100),
                "95 % interval": interval(chosen),
                "best in hindsight": f"{number(100 * means[best])} ({best})",
                "worst": f"{number(100 * means[worst])} ({worst})",
            }
        )
    return pd.DataFrame(lines)


def choice_table(found: Sequence[Tuned]) -> pd.DataFrame:
    """A line per method, fold and seed: what was chosen, and by which validation DSC."""
    lines = []
    for one in found:
        for _, mine in one.choices.groupby(_CELL):
            first = mine[mine["chosen"]].iloc[0]
            scores = zip(mine["variant"], mine["score"], strict=True)
            lines.append(
                {
                    "method": one.method,
                    **{name: f"{first[name]}" for name in _CELL},
                    "chosen": _called(first["variant"]),
                    "validation DSC (%)": "; ".join(
                        f"{_called(variant)} {number(score)}" for variant, score in scores
                    ),
                }
            )
    return pd.DataFrame(lines)


def tuned_record(one: Tuned) -> dict[str, Any]:
    """The same for a program."""
    chosen = one.summary()
    names = ("mean", "std", "ci_low", "ci_high", "n", "n_patients")
    choices = one.choices.assign(variant=one.choices["variant"].map(_called))
    return {
        "method": one.method,
        "chosen": {name: chosen[name] for name in names},
        "alone": {
            setting: {name: line[name] for name in names} for setting, line in one.each().items()
        },
        "choices": choices.rename(columns={"variant": "setting"}).to_dict("records"),
    }


def _by_method(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    rows = of_protocol(rows)
    plain = rows.assign(variant=as_text(rows["variant"]))
    return [(str(name), mine) for name, mine in plain.groupby("method", observed=True)]


def _scores(merged: Merged, method: str, variants: set[str]) -> pd.DataFrame:
    """Scores of a method by setting, of the cells that have all settings."""
    curves = merged.curves
    first = method.split(EQUALS)[0]  # of methods that are one by construction
    mine = curves[(curves["subset"] == "val") & (curves["method"] == first)]
    mine = mine[mine["variant"].isin(variants)].astype({"variant": object})
    best = pooled_curves(mine, _CANDIDATE).max(axis=1).rename("score").reset_index()
    everywhere = best.groupby(_CELL)["variant"].transform("nunique") == len(variants)
    return best[everywhere].sort_values([*_CELL, *_CANDIDATE], ignore_index=True)


def _differ(scores: pd.DataFrame) -> bool:
    """Whether the settings of a method score differently in any cell."""
    extremes = scores.groupby(_CELL)["score"].agg(["min", "max"])
    return bool((extremes["min"] < extremes["max"]).any())


def _tuned(method: str, choices: pd.DataFrame, rows: pd.DataFrame) -> Tuned:
    keys = [*_CELL, *_CANDIDATE]
    marked = rows.merge(choices[[*keys, "chosen"]], on=keys)
    return Tuned(method, choices, marked[marked["chosen"]], marked)


def _summaries(rows: pd.DataFrame, by: list[str]) -> list[dict[str, Any]]:
    lines = summarise(rows, "dsc", by).to_dict("records")
    return [{str(name): value for name, value in line.items()} for line in lines]


def _called(variant: Any) -> str:
    """A variant that only says from which runs it is stands in parentheses: not here."""
    text = str(variant)
    alone = text.startswith("(") and text.endswith(")")
    return (text[1:-1] if alone else text) or _DEFAULTS
