import re

import pytest

from camzoo.evaluate.rows import make_rows
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.reported_volumes import reported_volumes
from camzoo.report.segmentation import (
    cost_table,
    learnt_table,
    of_baselines,
    of_maps,
    segmentation_organ_table,
    segmentation_region_table,
    segmentation_table,
)
from camzoo.report.terminal import summary
from tests.report.run_folders import ENVIRONMENT, run_folder

#: tp, n_pred, n_ref of two volumes, and their DSC by hand.
COUNTS = {
    "p-cam": [(30, 60, 40), (10, 20, 40)],  # 60.00 and 33.33
    "c-cam": [(36, 60, 40), (24, 40, 40)],  # 72.00 and 60.00
    "supervised": [(40, 40, 40), (38, 40, 40)],  # 100.00 and 95.00
}


def record(method, i, counts, subset="test", **columns):
    tp, n_pred, n_ref = counts
    return {
        "run": "r1", "dataset": "acdc", "split": "patient", "fold": 0, "seed": 0,
        "backbone": "resnet50", "stage": "segmentation", "method": method, "variant": "",
        "supervision": "mask" if method == "supervised" else "image", "subset": subset,
        "organ": "left ventricle", "region": "whole", "case": f"{subset}{i}",
        "patient": f"{subset}{i}",
        "protocol": "none", "tp": tp, "n_pred": n_pred, "n_ref": n_ref,
        "dsc": 2 * tp / (n_pred + n_ref), "asd_mm": 1.0 + i, "mad_mm": 2.0 + i,
        "diagonal_mm": 100.0, "status": "ok", "spacing_z": 3.0, "spacing_y": 1.0,
        "spacing_x": 1.0, **columns,
    }  # fmt: skip


def records(**columns):
    return [
        record(method, i, counts, **columns)
        for method, both in COUNTS.items()
        for i, counts in enumerate(both)
    ]


def maps():
    protocols = {"validated": 0.4, "oracle": 0.5}
    return [
        record(
            "cam", i, counts, subset, stage="pseudo-mask", protocol=protocol, threshold=threshold,
        )
        for subset in ("train", "test")
        for protocol, threshold in protocols.items()
        for i, counts in enumerate(COUNTS["p-cam"])
    ]  # fmt: skip


def learnt():
    return [
        record("p-cam", i, counts, "train", stage="pseudo-mask")
        for i, counts in enumerate(COUNTS["p-cam"])
    ]


def test_means_of_seeds_show_how_far_they_lie_apart():
    worse = [record("p-cam", i, (0, 20, 40), seed=1) for i in range(2)]
    lines = segmentation_table(make_rows([*records(), *worse])).set_index("method")
    assert lines.loc["p-cam", "seeds"] == "0.0 to 46.7"  # (60 + 33.33) / 2 with the first seed
    assert lines.loc["c-cam", "seeds"] == ""
    assert "seeds" not in segmentation_table(make_rows(records()))


def test_the_best_weak_baseline_is_what_others_are_compared_with():
    lines = segmentation_table(make_rows(records())).set_index("method")
    assert list(lines.index[:3]) == ["supervised", "c-cam", "p-cam"]
    c_cam = lines.loc["c-cam"]
    assert c_cam["DSC (%)"] == "66.00 ± 8.49"  # 72 and 60: sample std 12 / sqrt 2
    assert c_cam["ASD (mm)"] == "1.50 ± 0.71"
    assert (c_cam["p (Holm)"], lines.loc["p-cam", "p (Holm)"]) == ("best", "too few")
    assert lines.loc["supervised", "p (Holm)"] == ""
    assert c_cam["paper DSC (%)"] == "87.54 ± 7.77"
    assert c_cam["paper MAD (mm)"] == "1.17 ± 0.24"
    assert lines.loc["supervised", "paper DSC (%)"] == "n/a"


@pytest.mark.parametrize(
    ("patients", "methods", "shown"),
    [(5, 2, "too few"), (6, 2, "0.031"), (6, 3, "too few"), (7, 3, "0.047")],
)
def test_p_stands_where_patients_are_enough_for_one(patients, methods, shown):
    """c-cam wins on all of them: the smallest p of n patients is 2 / 2^n; 3 lines are 3 pairs."""
    hits = {"c-cam": 20, "p-cam": 10, "conta": 5}
    lines = [
        record(method, i, (hits[method] + i, 40, 40))
        for method in list(hits)[:methods]
        for i in range(patients)
    ]
    table = segmentation_table(make_rows(lines)).set_index("method")
    assert table.loc["p-cam", "p (Holm)"] == shown


