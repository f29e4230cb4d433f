"""Why not now, when, and what would come of it: asked of a real `headrace local`."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace_local.redis_users import connect
from headrace_model.estimate import LEAST
from tests.acceptance.conftest import Headrace, until, waits_for

_ALL = {"cpus": 2, "memory": "64MiB"}
# What moves by itself: leases are renewed, nodes count their lives, hints are told.
_OWN_LIFE = (
    "hr:lease:",
    "hr:node:",
    "hr:events",
    "hr:commits",
    "hr:inventory:",
    "hr:token:",
    "hr:series:",
)


def _file(folder: Path, **keys: Any) -> str:
    job = {"headrace": 1, "kind": "command", "name": "job", "command": ["true"], **keys}
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    return str(path)


async def _redis(headrace: Headrace) -> dict[str, bytes]:
    """All that Redis holds, but for what moves by itself."""
    redis = connect(headrace.home)
    try:
        await redis.open()
        keys = [key for key in await redis.command("KEYS", "*") if not key.startswith(_OWN_LIFE)]
        kinds = {
            "hash": lambda key: ("HGETALL", key),
            "zset": lambda key: ("ZRANGE", key, 0, -1, "WITHSCORES"),
            "set": lambda key: ("SMEMBERS", key),
            "list": lambda key: ("LRANGE", key, 0, -1),
            "string": lambda key: ("GET", key),
        }
        held = {}
        for key in keys:
            kind = await redis.command("TYPE", key)
            found = await redis.command(*kinds[str(kind)](key))
            held[key] = sorted(found) if kind == "set" else found
        return held
    finally:
        await redis.close()


def _everything(headrace: Headrace) -> tuple[Any, Any]:
    """What Redis holds, and each file of the store with its size."""
    held: list[Any] = []

    async def read() -> bool:
        held[:] = [await _redis(headrace)]
        return True

    until(read, "Redis to be read")
    store = headrace.home.root / "store"
    files = {str(path): path.stat().st_size for path in store.rglob("*") if path.is_file()}
    return held[0], files


class TestPlan:
    def test_what_would_start_is_told_on_one_page_and_nothing_changes(
        self, headrace: Headrace, tmp_path: Path
    ) -> None:
        headrace.until(headrace.submit("true"), "COMPLETED")
        headrace.no_leaks()
        (tmp_path / "mine").write_text("1")
        file = _file(
            tmp_path,
            command=["cat", "{extra}/mine"],
            inputs={"extra": {"path": "mine"}},
            limits={"time": "10m"},
            resources={"cpus": 1, "memory": "64MiB"},
        )
        before = _everything(headrace)
        done = headrace.cli("exec", "plan", file)
        assert done.returncode == 0, done.stderr
        for word in ("STARTS", "local: 1 CPU", "extra: upload", "start", "end"):
            assert word in done.stdout
        assert _everything(headrace) == before

    @pytest.mark.parametrize(
        ("keys", "code", "outcome"),
        [
            ({"start_not_before": "2999-01-01T00:00Z"}, 8, "WAITS"),
            (
                {"inputs": {"x": {"category": "FORCING", "domain": {"DATA_ID": ["nowhere"]}}}},
                10,
                "DATA_MISSING",
            ),
        ],
    )
    def test_the_exit_code_tells_what_would_come_of_it(
        self, headrace: Headrace, tmp_path: Path, keys: dict[str, Any], code: int, outcome: str
    ) -> None:
        done = headrace.cli("exec", "plan", _file(tmp_path, **keys), "-o", "json")
        assert done.returncode == code, done.stderr
        view = json.loads(done.stdout)
        assert view["outcome"] == outcome
        assert view["sentence"]

    @pytest.mark.parametrize(
        ("keys", "said"),
        [
            ({"resources": {"cpus": 999}}, "999 CPUs"),
            ({"resources": {"labels": {"disk": "fast"}}}, "disk=fast"),
            ({"resources": {"pool": "none"}}, "there is no pool 'none'"),
            ({"deadline": "2001-01-01T00:00Z"}, "can't be met"),
            ({"image": "busybox"}, "container"),
        ],
    )
    def test_what_could_never_start_has_one_code_whatever_the_reason(
        self, headrace: Headrace, tmp_path: Path, keys: dict[str, Any], said: str
    ) -> None:
        done = headrace.cli("exec", "plan", _file(tmp_path, **keys), "-o", "json")
        assert done.returncode == 9, done.stdout + done.stderr
        view = json.loads(done.stdout)
        assert view["outcome"] == "NEVER"
        assert said in view["sentence"]
        assert view["placement"]["hint"]

    def test_what_is_no_job_has_another_code(self, headrace: Headrace, tmp_path: Path) -> None:
        wrong = headrace.cli("exec", "plan", _file(tmp_path, resources={"cpus": "many"}))
        assert wrong.returncode == 4

    def test_the_end_is_foreseen_from_earlier_runs_and_matching_data_is_named(
        self, headrace: Headrace, tmp_path: Path
    ) -> None:
        ask = {"cpus": 1, "memory": "64MiB"}
        runs = [headrace.submit("true", "planned", resources=ask) for _ in range(LEAST)]
        for run in runs:
            headrace.until(run, "COMPLETED")
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "a").write_text("1")
        made = headrace.cli(
            "dataset",
            "create",
            "planned",
            "--category",
            "CONFIG",
            "--domain",
            "{DATA_ID: planned}",
            "--upload",
            str(tmp_path / "mine"),
        )
        assert made.returncode == 0, made.stderr
        file = _file(tmp_path, command=["true", "planned"], resources=ask, limits={"time": "10h"})

        def foreseen() -> Any:
            placement = headrace.said("exec", "plan", file)["placement"]
            return placement if f"{LEAST} runs of this command" in placement["basis"] else None

        view = until(foreseen, "all the runs that were are counted")
        lasts = datetime.fromisoformat(view["end"]["high"]) - datetime.fromisoformat(
            view["start"]["at"]
        )
        assert lasts < timedelta(hours=1)
        wants = {"c": {"category": "CONFIG", "domain": {"DATA_ID": ["planned"]}}}
        page = headrace.cli("exec", "plan", _file(tmp_path, inputs=wants))
        assert "c: fulfilled by planned@1" in page.stdout, page.stdout + page.stderr

    def test_a_busy_node_is_waited_for_or_less_is_asked(
        self, headrace: Headrace, tmp_path: Path
    ) -> None:
        gate = headrace.gate()
        half = {"cpus": 1, "memory": "64MiB"}
        busy = headrace.submit(*waits_for(gate), resources=half, limits={"time": "1h"})
        headrace.until(busy, "RUNNING")
        file = _file(tmp_path, resources=_ALL, limits={"time": "10m"})
        done = headrace.cli("exec", "plan", file, "-o", "json")
        assert done.returncode == 8, done.stderr
        placed = json.loads(done.stdout)["placement"]
        assert placed["change"]["set"] == {"resources.cpus": "1"}
        assert placed["start"]["low"] <= placed["start"]["at"] <= placed["start"]["high"]
        again = headrace.cli("exec", "plan", file, "--set", "resources.cpus=1")
        assert again.returncode == 0, again.stderr
        gate.touch()
        headrace.until(busy, "COMPLETED")


def _foreseen(headrace: Headrace, job: str, position: int) -> Any:
    """When a waiting job starts, once the forecast has it at its place."""

    def told() -> Any:
        when = headrace.said("jobs", "when", job)
        return when if when["at"] and when["position"] == position else None

    return until(told, f"the start of {job} is foreseen")


def _reserved(headrace: Headrace, job: str) -> Any:
    """Why a job waits, once it is the one that nodes are kept free for."""
    why = headrace.said("jobs", "why", job)
    return why if why["causes"] and why["causes"][0]["cause"] == "RESERVED" else None


class TestWhyAndWhen:
    def test_a_waiting_job_is_told_its_causes_its_change_and_its_time(
        self, headrace: Headrace
    ) -> None:
        gate = headrace.gate()
        half = {"cpus": 1, "memory": "64MiB"}
        busy = headrace.submit(*waits_for(gate), resources=half, limits={"time": "1h"})
        headrace.until(busy, "RUNNING")
        first, second = (
            headrace.submit("true", resources=_ALL, limits={"time": "10m"}) for _ in range(2)
        )
        why = until(lambda: _reserved(headrace, first), "the scheduler has seen both jobs")
        assert [each["cause"] for each in why["causes"]] == ["RESERVED", "CPUS"]
        assert why["change"]["set"] == {"resources.cpus": "1"}
        assert why["position"] == 1
        when = _foreseen(headrace, first, 1)
        assert when["low"] < when["at"] < when["high"]
        assert "from time limits" in when["basis"]
        later = _foreseen(headrace, second, 2)
        assert later["at"] >= when["at"]

        def shown() -> Any:
            info = headrace.said("jobs", "info", second)
            return info if info.get("position") == 2 else None

        info = until(shown, "the list of who waits has both jobs")
        assert info["start"]["low"] <= info["start"]["at"] <= info["start"]["high"]
        assert "starts" in headrace.cli("jobs", "info", second).stdout
        assert "and runs; its time limit" in headrace.said("jobs", "when", busy)["sentence"]
        gate.touch()
        for job in (first, second):
            headrace.until(job, "COMPLETED")
        assert headrace.said("jobs", "when", first)["sentence"] != when["sentence"]

    def test_who_is_held_or_starts_later_has_no_place_and_what_started_tells_when(
        self, headrace: Headrace
    ) -> None:
        later = headrace.submit("true", start_not_before="2999-01-01T00:00Z")
        when = headrace.said("jobs", "when", later)
        assert when["at"].startswith("2999-01-01")
        assert when["position"] is None
        assert headrace.said("jobs", "why", later)["position"] is None
        headrace.said("jobs", "hold", later)
        held = headrace.said("jobs", "when", later)
        assert [held[key] for key in ("at", "position", "basis")] == [None, None, None]
        assert "held by its owner" in held["sentence"]
        assert held["made"], held
        headrace.said("jobs", "release", later)
        gate = headrace.gate()
        runs = headrace.submit(*waits_for(gate), limits={"time": "1h"})
        headrace.until(runs, "RUNNING")
        behind = headrace.submit("true", after=[runs], resources={"cpus": 1, "memory": "64MiB"})
        told = headrace.said("jobs", "when", runs)
        assert told["low"] == told["at"] == told["high"]
        assert "its time limit ends it at" in told["sentence"]
        assert (
            f"job {runs} is in MODEL_EXEC:RUNNING"
            in (headrace.said("jobs", "when", behind)["sentence"])
        )
        gate.touch()
        headrace.until(behind, "COMPLETED")
        over = headrace.said("jobs", "when", behind)["sentence"]
        assert "It started at" in over
        assert "was over at" in over
        headrace.cli("jobs", "cancel", later)
        assert "It never started" in headrace.said("jobs", "when", later)["sentence"]

    def test_when_is_followed_until_the_job_starts(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        busy = headrace.submit(*waits_for(gate), resources=_ALL, limits={"time": "1h"})
        headrace.until(busy, "RUNNING")
        job = headrace.submit("true", resources=_ALL)
        with headrace.started("jobs", "when", job, "--follow", "-o", "json") as following:
            assert following.stdout is not None
            first = json.loads(following.stdout.readline())
            assert first["position"] == 1
            assert first["low"] <= first["at"] <= first["high"]
            gate.touch()
            rest = [json.loads(line) for line in following.stdout]
            assert following.wait(60) == 0
        assert rest[-1]["low"] == rest[-1]["at"] == rest[-1]["high"]
        headrace.until(job, "COMPLETED")
