"""What failed in a run, and why: cases of methods, and methods altogether."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from camzoo.core.text import plain
from camzoo.evaluate.rows import NO_THRESHOLD, line_name
from camzoo.metrics.status import Status
from camzoo.metrics.subregions import WHOLE
from camzoo.report.records import Record
from camzoo.report.tables import HEADLINE
from camzoo.report.told_apart import told_apart

_REASONS: Final = {
    Status.EMPTY_PRED.value: "the mask is empty, though the organ is there",
    Status.EMPTY_REF.value: "the organ is not there, though the mask shows one",
    Status.MISSING.value: "there is no prediction",
}
_TOLD: Final = (
    "run", "what", "protocol", "case", "organ", "method", "variant", "status",
)  # fmt: skip
_FINE: Final = (Status.OK.value, Status.EMPTY_BOTH.value)


def failure_lines(record: Record) -> list[dict[str, str]]:
    """Methods of a run without rows, then failed cases of whole organs, the headline's first."""
    rows = told_apart(record)
    rows = rows[rows["status"].notna() & ~rows["status"].isin(_FINE) & (rows["region"] == WHOLE)]
    headline = rows["protocol"].isin([HEADLINE.value, NO_THRESHOLD]) & (rows["subset"] == "test")
    rows = pd.concat([rows[headline], rows[~headline]])
    everywhere = [
        {"run": record.run, "method": plain(name), "case": "every case", "reason": plain(why)}
        for name, why in record.manifest["failures"].items()
    ]
    return everywhere + [
        _line(dict(zip(_TOLD, row, strict=True)))
        for row in rows[[*_TOLD]].itertuples(index=False, name=None)
    ]


def _line(row: Mapping[str, Any]) -> dict[str, str]:
    texts = {name: plain(row[name]) for name in ("run", "what", "protocol", "case", "organ")}
    status = str(row["status"])
    return texts | {
        "method": plain(line_name(str(row["method"]), str(row["variant"]))),
        "reason": _REASONS.get(status, plain(status)),
    }
