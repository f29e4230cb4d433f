"""What has to hold when all jobs of a soak have ended."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_data.core.keys import DATASETS, MARKERS, TOMBSTONES, manifest_key
from headrace_data.main import make_store
from headrace_data.settings import Settings
from headrace_local.environ import environ_for
from headrace_model.dataset import Dataset, DatasetState, Manifest
from headrace_model.status import EDGES, Event, Status
from headrace_ports.object_store import ObjectStore
from headrace_service.settings import read
from headrace_wire.datasets import read_entry
from tests.support.s3_servers import SECRET_KEY
from tests.support.soak.errands import SECRET, Expected, Ground
from tests.support.soak.figures import Harm
from tests.support.soak.watch import Follower
from tests.support.stack import Stack
from tests.support.wait import wait_until

_WITHIN_S = 60.0
_MANIFEST_BYTES = 2**24
# What no log may show: a secret of a user, a presigned URL, the key of the S3 server.
_NEVER_TOLD = (SECRET, "X-Amz-Signature", SECRET_KEY)
_EMPTY_AT_LAST = (
    "hr:queue", "hr:held:local", "hr:work:local", "hr:facts:local", "hr:open", "hr:unmarked",
    "hr:untidy", "hr:tombstones", "hr:deleted",
)  # fmt: skip


class Inspection:
    """Of a stack on which nothing happens any more; findings go to the ground's figures."""

    def __init__(self, stack: Stack, ground: Ground, follower: Follower) -> None:
        self._stack = stack
        self._ground = ground
        self._figures = ground.figures
        self._follower = follower

    async def run(self) -> None:
        """Look at everything."""
        await self._settle()
        async with self._stack.redis() as redis:
            versions = await self._jobs(redis)
            await self._indexes(redis)
            sealed = await self._datasets(redis)
        await self._store(sealed)
        await self._told(versions)
        for name in Stack.names:
            for text in _NEVER_TOLD:
                if text in self._stack.log(name):
                    self._figures.harm(Harm.LEAKED, f"the log of {name} tells {text}")
        if not self._stack.home.attempts.is_dir() or any(self._stack.home.attempts.iterdir()):
            self._figures.harm(Harm.LEAKED, "folders of attempts are left")

    async def _settle(self) -> None:
        """Wait until closed jobs have left nothing; what stays is leaked."""
        found: list[str] = []

        async def none() -> bool:
            found[:] = await self._stack.leaks()
            async with self._stack.redis() as redis:
                left = [key for key in _EMPTY_AT_LAST if await redis.command("EXISTS", key)]
            found.extend(f"{key} is not empty" for key in left)
            return not found

        try:
            await wait_until(none, "no leaks", within_s=_WITHIN_S)
        except AssertionError:
            for sentence in found:
                self._figures.harm(Harm.LEAKED, sentence)

    async def _jobs(self, redis: Redis) -> dict[str, int]:
        """Each job is there, as its history tells, and nobody else's; returns the versions."""
        names = await redis.command("KEYS", "hr:job:*")
        jobs = [name.removeprefix("hr:job:") for name in names]
        for job in self._ground.accepted.keys() - set(jobs):
            self._figures.harm(Harm.LOST, f"job {job} was accepted and is not there")
        for job in set(jobs) - self._ground.accepted.keys():
            self._figures.harm(Harm.DOUBLED, f"job {job} is there and nobody knows of it")
        fields = await redis.commands([("HGETALL", name) for name in names])
        lines = await redis.commands([("LRANGE", f"hr:history:{job}", 0, -1) for job in jobs])
        for job, state, history in zip(jobs, fields, lines, strict=True):
            for sentence in replay(state, [json.loads(line) for line in history]):
                self._figures.harm(Harm.BROKEN, f"history of {job}: {sentence}")
        return {job: int(state["version"]) for job, state in zip(jobs, fields, strict=True)}

    async def _indexes(self, redis: Redis) -> None:
        """Each job stands in the one index of its status, and is tied to nothing any more."""
        places: dict[str, list[Status]] = {}
        for status in Status:
            for job in await redis.command("ZRANGE", f"hr:status:{status}", 0, -1):
                places.setdefault(job, []).append(status)
        for job, expected in self._ground.accepted.items():
            if places.pop(job, []) != [expected.status]:
                self._figures.harm(Harm.LOST, f"{expected.errand} {job} is not {expected.status}")
        for pattern in ("hr:links:*", "hr:dependents:*"):
            for key in await redis.command("KEYS", pattern):
                self._figures.harm(Harm.LEAKED, f"{key} is left of jobs that are over")

    async def _datasets(self, redis: Redis) -> list[Dataset]:
        """Each job has made what it should, once; returns what is SEALED."""
        docs = [await redis.command("HGET", key, "doc") for key in await _keys(redis)]
        found = [read_entry(doc) for doc in docs]
        made: dict[str, list[Dataset]] = {}
        for each in found:
            if each.state is not DatasetState.SEALED:
                self._figures.harm(Harm.LEAKED, f"dataset {each.title} is {each.state}")
            elif each.origin:
                made.setdefault(each.origin.job, []).append(each)
            elif each.id not in self._ground.datasets:
                self._figures.harm(Harm.LEAKED, f"dataset {each.title} should be gone")
        for lost in self._ground.datasets - {each.id for each in found}:
            self._figures.harm(Harm.LOST, f"dataset {lost} was sealed and is gone")
        for job, expected in self._ground.accepted.items():
            self._compare(job, expected, made.get(job, []))
        return [each for each in found if each.state is DatasetState.SEALED]

    def _compare(self, job: str, expected: Expected, made: list[Dataset]) -> None:
        if len(made) > bool(expected.files):
            titles = [each.title for each in made]
            self._figures.harm(Harm.DOUBLED, f"{expected.errand} {job} made {titles}")
        elif len(made) < bool(expected.files):
            self._figures.harm(Harm.LOST, f"{expected.errand} {job} made nothing")

    async def _store(self, sealed: list[Dataset]) -> None:
        """The store holds all that was sealed, the logs, and nothing else once it was swept."""
        settings = read(Settings, environ_for(self._stack.home, self._stack.config, "data"))
        store = make_store(settings)
        try:
            wanted = {key async for key in self._wanted(store, sealed)}
            there = await self._swept(store, wanted)
            logs = {key.split("/")[1] for key in await store.keys("logs")}
        finally:
            await store.close()
        for key in sorted(wanted - there):
            self._figures.harm(Harm.LOST, f"{key} is not in the store")
        for key in sorted(there - wanted):
            self._figures.harm(Harm.LEAKED, f"{key} is left in the store")
        for job in sorted(logs - self._ground.accepted.keys()):
            self._figures.harm(Harm.LEAKED, f"the store holds a log of {job}")

    async def _swept(self, store: ObjectStore, wanted: set[str]) -> set[str]:
        """What lies there when the sweep has left no more than is wanted, or is overdue."""
        there: set[str] = set()

        async def none_too_many() -> bool:
            there.clear()
            for prefix in (DATASETS, MARKERS, TOMBSTONES):
                there.update(await store.keys(prefix))
            return there <= wanted

        with suppress(AssertionError):
            await wait_until(none_too_many, "the sweep of the store", within_s=_WITHIN_S)
        return there

    async def _wanted(self, store: ObjectStore, sealed: list[Dataset]) -> Any:
        for dataset in sealed:
            digest = dataset.manifest_sha256 or ""
            yield f"{MARKERS}/{dataset.id}"
            yield (key := manifest_key(dataset, digest))
            manifest = Manifest.from_bytes(await store.get_bytes(key, _MANIFEST_BYTES))
            expected = self._ground.accepted.get(dataset.origin.job) if dataset.origin else None
            found = sorted(item.sha256 for item in manifest.items)
            if expected and tuple(found) != expected.files:
                self._figures.harm(Harm.BROKEN, f"{dataset.title} holds something else")
            for item in manifest.items:
                yield item.key

    async def _told(self, versions: dict[str, int]) -> None:
        """The follower was told everything, once."""

        def all_told() -> bool:
            return all(len(self._follower.seen.get(job, ())) >= n for job, n in versions.items())

        with suppress(AssertionError):  # `judge` says which
            await wait_until(all_told, "the last events", within_s=_WITHIN_S)
        self._follower.judge(versions)


