import errno
import json
import math
import os
import shutil
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch

from camzoo.cams.methods.activation import Cam
from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError, MachineError, UnknownNameError
from camzoo.core.progress import Quiet
from camzoo.core.supervision import Supervision
from camzoo.data.readers import read_volume
from camzoo.data.splits import Split
from camzoo.harness.baseline_inputs import BaselineInputs
from camzoo.harness.cells import Cell, Trained
from camzoo.harness.context import Context
from camzoo.harness.cost import CostMeter
from camzoo.harness.path import open_cell
from camzoo.harness.run import bench
from camzoo.harness.store import Artifact, Store
from camzoo.network.backbone import Classifier, build_classifier
from camzoo.registries import cams
from camzoo.report.leaderboards import write_page
from camzoo.report.segmentation import of_baselines, segmentation_region_table, segmentation_table
from camzoo.segment.base import Baseline, PseudoMaskBaseline, UNetBaseline, baselines
from camzoo.segment.selection import select_baselines
from tests.harness.test_run import TINY as MAPS_ONLY
from tests.harness.test_run import KillAfter, Killed

TINY = MAPS_ONLY.changed(
    {
        "baselines": ["supervised", "p-cam"],
        "segmentation.side": 64,
        "segmentation.widths": [8, 8, 8, 16, 16],
        "segmentation.epochs": 2,
    }
)


class Failing(Baseline):
    """Fails while it learns."""

    def fit(self, context):
        raise ValueError("no such thing")

    def predict(self, images):
        raise NotImplementedError


class Starving(Failing):
    """Meets a fault where it is told to; else it predicts background."""

    supervision = Supervision.IMAGE
    faults = {}  # noqa: RUF012 - written by tests

    def _meet(self, where):
        if where in Starving.faults:
            torch.set_default_dtype(torch.float64)
            raise Starving.faults[where]

    def fit(self, context):
        self._meet("fit")

    def predict(self, images):
        self._meet("predict")
        return (
            torch.nn.functional.one_hot(torch.zeros_like(images).long(), 2).movedim(-1, 1).float()
        )


class Curious(Failing):
    """Declares tags and asks for masks."""

    def fit(self, context):
        context.masks()


class Undeclared(PseudoMaskBaseline):
    """Asks for maps that it did not say it reads."""

    reads = ("cam",)

    def pseudo_masks(self, context):
        return context.maps("layer-cam")


class Mislabelled(Failing):
    """Leaves labels that are none."""

    def fit(self, context):
        self.pseudo = np.full((len(context.train), 8, 8), 7, np.uint8)


class Mislearning(UNetBaseline):
    """Trains the U-Net on labels of organs that there are not."""

    def fit(self, context):
        self.learn(context, np.full((len(context.train), 8, 8), 7, np.uint8))


class FailingOnce(Failing):
    """Fails with a reason of its own for every seed."""

    def fit(self, context):
        raise ValueError(f"not {context.seed}")


class OfNothing(Failing):
    """Reads maps of a method that does not exist."""

    reads = ("cam-of-nothing",)


class ThroughTheBackDoor(Failing):
    """Declares tags and reads maps whose context map is made from masks."""

    reads = ("c-cam[ac]:map=B",)


class ThroughTheSideDoor(ThroughTheBackDoor):
    """Declares marks and reads those maps."""

    supervision = Supervision.IMAGE_SEED


class InTheOpen(ThroughTheBackDoor):
    """Declares masks and reads those maps."""

    supervision = Supervision.MASK


class Measuring(Failing):
    """Declares tags and reads maps of a method that knows sizes."""

    reads = ("sized-cam",)


class SizedCam(Cam):
    """Declares that it knows sizes."""

    supervision = Supervision.IMAGE_SIZE


