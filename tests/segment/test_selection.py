import pytest

from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.spec import build
from camzoo.registries import baselines
from camzoo.segment.selection import parse_baseline, select_baselines


def test_settings_reach_the_constructor():
    baseline = parse_baseline('sizeloss:weight=0.5:discs=["liver"]:bounds={"liver": [20, 900]}')
    assert dict(baseline.settings) == {
        "weight": 0.5, "discs": ["liver"], "bounds": {"liver": [20, 900]},
    }  # fmt: skip
    built = build(baseline, baselines)
    assert (built.name, built._weight) == ("sizeloss", 0.5)
    assert (built._discs, built._bounds) == (frozenset({"liver"}), {"liver": [20, 900]})


@pytest.mark.parametrize(
    "text",
    [
        'irnet:method="cam[aff]:beta=5"', 'p-cam:method="cam[cc,aff]"', "p-cam:method=layer-cam",
        'sizeloss:bounds={"a": [1, 2], "b": [3, 4]}:weight=0.5', "conta", "conta:rounds=3",
    ],
)  # fmt: skip
def test_what_was_chosen_is_read_again(text):
    """A run keeps the text."""
    (chosen,) = select_baselines(text)
    assert chosen == text
    assert parse_baseline(chosen) == parse_baseline(text)


def test_what_is_written_is_told_apart_in_tables_and_read_again():
    baseline = parse_baseline("sizeloss:weight=0.5:erosions=3")
    assert baseline.variant == "erosions=3 weight=0.5"
    assert str(baseline) == "sizeloss:erosions=3:weight=0.5"
    assert parse_baseline(str(baseline)) == baseline


def test_defaults_are_no_settings():
    assert str(parse_baseline("sizeloss:weight=0.01")) == "sizeloss"
    assert parse_baseline("supervised").variant == ""


@pytest.mark.parametrize(
    ("text", "method"),
    [
        ("p-cam", "cam"),
        ("p-cam:method=layer-cam", "layer-cam"),
        ("p-cam:method=cam[cc,aff]", "cam[cc,aff]"),
        ('p-cam:method="fem:sigmas=3"', "fem:sigmas=3"),
        ('irnet:method="cam[aff]:beta=5"', "cam[aff]:beta=5"),
    ],
)
def test_the_maps_that_it_reads_are_a_setting(text, method):
    assert build(parse_baseline(text), baselines).reads == (method,)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("sizelos:weight=1", UnknownNameError, "did you mean sizeloss"),
        ("sizeloss:wait=1", ConfigError, "'wait' of baseline sizeloss; did you mean weight"),
        ("supervised:x=1", ConfigError, "'x' of baseline supervised; known: patients, draw"),
        ("sizeloss:weight=much", ConfigError, "weight is of type float, got 'much'"),
        ("sizeloss:discs=liver", ConfigError, "discs is of type list, got 'liver'"),
        ("sizeloss:erosions=2.5", ConfigError, "erosions is of type int, got 2.5"),
        ("p-cam:method=3", ConfigError, "p-cam: method: takes a valid string, got 3"),
        ("p-cam:method=gradcam", ConfigError, "p-cam:method=gradcam reads maps of 'gradcam': unkn"),
        ('p-cam:method="fem:sigmas=x"', ConfigError, "CAM method fem: sigmas is of type float"),
        ("sizeloss:weight=-1", ConfigError, "must not be negative, got -1"),
    ],
)
def test_what_it_cannot_be_is_refused_before_a_run(text, error, message):
    with pytest.raises(error, match=message):
        select_baselines(text)


def test_commas_within_values_do_not_part_names():
    bounds = 'sizeloss:bounds={"a": [1, 2], "b": [3, 4]}'
    chosen = select_baselines(f'p-cam,{bounds}, conta:rounds=3,irnet:method="cam[cc,aff]"')
    assert [parse_baseline(text).name for text in chosen] == ["p-cam", "sizeloss", "conta", "irnet"]
    assert build(parse_baseline(chosen[3]), baselines).reads == ("cam[cc,aff]",)