async def _keys(redis: Redis) -> list[str]:
    keys: list[str] = await redis.command("KEYS", "hr:dataset:*")
    return keys


def replay(state: Mapping[str, str], history: list[dict[str, Any]]) -> Iterator[str]:
    """Go a job's way again by its history alone; yields what the table or the state forbids."""
    status, attempt = Status.ACCEPTED, 1
    if [entry["event"] for entry in history[:1]] != ["SUBMIT"]:
        yield f"it does not begin with SUBMIT: {history[:1]}"
    history = [entry for entry in history if entry["event"] not in ("SHARE", "UNSHARE")]
    versions = [entry["version"] for entry in history[1:]]
    if versions != list(range(1, len(versions) + 1)):
        yield f"its versions are {versions}"
    for before, entry in pairwise(history):
        event, to = entry["event"], Status(entry["to"])
        if entry["attempt"] != attempt or Status(entry["from"]) is not status:
            yield f"{entry} does not follow {before}"
        if not event.startswith("DESIRE_"):
            edge = EDGES.get((status, Event(event)))
            if edge is None or edge.to is not to or edge.writer != entry["by"]:
                yield f"{entry['by']} wrote {event} from {status} to {to}"
        elif to is not status:
            yield f"{event} moved it from {status} to {to}"
        # A retry and a restart open the next attempt.
        attempt += event == Event.RETRY or (status is Status.STOPPED and not to.closed)
        status = to
    found = (state["status"], state["attempt"], state["version"])
    if found != (status.value, str(attempt), str(history[-1]["version"])):
        yield f"it leads to {status}, attempt {attempt}; the job is {found}"
