"""A run beside packages that cannot be loaded: their rows fail and say why, the others stand."""

import pytest

from camzoo.core.errors import ConfigError
from camzoo.core.registry import Place
from camzoo.harness.run import bench
from camzoo.presets import preset
from camzoo.registries import baselines, cams
from camzoo.segment.selection import select_baselines
from camzoo.steps.selection import select_methods

TINY = preset("smoke", "phantom").changed(
    {
        "data.options": {"patients": 6, "size": 64}, "data.size": 64, "device": "cpu",
        "training.epochs": 1,
        "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 80],
        "maps.side": 64, "maps.scales": [1.0], "maps.size": 32,
    }
)  # fmt: skip


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A method and a baseline of a package that ends the program when it is imported."""
    (tmp_path / "leaving_module.py").write_text("raise SystemExit(5)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    place = Place("leaving_module:Any", "leaving")
    with cams.temporary({"leaving": place}), baselines.temporary({"leaving": place}):
        yield "cannot be loaded from 'leaving_module:Any' of leaving: SystemExit: 5"


def test_all_takes_in_what_is_broken(broken):
    assert "leaving" in select_methods("all")
    assert "leaving" in select_baselines("all")
    with pytest.raises(ConfigError, match="SystemExit"):
        select_baselines("leaving:weight=3")


def test_its_row_fails_and_the_others_stand(broken, tmp_path):
    config = TINY.changed({"methods": ["leaving", "centre"], "baselines": ["leaving"]})
    result = bench(config, tmp_path / "runs")
    assert set(result.rows["method"]) == {"centre"}
    assert set(result.failures) == {"leaving", "baseline leaving"}
    assert result.failures["leaving"] == f"the CAM method 'leaving' {broken}"
    assert result.failures["baseline leaving"].endswith(f"the baseline 'leaving' {broken}")


def test_where_nothing_else_is_asked_for_nothing_is_read(broken, tmp_path):
    config = TINY.changed({"methods": ["leaving", "leaving[ac]"]})
    with pytest.raises(ConfigError, match="the CAM method 'leaving' cannot be loaded") as refused:
        bench(config, tmp_path / "runs")
    assert str(refused.value).count("cannot be loaded") == 1
    assert not (tmp_path / "runs").exists()
