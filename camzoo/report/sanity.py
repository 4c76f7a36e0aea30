"""Tables and JSON of whether maps are about the image and the trained network."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd

from camzoo.cams.disturbances import DISTURBANCES
from camzoo.core.files import storing, write_text
from camzoo.metrics.localisation import SIZES
from camzoo.network.redrawn import PARTS
from camzoo.report.escaping import escape
from camzoo.report.markdown import table
from camzoo.report.sanity_maps import Sanity
from camzoo.report.table_cells import NONE, number

#: A rank correlation with the map of a network that learnt nothing, above which a map is marked.
LEVEL: Final = 0.8
#: Behind such a number.
_MARK: Final = " !"
#: Titles of the passes in tables.
_TITLES: Final = {"all layers": "all weights random", "head": "head alone random"}
_OTHER_SEED: Final = "other seed"
_ENERGY: Final = "Energy inside the organ, of maps at one scale, and percentage points of it lost"
_MEANS: Final = (
    "means over slices (pixel AUPRC: over volumes), then over organs; a map that is the same "
    "everywhere has about {share} % in each of the first three columns: the organ's share of its "
    "slices"
)
_LOCATED: Final = (
    "pixel AUPRC: area under the curve of precision over recall; maximum inside: pointing game; "
    "energy inside: share of the map's sum; recall: at the validated threshold, in thirds of "
    "the slices by the organ's area; empty maps have no value above 0, and point nowhere"
)
_CORRELATION: Final = (
    "rank correlation: 1 is the same order of pixels, 0 is none in common; slices whose own map "
    "is empty are left out; all weights random, head alone random: by a network that learnt "
    f"nothing there, where low is good; '{_MARK.strip()}' is above {LEVEL:g}: the map hardly "
    "depends on what was learnt there"
)


def sanity_tables(found: Sanity) -> dict[str, pd.DataFrame]:
    """The tables by their titles, finished cells; methods by their average precision."""
    lines = _lines(found)
    volumes = f"{len(found.cases)} test volume{'s' * (len(found.cases) != 1)}"
    where = f"fold {found.fold}, seed {found.seed}, {volumes}, {found.slices} slices with an organ"
    return {
        f"Where maps lie ({where})": located_table(lines),
        "Rank correlation with the map of the same slice as it is": correlation_table(lines),
        _ENERGY: energy_table(lines),
    }


def located_table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Where stored maps point, a line per method."""
    return pd.DataFrame(
        {
            "method": line["method"],
            "pixel AUPRC (%)": _percent(line["average_precision"]),
            "maximum inside (%)": _percent(line["pointing"]),
            "energy inside (%)": _percent(line["energy"]),
            **{f"recall, {size} (%)": _percent(line["recall"][size]) for size in SIZES},
            "empty maps (%)": _percent(line["empty"]),
        }
        for line in lines
    )


def correlation_table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """How alike maps stay, a line per method."""
    return pd.DataFrame(
        {
            "method": line["method"],
            **{_TITLES[part]: _marked(line["correlation"][part]) for part in PARTS},
            _OTHER_SEED: _plain(line["correlation"][_OTHER_SEED]),
            **{name: _plain(line["correlation"][name]) for name in DISTURBANCES},
        }
        for line in lines
    )


def energy_table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """How much of the energy inside the organ is lost, a line per method that was tried."""
    return pd.DataFrame(
        {
            "method": line["method"],
            "as it is (%)": _percent(line["energy_one_view"]),
            **{
                _TITLES.get(name, name): _points(line["energy_lost"][name])
                for name in (*PARTS, *DISTURBANCES)
            },
        }
        for line in lines
        if line["energy_one_view"] is not None
    )


def sanity_notes(found: Sanity) -> list[str]:
    """What the columns mean with all their numbers, and what was not tried and why."""
    flat = found.located.drop_duplicates(["organ", "case", "slice"])
    share = _percent(_mean(flat, "share"))
    notes = [_MEANS.format(share=share), _LOCATED, _CORRELATION, _about_seeds(found)]
    notes += [f"{name}: {each.meaning}" for name, each in DISTURBANCES.items()]
    notes.append(f"noise, fields and random weights are of draw {found.draw} (--draw)")
    notes += list(_about_empty(found))
    notes += [f"{name} was left out: {why}" for name, why in found.compared.skipped.items()]
    notes += [f"{line} was not disturbed: {why}" for line, why in found.untried.items()]
    notes += [f"{line} failed: {why}" for line, why in found.compared.failures.items()]
    return notes


