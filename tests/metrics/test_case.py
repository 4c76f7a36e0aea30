import numpy as np
import pytest

from camzoo.evaluate.rows import make_rows
from camzoo.metrics.case import CaseReference
from camzoo.metrics.overlap import dice, overlap_counts
from camzoo.metrics.slicewise import ReferenceSlices
from camzoo.metrics.subregions import crop, thirds
from camzoo.metrics.surface import surface_distances
from tests.metrics.masks import ball

SPACING = (3.0, 0.5, 0.6)
UP = np.array([[0, 0, -0.6, 0], [0, -0.5, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1.0]])


@pytest.fixture
def masks():
    shape = (14, 40, 50)
    return ball(shape, (6, 20, 25), (5, 12, 14)), ball(shape, (7, 18, 22), (5, 12, 14))


def test_rows_of_whole_and_regions_fit_the_schema(masks):
    pred, ref = masks
    records = CaseReference(ref, SPACING, regions=thirds(ref, UP), slicewise=True).measure(pred)
    rows = make_rows([record | {"case": "a"} for record in records]).set_index("region")
    assert set(rows.index) == {"whole", "apex", "mid", "base"}
    assert rows.loc[["apex", "mid", "base"], "n_ref"].sum() == rows.loc["whole", "n_ref"]
    # The prediction reaches two slices further down than the reference: whole score only.
    assert rows.loc[["apex", "mid", "base"], "n_pred"].sum() < rows.loc["whole", "n_pred"]


def test_the_whole_row_holds_the_metrics_of_the_volume(masks):
    pred, ref = masks
    (row,) = CaseReference(ref, SPACING, slicewise=True).measure(pred)
    d = surface_distances(pred, ref, SPACING)
    tp = np.count_nonzero(pred & ref)
    slices = ReferenceSlices(ref, SPACING).distances(pred)
    expected = {
        "region": "whole",
        "tp": tp,
        "n_pred": pred.sum(),
        "n_ref": ref.sum(),
        "dsc": 2 * tp / (pred.sum() + ref.sum()),
        "asd_mm": d.asd,
        "mad_mm": d.mad,
        "mad_reverse_mm": d.mad_reverse,
        "assd_mm": d.assd,
        "hd_mm": d.hd,
        "hd95_mm": d.hd95,
        "nsd_2mm": d.nsd(2.0),
        "diagonal_mm": np.linalg.norm([14 * 3.0, 40 * 0.5, 50 * 0.6]),
        "status": "ok",
        "spacing_z": 3.0,
        "spacing_y": 0.5,
        "spacing_x": 0.6,
        "dsc_2d": np.mean(
            [dice(*overlap_counts(p, r)) for p, r in zip(pred, ref, strict=True) if (p | r).any()]
        ),
        "asd_2d_mm": np.nanmean(slices.asd),
        "mad_2d_mm": np.nanmean(slices.mad),
        "hd95_2d_mm": np.nanmean(slices.hd95),
        "slices": slices.n,
        "slices_failed": slices.n_failed,
        "slices_there": ref.any(axis=(1, 2)).sum(),
        "slices_all": 14,
        "n_pred_there": pred[ref.any(axis=(1, 2))].sum(),
    }
    assert row.keys() == expected.keys()
    texts = {"region", "status"}
    assert {k: row[k] for k in texts} == {k: expected[k] for k in texts}
    assert [row[k] for k in expected if k not in texts] == pytest.approx(
        [expected[k] for k in expected if k not in texts]
    )


def test_regions_are_scored_cropped_and_to_the_full_surface(masks):
    pred, ref = masks
    regions = thirds(ref, UP)
    apex = CaseReference(ref, SPACING, regions=regions).measure(pred)[1]
    cropped = surface_distances(crop(pred, regions["apex"]), crop(ref, regions["apex"]), SPACING)
    assert apex["asd_mm"] == pytest.approx(cropped.asd)
    # A cut adds a lid to both masks at the same slice: cropped surfaces look nearer.
    assert apex["asd_full_mm"] > apex["asd_mm"]


def test_an_empty_prediction_has_counts_and_no_distances(masks):
    _, ref = masks
    records = CaseReference(ref, SPACING, regions=thirds(ref, UP), slicewise=True).measure(
        np.zeros_like(ref)
    )
    for row in records:
        assert (row["status"], row["dsc"], row["nsd_2mm"]) == ("empty-pred", 0, 0)
        assert row.get("dsc_2d", 0) == 0
        assert np.isnan(row["asd_mm"])
    assert np.isnan(records[0]["asd_2d_mm"])
    assert np.isnan(records[1]["asd_full_mm"])
