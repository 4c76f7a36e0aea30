"""The one tidy table that everything is reported from: a row per case, class, region and protocol.

Tables, figures and pages are made from these rows alone. Rows have fixed columns, which name them
and count their voxels, and a column for every registered metric (:mod:`camzoo.metrics.base`). A
fixed column is never renamed or given another meaning without raising :data:`SCHEMA_VERSION`; which
other columns are metrics, and what they mean, stands in the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from camzoo.core.errors import ConfigError
from camzoo.core.outline import first_line
from camzoo.core.stored import read_parquet, reading
from camzoo.core.text import plain
from camzoo.metrics.definitions import stored_metrics
from camzoo.metrics.frames import as_text, numbered
from camzoo.metrics.registry import metrics as registry

SCHEMA_VERSION: Final = 1
#: File of rows, in the folder of a run.
ROWS: Final = "rows.parquet"
#: Values of the column "stage".
PSEUDO_MASK: Final = "pseudo-mask"
SEGMENTATION: Final = "segmentation"
#: The column "protocol" of labels that no threshold was chosen for.
NO_THRESHOLD: Final = "none"
#: The same of masks that came from elsewhere.
AS_GIVEN: Final = "as given"

#: Fixed column -> (Arrow type, meaning): before the metrics, and behind them.
_FIRST: Final[dict[str, tuple[pa.DataType, str]]] = {
    "run": (pa.string(), "run the row belongs to: data set, preset, hash of all it depends on"),
    "dataset": (pa.string(), "own name of the data set"),
    "data": (pa.string(), "first digits of the hash of its scans and labels, or null"),
    "split": (pa.string(), "patient or paper-like"),
    "fold": (pa.int64(), "fold of a cross-validated data set, else 0"),
    "seed": (pa.int64(), "seed of training"),
    "backbone": (pa.string(), "timm name of the backbone"),
    "computed_in": (pa.string(), "in which the networks ran: bf16 or fp32"),
    "method": (pa.string(), "registry name of the CAM method or baseline"),
    "variant": (pa.string(), "settings of the method that differ from its defaults, or empty"),
    "supervision": (pa.string(), "what the method may see while it learns"),
    "stage": (pa.string(), "what was scored: pseudo-mask or segmentation"),
    "subset": (pa.string(), "train, val or test"),
    "organ": (pa.string(), "name of the class"),
    "region": (pa.string(), "whole, apex, mid or base"),
    "case": (pa.string(), "id of the volume"),
    "patient": (pa.string(), "id of the patient; statistics resample patients"),
    "protocol": (pa.string(), "how the threshold was chosen"),
    "threshold": (pa.float64(), "background threshold on normalised maps, or null"),
    "tp": (pa.int64(), "voxels in both prediction and reference"),
    "n_pred": (pa.int64(), "voxels in the prediction"),
    "n_ref": (pa.int64(), "voxels in the reference"),
}
_LAST: Final[dict[str, tuple[pa.DataType, str]]] = {
    "diagonal_mm": (pa.float64(), "diagonal of the volume: the distance a failure is counted as"),
    "status": (pa.string(), "ok, or why a number is missing or extreme"),
    "spacing_z": (pa.float64(), "mm"),
    "spacing_y": (pa.float64(), "mm"),
    "spacing_x": (pa.float64(), "mm"),
}
#: Counts that say how much a mean over slices runs over, behind the metric that ends these means.
_SLICES: Final[dict[str, tuple[pa.DataType, str]]] = {
    "slices": (pa.int64(), "slices with both masks: those the means over slices run over"),
    "slices_failed": (pa.int64(), "slices with exactly one of the masks"),
    "slices_there": (pa.int64(), "slices that show the organ in the reference"),
    "slices_all": (pa.int64(), "slices of the volume"),
    "n_pred_there": (pa.int64(), "voxels of the prediction in slices that show the organ"),
}
_BEHIND: Final = "hd95_2d_mm"
_FIXED: Final = {**_FIRST, **_SLICES, **_LAST}
#: Fixed columns that rows written by earlier versions lack.
_ADDED: Final = frozenset({"computed_in", "data", "slices_there", "slices_all", "n_pred_there"})
#: Metrics that every table is made of; others may be absent from rows.
_HEADLINE: Final = frozenset({"dsc", "asd_mm", "mad_mm"})
#: Key in the metadata of a column that says that it is a metric, and how tables call it.
_METRIC: Final = "metric"
#: Rows are sorted by these, so that equal results are equal files.
KEY: Final = (
    "run", "dataset", "split", "fold", "seed", "backbone", "stage", "method", "variant",
    "subset", "protocol", "organ", "region", "case",
)  # fmt: skip


def line_name(method: str, variant: str) -> str:
    """How tables and pictures call a method with its variant."""
    return f"{method} {variant}".strip()


def line_names(rows: pd.DataFrame) -> pd.Series[str]:
    """Return for each row how tables and pictures call its method with its variant."""
    number, lines = numbered(rows, ["method", "variant"])
    pairs = zip(as_text(lines["method"]), as_text(lines["variant"]), strict=True)
    names = np.array([line_name(*pair) for pair in pairs], object)
    return pd.Series(names[number], rows.index, dtype=object)


def schema(more: Iterable[str] = ()) -> pa.Schema:
    """Return the columns of result rows with their types and meanings.

    Args:
        more: Metrics that are not registered here, behind those that are.

    Raises:
        ConfigError: A metric is called as a fixed column.
    """
    fields = [_fixed(name) for name in _FIRST]
    for metric in stored_metrics():
        if metric.name in _FIXED:
            raise ConfigError(
                f"the metric {metric.name!r} of {registry.package(metric.name) or 'this program'} "
                "is called as a column of result rows is; it needs another name"
            )
        meaning = first_line(type(metric).__doc__)
        fields.append(_metric_field(metric.name, metric.label, meaning))
        fields += [_fixed(name) for name in _SLICES if metric.name == _BEHIND]
    fields += [_metric_field(name, name, "a metric that was not registered") for name in more]
    fields += [_fixed(name) for name in _LAST]
    return pa.schema(fields, metadata={"camzoo.schema": str(SCHEMA_VERSION)})


def columns() -> list[str]:
    """Return the names of the columns, in order."""
    return list(schema().names)


def unknown_metrics(rows: pd.DataFrame) -> list[str]:
    """Return the columns of metrics that rows have and this program has not."""
    known = set(columns())
    return [name for name in rows.columns if name not in known]


def make_rows(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Build the table from records; columns a record lacks are null.

    Raises:
        ConfigError: A record has a column that the schema does not know, or two records have the
            same key.
    """
    frame = pd.DataFrame.from_records(list(records))
    unknown = sorted(unknown_metrics(frame))
    if unknown:
        raise ConfigError(f"columns {', '.join(unknown)} are not in the schema of result rows")
    frame = frame.reindex(columns=columns())
    twice = frame.duplicated(list(KEY), keep=False)
    if twice.any():
        raise ConfigError(f"two rows share a key: {frame.loc[twice, list(KEY)].iloc[0].to_dict()}")
    return frame.sort_values(list(KEY), kind="stable", ignore_index=True)


