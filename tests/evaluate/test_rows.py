import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from camzoo.core.errors import ConfigError, DamagedError
from camzoo.evaluate.rows import KEY, columns, make_rows, read_rows, schema, write_rows


def record(**changes):
    return {
        "run": "r", "dataset": "d", "split": "patient", "fold": 0, "seed": 0, "backbone": "b",
        "stage": "pseudo-mask", "method": "cam", "variant": "", "subset": "test",
        "protocol": "oracle", "organ": "o", "region": "whole", "case": "c1", "dsc": 0.5,
    } | changes  # fmt: skip


def test_rows_survive_the_file_with_their_gaps(tmp_path):
    rows = make_rows([record(case="c2", asd_mm=None), record(asd_mm=1.25, n_ref=2**40)])
    path = tmp_path / "rows.parquet"
    write_rows(rows, path)
    back = read_rows(path)
    assert list(back.columns) == columns()
    assert back["case"].tolist() == ["c1", "c2"]  # sorted by key
    assert back["asd_mm"][0] == 1.25
    assert np.isnan(back["asd_mm"][1])
    assert back["n_ref"][0] == 2**40


def test_equal_rows_are_equal_files(tmp_path):
    records = [record(case=f"c{i}", dsc=i / 7) for i in range(9)]
    for name, order in (("a", records), ("b", records[::-1])):
        write_rows(make_rows(order), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_key_stands_once():
    with pytest.raises(ConfigError, match="two rows share a key"):
        make_rows([record(), record(dsc=0.7)])


def test_unknown_columns_are_refused():
    with pytest.raises(ConfigError, match="columns dice are not in the schema"):
        make_rows([record(dice=0.5)])


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_text("no parquet")
    with pytest.raises(DamagedError, match=r"x\.parquet is damaged .*; run the bench again"):
        read_rows(path)
    pq.write_table(pa.Table.from_pandas(pd.DataFrame({"a": [1]})), path)
    with pytest.raises(ConfigError, match="has row schema none"):
        read_rows(path)


def test_every_column_has_a_meaning():
    assert all(field.metadata[b"meaning"] for field in schema())
    assert set(KEY) <= set(columns())