class Above(Failing):
    """What is brighter than a level, which is a setting, is the organ."""

    supervision = Supervision.IMAGE

    def __init__(self, level: int = 128) -> None:
        self._level = level

    def fit(self, context):
        pass

    def predict(self, images):
        organ = (images > self._level).long()
        return torch.nn.functional.one_hot(organ, 2).movedim(-1, 1).float()


class Watching(Failing):
    """Predicts background; writes down what it was handed."""

    supervision = Supervision.IMAGE
    reads = ("layer-cam",)  # the run itself does not report it
    seen = {}  # noqa: RUF012 - written by one test

    def fit(self, context):
        maps, val_maps = context.maps("layer-cam"), context.val_maps("layer-cam")
        strict = context.threshold(val_maps.maps)
        # Where maps are squared, the same masks are cut at the squared threshold.
        squared = context.threshold(torch.from_numpy(val_maps.maps).float() ** 2)
        Watching.seen = {
            "context": context, "maps": maps.maps.shape, "val": val_maps.maps.shape,
            "thresholds": (strict, squared), "val_maps": val_maps.maps,
            "gated": (maps.maps.max((2, 3)) > 0),
        }  # fmt: skip
        for wrong in ((1, 1, 8, 8), (len(context.val), 2, 8, 8), (len(context.val), 8, 8)):
            with pytest.raises(ConfigError, match="takes the maps of all"):
                context.threshold(torch.zeros(wrong))

    def predict(self, images):
        planes = torch.zeros(len(images), 2, 8, 8)
        planes[:, 0] = 1
        return planes


@pytest.fixture(autouse=True)
def _doubles():
    """Register the baselines of these tests."""
    doubles = {
        "failing": Failing, "curious": Curious, "undeclared": Undeclared, "of-nothing": OfNothing,
        "starving": Starving,
        "mislabelled": Mislabelled, "mislearning": Mislearning, "failing-once": FailingOnce,
        "back-door": ThroughTheBackDoor, "side-door": ThroughTheSideDoor, "open": InTheOpen,
        "measuring": Measuring, "watching": Watching, "above": Above,
    }  # fmt: skip
    with baselines.temporary():
        for name, double in doubles.items():
            baselines.register(name)(double)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camzoo.core.environment.commit", lambda: "as tested")
        return bench(TINY, tmp_path_factory.mktemp("segmentation"))


def _split(result):
    return json.loads((result.folder / "manifest.json").read_text("utf-8"))["splits"]["0"]


def _costs(result):
    return (result.folder / "costs.json").read_text("utf-8")


def segmented(rows):
    return rows[rows["stage"] == "segmentation"]


def test_test_volumes_have_rows_of_every_baseline(done):
    rows = segmented(done.rows)
    assert set(rows["method"]) == {"supervised", "p-cam"}
    assert set(rows["subset"]) == {"test"}
    assert set(rows["protocol"]) == {"none"}
    assert rows["threshold"].isna().all()
    assert set(rows["region"]) == {"whole", "apex", "mid", "base"}
    declared = rows.groupby("method")["supervision"].unique().map(list).to_dict()
    assert declared == {"p-cam": ["image"], "supervised": ["mask"]}
    manifest = json.loads((done.folder / "manifest.json").read_text("utf-8"))
    assert sorted(set(rows["case"])) == manifest["splits"]["0"]["test"]


def test_scores_are_those_of_the_written_volumes(done):
    result = done
    costs = json.loads(_costs(result))
    rows = segmented(result.rows).set_index(["method", "case", "region"])
    for cost in costs:
        files = sorted((result.folder.parent / cost["predictions"]).glob("*.nii.gz"))
        assert len(files) == rows.loc[cost["method"]].index.get_level_values("case").nunique()
        for file in files:
            case = file.name.removesuffix(".nii.gz")
            label = read_volume(file, case=case, patient="p")
            row = rows.loc[(cost["method"], case, "whole")]
            assert row["n_pred"] == (label.array == 1).sum()
            info = result.prepared.cases[case]
            assert label.array.shape == info.shape
            np.testing.assert_allclose(label.affine, np.array(info.affine), atol=1e-4)
            mask = result.prepared.vault.for_evaluation().label(case)
            assert row["tp"] == ((label.array == 1) & (mask == 1)).sum()


