import json
import shutil

import pytest

from tests.cli.test_app import camzoo
from tests.harness.test_upkeep import left, manifest_of, out, ran  # noqa: F401 - fixtures


@pytest.fixture
def store(out, monkeypatch, capsys):  # noqa: F811 - the fixture
    def run(*words):
        return camzoo(monkeypatch, capsys, "store", *words, "--out", out)

    return run


def test_ls_lists_and_counts(store, out):  # noqa: F811
    code, said, _ = store("ls", "--json")
    assert code == 0
    listed = json.loads(said)["results"]
    assert {each["runs"][0] for each in listed} == {manifest_of(out).parent.name}
    code, said, _ = store("ls")
    assert code == 0
    assert said.rstrip().endswith("MiB")
    assert f"{len(listed)} results" in said


def test_verify_names_what_is_damaged_in_store_and_runs(store, out):  # noqa: F811
    assert store("verify", "-q") == (0, "", "")
    (maps, *_) = sorted(out.glob("store/maps/*/maps.npy"))
    maps.write_bytes(maps.read_bytes()[:-1])
    rows = manifest_of(out).with_name("rows.parquet")
    rows.write_bytes(rows.read_bytes() + b"x")
    code, said, _ = store("verify", "-q")
    assert code == 1
    one, other = said.splitlines()
    assert one.startswith(f"{maps} is not what was written")
    assert other.startswith(f"{rows} is not what was written")
    code, said, _ = store("verify", "--json")
    assert code == 1
    assert json.loads(said)["damaged"] == [one, other]


def test_gc_only_says_what_it_would_do_until_it_is_told_to(store, out):  # noqa: F811
    shutil.rmtree(manifest_of(out).parent)
    left(out, ".work-1f-ab")
    count = len(list(out.glob("store/*/*")))
    code, said, _ = store("gc")
    assert code == 0
    assert "train/.work-1f-ab  0.0 MiB  left behind" in said
    assert said.splitlines()[-1].startswith(f"{count} files and folders, ")
    assert said.splitlines()[-1].endswith(" MiB, would be removed; --yes does it")
    assert len(list(out.glob("store/*/*"))) == count
    code, said, _ = store("gc", "--yes", "--json")
    assert code == 0
    assert json.loads(said)["removed"]
    assert len(json.loads(said)["waste"]) == count
    assert list(out.glob("store/*/*")) == []


def test_a_folder_without_a_store_ends_with_one_line(store, out):  # noqa: F811
    shutil.rmtree(out / "store")
    for command in ("ls", "verify", "gc"):
        code, _, err = store(command)
        assert code == 2
        assert err.count("\n") == 1
        assert "holds no store" in err
