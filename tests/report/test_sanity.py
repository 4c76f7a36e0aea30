"""Sanity of maps: controls come out as they must; what ignores image or network is found."""

import json
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from scipy.stats import spearmanr

from camzoo.cams.base import CamMethod
from camzoo.cams.disturbances import DISTURBANCES
from camzoo.cams.map_files import MapFiles
from camzoo.core.errors import ConfigError, DataError
from camzoo.core.progress import Quiet
from camzoo.data.slices import Prepared, labels_on_grid
from camzoo.harness.manifest import read_manifest
from camzoo.harness.restored import restore_cell
from camzoo.harness.run import bench
from camzoo.harness.sanity import Asked, FixedMap, compare_maps
from camzoo.network.redrawn import PARTS, redrawn
from camzoo.registries import cams
from camzoo.report.sanity import sanity_notes, sanity_record, sanity_tables, write_sanity
from camzoo.report.sanity_maps import examine
from tests.harness.test_run import TINY

PASSES = (*PARTS, *DISTURBANCES)
OTHER = "other seed"


class Blind(CamMethod):
    """A mutant: draws a blob off the centre, whatever is shown by whatever network."""

    name, paper = "blind", "none"

    def saliency(self, view):
        rows = torch.arange(8.0)
        blob = torch.exp(-((rows[:, None] - 2) ** 2) - (rows - 5) ** 2 / 3)
        return blob.expand(*view.logits.shape, -1, -1)


class Edges(CamMethod):
    """A mutant: sees the image, and asks no network."""

    name, paper = "edges", "none"

    def saliency(self, view):
        grey = view.images.mean(1, keepdim=True)
        edges = (grey - F.avg_pool2d(grey, 3, 1, 1)).abs()
        return edges.expand(-1, view.logits.shape[1], -1, -1)


class Moody(CamMethod):
    """Raises when told to, always or by other networks than one; or shows nothing by these."""

    name, paper = "moody", "none"
    mood, seen = "good", None

    def saliency(self, view):
        if self.mood == "bad":
            raise RuntimeError("not today")
        weight = float(view.viewer.model.get_classifier().weight.detach().sum())
        if self.mood == "choosy" and weight != type(self).seen:
            raise RuntimeError("another network")
        if self.mood == "shy" and weight != type(self).seen:
            return torch.zeros_like(view.features[:, : view.logits.shape[1]])
        return view.features.abs().mean(1, keepdim=True).expand(-1, view.logits.shape[1], -1, -1)


