"""What "auto" comes to, on a processor with bfloat16 and on one without."""

import json
import warnings

import pytest
import torch

from camzoo.cli.doctor import examine
from camzoo.config import BenchConfig, SegmentationConfig, TrainingConfig, read_config
from camzoo.core.processor import Native
from camzoo.core.progress import Quiet
from camzoo.evaluate.rows import read_rows
from camzoo.harness.context import Context
from camzoo.harness.run import bench
from camzoo.harness.store import Store
from camzoo.network import precision
from camzoo.network.precision import Precisions, autocast, choose_precision
from camzoo.presets import PRESETS, preset
from camzoo.report.leaderboards import write_page

CPU = torch.device("cpu")
TINY = preset("smoke", "phantom").changed(
    {
        "data.options": {"variant": "prostate", "patients": 6, "size": 64}, "data.size": 64,
        "training.epochs": 1,
        "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 80],
        "maps.side": 64, "maps.scales": [1.0], "maps.size": 32, "device": "cpu",
    }
)  # fmt: skip


class Notes(Quiet):
    """Keeps what it is told."""

    def __init__(self):
        self.lines = []

    def note(self, text):
        self.lines.append(text)


@pytest.fixture
def native(monkeypatch):
    """Replace the detection."""

    def tell(*, holds):
        why = "it was told so" if holds else "it was told that it has none"
        monkeypatch.setattr(precision, "native_bf16", lambda _device: Native(holds, why))

    return tell


@pytest.mark.parametrize(
    ("asked", "holds", "used", "emulated"),
    [
        ("auto", True, "bf16", False),
        ("auto", False, "fp32", False),
        ("bf16", True, "bf16", False),
        ("bf16", False, "bf16", True),
        ("fp32", True, "fp32", False),
        ("fp32", False, "fp32", False),
    ],
)
def test_what_is_used(native, asked, holds, used, emulated):
    native(holds=holds)
    choice = choose_precision(asked, CPU)
    assert (choice.asked, choice.used, choice.emulated) == (asked, used, emulated)
    with autocast(CPU, asked):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == {"bf16": torch.bfloat16, "fp32": torch.float32}[used]


def test_auto_is_the_default_everywhere():
    assert TrainingConfig().precision == SegmentationConfig().precision == "auto"
    for name in PRESETS:
        config = preset(name, "phantom")
        assert (config.training.precision, config.segmentation.precision) == ("auto", "auto")


@pytest.mark.parametrize("holds", [True, False])
def test_the_settled_settings_hold_what_is_used(native, holds):
    native(holds=holds)
    used = "bf16" if holds else "fp32"
    plain = BenchConfig()
    with_unet = plain.changed({"baselines": ["irnet"], "segmentation.precision": "fp32"})
    settled = Precisions.of(with_unet, CPU).settle(with_unet)
    assert (settled.training.precision, settled.segmentation.precision) == (used, "fp32")
    assert Precisions.of(plain, CPU).settle(plain) == plain.changed({"training.precision": used})


def test_stages_never_see_auto(native, tmp_path):
    for holds in (True, False):
        native(holds=holds)
        config = BenchConfig(baselines=("irnet",))
        settled = Context(config, Store(tmp_path), CPU, Quiet()).config
        used = {settled.training.precision, settled.segmentation.precision}
        assert used == {"bf16" if holds else "fp32"}


def test_both_networks_are_named_where_they_differ(native):
    native(holds=True)
    config = BenchConfig(baselines=("irnet",), segmentation={"precision": "fp32"})
    assert Precisions.of(config, CPU).sentence() == (
        "precision: classifier and maps: bf16, by auto: it was told so; U-Net: fp32, asked for"
    )


def test_a_precision_that_is_emulated_is_warned_of(native):
    native(holds=False)
    config = BenchConfig(baselines=("irnet",)).changed({"segmentation.precision": "bf16"})
    warning = Precisions.of(config, CPU).warning()
    assert warning.startswith("segmentation.precision=bf16 as asked for, but it is emulated here")
    assert "it was told that it has none; --set segmentation.precision=auto" in warning
    assert not Precisions.of(BenchConfig(), CPU).warning()
    native(holds=True)
    assert not Precisions.of(config, CPU).warning()


def precision_keys(store):
    """Every precision in the keys of a store."""

    def walk(node):
        if isinstance(node, dict):
            for name, value in node.items():
                if name.endswith("precision"):
                    yield value
                yield from walk(value)

    files = list(store.glob("*/*/key.json"))
    assert files
    return [value for file in files for value in walk(json.loads(file.read_text("utf-8")))]


@pytest.mark.parametrize(("holds", "used"), [(True, "bf16"), (False, "fp32")])
def test_a_run_says_and_keeps_what_it_computed_in(native, tmp_path, holds, used):
    """In what it tells, in keys, rows, manifest and page; running it again uses what was used."""
    native(holds=holds)
    notes = Notes()
    result = bench(TINY, tmp_path, notes)
    why = "it was told so" if holds else "it was told that it has none"
    assert [line for line in notes.lines if "precision" in line] == [
        f"precision: {used}, by auto: {why}"
    ]
    assert set(precision_keys(tmp_path / "store")) == {used}
    assert set(read_rows(result.folder / "rows.parquet")["computed_in"]) == {used}
    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    assert manifest["config"]["training"]["precision"] == used
    assert manifest["precision"]["training"] == {
        "asked": "auto", "used": used, "why": why, "emulated": False,
    }  # fmt: skip
    assert f"- precision: {used}, by auto: {why}\n" in write_page(result.folder).read_text("utf-8")
    expected = (result.folder / "rows.parquet").read_bytes()

    native(holds=not holds)  # another machine
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = bench(read_config(result.folder / "manifest.json"), tmp_path)
    assert again.folder == result.folder
    assert (again.folder / "rows.parquet").read_bytes() == expected
    warned = [str(warning.message) for warning in caught if "emulated" in str(warning.message)]
    assert len(warned) == (1 if used == "bf16" else 0)


def test_the_doctor_says_what_auto_is(native):
    for holds, used in ((True, "bf16"), (False, "fp32")):
        native(holds=holds)
        (found,) = [finding for finding in examine() if finding.name == "precision"]
        assert found.good
        assert found.text.startswith(f"auto is {used} here: it was told")
