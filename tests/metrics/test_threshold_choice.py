import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import ConfigError
from camzoo.metrics.curves import curve_records
from camzoo.metrics.overlap import dice
from camzoo.metrics.sweep import threshold_sweep
from camzoo.metrics.threshold_choice import (
    Protocol,
    apply_protocol,
    choose_threshold,
)

THRESHOLDS = np.round(np.arange(0.05, 1, 0.05), 2)
COUNTS = ["tp", "n_pred", "n_ref"]


def case(method, name, patient, subset, seed, centre):
    """Maps whose best threshold lies near ``centre``; 0.1 above it, their masks look best."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, (3, 12, 14))
    maps = np.stack(
        [
            np.clip(centre - 0.15 + 0.3 * (labels == c) + rng.normal(0, 0.12, labels.shape), 0, 1)
            for c in (1, 2)
        ]
    )
    counts = threshold_sweep(maps, labels, THRESHOLDS)
    suits = -abs(THRESHOLDS - centre - 0.1) * np.ones((2, 1))
    return curve_records(
        counts, ["l", "r"], suits, method=method, case=name, patient=patient, subset=subset
    )


@pytest.fixture(scope="module")
def curves():
    frames = []
    for m, (method, shift) in enumerate([("a", 0.0), ("b", 0.1)]):
        frames += [
            case(method, f"t{i}", f"p{i // 2}", "test", 50 * m + i, 0.35 + shift + 0.02 * i)
            for i in range(8)
        ]
        frames += [case(method, f"v{i}", f"q{i}", "val", 70 * m + i, 0.4 + shift) for i in range(3)]
    return pd.concat(frames, ignore_index=True)


def pooled_mean(curves, threshold):
    """Mean over organs of the pooled DSC, the long way."""
    at = curves[curves["threshold"] == threshold]
    return np.mean([dice(*part[COUNTS].sum()) for _, part in at.groupby("organ")])


@pytest.mark.parametrize("subset", ["val", "test"])
def test_choose_threshold_finds_the_best_of_all(curves, subset):
    mine = curves[(curves["method"] == "a") & (curves["subset"] == subset)]
    chosen = choose_threshold(mine)
    assert pooled_mean(mine, chosen) == max(pooled_mean(mine, t) for t in THRESHOLDS)


def test_rows_hold_the_counts_at_the_chosen_threshold(curves):
    rows = apply_protocol(curves, Protocol.VALIDATED)
    assert len(rows) == 2 * 8 * 2
    assert set(rows["subset"]) == {"test"}
    assert set(rows["protocol"]) == {"validated"}
    joined = rows.merge(curves, on=["method", "case", "organ", "threshold"], suffixes=("", "_c"))
    assert len(joined) == len(rows)
    for name in COUNTS:
        assert (joined[name] == joined[f"{name}_c"]).all()
    np.testing.assert_allclose(rows["dsc"], dice(*(rows[name] for name in COUNTS)))


def test_each_method_gets_the_threshold_of_its_validation_patients(curves):
    rows = apply_protocol(curves, Protocol.VALIDATED)
    for method in ("a", "b"):
        mine = curves[(curves["method"] == method) & (curves["subset"] == "val")]
        assert rows.loc[rows["method"] == method, "threshold"].unique() == choose_threshold(mine)


def test_oracle_looks_at_the_scored_subset(curves):
    rows = apply_protocol(curves, Protocol.ORACLE, scored="val")
    mine = curves[(curves["method"] == "b") & (curves["subset"] == "val")]
    assert rows.loc[rows["method"] == "b", "threshold"].unique() == choose_threshold(mine)


def test_oracle_per_case_is_the_best_of_each_case(curves):
    rows = apply_protocol(curves, Protocol.ORACLE_CASE)
    for (method, name), part in rows.groupby(["method", "case"]):
        mine = curves[(curves["method"] == method) & (curves["case"] == name)]
        best = mine.assign(dsc=dice(mine["tp"], mine["n_pred"], mine["n_ref"]))
        assert part["dsc"].mean() == pytest.approx(best.groupby("threshold")["dsc"].mean().max())


def test_cross_validation_never_looks_at_the_patient_it_scores(curves):
    rows = apply_protocol(curves, Protocol.CROSS_VALIDATED)
    for method in ("a", "b"):
        test = curves[(curves["method"] == method) & (curves["subset"] == "test")]
        for patient in ("p0", "p3"):
            chosen = rows[(rows["method"] == method) & (rows["patient"] == patient)]["threshold"]
            # 4 patients, 4 folds: the others are all patients but this one.
            assert chosen.unique() == choose_threshold(test[test["patient"] != patient])


def test_spoiling_a_scored_case_moves_only_the_oracles(curves):
    spoiled = curves.copy()
    test = spoiled["subset"] == "test"
    spoiled.loc[test, "tp"] = (
        spoiled.loc[test, "tp"] * (spoiled.loc[test, "threshold"] > 0.9)
    ).astype(int)
    moved = {
        p: not apply_protocol(curves, p, fixed=0.5)["threshold"].equals(
            apply_protocol(spoiled, p, fixed=0.5)["threshold"]
        )
        for p in Protocol
    }
    assert [p.value for p, m in moved.items() if m] == ["oracle-case", "oracle", "cross-validated"]


def test_fixed_takes_a_threshold_that_was_swept(curves):
    assert set(apply_protocol(curves, Protocol.FIXED, fixed=0.3)["threshold"]) == {0.3}
    with pytest.raises(ConfigError, match=r"0\.33 was not swept, the nearest one is 0\.35"):
        apply_protocol(curves, Protocol.FIXED, fixed=0.33)
    with pytest.raises(ConfigError, match="needs its threshold"):
        apply_protocol(curves, Protocol.FIXED)


def test_mask_free_takes_what_suits_the_validation_patients_in_the_mean(curves):
    rows = apply_protocol(curves, Protocol.MASK_FREE)
    # They are centred at 0.4 and 0.5, and masks look best 0.1 above.
    found = rows.groupby("method")["threshold"].unique()
    assert [t.tolist() for t in found] == [[0.5], [0.6]]


def test_mask_free_leaves_organs_and_cases_without_a_map_out():
    frames = []
    for name, left, right in (("a", [0, 3, 1], [9, 0, 0]), ("b", [0, 1, 4], [np.nan] * 3)):
        counts = threshold_sweep(np.zeros((2, 4)), np.ones(4, dtype=int), [0.2, 0.4, 0.6])
        suits = np.array([left, right], float)
        frames.append(curve_records(counts, ["l", "r"], suits, case=name, patient=name))
    curves = pd.concat(frames).assign(subset="val")
    # Left: means 0, 2, 2.5; right: 9, 0, 0 of one case. Together 4.5, 1, 1.25.
    (chosen,) = apply_protocol(curves, Protocol.MASK_FREE, scored="val")["threshold"].unique()
    assert chosen == 0.2
    nothing = curves.assign(suitability=np.nan)  # no map anywhere: all masks are empty
    (chosen,) = apply_protocol(nothing, Protocol.MASK_FREE, scored="val")["threshold"].unique()
    assert chosen == 0.4


def test_mask_free_needs_somebody_to_have_looked(curves):
    with pytest.raises(ConfigError, match="sweep the maps with their scans"):
        apply_protocol(curves.drop(columns="suitability"), Protocol.MASK_FREE)


def otsu_by_hand(values, thresholds):
    """Largest between-class variance, voxel by voxel, from values rounded to bin centres."""
    step = thresholds[1] - thresholds[0]
    values = values[values > thresholds[0]]
    centres = thresholds[np.searchsorted(thresholds, values) - 1] + step / 2
    between = []
    for t in thresholds:
        low, high = centres[centres < t], centres[centres > t]
        share = len(low) * len(high)
        between.append(share * (low.mean() - high.mean()) ** 2 if share else 0)
    return thresholds[np.argmax(between)]


def test_otsu_needs_no_masks():
    rng = np.random.default_rng(0)
    maps = np.concatenate([rng.normal(0.3, 0.05, 600), rng.normal(0.7, 0.05, 200)]).clip(0, 1)
    counts = threshold_sweep(maps[None], np.zeros(800, dtype=int), THRESHOLDS)
    curves = curve_records(counts, ["o"], case="c", patient="p", subset="test")
    (chosen,) = apply_protocol(curves, Protocol.OTSU)["threshold"].unique()
    assert chosen == otsu_by_hand(maps, THRESHOLDS)
    assert 0.4 < chosen < 0.6


def test_otsu_of_a_map_without_evidence_keeps_the_lowest_threshold():
    counts = threshold_sweep(np.zeros((1, 9)), np.ones(9, dtype=int), [0.2, 0.4])
    curves = curve_records(counts, ["o"], case="c", patient="p", subset="test")
    assert apply_protocol(curves, Protocol.OTSU)["threshold"].tolist() == [0.2]


def test_a_single_threshold_can_be_swept(curves):
    single = curves[curves["threshold"] == 0.4]
    for protocol in Protocol:
        assert set(apply_protocol(single, protocol, fixed=0.4)["threshold"]) == {0.4}


def test_nothing_to_choose_on_is_an_error(curves):
    empty = curves.assign(n_ref=0, tp=0)
    with pytest.raises(ConfigError, match="no threshold can be chosen"):
        choose_threshold(empty[(empty["method"] == "a") & (empty["subset"] == "val")])
    with pytest.raises(ConfigError, match="no case of the subset 'val'"):
        apply_protocol(curves[curves["subset"] == "test"], Protocol.VALIDATED)
    one_patient = curves[curves["patient"] == "p0"]
    with pytest.raises(ConfigError, match="at least 2 patients"):
        apply_protocol(one_patient, Protocol.CROSS_VALIDATED)


def test_seeds_and_folds_get_thresholds_of_their_own(curves):
    mine = curves[curves["method"] == "a"].drop(columns="method")
    other = curves[curves["method"] == "b"].drop(columns="method")
    both = pd.concat([mine.assign(method="a", seed=0), other.assign(method="a", seed=1)])
    by_seed = apply_protocol(both, Protocol.VALIDATED).groupby("seed")["threshold"].unique()
    assert by_seed[0] != by_seed[1]


def test_every_protocol_says_what_it_means():
    assert len({p.meaning for p in Protocol}) == len(Protocol)
