"""People who submit jobs and steer them, and ask again until they are answered."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from random import Random
from typing import Any, TypeVar

from headrace_data.spool import Piece
from headrace_model.dataset import Category
from headrace_model.domain import Domain
from headrace_model.errors import HeadraceError, Unavailable
from headrace_model.ids import JobId
from headrace_model.people import User, UserRole
from headrace_model.status import Status
from headrace_model.times import Instant, format_instant
from headrace_request.core.desire import DesireVerb
from headrace_request.service.jobs import Submitted
from headrace_wire.datasets import NewDataset, SealRequest
from tests.support.simulation.admin import LABEL, LICENCE, Site
from tests.support.simulation.cluster import Cluster, DataDoor
from tests.support.simulation.invariants import Invariants
from tests.support.simulation.loop import BEGIN_S
from tests.support.simulation.trace import Trace

T = TypeVar("T")
_ANN = User("ann", UserRole.USER)
_PAUSE_S = 0.5
_FORCING = Domain.from_plain({"DATA_ID": ["simulated"]})
_WAYS = ("ok", "ok", "ok", "ok", "ok", "exit", "oom", "signal", "lost", "forever")
_CAUSES = ("NODE_LOST", "ATTEMPT_LOST", "STAGING", "EXIT_CODE", "OOM", "TIME_LIMIT", "NOT_STARTED")


class Users:
    """`within_s`: when the last of the jobs is submitted."""

    def __init__(
        self,
        cluster: Cluster,
        invariants: Invariants,
        trace: Trace,
        chance: Random,
        doors: list[str],
        within_s: float,
        site: Site,
    ) -> None:
        self.jobs: dict[JobId, str] = {}  # each that was accepted, and the key it was sent with
        self.keys: set[str] = set()  # of all that was ever sent
        self._cluster = cluster
        self._invariants = invariants
        self._trace = trace
        self._chance = chance
        self._doors = doors
        self._within_s = within_s
        self._site = site
        self._has_data = asyncio.Event()
        self._is_told = asyncio.Event()  # the cluster knows what its admin says
        self._makers: list[str] = []  # keys of jobs that were accepted and make something

    async def _bring_data(self) -> None:
        """Upload the input of all jobs that have one."""
        asked = NewDataset("simulated", Category.FORCING, domain=_FORCING)
        made, _ = await self._of_data(lambda door: door.library.create(asked, _ANN, "forcing"))
        data = b"what the jobs read\n"
        file = ("a.txt", sha256(data).hexdigest())

        async def body() -> AsyncIterator[bytes]:
            yield data

        piece = Piece(0, len(data), len(data))
        await self._of_data(lambda door: door.library.put(made.id, _ANN, file, piece, body()))
        await self._of_data(lambda door: door.library.seal(made.id, _ANN, SealRequest()))
        self._has_data.set()

    async def _of_data(self, what: Callable[[DataDoor], Awaitable[T]]) -> T:
        return await self._until_answered(what, self._cluster.any_data)

    async def _tell(self) -> None:
        """An admin makes the user, and says what they may use, before they come; labels nodes."""
        quotas = self._site.rules.quotas
        if quotas:
            await self._until_answered(lambda door: door.users.create_user(_ANN.name, _ANN.role))
            await self._until_answered(lambda door: door.quotas.change("user", "ann", quotas))
        for node in self._site.labelled:
            await self._until_answered(lambda door, n=node: door.nodes.label(n, dict([LABEL]), []))
        self._is_told.set()

    async def run(self, count: int) -> None:
        """Have all jobs accepted and steered; returns when nobody holds one back any more."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell())
            group.create_task(self._bring_data())
            for number in range(count):
                group.create_task(self._errand(f"j{number}"))
            for node in self._site.nodes:
                if self._chance.random() < 0.2:
                    group.create_task(self._drain(node))

    async def _errand(self, key: str) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, self._within_s))
        await self._is_told.wait()
        spec = self._spec(key)
        if "inputs" in spec:
            await self._has_data.wait()
        while (made := await self._submit(key, spec)) is None:
            # Nobody knows yet what nodes there are; and a deadline may pass before one is asked.
            if "deadline" in spec:
                return
            await asyncio.sleep(_PAUSE_S)
        job = made.id
        if "outputs" in spec:
            self._makers.append(key)
        steer = self._chance.random()
        if steer < 0.5:
            return
        # Often just while the job is being placed or started.
        await asyncio.sleep(self._chance.expovariate(1 / self._chance.choice((0.01, 0.05, 6.0))))
        if steer < 0.6:
            await self._desire(job, DesireVerb.CANCEL)
        elif steer < 0.7:
            await self._desire(job, DesireVerb.HOLD)
            await asyncio.sleep(self._chance.expovariate(1 / self._chance.choice((0.01, 6.0))))
            await self._desire(job, DesireVerb.RELEASE)
        elif steer < 0.9:
            await self._desire(job, DesireVerb.STOP)
            await self._stopped(job)
            # Else jobs that come after it would wait for ever, and rightly so.
            again = self._chance.random() < 0.8
            await self._desire(job, DesireVerb.RESTART if again else DesireVerb.CANCEL)
        else:
            await self._retry(job, f"{key}-again")

    async def _submit(self, key: str, spec: dict[str, Any]) -> Submitted | None:
        self.keys.add(key)
        made = await self._until_answered(lambda door: door.desk.submit([spec], _ANN, key, ""))
        if not made:
            return None
        self._accepted(made[0], key)
        return made[0]

    async def _retry(self, job: JobId, key: str) -> None:
        while not (await self._status(job)).closed:
            await asyncio.sleep(2.0)
        self.keys.add(key)
        again = await self._until_answered(lambda door: door.desk.retry(job, _ANN, key, ""))
        if again is not None:
            self._accepted(again, key)

    def _accepted(self, made: Submitted, key: str) -> None:
        self._trace.say(f"ann      is told that {key} is {made.id}")
        self.jobs[made.id] = key
        self._invariants.accepted.add(made.id)

    async def _stopped(self, job: JobId) -> None:
        while not (await self._status(job)).closed:
            await asyncio.sleep(1.0)

    async def _status(self, job: JobId) -> Status:
        found = await self._until_answered(lambda door: door.desk.get(job, _ANN))
        return found.status

    async def _desire(self, job: JobId, verb: DesireVerb) -> None:
        self._trace.say(f"ann      wants to {verb} {job}")
        await self._until_answered(lambda door: door.desk.desire(job, verb, _ANN))

    async def _drain(self, node: str) -> None:
        await asyncio.sleep(self._chance.uniform(0.0, self._within_s))
        await self._until_answered(lambda door: door.nodes.drain(node, drained=True))
        await asyncio.sleep(self._chance.uniform(1.0, 20.0))
        await self._until_answered(lambda door: door.nodes.drain(node, drained=False))

    async def confirm_lost(self, node: str) -> None:
        """An admin says that a machine is off."""
        await self._until_answered(lambda door: door.nodes.confirm_lost(node))

    async def _until_answered(
        self, what: Callable[[Any], Awaitable[T]], whom: Callable[[], str] | None = None
    ) -> T:
        """Ask any of the doors; a refusal is an answer, but none that is awaited: None."""
        while True:
            door = whom() if whom else self._chance.choice(self._doors)
            try:
                return await self._cluster.ask(door, what)
            except Unavailable:
                await asyncio.sleep(_PAUSE_S)
            except HeadraceError as error:
                self._trace.say(f"ann      is told: {error}")
                if error.retryable or error.code == "NOT_FOUND":
                    await asyncio.sleep(_PAUSE_S)
                    continue
                return None

    @staticmethod
    def _now_s() -> float:
        return BEGIN_S + asyncio.get_running_loop().time()

    def _asked(self) -> dict[str, Any]:
        """What a job needs of its nodes."""
        chance, site = self._chance, self._site
        asked: dict[str, Any] = {
            "cpus": chance.randint(1, site.cpus),
            "memory": f"{chance.choice((128, 512, 1024))}MiB",
            "paradigm": chance.choice(("SINGLE_NODE", "SINGLE_NODE", "FILL_NODES")),
        }
        if site.gpus and chance.random() < 0.5:
            asked["gpus"] = chance.randint(1, site.gpus)
        if site.licences and chance.random() < 0.5:
            asked["generic"] = {LICENCE: chance.randint(1, site.licences)}
        if site.labelled and chance.random() < 0.4:
            asked["labels"] = dict([LABEL])
        if chance.random() < 0.15:
            asked["whole_node"] = True
        if chance.random() < 0.2:
            asked["spread"] = True
        return asked

    def _spec(self, key: str) -> dict[str, Any]:
        chance, way = self._chance, self._chance.choice(_WAYS)
        seconds = min(chance.expovariate(1 / 5.0), 30.0)
        limits: dict[str, Any] = {"grace": f"{chance.choice((0, 1, 5))}s"}
        if way == "forever" or chance.random() < 0.2:
            limits["time"] = f"{chance.choice((2, 5, 20))}s"
        if chance.random() < 0.25:
            limits["exclusive"] = True
        spec: dict[str, Any] = {
            "headrace": 1,
            "kind": "command",
            "name": key,
            "command": ["work", way, f"{seconds:.2f}"],
            "resources": self._asked(),
            "limits": limits,
            "priority": chance.choice((10, 50, 70)),
        }
        if chance.random() < 0.6:
            some = [cause for cause in _CAUSES if chance.random() < 0.6]
            spec["retry"] = {"limit": chance.randrange(4), "on": some}
        if chance.random() < 0.2:
            spec["array"] = {"count": chance.randint(1, 30)}
            spec["command"][2] = f"{seconds / 10:.2f}"
            del spec["resources"]["paradigm"]
        if chance.random() < 0.15:
            spec["start_not_before"] = _told(self._now_s() + chance.uniform(0.0, 15.0))
        elif chance.random() < 0.15:
            spec["deadline"] = _told(self._now_s() + chance.uniform(22.0, 60.0))
        if chance.random() < 0.4:
            spec["outputs"] = {"copy": _data("OUTPUT", key)}
        if chance.random() < 0.4:
            spec["inputs"] = {"forcing": _data("FORCING", "simulated")}
            if self._makers and chance.random() < 0.4:
                spec["inputs"]["made"] = _data("OUTPUT", chance.choice(self._makers))
        if self.jobs and chance.random() < 0.3:
            spec["after"] = [chance.choice(sorted(self.jobs))]
        return spec


def _data(category: str, name: str) -> dict[str, Any]:
    """A requirement, or an output that meets it."""
    return {"category": category, "format": "GENERIC", "domain": {"DATA_ID": [name]}}


def _told(at_s: float) -> str:
    return format_instant(Instant(int(at_s * 1000)))
