import numpy as np
import pandas as pd
import pytest

from camzoo.core.errors import CamzooError, ConfigError
from camzoo.evaluate.rows import make_rows
from camzoo.report import reported
from camzoo.report.equivalents import merge_equivalents
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.markdown import table
from camzoo.report.table_cells import p_value
from camzoo.report.tables import (
    pooled_dsc,
    pooled_organ_table,
    pooled_table,
    protocol_table,
    volume_table,
)
from tests.report.run_folders import run_folder

#: tp, n_pred, n_ref of two training and two test cases by protocol; DSC worked out below by hand.
COUNTS = {
    "cam": {"validated": [(30, 60, 40), (10, 20, 40)], "oracle": [(36, 60, 40), (20, 20, 40)]},
    "grad-cam": {"validated": [(20, 60, 40), (10, 20, 40)], "oracle": [(20, 60, 40), (12, 20, 40)]},
}


def records(dataset="acdc", organ="left ventricle"):
    for method, protocols in COUNTS.items():
        for protocol, counts in protocols.items():
            for subset in ("train", "test"):
                for i, (tp, n_pred, n_ref) in enumerate(counts):
                    yield {
                        "run": "r1", "dataset": dataset, "split": "patient", "fold": 0, "seed": 0,
                        "backbone": "resnet50", "stage": "pseudo-mask", "method": method,
                        "variant": "", "supervision": "image", "subset": subset, "organ": organ,
                        "region": "whole", "case": f"{subset}{i}", "patient": f"{subset}{i}",
                        "protocol": protocol, "threshold": 0.4 if protocol == "validated" else 0.5,
                        "tp": tp, "n_pred": n_pred, "n_ref": n_ref,
                        "dsc": 2 * tp / (n_pred + n_ref), "asd_mm": 1.0 + i, "mad_mm": 2.0 + i,
                        "diagonal_mm": 100.0, "status": "ok", "spacing_z": 3.0, "spacing_y": 1.0,
                        "spacing_x": 1.0,
                    }  # fmt: skip


@pytest.fixture
def rows():
    return make_rows(records())


def test_pooled_dsc_by_hand(rows):
    train = rows[(rows.subset == "train") & (rows.method == "cam") & (rows.protocol == "validated")]
    # (30 + 10) x 2 / (60 + 20 + 40 + 40) = 0.5, whereas the mean of 0.6 and 0.333 is 0.467
    assert pooled_dsc(train, ["method"])["dsc"].tolist() == [0.5]


def test_an_organ_that_no_reference_shows_has_a_cell_without_a_number():
    absent = {"organ": "spleen", "n_ref": 0, "tp": 0, "n_pred": 0, "dsc": 1.0}
    both = make_rows([row | more for row in records() for more in ({}, absent)])
    lines = pooled_organ_table(both).set_index("method")
    assert lines.loc["cam", "spleen"] == "nan (oracle nan)"
    assert pooled_table(both).set_index("method").loc["cam", "validated"] == "50.00"


def test_pooled_table_ranks_and_shows_gap_and_paper(rows):
    lines = pooled_table(rows).set_index("method")
    assert list(lines.index) == ["cam", "grad-cam"]
    assert lines.loc["cam"].to_dict() == {
        "supervision": "image", "validated": "50.00", "oracle": "70.00", "gap": "20.00",
        "threshold": "0.40", "paper": "72.01",
    }  # fmt: skip
    assert lines.loc["grad-cam", "paper"] == "69.81"


def test_a_line_without_a_protocol_has_no_number_there(rows):
    """As a record from before there was one, beside newer ones."""
    older = (rows["method"] == "grad-cam") & (rows["protocol"] == "oracle")
    lines = pooled_table(rows[~older]).set_index("method")
    assert lines.loc["grad-cam", ["validated", "oracle", "gap"]].tolist() == [
        "37.50", "n/a", "n/a",
    ]  # fmt: skip
    assert lines.loc["cam", "oracle"] == "70.00"


def test_seeds_give_a_spread(rows):
    other = rows.assign(seed=1, tp=rows["tp"] - 5)
    lines = pooled_table(pd.concat([rows, other])).set_index("method")
    # 50.00 and (25 + 5) x 2 / 160 = 37.50: mean 43.75, sample std 8.84
    assert lines.loc["cam", "validated"] == "43.75 ± 8.84"


def test_volume_table_by_hand(rows):
    lines = volume_table(rows).set_index("method")
    # DSC 60.00 and 33.33: mean 46.67, sample std 18.86; ASD 1 and 2
    assert lines.loc["cam", "DSC (%)"] == "46.67 ± 18.86"
    assert lines.loc["cam", "ASD (mm)"] == "1.50 ± 0.71"
    assert lines.loc["cam", "volumes"] == "2"
    assert lines.loc["cam", "p (Holm)"] == "best"