def test_baselines_of_the_paper_that_are_missing_are_said_to_be():
    lines = segmentation_table(make_rows(records()), failed=["conta"]).set_index("method")
    assert list(lines.index[3:]) == ["conta", "affinitynet", "bes", "irnet", "issoc", "sizeloss"]
    assert lines.loc["conta", "DSC (%)"] == "failed"
    assert lines.loc["bes", "DSC (%)"] == "not run"
    assert lines.loc["bes", "paper ASD (mm)"] == "2.49 ± 1.41"


def test_other_organs_and_data_have_no_paper_beside_them():
    for other in ({"organ": "myocardium"}, {"dataset": "phantom"}):
        lines = segmentation_table(make_rows(records(**other)))
        assert len(lines) == 3
        assert not any(str(column).startswith("paper") for column in lines)


def test_a_baseline_that_lacks_cases_is_no_rival():
    rows = [r for r in records() if (r["method"], r["case"]) != ("p-cam", "test1")]
    lines = segmentation_table(make_rows(rows)).set_index("method")
    assert lines.loc["p-cam", "DSC (%)"] == "60.00"
    assert "p (Holm)" not in lines.columns  # nobody is left to compare c-cam with


def test_a_baseline_that_lacks_a_seed_is_no_rival_either_and_stands_below():
    rows = [r | {"seed": seed} for seed in (0, 1) for r in records()]
    rows = [r for r in rows if (r["method"], r["seed"]) != ("c-cam", 1)]
    lines = segmentation_table(make_rows(rows))
    assert list(lines["method"][:3]) == ["supervised", "p-cam", "c-cam"]
    assert lines.set_index("method").loc["c-cam", "volumes"].endswith(" (incomplete)")
    assert "p (Holm)" not in lines.columns


def test_two_that_each_lack_a_fold_still_make_a_table():
    lacking = {("p-cam", "test0"), ("c-cam", "test1")}
    rows = [r for r in records() if (r["method"], r["case"]) not in lacking]
    lines = segmentation_table(make_rows(rows)).set_index("method")
    assert lines["volumes"].str.endswith(" (incomplete)")[["p-cam", "c-cam"]].all()
    assert lines.loc["supervised", "volumes"] == "2"


@pytest.mark.parametrize("seen", ["image+seed", "image+sam"])
def test_marks_cut_from_masks_and_masks_of_other_images_are_no_rivals_of_tags(seen):
    marked = [r | {"method": "sizeloss", "supervision": seen} for r in records()[2:4]]
    lines = segmentation_table(make_rows([*records(), *marked])).set_index("method")
    assert lines.loc["sizeloss", "p (Holm)"] == ""
    assert lines.loc["c-cam", "p (Holm)"] == "best"


def test_table_3_has_a_block_per_region():
    rows = [
        r | {"region": region, "dataset": "promri", "organ": "prostate"}
        for region in ("whole", "apex", "mid", "base")
        for r in records()
    ]
    lines = segmentation_region_table(make_rows(rows))
    assert list(dict.fromkeys(lines["region"])) == ["whole", "apex", "mid", "base"]
    base = lines[(lines["region"] == "base") & (lines["method"] == "c-cam")].iloc[0]
    assert base["paper DSC (%)"] == "85.31 ± 4.76"
    assert base["paper ASD (mm)"] == "3.22 ± 1.19"
    assert len(segmentation_region_table(make_rows(records()))) == 0


def test_the_papers_numbers_are_found_by_region():
    apex = reported_volumes("promri", ("prostate",), "apex")
    assert apex["issoc"] == {
        "dsc": "68.40 ± 10.48", "asd_mm": "6.30 ± 2.49", "mad_mm": "6.09 ± 3.23",
    }  # fmt: skip
    assert reported_volumes("promri", ("peripheral zone",)) == {}
    assert reported_volumes("chaos", ("liver",)) == {}


def test_organs_stand_side_by_side():
    rows = make_rows([*records(organ="liver"), *records(organ="spleen")])
    line = segmentation_organ_table(rows).set_index("method").loc["c-cam"]
    assert line["liver"] == line["spleen"] == "66.00 ± 8.49"


def test_learnt_labels_are_pooled_apart_from_maps_of_the_same_name():
    rows = make_rows([*records(), *learnt(), *maps()])
    lines = learnt_table(of_baselines(rows)).set_index("method")
    # (30 + 10) x 2 / (60 + 20 + 40 + 40) = 0.5; volumes 60.00 and 33.33
    assert lines.loc["p-cam", "pooled DSC (%)"] == "50.00"
    assert lines.loc["p-cam", "DSC of volumes (%)"] == "46.67 ± 18.86"
    assert set(of_maps(rows)["method"]) == {"cam"}
    assert len(learnt_table(make_rows(records()))) == 0


