"""Rank intervals from result rows: what is paired, averaged, and counted as a failure."""

import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics import compare_to_best, rank_intervals, significance
from camzoo.metrics.ranks import Units, rank_methods
from tests.metrics.test_comparison import PATIENTS, table


@pytest.fixture
def values():
    base = np.random.default_rng(0).gamma(3, size=2 * PATIENTS)
    noise = np.random.default_rng(1).normal(0, 0.3, base.shape)
    return {"good": base, "same": base + noise, "bad": base + 9.0 + noise}


def test_ranks_are_those_of_means_with_patients_as_units(values):
    found = rank_intervals(table(values), "asd_mm").set_index("method")
    assert found.loc["bad", ["rank", "rank_low", "rank_high"]].tolist() == [3, 3, 3]
    assert found.loc[["good", "same"], "rank_high"].tolist() == [2, 2]
    assert found["p_first_three"].tolist() == [1, 1, 1]
    scores = -np.stack([values[name] for name in found.index], axis=1)
    patients = [f"p{i // 2}" for i in range(2 * PATIENTS)]
    np.testing.assert_allclose(
        found["p_first"], rank_methods(scores, Units.of(patients)).podium[:, 0]
    )
    compared = compare_to_best(table(values), "asd_mm").set_index("method")
    np.testing.assert_allclose(found["p_first"], compared["p_first"])


def test_seeds_that_disagree_leave_the_rank_open(values):
    better, worse = table(values), table(values)
    worse.loc[worse["method"] == "good", "asd_mm"] += 4.0
    seeds = [better.assign(seed=0), better.assign(seed=1), worse.assign(seed=2)]
    alike = [better.assign(seed=s, asd_mm=pd.concat(seeds).groupby(level=0)["asd_mm"].mean())
             for s in range(3)]  # fmt: skip
    open_, sure = (
        rank_intervals(pd.concat(part), "asd_mm").set_index("method") for part in (seeds, alike)
    )
    assert open_["mean"].to_dict() == pytest.approx(sure["mean"].to_dict())
    assert sure.loc["good", ["rank_low", "rank_high"]].tolist() == [2, 2]
    assert open_.loc["good", ["rank_low", "rank_high"]].tolist() == [1, 2]


def test_a_method_that_failed_in_one_training_has_its_others(values):
    rows = pd.concat([table(values).assign(seed=s) for s in (0, 1)])
    lost = rows[~((rows["method"] == "same") & (rows["seed"] == 1))]
    found, expected = (rank_intervals(part, "asd_mm") for part in (lost, rows))
    pd.testing.assert_frame_equal(found, expected)


def test_a_failure_counts_as_the_worst(values):
    rows = table(values)
    hard = (rows["method"] == "good") & rows["case"].isin(["c0", "c1", "c2"])
    rows.loc[hard, ["tp", "n_pred", "asd_mm", "status"]] = [0, 0, np.nan, "empty-pred"]
    assert rank_intervals(rows, "asd_mm").set_index("method").loc["good", "rank"] == 3 - (
        90 * 3 / 24 + values["good"][3:].mean() * 21 / 24 < values["bad"].mean()
    )


def test_tables_are_ranked_one_by_one(values):
    rows = pd.concat([table(values), table({"good": values["good"]}, organ="q")])
    found = rank_intervals(rows, "asd_mm")
    assert found.groupby("organ")["rank"].apply(sorted).to_dict() == {"o": [1, 2, 3], "q": [1]}


def test_folds_are_told_apart(values):
    """What one fold turns round is not sure, though all patients of it agree."""
    rows = table(values)
    rows["fold"] = rows["patient"].str[1:].astype(int) % 4
    turned = (rows["fold"] == 3) & (rows["method"] == "bad")
    rows.loc[turned, "asd_mm"] -= 20.0
    found = rank_intervals(rows, "asd_mm").set_index("method")
    assert found.loc["bad", "rank_low"] < found.loc["bad", "rank_high"]


def test_the_map_of_pairs_is_in_the_order_of_ranks(values):
    p = significance(table(values), "asd_mm")
    assert list(p.index) == list(p.columns)
    assert p.index[2] == "bad"
    assert (p.loc["bad", ["good", "same"]] < 0.05).all()
    assert p.loc["good", "same"] > 0.05


def test_methods_without_the_same_cases_are_refused(values):
    rows = table(values)
    rows = rows[~((rows["method"] == "same") & (rows["case"] == "c5"))]
    with pytest.raises(ConfigError, match=r"method same has no row for case c5"):
        rank_intervals(rows, "asd_mm")