METHODS = ["cam", "grad-cam++", "centre", "prior-only:map=B", "eigen-cam", "lpcam", "cam[blend]"]
MINE = {"blind": Blind, "edges": Edges, "moody": Moody}
PRIOR = "prior-only map=B oracle-prior"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two seeds with the controls, learnt methods and mutants."""
    with cams.temporary(MINE):
        settings = {
            "methods": [*METHODS, *MINE], "seeds": [0, 1], "training.epochs": 2,
            "evaluation.protocols": ["validated"], "evaluation.thresholds": [0.2, 0.35, 0.5, 0.7],
        }  # fmt: skip
        yield bench(TINY.changed(settings), tmp_path_factory.mktemp("runs"), Quiet())


@pytest.fixture(scope="module")
def found(run):
    return examine(run.folder, reporter=Quiet())


@pytest.fixture(scope="module")
def record(found):
    return sanity_record(found)


def by_name(record):
    return {line["method"]: line for line in record["methods"]}


def opened(run, prepared=None, manifest=None, weights=None):
    manifest = manifest or read_manifest(run.folder)
    return restore_cell(
        run.folder, manifest, manifest["cells"][0], prepared or run.prepared,
        weights=weights, device="cpu", reporter=Quiet(),
    )  # fmt: skip


def test_controls_come_out_as_they_must(record):
    lines = by_name(record)
    centre, prior = lines["centre"]["correlation"], lines[PRIOR]["correlation"]
    for name in PASSES:
        assert centre[name] == pytest.approx(1, abs=1e-6), name
        assert name == "mirror" or prior[name] == pytest.approx(1, abs=1e-6), name
    assert prior["mirror"] < 0.99  # the map stays where it is, and the slice does not
    assert centre[OTHER] == pytest.approx(1, abs=1e-6)
    assert max(map(abs, lines["centre"]["energy_lost"].values())) < 1e-9
    assert lines["centre"]["empty"] == 0


def test_mutants_are_found(record):
    lines = by_name(record)
    blind, edges = lines["blind"]["correlation"], lines["edges"]["correlation"]
    assert [blind[name] for name in (*PARTS, OTHER, "noise")] == pytest.approx([1] * 4)
    assert [edges[name] for name in (*PARTS, OTHER)] == pytest.approx([1] * 3)
    assert edges["noise"] < 0.9
    assert blind["mirror"] < 0.9
    assert edges["mirror"] > 0.99 > edges["spacing"]


def test_what_reads_the_network_changes_with_it(record):
    lines = by_name(record)
    assert lines["eigen-cam"]["correlation"]["head"] == pytest.approx(1)  # it reads no head
    assert lines["eigen-cam"]["correlation"]["all layers"] < 0.99
    for name in ("cam", "grad-cam++"):
        assert lines[name]["correlation"]["all layers"] < 0.9, name
        assert lines[name]["correlation"]["head"] < 0.99, name
        assert lines[name]["correlation"]["noise"] > lines[name]["correlation"]["all layers"]


def test_maps_that_hardly_depend_on_learning_are_marked(found):
    _, table, _ = sanity_tables(found).values()
    table = table.set_index("method")
    assert (
        table.loc["blind", ["all weights random", "head alone random"]].tolist() == ["1.00 !"] * 2
    )
    assert table.loc["blind", "noise"] == "1.00"
    assert "!" not in table.loc["cam", "all weights random"]
    assert any("'!' is above 0.8" in note for note in sanity_notes(found))


def test_where_maps_lie_is_measured_on_the_voxels_of_the_scan(run, found):
    """One slice by hand, and recall against the counts of the run's own rows."""
    maps, prepared = MapFiles.open(run.maps["blind"]), run.prepared
    row = found.located[found.located["line"] == "blind"].iloc[3]
    label = prepared.vault.for_evaluation().slices(row["case"])[row["slice"]]
    mask = label == prepared.index.organs.index(row["organ"]) + 1
    values = maps.slice(prepared.cases[row["case"]], row["slice"])[0].numpy().astype(float)
    assert row["energy"] == pytest.approx(values[mask].sum() / values.sum(), rel=1e-4)
    assert row["pointing"] == float(mask.ravel()[values.argmax()])
    assert row["share"] == pytest.approx(mask.mean())
    for line in ("centre", "blind", "eigen-cam"):
        mine = found.located[found.located["line"] == line]
        for case, slices in mine.groupby("case"):
            rows = run.rows[(run.rows["case"] == case) & (run.rows["method"] == line)]
            rows = rows[(rows["protocol"] == "validated") & (rows["region"] == "whole")]
            (tp,), (n_ref,) = (
                rows.loc[rows["seed"] == 0, name].tolist() for name in ("tp", "n_ref")
            )
            recalled = (slices["recall"] * slices["area_mm2"]).sum() / slices["area_mm2"].sum()
            assert recalled == pytest.approx(tp / n_ref, abs=1e-3)


def test_average_precision_pools_the_slices_of_a_case(run, found):
    oracle = pytest.importorskip("sklearn.metrics").average_precision_score
    maps, row = MapFiles.open(run.maps["centre"]), found.pooled.set_index("line").loc["centre"]
    case, expected = row["case"].iloc[0], row["average_precision"].iloc[0]
    label = run.prepared.vault.for_evaluation().slices(case)
    there = np.flatnonzero((label == 1).any(axis=(1, 2)))
    values = [maps.slice(run.prepared.cases[case], z)[0].numpy() for z in there]
    assert expected == pytest.approx(oracle((label[there] == 1).ravel(), np.ravel(values)))


def test_thirds_are_of_slices_by_area(found):
    mine = found.located[found.located["line"] == "cam"]
    counts = mine["size"].value_counts()
    assert counts.sum() == found.slices
    assert counts.max() - counts.min() <= 2
    areas = mine.groupby("size")["area_mm2"]
    assert areas.max()["small"] <= areas.min()["middle"]
    assert areas.max()["middle"] <= areas.min()["large"]


def test_seeds_are_compared_on_the_grid_of_the_maps(run, found):
    store, cells = run.folder.parent / "store", read_manifest(run.folder)["cells"]
    places = [store / cell["maps"]["cam"] for cell in cells]
    assert found.seeds == (0, 1)
    row = found.agreed[found.agreed["line"] == "cam"].dropna().iloc[0]
    number = run.prepared.cases[row["case"]].first + row["slice"]
    one, other = (MapFiles.open(place).maps[number, 0].ravel() for place in places)
    # The phantom's slices are square: no pixel of the grid lies beside the scan.
    assert row["correlation"] == pytest.approx(spearmanr(one, other).statistic)


