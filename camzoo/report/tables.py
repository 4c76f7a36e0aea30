"""The tables of a leaderboard as frames of finished cells, from the rows of one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.core.supervision import Supervision
from camzoo.metrics.overlap import dice
from camzoo.metrics.subregions import WHOLE
from camzoo.report import reported
from camzoo.report.equivalents import EQUALS
from camzoo.report.table_cells import (
    NONE,
    certainty,
    comparison,
    coverage,
    mean_std,
    measured,
    methods,
    ranked,
    summary,
)

#: The protocol that numbers are believed by: thresholds from patients that are not scored.
HEADLINE: Final = Protocol.VALIDATED


def of_weak(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that learn without whole masks: those that may be ranked."""
    return rows[rows["supervision"] != Supervision.MASK.value]


def of_oracles(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that saw masks: upper bounds, never ranked with the others."""
    return rows[rows["supervision"] == Supervision.MASK.value]


def pooled_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Pooled DSC of the training slices' pseudo-masks by protocol, best method first.

    The paper's Tables 1 and 2: one confusion matrix over all slices, a DSC per organ, their mean.
    Several folds or seeds give mean ± sample standard deviation over them.
    """
    rows = _whole(rows, "train")
    organs = tuple(sorted(rows["organ"].unique()))
    dataset = str(rows["dataset"].iloc[0])
    lines = []
    for line, mine in methods(rows):
        values = {protocol: _cell_means(mine, protocol) for protocol in _protocols(rows)}
        paper = [reported.pooled_dsc(dataset, name, organs) for name in _names(mine)]
        lines.append(
            line
            | {protocol: mean_std(value) for protocol, value in values.items()}
            | {
                "gap": _gap(values),
                "threshold": _thresholds(mine),
                "paper": _paper(paper) or NONE,
                "_rank": -float(values[HEADLINE.value].mean()),
            }
        )
    return ranked(lines)


def pooled_organ_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Pooled DSC of the training slices per organ: headline protocol, with oracle and paper."""
    rows = _whole(rows, "train")
    dataset = str(rows["dataset"].iloc[0])
    lines = []
    for line, mine in methods(rows):
        cells = {}
        for organ, part in mine.groupby("organ"):
            validated = _cell_means(part, HEADLINE.value).mean()
            oracle = _cell_means(part, Protocol.ORACLE.value).mean()
            paper = _paper(
                reported.pooled_dsc_of_organ(dataset, name, str(organ)) for name in _names(mine)
            )
            beside = f", paper {paper}" if paper else ""
            cells[str(organ)] = f"{validated:.2f} (oracle {oracle:.2f}{beside})"
        mean = float(_cell_means(mine, HEADLINE.value).mean())
        lines.append(line | cells | {"_rank": -mean})
    return ranked(lines)


def volume_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD of the test patients' volumes at the headline protocol, best first."""
    rows = _whole(rows, "test")
    rows = rows[rows["protocol"] == HEADLINE.value]
    order = comparison(rows)
    lines = []
    for line, mine in methods(rows):
        dsc = summary(mine, "dsc")
        lines.append(
            line
            | measured(mine, "dsc")
            | certainty(dsc)
            | measured(mine, "asd_mm", "mad_mm")
            | coverage(mine, dsc)
            | order.get(line["method"], {})
            | {"_rank": -dsc["mean"]}
        )
    return ranked(lines)


def protocol_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD of the test patients' volumes by method and protocol."""
    rows = _whole(rows, "test")
    lines = []
    for line, mine in methods(rows):
        headline = mine[mine["protocol"] == HEADLINE.value]["dsc"].mean()
        for position, protocol in enumerate(_protocols(rows)):
            part = mine[mine["protocol"] == protocol]
            rank = (-headline, position)
            lines.append(line | {"protocol": protocol} | measured(part) | {"_rank": rank})
    return ranked(lines)


def region_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD by third of the organ at the headline protocol; empty without thirds.

    Each third is scored by itself, on cropped masks, as in the paper's Table 3.
    """
    rows = rows[(rows["subset"] == "test") & (rows["protocol"] == HEADLINE.value)]
    rows = rows[rows["region"] != WHOLE]
    lines = []
    for line, mine in methods(rows):
        for region, part in mine.groupby("region"):
            failed = f"{int(summary(part, 'dsc')['n_failed'])}"
            lines.append(
                line
                | {"region": region}
                | measured(part)
                | {"failed": failed, "_rank": (-mine["dsc"].mean(), region)}
            )
    return ranked(lines) if lines else pd.DataFrame()


def pooled_dsc(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sum voxel counts over cases and give the DSC of the sums, per organ.

    Returns:
        The columns of ``by``, organ, dsc; organs that no reference shows are left out.
    """
    sums = rows.groupby([*by, "organ"])[["tp", "n_pred", "n_ref"]].sum()
    sums = sums[sums["n_ref"] > 0]
    counts = (sums[name].to_numpy(np.float64) for name in ("tp", "n_pred", "n_ref"))
    return sums.assign(dsc=dice(*counts))["dsc"].reset_index()


def pooled_means(rows: pd.DataFrame) -> pd.Series[float]:
    """Pooled DSC in percent, averaged over organs: a value per fold and seed."""
    return pooled_dsc(rows, ["fold", "seed"]).groupby(["fold", "seed"])["dsc"].mean() * 100


def _whole(rows: pd.DataFrame, subset: str) -> pd.DataFrame:
    """Rows of one subset about whole organs."""
    return rows[(rows["subset"] == subset) & (rows["region"] == WHOLE)]


def _names(rows: pd.DataFrame) -> list[str]:
    """Methods of a line, which several may share."""
    return str(rows["method"].iloc[0]).split(EQUALS)


def _paper(numbers: Iterable[float | None]) -> str:
    return " and ".join(f"{number:.2f}" for number in numbers if number is not None)


def _protocols(rows: pd.DataFrame) -> list[str]:
    """Protocols of the rows, the headline first."""
    there = set(rows["protocol"])
    order = [HEADLINE, *(p for p in Protocol if p is not HEADLINE)]
    return [p.value for p in order if p.value in there]


def _cell_means(rows: pd.DataFrame, protocol: str) -> pd.Series[float]:
    return pooled_means(rows[rows["protocol"] == protocol])


def _thresholds(rows: pd.DataFrame) -> str:
    """The validated threshold; a range where folds or seeds differ."""
    chosen = rows.loc[rows["protocol"] == HEADLINE.value, "threshold"]
    low, high = chosen.min(), chosen.max()
    return f"{low:.2f}" if low == high else f"{low:.2f} to {high:.2f}"


def _gap(values: Mapping[str, pd.Series[float]]) -> str:
    if Protocol.ORACLE.value not in values:
        return NONE
    return f"{values[Protocol.ORACLE.value].mean() - values[HEADLINE.value].mean():.2f}"
