import pytest

from camzoo.core.errors import ConfigError
from camzoo.core.pairs import parse_pairs, split_names


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
