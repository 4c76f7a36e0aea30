import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from camzoo.core.errors import ConfigError
from camzoo.metrics.comparison import compare_to_best, paired_values
from camzoo.metrics.statistics import first_probability, paired_tests
from camzoo.metrics.summary import summarise

PATIENTS = 12


def table(values, organ="o", variant=""):
    """Rows of one table: {method: ASD of two cases per patient}."""
    return pd.DataFrame(
        [
            {
                "method": method,
                "variant": variant,
                "organ": organ,
                "protocol": "validated",
                "case": f"c{i}",
                "patient": f"p{i // 2}",
                "tp": 5,
                "n_pred": 10,
                "n_ref": 10,
                "asd_mm": value,
                "diagonal_mm": 90.0,
                "status": "ok",
            }
            for method, column in values.items()
            for i, value in enumerate(column)
        ]
    )


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    base = rng.gamma(3, size=2 * PATIENTS)
    return {"good": base, "same": base + rng.normal(0, 0.3, base.shape), "bad": base + 1.0}


def test_the_lowest_distance_is_best_and_tests_pair_patients(values):
    found = compare_to_best(table(values), "asd_mm").set_index("method")
    means = {name: column.mean() for name, column in values.items()}
    best = min(means, key=means.get)
    assert found["best"].to_dict() == {name: name == best for name in values}
    assert found["mean"].to_dict() == pytest.approx(means)
    names = list(found.index)
    cases = -np.stack([values[name] for name in names], axis=1)
    per_patient = cases.reshape(PATIENTS, 2, 3).mean(axis=1)
    p, adjusted = paired_tests(per_patient, names.index(best), chosen_here=True)
    np.testing.assert_allclose(found["p"], p)
    np.testing.assert_allclose(found["p_holm"], adjusted)
    np.testing.assert_allclose(
        found["p_first"], first_probability(cases, [f"p{i // 2}" for i in range(2 * PATIENTS)])
    )
    assert found.loc["bad", "p_holm"] < 0.05
    assert found.loc["bad", "difference"] == pytest.approx(means["bad"] - means[best])
    assert (found["n_patients"] == PATIENTS).all()


def test_the_highest_ratio_is_best(values):
    rows = table(values)
    rows["dsc"] = 1 / (1 + rows["asd_mm"])
    found = compare_to_best(rows, "dsc").set_index("method")
    assert found.loc["bad", "difference"] < 0
    assert not found.loc["bad", "best"]


def test_a_method_cannot_win_by_failing(values):
    rows = table(values)
    hard = (rows["method"] == "good") & rows["case"].isin(["c0", "c1", "c2"])
    rows.loc[hard, ["tp", "n_pred", "asd_mm", "status"]] = [0, 0, np.nan, "empty-pred"]
    found = compare_to_best(rows, "asd_mm").set_index("method")
    assert not found.loc["good", "best"]
    assert found.loc["good", "mean"] > 90 * 3 / 24


def test_finding_nothing_where_nothing_is_beats_inventing_something():
    rows = table({"quiet": [1.0, 1.0, 0.0], "loud": [1.0, 1.0, np.nan]})
    rows.loc[rows["case"] == "c2", ["tp", "n_ref"]] = 0
    rows.loc[(rows["case"] == "c2") & (rows["method"] == "quiet"), "n_pred"] = 0
    found = compare_to_best(rows, "asd_mm").set_index("method")
    assert found["mean"].to_dict() == pytest.approx({"quiet": 2 / 3, "loud": 92 / 3})


def test_cases_with_nothing_for_anybody_are_left_out():
    rows = table({"x": [1.0, 2.0, 0.0], "y": [2.0, 2.0, 0.0]})
    rows.loc[rows["case"] == "c2", ["tp", "n_pred", "n_ref"]] = 0
    found = compare_to_best(rows, "asd_mm").set_index("method")
    assert found["mean"].to_dict() == {"x": 1.5, "y": 2.0}


def test_organs_that_a_case_does_not_show_do_not_bring_methods_together():
    """As in means: they are left out of the case, not counted as found."""
    rows = pd.concat([table({"x": [1.0, 2.0, 4.0], "y": [2.0, 3.0, 6.0]}, organ=o) for o in "ab"])
    absent = (rows["organ"] == "b") & (rows["case"] == "c2")
    rows.loc[absent, ["tp", "n_pred", "n_ref", "asd_mm"]] = 0
    wide = paired_values(rows, "asd_mm", ["method"])
    means = summarise(rows, "asd_mm", ["method"], level=None).set_index("method")["mean"]
    assert wide.mean().to_dict() == means.to_dict() == {"x": 7 / 3, "y": 11 / 3}


def test_a_mean_that_few_patients_lift_wins_against_nobody_that_ranks_prefer():
    """B is a little better in 27 of 30 patients, A much better in three."""
    scores = np.zeros((30, 2))
    scores[:27, 1] = np.linspace(0.01, 0.02, 27)
    scores[27:, 0] = 0.5, 0.51, 0.52
    best = int(scores.mean(axis=0).argmax())
    p, p_holm = paired_tests(scores, best, chosen_here=True)
    assert best == 0
    assert wilcoxon(scores[:, 0], scores[:, 1]).pvalue < 0.01
    assert p[1] == p_holm[1] == 1
    named, _ = paired_tests(scores, 1, chosen_here=False)
    assert named[0] == 1
    by_other_means, _ = paired_tests(scores, 1, chosen_here=False, means=[0, 1])
    assert by_other_means[0] == pytest.approx(wilcoxon(scores[:, 0], scores[:, 1]).pvalue)


def test_tables_are_compared_one_by_one_and_variants_are_rivals(values):
    rows = pd.concat(
        [table(values), table(values, organ="q"), table({"good": values["bad"]}, variant="x=1")]
    )
    found = compare_to_best(rows, "asd_mm")
    assert found.groupby("organ").size().to_dict() == {"o": 4, "q": 3}
    assert found.groupby("organ")["best"].sum().to_dict() == {"o": 1, "q": 1}


def test_seeds_are_averaged_before_methods_are_compared(values):
    twice = pd.concat([table(values).assign(seed=s) for s in (0, 1)])
    pd.testing.assert_frame_equal(
        compare_to_best(twice, "asd_mm"), compare_to_best(table(values), "asd_mm")
    )


def test_a_reference_named_beforehand(values):
    found = compare_to_best(table(values), "asd_mm", reference="bad").set_index("method")
    assert found.index[found["best"]].tolist() == ["bad"]
    assert np.isnan(found.loc["bad", "p"])
    assert (found["difference"].drop("bad") < 0).all()
    with pytest.raises(ConfigError, match="'worse' is not among bad, good, same"):
        compare_to_best(table(values), "asd_mm", reference="worse")


def test_methods_without_the_same_cases_cannot_be_paired(values):
    rows = table(values)
    rows = rows[~((rows["method"] == "same") & (rows["case"] == "c5"))]
    with pytest.raises(ConfigError, match=r"method same has no row for case c5.*missing-pred"):
        compare_to_best(rows, "asd_mm")
