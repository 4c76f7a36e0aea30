"""Groups of rows by keys that may be null, categories, texts and numbers: beside pandas' own."""

import numpy as np
import pandas as pd
import pytest

from camzoo.metrics import frames
from camzoo.metrics.frames import as_text, groups, numbered

KINDS = {
    "text": ["b", None, "a", "a", None, "b", "c"],
    "whole": [3, 1, 3, 3, 1, 2, 3],
    "number": [0.5, np.nan, 0.5, -1.0, np.nan, 0.5, 2.0],
    "kind": pd.Categorical(["y", "x", None, "y", "x", "y", None], ["y", "unused", "x"]),
    "flag": [True, False, True, True, False, True, False],
}
FRAME = pd.DataFrame(KINDS, index=[4, 1, 8, 0, 3, 9, 2])


@pytest.mark.parametrize("most", [1 << 62, 4], ids=["at once", "step by step"])
@pytest.mark.parametrize("keys", [*([name] for name in KINDS), ["kind", "text"], list(KINDS)])
def test_numbers_and_keys_are_those_of_groups(monkeypatch, keys, most):
    monkeypatch.setattr(frames, "_MOST", most)
    number, lines = numbered(FRAME, keys)
    expected = list(groups(FRAME, keys))
    assert len(lines) == len(expected)
    for k, (values, rows) in enumerate(expected):
        assert FRAME.index[number == k].tolist() == rows.index.tolist()
        found = lines.loc[k, keys].to_dict()
        assert {n: v for n, v in found.items() if pd.notna(v)} == {
            n: v for n, v in values.items() if pd.notna(v)
        }
    assert lines.dtypes.to_dict() == FRAME[keys].dtypes.to_dict()


def test_by_hand():
    number, lines = numbered(FRAME, ["text", "whole"])
    assert number.tolist() == [2, 4, 0, 0, 4, 1, 3]
    assert lines["text"].fillna("null").tolist() == ["a", "b", "b", "c", "null"]
    assert lines["whole"].tolist() == [3, 2, 3, 3, 1]


def test_without_keys_or_rows():
    number, lines = numbered(FRAME, [])
    assert (number.tolist(), lines.shape) == ([0] * 7, (1, 0))
    number, lines = numbered(FRAME.iloc[:0], ["text", "kind"])
    assert (number.tolist(), lines.shape) == ([], (0, 2))


def test_null_is_empty_text():
    assert as_text(FRAME["kind"]).tolist() == ["y", "x", "", "y", "x", "y", ""]
