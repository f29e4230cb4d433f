"""What a soak asks of Headrace: errands, each a job or some of them and what has to come of them.

An errand submits, steers, and waits for the end that its jobs must have whatever is broken
meanwhile. What it expects of each job is kept, so that the end of the soak can look again.
"""

import asyncio
import contextlib
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_model.cause import Cause
from headrace_model.errors import Conflict, NotFound
from headrace_model.status import Status
from headrace_wire.api import JobView
from tests.support.soak.figures import Figures
from tests.support.wait import wait_until

SECRET = "what-no-log-may-tell"  # noqa: S105 - of a test
_LOST = ["ATTEMPT_LOST", "NODE_LOST", "STAGING"]
_ENDED_WITHIN_S = 240.0
_CONTENT = b"what a job copies\n" * 64
# Holds a lock as long as it lives, as something of the user's that bears one worker at a time.
_ALONE = """
import fcntl, sys, time
lock = open(sys.argv[1], "w")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(sys.argv[2], "a").write("two live workers of " + sys.argv[1] + "\\n")
time.sleep(float(sys.argv[3]))
"""
# Stays until it is killed: what looks at its memory now and then must get to see it.
_EAT = "x = bytearray(150_000_000)\nx[::4096] = x[::4096].replace(b'\\0', b'1')\nwhile True: pass"


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of a job; `files`: the SHA-256 of all that its one dataset holds, sorted."""

    errand: str
    status: Status
    cause: Cause | None = None
    exit_code: int | None = None
    files: tuple[str, ...] = ()

    def is_met(self, status: Status, cause: Cause | None, exit_code: int | None) -> bool:
        """Whether a job ended so. What was lost in the moment of its cancel may tell of both."""
        causes = {self.cause, *_LOST} if self.cause is Cause.CANCELED else {self.cause}
        return (
            status is self.status
            and cause in causes
            and (self.exit_code is None or exit_code == self.exit_code)
        )


@dataclass(slots=True)
class Ground:
    """What errands stand on: a client, a folder that workers may use too, what was accepted."""

    client: AsyncClient
    folder: Path
    figures: Figures
    accepted: dict[str, Expected] = field(default_factory=dict)
    datasets: set[str] = field(default_factory=set)  # that must be there at the end

    @property
    def doubles(self) -> Path:
        """Where exclusive workers write that they were not alone."""
        return self.folder / "doubles"

    async def prepare(self) -> None:
        """Upload the input of all jobs, and keep their secret."""
        await self.client.people.set_secret("soak", SECRET)
        await self.dataset("soak", _CONTENT)

    async def dataset(self, name: str, content: bytes, **more: str) -> str:
        """Make a SEALED dataset of one file; returns its id."""
        source = self.folder / f"{name}.bin"
        await asyncio.to_thread(source.write_bytes, content)
        asked = {"name": name, "category": "FORCING", "format": "GENERIC"}
        made = await self.client.datasets.create(asked | {"domain": {"DATA_ID": [name]}} | more)
        await self.client.datasets.upload_item(made["id"], LocalFile(source, "a.bin"))
        await self.client.datasets.seal(made["id"])
        if not more:
            self.datasets.add(made["id"])
        return str(made["id"])

    async def submit(self, expected: Expected, command: list[str], **more: Any) -> str:
        """Submit a job; from then on it must come to its expected end."""
        accepted = await self.client.submit(_job(expected.errand, command, more))
        self.accepted[accepted.id] = expected
        return accepted.id

    async def ends(self, job: str) -> JobView:
        """Wait for a job's end, which must be the expected one."""
        expected = self.accepted[job]
        try:
            async with asyncio.timeout(_ENDED_WITHIN_S):
                view = await self.client.ended(job)
        except TimeoutError:
            view = await self.client.job(job)
            raise AssertionError(
                f"{expected.errand} {job} has no end: it is in {view.status} with attempt "
                f"{view.attempt}, desired {view.desired} {view.cause or ''} {view.detail}"
            ) from None
        found = (view.status, view.cause, view.exit_code)
        assert expected.is_met(*found), f"{expected.errand} {job} ended as {found}: {view.detail}"
        self.figures.jobs[expected.errand, view.status.name] += 1
        self.figures.attempts += view.attempt
        return view

    async def desire(self, job: str, verb: str) -> None:
        """Steer a job."""
        await self.client.desire(job, verb)


Errand = Callable[[Ground, random.Random], Awaitable[None]]


