"""Files that settings of a step name: their content counts, and their path is published nowhere."""

import json
import shutil
from pathlib import Path

import pytest

from camzoo.core.checksums import content_digest, file_digest
from camzoo.core.progress import Quiet
from camzoo.harness.identity import identify
from camzoo.harness.naming import content_name, public_name
from camzoo.harness.run import bench
from camzoo.steps.base import MapStep, StepReport, steps
from camzoo.steps.chain import parse_chain
from tests.harness.test_identity import READ, Phantom
from tests.harness.test_run import TINY as TWO_EPOCHS

TINY = TWO_EPOCHS.changed({"training.epochs": 1})


class Reading(MapStep):
    """Hands maps on, and reads a word in a folder."""

    paper = cost = "no paper"

    def __init__(self, folder: str = "", power: int = 1):
        self._folder = Path(folder)

    @property
    def places(self):
        return {"folder": self._folder}

    def apply(self, source, context, out):
        context.rewrite(source, out, lambda maps, _rows: maps)
        return StepReport(facts={"read": (self._folder / "word").read_text("utf-8")})


class Failing(Reading):
    """Fails when its maps are asked for."""

    def apply(self, source, context, out):
        raise ValueError("no such thing")


class Unmakeable(MapStep):
    """Fails when it is made."""

    def __init__(self):
        raise ValueError("never")

    apply = None


@pytest.fixture(autouse=True)
def _known():
    named = {"reading": Reading, "failing": Failing, "unmakeable": Unmakeable}
    with steps.temporary(named):
        yield


def folder_with(word, place):
    (place / "given" / "deep").mkdir(parents=True)
    (place / "given" / "word").write_text(word, "utf-8")
    (place / "given" / "deep" / "other").write_text("other", "utf-8")
    return place / "given"


def methods(folder):
    return {"methods": [f"otsu[reading]:folder={folder}", f"otsu[failing]:folder={folder}"]}


def test_a_folder_counts_by_the_names_and_content_of_its_files(tmp_path):
    first = folder_with("one", tmp_path / "a")
    same = folder_with("one", tmp_path / "b")
    digest = content_digest(first)
    assert len(digest) == 64
    (same / ".git").mkdir()
    (same / ".git" / "HEAD").write_text("hidden", "utf-8")
    assert content_digest(same) == digest
    (same / "deep" / "other").write_text("another", "utf-8")
    assert content_digest(same) != digest
    renamed = folder_with("one", tmp_path / "c")
    (renamed / "word").rename(renamed / "verb")
    assert content_digest(renamed) != digest
    assert content_digest(first / "word") == file_digest(first / "word")


def test_a_run_is_named_by_the_content_and_not_by_the_path(tmp_path):
    folders = [folder_with(w, tmp_path / p) for w, p in (("one", "a"), ("one", "b"), ("two", "c"))]
    runs = [identify(TINY.changed(methods(each)), Phantom(), READ).run for each in folders]
    assert runs[0] == runs[1] != runs[2]
    other = TINY.changed({"methods": [f"otsu[reading]:folder={folders[0]}:power=2"]})
    plain = TINY.changed({"methods": [f"otsu[reading]:folder={folders[0]}"]})
    assert identify(other, Phantom(), READ).run != identify(plain, Phantom(), READ).run


def test_names_with_a_path_and_without(tmp_path):
    folder = folder_with("one", tmp_path)
    text = f"cam[ac,reading]:folder={folder}:tau=0.1"
    assert public_name(text) == "cam[ac,reading]:folder=given:tau=0.1"
    assert content_name(text) == f"cam[ac,reading]:folder={content_digest(folder)}:tau=0.1"
    assert parse_chain(text).variant == "folder=given tau=0.1"
    inside = f"cam[reading:folder={folder},ac]"
    assert public_name(inside) == "cam[reading,ac]:folder=given"


@pytest.mark.parametrize(
    "text", ["cam", "cam[ac]:tau=0.10", "p-cam", "nobody[has]:it=1", "cam[unmakeable]"]
)
def test_what_names_no_file_or_cannot_be_made_keeps_its_name(text):
    assert public_name(text) == content_name(text) == text


def test_copies_of_a_folder_give_one_result_and_no_path_is_published(tmp_path):
    first = folder_with("one", tmp_path / "secret-a")
    result = bench(TINY.changed(methods(first)), tmp_path / "out", Quiet())
    text = (result.folder / "manifest.json").read_text("utf-8")
    manifest = json.loads(text)
    assert "secret" not in text
    assert manifest["config"]["methods"] == [
        "otsu[reading]:folder=given", "otsu[failing]:folder=given",
    ]  # fmt: skip
    assert manifest["failures"] == {"otsu[failing]:folder=given": "ValueError: no such thing"}
    (cell,) = manifest["cells"]
    assert cell["steps"] == {"otsu[reading]:folder=given": {"read": "one"}}
    assert set(result.rows["variant"]) == {"folder=given"}

    copy = Path(shutil.copytree(first, tmp_path / "secret-b" / "given"))
    again = bench(TINY.changed(methods(copy)), tmp_path / "out", Quiet())
    assert (again.made, again.folder) == ({}, result.folder)
    (copy / "word").write_text("two", "utf-8")
    other = bench(TINY.changed(methods(copy)), tmp_path / "out", Quiet())
    assert other.made == {"steps": 1, "curves": 1, "scores": 1}
    assert other.folder != result.folder
