"""A run that is damaged, or says what cannot be, is refused in one line and replaces nothing."""

import shutil

import pytest

from camzoo.core.checksums import SUMS, write_sums
from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.evaluate.rows import make_rows
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.report.records import files_of, read_record
from tests.cli.test_app import camzoo
from tests.report.bad_records import ALL_FILES, OF_BITS, OF_BYTES, OF_MEANING
from tests.report.run_folders import run_folder
from tests.report.test_segmentation_tables import COSTS, learnt, maps, records


def good(path, *, summed, **columns):
    """A tiny run of maps and baselines."""
    all_rows = [row | columns for row in [*maps(), *records(), *learnt()]]
    of_maps = make_rows([row | columns for row in maps()])
    changes = {"schema": 1} if summed else {}
    folder = run_folder(path, make_rows(all_rows), of_maps, COSTS[:1], **changes)
    if summed:
        write_sums(folder, ALL_FILES)
    return folder


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    """Leaderboards with a record of the run r1, and one of another."""
    folder = tmp_path_factory.mktemp("boards")
    runs = [good(folder / "r1", summed=True), good(folder / "r2", summed=True, run="r2")]
    update_leaderboards(runs, folder / "out")
    return folder / "out"


def refused(monkeypatch, capsys, *words):
    """The line with which the command line refuses."""
    code, out, err = camzoo(monkeypatch, capsys, "leaderboard", *words)
    assert code == 2
    assert "Traceback" not in out + err
    lines = err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("camzoo: ")
    return lines[0]


CASES = [
    *(pytest.param(damage, False, id=name) for name, damage in (OF_BYTES | OF_MEANING).items()),
    *(pytest.param(damage, True, id=f"summed: {n}") for n, damage in (OF_BYTES | OF_BITS).items()),
]


@pytest.mark.parametrize(("damage", "summed"), CASES)
def test_no_damaged_run_reaches_a_table(monkeypatch, capsys, tmp_path, boards, damage, summed):
    run, out = good(tmp_path / "run", summed=summed), tmp_path / "out"
    damage(run)
    shutil.copytree(boards, out)
    before = contents(out)
    line = refused(monkeypatch, capsys, run, "--out", out)
    assert str(run) in line
    assert contents(out) == before
    assert {p.name for p in (out / "records").iterdir()} == {"r1", "r2"}


@pytest.mark.parametrize(
    "damage", [pytest.param(damage, id=name) for name, damage in (OF_BYTES | OF_BITS).items()]
)
def test_a_damaged_record_is_named_by_check(monkeypatch, capsys, tmp_path, boards, damage):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    damage(out / "records" / "r2")
    before = contents(out)
    for words in (["--check"], []):
        assert str(out / "records" / "r2") in refused(monkeypatch, capsys, *words, "--out", out)
    assert contents(out) == before


def test_a_damaged_record_can_be_replaced_by_a_good_run(tmp_path, boards):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    (out / "records" / "r1" / "rows.parquet").write_bytes(b"")
    (page,) = update_leaderboards([good(tmp_path / "run", summed=True)], out)
    check_leaderboards(out)
    assert page.read_bytes() == (boards / page.name).read_bytes()


def test_runs_from_before_checksums_are_read_and_get_them(tmp_path):
    run = good(tmp_path / "run", summed=False)
    assert not (run / SUMS).exists()
    update_leaderboards([run], tmp_path / "out")
    record = tmp_path / "out" / "records" / "r1"
    assert (record / SUMS).exists()
    assert read_record(record).run == "r1"
    (record / "rows.parquet").write_bytes((record / "rows.parquet").read_bytes()[:-1])
    with pytest.raises(DataError, match=r"rows\.parquet is not what was written"):
        read_record(record)


def test_a_record_under_the_name_of_another_is_refused(tmp_path, boards):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    (out / "records" / "r2").rename(out / "records" / "r3")
    with pytest.raises(DataError, match="r3 is the record of r2"):
        check_leaderboards(out)


def test_two_folders_of_one_run_are_refused(tmp_path):
    runs = [good(tmp_path / name, summed=True) for name in ("a", "b")]
    with pytest.raises(ConfigError, match="are both the run r1; give one of them"):
        update_leaderboards(runs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_bad_run_among_good_ones_replaces_nothing(tmp_path, boards):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    before = contents(out)
    runs = [good(tmp_path / "r1", summed=True), good(tmp_path / "r3", summed=True, run="r3")]
    (runs[1] / "manifest.json").write_text("{}")
    with pytest.raises(CamzooError):
        update_leaderboards(runs, out)
    assert contents(out) == before


@pytest.mark.parametrize("step", ["copyfile", "sums"])
def test_a_disk_that_is_full_leaves_the_old_record(tmp_path, boards, monkeypatch, step):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    before = contents(out)
    run = good(tmp_path / "run", summed=True)

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if step == "copyfile":
            patch.setattr("camzoo.report.leaderboards.shutil.copyfile", full)
        else:
            patch.setattr("camzoo.report.leaderboards.write_sums", full)
        with pytest.raises(OSError, match="No space left"):
            update_leaderboards([run], out)
    assert contents(out) == before
    update_leaderboards([run], out)
    check_leaderboards(out)


def test_a_kill_between_the_two_renames_is_mended(tmp_path, boards):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    before = contents(out)
    records_of = out / "records"
    (records_of / "r1").rename(records_of / ".r1.former")
    shutil.copytree(records_of / "r2", records_of / ".r1.partial")
    update_leaderboards([], out)
    assert contents(out) == before


def test_a_record_given_as_a_run_stays_as_it_is(tmp_path, boards):
    out = tmp_path / "out"
    shutil.copytree(boards, out)
    before = contents(out)
    update_leaderboards([out / "records" / "r1"], out)
    assert contents(out) == before
    assert set(files_of(out / "records" / "r1")) == set(ALL_FILES)