def test_a_failed_volume_is_counted_not_dropped(rows):
    lost = (rows.case == "test1") & (rows.method == "cam")
    rows.loc[lost, ["tp", "n_pred", "dsc"]] = [0, 0, 0.0]
    rows.loc[lost, ["asd_mm", "mad_mm"]] = np.nan
    line = volume_table(rows).set_index("method").loc["cam"]
    assert line["DSC (%)"] == "30.00 ± 42.43"
    assert line["failed"] == "1"
    assert line["ASD (mm)"] == "1.00"
    assert line["ASD with failures"] == "50.50"  # 1 and the diagonal of 100 mm


def test_every_protocol_has_its_line(rows):
    lines = protocol_table(rows)
    assert lines[["method", "protocol"]].apply(tuple, axis=1).tolist() == [
        ("cam", "validated"), ("cam", "oracle"),
        ("grad-cam", "validated"), ("grad-cam", "oracle"),
    ]  # fmt: skip


def test_organ_table_shows_the_papers_organ():
    organs = ("left kidney", "liver", "right kidney", "spleen")
    rows = make_rows([r for organ in organs for r in records("chaos", organ)])
    lines = pooled_organ_table(rows).set_index("method")
    assert lines.loc["cam", "liver"] == "50.00 (oracle 70.00, paper 58.59)"
    assert pooled_table(rows).set_index("method").loc["cam", "paper"] == "52.66"


def test_the_paper_says_nothing_about_other_organs():
    assert reported.pooled_dsc("acdc", "cam", ("left ventricle",)) == 72.01
    assert reported.pooled_dsc("acdc", "cam", ("left ventricle", "myocardium")) is None
    assert reported.pooled_dsc("phantom-cardiac", "cam", ("left ventricle",)) is None
    assert reported.pooled_dsc("acdc", "no-such-cam", ("left ventricle",)) is None
    assert reported.pooled_dsc_of_organ("chaos", "eigen-cam", "right kidney") == 7.91


def test_methods_equal_by_construction_share_a_line():
    cam = [record for record in records() if record["method"] == "cam"]
    same = [record | {"method": name} for record in cam for name in ("cam", "grad-cam")]
    rows, note = merge_equivalents(make_rows(same), [("cam", "grad-cam", "hires-cam")])
    lines = pooled_table(rows).set_index("method")
    assert list(lines.index) == ["cam = grad-cam"]
    assert lines.loc["cam = grad-cam", "paper"] == "72.01 and 69.81"
    assert note.startswith("cam, grad-cam are one method here by construction")
    assert "at most 0 points" in note


def test_rounding_between_equal_methods_is_told():
    rows, note = merge_equivalents(make_rows(records()), [("cam", "grad-cam")])
    # 36 and 20 true of 60 + 40 voxels at the oracle: DSC 0.72 and 0.40
    assert "at most 32 points" in note
    assert merge_equivalents(rows, [("cam",), ("eigen-cam", "fem")])[1] == ""


def test_markdown_tables():
    frame = pd.DataFrame({"a": ["x|y", "z"], "b": ["1", "2.50"]})
    assert table(frame) == "| a | b |\n|---|---|\n| x\\|y | 1 |\n| z | 2.50 |\n"


def test_pages_are_made_from_records_and_checked(tmp_path, rows):
    out = tmp_path / "leaderboards"
    failures = {"opti-cam": "ValueError: x"}
    run = run_folder(tmp_path / "run", rows, rows, failures=failures)
    (page,) = update_leaderboards([run], out)
    text = page.read_text(encoding="utf-8")
    assert page.name == "acdc.md"
    for part in ("## r1", "organs: left ventricle; view 2", "nominal mm",
                 "| cam | 50.00 | 70.00 | 20.00 | 0.40 | 72.01 |",
                 "opti-cam failed: ValueError: x", "ASD (mm): mean over the surface"):  # fmt: skip
        assert part in text
    check_leaderboards(out)
    page.write_text(text.replace("50.00", "55.00"), encoding="utf-8")
    with pytest.raises(CamzooError, match=r"acdc.md is out of date.*(\n.*)*-\| cam \| 55"):
        check_leaderboards(out)


def test_an_unfinished_run_is_no_record(tmp_path):
    with pytest.raises(
        ConfigError, match=r"rows\.parquet, curves\.parquet, manifest\.json missing"
    ):
        update_leaderboards([tmp_path], tmp_path / "out")
    with pytest.raises(ConfigError, match="holds no records"):
        update_leaderboards([], tmp_path)


def test_no_p_value_is_shown_as_zero():
    shown = [p_value(p) for p in (0.0, 4.9e-4, 5e-4, 0.0314, 1.0)]
    assert shown == ["< 0.001", "< 0.001", "0.001", "0.031", "1.000"]
    assert p_value(float("nan")) == "nan"
