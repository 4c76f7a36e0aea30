import pytest

from camzoo.core.errors import ConfigError, SplitError, UnknownNameError
from camzoo.harness.plan import plan_run
from camzoo.harness.run import bench
from camzoo.presets import preset

TINY = preset("smoke", "phantom").changed(
    {
        "data.options": {"variant": "prostate", "patients": 6, "size": 64},
        "data.size": 64,
        "training.epochs": 1,
        "backbone.name": "test_resnet",
        "training.crop": 64,
        "training.resize": [64, 80],
        "training.precision": "fp32",
        "segmentation.precision": "fp32",
        "segmentation.side": 32,
        "segmentation.widths": [8, 8, 8, 16, 16],
        "segmentation.epochs": 1,
        "maps.side": 64,
        "maps.scales": [1.0],
        "maps.size": 32,
        "device": "cpu",
        "methods": ["cam", "centre", "cam[blend]"],
        "baselines": ["p-cam"],
    }
)


def stages(plan):
    return [(step.stage, step.name, step.found is not None) for step in plan.steps]


def files(folder):
    return sorted(p.relative_to(folder) for p in folder.rglob("*"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A plan before anything was there, and the folder after the run."""
    out = tmp_path_factory.mktemp("planned")
    before = plan_run(TINY, out / "runs")
    assert list(out.iterdir()) == []
    return before, bench(TINY, out / "runs"), out / "runs"


def test_a_plan_has_the_results_that_the_run_makes(ran):
    before, result, out = ran
    assert not any(found for *_, found in stages(before))
    planned = {}
    for step in before.steps:
        planned[step.stage] = planned.get(step.stage, 0) + 1
    assert planned == dict(result.made)
    there = {
        stage.name: len([p for p in stage.iterdir() if not p.name.startswith(".")])
        for stage in (out / "store").iterdir()
    }
    assert planned == there


def test_a_plan_finds_what_the_run_made_and_writes_nothing(ran):
    _, _, out = ran
    before = files(out)
    plan = plan_run(TINY, out)
    assert files(out) == before
    assert plan.to_make == []
    assert plan.seconds == 0
    assert all(step.found.startswith("20") for step in plan.steps)


def test_a_further_method_and_seed_are_all_there_is_to_make(ran):
    _, _, out = ran
    plan = plan_run(TINY.changed({"methods": ["cam", "layer-cam"]}), out)
    missing = [(s.stage, s.name) for s in plan.to_make]
    assert missing == [("maps", "layer-cam"), ("curves", "layer-cam"), ("scores", "layer-cam")]
    plan = plan_run(TINY.changed({"seeds": [0, 1], "methods": ["cam"], "baselines": []}), out)
    assert [(s.cell, s.stage) for s in plan.to_make] == [
        ("fold 0, seed 1", stage) for stage in ("train", "maps", "curves", "scores")
    ]


def test_estimates_follow_stored_times_by_the_amount_of_work(ran):
    *_, out = ran
    plan = plan_run(TINY.changed({"training.epochs": 3, "baselines": [], "methods": ["cam"]}), out)
    (train,) = [step for step in plan.steps if step.stage == "train"]
    (folder,) = (out / "store" / "train").glob("[!.]*")
    from camzoo.harness.store import read_made

    made = read_made(folder)
    assert train.estimate.basis == "stored"
    assert train.estimate.seconds == pytest.approx(3 * made.seconds)
    assert train.estimate.memory_mib == made.memory_mib
    assert plan.basis[0].startswith("stored: ")


def test_without_stored_times_the_machine_is_tried(ran):
    before, *_ = ran
    estimates = {(s.stage, s.name): s.estimate for s in before.steps}
    for stage in ("prepare", "train", "maps", "curves", "scores", "segment", "segment-scores"):
        known = [e for (at, _), e in estimates.items() if at == stage]
        assert all(e.basis == "measured" and e.seconds > 0 for e in known), stage
    assert before.seconds > 0
    assert before.memory_mib > 100
    assert before.unknown == ["blend of cam[blend]"]
    assert before.basis[0].startswith("measured: ")


def test_a_plan_is_json(ran):
    import json

    before, result, out = ran
    told = json.loads(json.dumps(before.record()))
    assert (told["run"], told["folder"]) == ("phantom-smoke-…", None)
    assert told["cases"] == {"0": {"train": 3, "val": 1, "test": 2}}
    assert len(told["steps"]) == len(before.steps)
    after = plan_run(TINY, out).record()
    assert (after["run"], after["folder"]) == (result.folder.name, str(result.folder))


def test_damaged_times_are_no_times(ran, tmp_path):
    import shutil

    _, _, out = ran
    copy = tmp_path / "runs"
    shutil.copytree(out, copy)
    texts = ["", "[]", "null", "{", '{"work": 3}', "\x00", '{"when": 1, "work": {"kind": 1}}']
    for number, file in enumerate(sorted(copy.glob("store/*/*/made.json"))):
        file.write_text(texts[number % len(texts)])
    plan = plan_run(TINY, copy)
    assert plan.to_make == []
    assert all(step.found.startswith("20") for step in plan.steps)
    assert bench(TINY, copy).made == {}


def test_a_limit_is_another_run_of_its_own_slices(ran):
    _, _, out = ran
    plan = plan_run(TINY.changed({"data.limit": 4, "baselines": [], "methods": ["cam"]}), out)
    assert plan.cases == {0: {"train": 2, "val": 1, "test": 1}}
    assert [s.stage for s in plan.to_make] == ["prepare", "train", "maps", "curves", "scores"]


def test_a_plan_fetches_no_weights(tmp_path, monkeypatch):
    import timm

    real = timm.create_model

    def create(*args, pretrained=False, **kwargs):
        assert not pretrained
        return real(*args, pretrained=pretrained, **kwargs)

    monkeypatch.setattr(timm, "create_model", create)
    config = TINY.changed({"backbone.weights": "imagenet", "methods": ["cam"], "baselines": []})
    assert plan_run(config, tmp_path / "runs").seconds > 0


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"methods": ["gard-cam"]}, UnknownNameError),
        ({"baselines": ["nothing"]}, UnknownNameError),
        ({"data.limit": 2}, SplitError),
        ({"backbone.name": "resnet10x"}, ConfigError),
        ({"plugins": ["no_module:X"]}, ConfigError),
        ({"device": "cuda:99"}, ConfigError),
    ],
)
def test_a_plan_refuses_what_the_run_refuses(tmp_path, changes, error):
    with pytest.raises(error):
        plan_run(TINY.changed(changes), tmp_path / "runs")
    assert list(tmp_path.iterdir()) == []
