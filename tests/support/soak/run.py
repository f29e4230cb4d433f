"""One seed of a soak: a stack, errands, blows, and the judgement at the end."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from headrace_client.api import AsyncClient
from headrace_model.errors import HeadraceError
from tests.support.faults import Pause
from tests.support.process_bench import groups_of
from tests.support.soak.blows import Blow
from tests.support.soak.checks import Inspection
from tests.support.soak.errands import ERRANDS, Ground, probe
from tests.support.soak.figures import Figures, Harm
from tests.support.soak.stores import Store
from tests.support.soak.watch import Follower, Sampler
from tests.support.stack import Stack
from tests.support.wait import wait_until

_LANES = 8
_WITHIN_S = 60.0
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Times:
    """The waits of a stack, in seconds: how soon it sees that something is gone."""

    lease_s: float
    node_lost_s: float
    sweep_s: float
    renew_s: float
    exclusive_s: float


PRODUCT = Times(lease_s=6.0, node_lost_s=10.0, sweep_s=2.0, renew_s=2.0, exclusive_s=6.0)
"""As everybody runs it: only with these the recovery times are those of design §9."""

SHORT = Times(lease_s=1.5, node_lost_s=5.0, sweep_s=0.5, renew_s=0.5, exclusive_s=3.0)
"""More blows a minute."""


def any_errands(seed: str) -> Iterator[str]:
    """The errands of a seed, for ever the same."""
    chance = random.Random(f"{seed} errands")  # noqa: S311 - of a test
    weights = [weight for weight, _ in ERRANDS.values()]
    while True:
        yield chance.choices(list(ERRANDS), weights)[0]


class Soak:
    """Runs errands side by side under blows, on a stack of its own below `folder`.

    What is found is in `figures`; after a finding the stack's files are kept, see `kept`.
    """

    def __init__(self, folder: Path, seed: str, times: Times, store: Store) -> None:
        self._folder = folder
        self._seed = seed
        self._times = times
        self.figures = Figures(seeds=1)
        self._store = store

    @property
    def kept(self) -> Path:
        """Where the files of a stack with a finding lie."""
        return Path(tempfile.gettempdir()) / f"headrace-soak-{self._seed}"

    async def run(self, errands: Iterable[str], blows: Iterable[Blow]) -> None:
        """Run all errands under all blows, heal everything, and judge."""
        started = monotonic()
        folder = self._folder / "workers"
        folder.mkdir(parents=True)
        stack = self._stack()
        try:
            async with (
                stack,
                AsyncClient(stack.url, stack.token, patience_s=_PATIENCE_S) as client,
            ):
                await client.nodes()  # a server that was met is waited for
                ground = Ground(client, folder, self.figures)
                await self._play(stack, ground, errands, blows)
            for group in groups_of(stack.home.nest):
                self.figures.harm(Harm.LEAKED, f"the control group {group} is left")
        finally:
            self.figures.seconds = monotonic() - started
            if self.figures.harms:
                await asyncio.to_thread(self._keep, stack)

    def _stack(self) -> Stack:
        times = self._times
        return Stack(
            self._folder / "home",
            keep_alive=True,
            lease_s=times.lease_s,
            node_lost_s=times.node_lost_s,
            sweep_s=times.sweep_s,
            renew_s=times.renew_s,
            cpus=8.0,
            memory_bytes=8 * 2**30,
            settings={
                "exclusive_s": str(times.exclusive_s),
                # So that a soak sees what the sweep of the store might do wrong, and does.
                "store_unnamed_s": "2",
                "partial_keep_days": "0",  # the ground truth counts results alone
                **self._store.settings,
            },
        )

    async def _play(
        self, stack: Stack, ground: Ground, errands: Iterable[str], blows: Iterable[Blow]
    ) -> None:
        follower = Follower(ground.client, self.figures)
        watching = [
            asyncio.create_task(follower.run()),
            asyncio.create_task(Sampler(stack, ground).run()),
        ]
        try:
            await asyncio.wait_for(follower.ready.wait(), _WITHIN_S)
            await ground.prepare()
            turns = enumerate(errands)
            async with asyncio.TaskGroup() as group:
                for _ in range(_LANES):
                    group.create_task(self._lane(ground, turns))
                group.create_task(self._blows(stack, ground, blows))
            await self._all_alive(stack)
            await Inspection(stack, ground, follower).run()
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        for task in watching:
            if not task.cancelled() and (error := task.exception()):
                raise error

    async def _lane(self, ground: Ground, turns: Iterator[tuple[int, str]]) -> None:
        for number, name in turns:
            chance = random.Random(f"{self._seed} errand {number}")  # noqa: S311 - of a test
            try:
                await ERRANDS[name][1](ground, chance)
            except (AssertionError, HeadraceError, TimeoutError) as error:
                self.figures.harm(Harm.LOST, f"{name}: {error!r}")

    async def _blows(self, stack: Stack, ground: Ground, blows: Iterable[Blow]) -> None:
        for blow in blows:
            await asyncio.sleep(blow.after_s)  # not a wait: it is what the seed chose
            await self._all_alive(stack)
            started = monotonic()
            # What is killed can't be paused any more.
            for fault in sorted(blow.faults, key=lambda each: not isinstance(each, Pause)):
                self.figures.blows[type(fault).__name__.lower(), fault.victim] += 1
                fault.strike(stack)  # here: while it waits, nothing is started again
            if blow.measured:
                await self._recovery(ground, blow.faults[0].victim, started)
            else:
                await asyncio.sleep(blow.lasts_s)  # the blow itself
            for fault in blow.faults:
                fault.heal(stack)

    async def _recovery(self, ground: Ground, victim: str, started: float) -> None:
        """Wait until a new job has completed: work goes on."""
        try:
            await probe(ground)
        except (AssertionError, HeadraceError, TimeoutError) as error:
            self.figures.harm(Harm.LOST, f"after the kill of {victim}: {error!r}")
        else:
            self.figures.recovery_s[victim].append(monotonic() - started)

    async def _all_alive(self, stack: Stack) -> None:
        await wait_until(
            lambda: all(stack.alive(name) for name in Stack.names),
            "every process to be there",
            within_s=_WITHIN_S,
        )

    def _keep(self, stack: Stack) -> None:
        def no_files(folder: str, names: list[str]) -> list[str]:
            return [name for name in names if Path(folder, name).is_socket()]

        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(stack.home.root, self.kept, symlinks=True, ignore=no_files)
