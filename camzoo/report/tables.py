"""The tables of a leaderboard as frames of finished cells, from the rows of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from camzoo.core.protocol import Protocol
from camzoo.core.supervision import Supervision
from camzoo.evaluate.rows import line_names
from camzoo.metrics.frames import groups
from camzoo.metrics.overlap import dice
from camzoo.metrics.subregions import WHOLE
from camzoo.report import reported
from camzoo.report.equivalents import EQUALS
from camzoo.report.table_cells import (
    LINE,
    NONE,
    SHOWN,
    certainty,
    comparison,
    coverage,
    mean_std,
    measured,
    named,
    ranked,
    summaries,
    threshold_range,
)

#: The protocol that numbers are believed by: thresholds from patients that are not scored.
HEADLINE: Final = Protocol.VALIDATED


def of_weak(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods behind which no masks stand: those that are ranked."""
    return rows[_declared(rows, lambda supervision: supervision.ranked)]


def of_no_masks(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that saw no mask of these data, nor marks cut from one."""
    return rows[_declared(rows, lambda supervision: not supervision.opens_masks)]


def of_aided(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that ask a network which learnt masks of other images; not ranked either."""
    return rows[rows["supervision"] == Supervision.IMAGE_SAM.value]


def of_oracles(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of methods that saw masks or marks cut from them: upper bounds, never ranked."""
    return rows[_declared(rows, lambda supervision: supervision.opens_masks)]


def _declared(rows: pd.DataFrame, holds: Callable[[Supervision], bool]) -> pd.Series[bool]:
    """Of which rows something holds by what their methods declare to see."""
    column = rows["supervision"]
    wanted = [name for name in column.unique() if holds(Supervision(name))]
    return column.isin(wanted)


def pooled_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Pooled DSC of the training slices' pseudo-masks by protocol, best method first.

    The paper's Tables 1 and 2: one confusion matrix over all slices, a DSC per organ, their mean.
    Several folds or seeds give mean ± sample standard deviation over them.
    """
    rows = _whole(rows, "train")
    organs = tuple(sorted(rows["organ"].unique()))
    dataset = str(rows["dataset"].iloc[0])
    thresholds, protocols = _thresholds(rows), _protocols(rows)
    lines = []
    for key, mine in groups(pooled_means(rows, [*LINE, "protocol"]), LINE):
        values = {p: mine.loc[mine["protocol"] == p, "dsc"].dropna() for p in protocols}
        paper = [reported.pooled_dsc(dataset, name, organs) for name in _names(key)]
        lines.append(
            named(key)
            | {name: mean_std(value) if len(value) else NONE for name, value in values.items()}
            | {
                "gap": _gap(values),
                "threshold": thresholds[tuple(key.values())],
                "paper": _paper(paper) or NONE,
                "_rank": -float(values[HEADLINE.value].mean()),
            }
        )
    return ranked(lines)


def pooled_organ_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Pooled DSC of the training slices per organ: headline protocol, with oracle and paper."""
    rows = _whole(rows, "train")
    dataset = str(rows["dataset"].iloc[0])
    keys = [*LINE, "protocol"]
    pooled = pooled_dsc(rows, [*keys, "fold", "seed"])
    found = pooled.assign(dsc=100 * pooled["dsc"]).pivot_table(
        index=[*LINE, "organ"], columns="protocol", values="dsc", observed=True
    )
    ranks = pooled_means(rows, keys).groupby(keys, observed=True)["dsc"].mean()
    found = found.reindex(columns=[HEADLINE.value, Protocol.ORACLE.value])
    organs, lines = sorted(rows["organ"].unique()), []
    for key, mine in groups(found.reset_index("organ"), LINE):
        cells = {}
        of_organs = mine.set_index("organ").reindex(organs)
        for organ, validated, oracle in of_organs.itertuples(name=None):
            paper = _paper(
                reported.pooled_dsc_of_organ(dataset, name, str(organ)) for name in _names(key)
            )
            beside = f", paper {paper}" if paper else ""
            cells[str(organ)] = f"{validated:.2f} (oracle {oracle:.2f}{beside})"
        rank = -ranks[*key.values(), HEADLINE.value]
        lines.append(named(key) | cells | {"_rank": rank})
    return ranked(lines)


def volume_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD of the test patients' volumes at the headline protocol, best first."""
    rows = _whole(rows, "test")
    rows = rows[rows["protocol"] == HEADLINE.value]
    order = comparison(rows)
    lines = []
    for line, numbers in summaries(rows, SHOWN, sure="dsc"):
        lines.append(
            line
            | measured(numbers, "dsc")
            | certainty(numbers["dsc"])
            | measured(numbers, "asd_mm", "mad_mm")
            | coverage(numbers)
            | order.get(line["method"], {})
            | {"_rank": -numbers["dsc"]["mean"]}
        )
    return ranked(lines)


def protocol_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD of the test patients' volumes by method and protocol."""
    rows = _whole(rows, "test")
    order = _protocols(rows)
    means = _mean_dsc(rows[rows["protocol"] == HEADLINE.value])
    return ranked(
        [
            line
            | measured(numbers)
            | {"_rank": (-means[line["method"]], order.index(line["protocol"]))}
            for line, numbers in summaries(rows, SHOWN, ["protocol"])
        ]
    )


def region_table(rows: pd.DataFrame) -> pd.DataFrame:
    """DSC, ASD and MAD by third of the organ at the headline protocol; empty without thirds.

    Each third is scored by itself, on cropped masks, as in the paper's Table 3.
    """
    rows = rows[(rows["subset"] == "test") & (rows["protocol"] == HEADLINE.value)]
    rows = rows[rows["region"] != WHOLE]
    if not len(rows):
        return pd.DataFrame()
    means = _mean_dsc(rows)
    return ranked(
        [
            line
            | measured(numbers)
            | {
                "failed": f"{numbers['dsc']['n_failed']}",
                "_rank": (-means[line["method"]], line["region"]),
            }
            for line, numbers in summaries(rows, SHOWN, ["region"])
        ]
    )


def pooled_dsc(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sum voxel counts over cases and give the DSC of the sums, per organ.

    Returns:
        The columns of ``by``, organ, dsc; NaN for organs that no reference shows.
    """
    sums = rows.groupby([*by, "organ"], observed=True)[["tp", "n_pred", "n_ref"]].sum()
    counts = (sums[name].to_numpy(np.float64) for name in ("tp", "n_pred", "n_ref"))
    return sums.assign(dsc=dice(*counts))["dsc"].where(sums["n_ref"] > 0).reset_index()


def pooled_means(rows: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Pooled DSC in percent, averaged over organs: a row per value of ``by``, fold and seed."""
    keys = [*by, "fold", "seed"]
    means = pooled_dsc(rows, keys).groupby(keys, observed=True)["dsc"].mean() * 100
    return means.reset_index()


def _whole(rows: pd.DataFrame, subset: str) -> pd.DataFrame:
    """Rows of one subset about whole organs."""
    return rows[(rows["subset"] == subset) & (rows["region"] == WHOLE)]


def _names(key: Mapping[str, str]) -> list[str]:
    """Methods of a line, which several may share."""
    return key["method"].split(EQUALS)


def _mean_dsc(rows: pd.DataFrame) -> dict[str, float]:
    """Mean over all rows of a method, by its name in tables."""
    means = rows.groupby(list(LINE), observed=True)["dsc"].mean().reset_index()
    return dict(zip(line_names(means), means["dsc"], strict=True))


def _paper(numbers: Iterable[float | None]) -> str:
    return " and ".join(f"{number:.2f}" for number in numbers if number is not None)


def _protocols(rows: pd.DataFrame) -> list[str]:
    """Protocols of the rows, the headline first."""
    there = set(rows["protocol"].unique())
    order = [HEADLINE, *(p for p in Protocol if p is not HEADLINE)]
    return [p.value for p in order if p.value in there]


def _thresholds(rows: pd.DataFrame) -> dict[tuple[str, ...], str]:
    """The validated threshold of each method; a range where folds or seeds differ."""
    chosen = rows[rows["protocol"] == HEADLINE.value].groupby(list(LINE), observed=True)
    ends = chosen["threshold"].agg(["min", "max"])
    return {line: threshold_range(low, high) for line, low, high in ends.itertuples(name=None)}


def _gap(values: Mapping[str, pd.Series[float]]) -> str:
    if not len(values.get(Protocol.ORACLE.value, ())):
        return NONE
    return f"{values[Protocol.ORACLE.value].mean() - values[HEADLINE.value].mean():.2f}"