def write_rows(frame: pd.DataFrame, path: Path) -> None:
    """Write rows as Parquet, in the types of the schema, with checksums of the pages."""
    full = schema(unknown_metrics(frame))
    kept = pa.schema([field for field in full if field.name in frame], full.metadata)
    table = pa.Table.from_pandas(
        frame.replace({np.nan: None}), schema=kept, preserve_index=False
    ).replace_schema_metadata(kept.metadata)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows that :func:`write_rows` wrote; text comes as categories.

    Metrics that are not registered here are kept as they are.

    Raises:
        DamagedError: The file is no table of result rows.
        ConfigError: It has another schema version.
    """
    with reading(path, run_again):
        found = pq.read_schema(path)
        metadata = found.metadata or {}
        version = metadata.get(b"camzoo.schema", b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise ConfigError(
            f"{path} has row schema {plain(version, 20)}, this camzoo reads {SCHEMA_VERSION}; "
            f"{run_again(path)}"
        )
    with reading(path, run_again):
        types = {field.name: field.type for field in schema()}
        wrong = {str(field) for field in found if not _fits(field, types)}
        wrong |= {*_FIXED, *_HEADLINE} - _ADDED - set(found.names)
        if wrong:
            raise ValueError(f"its columns differ from the schema: {', '.join(sorted(wrong))}")
        frame = read_parquet(path, categories=True)
    # Rows that were written before a column was added have it empty.
    return frame.reindex(columns=[*frame.columns, *(_ADDED - set(frame.columns))])


def _fixed(name: str) -> pa.Field:
    kind, meaning = _FIXED[name]
    return pa.field(name, kind, metadata={"meaning": meaning})


def _metric_field(name: str, label: str, meaning: str) -> pa.Field:
    return pa.field(name, pa.float64(), metadata={"meaning": meaning, _METRIC: label})


def _fits(field: pa.Field, types: Mapping[str, pa.DataType]) -> bool:
    """Whether a column is of the type that it has here, or says that it is a metric elsewhere."""
    if field.name in types:
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        return bool(kind == types[field.name])
    return field.type == pa.float64() and _METRIC.encode() in (field.metadata or {})


def run_again(_path: Path) -> str:
    """What to do about a damaged file of a run."""
    return "run the bench again, or take the run from where it came"