def _job(name: str, command: list[str], more: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "headrace": 1,
        "kind": "command",
        "name": name,
        "command": command,
        "resources": {"cpus": "250m", "memory": "64MiB"},
        "limits": {"grace": "1s"},
        "retry": {"limit": 100, "on": _LOST},
        **more,
    }


def _input(name: str, category: str = "FORCING") -> Mapping[str, Any]:
    return {"category": category, "format": "GENERIC", "domain": {"DATA_ID": [name]}}


def _output(**domain: list[str]) -> Mapping[str, Any]:
    return {"copy": {"category": "OUTPUT", "format": "GENERIC", "domain": domain}}


def _copied(errand: str) -> Expected:
    return Expected(errand, Status.COMPLETED, files=(sha256(_CONTENT).hexdigest(),))


# ---- the errands


async def trivial(ground: Ground, chance: random.Random) -> None:
    """A job that needs nothing and ends at once."""
    await ground.ends(await ground.submit(Expected("trivial", Status.COMPLETED), ["true"]))


async def probe(ground: Ground, priority: int = 100) -> None:
    """A trivial job before all others: it ends as soon as work goes on at all."""
    expected = Expected("probe", Status.COMPLETED)
    await ground.ends(await ground.submit(expected, ["true"], priority=priority))


async def fails(ground: Ground, chance: random.Random) -> None:
    """A job that fails, by a code or by a signal."""
    code = chance.choice((1, 3, -9))
    expected = Expected("fails", Status.FAILED, Cause.EXIT_CODE, code)
    script = f"exit {code}" if code > 0 else "kill -9 $$"
    await ground.ends(await ground.submit(expected, ["sh", "-c", script]))


async def retried(ground: Ground, chance: random.Random) -> None:
    """A job that does well at its third attempt only."""
    expected = Expected("retried", Status.COMPLETED)
    retry = {"limit": 100, "on": [*_LOST, "EXIT_CODE"]}
    script = '[ "$HEADRACE_ATTEMPT" -ge 3 ]'
    await ground.ends(await ground.submit(expected, ["sh", "-c", script], retry=retry))


async def copies(ground: Ground, chance: random.Random) -> None:
    """A job with data in and out."""
    script = f"sleep {chance.uniform(0, 1):.2f}; cp {{soak}}/a.bin {{output}}/a.bin"
    job = await ground.submit(
        _copied("copies"), ["sh", "-c", script], inputs={"soak": _input("soak")}, outputs=_output()
    )
    await ground.ends(job)


async def eats(ground: Ground, chance: random.Random) -> None:
    """A job that uses more memory than it asked for."""
    expected = Expected("eats", Status.FAILED, Cause.OOM)
    await ground.ends(
        await ground.submit(expected, [sys.executable, "-S", "-c", _EAT], retry={"limit": 0})
    )


async def too_long(ground: Ground, chance: random.Random) -> None:
    """A job that runs longer than its limit."""
    expected = Expected("too_long", Status.FAILED, Cause.TIME_LIMIT)
    limits = {"time": "1s", "grace": "1s"}
    await ground.ends(await ground.submit(expected, ["sleep", "600"], limits=limits))


async def canceled(ground: Ground, chance: random.Random) -> None:
    """A job that never ends by itself, canceled at any point of its way."""
    expected = Expected("canceled", Status.CANCELED, Cause.CANCELED)
    more = (
        {"inputs": {"soak": _input("soak")}, "outputs": _output()} if chance.random() < 0.5 else {}
    )
    job = await ground.submit(expected, ["sleep", "600"], **more)
    await asyncio.sleep(chance.uniform(0, 2))
    await ground.desire(job, "cancel")
    await ground.ends(job)


async def canceled_late(ground: Ground, chance: random.Random) -> None:
    """A job that is canceled while its output may be on its way: it ends one way or the other."""
    script = f"sleep {chance.uniform(0, 0.3):.2f}; cp {{soak}}/a.bin {{output}}/a.bin"
    job = await ground.submit(
        _copied("canceled_late"), ["sh", "-c", script],
        inputs={"soak": _input("soak")}, outputs=_output(),
    )  # fmt: skip
    await asyncio.sleep(chance.uniform(0, 1.5))
    try:
        await ground.desire(job, "cancel")
    except Conflict:
        pass  # it was over before
    else:
        ground.accepted[job] = Expected("canceled_late", Status.CANCELED, Cause.CANCELED)
    await ground.ends(job)


