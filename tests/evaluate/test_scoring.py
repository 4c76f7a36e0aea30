import re

import numpy as np
import pandas as pd
import pytest
from typer import Typer
from typer.testing import CliRunner

import camzoo
from camzoo.cli.score import score
from camzoo.core.choices import SliceChoice
from camzoo.core.environment import use_threads
from camzoo.core.errors import CamzooError, ConfigError, DataError, GeometryError
from camzoo.core.protocol import Protocol
from camzoo.evaluate.normalisation import Normalisation
from camzoo.evaluate.rows import read_rows
from camzoo.evaluate.score_options import ScoreOptions, read_patients
from camzoo.evaluate.scoring import score_maps, score_masks
from camzoo.metrics.overlap import dice
from camzoo.metrics.summary import summarise
from camzoo.metrics.surface import surface_distances
from camzoo.metrics.sweep import apply_threshold
from camzoo.report.ranking import page, ranking
from tests.evaluate.cohorts import blurred, label, references, save

SPACING = (3.0, 0.7, 0.8)
NO_SCANS = "no scans (--images): no threshold can be chosen mask-free"


@pytest.fixture
def masks(tmp_path):
    return references(tmp_path / "masks")


@pytest.fixture
def maps(tmp_path):
    folder = tmp_path / "maps"
    for case in range(4):
        save(folder / "good" / f"c{case}.npy", blurred(case, 0.1))
        save(folder / "nested" / "noisy" / f"c{case}.nii.gz", blurred(case, 0.6, seed=1))
    return folder


def one(rows, **wanted):
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_masks_are_scored_against_their_references(tmp_path, masks):
    moved = np.roll(label(1), 1, axis=2)
    for case in range(4):
        save(tmp_path / "preds" / f"c{case}.npy", moved if case == 1 else label(case))
    scores = score_masks(tmp_path / "preds", masks)
    assert len(scores.rows) == 4 * 2
    assert set(scores.rows["method"]) == {"preds"}
    row = one(scores.rows, case="c1", organ="class 1")
    pred, ref = moved == 1, label(1) == 1
    distances = surface_distances(pred, ref, SPACING)
    assert row["dsc"] == pytest.approx(dice((pred & ref).sum(), pred.sum(), ref.sum()))
    assert row["asd_mm"] == pytest.approx(distances.asd)
    assert row["hd95_mm"] == pytest.approx(distances.hd95)
    assert (row["spacing_z"], row["spacing_y"], row["spacing_x"]) == pytest.approx(SPACING)
    assert (scores.rows.loc[scores.rows["case"] != "c1", "asd_mm"] == 0).all()
    assert scores.curves is None


def test_maps_are_scored_by_every_protocol_at_its_threshold(maps, masks):
    scores = score_maps(maps, masks)
    assert set(scores.rows["method"]) == {"good", "nested/noisy"}
    assert set(scores.rows["protocol"]) == set(Protocol) - {Protocol.VALIDATED, Protocol.MASK_FREE}
    assert len(scores.curves) == 2 * 4 * 2 * 99
    for _, row in scores.rows.iterrows():
        case = int(row["case"][1:])
        noise, seed = (0.1, 0) if row["method"] == "good" else (0.6, 1)
        c = 1 if row["organ"] == "class 1" else 2
        pred = apply_threshold(blurred(case, noise, seed), row["threshold"]) == c
        ref = label(case) == c
        assert (row["tp"], row["n_pred"], row["n_ref"]) == (
            (pred & ref).sum(),
            pred.sum(),
            ref.sum(),
        )
        if pred.any():
            assert row["mad_mm"] == pytest.approx(surface_distances(pred, ref, SPACING).mad)


def test_methods_are_ranked_and_the_better_one_wins(maps, masks):
    scores = score_maps(maps, masks)
    for protocol in ("cross-validated", "oracle"):
        table = ranking(scores.rows, protocol)
        assert table["method"].tolist() == ["good", "nested/noisy"]
        assert table["p (Holm)"].tolist()[0] == "best"
        means = summarise(scores.rows, "dsc", ["protocol", "method"])
        means = means.set_index(["protocol", "method"])["mean"]
        assert table["DSC (%)"][0].startswith(f"{100 * means[protocol, 'good']:.2f}")
        gaps = 100 * (means["oracle"] - means[protocol])
        assert table["gap"].tolist() == [f"{gap:.2f}" for gap in gaps]


