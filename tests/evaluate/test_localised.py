"""Where maps point and how alike they are, on slices that are not square: by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.data.slices import CaseInfo, TaggedSlices
from camzoo.evaluate.localised import agreement, localise, organ_maps

#: Case "b" of 3 slices of 4 x 8 voxels, behind 2 slices of another case; two organs.
INFO = CaseInfo("b", "b", 2, (3, 4, 8), (3.0, 1.0, 0.5), tuple(map(tuple, np.eye(4).tolist())))
LABEL = np.zeros((3, 4, 8), np.uint8)
LABEL[0, 1, 2:6] = 1
LABEL[1, 0:2, 4:6] = 1
LABEL[1, 3, 0] = 2
TAGS = np.array([[1, 0], [1, 1], [0, 0]], np.uint8)
SLICES = TaggedSlices(
    np.zeros((5, 8, 8), np.uint8), np.arange(2, 5), TAGS, ("first", "second"), False, (("b", 0, 3),)
)
MASKS = SimpleNamespace(slices=lambda case: {"b": LABEL}[case])
PREPARED = SimpleNamespace(
    cases={"b": INFO}, vault=SimpleNamespace(for_evaluation=lambda: MASKS),
    index=SimpleNamespace(organs=("first", "second")), tagged=lambda cases: SLICES,
)  # fmt: skip


def stored():
    """Maps of 5 slices: on the square grid of 8 x 8 the scan lies in rows 2 to 5."""
    maps = np.zeros((5, 2, 8, 8), np.float16)
    maps[2, 0, 3, 2:4] = 1.0, 0.5  # in the organ
    maps[2, 0, 4, 2] = 0.5  # below it
    maps[2, 0, 0, 0] = 1.0  # beside the scan
    maps[3, 0, 2, 4] = 0.25
    maps[3, 1, 5, 1] = 1.0  # right of the second organ
    return MapFiles(maps, np.zeros((5, 2), np.uint8), np.zeros((5, 2), np.float32))


def test_slices_by_hand():
    slices, pooled = localise(stored(), PREPARED, ["b"], 0.4)
    rows = slices.set_index(["organ", "slice"])
    assert list(rows.index) == [("first", 0), ("first", 1), ("second", 1)]
    assert rows["pointing"].tolist() == [1, 1, 0]
    assert rows["energy"].tolist() == [0.75, 1, 0]
    assert rows["recall"].tolist() == [0.5, 0, 0]
    assert rows["area_mm2"].tolist() == [2, 2, 0.5]
    assert rows["share"].tolist() == [4 / 32, 4 / 32, 1 / 32]
    assert rows["empty"].tolist() == [0, 0, 0]
    # Of 64 voxels with 8 positives: 1; then of two at 0.5 one; 0.25; all others at 0.
    first = 1 / 8 + 1 / 8 * 2 / 3 + 1 / 8 * 3 / 4 + 5 / 8 * 8 / 64
    scores = pooled.set_index("organ")["average_precision"]
    assert scores["first"] == pytest.approx(first)
    assert scores["second"] == pytest.approx(1 / 32)


def test_without_a_threshold_there_is_no_recall():
    slices, _ = localise(stored(), PREPARED, ["b"], float("nan"))
    assert slices["recall"].isna().all()


def test_what_lies_around_the_scan_is_not_compared():
    first, second = organ_maps(PREPARED, SLICES, 8)
    assert first.within.sum(axis=1).tolist() == [0, 0, 8, 8, 8, 8, 0, 0]
    assert (first.number.tolist(), second.number.tolist()) == ([0, 1], [1])
    assert (first.where, second.column) == ({"organ": "first", "case": "b"}, 1)
    pixels = first.pixels(stored().maps[2:])
    assert pixels.shape == first.masks.shape == (2, 32)
    assert pixels.sum(axis=1).tolist() == [2, 0.25]
    assert first.energies(pixels).tolist() == [0.75, 1]
    assert second.energies(second.pixels(stored().maps[2:])).tolist() == [0]


def test_an_organ_that_is_lost_on_a_coarse_grid_has_no_energy():
    second = list(organ_maps(PREPARED, SLICES, 2))[1]
    assert not second.masks.any()
    assert np.isnan(second.energies(np.ones(second.masks.shape, np.float32))).all()


def test_maps_that_differ_beside_the_scan_alone_agree():
    one, other, third = stored(), stored(), stored()
    other.maps[2:, :, :2] = 7
    third.maps[2, 0, 3, 2:4] = 0.5, 1.0
    organs = list(organ_maps(PREPARED, SLICES, 8))
    same = agreement(one, other, SLICES.rows, organs)
    assert same["correlation"].tolist() == pytest.approx([1, 1, 1])
    changed = agreement(one, third, SLICES.rows, organs)
    assert changed[["organ", "slice"]].to_numpy().tolist() == [
        ["first", 0], ["first", 1], ["second", 1],
    ]  # fmt: skip
    # Ranks less their mean 16.5: 29 of -1.5, and 14, 14, 15.5, of which two changed places.
    zeros, low, high = 29 * 1.5**2, 14, 15.5
    expected = (zeros + 2 * low * high + low**2) / (zeros + 2 * low**2 + high**2)
    assert changed["correlation"].tolist() == pytest.approx([expected, 1, 1])
