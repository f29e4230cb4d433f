"""The lines between a nest and its clients."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_adapters.backends.nest_wire import LineBuffer, decode, encode, split_key
from headrace_model.errors import InvalidInput, TooLarge


@given(st.dictionaries(st.text().filter(lambda name: name != "v"), st.text()))
def test_a_message_comes_back_as_it_was(fields: dict[str, str]) -> None:
    line = encode(fields)
    assert line.count(b"\n") == 1
    assert decode(line) == {"v": 1, **fields}


def test_bytes_that_are_no_utf8_come_back() -> None:
    word = b"\xff/\xe9".decode("utf-8", "surrogateescape")
    assert decode(encode({"word": word}))["word"] == word


@pytest.mark.parametrize(
    "line", [b"", b"[]", b"{", b"[" * 100_000, b'{"op":"ping"}', b'{"v":2}', b"\xff"]
)
def test_what_is_no_message_of_this_version_is_refused(line: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode(line)


@given(
    st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=9),
    st.lists(st.integers(0, 60), max_size=9),
)
def test_lines_are_found_however_the_bytes_arrive(lines: list[bytes], cuts: list[int]) -> None:
    data = b"".join(line + b"\n" for line in lines) + b"rest"
    buffer, found, begin = LineBuffer(), [], 0
    for end in [*sorted(cuts), len(data)]:
        found += buffer.feed(data[begin:end])
        begin = max(begin, end)
    assert found == lines
    assert buffer.feed(b"!\n") == [b"rest!"]


@pytest.mark.parametrize(
    ("before", "last"), [(b"", b"x" * 11), (b"x" * 6, b"x" * 6), (b"a\n", b"x" * 11 + b"\n")]
)
def test_a_line_over_the_limit_is_refused(before: bytes, last: bytes) -> None:
    buffer = LineBuffer(limit_bytes=10)
    buffer.feed(before)
    with pytest.raises(TooLarge):
        buffer.feed(last)


@pytest.mark.parametrize("key", ["", "a", "a.1", "a.1.", ".1.1", "a.x.1", "a.1.1.1", "a.-1.0"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        split_key(key)


def test_a_key_is_taken_apart() -> None:
    assert split_key("abc.12.3") == ("abc", 12, 3, 0, 0)
    assert split_key("abc.12.3.4.5") == ("abc", 12, 3, 4, 5)
