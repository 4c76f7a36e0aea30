"""A metric of somebody else: its values, its faults, and rows that outlive its package."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import camzoo
from camzoo.cli.app import app
from camzoo.core.errors import ConfigError, DataError, UnknownNameError
from camzoo.core.registry import Place
from camzoo.evaluate.row_checks import require_sound
from camzoo.evaluate.rows import columns, make_rows, read_rows, unknown_metrics, write_rows
from camzoo.metrics.base import UNDEFINED, Direction, Metric, Needs
from camzoo.metrics.case import CaseReference
from camzoo.metrics.definitions import broken_metrics, get_metric, stored_metrics
from camzoo.registries import metrics
from camzoo.report.further import further_table
from camzoo.report.leaderboards import write_page
from camzoo.report.numbers import numbers
from tests.evaluate.cohorts import label as label_of
from tests.evaluate.cohorts import references, save
from tests.plugins import again, install

SPACING = (3.0, 0.5, 0.7)
ONE_FILE = '''
from camzoo import CountMetric, register_metric


@register_metric("volumetric_similarity")
class VolumetricSimilarity(CountMetric):
    """Volumetric similarity: how near the volumes are, wherever they lie."""

    label = "VS"
    definition = "1 - ||A|-|B|| / (|A|+|B|) (Taha and Hanbury, 2015)"

    def from_counts(self, counts):
        """Return the similarity of the volumes."""
        return 1 - abs(counts.n_pred - counts.n_ref) / (counts.n_pred + counts.n_ref)
'''


@pytest.fixture
def similarity(tmp_path, monkeypatch):
    """The metric, from the entry point of an installed package."""
    metrics.names()
    name, place = "volumetric_similarity", "vs_of_somebody:VolumetricSimilarity"
    site = tmp_path / "site"
    install(site, "somebody", {name: place}, {"vs_of_somebody": ONE_FILE}, group="camzoo.metrics")
    monkeypatch.syspath_prepend(str(site))
    found = again(metrics)
    assert (found.package(name), found.place(name)) == ("somebody", place)
    with metrics.temporary({name: Place(found.place(name), found.package(name))}):
        yield name


@pytest.fixture
def scored(tmp_path, similarity):
    """Scores of predictions that are a row of voxels larger than the references."""
    references(tmp_path / "masks")
    for i in range(4):
        larger = label_of(i)
        larger[1:4, 3 + i, 2:9][larger[1:4, 3 + i, 2:9] == 0] = 1
        save(tmp_path / "preds" / f"c{i}.nii.gz", larger)
    return camzoo.score(preds=tmp_path / "preds", masks=tmp_path / "masks")


def masks():
    reference = np.zeros((6, 9, 7), bool)
    reference[1:5, 2:7, 2:5] = True
    return reference, np.roll(reference, 1, axis=2), np.zeros_like(reference)


def measured(cls, reference, prediction, **options):
    with metrics.temporary({"own": cls}):
        return CaseReference(reference, SPACING, **options).measure(prediction)


class Own(Metric):
    """Distance of the centres of mass."""

    name = "own"
    label = "own"
    unit = "mm"
    direction = Direction.LOWER
    range = (0.0, math.inf)
    definition = "distance of the centres of mass"
    one_empty = UNDEFINED

    def measure(self, pair):
        centres = [np.argwhere(m).mean(axis=0) for m in (pair.prediction, pair.reference)]
        return np.linalg.norm((centres[0] - centres[1]) * pair.spacing)


def test_score_has_its_column_by_hand(scored, similarity):
    rows = scored.rows[(scored.rows["case"] == "c0")].set_index("organ")
    # 3 slices of 6 x 6 voxels, and one voxel more in each slice.
    assert rows.loc["class 1", ["n_pred", "n_ref"]].tolist() == [111, 108]
    assert rows.loc["class 1", similarity] == pytest.approx(1 - 3 / 219)
    assert rows.loc["class 2", similarity] == 1
    assert list(scored.rows.columns) == columns()
    assert columns().index(similarity) == columns().index("diagonal_mm") - 1


def test_score_prints_and_writes_it(tmp_path, scored, similarity):
    words = ["score", "--preds", str(tmp_path / "preds"), "--masks", str(tmp_path / "masks")]
    runner = CliRunner(env={"COLUMNS": "300"})
    out = tmp_path / "out"
    done = runner.invoke(app, [*words, "--metrics", "hd_mm,iou", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "HD (mm)" in done.output
    assert "- IoU: |A∩B| / (|A|+|B|-|A∩B|); higher is better" in done.output
    page = (out / "scores.md").read_text(encoding="utf-8")
    assert "| rank | method | VS | HD (mm) | IoU |" in page
    field = pq.read_schema(out / "rows.parquet").field(similarity)
    assert field.metadata[b"metric"] == b"VS"
    done = runner.invoke(app, [*words, "--json"])
    (line,) = json.loads(done.stdout)["results"]
    assert line[similarity]["mean"] == pytest.approx(scored.rows[similarity].mean())
    done = runner.invoke(app, [*words, "--metrics", "vs"])
    assert isinstance(done.exception, UnknownNameError)


def test_a_class_in_a_file_will_do(tmp_path, scored):
    source = ONE_FILE.replace("volumetric_similarity", "vs-2").replace('"VS"', '"VS 2"')
    (tmp_path / "vs_in_a_file.py").write_text(source, encoding="utf-8")
    place = f"{tmp_path / 'vs_in_a_file.py'}:VolumetricSimilarity"
    words = ["score", "--preds", str(tmp_path / "preds"), "--masks", str(tmp_path / "masks")]
    with metrics.temporary():
        out = CliRunner(env={"COLUMNS": "300"}).invoke(app, [*words, "--metrics", place])
    assert out.exit_code == 0, out.output
    assert "VS 2" in out.output
    assert "vs-2" not in metrics


def test_statistics_know_it(scored, similarity):
    best = camzoo.metrics.summarise(scored.rows, similarity, ["method"])
    assert best["n"].tolist() == [4]
    # Counts of all cases together, each organ by itself: (1 - 12 / 876 + 1) / 2.
    assert best["pooled"].tolist() == pytest.approx([1 - 6 / 876])
    assert similarity in numbers(scored.rows)[0]


def test_a_row_outside_its_range_is_refused(scored, similarity):
    rows = scored.rows.copy()
    require_sound(rows, "x")
    rows.loc[0, similarity] = 1.5
    with pytest.raises(DataError, match="x: volumetric_similarity is outside 0 to 1; row of"):
        require_sound(rows, "x")
    rows.loc[0, similarity] = np.nan
    with pytest.raises(DataError, match="volumetric_similarity is missing and its status"):
        require_sound(rows, "x")


def test_rows_are_read_and_shown_where_the_package_is_absent(tmp_path, scored, similarity):
    rows = scored.rows.assign(subset="test", protocol="none")
    write_rows(rows, tmp_path / "a.parquet")
    with metrics.temporary():
        del metrics._targets[similarity]
        back = read_rows(tmp_path / "a.parquet")
        assert unknown_metrics(back) == [similarity]
        require_sound(back, "x")
        (line,) = further_table(back).to_dict("records")
        write_rows(back, tmp_path / "b.parquet")
    values = rows[similarity]
    assert line[similarity] == f"{values.mean():.2f} ± {values.std():.2f}"
    pd.testing.assert_frame_equal(
        read_rows(tmp_path / "b.parquet"), read_rows(tmp_path / "a.parquet")
    )
    (line,) = further_table(rows).to_dict("records")
    assert line["VS"].startswith(f"{values.mean():.2f} ± ")


def test_rows_from_before_it_have_it_from_their_counts(tmp_path, scored, similarity):
    write_rows(scored.rows.drop(columns=similarity), tmp_path / "old.parquet")
    old = read_rows(tmp_path / "old.parquet")
    require_sound(old, "x")
    assert get_metric(similarity).values(old).tolist() == pytest.approx(
        scored.rows[similarity].tolist()
    )


def test_a_metric_of_masks_is_given_what_it_needs():
    reference, moved, nothing = masks()
    (row,) = measured(Own, reference, moved)
    assert row["own"] == pytest.approx(0.7)
    assert measured(Own, nothing, nothing)[0]["own"] == 0
    assert np.isnan(measured(Own, reference, nothing)[0]["own"])
    whole, region = measured(Own, reference, moved, regions={"apex": slice(1, 3)})
    assert whole["own"] == region["own"] == pytest.approx(0.7)


def test_a_metric_of_slices_stands_where_slices_are_measured():
    class PerSlice(Own):
        needs = Needs.SLICES

        def measure(self, pair):
            return pair.slices.n + pair.slice_counts[2, 0] / 1000

    reference, moved, _ = masks()
    assert "own" not in measured(PerSlice, reference, moved)[0]
    assert measured(PerSlice, reference, moved, slicewise=True)[0]["own"] == 4.01


@pytest.mark.parametrize(
    ("gives", "says"),
    [
        (lambda pair: -1.0, "gave -1, its range is 0 to inf"),
        (lambda pair: float("nan"), "gave nan"),
        (lambda pair: float("inf"), "gave inf"),
        (lambda pair: "much", "cannot be measured: ValueError"),
        (lambda pair: None, "cannot be measured: TypeError"),
        (lambda pair: np.ones(3), "cannot be measured: TypeError"),
        (lambda pair: 1 / 0, "cannot be measured: ZeroDivisionError"),
        (lambda pair: pair.slices.n, "slices are not measured by themselves here"),
        (lambda pair: pair.uncropped.asd, "whole masks have no uncropped surfaces"),
        (lambda pair: pair.prediction.fill(False), "cannot be measured: ValueError"),
    ],
)
def test_what_is_no_value_ends_in_one_line(gives, says):
    bad = type("Bad", (Own,), {"measure": lambda self, pair: gives(pair)})
    with pytest.raises(DataError, match=says) as error:
        measured(bad, *masks()[:2])
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"label": ""}, "needs a label"),
        ({"label": None}, "needs a label"),
        ({"definition": "two\nlines"}, "needs a definition"),
        ({"direction": "up"}, "needs a direction"),
        ({"range": (1.0, 0.0)}, "needs a range"),
        ({"range": (0.0, float("nan"))}, "needs a range"),
        ({"range": None}, "cannot be used: TypeError"),
        ({"range": ("low", "high")}, "cannot be used: ValueError"),
        ({"unit": ""}, "can be as bad as inf: say what a failure counts as"),
        ({"direction": Direction.HIGHER}, "has no best value"),
        ({"__init__": lambda self, tolerance: None}, "cannot be used: TypeError"),
    ],
)
def test_a_class_that_does_not_say_what_it_has_to_is_left_out_and_named(changes, says):
    with metrics.temporary({"own": type("Bad", (Own,), changes)}):
        with pytest.raises(ConfigError, match=f"the metric 'own' .*{says}"):
            get_metric("own")
        assert "own" not in [metric.name for metric in stored_metrics()]
        (fault,) = broken_metrics()
        assert says in fault
    assert broken_metrics() == []


def test_a_metric_may_not_be_called_as_a_fixed_column():
    with (
        metrics.temporary({"threshold": type("Bad", (Own,), {"name": "threshold"})}),
        pytest.raises(ConfigError, match="'threshold' of this program is called as a column"),
    ):
        make_rows([])


def test_another_tolerance_is_three_lines():
    near = type(get_metric("nsd_2mm"))
    wide = type("Wide", (near,), {"name": "own", "label": "w", "tolerance_mm": 1e3})
    assert measured(wide, *masks()[:2])[0]["own"] == 1


@pytest.mark.slow
def test_bench_measures_anew_for_it_and_shows_it(tmp_path, similarity):
    def bench():
        return camzoo.bench(
            dataset="phantom", preset="smoke", methods=["centre"], device="cpu", out=tmp_path,
            options={"patients": 6, "size": 64},
            settings={
                "data.size": 64, "training.epochs": 1,
                "backbone.name": "test_resnet", "training.crop": 64, "maps.side": 64,
                "training.resize": [64, 80], "maps.scales": [1.0], "maps.size": 32,
            },
        )  # fmt: skip

    with metrics.temporary():
        del metrics._targets[similarity]
        assert similarity not in bench().rows
    result = bench()  # all but the scores is found in the store
    rows = result.rows
    n_pred, n_ref = (rows[name].to_numpy(float) for name in ("n_pred", "n_ref"))
    expected = np.where(n_pred + n_ref, 1 - abs(n_pred - n_ref) / np.maximum(n_pred + n_ref, 1), 1)
    assert rows[similarity].to_numpy(float) == pytest.approx(expected)
    text = write_page(result.folder).read_text(encoding="utf-8")
    assert "### Further metrics: volumes of the test patients" in text
    assert "| stage | method | VS |" in text
    assert "- VS: 1 - " in text
