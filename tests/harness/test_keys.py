"""Which results are made again after a change, and which are not.

The plan of a run says what is not in the store. Code is changed as by an editor: a module is read
with other text in it.
"""

import shutil

import pytest
import torch
from safetensors.torch import save_file

from camzoo.harness import source
from camzoo.harness.plan import plan_run
from camzoo.harness.run import bench
from camzoo.harness.stages import STAGES
from camzoo.network.backbone import build_classifier
from tests.harness.test_plan import TINY as PLANNED

TINY = PLANNED.changed({"methods": ["cam", "lpcam", "cam[blend]"], "baselines": ["p-cam"]})
ALL = {stage.name for stage in STAGES}
BEHIND_TRAINING = ALL - {"prepare"}
BEHIND_MAPS = BEHIND_TRAINING - {"train"}
SEGMENTED = {"segment", "segment-scores"}


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    assert not bench(TINY, folder).failures
    return folder


@pytest.fixture(autouse=True)
def _read_anew():
    source._closure.cache_clear()
    yield
    source._closure.cache_clear()


def to_make(config, out):
    """By stage and name, what a run would make, for its first reason each."""
    return {(step.stage, step.name) for step in plan_run(config, out).to_make}


def stages(config, out):
    return {stage for stage, _ in to_make(config, out)}


@pytest.fixture
def edit(monkeypatch):
    """Read a module of camzoo with changes from now on; by default with a line more."""

    def edited(module, old="", new=""):
        read, around = source._source_of, source._source_around

        def changed(text):
            assert old in text, f"{old!r} is not in {module}"
            return text.replace(old, new, 1) if old else f"{text}\nEDITED = 1\n"

        def read_of(name):
            return changed(read(name)) if name == module else read(name)

        def read_around(written):
            text = around(written)
            return changed(text) if written.__module__ == module else text

        monkeypatch.setattr(source, "_source_of", read_of)
        monkeypatch.setattr(source, "_source_around", read_around)

    return edited


def test_nothing_is_made_again_without_a_change(out):
    assert to_make(TINY, out) == set()


@pytest.mark.parametrize(
    ("module", "made"),
    [
        ("camzoo.learning.loop", BEHIND_TRAINING),
        ("camzoo.harness.workers.train", BEHIND_TRAINING),
        ("camzoo.network.pooled", BEHIND_TRAINING),
        ("camzoo.cams.pipeline", BEHIND_MAPS),
        ("camzoo.harness.guarded", BEHIND_MAPS),
        # The overlap also chooses thresholds of baselines, and cuts maps for steps and distances.
        ("camzoo.metrics.sweep", BEHIND_MAPS - {"maps"}),
        ("camzoo.segment.unet", SEGMENTED),
        ("camzoo.harness.workers.labels", {"segment-scores"}),
        ("camzoo.metrics.catalogue.distances", {"scores", "segment-scores"}),
        *((name, set()) for name in (
            "camzoo.report.markdown", "camzoo.cli.bench", "camzoo.conformance.cams",
            "camzoo.harness.plan", "camzoo.harness.path", "camzoo.harness.store",
            "camzoo.harness.stage", "camzoo.harness.run", "camzoo.core.reporters",
        )),
    ],
)  # fmt: skip
def test_code_that_changes_has_made_again_what_it_makes(out, edit, module, made):
    edit(module)
    assert stages(TINY, out) == made


@pytest.mark.parametrize(
    ("module", "old", "new", "made"),
    [
        ("camzoo.learning.loop", "totals.mean()", "totals.sum()", BEHIND_TRAINING),
        ("camzoo.cams.pipeline", ".relu()", ".abs()", BEHIND_MAPS),
        ("camzoo.cams.finishing", "_PART: Final = 64", "_PART: Final = 32", BEHIND_MAPS),
    ],
)
def test_one_word_of_code_is_enough(out, edit, module, old, new, made):
    edit(module, old, new)
    assert stages(TINY, out) == made


def test_code_of_one_method_concerns_that_method_alone(out, edit):
    edit("camzoo.cams.methods.lpcam")
    assert to_make(TINY, out) == {("maps", "lpcam"), ("curves", "lpcam"), ("scores", "lpcam")}


def test_code_of_a_step_concerns_what_is_behind_it_alone(out, edit):
    edit("camzoo.steps.ccam.spatial")
    assert to_make(TINY, out) == {
        ("steps", "blend of cam[blend]"), ("curves", "cam[blend]"), ("scores", "cam[blend]"),
    }  # fmt: skip


def test_code_of_the_data_set_has_the_volumes_read_again_and_no_more(out, edit, tmp_path):
    """What they hold is the same, so all that follows is found."""
    shutil.copytree(out / "store", tmp_path / "store")
    edit("camzoo.data.datasets.phantom")
    assert bench(TINY, tmp_path).made == {"prepare": 1}


@pytest.mark.parametrize(
    "module",
    [
        "camzoo.learning.loop", "camzoo.cams.pipeline", "camzoo.metrics.sweep",
        "camzoo.harness.workers.maps", "camzoo.data.prepare", "camzoo.cams.methods.activation",
    ],
)  # fmt: skip
def test_words_about_code_make_nothing_again(out, edit, module):
    edit(module, '"""', '"""In other words: ')
    assert to_make(TINY, out) == set()


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        ({"training.lr": 0.011}, BEHIND_TRAINING),
        ({"maps.normalisation": "volume-max"}, BEHIND_MAPS),
        ({"evaluation.thresholds": [0.25, 0.5]}, {"curves", "scores", *SEGMENTED}),
        ({"segmentation.epochs": 2}, SEGMENTED),
        ({"maps.batch": 3}, set()),
        ({"preset": "mine"}, set()),
        ({"evaluation.protocols": ["oracle"]}, {"scores"}),
    ],
)
def test_a_setting_has_made_again_what_reads_it(out, changes, made):
    assert stages(TINY.changed(changes), out) == made


@pytest.mark.parametrize(
    ("library", "made"),
    [
        ("timm", BEHIND_TRAINING),
        ("monai", SEGMENTED),
        ("rich", set()),
        ("pydantic", set()),
        ("matplotlib", set()),
    ],
)
def test_another_version_of_a_library_has_made_again_what_uses_it(out, monkeypatch, library, made):
    read = source.installed_version
    monkeypatch.setattr(
        source, "installed_version", lambda name: "99" if name == library else read(name)
    )
    assert stages(TINY, out) == made


def test_weights_count_by_what_is_in_the_file(tmp_path):
    def weights(folder, fill):
        folder.mkdir()
        state = build_classifier(TINY.backbone, 1, seed=0).model.state_dict()
        state = {k: torch.full_like(v, fill) if v.ndim == 4 else v for k, v in state.items()}
        save_file({k: v.contiguous() for k, v in state.items()}, folder / "w.safetensors")
        return {"backbone.weights": str(folder / "w.safetensors"), "methods": ["cam"]}

    plain = TINY.changed({"baselines": []})
    first = weights(tmp_path / "a", 0.01)
    bench(plain.changed(first), tmp_path / "runs")
    assert to_make(plain.changed(weights(tmp_path / "b", 0.01)), tmp_path / "runs") == set()
    other = stages(plain.changed(weights(tmp_path / "c", 0.02)), tmp_path / "runs")
    assert other == {"train", "maps", "curves", "scores"}
