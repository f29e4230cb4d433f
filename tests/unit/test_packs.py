"""Packs of archived jobs: what was written reads back the same, also what older programs wrote."""

import gzip
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.errors import InvalidInput
from headrace_model.ids import NodeId, job_id
from headrace_model.job import Ask, NewJob
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.status import Status
from headrace_wire.packs import Record, read_pack, write_pack
from headrace_wire.records import encode, new_job_fields

GOLDEN = files("headrace_wire") / "golden" / "pack-1.jsonl"
NEW = NewJob(
    id=job_id(1_700_000_000_000, 1),
    owner="ann",
    name="größe",
    kind="command",
    spec='{"kind":"command"}',
    priority=50,
    ask=Ask(Resources(1_000, 2**30), Paradigm.SINGLE_NODE, "process"),
    needs=frozenset(),
)
ALLOCATION = Allocation((Share(NodeId("n1"), Resources(1_000, 2**30)),))
FULL = Record(
    NEW.id,
    {
        **new_job_fields(NEW, Status.FAILED),
        "created_ms": "1",
        "entered_ms": "2",
        "rank": "50",
        "version": "9",
    },
    ('{"at":1,"event":"SUBMIT"}', '{"at":2,"detail":"ü"}'),
    {1: {"allocation": encode(ALLOCATION), "cause": "NODE_LOST"}},
)
texts = st.text(max_size=20)
hashes = st.dictionaries(texts, texts, max_size=4)
records = st.builds(
    Record,
    st.integers(0, 2**20).map(lambda number: job_id(1, number)),
    hashes,
    st.lists(texts, max_size=3).map(tuple),
    st.dictionaries(st.integers(1, 9), hashes, max_size=3),
)


@given(st.lists(records, max_size=4))
def test_a_pack_reads_back_as_it_was_written(found: list[Record]) -> None:
    data = write_pack(found)
    assert list(read_pack(data)) == found
    assert write_pack(found) == data


def test_a_pack_of_an_older_program_is_read() -> None:
    """The golden file is never changed: another shape is another version."""
    text = GOLDEN.read_text(encoding="utf-8").rstrip("\n")
    assert list(read_pack(gzip.compress(text.encode()))) == [FULL]
    assert gzip.decompress(write_pack([FULL])).decode() == text


def test_a_record_tells_its_job_and_where_its_attempts_were() -> None:
    assert (FULL.job.name, FULL.job.status, FULL.job.version) == ("größe", Status.FAILED, 9)
    assert FULL.runs == [("n1", f"{NEW.id}.1")]
    assert (FULL.allocation(1), FULL.allocation(2)) == (ALLOCATION, None)
    assert not {"spec", "request_id"} & FULL.listed_fields.keys()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nonsense",
        write_pack([FULL])[:-9],
        gzip.compress(b"[]"),
        gzip.compress(b'{"v":2}'),
        gzip.compress(b'{"v":1}\n{}'),
        gzip.compress(b'{"v":1}\n{"id":"x","fields":{},"history":[],"attempts":{}}'),
    ],
)
def test_what_is_no_pack_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_pack(data)
