import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.metrics.base import CountMetric, Direction
from camzoo.metrics.case import CaseReference
from camzoo.metrics.definitions import (
    all_metrics,
    get_metric,
    metrics_table,
    stored_metrics,
)
from camzoo.registries import metrics


@pytest.fixture
def rows():
    """Two voxels right of three predicted and four in the reference; then a missing prediction."""
    return pd.DataFrame(
        {
            "tp": [2, None],
            "n_pred": [3, None],
            "n_ref": [4, 4],
            "spacing_z": 3.0,
            "spacing_y": 0.5,
            "spacing_x": 0.8,
            "diagonal_mm": [300.0, 310.0],
        }
    ).astype({"tp": "Int64", "n_pred": "Int64"})


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dsc", 4 / 7),
        ("iou", 2 / 5),
        ("precision", 2 / 3),
        ("recall", 1 / 2),
        ("volume_difference_ml", -1.2e-3),
    ],
)
def test_metrics_without_a_column_come_from_counts(rows, name, expected):
    found = get_metric(name).values(rows)
    assert found[0] == pytest.approx(expected)
    assert np.isnan(found[1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("dsc", [0, 0]), ("asd_mm", [300, 310]), ("volume_difference_ml", [-4.8e-3, -4.8e-3])],
)
def test_the_worst_case_is_made_from_the_row(rows, name, expected):
    assert get_metric(name).worst_of(rows).tolist() == pytest.approx(expected)


def test_a_column_wins_over_the_counts(rows):
    assert get_metric("dsc").values(rows.assign(dsc=0.25)).tolist() == [0.25, 0.25]


def test_a_distance_cannot_be_made_from_counts(rows):
    with pytest.raises(ConfigError, match=r"no column asd_mm.*to get ASD"):
        get_metric("asd_mm").values(rows)


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown metric 'assd'; did you mean assd_mm"):
        get_metric("assd")


def test_goodness_turns_every_metric_so_that_higher_is_better():
    values = pd.Series([-2.0, 1.0])
    turned = {name: get_metric(name).goodness(values).tolist() for name in metrics}
    assert turned["dsc"] == [-2.0, 1.0]
    assert turned["asd_mm"] == [2.0, -1.0]
    assert turned["volume_difference_ml"] == [-2.0, -1.0]


def test_every_column_that_is_written_has_its_definition():
    mask = np.zeros((3, 6, 7), dtype=bool)
    mask[1, 2:4, 2:5] = True
    whole, region = CaseReference(
        mask, (3, 1, 1), regions={"mid": slice(0, 3)}, slicewise=True
    ).measure(mask)
    written = set(whole) | set(region)
    numbers = {
        name for name in written if name.endswith("_mm") or name in ("dsc", "dsc_2d", "nsd_2mm")
    }
    assert numbers - {"diagonal_mm"} == {metric.name for metric in stored_metrics()}


def test_values_of_equal_masks_are_the_best_of_their_range():
    mask = np.zeros((3, 6, 7), dtype=bool)
    mask[1, 2:4, 2:5] = True
    rows = pd.DataFrame(CaseReference(mask, (3, 1, 1), slicewise=True).measure(mask))
    for metric in all_metrics():
        if metric.name in rows or isinstance(metric, CountMetric):
            best = 1 if metric.direction is Direction.HIGHER else 0
            assert metric.values(rows)[0] == best
            assert metric.range[0] <= best <= metric.range[1]
            assert metric.both_empty == best


def test_the_table_says_unit_direction_range_and_rule_for_empty_masks():
    table = metrics_table().set_index("column")
    assert table.loc["asd_mm"].to_dict() == {
        "metric": "ASD",
        "unit": "mm",
        "direction": "lower is better",
        "range": "0 to ∞",
        "definition": "mean over the surface points of both masks, pooled, of the distance to the "
        "other surface (symmetric; medpy 0.5.2 calls it ASSD)",
        "one mask empty": "undefined",
        "both empty": "0, left out of means",
        "a failure counts as": "diagonal of the volume",
    }
    assert set(table.index) == set(metrics)
