"""What a student learns is what the tables of the run have scored."""

import numpy as np
import pytest

from camzoo.core.errors import ConfigError
from camzoo.data.labels import UNKNOWN
from camzoo.report.opened_runs import open_cell
from camzoo.students.pseudo_masks import of_baseline, of_maps


@pytest.fixture(scope="module")
def viewed(run):
    return open_cell(run, None, None)[0]


def counts(viewed, labels, case):
    """Voxels of labels, and those that lie in the reference."""
    reference = viewed.prepared.vault.for_evaluation().label(case)
    return int((labels == 1).sum()), int(((labels == 1) & (reference == 1)).sum())


def scored(viewed, case, line, protocol):
    rows = viewed.record.rows
    rows = rows[(rows["case"] == case) & (rows["method"] == line) & (rows["region"] == "whole")]
    (row,) = rows[(rows["protocol"] == protocol) & (rows["subset"] == "train")].to_dict("records")
    return row["n_pred"], row["tp"]


@pytest.mark.parametrize("protocol", ["validated", "otsu"])
@pytest.mark.parametrize("line", ["cam", "centre"])
def test_maps_are_cut_as_the_tables_cut_them(viewed, line, protocol):
    taught = of_maps(viewed, line, protocol, 0.0)
    split = viewed.record.manifest["splits"]["0"]
    assert list(taught.cases) == split["train"]
    assert taught.supervision == "image"
    for case in taught.cases:
        assert counts(viewed, taught.labels(case), case) == scored(viewed, case, line, protocol)


def test_labels_of_a_baseline_are_those_that_were_scored(viewed, run):
    taught = of_baseline(viewed, run, "affinitynet")
    assert taught.thresholds == {}
    for case in taught.cases:
        found = taught.labels(case)
        assert set(np.unique(found)) <= {0, 1, UNKNOWN}
        assert counts(viewed, found, case) == scored(viewed, case, "affinitynet", "none")


def test_what_lies_near_the_threshold_is_unknown(viewed):
    sure, unsure = (of_maps(viewed, "cam", "validated", margin) for margin in (0.0, 0.1))
    case = sure.cases[0]
    values = viewed.maps["cam"].volume(viewed.prepared.cases[case]).numpy()[0]
    near = np.abs(values - sure.thresholds[case]) < 0.1
    assert 0 < near.sum() < near.size
    found = unsure.labels(case)
    assert ((found == UNKNOWN) == near).all()
    assert (found[~near] == sure.labels(case)[~near]).all()


def test_unknown_pixels_of_a_baseline_stay_unknown(viewed, run, monkeypatch):
    """Between a known and an unknown pixel the larger share decides, as between two organs."""
    organs = np.zeros((1, 4, 4), np.uint8)
    organs[0, :, 1], organs[0, :, 2:] = 1, UNKNOWN
    slices = viewed.prepared.tagged(of_baseline(viewed, run, "affinitynet").cases)
    drawn = np.repeat(organs, len(slices), axis=0)
    monkeypatch.setattr("camzoo.harness.workers.labels.read_array", lambda *_: drawn)
    taught = of_baseline(viewed, run, "affinitynet")
    (columns,) = {tuple(taught.labels(taught.cases[0])[0, 30])}
    assert list(columns[:: len(columns) // 4])[:4] == [0, 1, UNKNOWN, UNKNOWN]
    assert set(columns) == {0, 1, UNKNOWN}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda v, _: of_maps(v, "cma", "validated", 0), "unknown method 'cma'; did you mean cam"),
        (lambda v, _: of_maps(v, "cam", "oracle", 0), "unknown protocol 'oracle'"),
        (lambda v, _: of_maps(v, "cam", "validated", -1), "a number from 0 on, got -1"),
        (lambda v, _: of_maps(v, "cam", "validated", float("nan")), "a number from 0 on, got nan"),
        (lambda v, run: of_baseline(v, run, "bes"), "unknown baseline 'bes'"),
        (lambda v, run: of_baseline(v, run, "sizeloss"), "no pseudo-masks of sizeloss: it learns"),
    ],
)
def test_what_is_not_there(viewed, run, ask, message):
    with pytest.raises(ConfigError, match=message):
        ask(viewed, run)
