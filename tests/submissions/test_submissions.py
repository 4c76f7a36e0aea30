"""Somebody else's predictions: packed, refused where they were tampered with, scored again."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from camzoo.cli.app import app
from camzoo.core.errors import CamzooError, ConfigError, DataError
from camzoo.data.loading import load_case
from camzoo.metrics.overlap import dice
from camzoo.report.leaderboards import check_leaderboards, update_leaderboards
from camzoo.submissions.pack import pack
from camzoo.submissions.records import read_submission, write_submission
from tests.submissions.published import (
    RUN,
    opened,
    packed,
    scored,
    statement,
    with_rows,
    write_predictions,
    write_record,
)
from tests.submissions.tampered import TAMPERED, tampered


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of leaderboards with a record, and the run of it."""
    folder = tmp_path_factory.mktemp("boards")
    record = write_record(folder / "records" / RUN)
    return folder, opened(record)


@pytest.fixture(scope="module")
def masks(place):
    return packed(place[0], place[1])


def test_masks_get_the_numbers_that_they_have(place, masks):
    """DSC by hand, from the reference and the same reference a voxel aside."""
    published = place[1]
    rows = scored(masks, published).rows
    assert set(rows["case"]) == set(published.manifest["splits"]["0"]["test"])
    assert set(rows[["stage", "protocol", "variant", "subset"]].iloc[0]) == {
        "segmentation", "none", "(submitted)", "test",
    }  # fmt: skip
    for row in rows[rows["region"] == "whole"].to_dict("records"):
        label = load_case(published.dataset, published.cases[row["case"]]).label.array
        truth = label == published.dataset.organs.index(row["organ"]) + 1
        moved = np.roll(truth, 1, axis=1)
        assert row["dsc"] == pytest.approx(dice((truth & moved).sum(), moved.sum(), truth.sum()))


def test_maps_get_every_protocol_and_a_threshold_from_validation_patients(place):
    rows = scored(packed(place[0], place[1], "maps"), place[1]).rows
    assert set(rows["protocol"]) == {"validated", "mask-free", "oracle", "fixed", "otsu"}
    # Maps are 0.8 in the organ and 0.1 around it: between these every threshold is the best.
    best = rows[rows["protocol"] == "validated"]
    assert best["threshold"].between(0.1, 0.8).all()
    oracle = rows[rows["protocol"] == "oracle"]
    assert np.allclose(best["dsc"], oracle["dsc"])


def test_an_honest_bundle_is_the_same_file_and_the_same_rows_again(place, masks, tmp_path):
    again = packed(tmp_path, place[1])
    assert again.read_bytes() == masks.read_bytes()
    for name in ("one", "two"):
        write_submission(tmp_path / name, scored(masks, place[1]))
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert files == ["SHA256SUMS", "rows.parquet", "submission.json"]
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_there_are_more_than_twenty_ways_to_tamper():
    assert len(TAMPERED) >= 20


@pytest.mark.parametrize("name", TAMPERED)
def test_tampered_bundles_are_refused(name, place, masks, tmp_path):
    path = tampered(masks, name, tmp_path)
    with pytest.raises(CamzooError, match=TAMPERED[name][1]) as refused:
        scored(path, place[1])
    assert "\n" not in str(refused.value)


def test_a_row_stands_beside_ours_with_a_mark_and_its_statement(place, masks, tmp_path):
    out, one = tmp_path / "boards", scored(masks, place[1])
    with_rows(write_record(out / "records" / RUN), one)
    (page,) = update_leaderboards([], out, [one])
    text = page.read_text("utf-8")
    assert "shifted (submitted)" in text
    assert "seen by its network, as the author says: ImageNet, and no scan" in text
    check_leaderboards(out)
    (folder,) = (out / "submissions").iterdir()
    assert folder.name.startswith("phantom-abdomen-shifted-")
    (folder / "rows.parquet").write_bytes(b"0.99")
    with pytest.raises(DataError, match="camzoo submit check"):
        check_leaderboards(out)


def test_rows_of_a_submission_are_those_that_it_names(place, masks, tmp_path):
    one = scored(masks, place[1])
    one.rows["method"] = "better"
    write_submission(tmp_path / "one", one)
    with pytest.raises(DataError, match=r"its method is \['better'\], submission.json says"):
        read_submission(tmp_path / "one")


def test_what_cannot_be_packed(place, tmp_path):
    _, published = place
    predictions = write_predictions(tmp_path / "masks", published, of="maps")
    out = tmp_path / "out.zip"

    def refuse(match, said=None, error=ConfigError, **options):
        with pytest.raises(error, match=match):
            pack(predictions, published, said or statement(), out, **{"kind": "masks"} | options)
        assert not out.exists()

    refuse("has to say its seen", statement(seen=" "))
    refuse("is a method of camzoo's own", statement("Grad-CAM"))
    refuse("has no fold 3, only 0", folds=["3"])
    refuse("holds 1 maps from 0 to 4, expected 4 between 0 and 1", error=DataError, kind="maps")
    for path in predictions.iterdir():
        path.unlink()
    refuse("a submission predicts every case of a fold", error=DataError)


def test_other_data_are_refused(place, tmp_path):
    record = write_record(tmp_path / RUN)
    text = (record / "manifest.json").read_text("utf-8")
    digest = json.loads(text)["dataset"]["data"]
    (record / "manifest.json").write_text(text.replace(digest, "0" * 64))
    with pytest.raises(DataError, match="are not those of the run"):
        opened(record)


def test_the_commands(place, masks, tmp_path):
    """Pack in one place, check and add in another, and read the board."""
    _, published = place
    predictions = write_predictions(tmp_path / "predicted", published)
    out, boards = tmp_path / "mine.zip", tmp_path / "boards"
    with_rows(write_record(boards / "records" / RUN), scored(masks, published))
    invoke = CliRunner().invoke
    words = ["--method", "shifted", "--author", "A. Author", "--licence", "CC BY 4.0",
             "--citation", "Author, 2026", "--seen", "ImageNet, and no scan"]  # fmt: skip
    where = ["--leaderboards", str(boards)]
    result = invoke(
        app, ["submit", "pack", str(predictions), "--run", RUN, "--out", str(out), *words, *where]
    )
    assert result.exit_code == 0, result.output
    assert out.read_bytes() == masks.read_bytes()
    result = invoke(app, ["submit", "check", str(out), "--add", "--json", *where])
    assert result.exit_code == 0, result.output
    (line,) = json.loads(result.stdout)["results"]
    assert line["method"] == "shifted"
    result = invoke(app, ["leaderboard", "--out", str(boards), "--sort", "dsc", "--json"])
    named = {line["method"] for line in json.loads(result.stdout)["lines"]}
    assert named == {"supervised", "shifted (submitted)"}
