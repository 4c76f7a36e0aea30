"""One grammar of names with settings: what is written is read as what it was."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camzoo.core.errors import ConfigError, UnknownNameError
from camzoo.core.registry import Registry
from camzoo.core.spec import (
    Spec,
    all_settings,
    build,
    make_spec,
    parse,
    parse_pairs,
    require_once,
    split_brackets,
    split_names,
    split_settings,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.text(alphabet='a1:=,[]{}"\\ -.', max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip
NAMES = st.sampled_from(["cam", "grad-cam++", "gradcam:GradCAM", "my_cam.v2"])
KEYS = st.text(alphabet="ab_1é", min_size=1, max_size=5)
SETTINGS = st.dictionaries(KEYS, VALUES, max_size=2)

things = Registry[type]("thing", group="example.things")


@things.register("thing")
class Thing:
    """Takes a value of every type."""

    def __init__(
        self,
        count: int = 4,
        share: float = 0.5,
        flag: bool = False,
        word: str = "a",
        sides: tuple[int, ...] = (1, 2),
        most: int | None = None,
    ) -> None:
        if count < 1:
            raise ConfigError(f"thing: count must be 1 or more, got {count}")
        self.got = {"count": count, "share": share, "flag": flag, "word": word}
        self.sides = [side + 0 for side in sides]
        self.most = most


@settings(deadline=None)
@given(NAMES, SETTINGS)
def test_every_value_survives_being_written(name, told):
    text = str(Spec(name, tuple(sorted(told.items()))))
    assert split_settings(text) == (name, told)
    assert split_names(f"first,{text},last") == ["first", text.strip(), "last"]
    assert split_brackets(f"{text}[ac:tau=1]:x=2") == (text, "ac:tau=1", ":x=2")


@settings(deadline=None)
@given(
    st.fixed_dictionaries({}, optional={
        "count": st.integers(1), "share": st.floats(allow_nan=False, allow_infinity=False),
        "flag": st.booleans(), "word": st.text(), "sides": st.lists(st.integers(), max_size=3),
        "most": st.none() | st.integers(),
    })
)  # fmt: skip
def test_a_spec_is_read_again_from_its_text(told):
    spec = make_spec("thing", told, things)
    again = parse(str(spec), things)
    assert (again, str(again), hash(again)) == (spec, str(spec), hash(spec))
    full = {"count": 4, "share": 0.5, "flag": False, "word": "a"}
    assert build(again, things).got == full | {k: told[k] for k in full if k in told}
    assert (
        json.loads(json.dumps(all_settings(again, things))).keys()
        == all_settings(spec, things).keys()
    )


def test_defaults_are_left_out_and_numbers_have_one_form():
    text = "thing:share=0.50:count=4:sides=[1, 2]:word=a"
    assert parse(text, things) == Spec("thing")
    assert str(parse("thing:share=3.0:count=7", things)) == "thing:count=7:share=3"
    assert parse("thing:share=1e0", things) == parse("thing:share=1", things)
    assert parse("thing:word=b:flag=true", things).variant == "flag=true word=b"


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("thign", UnknownNameError, "unknown thing 'thign'; did you mean thing"),
        ("thing:cuont=1", UnknownNameError, "unknown setting 'cuont' of thing thing; did you mean"),
        ("thing:count", UnknownNameError, "unknown thing 'thing:count'"),
        ("thing:count=", ConfigError, "thing thing: count is of type int, got ''; write values"),
        ("thing:count=2.0", ConfigError, "thing thing: count is of type int, got 2.0; write"),
        ("thing:count=true", ConfigError, "count is of type int, got True"),
        ("thing:count=[1]", ConfigError, r"count is of type int, got \[1\]"),
        ("thing:share=true", ConfigError, "share is of type float, got True"),
        ("thing:share=NaN", ConfigError, "share is of type float, got nan"),
        ("thing:share=1e999", ConfigError, "share is of type float, got inf"),
        ("thing:share=null", ConfigError, "share is of type float, got None"),
        ("thing:flag=no", ConfigError, "flag is of type bool, got 'no'"),
        ("thing:flag=0", ConfigError, "flag is of type bool, got 0"),
        ("thing:word=3", ConfigError, "word is of type str, got 3"),
        ("thing:sides=3", ConfigError, "sides is of type list, got 3"),
        ('thing:sides="1, 2"', ConfigError, "sides is of type list, got '1, 2'"),
        ('thing:sides=["a"]', ConfigError, r"thing thing:sides=\[\"a\"\]: can only concatenate"),
        ("thing:most=many", ConfigError, "thing thing: most: takes a valid integer, got 'many'"),
        ("thing:most=2.5", ConfigError, "thing thing: most: takes a valid integer, got 2.5"),
        ("thing:most=true", ConfigError, "thing thing: most: takes a valid integer, got True"),
        ("thing:count=0", ConfigError, "thing: count must be 1 or more, got 0"),
        ("thing:count=1:count=2", ConfigError, "thing count is given twice"),
    ],
)
def test_what_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        parse(text, things)


def test_without_settings_nothing_is_constructed_or_imported():
    broken = Registry[type]("thing", group="example.things")

    @broken.register("broken")
    class Broken:
        """Cannot be made."""

        def __init__(self, size: int = 1) -> None:
            raise ValueError(f"no size {size}")

    assert parse("broken", broken) == Spec("broken")
    with pytest.raises(ValueError, match="no size 1"):
        build(Spec("broken"), broken)
    with pytest.raises(ConfigError, match="thing broken:size=2: no size 2"):
        parse("broken:size=2", broken)


def test_one_thing_has_one_name():
    require_once("methods", [("cam", "cam"), ("fem", "fem")])
    with pytest.raises(ConfigError, match="methods: p-cam and cam are one and the same"):
        require_once("methods", [("p-cam", "cam"), ("cam", "cam")])
    with pytest.raises(ConfigError, match="'cam' is given twice"):
        require_once("methods", [("cam", "cam"), ("cam", "cam")])


def test_values_are_json_or_text():
    texts = ["a=3", "b=[1, 2]", "c=all", "d=true", "e=x=y", "f="]
    assert parse_pairs("--option", texts) == {
        "a": 3, "b": [1, 2], "c": "all", "d": True, "e": "x=y", "f": "",
    }  # fmt: skip
    assert parse_pairs("--set", None) == {}


@pytest.mark.parametrize(("texts", "message"), [
    (["a"], "--set takes KEY=VALUE, got 'a'"),
    (["=1"], "--set takes KEY=VALUE"),
    (["a=1", "a=2"], "--set a is given twice"),
])  # fmt: skip
def test_wrong_pairs_are_named(texts, message):
    with pytest.raises(ConfigError, match=message):
        parse_pairs("--set", texts)


def test_names_are_split_outside_of_brackets_and_quotes():
    text = ' a, b[c,d]:e=1,f:g={"h": [1, 2], "i": 3}, j:k="l,m" ,,'
    assert split_names(text) == ["a", "b[c,d]:e=1", 'f:g={"h": [1, 2], "i": 3}', 'j:k="l,m"']
    assert split_names(" , ") == []


@pytest.mark.parametrize(("text", "value"), [
    ("80,112", [80, 112]),
    ("0.5,1", [0.5, 1]),
    ("80,", [80]),
    ("a,b", ["a", "b"]),
    ("true,false,null", [True, False, None]),
    ("cam[cc,ac],cam", ["cam[cc,ac]", "cam"]),
    ("[80, 112]", [80, 112]),
    ("80", 80),
    ("text", "text"),
    ("", ""),
    ('"a,b"', "a,b"),
    ("1e-4", 1e-4),
])  # fmt: skip
def test_commas_make_a_list_where_lists_are_taken(text, value):
    assert parse_pairs("--set", [f"x={text}"], lists=lambda key: key == "x") == {"x": value}


def test_commas_are_text_elsewhere():
    assert parse_pairs("--option", ["patient=(.{1,3})_.*"]) == {"patient": "(.{1,3})_.*"}
    assert parse_pairs("--set", ["a=1,2", "b=1,2"], lists=lambda key: key == "a") == {
        "a": [1, 2], "b": "1,2",
    }  # fmt: skip


def test_nesting_without_end_is_text():
    deep = "[" * 10**5
    assert parse_pairs("--set", [f"a={deep}"]) == {"a": deep}
