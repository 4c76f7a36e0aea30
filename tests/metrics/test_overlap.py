import numpy as np
import pytest

from camzoo.core.errors import DataError
from camzoo.metrics.overlap import (
    as_mask,
    dice,
    iou,
    overlap_counts,
    precision,
    recall,
    slice_counts,
    volume_difference_ml,
)


def test_hand_worked_numbers():
    # 3 voxels predicted, 4 in the reference, 2 shared.
    assert dice(2, 3, 4) == pytest.approx(4 / 7)
    assert iou(2, 3, 4) == pytest.approx(2 / 5)
    assert precision(2, 3, 4) == pytest.approx(2 / 3)
    assert recall(2, 3, 4) == pytest.approx(1 / 2)
    # 500 voxels too many of 3 x 0.5 x 0.8 mm = 1.2 mm³ each: 600 mm³.
    assert volume_difference_ml(1500, 1000, 1.2) == pytest.approx(0.6)
    assert volume_difference_ml(0, 1000, 1.2) == pytest.approx(-1.2)


@pytest.mark.parametrize(
    ("n_pred", "n_ref", "expected"),
    [(0, 0, 1.0), (5, 0, 0.0), (0, 5, 0.0)],
)
@pytest.mark.parametrize("ratio", [dice, iou, precision, recall])
def test_empty_masks(ratio, n_pred, n_ref, expected):
    assert ratio(0, n_pred, n_ref) == expected


def test_ratios_broadcast_counts_of_several_cases():
    tp, n_pred, n_ref = np.array([[2, 0], [0, 0]]), np.array([[3, 0], [0, 4]]), np.array([[4], [0]])
    np.testing.assert_allclose(dice(tp, n_pred, n_ref), [[4 / 7, 0], [1, 0]])


def test_counts_of_masks_and_of_their_slices():
    pred, ref = np.zeros((2, 3, 5)), np.zeros((2, 3, 5), dtype=np.uint8)
    pred[0, 1, 1:4] = 1
    ref[0, 1, 2:5] = ref[1, 0, 0] = 1
    assert overlap_counts(pred, ref) == (2, 3, 4)
    assert slice_counts(pred, ref).tolist() == [[2, 3, 3], [0, 0, 1]]


@pytest.mark.parametrize("strange", [2, -1, 0.4, np.nan])
def test_a_mask_must_be_binary(strange):
    array = np.array([[0, 1], [1, strange]])
    with pytest.raises(DataError, match=rf"prediction must be binary.*{strange}"):
        as_mask(array, "prediction")


def test_shapes_must_agree():
    with pytest.raises(DataError, match=r"\(2, 3\) and \(3, 2\)"):
        overlap_counts(np.zeros((2, 3)), np.zeros((3, 2)))