def test_what_cannot_be_made_again_is_told_with_the_reason(found, record):
    assert set(found.untried) == {"lpcam", "cam[blend]"}
    assert "learns from training slices" in found.untried["lpcam"]
    assert "steps behind" in found.untried["cam[blend]"]
    line = by_name(record)["lpcam"]
    assert line["energy"] is not None
    assert line["correlation"][OTHER] is not None
    assert {line["correlation"][name] for name in PASSES} == {None}


def test_one_that_raises_fails_alone(run):
    cell = opened(run)
    asked = {name: Asked(cams.get(name)) for name in ("moody", "centre")}
    cases = cell.split.test[:1]
    fine = compare_maps(cell, asked, cases)
    assert (fine.failures, set(fine.values["line"])) == ({}, {"moody", "centre"})
    Moody.mood = "bad"
    try:
        bad = compare_maps(cell, asked, cases)
        assert bad.failures == {"moody": "RuntimeError: not today"}
        assert set(bad.values["line"]) == {"centre"}
        Moody.mood = "choosy"
        Moody.seen = float(cell.trained.classifier.head.weight.detach().sum())
        choosy = compare_maps(cell, asked, cases)
    finally:
        Moody.mood = "good"
    assert choosy.failures == {"moody": "all layers: RuntimeError: another network"}
    mine = choosy.values[choosy.values["line"] == "moody"]
    assert set(mine["what"]) == set(DISTURBANCES)
    assert set(choosy.values.loc[choosy.values["line"] == "centre", "what"]) == set(PASSES)


def test_maps_that_become_empty_have_nothing_in_common_and_are_told(run, found):
    cell = opened(run)
    Moody.mood, Moody.seen = "shy", float(cell.trained.classifier.head.weight.detach().sum())
    try:
        compared = compare_maps(cell, {"moody": Asked(Moody)}, cell.split.test[:1])
    finally:
        Moody.mood = "good"
    means = compared.values.groupby("what")[["correlation", "empty"]].mean()
    assert means.loc[list(PARTS)].to_numpy().tolist() == [[0, 1]] * 2
    assert means.loc[list(DISTURBANCES), "empty"].tolist() == [0] * 4
    assert means.loc["mirror", "correlation"] > 0
    notes = sanity_notes(replace(found, compared=compared))
    said = "100.0 % (all weights random), 100.0 % (head alone random)"
    assert f"moody: maps become empty, which counts as 0: {said}" in notes


def test_organs_with_a_side_are_not_mirrored(run):
    prepared = Prepared(run.prepared.folder)
    vars(prepared)["index"] = replace(prepared.index, sided=True)
    cell = opened(run, prepared)
    compared = compare_maps(cell, {"centre": Asked(cams.get("centre"))}, cell.split.test[:1])
    assert set(compared.skipped) == {"mirror"}
    assert "side of the body" in compared.skipped["mirror"]
    assert set(compared.values["what"]) == {*PASSES} - {"mirror"}


def test_energy_is_of_the_organ_on_the_grid(run):
    """A map that is the mask of the first slice has all of its energy there, and keeps it."""
    cell = opened(run)
    case = cell.split.test[0]
    z = int(run.prepared.tagged([case]).positive_rows[0])
    masks = run.prepared.vault.for_evaluation()
    plane = labels_on_grid(masks, [case], 32)[z] == 1
    planes = torch.from_numpy(plane[None].astype(np.float32))
    compared = compare_maps(cell, {"it": Asked(FixedMap, {"planes": planes})}, [case]).values
    mine = compared[compared["slice"] == z].set_index("what")
    assert mine["energy_before"].tolist() == [1.0] * len(PASSES)
    assert mine.loc["noise", "energy"] == 1
    mirrored = (plane & plane[:, ::-1]).sum() / plane.sum()
    assert mine.loc["mirror", "energy"] == pytest.approx(mirrored)


def test_a_network_drawn_anew_has_learnt_nothing(run):
    cell = opened(run)
    trained, backbone = cell.trained.classifier, cell.context.config.backbone
    everything, head = (redrawn(trained, backbone, part, seed=3) for part in PARTS)
    before = dict(trained.named_parameters())
    weights = [name for name in before if before[name].ndim > 1]
    assert len(weights) > 3
    changed = {n: not torch.allclose(p, before[n]) for n, p in everything.named_parameters()}
    assert all(changed[name] for name in weights)
    assert torch.equal(everything.mean, trained.mean)
    same = {name for name, p in head.named_parameters() if torch.equal(p, before[name])}
    assert len(before) - len(same) == 1
    assert not torch.equal(head.head.weight, trained.head.weight)
    again = redrawn(trained, backbone, "all layers", seed=3)
    assert torch.equal(again.head.weight, everything.head.weight)
    other = redrawn(trained, backbone, "all layers", seed=4)
    assert not torch.equal(other.head.weight, everything.head.weight)
    assert not everything.training


