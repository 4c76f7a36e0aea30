"""A CAM method with settings goes through a whole run: rows, names, and its place in the store."""

import json

import numpy as np
import pytest

from camzoo.cams.map_files import MapFiles
from camzoo.core.errors import ConfigError
from camzoo.harness.configure import configure
from camzoo.harness.plan import plan_run
from camzoo.harness.run import bench
from tests.harness.test_run import TINY

METHODS = ("centre", "centre:width=0.1", "centre:width=0.1[ac]:threshold=0.4", "lpcam:clusters=2")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("settings")
    return out, bench(_run(METHODS), out)


def _run(methods):
    return TINY.changed({"methods": methods, "training.epochs": 1})


def test_rows_say_which_settings_made_them(done):
    _, result = done
    rows = result.rows[["method", "variant"]].fillna("").drop_duplicates()
    assert set(rows.itertuples(index=False, name=None)) == {
        ("centre", ""), ("centre", "width=0.1"),
        ("centre[ac]", "centre:width=0.1 threshold=0.4"), ("lpcam", "clusters=2"),
    }  # fmt: skip
    manifest = json.loads((result.folder / "manifest.json").read_text("utf-8"))
    assert tuple(manifest["config"]["methods"]) == METHODS


def test_settings_reach_the_constructor(done):
    _, result = done
    wide, narrow = (MapFiles.open(result.maps[n]).maps for n in ("centre", "centre width=0.1"))
    shown = np.asarray(wide).any(axis=(2, 3))
    height = wide.shape[-1]
    places = (np.arange(height) + 0.5) / height - 0.5
    for maps, width in ((wide, 0.25), (narrow, 0.1)):
        row = np.asarray(maps[shown])[0, height // 2].astype(float)
        assert row == pytest.approx(np.exp(-(places**2) / (2 * width**2)), abs=0.02)


def test_the_same_settings_are_found_again_and_others_are_not(done):
    out, result = done
    assert result.made["maps"] == 3
    again = bench(_run(("centre:width=0.10", "lpcam:clusters=2", "centre:width=0.25")), out)
    assert "maps" not in again.made
    plan = plan_run(_run(("centre:width=0.1", "centre:width=0.2")), out)
    missing = [step.name for step in plan.to_make if step.stage == "maps"]
    assert missing == ["centre:width=0.2"]
    other = bench(_run(("centre:width=0.1", "centre:width=0.2")), out)
    assert (other.made["maps"], other.found["maps"]) == (1, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("centre:width=0", "centre: width takes a number above 0, up to 10, got 0"),
        ("centre:widht=1", "unknown setting 'widht' of CAM method centre; did you mean width"),
        ("cam,lpcam:clusters=many", "CAM method lpcam: clusters is of type int, got 'many'"),
        ("random:seed=-1", "random: seed takes a whole number from 0 to 4294967295, got -1"),
        ("finer-cam:references=0", "references takes a whole number from 1 to 1000, got 0"),
        ("smooth-grad-cam++:samples=0", "samples takes a whole number from 1 to 1000, got 0"),
        ("opti-cam:rate=0", "rate takes a number above 0, up to 100, got 0"),
        ("fem:sigmas=1e9", "sigmas takes a number from 0 to 100, got 1000000000"),
        ("kpca-cam:offset=wide", "CAM method kpca-cam: offset is of type float, got 'wide'"),
        ("lpcam:sure=1.5", "sure takes a number from 0 to 1, got 1.5"),
        ("gradcam:GradCAM:x=1", "unknown setting 'x' of CAM method gradcam:GradCAM; known: none"),
    ],
)
def test_wrong_settings_are_refused_before_a_run(text, message):
    with pytest.raises(ConfigError, match=message):
        configure("phantom", "smoke", changes={"methods": text})


def test_one_method_under_two_texts_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"methods: fem and fem:sigmas=2 are one and the same"):
        bench(_run(("fem", "fem:sigmas=2")), tmp_path)


def test_options_of_a_data_set_may_stand_behind_its_name():
    config = configure("phantom:variant=abdomen:patients=4", "smoke")
    assert config.data.name == "phantom"
    assert config.data.options == {"variant": "abdomen", "patients": 4}
    changes = {"data.options.variant": "abdomen", "data.options.patients": 4}
    assert configure("phantom", "smoke", changes=changes) == config
    with pytest.raises(ConfigError, match="option variant of the data set is given twice"):
        configure("phantom:variant=abdomen", changes={"data.options.variant": "cardiac"})