async def stopped(ground: Ground, chance: random.Random) -> None:
    """A job that is stopped at any point of its way, and restarted."""
    gate = ground.folder / token_hex(8)
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done; cp {{soak}}/a.bin {{output}}/a.bin"
    job = await ground.submit(
        _copied("stopped"), ["sh", "-c", script],
        inputs={"soak": _input("soak")}, outputs=_output(),
    )  # fmt: skip
    for _ in range(chance.choice((1, 1, 2))):
        await asyncio.sleep(chance.uniform(0, 2))
        await _stop_and_restart(ground, job)
    await asyncio.to_thread(gate.touch)
    await ground.ends(job)
    await asyncio.to_thread(gate.unlink)


async def held(ground: Ground, chance: random.Random) -> None:
    """A job that is held before it starts where that is still possible, and released."""
    job = await ground.submit(Expected("held", Status.COMPLETED), ["true"], priority=0)
    with contextlib.suppress(Conflict):  # it is under way already
        await ground.desire(job, "hold")
        await asyncio.sleep(chance.uniform(0, 1))
        await ground.desire(job, "release")
    await ground.ends(job)


async def after(ground: Ground, chance: random.Random) -> None:
    """A job that waits for another one, which completes or does not."""
    good = chance.random() < 0.6
    command = ["sh", "-c", f"sleep {chance.uniform(0, 1):.2f}; {'true' if good else 'exit 3'}"]
    if good:
        first = await ground.submit(Expected("after", Status.COMPLETED), command)
        expected = Expected("after", Status.COMPLETED)
    else:
        first = await ground.submit(Expected("after", Status.FAILED, Cause.EXIT_CODE, 3), command)
        expected = Expected("after", Status.FAILED, Cause.PREREQUISITE)
    second = await ground.submit(expected, ["true"], after=[first])
    await asyncio.gather(ground.ends(first), ground.ends(second))


async def promised(ground: Ground, chance: random.Random) -> None:
    """A job that waits for the output which another one will make, or not."""
    good, name = chance.random() < 0.6, f"promise-{token_hex(8)}"
    script = f"sleep {chance.uniform(0, 1):.2f}; cp {{soak}}/a.bin {{output}}/a.bin"
    maker = await ground.submit(
        _copied("promised") if good else Expected("promised", Status.CANCELED, Cause.CANCELED),
        ["sh", "-c", script if good else "sleep 600"],
        inputs={"soak": _input("soak")}, outputs=_output(DATA_ID=[name]),
    )  # fmt: skip
    taker = await ground.submit(
        _copied("promised") if good else Expected("promised", Status.DATA_UNPROVIDEABLE),
        ["sh", "-c", "cp {made}/a.bin {output}/a.bin"],
        inputs={"made": _input(name, "OUTPUT")}, outputs=_output(),
    )  # fmt: skip
    if not good:
        await asyncio.sleep(chance.uniform(0, 1))
        await ground.desire(maker, "cancel")
    await asyncio.gather(ground.ends(maker), ground.ends(taker))


async def unprovideable(ground: Ground, chance: random.Random) -> None:
    """A job whose input nobody has."""
    expected = Expected("unprovideable", Status.DATA_UNPROVIDEABLE)
    inputs = {"none": _input("what-nobody-has")}
    await ground.ends(await ground.submit(expected, ["true"], inputs=inputs))


async def exclusive(ground: Ground, chance: random.Random) -> None:
    """A job of which never two workers may live."""
    lock = ground.folder / token_hex(8)
    alone = [sys.executable, "-S", "-c", _ALONE, str(lock), str(ground.doubles)]
    job = await ground.submit(
        Expected("exclusive", Status.COMPLETED),
        [*alone, f"{chance.uniform(0.2, 3):.2f}"],
        limits={"exclusive": True, "grace": "1s"},
    )
    await ground.ends(job)
    await asyncio.to_thread(lock.unlink)


async def array(ground: Ground, chance: random.Random) -> None:
    """Many tasks as one job; left alone, stopped and restarted, or canceled in the middle."""
    tasks, stops, cancels = chance.randint(2, 60), chance.random() < 0.4, chance.random() < 0.2
    files = sorted(sha256(f"{task}\n".encode()).hexdigest() for task in range(tasks))
    expected = Expected("array", Status.COMPLETED, files=tuple(files))
    script = f"sleep {chance.uniform(0, 0.4):.2f}; echo {{index}} > {{output}}/f"
    job = await ground.submit(
        Expected("array", Status.CANCELED, Cause.CANCELED) if cancels else expected,
        ["sh", "-c", script if not cancels else "sleep 600"],
        array={"count": tasks}, outputs=_output(),
    )  # fmt: skip
    await asyncio.sleep(chance.uniform(0, 3))
    if cancels:
        await ground.desire(job, "cancel")
    elif stops:
        await _stop_and_restart(ground, job)
    view = await ground.ends(job)
    if not cancels:
        assert view.tasks
        assert (view.tasks.done, view.tasks.total) == (tasks, tasks), f"array {job}: {view.tasks}"


