"""Jobs for tests that break the stack: with data in and out, and what has to hold at their end."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_model.status import Status
from tests.support.stack import Stack
from tests.support.wait import wait_until

CONTENT = b"what the job copies\n" * 64
_WITHIN_S = 60.0
_REQUIREMENT = {"category": "FORCING", "format": "GENERIC", "domain": {"DATA_ID": ["faults"]}}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a job's history; `at_ms` by the clock of Redis, which is this machine's."""

    at_ms: int
    event: str
    to: Status
    version: int
    attempt: int
    cause: str


@dataclass(slots=True)
class FaultJobs:
    """Submits jobs to a stack and checks them. `gates` holds a file for each gate that is open."""

    stack: Stack
    gates: Path
    _gates: int = 0

    async def prepare(self) -> None:
        """Upload the input of all the jobs."""
        self.gates.mkdir(exist_ok=True)
        source = self.gates / "a.bin"
        source.write_bytes(CONTENT)
        async with self.stack.client() as client:
            made = await client.datasets.create({"name": "faults", **_REQUIREMENT})
            await client.datasets.upload_item(made["id"], LocalFile(source, "a.bin"))
            await client.datasets.seal(made["id"])

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncClient]:
        """A client that has met its server, and so waits for it when it goes away."""
        async with self.stack.client() as client:
            await client.nodes()
            yield client

    def new_gate(self, *, is_open: bool = False) -> Path:
        """A gate that a worker waits at."""
        self._gates += 1
        gate = self.gates / f"gate{self._gates}"
        if is_open:
            gate.touch()
        return gate

    async def submit(self, client: AsyncClient, gate: Path) -> str:
        """Submit a job that waits for its gate and then copies its input."""
        accepted = await client.submit(_job(gate))
        return accepted.id

    async def completed(self, client: AsyncClient, job: str) -> None:
        """Wait until the job is completed; restarts it where it was stopped."""
        view = await client.ended(job)
        if view.status is Status.STOPPED:
            await client.desire(job, "restart")
            view = await client.ended(job)
        assert view.status is Status.COMPLETED, (job, view.status, view.cause, view.detail)

    async def check(self, client: AsyncClient, job: str, *, stopped: bool, most_lost: int) -> None:
        """Assert what holds of every completed job, whatever was broken on its way.

        Its history has each version once and one end; it was retried for `most_lost` lost
        attempts at most; its one output holds what it copied.
        """
        history = await self.history(job)
        versions = [entry.version for entry in history]
        assert versions[0] == 1, history
        # Creation is two entries of one version.
        assert versions[1:] == list(range(1, len(versions))), history
        ends = [entry.to for entry in history if entry.to.closed]
        assert ends == ([Status.STOPPED] if stopped else []) + [Status.COMPLETED], history
        lost = [entry for entry in history if entry.event == "ATTEMPT_LOST"]
        assert {entry.cause for entry in lost} <= {"ATTEMPT_LOST"}, history
        assert len(lost) <= most_lost, history
        assert history[-1].attempt == 1 + stopped + len(lost), history
        assert not [entry for entry in history if entry.event == "FAILED"], history

        outputs = await client.outputs(job)
        assert list(outputs) == ["copy"]
        items = [item async for item in client.datasets.items(outputs["copy"])]
        assert [(item["path"], item["sha256"]) for item in items] == [
            ("a.bin", sha256(CONTENT).hexdigest())
        ]
        made = await self.made_by(job)
        assert made == [outputs["copy"]], f"{job} made {made}"

    async def history(self, job: str) -> list[Entry]:
        """The job's history as Redis holds it."""
        async with self.stack.redis() as redis:
            lines = await redis.command("LRANGE", f"hr:history:{job}", 0, -1)
        return [_entry(json.loads(line)) for line in lines]

    async def made_by(self, job: str) -> list[str]:
        """The results that a job made, as Redis holds them: what a lost attempt left is none."""
        async with self.stack.redis() as redis:
            keys = await redis.command("KEYS", "hr:dataset:*")
            found = await redis.commands([("HMGET", key, "doc", "state") for key in keys])
        return [
            key.removeprefix("hr:dataset:")
            for key, (doc, state) in zip(keys, found, strict=True)
            if state == "SEALED" and job in json.dumps(json.loads(doc).get("origin"))
        ]

    async def no_leaks(self) -> None:
        """Wait until closed jobs have left nothing, and the ledger is right."""
        found: list[str] = ["nobody has looked yet"]

        async def none() -> bool:
            found[:] = await self.stack.leaks()
            return not found

        try:
            await wait_until(none, "no leaks", within_s=_WITHIN_S)
        except AssertionError as error:
            raise AssertionError(f"leaked: {found}") from error


def _job(gate: Path) -> Mapping[str, Any]:
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done; cp {{faults}}/a.bin {{output}}/a.bin"
    return {
        "headrace": 1,
        "kind": "command",
        "name": "copies",
        "command": ["sh", "-c", script],
        "resources": {"cpus": "100m", "memory": "32MiB"},
        # Of all bad ends only this one may happen here: the death of a nest takes its workers.
        "retry": {"limit": 2, "on": ["ATTEMPT_LOST"]},
        "limits": {"grace": "1s"},
        "inputs": {"faults": _REQUIREMENT},
        "outputs": {"copy": {"category": "OUTPUT", "format": "GENERIC"}},
    }


def _entry(plain: Mapping[str, Any]) -> Entry:
    return Entry(
        int(plain["at"]),
        plain["event"],
        Status(plain["to"]),
        int(plain["version"]),
        int(plain["attempt"]),
        plain.get("cause", ""),
    )