def test_few_patients_cannot_tell_methods_apart(maps, masks):
    """Four patients and one pair: no Wilcoxon test gets below 2 / 2^4."""
    table = ranking(score_maps(maps, masks).rows, "oracle")
    assert table["p (Holm)"].tolist() == ["best", "too few"]


def test_one_method_is_compared_with_none(maps, masks):
    table = ranking(score_maps(maps / "good", masks).rows, "oracle")
    assert table["rank"].tolist() == [1]
    assert "p (Holm)" not in table


def test_the_page_says_what_its_words_mean(maps, masks):
    text = page(score_maps(maps, masks).rows, ("a note",))
    assert text.startswith("# Scores on masks\n\n- a note\n")
    assert text.index("## cross-validated") < text.index("## oracle")
    for words in (
        "- `oracle`: best on the masks being scored",
        "- HD95 (mm): 95th percentile",
        "- `p (Holm)`: two-sided Wilcoxon test",
        "- ASD (mm): mean over the surface points of both masks, pooled",
        "a failure counts as: diagonal of the volume",
    ):
        assert words in text


def test_missing_predictions_are_refused_or_counted_as_failures(tmp_path, maps, masks):
    (maps / "good" / "c2.npy").unlink()
    with pytest.raises(DataError, match=r"good: no prediction for c2.*--allow-missing"):
        score_maps(maps, masks)
    scores = score_maps(maps, masks, ScoreOptions(allow_missing=True))
    assert scores.notes == (
        "good: 1 of 4 cases have no prediction and count as failures", NO_SCANS,
    )  # fmt: skip
    gone = one(scores.rows, method="good", case="c2", organ="class 1", protocol="oracle")
    assert gone["status"] == "missing-pred"
    assert np.isnan(gone["dsc"])
    assert gone["n_ref"] == (label(2) == 1).sum()
    line = summarise(scores.rows, "asd_mm").set_index(["method", "protocol", "organ"])
    assert line.loc[("good", "oracle", "class 1"), "n_failed"] == 1
    diagonal = np.linalg.norm(np.multiply(label().shape, SPACING))
    others = line.loc[("good", "oracle", "class 1"), "mean"]
    assert line.loc[("good", "oracle", "class 1"), "mean_with_failures"] == pytest.approx(
        (3 * others + diagonal) / 4
    )
    assert ranking(scores.rows, "oracle")["method"].tolist() == ["nested/noisy", "good"]


def test_a_prediction_without_reference_is_refused(maps, masks):
    save(maps / "good" / "c9.npy", blurred(0, 0.1))
    with pytest.raises(DataError, match="good: no reference for c9"):
        score_maps(maps, masks, ScoreOptions(allow_missing=True))


def test_thirds_are_rows_of_their_own_and_need_a_header(tmp_path, maps, masks):
    options = ScoreOptions(with_thirds=True, allow_missing=True)
    (maps / "good" / "c2.npy").unlink()
    rows = score_maps(maps, masks, options).rows
    assert set(rows["region"]) == {"whole", "apex", "mid", "base"}
    assert set(rows.groupby(["method", "protocol", "organ", "region"]).size()) == {4}
    assert ranking(rows, "oracle", "apex")["method"].tolist() == ["nested/noisy", "good"]
    arrays = references(tmp_path / "arrays", suffix=".npy")
    with pytest.raises(GeometryError, match="which end is the head"):
        score_maps(
            maps, arrays, ScoreOptions(with_thirds=True, spacing=SPACING, allow_missing=True)
        )


def test_arrays_give_the_same_numbers_as_niftis(tmp_path, maps, masks):
    arrays = references(tmp_path / "arrays", suffix=".npy")
    (tmp_path / "maps" / "nested" / "noisy" / "c0.nii.gz").unlink()  # its header says RAS
    options = {"allow_missing": True}
    from_arrays = score_maps(maps / "good", arrays, ScoreOptions(spacing=SPACING, **options))
    from_niftis = score_maps(maps / "good", masks, ScoreOptions(**options))
    pd.testing.assert_frame_equal(
        from_arrays.rows.drop(columns="dataset"), from_niftis.rows.drop(columns="dataset")
    )