def test_labels_learnt_from_cam_are_its_masks_at_the_validated_threshold(done):
    """The U-Net's grid is as fine as the scan here, so cutting before or after is the same."""
    rows = done.rows[done.rows["subset"] == "train"]
    learnt = rows[(rows["method"] == "p-cam") & (rows["protocol"] == "none")]
    cam = rows[(rows["method"] == "cam") & (rows["protocol"] == "validated")]
    keys = ["case", "region", "tp", "n_pred", "n_ref", "dsc"]
    left, right = (frame[keys].sort_values(keys).reset_index(drop=True) for frame in (learnt, cam))
    pd.testing.assert_frame_equal(left, right)
    assert set(learnt["stage"]) == {"pseudo-mask"}


def test_one_baseline_runs_with_several_settings(tmp_path):
    config = TINY.changed({"baselines": ["above", "above:level=0", "above:level=255"]})
    result = bench(config, tmp_path)
    assert not result.failures
    rows = segmented(result.rows)
    rows = rows[rows["region"] == "whole"].set_index("variant")
    assert set(rows["method"]) == {"above"}
    found = rows.groupby("variant")["n_pred"].sum()
    assert found["level=0"] > found[""] > found["level=255"] == 0
    assert [cost["method"] for cost in json.loads(_costs(result))] == [
        "above", "above level=0", "above level=255",
    ]  # fmt: skip
    table = segmentation_table(rows.reset_index())
    assert set(table["method"]) == {"above", "above level=0", "above level=255"}
    with pytest.raises(ConfigError, match="above:level=128 and above are one and the same"):
        bench(TINY.changed({"baselines": ["above:level=128", "above"]}), tmp_path)


def test_costs_are_kept_apart_from_the_rows(done):
    costs = json.loads(_costs(done))
    assert [cost["method"] for cost in costs] == ["supervised", "p-cam"]
    for cost in costs:
        assert cost["fit"]["seconds"] > 0
        assert cost["fit"]["memory_mib"] > 100  # Python with torch takes more
        assert cost["images_per_second"] > 0
        assert not cost["resumed"]
        assert cost["environment"]["threads"] >= 1
        free = {"seconds": 0, "memory_mib": None, "cuda_mib": None, "resumed": False}
        assert cost["maps"] == free  # CAM is shared


def test_a_rerun_makes_nothing_again_and_gives_the_same_page(done, monkeypatch):
    monkeypatch.setattr("camzoo.core.environment.commit", lambda: "as tested")
    result = done
    page = write_page(result.folder).read_bytes()
    rows = (result.folder / "rows.parquet").read_bytes()
    counter = KillAfter(10**9)
    again = bench(TINY, result.folder.parent, counter)
    assert counter.stages == []
    assert (again.folder / "rows.parquet").read_bytes() == rows
    assert write_page(again.folder).read_bytes() == page


def without_baselines(run, out):
    """A copy of the store in which the work of baselines is still to be done."""
    store = run.folder.parent / "store"
    shutil.copytree(store, out / "store", ignore=shutil.ignore_patterns("segment*"))
    return out


class KillInTraining(KillAfter):
    """Ends the process in the second epoch of the first U-Net."""

    @contextmanager
    def stage(self, title):
        with super().stage(title) as tick:
            yield tick if title.startswith("training unet") else lambda _done, _total: None


