"""Strangers' JSON and YAML: what is refused, how clearly, and how fast."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput, TooLarge
from headrace_wire.jsontext import TextLimits, canonical_json, parse_json
from headrace_wire.yamlfile import parse_yaml

# YAML takes a key of 1,024 characters at most, and JSON writes one as up to six.
_KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max((depth_of(each) for each in inner), default=0)


@given(PLAIN)
def test_json_that_is_within_the_limits_is_read_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(canonical_json(value).encode()) == value


@given(PLAIN, st.integers(1, 6))
def test_the_depth_limit_is_exact(value: Any, max_depth: int) -> None:
    text = json.dumps(value)
    if depth_of(value) <= max_depth:
        assert parse_json(text, TextLimits(max_depth=max_depth)) == value
    else:
        with pytest.raises(InvalidInput, match=f"deeper than {max_depth} levels"):
            parse_json(text, TextLimits(max_depth=max_depth))


@given(st.text(alphabet='[]{}",:\\ a1', max_size=24))
def test_json_is_read_or_refused_with_our_own_error_whatever_is_sent(text: str) -> None:
    try:
        assert parse_json(text) == json.loads(text)
    except InvalidInput:
        try:
            json.loads(text, object_pairs_hook=distinct)
        except ValueError:
            return
        pytest.fail("refused what is valid")


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError("duplicate")
    return dict(pairs)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        "[" * 100_000,
        '[{"a":' * 50_000,
    ],
)
def test_json_nested_100_000_deep_is_a_clear_error(text: str) -> None:
    with pytest.raises(InvalidInput, match="nested deeper than 64 levels"):
        parse_json(text)


@pytest.mark.parametrize(
    "text",
    ['"' + '\\"' * 400_000, "[" + "[]," * 200_000 + "[]]", '["' + "[" * 800_000 + '"]'],
)
def test_hostile_json_costs_no_more_time_than_its_length(text: str) -> None:
    try:
        parse_json(text)
    except InvalidInput as error:
        assert "not valid JSON" in error.message  # noqa: PT017 (only one of the three is refused)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'{"a": 1, "a": 2}', "'a' stands twice"),
        (b"[NaN]", "NaN is not a number"),
        (b"[-Infinity]", "-Infinity is not a number"),
        (b"[1e999]", "too large"),
        (b"[9223372036854775808]", "64 bits"),
        (b"[" + b"9" * 5000 + b"]", "64 bits"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00": 1}', "surrogate"),
        (b'"\xff"', "not UTF-8"),
        (b"{,}", "not valid JSON: .* \\(line 1, column 2\\)"),
        (b"", "not valid JSON"),
    ],
)
def test_wrong_json_says_what_is_wrong(text: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_json(text)


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_json(b'"\\ud83d\\ude00"') == "\N{GRINNING FACE}"


def test_too_much_text_is_refused_before_it_is_read() -> None:
    for parse in (parse_json, parse_yaml):
        with pytest.raises(TooLarge, match="at most 10 are read"):
            parse(b"[1,2,3,4,5,6]", TextLimits(max_bytes=10))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: [yes, off]", {"on": ["yes", "off"]}),
        ("a: 1979-01-01", {"a": "1979-01-01"}),
        ("a: 1979-01-01 06:00:00", {"a": "1979-01-01 06:00:00"}),
        ("a: 01472000", {"a": "01472000"}),
        ("a: 1:30", {"a": "1:30"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: +5", {"a": "+5"}),
        ("a: 0x10", {"a": "0x10"}),
        (
            "a: [1, -2, 0.5, 1e3, true, null, ~, '']",
            {"a": [1, -2, 0.5, 1e3, True, None, None, ""]},
        ),
        ("a:", {"a": None}),
        ("1: x", {"1": "x"}),
        ('a: "1"', {"a": "1"}),
        ("a: |\n  1\n", {"a": "1\n"}),
        ("", None),
        ("[]", []),
    ],
)
def test_yaml_means_what_people_think(text: str, value: Any) -> None:
    assert parse_yaml(text).value == value


@given(PLAIN)
def test_json_without_surrogate_pairs_is_yaml(value: Any) -> None:
    text = json.dumps(value)
    assume("\\ud" not in text)
    assert parse_yaml(text).value == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &x [1]\nb: *x", "line 1: anchors"),
        ("a: *x", "line 1: aliases"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' stands twice"),
        ("a: !!python/object:os.system x", "line 1: tags"),
        ("a: !!int '3'", "line 1: tags"),
        ("<<: {a: 1}", "merge keys"),
        ("? [a]\n: 1", "a key must be text"),
        ("a: 1\n---\nb: 2", "line 2: a second document"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ("- " * 100_000, "nested deeper than 64 levels"),
        ("a: .inf", "not a number that can be used"),
        ("a: .NaN", "not a number that can be used"),
        ("a: 99999999999999999999", "line 1: the number"),
        ("a: 1e999", "line 1: the number 1e999 is too large"),
        ("a: [1, 2\nb: 3", "not valid YAML: .*\\(line 2"),
        ("a: \x00", "not valid YAML"),
        ("a: \tb: c", "not valid YAML"),
        (b"a: \xff", "not UTF-8"),
    ],
)
def test_wrong_yaml_says_what_is_wrong_and_where(text: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse_yaml(text)


@given(st.text(alphabet="ab:-[]{},&*!|>'\"#%@ \n\t?~1.", max_size=30))
def test_yaml_is_read_or_refused_with_our_own_error_whatever_is_sent(text: str) -> None:
    try:
        parse_yaml(text)
    except InvalidInput as error:
        assert error.message  # noqa: PT017 (either end is right; another error is not)


def test_yaml_tells_the_line_of_each_key_and_member() -> None:
    lines = parse_yaml("a:\n  b: 1\n  c:\n    - x\n    - y\n").lines
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4, ("a", "c", 1): 5}
