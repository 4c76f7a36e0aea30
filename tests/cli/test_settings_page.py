import json

from camzoo.cli import settings_page
from camzoo.cli.settings_page import all_settings
from camzoo.config import BenchConfig
from tests.conftest import ROOT


def test_the_page_is_that_of_this_configuration():
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == settings_page.markdown(), "run camzoo settings --markdown > docs/settings.md"


def test_every_setting_is_there_with_its_default_and_a_meaning():
    listed = {setting.name: setting for setting in all_settings()}
    tree = BenchConfig().model_dump(mode="json")
    leaves = {
        f"{section}.{name}" if isinstance(value, dict) and section != "plugins" else section
        for section, value in tree.items()
        for name in (value if isinstance(value, dict) else [""])
    }
    assert set(listed) == leaves
    for name, setting in listed.items():
        section, _, last = name.rpartition(".")
        value = tree[section][last] if section else tree[last]
        assert json.loads(setting.default) == value, name
        assert setting.meaning, name
        assert setting.range not in ("", "anything"), name


def test_ranges_are_those_of_the_model():
    listed = {setting.name: setting for setting in all_settings()}
    assert listed["training.epochs"].range == "a whole number from 1 to 100000"
    assert listed["training.rare"].range == "a number from 0 to 0.5"
    assert listed["training.clip"].range == "a number above 0, up to 1e+06 or null"
    assert listed["maps.scales"].range.startswith("list of: a number from 0.1 to 10")
    assert listed["segmentation.side"].range.startswith("a multiple of 16 from 16 to 4096")
    assert listed["maps.flip"].range == "auto, always, never"


def test_presets_are_told_where_they_differ():
    listed = {setting.name: setting for setting in all_settings()}
    assert listed["training.epochs"].presets == {"smoke": "6", "quick": "10"}
    assert listed["maps.batch"].presets == {}


def test_a_pattern_chooses():
    assert {s.name.partition(".")[0] for s in all_settings("training.*")} == {"training"}
    assert all_settings("nothing.*") == []


def test_a_part_of_a_name_chooses_too():
    names = [setting.name for setting in all_settings("epochs")]
    assert names == ["training.epochs", "segmentation.epochs"]
    assert [setting.name for setting in all_settings("data.slices")] == ["data.slices"]