def test_patients_of_several_cases_are_kept_together(tmp_path, maps, masks):
    file = tmp_path / "patients.csv"
    file.write_text("case,patient\nc0,p\nc1,p\nc2,q\nc3,q\n")
    rows = score_maps(maps, masks, ScoreOptions(patients=file)).rows
    folds = rows[rows["protocol"] == "cross-validated"].groupby(["method", "patient"])
    assert folds["threshold"].min().equals(folds["threshold"].max())
    assert rows.groupby("case")["patient"].first().tolist() == ["p", "p", "q", "q"]


def test_one_patient_cannot_be_cross_validated(tmp_path, maps, masks):
    file = tmp_path / "patients.csv"
    file.write_text("case,patient\n" + "".join(f"c{i},p\n" for i in range(4)))
    scores = score_maps(maps, masks, ScoreOptions(patients=file))
    assert "cross-validated" not in set(scores.rows["protocol"])
    assert scores.notes == ("one patient only: no threshold can be cross-validated", NO_SCANS)


def test_scans_let_a_threshold_be_chosen_without_masks(tmp_path, maps, masks):
    """Organs are bright in the scans. No mask is looked at: other references, the same choice."""
    for i in range(4):
        grey = 40 + 100 * (label(i) > 0) + np.random.default_rng(i).normal(0, 5, label(i).shape)
        save(tmp_path / "scans" / f"c{i}.nii.gz", grey.astype(np.float32))
    options = ScoreOptions(images=tmp_path / "scans")
    scores = score_maps(maps / "good", masks, options)
    assert NO_SCANS not in scores.notes
    (chosen,) = scores.rows.query("protocol == 'mask-free'")["threshold"].unique()
    assert 0.3 < chosen < 0.7  # maps are up to 0.3 around organs, 0.7 and more in them
    for i in range(4):
        save(masks / f"c{i}.nii.gz", label(3 - i))
    again = score_maps(maps / "good", masks, options).rows
    assert set(again.query("protocol == 'mask-free'")["threshold"]) == {chosen}
    (tmp_path / "scans" / "c1.nii.gz").unlink()
    with pytest.raises(DataError, match=r"has no scan of c1; add them, or leave --images out"):
        score_maps(maps / "good", masks, options)
    save(tmp_path / "scans" / "c1.nii.gz", np.full(label().shape, 7, np.float32))
    with pytest.raises(DataError, match="grey values that differ"):
        score_maps(maps / "good", masks, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,who\nc0,p\n", "needs the columns case and patient, it has case, who"),
        ("case,patient\nc0,p\nc0,q\n", "case c0 stands twice"),
        ("case,patient\n" + 2 * f"{'c' * 5000},p\n", r"case c{299}… stands twice"),
        ("case,patient\nc0,p\n", "names no patient for c1"),
        ("case,patient\nc0,p\nc1,\n", "names no patient for c1"),
        ("", "cannot be read as CSV"),
    ],
)
def test_bad_tables_of_patients(tmp_path, text, message):
    file = tmp_path / "patients.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        read_patients(file, ["c0", "c1"])


def test_values_beyond_one_need_a_normalisation_that_is_named(tmp_path, masks):
    for case in range(4):
        save(tmp_path / "maps" / f"c{case}.npy", 200 * blurred(case, 0.1) - 10)
    with pytest.raises(DataError, match=r"values run from .* to .*--normalise max or minmax"):
        score_maps(tmp_path / "maps", masks)
    for kind in (Normalisation.MAX, Normalisation.MINMAX):
        rows = score_maps(tmp_path / "maps", masks, ScoreOptions(normalisation=kind)).rows
        assert one(rows, protocol="oracle", case="c0", organ="class 1")["dsc"] > 0.95


def test_a_constant_map_has_no_evidence(tmp_path, masks):
    for case in range(4):
        save(tmp_path / "maps" / f"c{case}.npy", np.zeros((2, *label().shape), np.float32))
    rows = score_maps(
        tmp_path / "maps", masks, ScoreOptions(normalisation=Normalisation.MINMAX)
    ).rows
    assert set(rows["status"]) == {"empty-pred"}
    assert (rows["dsc"] == 0).all()


def test_classes_must_agree(tmp_path, maps, masks):
    save(maps / "good" / "c1.npy", blurred(1, 0.1)[:1])
    with pytest.raises(DataError, match=r"c1\.npy holds 1 maps, the references have 2 classes"):
        score_maps(maps, masks)
    for case in range(4):
        save(tmp_path / "preds" / f"c{case}.npy", label(case) * 2)
    with pytest.raises(DataError, match="holds the label 4, but the references have only 1 to 2"):
        score_masks(tmp_path / "preds", masks)


