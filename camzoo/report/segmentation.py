"""Tables of baselines: volumes of the test patients after the U-Net, beside the paper's numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from camzoo.evaluate.rows import NO_THRESHOLD, PSEUDO_MASK, SEGMENTATION, line_names
from camzoo.metrics.frames import groups
from camzoo.metrics.subregions import THIRDS, WHOLE
from camzoo.report import table_cells as cells
from camzoo.report.reported_volumes import reported_volumes
from camzoo.report.table_cells import LINE, NONE, Summaries, named, ranked, summaries
from camzoo.report.tables import of_weak, pooled_means

#: What is measured of a baseline, in time.
_STAGES: Final = ("maps", "fit", "predict")
#: In the place of a number, for baselines of the paper that the run left out.
NOT_RUN: Final = "not run"


def of_maps(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of maps that a threshold was chosen for: those without baselines."""
    return rows[rows["protocol"] != NO_THRESHOLD]


def of_baselines(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of baselines: what they predicted, and the labels that they learnt."""
    return rows[rows["protocol"] == NO_THRESHOLD]


def segmentation_table(rows: pd.DataFrame, failed: Sequence[str] = ()) -> pd.DataFrame:
    """Test volumes of all baselines, best first; then incomplete, failed and missing ones.

    Args:
        rows: Rows of one run (:func:`of_baselines`).
        failed: Baselines without rows.
    """
    rows = rows[(rows["stage"] == SEGMENTATION) & (rows["region"] == WHOLE)]
    paper = reported_volumes(*_subject(rows))
    order, complete = cells.comparison(rankable(rows)), _complete(rows)
    lines: list[dict[str, Any]] = []
    for line, numbers in summaries(rows, cells.SHOWN, sure="dsc"):
        name, counts = line["method"], cells.coverage(numbers)
        del counts["nothing there"]
        counts["volumes"] += "" if name in complete else " (incomplete)"
        lines.append(
            line
            | cells.measured(numbers)
            | cells.certainty(numbers["dsc"])
            | counts
            | order.get(name, {})
            | _paper(paper, _plain(name))
            | {"_rank": (name not in complete, -numbers["dsc"]["mean"])}
        )
    there = {_plain(line["method"]) for line in lines}
    absent = dict.fromkeys((*failed, *paper))
    lines += [
        {"method": name, "DSC (%)": "failed" if name in failed else NOT_RUN}
        | _paper(paper, name)
        | {"_rank": (2, name not in failed)}
        for name in absent
        if name not in there
    ]
    return ranked(lines)


def segmentation_organ_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC of the test volumes by organ, in the order of their mean."""
    rows = rows[(rows["stage"] == SEGMENTATION) & (rows["region"] == WHOLE)]
    organs: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for line, numbers in summaries(rows, ["dsc"], ["organ"]):
        organs[line["method"], line["supervision"]][line["organ"]] = _dsc(numbers)
    return ranked(
        [
            line | organs[line["method"], line["supervision"]] | {"_rank": -numbers["dsc"]["mean"]}
            for line, numbers in summaries(rows, ["dsc"])
        ]
    )


def segmentation_region_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 3: whole, apex, mid and base of the organ; empty without thirds."""
    rows = rows[rows["stage"] == SEGMENTATION]
    if not rows["region"].isin(THIRDS).any():
        return pd.DataFrame()
    lines = []
    for position, region in enumerate((WHOLE, *THIRDS)):
        part = rows[rows["region"] == region]
        paper = reported_volumes(*_subject(rows), region)
        for line, numbers in summaries(part, cells.SHOWN):
            lines.append(
                {"region": region}
                | line
                | cells.measured(numbers)
                | {"failed": f"{numbers['dsc']['n_failed']}"}
                | _paper(paper, _plain(line["method"]))
                | {"_rank": (position, -numbers["dsc"]["mean"])}
            )
    return ranked(lines)


def learnt_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Labels of the training slices that baselines learnt, as volumes; empty where none has any."""
    rows = rows[(rows["stage"] == PSEUDO_MASK) & (rows["region"] == WHOLE)]
    if not len(rows):
        return pd.DataFrame()
    pooled = {
        named(key)["method"]: mine["dsc"].dropna()
        for key, mine in groups(pooled_means(rows, LINE), LINE)
    }
    return ranked(
        [
            line
            | {"pooled DSC (%)": cells.mean_std(pooled[line["method"]])}
            | {"DSC of volumes (%)": _dsc(numbers)}
            | {"_rank": -float(pooled[line["method"]].mean())}
            for line, numbers in summaries(rows, ["dsc"])
        ]
    )


def cost_table(costs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """What baselines took: means over folds and seeds, of memory the largest."""
    frame = pd.json_normalize([dict(cost) for cost in costs])
    lines = []
    for name, mine in frame.groupby("method"):
        maps = mine["maps.seconds"].astype("float64").mean(skipna=False)
        seconds = mine["fit.seconds"].mean()
        lines.append(
            {
                "method": name,
                "maps": _duration(maps, bool(mine["maps.resumed"].any())),
                "training": _duration(seconds, bool(mine["resumed"].any())),
                "segmenting": _duration(mine["predict.seconds"].mean()),
                "memory (MiB)": _largest(mine, "memory_mib"),
                "GPU memory (MiB)": _largest(mine, "cuda_mib"),
                "U-Net, images per second": _rate(mine["images_per_second"]),
                "_rank": (not np.isfinite(maps), maps + seconds if np.isfinite(maps) else seconds),
            }
        )
    return ranked(lines)


def _dsc(numbers: Summaries) -> str:
    return cells.measured(numbers, "dsc")[cells.title("dsc")]


def _subject(rows: pd.DataFrame) -> tuple[str, tuple[str, ...]]:
    return str(rows["dataset"].iloc[0]), tuple(sorted(rows["organ"].unique()))


def _paper(paper: Mapping[str, Mapping[str, str]], name: str) -> dict[str, str]:
    """The paper's columns; none where it has no such table."""
    if not paper:
        return {}
    numbers = paper.get(name, {})
    return {f"paper {cells.title(metric)}": numbers.get(metric, NONE) for metric in cells.SHOWN}


def _plain(name: str) -> str:
    """A line without what tells it from others of its name (:mod:`camzoo.report.merged`)."""
    return name.partition(" (")[0]


def rankable(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of those behind which no masks stand, not even marks cut from them; with every case.

    A baseline that failed in some folds or seeds has no pairs for the others' cases, and is left
    out.
    """
    weak = of_weak(rows)
    return weak[line_names(weak).isin(_complete(rows))]


def _complete(rows: pd.DataFrame) -> list[str]:
    """Baselines that were scored on every volume of every fold and seed that any was scored on."""
    keys = {
        str(name): set(mine[["fold", "seed", "case"]].itertuples(index=False, name=None))
        for name, mine in rows.groupby(line_names(rows))
    }
    everything: set[object] = set().union(*keys.values())
    return [name for name, mine in keys.items() if mine == everything]


def _duration(seconds: float, resumed: bool = False) -> str:
    mark = " *" if resumed else ""
    if not np.isfinite(seconds):
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s{mark}"
    return f"{seconds / 60:.1f} min{mark}" if seconds < 3600 else f"{seconds / 3600:.1f} h{mark}"


def _largest(rows: pd.DataFrame, what: str) -> str:
    columns = [
        rows[f"{stage}.{what}"].astype("float64").max()
        for stage in _STAGES
        if f"{stage}.{what}" in rows
    ]
    known = [value for value in columns if np.isfinite(value)]
    return f"{max(known):.0f}" if known else NONE


def _rate(values: pd.Series[float]) -> str:
    mean = values.astype("float64").mean()
    return f"{mean:.1f}" if np.isfinite(mean) else NONE
