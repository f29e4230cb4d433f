"""Jobs in Redis: create, move, read, list, and the facts and work records of their attempts."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.entries import entry_of, first_entries, share_entry
from headrace_adapters.redis.estimates import EstimateStore
from headrace_model.cause import Cause
from headrace_model.dataset import Dataset
from headrace_model.errors import Conflict, Fenced, InvalidInput, NotFound
from headrace_model.estimate import KEPT
from headrace_model.ids import JobId, NodeId
from headrace_model.job import Job, NewJob
from headrace_model.listing import Listed
from headrace_model.move import Move
from headrace_model.people import Shares
from headrace_model.resources import pieces_text
from headrace_model.status import HOLDS_NOTHING, Event, Role, Status, move
from headrace_model.work import Fact, FactKind, Work
from headrace_wire.records import (
    LISTED,
    compact,
    decode_fact,
    decode_work,
    encode,
    encode_dataset,
    encode_fact,
    encode_fulfilments,
    encode_run,
    encode_shares,
    encode_work,
    fact_field,
    new_job_fields,
    read_job,
    read_listed,
)

_LOG = logging.getLogger(__name__)
_AT_ONCE = 5_000  # ids in one call, which other clients wait for
_MOST_ESTIMATES = 4096  # keys; each of at most `KEPT` runs, so 2.5 MB in all
_IDEMPOTENCY_MS = 24 * 3_600_000
# Entering these, a job shows the cause of no earlier attempt (or of the one that is retried).
_CLEARED = (*HOLDS_NOTHING, Status.COMPLETED)


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's key for a submit, and the fingerprint of what was submitted with it."""

    key: str
    fingerprint: str