def test_a_run_killed_while_a_u_net_learns_ends_with_the_same_rows(done, tmp_path):
    out = without_baselines(done, tmp_path)
    steps = math.ceil(len(done.prepared.tagged(_split(done)["train"])) / TINY.segmentation.batch)
    with pytest.raises(Killed, match="training unet"):
        bench(TINY, out, KillInTraining(steps + 1))
    assert list((out / "store" / "segment").glob(".work-*/baseline/unet.safetensors"))
    again = bench(TINY, out)
    expected = (done.folder / "rows.parquet").read_bytes()
    assert (again.folder / "rows.parquet").read_bytes() == expected
    resumed = {c["method"]: c["resumed"] for c in json.loads(_costs(again))}
    assert resumed == {"supervised": True, "p-cam": False}


def test_a_further_baseline_repeats_none_of_the_others(done):
    counter = KillAfter(10**9)
    config = TINY.changed({"baselines": ["supervised", "p-cam", "watching"]})
    again = bench(config, done.folder.parent, counter)
    assert not any("training" in stage or "reading" in stage for stage in counter.stages)
    assert set(segmented(again.rows)["method"]) == {"supervised", "p-cam", "watching"}
    assert "layer-cam" not in set(again.rows["method"])


def test_failures_fail_their_own_rows(done):
    names = ["failing", "curious", "undeclared", "of-nothing", "back-door", "p-cam"]
    result = bench(TINY.changed({"baselines": names}), done.folder.parent)
    assert set(segmented(result.rows)["method"]) == {"p-cam"}
    reasons = dict(result.failures)
    assert reasons.pop("baseline failing") == "ValueError: no such thing"
    assert "FirewallError" in reasons["baseline curious"]
    assert "declares supervision 'image'" in reasons.pop("baseline curious")
    assert "not among its reads (cam); add them" in reasons.pop("baseline undeclared")
    assert "cam-of-nothing" in reasons.pop("baseline of-nothing")
    assert "FirewallError: back-door declares supervision 'image'" in reasons.pop(
        "baseline back-door"
    )
    assert reasons == {}
    page = write_page(result.folder).read_text(encoding="utf-8")
    assert "- baseline failing failed: ValueError: no such thing" in page
    assert "| failing |  | failed |" in page


@pytest.mark.parametrize("where", ["fit", "predict"])
@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), MemoryError(),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory"),
        torch.OutOfMemoryError("CUDA out of memory."),
    ],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_faults_of_the_machine_end_the_run_which_goes_on_from_there(
    done, monkeypatch, tmp_path, where, fault
):
    shutil.copytree(done.folder.parent, tmp_path / "out")
    before = set((tmp_path / "out").iterdir())
    config = TINY.changed({"baselines": ["starving", "supervised"]})
    monkeypatch.setattr(Starving, "faults", {where: fault})
    with pytest.raises(MachineError, match=r"starving was stopped by the machine|No space left on"):
        bench(config, tmp_path / "out")
    assert torch.get_default_dtype() == torch.float32
    assert set((tmp_path / "out").iterdir()) == before
    monkeypatch.setattr(Starving, "faults", {})
    counter = KillAfter(10**9)
    result = bench(config, tmp_path / "out", counter)
    assert not result.failures
    assert set(segmented(result.rows)["method"]) == {"starving", "supervised"}
    assert not any("training" in stage for stage in counter.stages)


@pytest.mark.parametrize("where", ["fit", "predict"])
@pytest.mark.parametrize("fault", [SystemExit(1), RecursionError("deep")], ids=repr)
def test_a_baseline_that_ends_the_program_fails_its_own_row(
    done, monkeypatch, tmp_path, where, fault
):
    shutil.copytree(done.folder.parent, tmp_path / "out")
    monkeypatch.setattr(Starving, "faults", {where: fault})
    config = TINY.changed({"baselines": ["starving", "supervised"]})
    result = bench(config, tmp_path / "out")
    (why,) = result.failures.values()
    assert why.startswith(type(fault).__name__)
    assert set(segmented(result.rows)["method"]) == {"supervised"}
    assert torch.get_default_dtype() == torch.float32


