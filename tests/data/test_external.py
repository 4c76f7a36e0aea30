"""Two data sets as one: what is learnt from, and what is tested on."""

import numpy as np
import pytest

from camzoo.core.choices import SplitKind
from camzoo.core.errors import ConfigError
from camzoo.data.datasets.phantom import Phantom
from camzoo.data.external import ExternalTest
from camzoo.data.splits import make_split
from camzoo.harness.run import bench
from camzoo.presets import preset


@pytest.fixture
def pair():
    return (
        Phantom(variant="prostate", patients=12, size=64),
        Phantom(variant="prostate", patients=4, size=48, seed=1),
    )


def test_all_of_the_second_tests_and_all_of_the_first_learns(pair):
    split = make_split(ExternalTest(*pair), SplitKind.PATIENT)
    second = pair[1].own_name
    assert split.test == tuple(f"{second}.{case.id}" for case in pair[1].cases())
    assert {*split.train, *split.val} == {case.id for case in pair[0].cases()}
    assert len(split.val) == 1  # a tenth of twelve


def test_voxels_come_from_where_the_case_is_of(pair):
    both = ExternalTest(*pair)
    for dataset, case in [(pair[0], both.cases()[0]), (pair[1], both.cases()[-1])]:
        own = next(each for each in dataset.cases() if case.id.endswith(each.id))
        for part in ("image", "label"):
            expected = getattr(dataset, part)(own).array
            np.testing.assert_array_equal(getattr(both, part)(case).array, expected)


def test_patients_of_one_name_in_two_hospitals_are_two(pair):
    cases = ExternalTest(*pair).cases()
    assert len({case.patient for case in cases}) == len({case.id for case in cases}) == 16


def test_other_organs_are_refused(pair):
    abdomen = Phantom(variant="abdomen", patients=4)
    with pytest.raises(ConfigError, match=r"organs prostate, and .*abdomen has liver"):
        ExternalTest(pair[0], abdomen)


def test_what_stands_in_its_papers_is_of_both(pair):
    both = ExternalTest(*pair)
    assert both.own_name == f"{pair[0].own_name}-on-{pair[1].own_name}"
    assert both.facts.citation == pair[0].facts.citation
    assert set(both.fingerprint()) == {"first", "second"}


TINY = preset("smoke", "phantom").changed({
    "data.options": {"variant": "prostate", "patients": 4, "size": 64}, "data.size": 64,
    "methods": ["centre"], "training.epochs": 1,
    "backbone.name": "test_resnet", "training.crop": 64, "training.resize": [64, 80],
    "maps.side": 64, "maps.scales": [1.0], "maps.size": 32, "device": "cpu",
})  # fmt: skip


def test_a_run_scores_the_other_data_set(tmp_path):
    other = "phantom:variant=prostate:patients=2:size=64:seed=5"
    result = bench(TINY.changed({"data.test": other}), tmp_path)
    rows = result.rows
    assert set(rows["dataset"]) == {"phantom-on-phantom"}
    cases = Phantom(variant="prostate", patients=2).cases()
    tested = set(rows.loc[rows["subset"] == "test", "case"])
    assert tested == {f"phantom.{case.id}" for case in cases}
    assert result.folder.name.startswith("phantom-on-phantom-smoke-")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data.test_root": "there"}, "test_root.*needs data.test"),
        ({"data.test": "phantom", "data.k_folds": 5}, "k_folds.*another data set tests"),
        ({"data.test": ""}, "data.test"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        TINY.changed(settings)
