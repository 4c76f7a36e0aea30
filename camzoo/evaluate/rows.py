"""The one tidy table that everything is reported from: a row per case, class, region and protocol.

Tables, figures and pages are made from these rows alone. A column is never renamed or given another
meaning without raising :data:`SCHEMA_VERSION`.
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
from camzoo.core.stored import reading
from camzoo.core.text import plain

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

#: Column -> (Arrow type, meaning).
COLUMNS: Final[dict[str, tuple[pa.DataType, str]]] = {
    "run": (pa.string(), "run the row belongs to: data set, preset and hash of the configuration"),
    "dataset": (pa.string(), "name of the data set, with its variant where it has several"),
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
    "threshold": (
        pa.float64(),
        "background threshold on normalised maps, or null",
    ),
    "tp": (pa.int64(), "voxels in both prediction and reference"),
    "n_pred": (pa.int64(), "voxels in the prediction"),
    "n_ref": (pa.int64(), "voxels in the reference"),
    "dsc": (pa.float64(), "Dice similarity coefficient, 0 to 1"),
    "asd_mm": (pa.float64(), "average surface distance: pooled over both surfaces"),
    "mad_mm": (pa.float64(), "mean absolute distance: from the prediction to the reference"),
    "mad_reverse_mm": (pa.float64(), "mean distance from the reference to the prediction"),
    "assd_mm": (pa.float64(), "unweighted mean of the two directed means"),
    "hd_mm": (pa.float64(), "Hausdorff distance"),
    "hd95_mm": (pa.float64(), "95th percentile of both directed distances pooled"),
    "nsd_2mm": (pa.float64(), "share of both surfaces within 2 mm of the other, 0 to 1"),
    "dsc_2d": (pa.float64(), "mean DSC of slices with either mask"),
    "asd_2d_mm": (pa.float64(), "mean over slices of the ASD of their outlines"),
    "mad_2d_mm": (pa.float64(), "mean over slices of the MAD of their outlines"),
    "hd95_2d_mm": (pa.float64(), "mean over slices of the HD95 of their outlines"),
    "slices": (pa.int64(), "slices with both masks: those the means over slices run over"),
    "slices_failed": (pa.int64(), "slices with exactly one of the masks"),
    "asd_full_mm": (pa.float64(), "ASD of a region's points to the uncropped other surface"),
    "mad_full_mm": (pa.float64(), "MAD of a region's points to the uncropped reference"),
    "diagonal_mm": (pa.float64(), "diagonal of the volume: the distance a failure is counted as"),
    "status": (pa.string(), "ok, or why a number is missing or extreme"),
    "spacing_z": (pa.float64(), "mm"),
    "spacing_y": (pa.float64(), "mm"),
    "spacing_x": (pa.float64(), "mm"),
}
#: Columns that rows written by earlier versions lack.
_ADDED: Final = frozenset({"computed_in"})
SCHEMA: Final = pa.schema(
    [pa.field(name, kind, metadata={"meaning": text}) for name, (kind, text) in COLUMNS.items()],
    metadata={"camzoo.schema": str(SCHEMA_VERSION)},
)
#: Rows are sorted by these, so that equal results are equal files.
KEY: Final = (
    "run", "dataset", "split", "fold", "seed", "backbone", "stage", "method", "variant",
    "subset", "protocol", "organ", "region", "case",
)  # fmt: skip


def line_name(method: str, variant: str) -> str:
    """How tables and pictures call a method with its variant."""
    return f"{method} {variant}".strip()


def make_rows(records: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Build the table from records; columns a record lacks are null.

    Raises:
        ConfigError: A record has a column that the schema does not know, or two records have the
            same key.
    """
    frame = pd.DataFrame.from_records(list(records))
    unknown = sorted(set(frame.columns) - set(COLUMNS))
    if unknown:
        raise ConfigError(f"columns {', '.join(unknown)} are not in the schema of result rows")
    frame = frame.reindex(columns=list(COLUMNS))
    twice = frame.duplicated(list(KEY), keep=False)
    if twice.any():
        raise ConfigError(f"two rows share a key: {frame.loc[twice, list(KEY)].iloc[0].to_dict()}")
    return frame.sort_values(list(KEY), kind="stable", ignore_index=True)


def write_rows(frame: pd.DataFrame, path: Path) -> None:
    """Write rows as Parquet, in the types of the schema, with checksums of the pages."""
    table = pa.Table.from_pandas(
        frame.replace({np.nan: None}), schema=SCHEMA, preserve_index=False
    ).replace_schema_metadata(SCHEMA.metadata)
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def read_rows(path: Path) -> pd.DataFrame:
    """Read rows that :func:`write_rows` wrote.

    Raises:
        DamagedError: The file is no table of result rows.
        ConfigError: It has another schema version.
    """
    with reading(path, run_again):
        table = pq.read_table(path, page_checksum_verification=True)
        metadata = table.schema.metadata or {}
        version = metadata.get(b"camzoo.schema", b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise ConfigError(
            f"{path} has row schema {plain(version, 20)}, this camzoo reads {SCHEMA_VERSION}; "
            f"{run_again(path)}"
        )
    with reading(path, run_again):
        wrong = set(map(str, table.schema)) - set(map(str, SCHEMA))
        missing = set(COLUMNS) - set(table.schema.names) - _ADDED
        if wrong or missing:
            differ = ", ".join(sorted(wrong | missing))
            raise ValueError(f"its columns differ from the schema: {differ}")
        frame: pd.DataFrame = table.to_pandas()
    # Rows that were written before a column was added have it empty.
    return frame.reindex(columns=[*frame.columns, *(c for c in COLUMNS if c not in frame.columns)])


def run_again(_path: Path) -> str:
    """What to do about a damaged file of a run."""
    return "run the bench again, or take the run from where it came"
