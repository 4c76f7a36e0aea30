"""What ``bench`` says of its maps, ``score`` says of the same maps in files."""

import numpy as np
import pandas as pd
import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.core.protocol import Protocol
from camzoo.evaluate.measure import measure_labels
from camzoo.evaluate.prepared_cases import PreparedCases
from camzoo.evaluate.rows import columns as columns_of_rows
from camzoo.evaluate.score_options import GIVEN, PROTOCOLS, ScoreOptions
from camzoo.evaluate.scoring import score_maps, score_masks
from camzoo.harness.run import bench
from camzoo.metrics.sweep import apply_threshold
from camzoo.presets import preset
from camzoo.segment.export import write_volume
from tests.evaluate.cohorts import save

METHODS = ("cam", "eigen-cam")
#: A run chooses mask-free on validation patients, and a scoring on those that it scores.
WITHOUT_SCANS = [p for p in PROTOCOLS if p is not Protocol.MASK_FREE]
#: Columns that say which run a row is of, and not what was measured.
OF_THE_RUN = ("run", "dataset", "data", "split", "fold", "seed", "backbone", "computed_in",
              "variant", "supervision", "subset")  # fmt: skip
MEASURED = [name for name in columns_of_rows() if name not in OF_THE_RUN]
KEY = ["stage", "method", "protocol", "organ", "region", "case"]


@pytest.fixture(scope="module", params=["prostate", "cardiac"])
def benched(request, tmp_path_factory):
    """A run, a folder with the references of its test cases, and how they are scored."""
    folder = tmp_path_factory.mktemp(request.param)
    config = preset("smoke", "phantom").changed(
        {
            "data.options": {"variant": request.param, "patients": 6, "size": 64},
            "data.size": 64,
            "methods": METHODS,
            "training.epochs": 1,
            "backbone.name": "test_resnet",
            "training.crop": 64,
            "training.resize": [64, 80],
            "maps.side": 64,
            "maps.scales": [1.0],
            "maps.size": 32,
            "evaluation.protocols": [p.value for p in WITHOUT_SCANS],
            "device": "cpu",
        }
    )
    result = bench(config, folder / "runs")
    (folder / "masks").mkdir()
    masks = result.prepared.vault.for_evaluation()
    for info in infos(result):
        path = folder / "masks" / f"{info.id}.nii.gz"
        write_volume(path, masks.label(info.id), np.array(info.affine))
    patients = [f"{info.id},{info.patient}\n" for info in infos(result)]
    (folder / "patients.csv").write_text("case,patient\n" + "".join(patients))
    options = ScoreOptions(
        patients=folder / "patients.csv",
        organs=result.prepared.index.organs,
        thresholds=config.evaluation.thresholds,
        with_thirds=request.param == "prostate",
    )
    return result, folder, options


def infos(result):
    tested = result.rows.loc[result.rows["subset"] == "test", "case"]
    return [result.prepared.cases[case] for case in sorted(set(tested))]


def require_equal(found, expected):
    """Equal in all that was measured; files hold spacing and affine to seven digits."""
    frames = [frame.sort_values(KEY, ignore_index=True)[MEASURED] for frame in (found, expected)]
    pd.testing.assert_frame_equal(*frames, rtol=1e-6, check_dtype=False)
    counts = ["tp", "n_pred", "n_ref", "slices", "slices_failed", "dsc", "dsc_2d", "threshold"]
    pd.testing.assert_frame_equal(*(frame[counts] for frame in frames), rtol=0, check_dtype=False)


def test_maps_of_a_run_get_the_same_numbers_as_files(benched):
    result, folder, options = benched
    for method in METHODS:
        files = MapFiles.open(result.maps[method])
        for info in infos(result):
            save(folder / "maps" / method / f"{info.id}.npy", files.volume(info).numpy())
    scores = score_maps(folder / "maps", folder / "masks", options)
    rows = result.rows[result.rows["subset"] == "test"]
    assert set(rows["protocol"]) == set(Protocol) - {Protocol.VALIDATED, Protocol.MASK_FREE}
    assert rows["region"].nunique() == (4 if options.with_thirds else 1)
    require_equal(scores.rows, rows)
    whole = rows[rows["region"] == "whole"]
    assert whole[["slices", "slices_failed", "dsc_2d"]].notna().all(axis=None)
    assert np.isfinite(whole.loc[whole["slices"] > 0, "asd_2d_mm"]).all()
    assert (whole["slices"] > 0).any()
    curves = result.curves[result.curves["subset"] == "test"]
    columns = ["method", "organ", "case", "threshold", "tp", "n_pred", "n_ref"]
    both = [frame[columns].sort_values(columns[:4]) for frame in (scores.curves, curves)]
    pd.testing.assert_frame_equal(*(frame.reset_index(drop=True) for frame in both))


def test_labels_of_a_run_get_the_same_numbers_as_files(benched):
    result, folder, options = benched
    files = MapFiles.open(result.maps["cam"])

    def labels(info):
        return apply_threshold(files.volume(info).numpy(), 0.3)

    for info in infos(result):
        save(folder / "preds" / "cut" / f"{info.id}.npy", labels(info))
    ids = [info.id for info in infos(result)]
    (records,) = measure_labels(PreparedCases(result.prepared, {"cut": labels}, ids)).values()
    columns = {"stage": "segmentation", "method": "cut", "protocol": GIVEN}
    expected = pd.DataFrame([columns | record for record in records]).reindex(
        columns=columns_of_rows()
    )
    require_equal(score_masks(folder / "preds", folder / "masks", options).rows, expected)