def test_labels_of_references_count_up_or_are_named(tmp_path, masks):
    preds, gaps = tmp_path / "preds", tmp_path / "gaps"
    for case in range(2):
        save(preds / f"c{case}.npy", label(case))
        save(gaps / f"c{case}.nii.gz", np.where(label(case) == 2, 3, 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"hold the labels 3; number the classes 1, 2"):
        score_masks(preds, gaps)
    rows = score_masks(preds, gaps, ScoreOptions(organs=("a", "b", "c"))).rows
    assert set(rows["organ"]) == {"a", "b", "c"}
    with pytest.raises(ConfigError, match="names 2 classes, but the references hold the label 3"):
        score_masks(preds, gaps, ScoreOptions(organs=("a", "b")))


def test_references_must_hold_something(tmp_path):
    save(tmp_path / "preds" / "c0.npy", label())
    save(tmp_path / "masks" / "c0.nii.gz", np.zeros_like(label()))
    with pytest.raises(DataError, match="every voxel is 0"):
        score_masks(tmp_path / "preds", tmp_path / "masks")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no reference"):
        score_masks(tmp_path / "preds", tmp_path / "empty")


def run(*words):
    app = Typer(pretty_exceptions_enable=False)
    app.command()(score)
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_prints_a_ranking_and_writes_rows(tmp_path, maps, masks):
    out = tmp_path / "out"
    result = run("--maps", maps, "--masks", masks, "--organs", "left,right", "--out", out)
    assert result.exit_code == 0, result.output
    assert "protocol: cross-validated" in result.output
    assert set(read_rows(out / "rows.parquet")["organ"]) == {"left", "right"}
    assert len(pd.read_parquet(out / "curves.parquet")) == 2 * 4 * 2 * 99
    assert "## oracle-case" in (out / "scores.md").read_text(encoding="utf-8")


def test_the_command_scores_masks_of_arrays(tmp_path):
    arrays = references(tmp_path / "arrays", suffix=".npy")
    result = run("--preds", arrays, "--masks", arrays, "--spacing", "z=3,y=0.7,x=0.8")
    assert result.exit_code == 0, result.output
    assert "protocol: as given" in result.output
    assert "100.00" in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "either --maps"),
        (("--maps", "a", "--preds", "b"), "exactly one of them"),
        (("--maps", "a", "--normalise", "best"), "unknown normalisation 'best'; known: none, max"),
        (("--maps", "a", "--spacing", "3,1,1"), "which axis is which"),
        (("--maps", "a", "--fixed", "0.123"), "0.123 is not among those that are swept, 0.01 to"),
        (("--maps", "a", "--organs", "liver,liver"), "different names, got liver, liver"),
    ],
)
def test_the_command_refuses_what_leaves_doubt(tmp_path, words, message):
    result = run("--masks", tmp_path, *words)
    assert isinstance(result.exception, CamzooError)
    assert message in str(result.exception)


