"""From a grid to runs: every cell once, and nothing of what is excluded."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camzoo.core.errors import ConfigError
from camzoo.harness.context import Place, places
from camzoo.harness.grid.expand import rectangles
from tests.harness.grid.small import CARDIAC, PROSTATE, SMALL, runs_of

FOLDS = "folds = [0, 1]\nset = {data.k_folds = 3}\n"
BACKBONES = """
[[backbone]]
name = "resnet10t"
weights = "none"
[[backbone]]
name = "resnet18"
label = "larger"
weights = "none"
set = {training.epochs = 2}
"""
TOP = "seeds = [0, 1, 2]\n"


def cells(runs):
    """Every pair of a cell and a method or baseline, by the first part of the run's label."""
    return {
        (run.label.partition(" (")[0], at.fold, at.seed, name)
        for run in runs
        for at in places(run.config)
        for name in (*run.config.methods, *run.config.baselines)
    }


def test_the_product_of_everything(tmp_path):
    runs = runs_of(tmp_path, TOP + SMALL + PROSTATE + FOLDS + CARDIAC + BACKBONES)
    assert [run.label for run in runs] == [
        "prostates, resnet10t", "prostates, larger", "hearts, resnet10t", "hearts, larger"
    ]  # fmt: skip
    first, _, hearts, larger = (run.config for run in runs)
    assert (first.data.folds, first.seeds, hearts.data.folds) == ((0, 1), (0, 1, 2), (0,))
    assert (first.preset, first.data.size, first.data.options["variant"]) == (
        "smoke", 64, "prostate"
    )  # fmt: skip
    assert (first.training.epochs, larger.training.epochs) == (1, 2)
    assert (larger.backbone.name, larger.backbone.weights) == ("resnet18", "none")
    assert first.methods == ("cam", "centre")
    assert first.baselines == ()


def test_without_backbones_there_is_that_of_the_preset(tmp_path):
    (run,) = runs_of(tmp_path, SMALL + PROSTATE)
    assert (run.label, run.config.backbone.name) == ("prostates", "resnet10t")
    assert run.config.seeds == (0,)


def test_lists_of_methods_are_those_of_the_command_line(tmp_path):
    text = SMALL.replace('["cam", "centre"]', '"ablation"') + PROSTATE
    (run,) = runs_of(tmp_path, 'baselines = "none"\n' + text)
    assert len(run.config.methods) > 20


def test_a_cell_that_is_excluded_splits_its_run(tmp_path):
    everything = TOP + SMALL + PROSTATE + FOLDS + CARDIAC
    excluded = "[[exclude]]\ndata = 'prostates'\nfold = 1\nseed = [1, 2]\n"
    runs = runs_of(tmp_path, everything + excluded)
    assert [(r.label, r.config.data.folds, r.config.seeds) for r in runs] == [
        ("prostates (1 of 2)", (0,), (0, 1, 2)),
        ("prostates (2 of 2)", (1,), (0,)),
        ("hearts", (0,), (0, 1, 2)),
    ]
    left = cells(runs_of(tmp_path, everything)) - cells(runs)
    assert left == {("prostates", 1, s, m) for s in (1, 2) for m in ("cam", "centre")}


def test_a_whole_fold_or_seed_splits_nothing(tmp_path):
    text = TOP + SMALL + PROSTATE + FOLDS
    (run,) = runs_of(tmp_path, text + "[[exclude]]\nfold = 0\n[[exclude]]\nseed = 1\n")
    assert (run.config.data.folds, run.config.seeds) == ((1,), (0, 2))


def test_methods_and_baselines_are_excluded_from_cells(tmp_path):
    text = TOP + "baselines = ['p-cam']\n" + SMALL + PROSTATE + BACKBONES
    runs = runs_of(
        tmp_path,
        text
        + "[[exclude]]\nbackbone = 'larger'\nmethod = 'centre'\n"
        + "[[exclude]]\nseed = [1, 2]\nbaseline = 'p-cam'\n",
    )
    assert [(r.label, r.config.seeds, r.config.methods, r.config.baselines) for r in runs] == [
        ("prostates, resnet10t (1 of 2)", (0,), ("cam", "centre"), ("p-cam",)),
        ("prostates, resnet10t (2 of 2)", (1, 2), ("cam", "centre"), ()),
        ("prostates, larger (1 of 2)", (0,), ("cam",), ("p-cam",)),
        ("prostates, larger (2 of 2)", (1, 2), ("cam",), ()),
    ]


def test_names_in_exclusions_are_those_of_the_command_line(tmp_path):
    """``p-cam`` among methods is another name of ``cam``."""
    (run,) = runs_of(tmp_path, SMALL + PROSTATE + "[[exclude]]\nmethod = 'p-cam'\n")
    assert run.config.methods == ("centre",)


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        ("seed = 7", "unknown seed of an exclusion '7'"),
        ("data = 'prostate'", "unknown data of an exclusion 'prostate'; did you mean prostates?"),
        ("backbone = 'resnet18'", "unknown backbone of an exclusion 'resnet18'"),
        ("method = 'eigen-cam'", "unknown method of an exclusion 'eigen-cam'"),
        ("method = 'cat'", "unknown CAM method 'cat'; did you mean cam"),
        ("baseline = 'p-cam'", "unknown baseline of an exclusion 'p-cam'"),
        (
            "data = 'hearts'\nfold = 1",
            "the exclusion of data hearts, fold 1 fits nothing in the grid; take it out",
        ),
        (
            "method = ['cam', 'centre']\nseed = 2",
            "leave prostates, fold 0, seed 2 without",
        ),
        ("seed = [0, 1, 2]", "nothing is left of the grid"),
    ],
)
def test_exclusions_that_cannot_be_meant_are_refused(tmp_path, excluded, said):
    text = TOP + SMALL + PROSTATE + FOLDS + CARDIAC
    with pytest.raises(ConfigError) as caught:
        runs_of(tmp_path, f"{text}\n[[exclude]]\n{excluded}\n")
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "grid.toml"))


def test_two_runs_that_are_one_are_refused(tmp_path):
    again = PROSTATE.replace("prostates", "again")
    with pytest.raises(ConfigError, match="prostates and again are the same run; take one out"):
        runs_of(tmp_path, SMALL + PROSTATE + again)


@given(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3))))
def test_cells_are_divided_into_full_products(pairs):
    parts = rectangles([Place(*pair) for pair in sorted(pairs)])
    covered = [pair for folds, seeds in parts for pair in itertools.product(folds, seeds)]
    assert sorted(covered) == sorted(pairs)
    assert len(parts) == len({tuple(sorted(s for g, s in pairs if g == f)) for f, _ in pairs})
