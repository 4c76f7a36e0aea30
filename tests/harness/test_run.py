import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from camzoo.cams.base import CamMethod, cams
from camzoo.cams.map_files import MapFiles
from camzoo.cams.methods.lpcam import Lpcam
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.progress import Quiet
from camzoo.evaluate.rows import read_rows
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.report.leaderboards import write_page

TINY = preset("smoke", "phantom").changed(
    {
        "data.options": {"variant": "prostate", "patients": 6, "size": 64},
        "data.size": 64,
        "backbone.name": "test_resnet",
        "training.epochs": 2,
        "training.lr": 0.05,
        "training.batch": 8,
        "training.crop": 64,
        "training.resize": [64, 80],
        "maps.side": 64,
        "maps.scales": [1.0],
        "maps.size": 32,
        "device": "cpu",
    }
)


class Killed(BaseException):
    """What a kill is to the code that it hits."""


class KillAfter(Quiet):
    """Ends the process after so many ticks; notes in which stage."""

    def __init__(self, ticks):
        self.left = ticks
        self.stages = []

    @contextmanager
    def stage(self, title):
        self.stages.append(title)

        def tick(_done, _total):
            self.left -= 1
            if self.left < 0:
                raise Killed(title)

        yield tick


def outcome(folder):
    return {
        name: (folder / name).read_bytes()
        for name in ("rows.parquet", "curves.parquet", "manifest.json", "leaderboard.md")
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    # The checkout may move on while the tests run; the manifest would follow it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camzoo.core.environment.commit", lambda: "as tested")
        yield _run_undisturbed(tmp_path_factory)


def _run_undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    counter = KillAfter(10**9)
    result = bench(TINY, out, counter)
    write_page(result.folder)
    return result, outcome(result.folder), 10**9 - counter.left, counter.stages


def test_rows_are_complete_and_true(undisturbed):
    result, *_ = undisturbed
    rows = read_rows(result.folder / "rows.parquet")
    protocols = {protocol.value for protocol in TINY.evaluation.protocols}
    assert set(rows["protocol"]) == protocols
    assert set(rows["subset"]) == {"train", "test"}
    assert not (set(rows.loc[rows.subset == "train", "patient"])
                & set(rows.loc[rows.subset == "test", "patient"]))  # fmt: skip
    assert set(rows["region"]) == {"whole", "apex", "mid", "base"}
    assert len(rows) == rows["case"].nunique() * len(protocols) * 4
    assert rows["nsd_2mm"].between(0, 1).all()
    defined = rows[rows["status"] == "ok"]
    assert (defined["dsc"] == 2 * defined["tp"] / (defined["n_pred"] + defined["n_ref"])).all()
    parts = rows.pivot_table(index=["case", "protocol"], columns="region", values="n_ref")
    assert (parts["apex"] + parts["mid"] + parts["base"] == parts["whole"]).all()
    assert (defined["asd_mm"] <= defined["hd_mm"]).all()
    assert (rows["diagonal_mm"] > 0).all()


def test_the_oracle_is_at_least_as_good_as_any_one_threshold(undisturbed):
    result, *_ = undisturbed
    rows = result.rows[result.rows["region"] == "whole"]
    sums = rows.groupby(["subset", "protocol"])[["tp", "n_pred", "n_ref"]].sum()
    dsc = 2 * sums["tp"] / (sums["n_pred"] + sums["n_ref"])
    for subset in ("train", "test"):
        assert dsc[subset, "oracle"] >= max(dsc[subset, "validated"], dsc[subset, "fixed"])


def test_the_validated_threshold_is_one_for_all(undisturbed):
    result, *_ = undisturbed
    validated = result.rows[result.rows["protocol"] == "validated"]
    assert validated["threshold"].nunique() == 1


def test_the_manifest_tells_what_the_run_was(undisturbed):
    result, *_ = undisturbed
    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    assert manifest["run"] == result.folder.name
    assert manifest["environment"]["packages"]["torch"] == torch.__version__.split("+")[0]
    assert len(manifest["cells"][0]["history"]) == 2
    split = manifest["splits"]["0"]
    assert len({*split["train"], *split["val"], *split["test"]}) == 6


@pytest.mark.parametrize("share", [0.05, 0.3, 0.55, 0.75, 0.9, 0.99])
def test_a_killed_run_ends_as_an_undisturbed_one(undisturbed, tmp_path, share):
    _, expected, ticks, _ = undisturbed
    with pytest.raises(Killed):
        bench(TINY, tmp_path, KillAfter(int(share * ticks)))
    assert not list(tmp_path.glob("*/manifest.json"))
    result = bench(TINY, tmp_path)
    write_page(result.folder)
    assert outcome(result.folder) == expected


def test_a_rerun_makes_nothing_again(undisturbed):
    result, expected, *_ = undisturbed
    counter = KillAfter(10**9)
    again = bench(TINY, result.folder.parent, counter)
    write_page(again.folder)
    assert counter.stages == []
    assert outcome(again.folder) == expected


def test_a_further_method_reuses_the_classifier(undisturbed):
    result, *_ = undisturbed
    counter = KillAfter(10**9)
    config = TINY.changed({"methods": ["cam", "eigen-cam"]})
    again = bench(config, result.folder.parent, counter)
    assert not any("training" in stage or "reading" in stage for stage in counter.stages)
    assert set(again.rows["method"]) == {"cam", "eigen-cam"}
    cam = again.rows[again.rows["method"] == "cam"].reset_index(drop=True)
    assert cam["dsc"].tolist() == result.rows["dsc"].tolist()


def test_a_sigkill_is_survived(undisturbed, tmp_path):
    _, expected, *_ = undisturbed
    script = (
        "from pathlib import Path; from tests.harness.test_run import TINY, bench; "
        f"bench(TINY, Path({str(tmp_path)!r}))"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen([sys.executable, "-c", script], env=environment)
    deadline = time.monotonic() + 120
    checkpoints = tmp_path / "store" / "train"
    while not list(checkpoints.glob(".work-*/checkpoint.safetensors")):
        assert process.poll() is None or list(checkpoints.glob("[!.]*")), "ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    result = bench(TINY, tmp_path)
    write_page(result.folder)
    assert outcome(result.folder) == expected


def test_a_failing_method_fails_its_row_only(undisturbed):
    class Broken(CamMethod):
        """Fails on every view."""

        def saliency(self, view):
            raise ValueError("no such thing")

    config = TINY.changed({"methods": ["cam", "broken-for-test"]})
    with cams.temporary({"broken-for-test": Broken}):
        result = bench(config, undisturbed[0].folder.parent)
    assert set(result.rows["method"]) == {"cam"}
    assert result.failures == {"broken-for-test": "ValueError: no such thing"}


class Fitted(Lpcam):
    """Learns as lpcam does, and writes down which views it was told of."""

    told = None

    def fit(self, context):
        Fitted.told = context.layer, context.side
        super().fit(context)


@pytest.fixture
def fitted():
    """A method that is fitted, too, under a name that comes before lpcam."""
    with cams.temporary({"fitted-for-test": Fitted}):
        yield "fitted-for-test"


def without_maps(run, out):
    """A copy of the store in which the maps are still to be made."""
    store = run.folder.parent / "store"
    shutil.copytree(store, out / "store", ignore=shutil.ignore_patterns("maps", "curves", "scores"))
    return out


def test_a_method_learns_the_same_alone_and_behind_another(undisturbed, fitted, tmp_path):
    run, *_ = undisturbed
    maps = []
    for methods in (["lpcam"], [fitted, "lpcam"]):
        out = without_maps(run, tmp_path / str(len(methods)))
        result = bench(TINY.changed({"methods": methods}), out)
        assert not result.failures
        maps.append(MapFiles.open(result.maps["lpcam"]).maps)
    assert maps[0].any()
    assert (maps[0] == maps[1]).all()


def test_a_method_learns_from_views_like_those_of_the_maps(undisturbed, fitted):
    """From layer3, not the last layer, and at the side of the maps."""
    changes = {"methods": [fitted], "backbone.layer": "layer3", "maps.side": 96}
    result = bench(TINY.changed(changes), undisturbed[0].folder.parent)
    assert not result.failures
    assert Fitted.told == ("layer3", 96)
    assert MapFiles.open(result.maps[fitted]).maps.any()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"methods": ["cam", "gard-cam"]}, UnknownNameError, "did you mean grad-cam"),
        (
            {"methods": ["cam", "eigen-cam", "p-cam"]},
            ConfigError,
            "cam and p-cam are one",
        ),
        ({"data.name": "chaoss"}, UnknownNameError, "did you mean chaos"),
        ({"backbone.name": "resnet10x"}, ConfigError, "unknown backbone 'resnet10x'"),
        ({"backbone.layer": "layer9"}, ConfigError, "has no layer 'layer9'"),
        ({"data.options.patient": 3}, ConfigError, "did you mean patients"),
        ({"preset": "../../x"}, ConfigError, r"preset: takes a name of .*, got '\.\./\.\./x'"),
        ({"preset": "a/b"}, ConfigError, "preset: takes a name of .*, got 'a/b'"),
        ({"device": "cuda:99"}, ConfigError, "device 'cuda:99'"),
    ],
)
def test_wrong_names_are_refused_before_anything_is_written(tmp_path, changes, error, message):
    out = tmp_path / "runs"
    with pytest.raises(error, match=message):
        bench(TINY.changed(changes), out)
    assert not out.exists()
