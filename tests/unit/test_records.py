"""Records in Redis: what was written reads back the same, also what older programs wrote."""

import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_model.cause import Cause
from headrace_model.dataset import Category, Dataset, DatasetState, Origin
from headrace_model.domain import Domain, Index
from headrace_model.errors import InvalidInput
from headrace_model.estimate import Likeness
from headrace_model.ids import DatasetId, JobId, NodeId, job_id
from headrace_model.job import Ask, Need, NewJob
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.service import ServiceRefusal, ServiceWish
from headrace_model.status import Desired, Status
from headrace_model.work import CollectedItem, CollectedOutput, Fact, FactKind, Verb, Work
from headrace_model.worker import Mount
from headrace_wire.records import (
    VERSION,
    Fulfilments,
    compact,
    decode,
    decode_fulfilments,
    encode,
    encode_fulfilments,
    fact_field,
    new_job_fields,
    read_job,
)

GOLDEN = files("headrace_wire") / "golden"
JOB = job_id(1_700_000_000_000, 1)
SHA = "ab" * 32
DOMAIN = Domain.from_plain({"TIME": ["1979-01-01", "1981-01-01"], "HYDROFABRIC_DATA_ID": "drb"})

# One of each kind of record with every key that it can have. A golden file is never changed:
# another shape is another version, with a file of its own.
FULL: dict[str, Any] = {
    "work": Work(
        node=NodeId("node1"),
        job=JOB,
        attempt=2,
        verb=Verb.LAUNCH,
        spec='{"kind":"command"}',
        resources=Resources(1_500, 2**30),
        rank=1,
        ranks=2,
    ),
    "fact": Fact(
        node=NodeId("node1"),
        job=JOB,
        attempt=2,
        kind=FactKind.COLLECTED,
        cause=Cause.COLLECTION,
        detail="größer\nals erlaubt",
        exit_code=0,
        signal=9,
        peak_memory_bytes=2**40,
        outputs=(
            CollectedOutput(
                name="flow",
                items=(CollectedItem("a/ü.nc", 0, SHA, "flow/1/x/a/ü.nc"),),
                format="GENERIC",
                domain=DOMAIN.to_plain(),
            ),
        ),
        at_ms=1_700_000_000_123,
    ),
    "ask": Ask(
        resources=Resources(250, 1),
        paradigm=Paradigm.ROUND_ROBIN,
        backend="container",
        time_ms=60_000,
        not_before_ms=1_700_000_000_000,
    ),
    "allocation": Allocation(
        (
            Share(NodeId("node1"), Resources(1_000, 2**30)),
            Share(NodeId("node2"), Resources(0, 0)),
        )
    ),
    "dataset": Dataset(
        id=DatasetId("d2"),
        name="delaware-run",
        version=3,
        category=Category.OUTPUT,
        format="TIMESERIES_NETCDF",
        domain=DOMAIN,
        owner="ada",
        created_ms=5,
        state=DatasetState.SEALED,
        sealed_ms=6,
        expires_ms=7,
        origin=Origin(JOB, 2),
        output="streamflow",
        derived_from=(DatasetId("d0"), DatasetId("d1")),
        description="Größe",
        size_bytes=2**50,
        item_count=9,
        manifest_sha256=SHA,
    ),
    "tagged": Dataset(
        id=DatasetId("d2"),
        name="delaware-run",
        version=3,
        category=Category.FORCING,
        format="GENERIC",
        domain=Domain(),
        owner="ada",
        created_ms=5,
        tags=("calibration", "wet"),
    ),
    "wish": ServiceWish(
        job=JOB,
        attempt=2,
        rank=1,
        image=f"sha256:{SHA}",
        argv=("a", "ü b"),
        env={"A": "b"},
        cwd="/w",
        user="1:2",
        labels={"headrace.job": JOB},
        mounts=(Mount("/a", "/b"), Mount("/c", "/d", read_only=False)),
        memory_bytes=2**40,
        millicpus=1_500,
        ranks=3,
    ),
    "refusal": ServiceRefusal("there is no such image", retryable=True),
    "fulfilments": Fulfilments(
        (
            Fulfilment("rain", (DatasetId("d1"), DatasetId("d2")), Index.TIME, "covers it"),
            Fulfilment("fabric", (DatasetId("d3"),), None, "covers it", ("drb v1",)),
        )
    ),
}

names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789", min_size=1)
counts = st.integers(0, 2**53)
texts = st.text(st.characters(exclude_categories=["Cs"]))
some_causes = st.none() | st.sampled_from(Cause)
resources = st.builds(Resources, counts, counts)
shares = st.builds(Share, names.map(NodeId), resources)
items = st.builds(CollectedItem, names, counts, st.just(SHA), names)
outputs = st.builds(
    CollectedOutput, names, st.lists(items).map(tuple), names, st.just({}) | st.just({"x": [1]})
)
jobs = st.builds(job_id, st.integers(0, 2**45), st.integers(0, 2**30 - 1))
maybe = st.none() | counts
asks = st.builds(Ask, resources, st.sampled_from(Paradigm), names, maybe, maybe)
records = st.one_of(
    st.builds(
        Work, names.map(NodeId), jobs, counts, st.sampled_from(Verb), texts,
        st.none() | resources, counts, counts,
    ),
    st.builds(
        Fact, names.map(NodeId), jobs, counts, st.sampled_from(FactKind), some_causes, texts,
        st.none() | st.integers(-300, 300), maybe, maybe, st.lists(outputs).map(tuple), counts,
    ),
    asks,
    st.builds(Allocation, st.lists(shares).map(tuple)),
    st.builds(
        Dataset, names.map(DatasetId), names, st.integers(1, 10**9), st.sampled_from(Category),
        st.just("GENERIC"), st.just(DOMAIN) | st.just(Domain()), names, counts,
        expires_ms=maybe, origin=st.none() | st.builds(Origin, jobs, counts),
        output=st.none() | names, derived_from=st.lists(names.map(DatasetId)).map(tuple),
        description=texts, size_bytes=counts, item_count=counts,
        tags=st.lists(names).map(tuple),
    ),
)  # fmt: skip
fulfilments = st.builds(
    Fulfilment,
    names,
    st.lists(names.map(DatasetId), min_size=1).map(tuple),
    st.none() | st.sampled_from(Index),
    texts,
    st.lists(texts, max_size=3).map(tuple),
)