class JobStore:
    """All that the services do with jobs in Redis. `term` comes from the leader's lease."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.estimates = EstimateStore(redis)

    async def create(
        self, new: NewJob, first: Event, idempotency: Idempotency | None = None
    ) -> tuple[JobId, int]:
        """Make a job durable in its first step that has work; a repeat gets the first answer.

        Returns its id and time of creation (ms). Raises `Conflict` (idempotency key used for
        another job), `NotFound` (a job in `after`), `Unavailable` (Redis is full).
        """
        once = idempotency and {
            "key": idempotency.key,
            "fingerprint": idempotency.fingerprint,
            "ttl_ms": _IDEMPOTENCY_MS,
        }
        args = {"new": _new_job(new, first, Role.REQUEST), "after": list(new.after)}
        reply = await self._redis.script(
            "create_job", args | ({"idempotency": once} if once else {})
        )
        return JobId(reply[0]), int(reply[1])

    async def taken(self, once: Idempotency) -> tuple[JobId, int] | None:
        """What `create` answered to a key before; None for a new one, which may be taken any time.

        Raises `Conflict` (used for another job), as `create` does.
        """
        text = await self._redis.command("GET", f"hr:idempotency:{once.key}")
        if text is None:
            return None
        job, fingerprint, created_ms = text.split(" ")
        if fingerprint != once.fingerprint:
            raise Conflict(f"this Idempotency-Key was used for another job: {job}")
        return JobId(job), int(created_ms)

    async def apply(self, change: Move, term: int | None = None) -> int:
        """Apply a decided move; returns the job's new version.

        Raises `Stale` (decide anew), `Fenced` (stop leading), `NoRoom`, `Tombstoned`, `NotFound`.
        """
        (version,) = await self._redis.script("transition", _transition(change, term))
        return int(version)

    async def share(self, job: Job, shared: Shares, user: str) -> None:
        """Change with whom a job is shared; raises `Stale` where that changed meanwhile."""
        args = {
            "job": job.id,
            "old": encode_shares(job.shared),
            "shared": encode_shares(shared),
            "entry": share_entry(job.shared, shared, user),
        }
        await self._redis.script("share_job", args)

    async def get(self, job: JobId) -> Job:
        """Read one job; raises `NotFound`."""
        fields = await self._redis.command("HGETALL", f"hr:job:{job}")
        if not fields:
            raise NotFound(
                f"there is no job {job}", hint="`headrace jobs list` shows the jobs you may see"
            )
        return read_job(job, fields)

    async def get_many(self, jobs: Iterable[JobId]) -> list[Job]:
        """Read several jobs in one round trip; those that are gone are left out.

        So are those that can't be read: one damaged job, or one of a newer version, must not keep
        the others waiting.
        """
        ids = list(jobs)
        replies = await self._redis.commands([("HGETALL", f"hr:job:{job}") for job in ids])
        found = []
        for job, fields in zip(ids, replies, strict=True):
            try:
                if fields:
                    found.append(read_job(job, fields))
            except InvalidInput as error:
                _LOG.error("a job is left out: %s", error)
        return found

    async def listed(self, jobs: Iterable[JobId]) -> list[Listed]:
        """Read what lists know of several jobs; gone and damaged ones are left out."""
        ids = list(jobs)
        replies = await self._redis.commands([("HMGET", f"hr:job:{job}", *LISTED) for job in ids])
        found = []
        for job, values in zip(ids, replies, strict=True):
            try:
                if any(values):
                    found.append(read_listed(job, dict(zip(LISTED, values, strict=True))))
            except InvalidInput as error:
                _LOG.error("a job is left out: %s", error)
        return found

    async def history(self, job: JobId) -> list[str]:
        """The job's history, oldest first, one JSON text a transition; raises `NotFound`."""
        lines: list[str] = await self._redis.command("LRANGE", f"hr:history:{job}", 0, -1)
        if not lines:
            raise NotFound(f"there is no job {job}")
        return lines

    async def in_status(
        self, status: Status, *, entered_before_ms: int | None = None, limit: int = -1
    ) -> list[JobId]:
        """Jobs in a status, the longest there first."""
        top = "+inf" if entered_before_ms is None else str(entered_before_ms)
        ids = await self._redis.command(
            "ZRANGE", f"hr:status:{status}", "-inf", top, "BYSCORE", "LIMIT", 0, limit
        )
        return [JobId(job) for job in ids]

    async def counts(self) -> dict[Status, int]:
        """How many jobs each status holds."""
        sizes = await self._redis.commands([("ZCARD", f"hr:status:{s}") for s in Status])
        return {status: int(size) for status, size in zip(Status, sizes, strict=True)}

    async def queue(self, first: int = 0, most: int = -1) -> list[JobId]:
        """Jobs in AWAITING_ALLOCATION in rank order, up to `most` (-1: all) from the first on."""
        stop = -1 if most < 0 else first + most - 1
        found = await self._redis.command("ZRANGE", "hr:queue", first, stop)
        return [JobId(job) for job in found]

    async def queued(self, jobs: Iterable[JobId]) -> set[JobId]:
        """Those of the jobs that are in AWAITING_ALLOCATION."""
        ids = list(jobs)
        found: set[JobId] = set()
        for some in _parts(ids):
            ranks = await self._redis.command("ZMSCORE", "hr:queue", *some)
            found.update(id for id, rank in zip(some, ranks, strict=True) if rank is not None)
        return found

    async def queue_ranks(self, first: int, most: int) -> Sequence[tuple[JobId, float]]:
        """Up to `most` jobs in AWAITING_ALLOCATION with their ranks, in rank order."""
        found: Sequence[tuple[JobId, float]] = await self._redis.command(
            "ZRANGE", "hr:queue", first, first + most - 1, "WITHSCORES"
        )
        return found

    async def owners(self, jobs: Iterable[JobId]) -> list[str]:
        """Whose jobs these are; an empty text for one that is not there."""
        found: list[str] = []
        for some in _parts(list(jobs)):
            found += map(intern, await self._redis.script("tell_queue", {"jobs": some}))
        return found

    async def is_ranked(self) -> bool:
        """Tell whether ranks are there; before, what is queued has those of an older version."""
        return bool(await self._redis.command("GET", "hr:ranked"))

    async def rank_queue(self, role: Role, term: int) -> int:
        """Rank what the version before has queued; tells how many jobs got another rank.

        Raises `Fenced`.
        """
        if await self.is_ranked():
            return 0
        parts = list(_parts(await self.queue())) or [[]]
        moved = 0
        for part in parts:
            args = {"role": role, "term": term, "jobs": part, "last": part is parts[-1]}
            (some,) = await self._redis.script("rank_queue", args)
            moved += int(some)
        return moved

    async def dependents(self, jobs: Iterable[JobId]) -> set[JobId]:
        """The jobs that wait for some of these to end."""
        found = await self._redis.commands([("SMEMBERS", f"hr:dependents:{job}") for job in jobs])
        return {JobId(job) for some in found for job in some}

    async def now_ms(self) -> int:
        """The clock of Redis, by which jobs are timed."""
        reply = await self._redis.command("TIME")
        return int(reply[0]) * 1000 + int(reply[1]) // 1000

    async def facts(
        self, job: JobId, attempt: int, nodes: Sequence[NodeId]
    ) -> dict[tuple[NodeId, FactKind], Fact]:
        """What the agents of `nodes` saw of an attempt and no transition has used up yet."""
        fields = [fact_field(job, attempt, kind) for kind in FactKind]
        replies = await self._redis.commands(
            [("HMGET", f"hr:facts:{node}", *fields) for node in nodes]
        )
        return {
            (node, kind): decode_fact(text)
            for node, texts in zip(nodes, replies, strict=True)
            for kind, text in zip(FactKind, texts, strict=True)
            if text
        }

    async def report(self, node: NodeId, incarnation: str, facts: Sequence[Fact]) -> int:
        """Keep facts; returns how many belong to current attempts. Raises `Fenced`."""
        items = [
            {
                "field": fact_field(fact.job, fact.attempt, fact.kind),
                "doc": encode_fact(fact),
                "job": fact.job,
                "attempt": fact.attempt,
                "kind": fact.kind,
            }
            for fact in facts
        ]
        args = {"node": node, "incarnation": incarnation, "facts": items}
        (kept,) = await self._redis.script("report_fact", args)
        return int(kept)

    async def reject(
        self,
        job: Job,
        node: NodeId,
        kind: FactKind,
        cause: Cause,
        detail: str,
        term: int | None = None,
    ) -> None:
        """Turn a fact that went well at the agent into a bad one, which the monitor ends.

        Success when the attempt is over meanwhile. Raises `Fenced` where another replica leads.
        """
        fact = Fact(node, job.id, job.attempt, kind, cause=cause, detail=detail)
        args: dict[str, Any] = {
            "role": Role.DATA,
            "node": node,
            "field": fact_field(job.id, job.attempt, kind),
            "doc": encode_fact(fact),
            "job": job.id,
            "attempt": job.attempt,
            "kind": kind,
        }
        if term is not None:
            args["term"] = term
        await self._redis.script("reject_fact", args)

    async def holders(self, job: Job) -> frozenset[NodeId]:
        """The nodes whose share of the job's attempt has not come back."""
        nodes = [share.node for share in job.allocation.shares] if job.allocation else []
        run = f"{job.id}.{job.attempt}"
        there = await self._redis.commands([("HEXISTS", f"hr:held:{node}", run) for node in nodes])
        return frozenset(node for node, held in zip(nodes, there, strict=True) if held)

    async def work(self, node: NodeId) -> dict[str, str]:
        """A node's work records as texts, by "<job>.<attempt>".

        Raises `Fenced` where Redis was restored: what it does not know may still be wanted.
        """
        # In this order: records of a restored Redis never come with the epoch from before.
        records, epoch = await self._redis.commands(
            [("HGETALL", f"hr:work:{node}"), ("GET", "hr:epoch")]
        )
        if epoch != self._redis.epoch:
            raise Fenced("this Redis was restored or rebuilt")
        return dict(records)

    async def known(self, jobs: Iterable[JobId]) -> set[JobId]:
        """Those of the jobs that are in Redis."""
        ids = list(jobs)
        there = await self._redis.commands([("HEXISTS", f"hr:job:{job}", "status") for job in ids])
        return {job for job, is_there in zip(ids, there, strict=True) if is_there}

    async def restored_from(self) -> str:
        """The backup that Redis was restored from, while that is not reconciled; else empty."""
        return str(await self._redis.command("GET", "hr:restored") or "")

    async def reconciled(self, term: int) -> None:
        """Let jobs start again after a restore; a repeat is success. Raises `Fenced`."""
        await self._redis.script("reconciled", {"role": Role.DATA, "term": term})

    async def untidy(self, *, before_ms: int) -> list[JobId]:
        """Final jobs of before whose attempts may have left files in the store."""
        ids = await self._redis.command("ZRANGE", "hr:untidy", "-inf", before_ms, "BYSCORE")
        return [JobId(job) for job in ids]

    async def tidied(self, job: JobId) -> None:
        """Note that the store holds nothing of a final job but what is sealed."""
        await self._redis.script("tidy_job", {"job": job})

    async def count_checkpoint(self, job: JobId, attempt: int, rank: int, size_bytes: int) -> None:
        """Count the newest checkpoint of a rank as bytes of its owner, until the job is tidied."""
        args = {"job": job, "attempt": attempt, "rank": rank, "bytes": size_bytes}
        await self._redis.script("count_checkpoint", args)

    async def finish_work(self, node: NodeId, incarnation: str, record: str) -> bool:
        """Drop a CLEAN record that is done, unless it was replaced meanwhile."""
        work: Work = decode_work(record)
        args = {
            "node": node,
            "incarnation": incarnation,
            "run": f"{work.job}.{work.attempt}",
            "record": record,
            "facts": [fact_field(work.job, work.attempt, kind) for kind in FactKind],
        }
        (dropped,) = await self._redis.script("finish_work", args)
        return bool(dropped)


