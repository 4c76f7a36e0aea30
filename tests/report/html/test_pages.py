"""A report is complete, says what the rows say, and is inert."""

import base64
import json
import re
import shutil
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

from camzoo.cams.map_files import MapFiles
from camzoo.cli.app import app
from camzoo.core.errors import ConfigError, DamagedError
from camzoo.core.text import plain
from camzoo.evaluate.rows import make_rows
from camzoo.harness.manifest import read_manifest
from camzoo.metrics.summary import summarise
from camzoo.metrics.sweep import apply_threshold, threshold_sweep
from camzoo.report.folder import write_report
from camzoo.report.table_cells import spread
from tests.report.hostile import FRAMED
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import maps


def data_of(report, name="report"):
    """What a script under data/ hands to the page."""
    text = (report / "data" / f"{name}.js").read_text("ascii")
    name_given, value = json.loads(re.fullmatch(r"camzoo\.receive\((.*)\);\n", text)[1].join("[]"))
    assert name_given == name
    return value


def small_run(folder, rows=None, **changes):
    rows = make_rows(maps() if rows is None else rows)
    return run_folder(folder, rows, rows, **changes)


def unpacked(text, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).reshape(shape)


def test_a_report_is_complete(report):
    page = (report / "index.html").read_text("utf-8")
    named = re.findall(r'(?:src|href)="((?:parts|data)/[^"]+)"', page)
    assert len(named) == 13
    for name in named:
        assert (report / name).is_file(), name
    for entry in data_of(report)["cases"]:
        assert (report / "data" / f"{entry['file']}.js").is_file()
    for part in ("summary", "scores", "cases", "curves", "costs", "failures", "words"):
        assert f'<section id="{part}">' in page
    summary_list = page.partition("<dl")[2].partition("</dl>")[0]
    assert summary_list.count("<dt>") == 10


def test_nothing_in_a_report_is_fetched_from_a_network(report):
    """Addresses are the namespace of SVG and the one in the head of uPlot's licence."""
    found = {
        address
        for path in report.rglob("*")
        if path.is_file() and path.name != "LICENCES.txt"
        for address in re.findall(r"(?:https?:|wss?:)//[^\s\"'`)\\]+", path.read_text("utf-8"))
    }
    assert found == {"http://www.w3.org/2000/svg", "https://github.com/leeoniya/uPlot"}
    page = (report / "index.html").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy[1]
    assert "connect-src" not in policy[1]


def test_licences_travel_with_the_parts(report):
    text = (report / "parts" / "LICENCES.txt").read_text("utf-8")
    assert text.count("Permission is hereby granted, free of charge") == 3
    for owner in ("Oli Folkerd", "Leon Sorokin", "Arjun Barrett"):
        assert owner in text


def test_scores_are_those_of_the_rows(report, finished):
    lines = [
        line for line in data_of(report)["scores"]
        if line["what"].endswith("test patients") and line["region"] == "whole"
    ]  # fmt: skip
    for organ in ("mean of organs", *finished.rows["organ"].unique()):
        for protocol in finished.rows["protocol"].unique():
            for method in ("cam", "grad-cam++", "centre"):
                rows = finished.rows[
                    (finished.rows["subset"] == "test") & (finished.rows["method"] == method)
                    & (finished.rows["region"] == "whole") & (finished.rows["protocol"] == protocol)
                ]  # fmt: skip
                if organ != "mean of organs":
                    rows = rows[rows["organ"] == organ]
                (line,) = [
                    line for line in lines
                    if organ == line["organ"] and line["protocol"] == protocol
                    and method in line["method"].split(" = ")
                ]  # fmt: skip
                (expected,) = summarise(rows, "dsc", ["method"]).to_dict("records")
                assert line["DSC (%)"] == spread(expected, 100)
                assert line["volumes"] == str(int(expected["n"]))


def test_pooled_dsc_of_a_run_worked_out_by_hand(tmp_path):
    """Volumes of (30, 60, 40) and (10, 20, 40) voxels: 2 * 40 / (80 + 80)."""
    report = write_report([small_run(tmp_path / "run")], tmp_path / "out").parent
    (line,) = [
        line for line in data_of(report)["scores"]
        if "test patients" in line["what"] and line["protocol"] == "validated"
    ]  # fmt: skip
    assert line["pooled DSC (%)"] == "50.00"
    assert line["threshold"] == "0.40"


def test_curves_are_marked_where_protocols_cut(report, finished):
    curve = next(line for line in data_of(report)["curves"] if "cam" in line["method"].split(" = "))
    rows = finished.rows[(finished.rows["method"] == "cam") & (finished.rows["subset"] == "train")]
    for mark in curve["marks"]:
        mine = rows[(rows["protocol"] == mark["protocol"]) & (rows["region"] == "whole")]
        assert mark["threshold"] == pytest.approx(mine["threshold"].mean())
        if mark["protocol"] != "otsu":  # a threshold of its own for each case
            at = int(np.abs(np.subtract(curve["thresholds"], mark["threshold"])).argmin())
            assert curve["thresholds"][at] == pytest.approx(mark["threshold"])
            assert mark["dsc"] == pytest.approx(curve["dsc"][at], abs=1e-3)


