"""Records of one data set as one: every line once, labelled where it has to be, compared fairly."""

import pytest

from camzoo.config import LATER
from camzoo.evaluate.rows import line_name, make_rows
from camzoo.report.board import board_table, boards, cells_table
from camzoo.report.common_cells import common
from camzoo.report.merged import merge
from camzoo.report.records import read_record
from camzoo.report.setting_labels import labels
from tests.report.run_folders import ENVIRONMENT, run_folder
from tests.report.test_segmentation_tables import record as row

TP = {"cam": 30, "layer-cam": 20, "centre": 5}


def rows(methods=("cam",), cells=((0, 0),), more=0, patients=8, **columns):
    """Two subsets of so many patients a fold: DSC of TP + more + patient of 40 and 40 voxels."""
    return [
        row(
            method, i, (TP[method] + more + i, 40, 40), subset, stage="pseudo-mask", fold=fold,
            seed=seed, protocol=protocol, threshold=threshold, case=f"{subset}{fold}-{i}",
            patient=f"{subset}{fold}-{i}", **columns,
        )
        for method in methods for fold, seed in cells for subset in ("train", "test")
        for protocol, threshold in (("validated", 0.4), ("oracle", 0.5)) for i in range(patients)
    ]  # fmt: skip


def record(path, run, records, commit="abc", **changes):
    made = make_rows([r | {"run": run} for r in records])
    folds, seeds = (sorted({int(v) for v in made[name]}) for name in ("fold", "seed"))
    settings = {"data.folds": folds, "seeds": seeds} | changes.pop("settings", {})
    environment = ENVIRONMENT | {"commit": commit}
    curves = made[made["stage"] == "pseudo-mask"]
    folder = run_folder(
        path / run, made, curves, settings=settings, environment=environment, **changes
    )
    return read_record(folder)


