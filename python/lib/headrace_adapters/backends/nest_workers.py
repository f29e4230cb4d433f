"""The workers of a nest: started, watched, ended with everything they began, told about once.

A worker goes RUNNING (its main process lives) → ENDING (what remains is ended) → gone (`exit`
is set and journaled, nothing remains). All methods take `now` in seconds of the monotonic clock
and none waits; `tick` does what is due.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from headrace_adapters.backends import nest_tree, nest_usage, proc_tree
from headrace_adapters.backends.nest_journal import Journal, Record
from headrace_adapters.backends.nest_memory import MemoryGroups
from headrace_adapters.backends.nest_spawn import NotStarted, spawn
from headrace_adapters.backends.nest_wire import Message, split_key
from headrace_adapters.backends.nest_worker import Worker
from headrace_adapters.backends.proc_tree import ProcessStat, Table
from headrace_model.errors import Unavailable

_SAMPLE_S: Final = 0.25
_SAMPLE_SHARE: Final = 0.05
"""At most this share of one CPU goes into sampling: the dearer a look, the rarer."""
_AGAIN_S: Final = 0.01
"""When to look again at processes that were told to end; a SIGCHLD comes earlier."""
_LOST_AGAIN_S: Final = 0.05
"""The same for processes that aren't the nest's children: only a full look finds them."""
_JOURNAL_AGAIN_S: Final = 1.0
_NEVER: Final = float("inf")


class Workers:
    """All workers that the nest has not been told to forget."""

    def __init__(
        self,
        journal: Journal,
        groups: MemoryGroups | None,
        boot: str,
        on_exit: Callable[[Record], None],
    ) -> None:
        self.sample_ms = 0.0
        self._journal = journal
        self._groups = groups
        self._boot = boot
        self._on_exit = on_exit
        self._workers: dict[str, Worker] = {}
        self._living: dict[str, Worker] = {}
        self._mains: dict[int, str] = {}
        self._sessions: dict[int, str] = {}
        self._orphans = nest_tree.Orphans()
        self._ranks = nest_usage.Ranks()
        self._next_number = 1
        self._sample_at = 0.0
        self._end_at = 0.0

    # ---- what clients ask

    def spawn(self, request: Message) -> Record:
        """Start a worker, or tell what became of it if its key is known. Raises `Unavailable`
        when the journal can't be written: what can't be remembered isn't started."""
        key = request["key"]
        split_key(key)
        if known := self._workers.get(key):
            return known.record
        intent: Record = {
            "key": key, "boot": self._boot,
            "memory": request["memory"], "exclusive": bool(request["exclusive"]),
        }  # fmt: skip
        argv = [str(word) for word in request["argv"]]
        env = {str(name): str(value) for name, value in request["env"].items()}
        cwd = str(request["cwd"])
        if "slot" in request:
            files = f"{request['logs']}.{int(request['slot'])}"
            outputs = (f"{files}.out", f"{files}.err")
            begins = [_size(path) for path in outputs]
            intent["log"] = {"slot": int(request["slot"]), "files": files, "begins": begins}
        else:
            outputs = (str(request["stdout"]), str(request["stderr"]))
        try:
            self._journal.intend(intent)
        except OSError as error:
            raise Unavailable(
                f"worker {key} is not started: the nest's journal can't be written: {error}",
                hint="make room on the disk of the agent's state folder",
            ) from error
        worker = self._add(intent)
        try:
            with self._group_of(worker):
                worker.pid = spawn(key, argv, env, cwd, outputs)
        except NotStarted as error:
            self._finish(worker, "NOT_STARTED", message=str(error))
        else:
            self._started(worker, worker.pid)
        return worker.record

    def stop(self, job: str, attempt: int, grace_s: float, now: float) -> list[str]:
        """End an attempt's workers: SIGTERM at once, SIGKILL after the grace. Gives the keys of
        those not yet gone. A repeat may shorten the grace and never lengthens it."""
        left = [worker for worker in self._of(job, attempt) if worker.exit is None]
        first = [worker for worker in left if worker.deadline is None]
        for worker in left:
            deadline = now + grace_s
            if worker.deadline is None or deadline < worker.deadline:
                worker.deadline = deadline
        if grace_s > 0 and first:
            living = self._members()
            for worker in first:
                stats = living.get(worker.key, [])
                # Parents before children, for the reason told in _kill.
                pids = [s.pid for s in sorted(stats, key=lambda s: (s.start_time, s.pid))]
                _signal(pids, signal.SIGTERM)
                _signal(pids, signal.SIGCONT)  # a stopped process can't act on a signal
        self._end_at = 0.0
        return [worker.key for worker in left]

    def signal(self, job: str, attempt: int, number: int) -> int:
        """Send a signal to the main process of each running worker; gives how many there were."""
        pids = [w.pid for w in self._of(job, attempt) if w.running and w.pid is not None]
        _signal(pids, signal.Signals(number))
        return len(pids)

    def knows(self, key: str) -> bool:
        """Tell whether a worker was started and not forgotten."""
        return key in self._workers

    def slots_of(self, job: str, attempt: int) -> set[int]:
        """The slots of an attempt whose tasks are not gone."""
        start = f"{job}.{attempt}."
        living = (w for key, w in self._living.items() if key.startswith(start))
        return {worker.log["slot"] for worker in living if worker.log}

    def forget(
        self, job: str, attempt: int, only: Collection[str] | None = None
    ) -> list[str] | None:
        """Drop an attempt's workers, or some of them, that are all gone; None when one isn't."""
        found = [w for w in self._of(job, attempt) if only is None or w.key in only]
        if any(worker.exit is None for worker in found):
            return None
        keys = [worker.key for worker in found]
        if keys:
            gone = set(keys)
            left = (w.record for w in self._workers.values() if w.key not in gone)
            try:
                self._journal.forget(keys, left)
            except OSError as error:
                raise Unavailable(f"the nest's journal can't be written: {error}") from error
        for key in keys:
            del self._workers[key]
        if only is None:
            self._ranks.forget(job, attempt)
        return keys

    def page(self, after: int, most: int) -> tuple[list[Record], int, bool]:
        """Up to `most` workers numbered above `after`, the last number, whether more follow."""
        rest = [worker for worker in self._workers.values() if worker.number > after]
        shown = rest[:most]
        last = shown[-1].number if shown else after
        return [worker.record for worker in shown], last, len(rest) > most

    def usage(self) -> list[Message]:
        """What the workers of each rank have used so far, and the memory that they use now."""
        living = {}
        for key, stats in (self._members() if self._mains else {}).items():
            worker = self._workers[key]
            worker.used = worker.used.at_least(nest_usage.of_processes(stats))
            memory = worker.group.used_bytes() if worker.group else None
            if memory is None:
                memory = sum(stat.rss_bytes for stat in stats)
            living[key] = (worker.used, memory)
        return self._ranks.tell(living, time.time_ns() // 1_000_000)

    @property
    def living(self) -> int:
        """How many workers are not gone."""
        return len(self._living)

    # ---- what happens

    def restore(self, records: Iterable[Record]) -> None:
        """Take over the journal of an earlier nest: its workers without an exit are lost."""
        for record in records:
            worker = self._add(record)
            if worker.exit is None:
                worker.lost = True
                worker.group = self._groups.existing(worker.key) if self._groups else None
        self._end_at = 0.0

    def reap(self) -> None:
        """Take note of every child that has ended."""
        ended = False
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended = True
            self._orphans.reaped(pid)
            if key := self._mains.pop(pid, None):
                worker = self._workers[key]
                worker.status = status
                worker.peak = max(worker.peak, used.ru_maxrss * 1024)
                worker.used = worker.used.at_least(nest_usage.of_rusage(used))
        if ended:
            self._end_at = 0.0

    def tick(self, now: float) -> None:
        """Do what is due: sample, end what is to end, try again what the journal refused."""
        if self._mains and now >= self._sample_at:
            self._sample(now)
        if now >= self._end_at:
            self._end(now)

    def next_due(self) -> float:
        """When `tick` is needed next (infinity: only after an event)."""
        return min(self._end_at, self._sample_at if self._mains else _NEVER)

    # ---- how

    def _of(self, job: str, attempt: int) -> list[Worker]:
        start = f"{job}.{attempt}."
        return [worker for key, worker in self._workers.items() if key.startswith(start)]

    def _add(self, record: Record) -> Worker:
        worker = Worker(record, self._next_number)
        self._next_number += 1
        self._workers[worker.key] = worker
        if worker.exit is None:
            self._living[worker.key] = worker
        return worker

    @contextlib.contextmanager
    def _group_of(self, worker: Worker) -> Iterator[None]:
        # The nest itself enters for the fork, since what a process forks before it is moved
        # would stay outside. The limit comes after it has left: see Group.limit.
        if worker.memory is None or self._groups is None:
            yield
            return
        try:
            worker.group = self._groups.make(worker.key)
            worker.group.enter()
        except OSError:
            worker.group = None
        try:
            yield
        finally:
            if worker.group is not None:
                try:
                    worker.group.leave()
                except OSError:  # the group may never get a limit with the nest inside
                    worker.group = None

    def _started(self, worker: Worker, pid: int) -> None:
        stat = proc_tree.read_stat(pid)  # there even if it has ended: nobody has reaped it
        worker.start = stat.start_time if stat else 0
        self._mains[pid] = self._sessions[pid] = worker.key
        with contextlib.suppress(OSError):  # its marker finds it as well
            self._journal.started(worker.key, pid, worker.start)
        if worker.group and worker.memory and not worker.group.limit(worker.memory):
            worker.over_limit = True
            self._end_at = 0.0

    def _members(self) -> dict[str, list[ProcessStat]]:
        """One look at all living processes of all workers; remembers whose they are."""
        table = proc_tree.scan()
        orphans = {}
        for pid in proc_tree.own_children() - self._mains.keys():
            owner = self._orphans.owner(table[pid], self._sessions) if pid in table else None
            if owner is not None and owner in self._living:
                orphans[pid] = owner
        found = nest_tree.members(table, self._mains, orphans)
        self._orphans.remember(
            {(stat.pid, stat.start_time): key for key, stats in found.items() for stat in stats}
        )
        return found

    def _sample(self, now: float) -> None:
        began = time.thread_time()
        found = self._members()
        for key, stats in found.items():
            worker = self._workers[key]
            if worker.group is not None:
                worker.over_limit |= worker.group.oom_kills() > 0
                continue
            used = sum(stat.rss_bytes for stat in stats)
            worker.peak = max(worker.peak, used)
            worker.over_limit |= worker.memory is not None and used > worker.memory
        cost_s = time.thread_time() - began
        self.sample_ms = cost_s * 1000
        self._sample_at = now + max(_SAMPLE_S, cost_s / _SAMPLE_SHARE)
        if any(self._workers[key].over_limit for key in found):
            self._end_at = 0.0

    def _end(self, now: float) -> None:
        due = [w for w in self._living.values() if w.ending or w.over_limit or w.due(now)]
        lost = [worker for worker in due if worker.lost]
        remains = self._remains_of_lost(lost) if lost else {}
        if any(worker.running for worker in due):
            found = self._members()
            for worker in due:
                remains.setdefault(worker.key, found.get(worker.key, []))
        orphans = self._orphaned() if len(lost) < len(due) else []
        for worker in due:
            if worker.ending and not worker.lost:
                remains[worker.key] = self._remains(worker, orphans)
        table: Table | None = None
        for worker in due:
            left = remains[worker.key]
            if worker.ending and not left:
                self._finish(worker)
            elif worker.deadline is None or worker.due(now) or worker.over_limit:
                table = table or proc_tree.scan()
                self._kill(worker, left, table)
        self._end_at = self._next_end(now)

    def _next_end(self, now: float) -> float:
        times = [_NEVER]
        for worker in self._living.values():
            if worker.pending is not None:
                times.append(now + _JOURNAL_AGAIN_S)
            elif worker.ending or worker.over_limit or worker.due(now):
                times.append(now + (_LOST_AGAIN_S if worker.lost else _AGAIN_S))
            elif worker.deadline is not None:
                times.append(worker.deadline)
        return min(times)

    def _remains_of_lost(self, lost: list[Worker]) -> dict[str, list[ProcessStat]]:
        table = proc_tree.scan()
        table.pop(os.getpid(), None)
        handles = {
            worker.key: (worker.pid, worker.start)
            if worker.boot == self._boot and worker.pid and worker.start
            else None
            for worker in lost
        }
        found = proc_tree.survivors(table, proc_tree.scan_markers(table), handles)
        for worker in lost:
            if worker.group is not None:
                found[worker.key] |= worker.group.pids() & table.keys()
        return {key: [table[pid] for pid in pids] for key, pids in found.items()}

    def _orphaned(self) -> list[tuple[ProcessStat, str | None]]:
        """The nest's children that are no main processes, with the living worker of each."""
        found = []
        for pid in proc_tree.own_children() - self._mains.keys():
            if stat := proc_tree.read_stat(pid):
                owner = self._orphans.owner(stat, self._sessions)
                found.append((stat, owner if owner in self._living else None))
        return found

    def _remains(
        self, worker: Worker, orphans: list[tuple[ProcessStat, str | None]]
    ) -> list[ProcessStat]:
        """What is left of a worker without its main process; descendants aren't looked up.

        An orphan without an owner counts unless another running worker is old enough to have
        begun it. A dead one always does: its own children may just have become orphans, so
        another look is needed after it is reaped.
        """
        left = []
        for stat, owner in orphans:
            if owner is None:
                others = any(
                    other.running and (other.start or 0) <= stat.start_time
                    for other in self._living.values()
                )
                owner = worker.key if stat.dead or not others else None
            if owner == worker.key:
                left.append(stat)
        if worker.group is not None:
            inside = (proc_tree.read_stat(pid) for pid in worker.group.pids())
            left += [stat for stat in inside if stat]
        return left

    def _kill(self, worker: Worker, left: list[ProcessStat], table: Table) -> None:
        """SIGKILL to processes and all their descendants.

        One forked after the table was read is found by the next round, which follows as long
        as anything is left.
        """
        pids = proc_tree.with_descendants(table, (stat.pid for stat in left)) - {os.getpid()}
        # The main process first: it must not see a child die and end "well" before its turn.
        if worker.running and worker.pid is not None:
            _signal([worker.pid], signal.SIGKILL)
        if not worker.lost:
            # A group is hit at one blow, between the forks of a process that forks and ends.
            # Those of a lost worker may be known by a marker alone, which proves less.
            for group in {table[pid].group for pid in pids} - {os.getpgrp()}:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
        _signal(pids, signal.SIGKILL)

    def _finish(self, worker: Worker, cause: str = "", message: str = "") -> None:
        """Note a worker's end in the journal, then tell about it."""
        if worker.pending is None:
            found, exit_code, number = worker.ended_as()
            if worker.group is not None:
                worker.peak = worker.group.peak_bytes() or worker.peak
            worker.pending = {
                "key": worker.key,
                "cause": cause or found,
                "exit_code": exit_code,
                "signal": number,
                "peak": worker.peak,
                "at_ms": time.time_ns() // 1_000_000,
                "message": message,
            }
            if worker.log:
                files = worker.log["files"]
                worker.pending["log_ends"] = [_size(f"{files}.out"), _size(f"{files}.err")]
        try:
            self._journal.exited(worker.pending)
        except OSError:
            self._end_at = 0.0  # stays among the living; tick tries again
            return
        worker.exit, worker.pending = worker.pending, None
        if worker.group is not None:
            worker.group.remove()
        if not worker.lost:  # what an earlier nest saw of it is gone with that
            self._ranks.add(worker.key, worker.used, worker.exit["at_ms"])
        del self._living[worker.key]
        if worker.pid is not None:
            self._sessions.pop(worker.pid, None)
        self._on_exit(worker.record)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
