"""The restore drill: work, a backup, more work, Redis and its disk lost, the backup restored."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headrace_local import processes
from tests.acceptance.conftest import Headrace, pids_with, until, waits_for

_RECONCILED = "reconciled after a restore from"
_OUTPUTS = {"o": {"category": "OUTPUT", "format": "GENERIC"}}


def _writes(gate: Path, text: str) -> tuple[str, ...]:
    return (*waits_for(gate)[:2], f"{waits_for(gate)[2]}; echo {text} > {{output}}/a.txt")


def _dataset(headrace: Headrace, name: str, folder: Path, *, seal: bool = True) -> None:
    file = folder / f"{name}.txt"
    file.write_text(f"{name}\n")
    headrace.said("dataset", "create", name, "--category", "OBSERVATION")
    assert headrace.cli("dataset", "upload", name, str(file)).returncode == 0
    if seal:
        headrace.said("dataset", "seal", name)


def _state(headrace: Headrace, name: str) -> Any:
    answer = headrace.ask("GET", f"/datasets/{name}")
    return answer.json["state"] if answer.status == 200 else answer.status


def _lose_redis(headrace: Headrace) -> None:
    """A power cut of Redis, whose disk and key file are gone with it; it begins empty."""
    (server,) = processes.find(headrace.home.id, "redis")
    os.kill(server.pid, signal.SIGSTOP)  # it must not write while its folder goes
    for entry in headrace.home.redis.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    headrace.home.secrets_key.unlink()
    os.kill(server.pid, signal.SIGKILL)


def test_what_was_accepted_before_the_backup_completes_once(
    headrace: Headrace, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    gates = {name: headrace.gate() for name in ("long", "sealed", "plain", "later", "queued")}
    for name in ("before", "doomed", "regretted"):
        _dataset(headrace, name, tmp_path)
    _dataset(headrace, "filled", tmp_path, seal=False)
    headrace.said("secrets", "set", "pass", typed="word\n")
    long = headrace.submit(*waits_for(gates["long"]))
    sealed = headrace.submit(*_writes(gates["sealed"], "once"), outputs=_OUTPUTS)
    plain = headrace.submit(*waits_for(gates["plain"]))
    for job in (long, sealed, plain):
        headrace.until(job, "RUNNING")
    # They wait for what the three hold, so that the backup has them waiting.
    waiting = headrace.submit("true", after=[long])
    queued = headrace.submit(*_writes(gates["queued"], "late"), outputs=_OUTPUTS, after=[sealed])
    reads = headrace.submit(
        "sh", "-c", "cat $HEADRACE_SECRETS/pass", secrets=["pass"], after=[long]
    )

    file = tmp_path / "backup.tar"
    assert "holds Headrace as of" in headrace.local("backup", str(file))
    assert file.stat().st_mode & 0o777 == 0o600

    for name in ("sealed", "plain", "queued"):
        gates[name].touch()
    for job in (sealed, plain, queued):
        headrace.until(job, "COMPLETED")
    outputs = {job: headrace.get(f"/jobs/{job}/outputs")["outputs"] for job in (sealed, queued)}
    headrace.said("dataset", "seal", "filled")
    _dataset(headrace, "after", tmp_path)
    assert headrace.cli("dataset", "delete", "doomed", "--now", "--yes").returncode == 0
    assert headrace.cli("dataset", "delete", "regretted", "--yes").returncode == 0
    later = headrace.submit(*waits_for(gates["later"]))
    headrace.until(later, "RUNNING")
    lives = {name: pids_with(str(gates[name])) for name in ("long", "later")}

    began = time.monotonic()
    _lose_redis(headrace)
    # Redis comes back empty, and the agent leaves alone what that one does not know.
    log = headrace.home.log("services")
    until(lambda: "is kept, not removed" in log.read_text(), "the quarantine")
    headrace.local("down")
    assert "is as it was at" in headrace.local("restore", str(file), "--yes")
    headrace.up()

    for job in (sealed, queued):
        view = headrace.until(job, "COMPLETED")
        assert view["attempt"] == 1, "its outputs were in the store"
        assert headrace.get(f"/jobs/{job}/outputs")["outputs"] == outputs[job]
        made = headrace.get(f"/datasets?job={job}")["datasets"]
        assert [each["id"] for each in made] == list(outputs[job].values())
    assert headrace.until(plain, "COMPLETED")["attempt"] == 2, "nobody knew that it had completed"
    assert headrace.job(long)["status"] == "MODEL_EXEC:RUNNING"
    assert {name: pids_with(str(gates[name])) for name in lives} == lives, "nobody was ended"
    gates["long"].touch()
    for job in (long, waiting, reads):
        assert headrace.until(job, "COMPLETED")["attempt"] == 1
    assert headrace.log(long) == "ready\n"
    assert headrace.log(reads) == "word\n"
    record_property("restored_s", round(time.monotonic() - began, 1))

    names = ("before", "filled", "after", "doomed", "regretted")
    assert [_state(headrace, name) for name in names] == ["SEALED", "SEALED", "SEALED", 404, 404]
    headrace.said("dataset", "undelete", "regretted")
    assert _state(headrace, "regretted") == "SEALED"
    assert headrace.cli("dataset", "undelete", "doomed").returncode != 0
    assert headrace.ask("GET", f"/jobs/{later}").status == 404
    (node,) = headrace.said("nodes", "list")
    assert node["quarantined"] == [f"{later}.1"]
    assert node["capacity"]["cpus"] == 2 - 0.1, "what it uses is not offered"
    headrace.said("nodes", "discard", "local", "--yes")
    until(lambda: not pids_with(str(gates["later"])), "the worker to be ended")
    until(
        lambda: headrace.said("nodes", "list")[0]["capacity"]["cpus"] == 2, "its share to be back"
    )
    until(lambda: not headrace.said("nodes", "list")[0]["quarantined"], "nothing to be kept")


def test_a_store_that_is_empty_costs_no_dataset(headrace: Headrace, tmp_path: Path) -> None:
    """Rather the wrong store, or one that is not there yet, than one whose all was deleted."""
    _dataset(headrace, "safe", tmp_path)
    file = tmp_path / "backup-of-all.tar"
    headrace.local("backup", str(file))
    headrace.local("down")
    store, away = headrace.home.store, headrace.home.store.with_name("store-away")
    log = headrace.home.log("services")
    before = log.read_text().count(_RECONCILED)
    headrace.local("restore", str(file), "--yes")
    store.rename(away)
    headrace.up()
    # What a restore deletes is deleted before that is said.
    until(lambda: log.read_text().count(_RECONCILED) > before, "Redis to be compared")
    assert _state(headrace, "safe") == "SEALED"
    assert "the store holds nothing of dataset safe v1, nor of any other" in log.read_text()

    headrace.local("down")
    shutil.rmtree(store)
    away.rename(store)
    headrace.up()
    assert headrace.cli("dataset", "download", "safe", str(tmp_path / "got")).returncode == 0
    assert (tmp_path / "got" / "safe.txt").read_text() == "safe\n"