@given(records)
def test_a_record_reads_back_as_it_was_written(record: Any) -> None:
    text = encode(record)
    assert decode(type(record), text) == record
    assert encode(decode(type(record), text)) == text


@given(st.lists(fulfilments).map(tuple))
def test_fulfilments_read_back_as_they_were_written(found: tuple[Fulfilment, ...]) -> None:
    assert decode_fulfilments(encode_fulfilments(found)) == found


def test_no_text_is_no_fulfilment() -> None:
    assert decode_fulfilments("") == ()


@pytest.mark.parametrize("name", FULL)
def test_records_of_this_version_are_written_as_they_always_were(name: str) -> None:
    golden = (GOLDEN / f"{name}-{VERSION}.json").read_text()
    assert json.loads(encode(FULL[name])) == json.loads(golden)


@pytest.mark.parametrize("name", FULL)
def test_records_of_every_golden_file_are_still_read(name: str) -> None:
    versions = [each for each in GOLDEN.iterdir() if each.name.startswith(f"{name}-")]
    assert versions
    for golden in versions:
        assert decode(type(FULL[name]), golden.read_text()) == FULL[name]


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("version", [0, VERSION + 1, "1", None])
def test_another_version_is_refused_and_says_what_to_do(name: str, version: object) -> None:
    plain = json.loads(encode(FULL[name])) | {"v": version}
    with pytest.raises(InvalidInput, match=r"version .* is not known here.*upgrade"):
        decode(type(FULL[name]), json.dumps(plain))


@pytest.mark.parametrize("name", FULL)
def test_an_unknown_key_is_refused_by_name(name: str) -> None:
    plain = json.loads(encode(FULL[name])) | {"surprise": 1}
    with pytest.raises(InvalidInput, match="surprise"):
        decode(type(FULL[name]), json.dumps(plain))


@pytest.mark.parametrize(
    ("name", "key"),
    [("work", "verb"), ("fact", "kind"), ("ask", "resources"), ("dataset", "category")],
)
@pytest.mark.parametrize("value", [..., 7, "surprise"])
def test_a_missing_or_wrong_value_is_refused_by_its_key(
    name: str, key: str, value: object
) -> None:
    plain = json.loads(encode(FULL[name])) | {key: value}
    if value is ...:
        del plain[key]
    with pytest.raises(InvalidInput, match=key):
        decode(type(FULL[name]), json.dumps(plain))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", '"v"', "{}", '{"attempt":1}'])
def test_what_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no Work record"):
        decode(Work, text)


@given(st.dictionaries(st.text(), st.integers()))
def test_compact_text_does_not_depend_on_the_order_of_keys(plain: dict[str, int]) -> None:
    assert compact(plain) == compact(dict(reversed(plain.items())))
    assert json.loads(compact(plain)) == plain


def test_each_kind_of_fact_of_an_attempt_has_a_field_of_its_own() -> None:
    fields = {
        fact_field(job, attempt, kind)
        for job in (JOB, job_id(1, 1))
        for attempt in (1, 11)
        for kind in FactKind
    }
    assert len(fields) == 2 * 2 * len(FactKind)


new_jobs = st.builds(
    NewJob, jobs, names, names, names, names, st.integers(0, 100), asks,
    st.frozensets(st.sampled_from(Need)), st.lists(jobs).map(tuple), st.lists(jobs).map(tuple),
    st.none() | jobs, st.sampled_from(Desired), st.just("") | names,
    st.none() | st.builds(Likeness, st.just("c1"), st.just("p1"), st.just("") | st.just("s1")),
)  # fmt: skip


@given(new_jobs, st.sampled_from(Status))
def test_a_new_job_reads_back_from_its_fields(new: NewJob, status: Status) -> None:
    times = {"created_ms": "1", "entered_ms": "2"}
    job = read_job(new.id, new_job_fields(new, status) | times)
    assert (job.id, job.status, job.version, job.attempt, job.retries) == (new.id, status, 1, 1, 0)
    for name in ("owner", "name", "kind", "spec", "priority", "ask", "needs", "after"):
        assert getattr(job, name) == getattr(new, name)
    for name in ("parents", "origin", "desired", "request_id", "likeness"):
        assert getattr(job, name) == getattr(new, name)
    assert (job.allocation, job.cause, job.exit_code, job.detail) == (None, None, None, "")


@pytest.mark.parametrize("damage", [{"status": "surprise"}, {"version": "x"}, {"created_ms": ""}])
def test_a_damaged_job_is_refused_by_its_key(damage: dict[str, str]) -> None:
    new = NewJob(JobId(JOB), "ann", "n", "command", "{}", 50, FULL["ask"], frozenset())
    times = {"created_ms": "1", "entered_ms": "2"}
    with pytest.raises(InvalidInput, match=f"hr:job:{JOB} is damaged"):
        read_job(JOB, new_job_fields(new, Status.RUNNING) | times | damage)