async def array_fails(ground: Ground, chance: random.Random) -> None:
    """An array of which one task fails."""
    bad, tasks = chance.randint(0, 4), 5
    script = f"[ {{index}} != {bad} ] || exit 4; echo x > {{output}}/f"
    job = await ground.submit(
        Expected("array_fails", Status.FAILED, Cause.TASKS, 4), ["sh", "-c", script],
        array={"count": tasks}, outputs=_output(),
    )  # fmt: skip
    view = await ground.ends(job)
    assert view.tasks
    assert (view.tasks.done, view.tasks.failed) == (tasks - 1, 1), f"array {job}: {view.tasks}"


async def _stop_and_restart(ground: Ground, job: str) -> None:
    """Stop a job and start it again, unless it was over before."""
    try:
        await ground.desire(job, "stop")
    except Conflict:
        return
    async with asyncio.timeout(_ENDED_WITHIN_S):
        view = await ground.client.ended(job)
    assert view.status is Status.STOPPED, f"stopped {job} is {view.status}: {view.detail}"
    await ground.desire(job, "restart")


async def knows_secret(ground: Ground, chance: random.Random) -> None:
    """A job that is told a secret."""
    digest = sha256(SECRET.encode()).hexdigest()
    script = f'sha256sum "$HEADRACE_SECRETS/soak" | grep -q {digest}'
    job = await ground.submit(
        Expected("knows_secret", Status.COMPLETED), ["sh", "-c", script], secrets=["soak"]
    )
    await ground.ends(job)


async def several(ground: Ground, chance: random.Random) -> None:
    """Some jobs in one submit: all or none."""
    many = [_job("several", ["true"], {}) for _ in range(chance.randint(2, 6))]
    accepted = await ground.client.submit_many(many)
    assert len(accepted) == len(many)
    for each in accepted:
        ground.accepted[each.id] = Expected("several", Status.COMPLETED)
    await asyncio.gather(*(ground.ends(each.id) for each in accepted))


async def data_alone(ground: Ground, chance: random.Random) -> None:
    """A dataset that is uploaded, read back, and deleted or left to expire."""
    name, content = f"alone-{token_hex(4)}", chance.randbytes(chance.choice((0, 1_000, 300_000)))
    expires = chance.random() < 0.5
    more = {"expires_in": f"{chance.choice((5, 20))}s"} if expires else {}
    with contextlib.suppress(NotFound):  # expired by now, or the answer of the deletion was lost
        made = await ground.dataset(name, content, **more)
        items = [item async for item in ground.client.datasets.items(made)]
        assert [item["sha256"] for item in items] == [sha256(content).hexdigest()], made
        if not expires:
            ground.datasets.discard(made)
            if chance.random() < 0.5:
                await ground.client.datasets.delete(made)
                await ground.client.datasets.undelete(made)
            await ground.client.datasets.delete(made, now=True)
    await wait_until(
        lambda: _is_gone(ground, name), f"dataset {name} to be gone", within_s=_ENDED_WITHIN_S
    )
    await asyncio.to_thread((ground.folder / f"{name}.bin").unlink)


async def _is_gone(ground: Ground, dataset: str) -> bool:
    try:
        await ground.client.datasets.get(dataset)
    except NotFound:
        return True
    return False


ERRANDS: Mapping[str, tuple[int, Errand]] = {
    "trivial": (4, trivial),
    "fails": (2, fails),
    "retried": (2, retried),
    "copies": (5, copies),
    "eats": (1, eats),
    "too_long": (1, too_long),
    "canceled": (3, canceled),
    "canceled_late": (3, canceled_late),
    "stopped": (3, stopped),
    "held": (1, held),
    "after": (2, after),
    "promised": (2, promised),
    "unprovideable": (1, unprovideable),
    "exclusive": (3, exclusive),
    "array": (3, array),
    "array_fails": (1, array_fails),
    "knows_secret": (2, knows_secret),
    "several": (1, several),
    "data_alone": (3, data_alone),
}
"""How often, and what."""
