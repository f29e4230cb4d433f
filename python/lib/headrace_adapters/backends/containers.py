"""Workers as containers: how one is described to the engine, and what the engine tells of it.

Pure. All that is known of a worker stands in its container: the name says which worker, so that
the engine itself refuses to make it twice, and the labels say the rest. Formats: Docker Engine
API 1.41, `ContainerCreate` and `ContainerInspect`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace_model.ids import JobId
from headrace_model.service import service_name
from headrace_model.usage import Sample
from headrace_model.worker import (
    ExitCause,
    Handle,
    Inside,
    Mount,
    RunningWorker,
    TaskLog,
    WorkerExit,
    WorkerKey,
    WorkerLaunch,
)

PREFIX: Final = "headrace."
BUILDER: Final = f"{PREFIX}builder"
"""Marks a container that builds a software environment; its value is the owner."""
PIDS: Final = 4096
_LEAST_MEMORY_BYTES: Final = 6 * 2**20
_LEAST_MILLICPUS: Final = 10
_FIRST_SIGNAL: Final = 128
_LAST_SIGNAL: Final = 64
# What the engine kills a container with when it goes down itself, and what it says of one whose
# end it did not see.
_ENGINE_ENDED: Final = frozenset({137, 143, 255})
# What the engine's init leaves with, and says, when it can't execute the program.
_NOT_EXECUTABLE: Final = frozenset({126, 127})
_INIT_FAILED: Final = re.compile(r"\[FATAL tini \(\d+\)\] (exec .*)\s*\Z")

# tini, as which the engine's init runs, then signals the whole group and not its child alone.
_SIGNAL_ALL: Final = "TINI_KILL_PROCESS_GROUP=1"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where in the files of its slot a task's output begins."""

    number: int
    out_begin: int
    err_begin: int


@dataclass(frozen=True, slots=True)
class Known:
    """What a container's labels say."""

    id: str
    key: WorkerKey
    exclusive: bool
    stdout: str
    stderr: str
    slot: Slot | None

    def path(self, stream: str) -> str:
        """The file that `out` or `err` goes into."""
        return self.stdout if stream == "out" else self.stderr

    def begin(self, stream: str) -> int:
        """Where in that file its output begins."""
        if self.slot is None:
            return 0
        return self.slot.out_begin if stream == "out" else self.slot.err_begin


def name_of(key: WorkerKey) -> str:
    """The name of a worker's container."""
    task = f"-{key.lease}-{key.index}" if key.is_task else ""
    return service_name(key.job, key.attempt, key.rank) + task


def containers_of(owner: str) -> list[str]:
    """The label filter of all workers that are ours."""
    return [f"{PREFIX}owner={owner}"]


def containers_of_attempt(owner: str, job: JobId, attempt: int) -> list[str]:
    """The label filter of one attempt's workers."""
    return [*containers_of(owner), f"{PREFIX}job={job}", f"{PREFIX}attempt={attempt}"]


def labels_of(owner: str, launch: WorkerLaunch, slot: Slot | None) -> dict[str, str]:
    """Everything that another program needs to go on with this worker."""
    key = launch.key
    plain: dict[str, object] = {
        "owner": owner, "job": key.job, "attempt": key.attempt, "rank": key.rank,
        "lease": key.lease, "index": key.index, "exclusive": int(launch.exclusive),
        "stdout": launch.stdout, "stderr": launch.stderr,
    }  # fmt: skip
    if slot is not None:
        plain["slot"] = f"{slot.number} {slot.out_begin} {slot.err_begin}"
    return {PREFIX + name: str(value) for name, value in plain.items()}


def known_of(id_: str, labels: Mapping[str, str]) -> Known:
    """Read the labels again."""

    def read(name: str) -> str:
        return labels[PREFIX + name]

    slot = labels.get(f"{PREFIX}slot")
    return Known(
        id=id_,
        key=WorkerKey(
            JobId(read("job")),
            *(int(read(name)) for name in ("attempt", "rank", "lease", "index")),
        ),
        exclusive=read("exclusive") == "1",
        stdout=read("stdout"),
        stderr=read("stderr"),
        slot=Slot(*map(int, slot.split())) if slot else None,
    )


def worker_settings(
    launch: WorkerLaunch, inside: Inside, network: str, engine_cpus: int
) -> dict[str, Any]:
    """What `create_host_config` is asked for a worker: its limits on top of `host_settings`.

    Memory is limited without swap, so that OOM means what the job asked for.
    """
    memory, millicpus = limits_of(launch, inside, engine_cpus)
    return {
        **host_settings(inside.mounts, network),
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": millicpus * 1_000_000,
        "oom_score_adj": 500,
    }


def limits_of(launch: WorkerLaunch, inside: Inside, engine_cpus: int) -> tuple[int | None, int]:
    """The limits of memory (bytes, None: no limit) and CPU (millicpus).

    An engine refuses some above its machine's CPUs, and below what a container needs at all.
    """
    memory = launch.memory_bytes and max(launch.memory_bytes, _LEAST_MEMORY_BYTES)
    return memory, min(max(inside.millicpus, _LEAST_MILLICPUS), engine_cpus * 1000)