def names(frame):
    pairs = frame[["method", "variant"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(line_name(*map(str, pair)) for pair in pairs)


def test_folds_and_seeds_of_a_method_are_put_together_and_no_row_is_twice(tmp_path):
    one = record(tmp_path, "r1", rows(cells=[(0, 0), (1, 0)]))
    two = record(tmp_path, "r2", rows(("cam", "layer-cam"), cells=[(0, 0), (0, 1)]))
    merged = merge([two, one])
    assert names(merged.maps) == ["cam", "layer-cam"]
    keys = ["method", "fold", "seed", "subset", "protocol", "case"]
    assert not merged.maps.duplicated(keys).any()
    assert not merged.curves.duplicated(["method", "fold", "seed", "subset", "threshold"]).any()
    cam = merged.maps[merged.maps["method"] == "cam"]
    cells = set(cam[["fold", "seed"]].itertuples(index=False, name=None))
    assert cells == {(0, 0), (1, 0), (0, 1)}
    assert merge([one, two]).maps.equals(merged.maps)


def test_what_differs_is_said_and_nothing_else(tmp_path):
    one = record(tmp_path, "r1", rows())
    two = record(tmp_path, "r2", rows(more=1), settings={"training.epochs": 7})
    other = record(tmp_path, "r3", rows(more=2, backbone="resnet18"))
    assert names(merge([one]).maps) == ["cam"]
    assert names(merge([one, other]).maps) == ["cam (resnet18)", "cam (resnet50)"]
    epochs = one.manifest["config"]["training"]["epochs"]
    assert names(merge([one, two]).maps) == [f"cam (epochs {epochs})", "cam (epochs 7)"]


def test_code_that_counts_other_voxels_makes_two_lines_of_that_method_alone(tmp_path):
    one = record(tmp_path, "r1", rows(("cam", "centre")), commit="before")
    two = record(tmp_path, "r2", [*rows(("cam",), more=1), *rows(("centre",))], commit="after")
    assert names(merge([one, two]).maps) == ["cam (at after)", "cam (at before)", "centre"]


def test_settings_of_the_unet_divide_baselines_and_not_maps(tmp_path):
    """Two U-Nets; both runs have the same map of CAM."""
    volumes = [row("p-cam", i, (30 + i, 40, 40)) for i in range(3)]
    one = record(tmp_path, "r1", [*rows(patients=3), *volumes])
    wide = {"segmentation.widths": [8, 8, 8, 8, 8]}
    two = record(tmp_path, "r2", [*rows(patients=3), *volumes], settings=wide)
    merged = merge([one, two])
    assert names(merged.maps) == ["cam"]
    assert [name.partition(" (widths")[0] for name in names(merged.baselines)] == ["p-cam"] * 2


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_lines_are_compared_on_what_they_share(tmp_path, order):
    """CAM has a fold more, in which it is worse: its line shows the fold that both have."""
    one = record(tmp_path, "r1", [*rows(), *rows(cells=[(1, 0)], more=-10)])
    two = record(tmp_path, "r2", rows(("layer-cam",)))
    merged = merge([[one, two][k] for k in order])
    board = boards(merged)["maps"]
    assert str(board.common) == "fold 0, seed 0"
    table = board_table(board).set_index("method")
    # (30 + 3.5) / 40 and (20 + 3.5) / 40; 8 patients, all better: p = 2 / 2^8 = 0.0078, one pair
    assert table.loc["cam", "DSC (%)"].startswith("**83.75 ± ")
    assert table.loc["layer-cam", "DSC (%)"].startswith("58.75 ± ")
    assert table.loc["layer-cam", "p (Holm)"] == "0.008"
    every = cells_table(board).set_index("method")
    assert every.loc["cam", "DSC (%)"].startswith("71.25 ± ")  # with the fold of 58.75
    assert every.loc["cam", "folds and seeds"] == "folds 0, 1, seed 0"


@pytest.mark.parametrize("setting", LATER)
def test_records_from_before_a_setting_are_as_those_that_leave_it(tmp_path, setting):
    section, name = setting.split(".")
    old = record(tmp_path, "r1", rows(cells=[(0, 0)]))
    new = record(tmp_path, "r2", rows(cells=[(0, 1)]))
    del old.manifest["config"][section][name]
    merged = merge([old, new])
    assert names(merged.maps) == ["cam"]
    assert set(merged.maps["seed"]) == {0, 1}


def test_records_are_told_apart_by_the_tags_that_were_learnt_from(tmp_path):
    own = record(tmp_path, "r1", rows())
    level = record(tmp_path, "r2", rows(more=-5), settings={"training.tags": "level"})
    assert names(merge([own, level]).maps) == ["cam (tags level)", "cam (tags own)"]


def test_nothing_is_bold_where_patients_are_too_few(tmp_path):
    board = boards(merge([record(tmp_path, "r1", rows(("cam", "centre"), patients=4))]))["maps"]
    table = board_table(board).set_index("method")
    assert table.loc["cam", "p (Holm)"] == "best"
    assert not any("*" in cell for cell in table["DSC (%)"])
    assert table.loc["centre", "supervision"] == "image, control"


def test_lines_of_other_cases_are_shown_and_not_compared(tmp_path):
    one = record(tmp_path, "r1", rows(("cam", "layer-cam")))
    two = record(tmp_path, "r2", rows(("centre",), cells=[(5, 0)]))
    table = board_table(boards(merge([one, two]))["maps"]).set_index("method")
    assert table["p (Holm)"].to_dict() == {
        "cam": "best", "layer-cam": "0.008", "centre": "other cases",
    }  # fmt: skip


def test_a_case_of_the_same_name_and_another_reference_is_another(tmp_path):
    same = rows(("cam",))
    other = [r | {"method": "layer-cam", "n_ref": 41, "dsc": 2 * r["tp"] / 81} for r in same]
    assert len(common(make_rows([r for r in same + other if r["subset"] == "test"])).lines) == 1


def test_labels_are_as_short_as_they_can_be():
    base = {"backbone.name": "a", "training.epochs": "1", "maps.side": "64"}
    assert labels([base], ["quick"]) == [""]
    assert labels([base, base | {"maps.side": "96"}], ["quick", "smoke"]) == ["quick", "smoke"]
    three = [base, base | {"backbone.name": "b"}, base | {"backbone.name": "b", "maps.side": "96"}]
    assert labels(three, ["q", "q", "q"]) == ["a, side 64", "b, side 64", "b, side 96"]
    assert labels([base, {**base, "new": "1"}], ["q", "q"]) == ["new not set", "new 1"]
    steps = [base | {"training.steps": steps} for steps in ("0", "600")]
    assert labels(steps, ["q", "q"]) == ["epochs 1", "steps 600"]  # 0 asks for no number of steps


def test_weights_of_one_file_name_tell_apart_only_what_nothing_else_does():
    one = {"weights": "a.pth", "training.steps": "0"}
    two = {"weights": "a.pth (SHA-256 12…)", "training.steps": "600"}
    assert labels([one, two], ["q", "q"]) == ["steps 0", "steps 600"]
    same = two | {"training.steps": "0"}
    assert labels([one, same], ["q", "q"]) == ["a.pth", "a.pth (SHA-256 12…)"]
    other = two | {"weights": "b.pth"}
    assert labels([one, other], ["q", "q"]) == ["a.pth", "b.pth"]
