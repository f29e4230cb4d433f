"""Records in Redis and between services, as JSON texts with a version.

A changed shape gets a new version here and a golden file beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from headrace_model.cause import Cause
from headrace_model.dataset import Dataset
from headrace_model.errors import InvalidInput
from headrace_model.estimate import Likeness, Run
from headrace_model.ids import DatasetId, JobId
from headrace_model.job import Ask, Job, Need, NewJob
from headrace_model.listing import Listed
from headrace_model.people import Shares
from headrace_model.priority import rank_of
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Allocation
from headrace_model.status import Desired, Status
from headrace_model.work import CollectedOutput, Fact, FactKind, Work
from headrace_wire.schema import from_plain, to_plain

T = TypeVar("T")
VERSION = 1


def compact(plain: object) -> str:
    """JSON without spaces, keys in order."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def encode(record: Any) -> str:
    """Write a record with its version."""
    return compact({"v": VERSION, **to_plain(record)})


def decode(record: type[T], text: str) -> T:
    """Read what `encode` wrote; raises `InvalidInput` for another version or shape."""
    try:
        plain = json.loads(text)
        version = plain.pop("v")
    except (ValueError, KeyError, AttributeError, TypeError):
        raise InvalidInput(f"this is no {record.__name__} record: {text[:80]!r}") from None
    if version != VERSION:
        raise InvalidInput(
            f"{record.__name__} version {version!r} is not known here; this program knows "
            f"{VERSION}: upgrade it"
        )
    return from_plain(record, plain)


# Small frozen records that many jobs have alike: written at each submit, read at each step.
@lru_cache(maxsize=4096)
def _ask(text: str) -> Ask:
    return decode(Ask, text)


@lru_cache(maxsize=4096)
def _ask_text(ask: Ask) -> str:
    return encode(ask)


@lru_cache(maxsize=4096)
def _allocation(text: str) -> Allocation:
    return decode(Allocation, text)


def encode_work(work: Work) -> str:
    """Write a work record."""
    return encode(work)


def decode_work(text: str) -> Work:
    """Read a work record."""
    return decode(Work, text)


def encode_fact(fact: Fact) -> str:
    """Write a fact."""
    return encode(fact)


def decode_fact(text: str) -> Fact:
    """Read a fact."""
    return decode(Fact, text)


@dataclass(frozen=True, slots=True)
class _Part:
    """The outputs of some tasks of an array, a document in the store."""

    outputs: tuple[CollectedOutput, ...]


def encode_outputs(outputs: tuple[CollectedOutput, ...]) -> str:
    """Write a part."""
    return encode(_Part(outputs))


def decode_outputs(text: str) -> tuple[CollectedOutput, ...]:
    """Read a part."""
    return decode(_Part, text).outputs


def fact_field(job: JobId, attempt: int, kind: FactKind) -> str:
    """The field of `hr:facts:<agent>` that holds one kind of fact of one attempt."""
    return f"{job}.{attempt}:{kind}"


def encode_dataset(dataset: Dataset) -> str:
    """Write a catalogue entry."""
    return encode(dataset)


def decode_dataset(text: str) -> Dataset:
    """Read a catalogue entry."""
    return decode(Dataset, text)


@dataclass(frozen=True, slots=True)
class _Shared:
    """With whom a job is shared, as its field `shared` keeps it."""

    shared: Shares


def encode_shares(shares: Shares) -> str:
    """Write with whom a job is shared; an empty text for nobody."""
    return encode(_Shared(shares)) if shares else ""


def decode_shares(text: str) -> Shares:
    """Read with whom a job is shared."""
    return decode(_Shared, text).shared if text else ()


@dataclass(frozen=True, slots=True)
class Fulfilments:
    """How the requirements of a job are met; the links of `transition.lua` read `fulfilments`."""

    fulfilments: tuple[Fulfilment, ...]


def encode_fulfilments(fulfilments: tuple[Fulfilment, ...]) -> str:
    """Write a job's fulfilments."""
    return encode(Fulfilments(fulfilments))


def decode_fulfilments(text: str) -> tuple[Fulfilment, ...]:
    """Read a job's fulfilments; an empty text holds none."""
    return decode(Fulfilments, text).fulfilments if text else ()


@lru_cache(maxsize=4096)
def fulfilling(text: str) -> tuple[DatasetId, ...]:
    """The datasets of a job's fulfilments, each once, in order."""
    found = (dataset for each in decode_fulfilments(text) for dataset in each.datasets)
    return tuple(dict.fromkeys(found))