def test_a_cell_is_the_one_that_was_trained(run):
    manifest, cell = read_manifest(run.folder), opened(run)
    folder = run.folder.parent / "store" / "train" / manifest["cells"][0]["classifier"]
    stored, classifier = load_file(folder / "classifier.safetensors"), cell.trained.classifier
    assert all(torch.equal(stored[name], v) for name, v in classifier.state_dict().items())
    assert len(cell.trained.history) == 2
    assert (cell.trained.artifact.folder, cell.place.fold, cell.seed) == (folder, 0, 0)
    assert list(cell.split.test) == manifest["splits"]["0"]["test"]
    assert cell.context.config.maps == TINY.maps


def test_the_file_of_weights_that_a_run_started_from_is_asked_for(run, tmp_path):
    """Of a file of TensorFlow the layers are padded in another way: it has to be seen again."""
    file, other = tmp_path / "start.safetensors", tmp_path / "other.safetensors"
    save_file(timm.create_model("test_resnet").state_dict(), file)
    other.write_bytes(file.read_bytes() + b"x")
    manifest = read_manifest(run.folder)
    manifest["config"]["backbone"]["weights"] = file.name
    manifest["weights"] = {"file": file.name, "sha256": sha256(file.read_bytes()).hexdigest()}
    with pytest.raises(ConfigError, match=r"from the weights start\.safetensors.* --weights"):
        opened(run, manifest=manifest)
    with pytest.raises(ConfigError, match=r"no weights at .*gone; give the file start"):
        opened(run, manifest=manifest, weights=tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"holds other weights than start\.safetensors"):
        opened(run, manifest=manifest, weights=other)
    again, cell = (opened(run, manifest=manifest, weights=file), opened(run))
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again.trained.classifier(images), cell.trained.classifier(images))


def test_the_same_comes_out_again_and_as_json(run, found, record, tmp_path):
    write_sanity(found, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "sanity.json").read_text(encoding="utf-8"))
    assert told == json.loads(json.dumps(record, allow_nan=False))
    scores = [line["average_precision"] for line in told["methods"]]
    assert scores == sorted(scores, reverse=True)
    assert {line["method"] for line in told["methods"]} == set(run.maps)
    assert (told["fold"], told["seed"], told["seeds"]) == (0, 0, [0, 1])
    assert sum(told["slices"].values()) == found.slices
    organs = [line["by_organ"] for line in told["methods"]]
    assert all(set(each) == set(run.prepared.index.organs) for each in organs)
    page = (tmp_path / "out" / "sanity.md").read_text(encoding="utf-8")
    assert page.count("\n## ") == 3
    assert "| centre | 1.00 ! | 1.00 ! | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |" in page
    assert "5 % of the grey range" in page
    write_sanity(examine(run.folder, reporter=Quiet()), tmp_path / "again")
    for name in ("sanity.json", "sanity.md"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_some_cases_another_seed_another_draw(run, found):
    some = examine(run.folder, seed=1, cases=1, draw=5, reporter=Quiet())
    assert (some.seed, some.cases) == (1, found.cases[:1])
    assert some.slices < found.slices
    assert any("(--draw)" in note and " 5 " in note for note in sanity_notes(some))
    # The blob and the masks are the same for every seed.
    both = [f.located[f.located["line"] == "blind"] for f in (found, some)]
    first = both[0][both[0]["case"] == some.cases[0]]
    pd.testing.assert_series_equal(first["energy"], both[1]["energy"], check_index=False)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"fold": 3}, "has no fold 3; it has fold 0, seed 0; fold 0, seed 1"),
        ({"seed": 7}, "has no seed 7; it has"),
        ({"fold": 0, "seed": 2}, "has no fold 0, seed 2"),
        ({"device": "tpu"}, "unknown device 'tpu'"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(run, wish, said):
    with pytest.raises(ConfigError, match=said):
        examine(run.folder, reporter=Quiet(), **wish)


def test_a_test_set_without_organs_is_told(run, monkeypatch):
    empty = Prepared.tagged

    def untagged(self, cases=None):
        slices = empty(self, cases)
        return replace(slices, tags=np.zeros_like(slices.tags))

    monkeypatch.setattr(Prepared, "tagged", untagged)
    with pytest.raises(DataError, match=r"none of the . test cases of fold 0 .* --cases"):
        examine(run.folder, reporter=Quiet())