def oldest_first(listed: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Listed containers in the order in which they were made.

    An engine lists the newest first, and says of each only the second when it was made.
    """
    newest_first = sorted(listed, key=lambda each: each["Created"], reverse=True)
    return newest_first[::-1]


def host_settings(mounts: Sequence[Mount], network: str) -> dict[str, Any]:
    """Least privilege: no capability, a read-only root; `/tmp` is memory of the container."""
    return {
        "mounts": [
            {
                "Type": "bind",
                "Source": mount.source,
                "Target": mount.target,
                "ReadOnly": mount.read_only,
            }
            for mount in mounts
        ],
        "pids_limit": PIDS,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777"},  # noqa: S108 - inside the container
        "init": True,
        "network_mode": network,
        # Named, because an engine may be set to a driver whose logs can't be read again whole.
        "log_config": {"type": "json-file", "config": {}},
    }


def environment_of(env: Mapping[str, str]) -> list[str]:
    """The environment as the engine takes it."""
    return [_SIGNAL_ALL, *(f"{name}={value}" for name, value in env.items())]


def is_over(found: Mapping[str, Any]) -> bool:
    """Tell whether an inspected container runs no more, or could not be started at all."""
    state = found["State"]
    if state["Status"] == "created":
        return bool(state["Error"])
    return state["Status"] in ("exited", "dead")


def was_started(found: Mapping[str, Any]) -> bool:
    """Tell whether starting it was tried."""
    return bool(found["State"]["Status"] != "created" or found["State"]["Error"])


def runs(found: Mapping[str, Any]) -> bool:
    """Tell whether it is just running."""
    return bool(found["State"]["Running"])


def running_of(known: Known, *, started: bool = True) -> RunningWorker:
    """A worker that is there; one that was not `started` has no handle."""
    log = TaskLog(known.slot.number, known.slot.out_begin, known.slot.err_begin) if (
        known.slot
    ) else None  # fmt: skip
    handle = Handle(known.id) if started else None
    return RunningWorker(known.key, handle, known.exclusive, None, log)


def exit_of(
    known: Known,
    found: Mapping[str, Any],
    *,
    ends: tuple[int, ...],
    last_words: str,
    seen: bool,
    peak_memory_bytes: int,
    now_ms: int,
) -> WorkerExit:
    """How a container that `is_over` ended.

    `ends`: where in its two files its output ends; `last_words`: the end of what it printed on
    stderr; `seen`: it was seen to run, and nothing was away since; `peak_memory_bytes`: the
    highest that was seen; `now_ms` stands for the time of what never ran.
    """
    state = found["State"]
    cause, code, signal, message = _cause(state, last_words, seen)
    if cause is ExitCause.OOM:  # it came to its limit, whatever was seen before
        peak_memory_bytes = max(peak_memory_bytes, found["HostConfig"]["Memory"])
    log = None
    if known.slot is not None:
        slot = known.slot
        log = TaskLog(slot.number, slot.out_begin, slot.err_begin, ends[0], ends[1])
    return WorkerExit(
        key=known.key,
        handle=None if cause is ExitCause.NOT_STARTED else Handle(known.id),
        cause=cause,
        exit_code=code,
        signal=signal,
        peak_memory_bytes=peak_memory_bytes,
        at_ms=milliseconds(state["FinishedAt"]) or now_ms,
        message=message,
        log=log,
    )


def memory_of(stats: Mapping[str, Any]) -> int:
    """What a sample says a container uses, as `docker stats` counts: without files that are only
    cached. 0 where it does not run. (cgroup v1 and v2 name those differently.)"""
    memory = stats.get("memory_stats") or {}
    inside = memory.get("stats") or {}
    cached = inside.get("total_inactive_file", inside.get("inactive_file", 0))
    return max(0, int(memory.get("usage", 0)) - int(cached))


def sample_of(stats: Mapping[str, Any], at_ms: int) -> Sample | None:
    """What a sample says a container has used; None where it does not run.

    Names of operations are capital with cgroup v1 and small with v2. Without a network of its own
    nothing is counted; in each, its own are added up.
    """
    cpu_ns = int(((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0))
    if not cpu_ns:
        return None
    moved = (stats.get("blkio_stats") or {}).get("io_service_bytes_recursive") or ()
    read, written = (
        sum(int(each["value"]) for each in moved if each["op"].lower() == way)
        for way in ("read", "write")
    )
    networks = (stats.get("networks") or {}).values()
    received, sent = (
        sum(int(each[way]) for each in networks) if networks else None
        for way in ("rx_bytes", "tx_bytes")
    )
    return Sample(at_ms, cpu_ns // 1_000_000, memory_of(stats), read, written, received, sent)


def lost(known: Known, at_ms: int) -> WorkerExit:
    """The end of a worker whose container somebody else removed."""
    return WorkerExit(
        known.key, Handle(known.id), ExitCause.LOST, None, None, 0, at_ms,
        "its container was removed",
    )  # fmt: skip


def _cause(
    state: Mapping[str, Any], last_words: str, seen: bool
) -> tuple[ExitCause, int | None, int | None, str]:
    code = int(state["ExitCode"])
    if state["Status"] == "created":
        return ExitCause.NOT_STARTED, None, None, _plain(str(state["Error"]))
    if code in _NOT_EXECUTABLE and (said := _INIT_FAILED.search(last_words)):
        return ExitCause.NOT_STARTED, None, None, said[1]
    if state["OOMKilled"] and code != 0:
        return ExitCause.OOM, None, 9, ""
    if not seen and code in _ENGINE_ENDED:
        return ExitCause.LOST, None, None, "the container engine was away"
    if _FIRST_SIGNAL < code <= _FIRST_SIGNAL + _LAST_SIGNAL:
        return ExitCause.SIGNALED, None, code - _FIRST_SIGNAL, ""
    return ExitCause.EXITED, code, None, ""


def _plain(error: str) -> str:
    """The last part of the runtime's sentence, which is the one about the program."""
    return error.split("starting container process caused: ")[-1].strip()[:500]


def milliseconds(text: str) -> int:
    """An instant of the engine ("2026-01-02T03:04:05.678901234Z") in ms since 1970."""
    whole, _, rest = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return max(0, int(seconds * 1000) + int((rest + "000")[:3]))