def new_job_fields(new: NewJob, status: Status) -> dict[str, str]:
    """The fields of `hr:job:<id>` that come from the request; the script adds times.

    What is empty is left out: a waiting job has to be small.
    """
    fields = {
        "spec": new.spec,
        "owner": new.owner,
        "name": new.name,
        "kind": new.kind,
        "status": status.value,
        "desired": new.desired.value,
        "version": "1",
        "attempt": "1",
        "priority": str(new.priority),
        "ask": _ask_text(new.ask),
        "needs": " ".join(sorted(new.needs)),
        "after": " ".join(new.after),
        "parents": " ".join(new.parents),
        "origin": new.origin or "",
        "request_id": new.request_id,
        "like": " ".join(new.likeness.names) if new.likeness else "",
    }
    return {name: value for name, value in fields.items() if value}


def read_job(job: JobId, fields: Mapping[str, str]) -> Job:
    """Read `hr:job:<id>`; raises `InvalidInput` for a hash that is not a job."""
    try:
        allocation, cause = fields.get("allocation"), fields.get("cause")
        return Job(
            id=job,
            owner=fields["owner"],
            name=fields["name"],
            kind=fields["kind"],
            spec=fields["spec"],
            status=Status(fields["status"]),
            desired=Desired(fields["desired"]),
            version=int(fields["version"]),
            attempt=int(fields["attempt"]),
            retries=int(fields.get("retries", "0")),
            priority=(priority := int(fields["priority"])),
            # Only what has been in the queue has a time of its own; jobs of the version before
            # have none.
            rank=rank_of(int(fields.get("eligible_ms") or fields["created_ms"]), priority),
            created_ms=int(fields["created_ms"]),
            entered_ms=int(fields["entered_ms"]),
            ask=_ask(fields["ask"]),
            needs=frozenset(Need(need) for need in fields.get("needs", "").split()),
            after=tuple(JobId(one) for one in fields.get("after", "").split()),
            parents=tuple(JobId(one) for one in fields.get("parents", "").split()),
            children=tuple(JobId(one) for one in fields.get("children", "").split()),
            derivation=fields.get("derivation", ""),
            origin=JobId(fields["origin"]) if fields.get("origin") else None,
            request_id=fields.get("request_id", ""),
            allocation=_allocation(allocation) if allocation else None,
            cause=Cause(cause) if cause else None,
            detail=fields.get("detail", ""),
            exit_code=int(fields["exit_code"]) if fields.get("exit_code") else None,
            fulfilments=fields.get("fulfilments", ""),
            outputs=fields.get("outputs", ""),
            shared=decode_shares(fields.get("shared", "")),
            likeness=_likeness(fields.get("like", "")),
            input_bytes=int(fields.get("input_bytes", "0")),
            losses=int(fields.get("losses", "0")),
            peak_memory_bytes=int(peak) if (peak := fields.get("peak_memory_bytes")) else None,
            taken_ms=int(taken) if (taken := fields.get("taken_ms")) else None,
        )
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"hr:job:{job} is damaged: {error!r}") from None


@lru_cache(maxsize=4096)
def _likeness(text: str) -> Likeness | None:
    return Likeness(*text.split()) if text else None


def encode_run(run: Run) -> str:
    """Write a run as it stands in `hr:estimates`: `<ms>:<peak of memory in bytes>`."""
    return f"{run.run_ms}:{run.peak_memory_bytes or 0}"


@lru_cache(maxsize=4096)
def decode_runs(text: str) -> tuple[Run, ...]:
    """Read the runs of one key, apart by blanks, newest last; damaged ones are passed over."""
    found = []
    for word in text.split():
        run_ms, _, peak = word.partition(":")
        if run_ms.isdigit() and peak.isdigit():
            found.append(Run(int(run_ms), int(peak) or None))
    return tuple(found)


LISTED: Final = ("name", "kind", "owner", "status", "entered_ms", "shared", "fulfilments")
"""The fields of `hr:job:<id>` that `read_listed` reads."""


def read_listed(job: JobId, fields: Mapping[str, str | None]) -> Listed:
    """Read what lists know of a job; raises `InvalidInput` for a hash that is not a job."""
    try:
        return Listed(
            id=job,
            name=fields["name"] or "",
            kind=fields["kind"] or "",
            owner=fields["owner"] or "",
            status=Status(fields["status"] or ""),
            entered_ms=int(fields["entered_ms"] or ""),
            shared=decode_shares(fields.get("shared") or ""),
            inputs=tuple(
                dict.fromkeys(
                    dataset
                    for met in decode_fulfilments(fields.get("fulfilments") or "")
                    for dataset in met.datasets
                )
            ),
        )
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"hr:job:{job} is damaged: {error!r}") from None