def _parts(ids: list[JobId]) -> Iterator[list[JobId]]:
    return (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))


def _new_job(new: NewJob, first: Event, writer: Role) -> dict[str, Any]:
    status = move(Status.ACCEPTED, first).to
    return {
        "id": new.id,
        "status": status,
        "fields": new_job_fields(new, status),
        **({"tasks": new.tasks} if new.tasks is not None else {}),
        "entries": first_entries(new, first, status, writer),
    }


def _transition(change: Move, term: int | None) -> dict[str, Any]:
    entry = entry_of(change)
    run = {"job": change.job, "attempt": change.attempt}
    args: dict[str, Any] = {
        "role": change.writer,
        "txn": entry["txn"],
        **run,
        "version": change.version,
        "status": change.status,
        "to": change.to,
        "entry": entry,
        "set": _job_fields(change),
        "opens": change.opens is not None,
        "takes": [
            {
                "node": share.node,
                "millicpus": share.resources.millicpus,
                "memory_bytes": share.resources.memory_bytes,
                "generic": pieces_text(share.resources.generic),
            }
            for share in (change.takes.shares if change.takes else ())
        ],
        "returns": list(change.returns),
        "work": [{"node": work.node, "record": encode_work(work)} for work in change.work],
        "lost": list(change.lost),
        "confirmed": list(change.confirmed),
        "forgets": list(change.forgets),
        "consumes": [
            {"node": node, "field": fact_field(change.job, change.attempt, kind)}
            for node, kind in change.consumes
        ],
        "links": [d for f in change.fulfilments or () for d in f.datasets],
        "final": change.to.final,
        "children": [
            {"key": child.key, "new": _new_job(child.new, child.first, Role.DATA)}
            for child in change.children
        ],
        "seals": [_seal(dataset) for dataset in change.seals],
        "grows": change.takes is not None,
    }
    if term is not None:
        args["term"] = term
    if learned := change.learns:
        args["learns"] = {
            "keys": list(learned.keys),
            "run": encode_run(learned.run),
            "kept": KEPT,
            "most": _MOST_ESTIMATES,
        }
    if attempt_fields := _attempt_fields(change):
        args["attempt_set"] = attempt_fields
    return args


