"""``--set name=value``: what the text of a value stands for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.cli._values import merge, parse_assignment, parse_value, read_config

NUMBERS = st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False)
# A backslash is literal between the single quotes of TOML, where Python would read an escape.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\\'", exclude_categories=["C", "Z"]))
LITERALS = st.recursive(
    st.none() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


def same(a, b):
    """Compare values and their types: 1, 1.0 and True are three things."""
    return repr(a) == repr(b)


@given(LITERALS)
def test_python_literals_come_back(value):
    assert same(parse_value(repr(value)), value)


def test_infinite_numbers_are_literals_beside_others():
    assert parse_value("[None, inf, -inf]") == [None, float("inf"), -float("inf")]
    assert parse_value("infinite") == "infinite"


@given(st.recursive(NUMBERS.filter(lambda x: abs(x) < 1e300) | TEXTS, st.lists, max_leaves=8))
def test_json_and_toml_values_come_back(value):
    assert same(parse_value(json.dumps(value, ensure_ascii=False)), value)


@given(st.text())
def test_any_text_stands_for_something(text):
    value = parse_value(text)
    assert not isinstance(value, str) or value in text  # itself, or what stands between quotation marks


@pytest.mark.parametrize("text", ["{[1]: 2}", "{{}}", "[" * 3000, "1" * 5000, "-" * 9000 + "1", "\0", "2021-02-30"])
def test_what_is_no_value_stands_for_itself(text):
    assert parse_value(text) == text


@given(st.from_regex(r"[a-z_]{1,9}", fullmatch=True), LITERALS)
def test_assignments_come_back(name, value):
    parsed = parse_assignment(f"{name}={value!r}")
    assert parsed[0] == name
    assert same(parsed[1], value)


FIELDS = st.dictionaries(st.sampled_from(["a", "a__x", "a__y", "b", "b__x"]), st.integers(0, 3))


@given(FIELDS, FIELDS, FIELDS)
def test_merging_is_associative(first, second, third):
    assert merge(merge(first, second), third) == merge(first, merge(second, third)) == merge(first, second, third)


@given(FIELDS)
def test_merging_with_nothing_changes_nothing(fields):
    assert merge(fields, {}) == merge({}, fields) == merge(fields, fields) == fields


def test_a_config_that_is_nested_too_deeply(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("x = " + "[" * 5000)
    with pytest.raises(ValueError, match=r"run.toml: is not TOML"):
        read_config(path)