def test_one_call_from_python_is_the_command_line(tmp_path, masks, maps):
    """Folders may be text; words mean what the options mean."""
    scores = camzoo.score(maps=str(maps), masks=masks, organs=["ring", "disc"], fixed=0.4)
    options = ScoreOptions(organs=("ring", "disc"), fixed=0.4)
    assert scores.rows.equals(score_maps(maps, masks, options).rows)
    assert repr(scores).startswith(f"Scores: {len(scores.rows)} rows, 4 cases: good, nested/noisy")
    again = camzoo.score(preds=str(masks), masks=str(masks))
    assert (again.rows["dsc"] == 1).all()
    assert again.curves is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "either maps"),
        ({"maps": "a", "preds": "b"}, "exactly one"),
        ({"maps": "a", "normalise": "mean"}, "unknown normalisation 'mean'"),
        ({"maps": "a", "fixed": 2}, "fixed threshold 2"),
        ({"maps": "a", "spacing": (1, 1)}, "(z, y, x) in mm"),
        ({"maps": "a", "spacing": (3, 0.5, float("nan"))}, "each above 0"),
        ({"maps": "a", "spacing": (3, -0.5, 0.5)}, "each above 0"),
        ({"maps": "a", "organs": ["ring", "ring"]}, "different names"),
    ],
)
def test_wrong_words_from_python_are_refused(masks, words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        camzoo.score(masks=masks, **words)


def sagittal(folder, moved=0):
    """Slices of 0.8 x 0.7 mm every 3 mm, one behind the other from left to right: [z, y, x]."""
    affine = np.array([[3.0, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 0.7, 0], [0, 0, 0, 1]])
    save(folder / "c0.nii.gz", np.roll(label(0), moved, axis=1).transpose(1, 2, 0), affine)
    return folder


def test_columns_per_slice_are_measured_in_the_plane_of_acquisition(tmp_path):
    """Stored upright, the same slices give the same columns; the volume does not care."""
    upright = {"refs": label(0), "preds": np.roll(label(0), 1, axis=1)}
    for name, array in upright.items():
        save(tmp_path / "axial" / name / "c0.nii.gz", array)
        sagittal(tmp_path / "sagittal" / name, moved=name == "preds")
    folders = [tmp_path / plane for plane in ("axial", "sagittal")]
    expected, found = (score_masks(f / "preds", f / "refs") for f in folders)
    assert expected.slices == "acquired plane (axial, 3 mm)"
    assert found.slices == "acquired plane (sagittal, 3 mm)"
    columns = ["dsc", "asd_mm", "dsc_2d", "asd_2d_mm", "mad_2d_mm", "hd95_2d_mm", "slices"]
    pd.testing.assert_frame_equal(found.rows[columns], expected.rows[columns])
    assert found.rows["slices"].tolist() == [3, 4]
    axial = ScoreOptions(slices=SliceChoice.AXIAL)
    strips = score_masks(folders[1] / "preds", folders[1] / "refs", axial)
    assert strips.rows["slices"].tolist() != [3, 4]
    whole = ["dsc", "asd_mm", "mad_mm", "hd95_mm", "diagonal_mm"]
    pd.testing.assert_frame_equal(strips.rows[whole], found.rows[whole])


def test_the_command_and_the_page_say_the_plane(tmp_path):
    for name in ("refs", "preds"):
        sagittal(tmp_path / name, moved=name == "preds")
    app = Typer()
    app.command()(score)
    words = ["--preds", tmp_path / "preds", "--masks", tmp_path / "refs", "--out", tmp_path / "out"]
    found = CliRunner().invoke(app, list(map(str, words)))
    assert found.exit_code == 0
    assert "slices: acquired plane (sagittal, 3 mm)\n" in found.output
    page_of = (tmp_path / "out" / "scores.md").read_text("utf-8")
    assert "- slices: acquired plane (sagittal, 3 mm)\n" in page_of
    axial = CliRunner().invoke(app, [*map(str, words), "--slices", "axial"])
    assert "slices: axial, as set (0.7 mm)\n" in axial.output
    wrong = CliRunner().invoke(app, [*map(str, words), "--slices", "oblique"])
    assert isinstance(wrong.exception, ConfigError)
    assert "slices takes acquired or axial, got 'oblique'" in str(wrong.exception)


def scored_on(threads, *folders, options=None):
    run = score_masks if folders[0].name == "preds" else score_maps
    with use_threads(threads):
        return run(*folders, options)


def test_rows_curves_and_notes_are_the_same_on_any_number_of_cores(tmp_path, maps, masks):
    (maps / "good" / "c2.npy").unlink()
    options = ScoreOptions(allow_missing=True, with_thirds=True)
    alone, together = (scored_on(n, maps, masks, options=options) for n in (1, 3))
    pd.testing.assert_frame_equal(together.rows, alone.rows)
    pd.testing.assert_frame_equal(together.curves, alone.curves)
    assert together.notes == alone.notes
    for case in range(4):
        save(tmp_path / "preds" / f"c{case}.nii.gz", label(case))
    alone, together = (scored_on(n, tmp_path / "preds", masks) for n in (1, 3))
    pd.testing.assert_frame_equal(together.rows, alone.rows)
    assert together.notes == alone.notes


@pytest.mark.parametrize("threads", [1, 3])
def test_of_several_bad_files_the_first_is_told(tmp_path, masks, threads):
    for case in range(4):
        save(tmp_path / "preds" / f"c{case}.npy", label(case) + np.uint8(7 * (case > 0)))
    with pytest.raises(DataError, match=r"c1\.npy holds the label 9"):
        scored_on(threads, tmp_path / "preds", masks)