COSTS = [
    {
        "fold": 0, "seed": seed, "method": "p-cam", "resumed": seed == 1,
        "maps": {"seconds": 90.0, "memory_mib": 80.0, "resumed": False},
        "fit": {"seconds": seconds, "memory_mib": 100.0 + seed, "cuda_mib": None},
        "predict": {"seconds": 30.0, "memory_mib": 90.0, "cuda_mib": None},
        "images_per_second": rate, "predictions": "store/segment/1f/predictions",
        "environment": ENVIRONMENT,
    }
    for seed, seconds, rate in ((0, 60.0, 40.0), (1, 180.0, None))
]  # fmt: skip


def test_costs_are_averaged_over_cells():
    line = cost_table(COSTS).iloc[0].to_dict()
    assert line == {
        "method": "p-cam", "maps": "1.5 min", "training": "2.0 min *", "segmenting": "30.0 s",
        "memory (MiB)": "101", "GPU memory (MiB)": "n/a", "U-Net, images per second": "40.0",
    }  # fmt: skip


def test_costs_are_in_the_order_of_what_a_baseline_took_in_all():
    free = COSTS[0]["maps"] | {"seconds": 0.0}
    lines = [
        COSTS[0] | {"method": "irnet"},  # 90 s of maps and 60 s
        COSTS[0] | {"method": "unknown", "maps": free | {"seconds": None}},
        COSTS[0] | {"method": "conta", "maps": free, "fit": COSTS[1]["fit"]},  # 180 s
        COSTS[0] | {"method": "centre", "maps": free},
    ]
    assert cost_table(lines)["method"].tolist() == ["centre", "irnet", "conta", "unknown"]


def test_steps_whose_time_is_not_known_are_not_shown_as_free():
    unknown = COSTS[0] | {"maps": {"seconds": None, "memory_mib": None, "resumed": False}}
    assert cost_table([unknown])["maps"].tolist() == ["n/a"]
    resumed = COSTS[0] | {"maps": {"seconds": 5.0, "memory_mib": 900.0, "resumed": True}}
    line = cost_table([resumed]).iloc[0]
    assert (line["maps"], line["training"], line["memory (MiB)"]) == ("5.0 s *", "1.0 min", "900")


@pytest.mark.parametrize(("seconds", "text"), [(5.04, "5.0 s"), (90, "1.5 min"), (5400, "1.5 h")])
def test_durations_are_readable(seconds, text):
    cost = COSTS[0] | {"fit": COSTS[0]["fit"] | {"seconds": seconds}}
    assert cost_table([cost])["training"].tolist() == [text]


def run(path, rows, costs=None):
    failures = {"baseline conta": "ValueError: no"}
    settings = {"segmentation.widths": [8, 8, 8, 16, 16]}
    curves = make_rows(maps())
    return run_folder(path, make_rows(rows), curves, costs, settings=settings, failures=failures)


def test_the_page_has_a_part_about_baselines_and_stays_reproducible(tmp_path):
    boards = tmp_path / "boards"
    folder = run(tmp_path / "r1", [*maps(), *records(), *learnt()], COSTS[:1])
    (page,) = update_leaderboards([folder], boards)
    text = page.read_text(encoding="utf-8")
    for heading in (
        "## Weakly supervised systems: test volumes", "### Labels that baselines learnt",
        "### What baselines took", "- baseline conta failed: ValueError: no",
        "U-Net: 256 pixels, widths 8, 8, 8, 16, 16, 100 epochs, batches of 16",
    ):  # fmt: skip
        assert heading in text
    assert "| conta |  | failed |" in text
    check_leaderboards(boards)


def test_without_baselines_the_page_is_as_it_was(tmp_path):
    boards = tmp_path / "boards"
    (page,) = update_leaderboards([run(tmp_path / "r1", maps())], boards)
    text = page.read_text(encoding="utf-8")
    assert "no baseline was run" in text
    assert not re.search("^##+ .*(aseline|ystems)", text, re.MULTILINE)
    assert not (boards / "records" / "r1" / "costs.json").exists()


def test_the_terminal_shows_what_was_run():
    assert len(summary(make_rows(maps()))) == 2
    table = summary(make_rows([*maps(), *records()]))[2]
    assert table.title == "Baselines: volumes of the test patients"
    assert table.row_count == 3
