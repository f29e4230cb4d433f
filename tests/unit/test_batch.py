"""Batches of small files: how they are written and read, and what is refused."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_client.smallfiles import batches_of
from headrace_model.errors import InvalidInput, InvalidName, TooLarge
from headrace_wire.batch import (
    BATCH_BYTES,
    BATCH_FILES,
    BatchFile,
    BatchRequest,
    decode_batch,
    encode_batch,
)
from headrace_wire.schema import from_plain

GOOD = {"path": "a.csv", "size_bytes": 3, "sha256": "0" * 64}


def file(path: str, data: bytes) -> BatchFile:
    return BatchFile(path, sha256(data).hexdigest(), data)


def body(*named: Any, data: bytes = b"abc") -> bytes:
    return json.dumps({"items": list(named)}).encode() + b"\n" + data


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_a_batch_is_read_as_it_was_written(contents: list[bytes]) -> None:
    files = [file(f"größe/{number} x.csv", data) for number, data in enumerate(contents)]
    assert decode_batch(encode_batch(files)) == files


@given(st.binary(max_size=400))
def test_any_bytes_are_a_batch_or_refused(data: bytes) -> None:
    for sent in (data, b'{"items":' + data, body(GOOD)[: len(data)]):
        try:
            decode_batch(sent)
        except InvalidInput:
            continue


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\n",
        b"no line at all",
        b"[]\n",
        b"{}\n",
        b'{"items": 1}\n',
        b'{"items": []}\n',
        b'{"items": [], "more": 1}\n',
        b'{"items": [1]}\nabc',
        b"\xff\n",
        body(GOOD, data=b"ab"),
        body(GOOD, data=b"abcd"),
        body({**GOOD, "size_bytes": -1}),
        body({**GOOD, "size_bytes": 3.0}),
        body({**GOOD, "size_bytes": True}, data=b"a"),
        body({**GOOD, "size_bytes": "3"}),
        body({**GOOD, "sha256": "0" * 63}),
        body({**GOOD, "sha256": "A" * 64}),
        body({**GOOD, "sha256": None}),
        body({**GOOD, "path": 1}),
        body({**GOOD, "key": "other"}),
        body({"path": "a.csv", "size_bytes": 3}),
        body(GOOD, GOOD, data=b"abcabc"),
    ],
)
def test_a_body_that_is_no_batch_is_refused(sent: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_batch(sent)


@pytest.mark.parametrize("path", ["", "../a", "/a", "a//b", "a\\b", "a\0b", "a\nb"])
def test_no_path_of_a_batch_leads_anywhere_else(path: str) -> None:
    with pytest.raises(InvalidName):
        decode_batch(body({**GOOD, "path": path}))
    with pytest.raises(InvalidName):
        BatchRequest((path,))


def test_more_files_or_bytes_than_a_batch_may_have_are_too_large() -> None:
    many = [file(f"{number}", b"") for number in range(BATCH_FILES + 1)]
    assert len(decode_batch(encode_batch(many[1:]))) == BATCH_FILES
    with pytest.raises(TooLarge, match="at most 256 files"):
        decode_batch(encode_batch(many))
    with pytest.raises(TooLarge, match="at most 256 files"):
        BatchRequest(tuple(each.path for each in many))
    assert decode_batch(encode_batch([file("a", bytes(BATCH_BYTES))]))
    with pytest.raises(TooLarge, match="make several batches"):
        decode_batch(encode_batch([file("a", bytes(BATCH_BYTES)), file("b", b"x")]))
    with pytest.raises(TooLarge, match="first line"):
        decode_batch(b'{"items": [' + b" " * 2**20)


@pytest.mark.parametrize("paths", [[], ["a", "a"], "a", None, [1]])
def test_what_asks_for_no_batch_is_refused(paths: Any) -> None:
    with pytest.raises(InvalidInput):
        from_plain(BatchRequest, {"paths": paths})


@given(st.lists(st.integers(0, BATCH_BYTES), max_size=600))
def test_items_are_cut_into_batches_that_are_within_bounds(sizes: list[int]) -> None:
    items = [{"size_bytes": size} for size in sizes]
    batches = batches_of(items)
    assert [item for batch in batches for item in batch] == items
    for batch in batches:
        assert 1 <= len(batch) <= BATCH_FILES
        assert sum(item["size_bytes"] for item in batch) <= BATCH_BYTES
