"""What an attempt leaves for the next one: the folder `{checkpoint}`, by way of the store.

It is shipped as one archive (tar) a rank: from time to time while the worker runs, where it has
changed, and once the worker is gone, before the attempt's end is told. The next attempt, on
whatever node, finds what the last archive held. A worker that writes under another name and
renames never leaves half a file in it.
"""

import asyncio
import hashlib
import os
import signal
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from headrace_agent.collect import BadOutput, FoundFile, find_files, open_inside, send_file
from headrace_agent.data_client import DataClient
from headrace_agent.folders import AttemptFolder
from headrace_agent.grants import Grant
from headrace_agent.transfers import Transfers
from headrace_model.errors import HeadraceError, NotFound
from headrace_model.spec import JobSpec, Signal
from headrace_model.work import Work
from headrace_ports.backend import Backend
from headrace_service.logs import logger
from headrace_service.threads import finish

_LIMIT_ITEMS: Final = 10_000
_SHIP_S: Final = 300.0  # a stop waits no longer for the store
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_LOOK_S: Final = 0.5


class Checkpoints:
    """The checkpoint of one attempt on this node, and signals that ask for one.

    `every_s`: how often it is shipped while the worker runs; `limit_bytes`: the most that is kept.
    """

    def __init__(
        self,
        folder: AttemptFolder,
        backend: Backend,
        data: DataClient,
        transfers: Transfers,
        every_s: float,
        limit_bytes: int,
    ) -> None:
        self._folder = folder
        self._backend = backend
        self._data = data
        self._transfers = transfers
        self._every_s = every_s
        self._limit_bytes = limit_bytes
        self._log = logger("agent")

    async def lay(self, work: Work) -> None:
        """Lay what the attempt before left beside a worker about to start; success when it lies
        there. Raises `Unavailable`, `OSError`.
        """
        if self._folder.checkpoint.is_dir():
            return  # the worker may have it already
        archive = self._folder.root / "checkpoint.got"
        try:
            found = False
            if work.attempt > 1:
                with suppress(NotFound):
                    await self._data.checkpoint(work, archive, self._limit_bytes)
                    found = True
            await finish(_unpack, archive if found else None, self._folder)
        finally:
            await finish(archive.unlink, True)

    async def attend(self, work: Work, spec: JobSpec) -> None:
        """While the worker runs: warn it before its time limit, and ship what it leaves."""
        began = await finish(self._folder.note_started)
        shipped, ship_at = await finish(_state, self._folder.checkpoint), time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_S)
            await self._warn(work, spec, began)
            if not spec.checkpoint or time.monotonic() < ship_at + self._every_s:
                continue
            now = await finish(_state, self._folder.checkpoint)
            # A file that was renamed just now is there at the next look.
            if now == shipped or await self._try(work) is None:
                shipped, ship_at = now, time.monotonic()

    async def _warn(self, work: Work, spec: JobSpec, began: float) -> None:
        warn, limit_ms = spec.limits.warn, spec.limits.time_ms
        if warn is None or limit_ms is None or self._folder.warned:
            return
        if time.time() >= began + (limit_ms - warn.before_ms) / 1000:
            await finish(self._folder.note_warned)
            await self._signal(work, warn.signal)

    async def ask(self, work: Work, spec: JobSpec, exited: asyncio.Event) -> None:
        """Before a worker is stopped: ask it for a checkpoint, and give it its grace to end."""
        if spec.checkpoint is None or spec.checkpoint.signal is Signal.TERM or exited.is_set():
            return  # TERM comes with the stop
        if not await finish(self._folder.checkpoint.is_dir):
            return  # it has not started
        if await self._signal(work, spec.checkpoint.signal):
            with suppress(TimeoutError):
                async with asyncio.timeout(spec.limits.grace_ms / 1000):
                    await exited.wait()

    async def _signal(self, work: Work, name: str) -> bool:
        try:
            number = signal.Signals[f"SIG{name}"]
            return await self._backend.signal(work.job, work.attempt, number)
        except HeadraceError as error:
            self._log.warning(f"no {name} was sent: {error}", action="signal", job=work.job)
            return False

    async def ship(self, work: Work) -> None:
        """Ship what the worker left, once it is gone; given up after a few tries."""
        if not await finish(self._folder.checkpoint.is_dir):
            return
        why: object = "it took too long"
        with suppress(TimeoutError):
            async with asyncio.timeout(_SHIP_S):
                for pause_s in _PAUSES_S:
                    why = await self._try(work)
                    if not isinstance(why, Exception) or (
                        isinstance(why, HeadraceError) and not why.retryable
                    ):
                        break
                    await asyncio.sleep(pause_s)
        if why:
            self._log.warning(
                f"the next attempt gets an older checkpoint, or none: {why!s}",
                action="checkpoint",
                job=work.job,
                attempt=work.attempt,
            )

    async def _try(self, work: Work) -> Exception | None:
        """Ship it as it is now; returns what went wrong."""
        try:
            archive = await finish(_pack, self._folder, self._limit_bytes)
            if archive is None:
                return None  # empty
            path = self._folder.root / archive.path
            try:

                async def renew(old: Grant) -> Grant:
                    return await self._data.keep_checkpoint(work, archive.size_bytes, old.upload)

                grant = await self._data.keep_checkpoint(work, archive.size_bytes)
                await send_file(self._folder.root, archive, grant, renew, self._transfers)
            finally:
                await finish(path.unlink, True)
        except (HeadraceError, OSError, tarfile.TarError) as error:
            return error
        return None


def _state(folder: Path) -> frozenset[tuple[str, int, int]]:
    """What changes where a file in the folder does."""
    found = set()
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                known = os.lstat(os.path.join(root, name))
                found.add((os.path.join(root, name), known.st_size, known.st_mtime_ns))
    return frozenset(found)


def _pack(folder: AttemptFolder, limit_bytes: int) -> FoundFile | None:
    """Pack the folder, following no link that the worker laid; None where it is empty.

    Raises `BadOutput` for what can't be kept, `OSError` for what changes meanwhile.
    """
    files = find_files(folder.checkpoint, _LIMIT_ITEMS)
    total = sum(each.size_bytes for each in files)
    if total > limit_bytes:
        raise BadOutput(
            f"the checkpoint has {total:,} bytes; at most {limit_bytes:,} are kept",
            hint="checkpoint_limit_bytes of the agent is that limit",
        )
    if not files:
        return None
    name = "checkpoint.tar"
    with tarfile.open(folder.root / name, "w", format=tarfile.PAX_FORMAT) as archive:
        for each in files:
            with os.fdopen(open_inside(folder.checkpoint, each.path), "rb") as opened:
                known = os.fstat(opened.fileno())
                entry = tarfile.TarInfo(each.path)
                # Another one may have been renamed to this name since: whole, too.
                entry.size, entry.mtime = known.st_size, known.st_mtime
                entry.mode = known.st_mode & 0o700
                archive.addfile(entry, opened)
    with (folder.root / name).open("rb") as packed:
        digest = hashlib.file_digest(packed, "sha256").hexdigest()
    return FoundFile(name, (folder.root / name).stat().st_size, digest)


def _unpack(archive: Path | None, folder: AttemptFolder) -> None:
    """Make the folder with what the archive holds; it appears as a whole."""
    part = folder.root / "checkpoint.part"
    folder.remove_inside(part)
    part.mkdir(mode=0o700)
    if archive is not None:
        with tarfile.open(archive, "r") as packed:
            packed.extractall(part, filter="data")
    folder.give_all(part)
    part.rename(folder.checkpoint)