def _job_fields(change: Move) -> dict[str, str]:
    fields: dict[str, str] = {}
    if change.desired:
        fields["desired"] = change.desired
    if change.opens:
        fields["ask"] = encode(change.opens)
        fields["allocation"] = ""
    if change.cause or change.detail or change.to in _CLEARED:
        fields["cause"] = change.cause or ""
        fields["detail"] = change.detail
        fields["exit_code"] = "" if change.exit_code is None else str(change.exit_code)
    if change.peak_memory_bytes is not None:
        fields["peak_memory_bytes"] = str(change.peak_memory_bytes)
    if change.retries is not None:
        fields["retries"] = str(change.retries)
    if change.losses is not None:
        fields["losses"] = str(change.losses)
    if held := change.takes or change.keeps:
        fields["allocation"] = encode(held)
    if change.fulfilments is not None:
        fields["fulfilments"] = encode_fulfilments(change.fulfilments)
    if change.input_bytes:
        fields["input_bytes"] = str(change.input_bytes)
    if change.seals:
        fields["outputs"] = compact({d.output: d.id for d in change.seals})
    return fields


def _attempt_fields(change: Move) -> dict[str, str]:
    """The attempt's own record: opened when its shares are taken, closed with its cause."""
    if change.takes:
        return {"allocation": encode(change.takes)}
    if change.cause and change.event not in (Event.SHARE_RETURNED, Event.NODE_LEFT):
        return {"cause": change.cause, "detail": change.detail}
    return {}


def _seal(dataset: Dataset) -> dict[str, str]:
    return {
        "id": dataset.id,
        "doc": encode_dataset(dataset),
        "index": f"hr:datasets:{dataset.category}:{dataset.format}",
        "name": dataset.name,
        "versioned": f"{dataset.name}@{dataset.version}",
    }