def test_counts_and_pictures_of_a_case_are_those_of_its_maps(report, finished):
    """At every tenth level of every method, from maps as the store has them."""
    entry = data_of(report)["cases"][0]
    case = data_of(report, entry["file"])
    info = finished.prepared.cases[entry["case"]]
    label = finished.prepared.vault.for_evaluation().label(entry["case"])
    assert len(entry["organs"]) > 1
    assert case["levels"] == sorted(set(case["levels"]))
    for method in case["methods"]:
        volume = MapFiles.open(finished.maps[method["name"]]).volume(info).numpy()
        bins = unpacked(method["bins"], case["shape"])
        winners = unpacked(method["winners"], case["shape"])
        for k in range(0, len(case["levels"]), 10):
            mask = apply_threshold(volume, case["levels"][k])
            drawn = info.plane.cut(mask)
            # Rows and columns without body are cropped; nothing is thinned at 64 voxels.
            assert set(np.unique(winners * (bins > k))) == set(np.unique(drawn))
            for c in range(1, len(entry["organs"]) + 1):
                assert method["nPred"][c - 1][k] == (mask == c).sum()
                assert method["tp"][c - 1][k] == ((mask == c) & (label == c)).sum()
                assert case["nRef"][c - 1] == (label == c).sum()


def test_levels_hold_the_thresholds_of_rows_and_give_their_dsc(report, finished):
    rows = finished.rows[(finished.rows["subset"] == "test") & (finished.rows["region"] == "whole")]
    for entry in data_of(report)["cases"]:
        case = data_of(report, entry["file"])
        for method in case["methods"]:
            mine = rows[(rows["case"] == entry["case"]) & (rows["method"] == method["name"])]
            assert set(method["thresholds"]) == set(mine["protocol"])
            for row in mine.itertuples():
                k = int(np.argmin(np.abs(np.array(case["levels"]) - row.threshold)))
                c = entry["organs"].index(row.organ)
                total = method["nPred"][c][k] + case["nRef"][c]
                dsc = 2 * method["tp"][c][k] / total if total else 1.0
                assert dsc == pytest.approx(row.dsc, abs=1e-3), (method["name"], row.protocol)


def test_the_worst_the_median_and_the_best_case_come_first(report):
    entries = data_of(report)["cases"]
    assert [entry["standing"] for entry in entries] == ["worst", "median", "best"]
    scores = [entry["dsc"] for entry in entries]
    assert scores == sorted(scores)


def test_every_fold_and_seed_has_its_own_cases(crossed, tmp_path):
    report = write_report([crossed.folder], tmp_path / "out", cases=3).parent
    entries = data_of(report)["cases"]
    cells = read_manifest(crossed.folder)["cells"]
    assert len(cells) == 4
    offered = {}
    for cell in cells:
        mine = [e for e in entries if (e["fold"], e["seed"]) == (cell["fold"], cell["seed"])]
        offered[cell["fold"], cell["seed"]] = [(e["case"], e["standing"], e["dsc"]) for e in mine]
        assert len(mine) == 2  # the share of one of two folds in three cases
        for entry in mine:
            require_own(data_of(report, entry["file"]), crossed, cell, entry["case"])
    for fold in (0, 1):  # seeds of a fold can be compared
        assert offered[fold, 0] == offered[fold, 1]
    assert offered[0, 0] != offered[1, 0]
    files = [path.name for path in (report / "data").glob("case-*")]
    assert sorted(files) == sorted(f"{entry['file']}.js" for entry in entries)


def require_own(shown, run, cell, case):
    """Counts and thresholds of a case are those of the maps and rows of its fold and seed."""
    info, rows = run.prepared.cases[case], run.rows
    label = run.prepared.vault.for_evaluation().label(case)
    rows = rows[(rows["fold"] == cell["fold"]) & (rows["seed"] == cell["seed"])]
    rows = rows[(rows["case"] == case) & (rows["subset"] == "test")]
    assert {method["name"] for method in shown["methods"]} == set(cell["maps"])
    for method in shown["methods"]:
        maps = MapFiles.open(run.folder.parent / "store" / cell["maps"][method["name"]])
        counted = threshold_sweep(maps.volume(info).numpy(), label, shown["levels"])
        assert method["tp"] == counted.tp.tolist()
        assert method["nPred"] == counted.n_pred.tolist()
        mine = rows[rows["method"] == method["name"]]
        assert method["thresholds"] == dict(zip(mine["protocol"], mine["threshold"], strict=True))


