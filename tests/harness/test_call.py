"""What a user says in Python: words, a configuration, or both."""

import re
from pathlib import Path

import pytest

import camzoo
from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.evaluate.rows import columns, read_rows
from camzoo.harness import call
from camzoo.presets import preset

TINY = {
    "data.size": 64, "training.epochs": 1,
    "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 80],
    "maps.side": 64, "maps.scales": [1.0], "maps.size": 32, "segmentation.side": 32,
    "segmentation.epochs": 1,
}  # fmt: skip
WORDS = {
    "dataset": "phantom", "preset": "smoke", "device": "cpu",
    "options": {"patients": 6, "size": 64}, "settings": TINY,
}  # fmt: skip
#: What no file on Windows may be called by.
FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]$')


@pytest.fixture
def asked(monkeypatch):
    """Configurations that runs were asked for; nothing is run."""
    configs = []
    monkeypatch.setattr(call, "run_bench", lambda config, *_: configs.append(config))
    return configs


def test_words_change_the_preset_as_on_the_command_line(asked):
    camzoo.bench(
        dataset="phantom", preset="smoke", root=Path("there"), methods=["cam", "c-cam[cc,ac]"],
        baselines="p-cam", seeds=[1, 2], split="paper-like", backbone="resnet18", weights="none",
        test_dataset="nnunet", test_root=Path("other"), limit=9, options={"variant": "abdomen"},
        settings={"maps.size": 32},
    )  # fmt: skip
    assert asked == [preset("smoke", "phantom", "abdomen").changed(
        {
            "data.root": "there", "data.test": "nnunet", "data.test_root": "other",
            "methods": ["cam", "c-cam[cc,ac]"], "baselines": ["p-cam"],
            "seeds": [1, 2], "data.split": "paper-like", "backbone.name": "resnet18",
            "backbone.weights": "none", "data.limit": 9, "data.options.variant": "abdomen",
            "maps.size": 32,
        }
    )]  # fmt: skip


def test_without_a_preset_it_is_quick_and_a_configuration_is_changed(asked, tmp_path):
    config = preset("smoke", "phantom")
    file = tmp_path / "settings.toml"
    file.write_text("dataset = 'phantom'\npreset = 'smoke'\n", encoding="utf-8")
    camzoo.bench(dataset="chaos")
    camzoo.bench(config)
    camzoo.bench(config, methods="otsu")
    camzoo.bench(config, methods=("layer-*", "layer-cam", "eigen-?am"))
    camzoo.bench(file)
    camzoo.bench(str(file), seeds=range(2))
    assert asked == [
        preset("quick", "chaos"), config, config.changed({"methods": ["otsu"]}),
        config.changed({"methods": ["layer-cam", "eigen-cam"]}), config,
        config.changed({"seeds": [0, 1]}),
    ]  # fmt: skip


SMOKE = preset("smoke", "phantom")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "either --dataset or --config"),
        ({"config": SMOKE, "dataset": "phantom"}, "give one"),
        ({"config": SMOKE, "preset": "quick"}, "leave --preset out"),
        ({"config": "no/such/manifest.json"}, "no/such/manifest.json"),
        ({"dataset": "phantom", "preset": "smokey"}, "unknown preset 'smokey'"),
        ({"dataset": "phantom", "methods": ["grad-kam"]}, "did you mean grad-cam"),
        ({"dataset": "phantom", "methods": []}, "names no method"),
        ({"dataset": "phantom", "methods": [3]}, "names are text"),
        ({"dataset": "phantom", "methods": 3}, "names are text"),
        ({"dataset": "phantom", "methods": ["cam", "cam"]}, "each value once"),
        ({"dataset": "phantom", "methods": ["cam", "p-cam"]}, "one and the same"),
        ({"dataset": "phantom", "baselines": "sizelos"}, "sizelos"),
        ({"dataset": "phantom", "settings": {"training.epoch": 3}}, "did you mean training.epochs"),
        ({"dataset": "phantom", "seeds": ["one"]}, "seeds"),
        ({"dataset": "phantom", "split": "random"}, "split"),
        ({"dataset": "phantom", "limit": 0}, "data.limit"),
        ({"dataset": "phantom", "settings": {"data.size": 0}}, "data.size"),
    ],
)
def test_wrong_words_are_refused_in_words(asked, words, message):
    with pytest.raises((ConfigError, UnknownNameError), match=re.escape(message)):
        camzoo.bench(**words)
    assert asked == []


def test_a_run_gives_rows_as_a_frame_and_its_second_call_finds_them(tmp_path, capsys):
    methods = ["cam", "gradcam:GradCAM", "cam[prior]", "cam[blend]:weight=0.1"]
    result = camzoo.bench(methods=methods, out=tmp_path, **WORDS)
    assert isinstance(result, camzoo.BenchResult)
    assert list(result.rows.columns) == columns()
    assert set(result.rows["method"]) == {"cam", "gradcam:GradCAM", "prior-only", "cam[blend]"}
    assert result.failures == {}
    assert len(read_rows(result.folder / "rows.parquet")) == len(result.rows)
    text = repr(result)
    assert len(text.splitlines()) == 3
    assert text.startswith(f"BenchResult {result.folder.name}: {len(result.rows)} rows")
    assert "gradcam:GradCAM" in text
    assert str(result.folder) in text

    written = {p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*") if p.is_file()}
    again = camzoo.bench(result.folder / "manifest.json", tmp_path, progress=True)
    assert "DSC" not in capsys.readouterr().out
    assert again.folder == result.folder
    assert again.rows.equals(result.rows)
    assert written == {
        p: p.stat().st_mtime_ns for p in (tmp_path / "store").rglob("*") if p.is_file()
    }
    names = [part for path in tmp_path.rglob("*") for part in path.relative_to(tmp_path).parts]
    assert [name for name in names if FORBIDDEN.search(name)] == []


def test_a_method_written_a_line_before_is_run(tmp_path):
    from camzoo.registries import cams

    with cams.temporary():

        @camzoo.register_cam("absolute")
        class Absolute(camzoo.CamMethod):
            """Where features are large, whatever the class."""

            class_specific = False

            def saliency(self, view: camzoo.FeatureView):
                """Return the same map for all classes."""
                strength = view.features.abs().mean(1, keepdim=True)
                return strength.expand(-1, view.logits.shape[1], -1, -1)

        result = camzoo.bench(methods=["absolute"], out=tmp_path, **WORDS)
    assert set(result.rows["method"]) == {"absolute"}
    assert result.failures == {}