def test_a_baseline_reads_no_maps_that_saw_more_than_it_declares(done):
    names = ["side-door", "measuring", "open", "p-cam"]
    with cams.temporary({"sized-cam": SizedCam}):
        failures = bench(TINY.changed({"baselines": names}), done.folder.parent).failures
    told = {
        "baseline side-door": ("image+seed", "c-cam[ac]:map=B", "mask"),
        "baseline measuring": ("image", "sized-cam", "image+size"),
    }
    for name, (declared, method, seen) in told.items():
        assert failures[name] == (
            f"FirewallError: {name.removeprefix('baseline ')} declares supervision {declared!r} "
            f"and reads maps of {method}, whose supervision is {seen!r}; declare that, or read "
            "other maps"
        )
    assert failures["baseline open"] == "ValueError: no such thing"  # its own fault, when it learns


def test_wrong_labels_fail_the_row_too(done):
    config = TINY.changed({"baselines": ["mislabelled", "mislearning", "p-cam"]})
    result = bench(config, done.folder.parent)
    assert set(segmented(result.rows)["method"]) == {"p-cam"}
    for name in ("mislabelled", "mislearning"):
        assert "DataError: expected labels 0 to 1 and 255" in result.failures[f"baseline {name}"]


def test_a_reason_says_in_which_cell_it_was(done):
    config = TINY.changed({"baselines": ["failing", "failing-once"], "seeds": [0, 1]})
    failures = bench(config, done.folder.parent).failures
    assert failures["baseline failing"] == "ValueError: no such thing"
    assert failures["baseline failing-once"] == (
        "fold 0, seed 0: ValueError: not 0; fold 0, seed 1: ValueError: not 1"
    )


def pooled_dsc_above(threshold, maps, slices, prepared):
    """DSC of one organ over all voxels of the cases of ``slices``, voxel by voxel."""
    vault, both, sizes = prepared.vault.for_evaluation(), 0, 0
    for case, start, stop in slices.cases:
        fine = prepared.cases[case].letterbox.from_grid(torch.tensor(maps[start:stop]).float())
        found, mask = fine[:, 0].numpy() > threshold, vault.label(case) == 1
        both, sizes = both + (found & mask).sum(), sizes + found.sum() + mask.sum()
    return 2 * both / sizes


def test_what_a_baseline_is_handed(done, tmp_path):
    out = without_baselines(done, tmp_path)
    result = bench(TINY.changed({"baselines": ["watching"]}), out)
    seen = Watching.seen
    context, prepared = seen["context"], result.prepared
    assert [case for case, *_ in context.train.cases] == [
        case for case in prepared.cases if case in _split(result)["train"]
    ]
    assert seen["maps"] == (len(context.train), 1, 32, 32)
    assert seen["val"] == (len(context.val), 1, 32, 32)
    assert (seen["gated"] <= (context.train.tags > 0)).all()
    strict, squared = seen["thresholds"]
    assert squared <= strict
    assert {strict, squared} <= set(TINY.evaluation.thresholds)
    scores = {t: pooled_dsc_above(t, seen["val_maps"], context.val, prepared)
              for t in TINY.evaluation.thresholds}  # fmt: skip
    assert scores[strict] == pytest.approx(max(scores.values()))
    assert min(scores.values()) < 0.9 * scores[strict]
    assert (segmented(result.rows)["n_pred"] == 0).all()