def sanity_record(found: Sanity) -> dict[str, Any]:
    """The same for a program: shares from 0 to 1, null where there is no number."""
    flat = found.located.drop_duplicates(["organ", "case", "slice"])
    return {
        "run": found.run,
        "fold": found.fold,
        "seed": found.seed,
        "draw": found.draw,
        "cases": list(found.cases),
        "slices": {str(o): int(n) for o, n in flat.groupby("organ").size().items()},
        "organ_share": _mean(flat, "share"),
        "seeds": list(found.seeds),
        "disturbances": {name: each.meaning for name, each in DISTURBANCES.items()},
        "marked_above": LEVEL,
        "methods": _lines(found, organs=True),
        "skipped": dict(found.compared.skipped),
        "not_tried": dict(found.untried),
        "failures": dict(found.compared.failures),
    }


def write_sanity(found: Sanity, out: Path) -> None:
    """Write ``sanity.json`` and ``sanity.md`` into a folder, which is made where it is missing."""
    parts = [f"# Sanity of maps: {escape(found.run)}\n"]
    parts += [
        f"## {escape(name)}\n\n{table(frame)}" for name, frame in sanity_tables(found).items()
    ]
    parts.append("".join(f"- {escape(note)}\n" for note in sanity_notes(found)))
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(sanity_record(found), indent=1, allow_nan=False)
        write_text(out / "sanity.json", f"{text}\n")
        write_text(out / "sanity.md", "\n".join(parts))


def _lines(found: Sanity, *, organs: bool = False) -> list[dict[str, Any]]:
    """Numbers of every method, the best by average precision first."""
    names = list(dict.fromkeys(found.located["line"]))
    lines = []
    for name in names:
        line = {"method": name, "threshold": found.thresholds.get(name)} | _numbers(found, name)
        if organs:
            line["by_organ"] = {
                organ: _numbers(found, name, organ)
                for organ in dict.fromkeys(found.located["organ"])
            }
        lines.append(line)
    return sorted(lines, key=lambda line: (-(line["average_precision"] or 0), line["method"]))


def _numbers(found: Sanity, name: str, organ: str | None = None) -> dict[str, Any]:
    """Numbers of a method, of one organ or of the mean of all."""

    def mine(frame: pd.DataFrame) -> pd.DataFrame:
        rows = frame[frame["line"] == name]
        return rows if organ is None else rows[rows["organ"] == organ]

    located, compared = mine(found.located), mine(found.compared.values)
    passes = {n: compared[compared["what"] == n] for n in (*PARTS, *DISTURBANCES)}
    return {
        "average_precision": _mean(mine(found.pooled), "average_precision"),
        "pointing": _mean(located, "pointing"),
        "energy": _mean(located, "energy"),
        "empty": _mean(located, "empty"),
        "recall": {size: _mean(located[located["size"] == size], "recall") for size in SIZES},
        "correlation": {
            **{n: _mean(rows, "correlation") for n, rows in passes.items()},
            _OTHER_SEED: _mean(mine(found.agreed), "correlation"),
        },
        "become_empty": {n: _mean(rows, "empty") for n, rows in passes.items()},
        "energy_one_view": _mean(compared, "energy_before"),
        "energy_lost": {n: _lost(rows) for n, rows in passes.items()},
    }


def _mean(rows: pd.DataFrame, column: str) -> float | None:
    """Mean over slices of each organ, then over organs; None where there is nothing."""
    if rows.empty:
        return None
    mean = float(rows.groupby("organ")[column].mean().mean())
    return mean if math.isfinite(mean) else None


def _lost(rows: pd.DataFrame) -> float | None:
    if rows.empty:
        return None
    return _mean(rows.assign(lost=rows["energy_before"] - rows["energy"]), "lost")


def _about_seeds(found: Sanity) -> str:
    if len(found.seeds) < 2:
        return f"{_OTHER_SEED}: fold {found.fold} of the run has maps of one seed alone"
    seeds = ", ".join(map(str, found.seeds))
    return f"{_OTHER_SEED}: stored maps of seeds {seeds}, each with each other"


def _about_empty(found: Sanity) -> Iterator[str]:
    """Say where correlations are low because maps become empty."""
    for line in _lines(found):
        shares = {n: share for n, share in line["become_empty"].items() if share}
        if shares:
            told = ", ".join(f"{_percent(v)} % ({_TITLES.get(n, n)})" for n, v in shares.items())
            yield f"{line['method']}: maps become empty, which counts as 0: {told}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f}"


def _points(value: float | None) -> str:
    return NONE if value is None else f"{round(100 * value, 1) + 0.0:+.1f}"


def _plain(value: float | None) -> str:
    return NONE if value is None else number(value)


def _marked(value: float | None) -> str:
    return _plain(value) + _MARK * (value is not None and value > LEVEL)
