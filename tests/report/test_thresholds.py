import numpy as np
import pandas as pd
import pytest

from camzoo.report.context_maps import context_table
from camzoo.report.thresholds import pooled_curves, threshold_table, width

THRESHOLDS = np.round(0.1 * np.arange(1, 10), 2)


@pytest.mark.parametrize(
    ("scores", "steps"),
    [
        ([50] * 9, 9),
        ([0, 0, 50, 0, 0, 0, 0, 0, 0], 1),
        ([40, 44, 46, 50, 45, 44, 50, 46, 0], 3),  # 45 is within 5 points, 44 ends the range
        ([50, 46, 0, 49, 49, 49, 49, 49, 49], 2),  # what lies beyond a gap does not count
        ([0, 0, 0, 0, 0, 0, 0, 46, 50], 2),
    ],
)
def test_width_by_hand(scores, steps):
    assert width(THRESHOLDS, np.array(scores, float)) == pytest.approx(0.1 * steps)


def curves(tp, **keys):
    """Ten voxels predicted and ten in the reference at each threshold, ``tp`` in both."""
    rows = [
        {"threshold": t, "tp": hit, "n_pred": 10, "n_ref": 10}
        for t, hit in zip(THRESHOLDS, tp, strict=True)
    ]
    constant = {
        "method": "cam", "variant": "", "supervision": "image", "subset": "train",
        "fold": 0, "seed": 0, "organ": "liver", "case": "a",
    }  # fmt: skip
    return pd.DataFrame(rows).assign(**(constant | keys))


def test_curves_pool_cases_and_average_organs():
    frame = pd.concat(
        [
            curves([4] * 9), curves([8] * 9, case="b"), curves([2] * 9, organ="spleen"),
            curves([0] * 9, organ="spleen", case="b"),
        ]
    )  # fmt: skip
    # Liver 12 of 20, spleen 2 of 20: DSC 60 and 10.
    assert pooled_curves(frame).to_numpy().tolist() == [pytest.approx([35.0] * 9)]


def test_table_is_ordered_by_flatness_and_averages_seeds():
    peak = [1, 2, 9, 2, 1, 1, 1, 1, 1]
    frame = pd.concat(
        [
            curves(peak), curves(peak, seed=1),
            curves([6] * 9, method="c-cam[ac]", variant="tau=0.1"),
            curves(peak, method="c-cam[ac]", variant="tau=0.1", seed=1),
            curves([10] * 9, subset="test"),
        ]
    )  # fmt: skip
    table = threshold_table(frame)
    assert table["method"].tolist() == ["c-cam[ac] tau=0.1", "cam"]
    assert table["within 5 points"].tolist() == ["0.50 ± 0.57", "0.10 ± 0.00"]
    assert table["best"].tolist() == ["75.00", "90.00"]
    assert table["at"].tolist() == ["0.30", "0.30"]
    assert table["0.4"].tolist() == ["40.0", "20.0"]


def test_what_became_of_the_context():
    cells = [
        {"steps": {"c-cam[cc]": {"weight": [0.1, -0.5], "ratio": [0.002, 0.01]}}},
        {"steps": {"c-cam[cc]": {"weight": [0.3, -0.5], "ratio": [0.004, 0.01]}}},
    ]
    table = context_table(cells, ["liver", "spleen"])
    assert table.to_dict("records")[0] == {
        "method": "c-cam[cc]", "organ": "liver", "weight": "0.2 ± 0.14", "ratio": "0.003 ± 0.0014",
    }  # fmt: skip


def test_a_class_without_context_is_counted_and_retraining_without_any_is_left_out():
    cells = [
        {
            "steps": {
                "c-cam[ac]": {"allowed": [0.5, 0.0], "never_found": ["spleen"]},
                "positives-only": {"weight": [0.1, 0.1], "ratio": [0.0, 0.0]},
            }
        },
        {"steps": {"c-cam[ac]": {"allowed": [0.5, 0.25], "never_found": []}}},
    ]
    table = context_table(cells, ["liver", "spleen"])
    assert table["method"].unique().tolist() == ["c-cam[ac]"]
    assert table["no context"].tolist() == ["", "1 of 2"]


def test_runs_without_steps():
    assert context_table([{"seed": 0}], ["liver"]).empty
