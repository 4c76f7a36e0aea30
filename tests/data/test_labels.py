import numpy as np
import pytest

from camzoo.core.errors import DataError
from camzoo.data.labels import relabel
from camzoo.data.volume import Volume


def label(values, dtype=np.int16):
    return Volume(np.asarray(values, dtype).reshape(1, 2, -1), np.eye(4), "case7", "p", "a.nii")


def test_values_are_translated_and_unwanted_ones_become_background():
    found = relabel(label([0, 1, 2, 3, 3, 0]), {1: 0, 2: 0, 3: 1})
    assert found.array.tolist() == [[[0, 0, 0], [1, 1, 0]]]
    assert found.array.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.float64, np.uint16, np.int8, bool])
def test_any_numeric_type_of_whole_numbers_will_do(dtype):
    assert relabel(label([0, 1, 1, 0], dtype), {1: 1}).array.sum() == 2


def test_an_unknown_value_is_named_with_its_count():
    with pytest.raises(DataError) as error:
        relabel(label([0, 60, 71, 71, 300, 110]), {**dict.fromkeys(range(55, 71), 1), 110: 2})
    message = str(error.value)
    assert "case case7: a.nii: 3 voxels hold 71, 300" in message
    assert "expected 0, 55-70, 110" in message


def test_rounding_is_taken_back_and_shown_with_all_digits_where_it_is_none():
    near = [0, 0.9999999997671694, 2.0039, -1e-9]
    found = relabel(label(near, np.float64), {1: 1, 2: 2})
    assert found.array.ravel().tolist() == [0, 1, 2, 0]
    with pytest.raises(DataError, match=r"hold 0\.97, 0\.9876543210123,"):
        relabel(label([0, 1, 0.97, 0.9876543210123], np.float64), {1: 1})
    with pytest.raises(DataError, match="1 voxels hold inf"):
        relabel(label([0, 1, 1, np.inf], np.float32), {1: 1})


def test_fractions_and_negative_values_are_no_labels():
    with pytest.raises(DataError, match=r"1 voxels hold 0\.5,"):
        relabel(label([0, 0.5, 1, 1], np.float32), {1: 1})
    with pytest.raises(DataError, match="hold -1,"):
        relabel(label([0, -1, 1, 1]), {1: 1})


def test_many_unknown_values_are_cut_short():
    with pytest.raises(DataError, match="10, 11, 12, 13, 14 and 5 more values"):
        relabel(label(range(10, 20)), {1: 1})


def test_nan_is_an_unknown_value():
    with pytest.raises(DataError, match="1 voxels hold nan"):
        relabel(label([0, np.nan, 1, 1], np.float32), {1: 1})
