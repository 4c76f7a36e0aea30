"""What a store holds, whether it is what was written, and what may go."""

import json
import os
import shutil
import time

import pytest

from camzoo.core.errors import ConfigError, DamagedError
from camzoo.core.progress import Quiet
from camzoo.harness.lease import Leases
from camzoo.harness.run import bench
from camzoo.harness.upkeep import clear, damaged_results, find_waste, list_store, run_folders
from camzoo.harness.work_folders import lease_of
from camzoo.report.records import read_record
from tests.harness.test_plan import TINY

SMALL = TINY.changed({"methods": ["cam", "centre"], "baselines": ["p-cam"]})
LONG_AGO = time.time() - 30 * 24 * 3600


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("kept")
    bench(SMALL, out)
    return out


@pytest.fixture
def out(ran, tmp_path):
    """A copy, all of it a month old."""
    shutil.copytree(ran, tmp_path / "runs")
    for path in (tmp_path / "runs").rglob("*"):
        os.utime(path, (LONG_AGO, LONG_AGO))
    return tmp_path / "runs"


def manifest_of(out):
    (folder,) = run_folders(out)
    return folder / "manifest.json"


def changed(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values))


def names(waste):
    return sorted(each.path.name for each in waste)


def test_a_run_says_which_results_it_uses_and_all_of_them(out):
    there = {f"{p.parent.name}/{p.name}" for p in (out / "store").glob("*/[!.]*")}
    told = json.loads(manifest_of(out).read_text("utf-8"))
    assert set(told["artifacts"]) == there
    assert told["dataset"]["prepared"] in there
    assert read_record(manifest_of(out).parent).manifest["artifacts"] == sorted(there)


def test_what_is_listed_says_what_it_is_and_who_uses_it(out):
    entries = {entry.name.partition("/")[0]: entry for entry in list_store(out)}
    assert {"prepare", "train", "maps", "curves", "scores", "segment"} <= set(entries)
    train = entries["train"]
    folder = out / "store" / train.name
    assert train.size == sum(p.stat().st_size for p in folder.iterdir())
    assert train.used == pytest.approx(LONG_AGO)
    assert train.runs == (manifest_of(out).parent.name,)
    assert train.made.work.kind.startswith(SMALL.backbone.name)


def test_what_a_run_finds_counts_as_used(out):
    bench(SMALL, out)
    assert all(entry.used > LONG_AGO + 3600 for entry in list_store(out))


def test_nothing_goes_while_a_run_refers_to_it(out):
    assert find_waste(out, 0) == []


def test_what_no_run_refers_to_goes_but_what_is_young(out):
    shutil.rmtree(manifest_of(out).parent)
    everything = [entry.name.partition("/")[2] for entry in list_store(out)]
    young = out / "store" / list_store(out)[0].name
    os.utime(young)
    waste = find_waste(out, 7)
    assert names(waste) == sorted({*everything} - {young.name})
    assert names(find_waste(out, 0)) == sorted(everything)
    assert sum(each.size for each in waste) > 0
    assert len(list_store(out)) == len(everything)  # only looked at
    clear(waste)
    assert [entry.name for entry in list_store(out)] == [f"{young.parent.name}/{young.name}"]
    assert list((out / "store").glob("*/.*")) == []


def left(out, name, age=30):
    """A folder in the store that nobody published."""
    folder = out / "store" / "train" / name
    folder.mkdir()
    (folder / "checkpoint").write_text("epoch 3")
    for path in (folder / "checkpoint", folder):
        os.utime(path, (time.time() - age * 24 * 3600,) * 2)
    return folder


def test_what_killed_and_damaged_work_left_goes_but_what_is_young_or_alive(out):
    left(out, ".work-1f-ab")
    left(out, ".work-3f-young", age=1)
    left(out, ".damaged-2a")
    left(out, ".removed-2b")
    held = left(out, ".work-4d-cd")
    with Leases() as leases:
        leases.take(lease_of(held.with_name("4d")))
        waste = find_waste(out, 7)
        assert names(waste) == [".damaged-2a", ".removed-2b", ".work-1f-ab"]
        assert names(clear(waste)) == names(waste)
        assert held.exists()
    assert sorted(p.name for p in held.parent.glob(".*")) == [".work-3f-young", ".work-4d-cd"]
    (trained,) = held.parent.glob("[!.]*")
    assert damaged_results(out, Quiet()) == []
    assert trained.exists()


def test_what_a_worker_takes_up_between_the_look_and_the_broom_stays(out):
    folder = left(out, ".work-1f-ab")
    waste = find_waste(out, 7)
    with Leases() as leases:
        leases.take(lease_of(folder.with_name("1f")))
        assert clear(waste) == []
    assert folder.exists()


@pytest.mark.parametrize("superseded", [False, True])
def test_a_run_that_does_not_say_what_it_uses_lets_nothing_go(out, superseded):
    path = manifest_of(out)
    told = json.loads(path.read_text("utf-8"))
    del told["artifacts"]
    path.write_text(json.dumps(told))
    if superseded:
        (out / "superseded").mkdir()
        path.parent.rename(out / "superseded" / path.parent.name)
    with pytest.raises(ConfigError, match=r"from before .* give the command of that run again"):
        find_waste(out, 7)


@pytest.mark.parametrize("artifacts", ["maps/1f", ["../../etc"], [3]])
def test_a_run_that_says_nonsense_lets_nothing_go(out, artifacts):
    changed(manifest_of(out), artifacts=artifacts)
    with pytest.raises(DamagedError):
        find_waste(out, 7)


def test_a_run_without_its_manifest_lets_nothing_go(out):
    manifest_of(out).unlink()
    with pytest.raises(DamagedError, match="missing"):
        find_waste(out, 7)


@pytest.mark.parametrize("look", [list_store, lambda out: find_waste(out, 7)])
def test_a_folder_without_a_store_is_named(tmp_path, look):
    with pytest.raises(ConfigError, match=r"holds no store; give the --out of a run"):
        look(tmp_path)