def test_the_report_of_a_phantom_is_small(report):
    assert sum(path.stat().st_size for path in report.rglob("*") if path.is_file()) < 5 << 20


def test_a_report_is_the_same_byte_for_byte(report, finished, tmp_path):
    again = write_report([finished.folder], tmp_path / "again").parent
    for path in report.rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(report)).read_bytes(), path


def test_a_run_without_its_store_goes_without_pictures(finished, report, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    page = write_report([tmp_path / "run"], tmp_path / "out")
    text = page.read_text("utf-8")
    assert "its maps are gone" in text
    assert 'id="viewer"' not in text
    assert data_of(page.parent)["cases"] == []
    assert data_of(page.parent)["scores"] == data_of(report)["scores"]


def test_scans_of_patients_stay_out_unless_asked_for(finished, tmp_path):
    """The run is made to say that it is of real data."""
    runs = tmp_path / "runs"
    shutil.copytree(finished.folder.parent, runs)
    run = runs / finished.folder.name
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest["config"]["data"]["name"] = "chaos"
    manifest["dataset"] |= {"licence": "CC BY-SA 4.0", "citation": "Kavur et al."}
    (run / "manifest.json").write_text(json.dumps(manifest))
    for path in run.glob("*SUMS*"):
        path.unlink()
    del manifest["schema"]  # as runs from before checksums
    (run / "manifest.json").write_text(json.dumps(manifest))
    page = write_report([run], tmp_path / "out")
    assert "stay out of a report" in page.read_text("utf-8")
    assert not list((page.parent / "data").glob("case-*"))
    page = write_report([run], tmp_path / "out", include_images=True, cases=1)
    assert "Licence: CC BY-SA 4.0. Cite: Kavur et al." in page.read_text("utf-8")
    assert len(list((page.parent / "data").glob("case-*"))) == 1


def test_a_manifest_cannot_lead_out_of_the_store(finished, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    assert read_manifest(run)["cells"][0]["maps"].keys() == {"cam", "grad-cam++", "centre"}
    for place in ("../../etc", "/etc/0", "maps/../../0"):
        manifest["cells"][0]["maps"]["cam"] = place
        (run / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(DamagedError):
            read_manifest(run)


@pytest.mark.parametrize("name", FRAMED)
def test_hostile_names_are_text(tmp_path, name):
    hostile = FRAMED[name]
    rows = [row | {"organ": hostile} for row in maps()]
    extra = {"failures": {hostile: hostile}}
    run = small_run(tmp_path / "run", rows, **extra)
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    manifest["dataset"] |= {"title": hostile, "caveats": [hostile], "licence": hostile}
    (run / "manifest.json").write_text(json.dumps(manifest))
    report = write_report([run], tmp_path / "out").parent
    page = (report / "index.html").read_text("utf-8")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "</table" not in page
    assert page.count("<script") == 7
    assert all(character.isprintable() or character == "\n" for character in page)
    assert data_of(report)["failures"][0]["method"] == plain(hostile)


def test_failed_cases_are_listed_with_the_reason(tmp_path):
    lost = [
        row | {"method": "lost", "tp": 0, "n_pred": 0, "dsc": 0.0, "asd_mm": None, "mad_mm": None}
        | {"status": "empty-pred"}
        for row in maps()
        if row["protocol"] == "validated"
    ]  # fmt: skip
    run = small_run(tmp_path / "run", [*maps(), *lost], failures={"gone": "it has no such layer"})
    lines = data_of(write_report([run], tmp_path / "out").parent)["failures"]
    assert [x["reason"] for x in lines if x["method"] == "gone"] == ["it has no such layer"]
    mine = [line for line in lines if line["method"] == "lost"]
    assert len(mine) == 4
    assert {line["reason"] for line in mine} == {"the mask is empty, though the organ is there"}


def test_only_a_report_is_replaced(finished, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something else than a report"):
        write_report([finished.folder], out)
    assert (out / "thesis.txt").read_text("utf-8") == "years of work"
    (out / "thesis.txt").unlink()
    write_report([finished.folder], out, cases=0)
    write_report([finished.folder], out, cases=1)
    assert len(data_of(out)["cases"]) == 1


def test_runs_are_named_once(finished, tmp_path):
    with pytest.raises(ConfigError, match="both the run"):
        write_report([finished.folder, finished.folder], tmp_path / "out")
    with pytest.raises(ConfigError, match="name the folder of a run"):
        write_report([], tmp_path / "out")


def test_the_command_says_where_the_page_is(tmp_path):
    run, out = small_run(tmp_path / "run"), tmp_path / "out"
    ended = CliRunner().invoke(app, ["report", str(run), "--out", str(out), "--json"])
    assert json.loads(ended.stdout) == {"report": str(out / "index.html")}
    assert (out / "index.html").is_file()
