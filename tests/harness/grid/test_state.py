"""What is said of a grid that is half finished, and that it is finished from there."""

import json
import re
import sys
from pathlib import Path

import pytest

from camzoo.cams.base import CamMethod
from camzoo.cli.app import main
from camzoo.core.progress import Quiet
from camzoo.evaluate.rows import read_rows
from camzoo.harness.context import Place
from camzoo.harness.grid.cell import GridCell
from camzoo.harness.grid.notes import NOTES, Notes
from camzoo.harness.grid.run import run_grid
from camzoo.harness.grid.slurm import CellJob, missing_cells
from camzoo.harness.grid.state import State, run_state, state_of
from camzoo.harness.lease import Leases
from camzoo.harness.tasks import Done
from camzoo.harness.work_folders import lease_of
from camzoo.registries import cams
from tests.harness.grid.small import BACKBONE, CARDIAC, PROSTATE, SMALL, runs_of, written

TEXT = (
    "seeds = [0, 1]\n" + SMALL + BACKBONE + PROSTATE + CARDIAC
    + "[[exclude]]\ndata = 'hearts'\nseed = 1\n"
)  # fmt: skip


def camzoo(monkeypatch, capsys, *words):
    """Run the command line in this process: exit code, and what it printed."""
    monkeypatch.setattr(sys, "argv", ["camzoo", "grid", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0, capsys.readouterr().out


def cells(state):
    return {(run.run.label, cell.place.seed): cell for run in state.runs for cell in run.cells}


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """A grid of two runs and three cells, of which a job did the first."""
    folder = tmp_path_factory.mktemp("grid")
    runs, out = runs_of(folder, TEXT), folder / "runs"
    job = CellJob.of(runs[0], Place(0, 0), out)
    assert [done.fault for done in GridCell.read(job.request).perform(Quiet())] == ["", ""]
    return folder / "grid.toml", runs, out


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_what_is_done_and_what_waits(half):
    _, runs, out = half
    before = files(out)
    found = state_of(runs, out)
    assert files(out) == before
    assert {cell: each.state for cell, each in cells(found).items()} == {
        ("prostates, tiny", 0): State.DONE,
        ("prostates, tiny", 1): State.WAITING,
        ("hearts, tiny", 0): State.WAITING,
    }
    assert [run.whole for run in found.runs] == [False, False]
    assert [run.folder for run in found.runs] == [None, None]


def test_time_left_is_foretold_by_what_is_stored(half):
    """Both cells are as much work as the one that is done, whose slices need not be read again."""
    _, runs, out = half
    found = state_of(runs, out)
    waiting = cells(found)["prostates, tiny", 1]
    plan = found.runs[0].plan
    assert plan is not None
    assert all(step.estimate.basis == "stored" for step in waiting.missing)
    alone = sum(step.estimate.seconds for step in waiting.missing)
    assert alone < found.seconds < 20 * alone
    assert found.unknown == []


def test_times_that_nothing_foretells_are_measured_only_if_asked_for(half, tmp_path):
    _, runs, _ = half
    found = state_of(runs[1:], tmp_path)
    assert found.seconds == 0
    assert found.unknown == ["prepare", "train", "cam", "centre"]
    assert not any(tmp_path.iterdir())
    assert state_of(runs[1:], tmp_path, measure=True).seconds > 0


def test_a_result_that_is_being_made_is_seen_by_its_lease(half):
    _, runs, out = half
    (train,) = (
        s for s in cells(state_of(runs, out))["prostates, tiny", 1].steps if s.stage == "train"
    )
    with Leases() as leases:
        leases.take(lease_of(out / "store" / "train" / train.digest))
        cell = cells(state_of(runs, out))["prostates, tiny", 1]
        assert cell.state is State.RUNNING
        assert cell.record()["running"] == ["train"]
        assert [job.label for job in missing_cells(runs, out)] == ["hearts, tiny, fold 0, seed 0"]
    assert cells(state_of(runs, out))["prostates, tiny", 1].state is State.WAITING


def test_a_cell_that_was_given_up_says_why_until_it_is_done(half):
    _, runs, out = half
    notes = Notes(runs[0].config, out)
    notes.keep(Place(0, 1), [Done("its maps", fault="no memory")])
    cell = cells(state_of(runs, out))["prostates, tiny", 1]
    assert (cell.state, cell.fault) == (State.FAILED, "its maps: no memory")
    notes.keep(Place(0, 0), [Done("its maps", fault="no memory")])  # and done since
    assert cells(state_of(runs, out))["prostates, tiny", 0].state is State.DONE
    for place in (Place(0, 0), Place(0, 1)):
        notes.keep(place, [])
    assert cells(state_of(runs, out))["prostates, tiny", 1].state is State.WAITING


def test_it_can_be_looked_at_without_the_device(half, monkeypatch):
    """The keys are those of the device that was chosen, and no result of the CPU is found."""
    _, runs, out = half
    notes = Notes(runs[0].config, out)
    chosen = json.loads((notes._folder / "chosen.json").read_text("utf-8"))
    assert chosen["device"] == "cpu"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(Notes, "chosen", lambda self: runs[0].config.changed({"device": "cuda"}))
    state = run_state(runs[0], out)
    assert (state.fault, state.cells[0].state) == ("", State.WAITING)
    assert not state.shared[0].running
    assert state.shared[0].found  # slices are the same on all devices


def test_the_first_machine_chooses_for_all(half, monkeypatch):
    _, runs, out = half
    notes = Notes(runs[1].config.changed({"training.precision": "auto"}), out)
    assert notes.chosen() is None
    first = notes.choose()
    assert first.training.precision in ("bf16", "fp32")
    other = {"bf16": "fp32", "fp32": "bf16"}[first.training.precision]
    monkeypatch.setattr(
        "camzoo.harness.grid.notes.settled",
        lambda config: config.changed({"training.precision": other}),
    )
    assert notes.choose() == notes.chosen() == first
    assert notes.choose(anew=True).training.precision == other
    notes.forget_choice()
    assert notes.chosen() is None


@pytest.mark.parametrize("text", ["", "[]", "3", '{"a.b": 1}', '{"device": [3]}', "[" * 9000])
def test_notes_that_are_none_say_nothing(half, text):
    _, runs, out = half
    notes = Notes(runs[0].config, out)
    for path in (notes._folder / "chosen.json", notes._path(Place(0, 0))):
        there = path.read_text("utf-8") if path.exists() else None
        path.write_text(text)
        assert (notes.chosen() if path.suffix == ".json" else notes.of(Place(0, 0))) in (None, [])
        path.unlink() if there is None else path.write_text(there)


def test_status_prints_lines_and_json(half, monkeypatch, capsys):
    file, _, out = half
    code, text = camzoo(monkeypatch, capsys, "status", file, "--out", out)
    assert code == 0
    assert "prostates, tiny: 2 cells\n  fold 0, seed 0: done\n  fold 0, seed 1: waiting\n" in text
    assert "3 cells: 1 done, 2 waiting\nleft: about " in text
    code, text = camzoo(monkeypatch, capsys, "status", file, "--out", out, "--json")
    told = json.loads(text)
    assert told["cells"] == {"done": 1, "running": 0, "failed": 0, "begun": 0, "waiting": 2}
    assert told["runs"][0]["cells"][0] == {
        "fold": 0, "seed": 0, "state": "done", "found": 7, "results": 7, "running": [],
        "failures": {}, "fault": "",
    }  # fmt: skip
    assert told["seconds"] > 0


def test_jobs_are_the_cells_that_are_missing(half, monkeypatch, capsys):
    pytest.importorskip("submitit", reason="submitit is not installed (extra slurm)")
    file, _, out = half
    code, text = camzoo(
        monkeypatch, capsys, "slurm", file, "--out", out, "--dry-run", "--gpus", 1,
        "--sbatch", "account=lab",
    )  # fmt: skip
    assert code == 0
    assert "#SBATCH --array=0-1%2\n" in text
    assert "#SBATCH --account=lab\n" in text
    assert text.endswith(
        "# job 0: prostates, tiny, fold 0, seed 1\n# job 1: hearts, tiny, fold 0, seed 0\n"
    )
    assert not (out / "slurm").exists()


def test_a_leaderboard_of_what_is_done_so_far(half, tmp_path, monkeypatch, capsys):
    """Of one of three cells, while one is at work and one was given up: nothing is computed."""
    file, runs, out = half
    before = set(files(out))
    notes, boards = Notes(runs[1].config, out), tmp_path / "boards"
    notes.keep(Place(0, 0), [Done("its maps", fault="no memory")])
    words = ["leaderboard", file, "--out", out, "--leaderboards", boards]
    (train,) = (
        s for s in cells(state_of(runs, out))["prostates, tiny", 1].steps if s.stage == "train"
    )
    with Leases() as leases:
        leases.take(lease_of(out / "store" / "train" / train.digest))
        code, text = camzoo(monkeypatch, capsys, *words)
    notes.keep(Place(0, 0), [])
    page = tmp_path / "boards-so-far" / "phantom.md"
    assert code == 0
    assert re.search(r"fold 0, seed 0: failed, 0 of \d results: its maps: no memory\n", text)
    assert re.search(r"fold 0, seed 1: running, 0 of \d results, at work: classifier", text)
    assert text.endswith(f"{page} (so far)\n")
    assert not boards.exists()
    (record,) = (page.parent / "records").iterdir()
    assert set(read_rows(record / "rows.parquet")["seed"]) == {0}
    assert {path for path in files(out) if NOTES not in path.parts} == {
        path for path in before if NOTES not in path.parts
    }
    code, text = camzoo(monkeypatch, capsys, *words, "--json")
    told = json.loads(text)
    assert (told["pages"], told["so_far"]) == ([], [str(page)])
    assert told["missing"]["cells"]["done"] == 1
    assert list((page.parent / "records").iterdir()) == [record]


def test_a_grid_goes_on_and_one_run_that_fails_stops_no_other(half, tmp_path, monkeypatch, capsys):
    """The whole of the half, beside a run whose data are not there."""
    file, runs, out = half
    broken = '[[data]]\nname = "acdc"\nlabel = "lost"\nroot = "nowhere"\n'
    more = written(tmp_path, TEXT + broken)
    code, text = camzoo(monkeypatch, capsys, "run", more, "--out", out, "--json")
    assert code == 1
    told = json.loads(text)
    assert set(told["runs"]) == {"prostates, tiny", "hearts, tiny"}
    assert list(told["failed"]) == ["lost, tiny"]
    assert "nowhere" in told["failed"]["lost, tiny"]
    assert [Path(page).name for page in told["pages"]] == ["phantom.md", "phantom-cardiac.md"]
    found = state_of(runs, out)
    assert all(run.whole and run.folder for run in found.runs)
    assert [str(run.folder) for run in found.runs] == list(told["runs"].values())
    rows = read_rows(Path(told["runs"]["prostates, tiny"]) / "rows.parquet")
    assert set(rows["seed"]) == {0, 1}
    assert set(rows["method"]) == {"cam", "centre"}
    assert (Path(told["runs"]["hearts, tiny"]) / "gallery.png").exists()

    boards = file.parent / "boards"
    code, _ = camzoo(
        monkeypatch, capsys, "leaderboard", file, "--out", out, "--leaderboards", boards
    )
    assert code == 0
    for name in ("phantom.md", "phantom-cardiac.md"):
        assert (boards / name).read_bytes() == (out / "leaderboards" / name).read_bytes()
    code, text = camzoo(monkeypatch, capsys, "slurm", file, "--out", out)
    assert (code, text.startswith("all cells are done")) == (0, True)


def test_a_method_that_fails_is_told_and_its_cell_is_done(half, tmp_path):
    _, _, out = half
    tried = []

    class Refuses(CamMethod):
        """Never gives a map."""

        paper = "none"
        cost = "nothing"

        def saliency(self, view):
            tried.append(len(view.images))
            raise ValueError("not today")

    with cams.temporary():
        cams.register("refuses")(Refuses)
        text = SMALL.replace('"centre"', '"refuses"') + BACKBONE + PROSTATE
        (run,) = runs_of(tmp_path, text)
        ((_, result),) = run_grid([run], out, None, Quiet())
        state = run_state(run, out)
        assert tried == tried[:1]
    assert "not today" in result.failures["refuses"]
    assert (state.whole, state.folder) == (True, result.folder)
    assert "not today" in state.cells[0].failures["refuses"]