@pytest.mark.data
def test_table_3_on_real_prostates(real_data, tmp_path):
    """The loader's volumes come out of the whole path, by third of the gland, beside the paper."""
    changes = {"data.name": "promri", "data.options": {}, "data.root": real_data / "PROMISE12"}
    result = bench(TINY.changed(changes), tmp_path / "runs")
    (case,) = _split(result)["test"]
    rows = segmented(result.rows)
    assert set(rows["case"]) == {case}
    lines = segmentation_region_table(of_baselines(result.rows)).set_index(["region", "method"])
    assert {region for region, _ in lines.index} == {"whole", "apex", "mid", "base"}
    assert lines.loc[("apex", "p-cam"), "paper DSC (%)"] == "67.61 ± 13.25"
    assert lines.loc[("base", "supervised"), "paper DSC (%)"] == "n/a"
    # Predictions lie on the grid of the scan: their voxels are as many and as large as its own.
    of = {cost["method"]: cost["predictions"] for cost in json.loads(_costs(result))}
    names = {"case": case, "patient": case}
    place = result.folder.parent / of["supervised"] / f"{case}.nii.gz"
    predicted = read_volume(place, **names)
    scan = read_volume(real_data / "PROMISE12" / "training_data" / f"{case}.mhd", **names)
    assert predicted.array.shape == scan.array.shape
    assert predicted.affine == pytest.approx(scan.affine, abs=1e-3)


def test_a_classifier_handed_out_is_a_copy_on_the_device_wherever_the_maps_left_it(done, tmp_path):
    """The meta device stands for a GPU."""
    shared = build_classifier(TINY.backbone, 1, seed=0).eval()
    context = Context(TINY, Store(tmp_path), torch.device("meta"), Quiet())
    split = Split(SplitKind.PATIENT, 0, **{k: tuple(v) for k, v in _split(done).items()})
    for left in ("cpu", "meta"):
        trained = Trained(Artifact(tmp_path, "none"), shared.to(left), [])
        cell = Cell(context, done.prepared, split, 0, trained)
        handed = BaselineInputs(cell, {}).of(Failing(), tmp_path).classifier
        assert handed is not shared
        assert not handed.training
        assert {tensor.device.type for tensor in handed.state_dict().values()} == {"meta"}
        assert {tensor.device.type for tensor in shared.state_dict().values()} == {left}


def test_the_classifier_of_a_cell_is_on_the_device_of_the_run(done):
    context = Context(TINY, Store(done.folder.parent / "store"), torch.device("cpu"), Quiet())
    split = Split(SplitKind.PATIENT, 0, **{k: tuple(v) for k, v in _split(done).items()})
    moved = []

    class Watched(Classifier):
        """Writes down where it is moved to."""

        def to(self, device):
            moved.append(device)
            return super().to(device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camzoo.network.backbone.Classifier", Watched)
        cell = open_cell(context, done.prepared, split, seed=0)
    assert moved == [context.device]
    assert not cell.trained.classifier.training


def test_unknown_names_are_refused_before_anything_is_written(tmp_path):
    out = tmp_path / "runs"
    with pytest.raises(UnknownNameError, match="unknown baseline 'supervise'; did you mean"):
        bench(TINY.changed({"baselines": ["supervise"]}), out)
    assert not out.exists()


def test_selection_by_name_pattern_all_and_none():
    assert select_baselines("none") == ()
    assert select_baselines("p-cam, supervised") == ("p-cam", "supervised")
    assert set(select_baselines("?-cam")) == {"c-cam", "p-cam"}
    # From the entry points of an installed package, and built in.
    assert {"c-cam", "p-cam", "supervised"} <= set(select_baselines("all"))
    with pytest.raises(UnknownNameError, match="did you mean p-cam"):
        select_baselines("pcam")
    with pytest.raises(ConfigError, match="no baseline fits 'x\\*'"):
        select_baselines("x*")
    with pytest.raises(ConfigError, match="names no baseline"):
        select_baselines(",")


def test_the_meter_sees_the_memory_of_its_body_only():
    cpu = torch.device("cpu")
    with CostMeter(cpu) as large:
        block = np.ones(200 << 20, np.uint8)
    del block
    with CostMeter(cpu) as small:
        pass
    if large.memory_mib is None:
        pytest.skip("this system does not tell the high-water mark of memory")
    assert large.memory_mib - small.memory_mib > 150
    assert small.seconds < large.seconds
    assert small.cuda_mib is None
