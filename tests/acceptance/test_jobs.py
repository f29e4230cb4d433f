"""Jobs from their submit to their end, by the command line and REST of a real `headrace local`."""

import json
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from tests.acceptance.conftest import Headrace, pids_with, until, waits_for

_ALL = {"cpus": 2, "memory": "128MiB"}
_NO_RETRY = {"limit": 0}


def _file(**spec: Any) -> str:
    job = {"headrace": 1, "kind": "command", "name": "job", **spec}
    job.setdefault("resources", {"cpus": "100m", "memory": "64MiB"})
    return json.dumps(job)


def _small(*words: str) -> tuple[str, ...]:
    return ("exec", "run", "--cpus", "100m", "--memory", "64MiB", *words)


def _why(headrace: Headrace, job: str) -> str:
    return str(headrace.said("jobs", "why", job)["sentence"])


class TestHowJobsEnd:
    """What a job leaves with, and what the command line makes of it."""

    @pytest.mark.parametrize(
        ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)]
    )
    def test_follow_ends_with_the_exit_code_of_the_job(
        self, headrace: Headrace, script: str, code: int
    ) -> None:
        done = headrace.cli(
            *_small("--follow", "--", "sh", "-c", f"echo said; echo noted >&2; {script}")
        )
        assert done.returncode == code
        assert done.stdout == "said\n"
        assert "noted\n" in done.stderr

    def test_a_follow_that_ends_badly_tells_what_it_most_likely_failed_of(
        self, headrace: Headrace
    ) -> None:
        script = "import json; json.load(open('/no/such/forcing.json'))"
        words = _small("--follow", "--", "python3", "-c", script)
        done = headrace.cli(*words)
        assert done.returncode == 1
        said = done.stderr.partition("is FAILED")[2]
        assert "  fault       MISSING_FILE\n" in said
        assert "  hint        it misses a file: /no/such/forcing.json" in said
        assert "  last lines  Traceback" in said
        told = headrace.cli(*words[:2], "-o", "json", *words[2:])
        view = json.loads(told.stdout)
        assert (view["status"], view["triage"]["fault"]) == ("CLOSED:FAILED", "MISSING_FILE")
        info = headrace.said("jobs", "info", view["id"])
        assert info["triage"] == view["triage"]
        assert info["usage"]["attempt"] == 1
        assert info["progress"] is None

    def test_a_job_file_is_no_command_and_takes_the_same_changes_everywhere(
        self, headrace: Headrace, tmp_path: Path
    ) -> None:
        file = tmp_path / "job.yaml"
        wants = {"nowhere": {"category": "FORCING", "domain": {"DATA_ID": "no-such-thing"}}}
        file.write_text(_file(command=["true"], inputs=wants))
        done = headrace.cli("exec", "run", str(file))
        assert done.returncode == 2
        assert f"`headrace exec from_file {file}` runs it" in done.stderr
        match = ("dataset", "match", str(file))
        assert list(headrace.said(*match)) == ["nowhere"]
        change = ("--set", "inputs={}")
        assert headrace.said(*match, *change) == {}
        assert headrace.cli("dataset", "match", *change).returncode == 2
        assert headrace.cli("exec", "plan", str(file), *change).returncode in (0, 8)
        assert headrace.cli("exec", "from_file", str(file), *change, "--follow").returncode == 0

    def test_a_bad_exit_names_its_code(self, headrace: Headrace) -> None:
        job = headrace.submit("sh", "-c", "exit 7")
        view = headrace.until(job, "FAILED")
        assert (view["cause"], view["exit_code"]) == ("EXIT_CODE", 7)
        assert "exit code 7" in view["detail"]

    def test_a_time_limit_ends_a_job(self, headrace: Headrace) -> None:
        limits = {"time": "1s", "grace": "1s"}
        done = headrace.cli(
            "exec", "from_json", "-", "--follow",
            typed=_file(command=["sleep", "600"], limits=limits),
        )  # fmt: skip
        assert done.returncode not in (0, 7)
        assert "FAILED (TIME_LIMIT)" in done.stderr

    def test_too_much_memory_is_told_apart(self, headrace: Headrace) -> None:
        eats = "import time; held = b'x' * (300 << 20); time.sleep(60)"
        job = headrace.submit("python3", "-c", eats, retry=_NO_RETRY)
        view = headrace.until(job, "FAILED")
        assert view["cause"] == "OOM"
        assert "64" in view["detail"]

    def test_after_an_oom_the_next_attempt_has_twice_the_memory(self, headrace: Headrace) -> None:
        eats = "import time; held = b'x' * (80 << 20); time.sleep(1); print(len(held))"
        job = headrace.submit("python3", "-c", eats)
        view = headrace.until(job, "COMPLETED")
        assert view["attempt"] == 2
        assert headrace.log(job) == f"{80 << 20}\n"
        told = headrace.cli("jobs", "history", job).stdout
        assert "used more memory than 64.0 MiB: ask for more; attempt 2 asks 128.0 MiB" in told

    def test_memory_is_raised_up_to_a_limit_and_no_further(self, headrace: Headrace) -> None:
        eats = "import time; held = b'x' * (300 << 20); time.sleep(60)"
        retry = {"memory_limit": "100MiB"}
        view = headrace.until(headrace.submit("python3", "-c", eats, retry=retry), "FAILED")
        assert (view["cause"], view["attempt"]) == ("OOM", 2)
        assert "more than 100.0 MiB: that is `retry.memory_limit`" in view["detail"]

    def test_a_command_that_does_not_exist_is_not_started(self, headrace: Headrace) -> None:
        typed = _file(command=["no-such-program-here"], retry=_NO_RETRY)
        done = headrace.cli("exec", "from_json", "-", "--follow", typed=typed)
        assert done.returncode == 1
        assert "FAILED (NOT_STARTED)" in done.stderr
        assert "no-such-program-here" in done.stderr

    @pytest.mark.parametrize("paradigm", ["FILL_NODES", "ROUND_ROBIN", "SINGLE_NODE"])
    def test_every_paradigm_works_on_one_node(self, headrace: Headrace, paradigm: str) -> None:
        resources = {"cpus": 2, "memory": "128MiB", "paradigm": paradigm}
        job = headrace.submit("echo", "hi", resources=resources)
        headrace.until(job, "COMPLETED")
        assert headrace.log(job) == "hi\n"


class TestSteering:
    """stop, restart, hold, release, cancel, retry; each may be repeated."""

    def test_a_stopped_job_is_restarted_as_attempt_2(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        job = headrace.submit(*waits_for(gate))
        headrace.until(job, "RUNNING")
        for _ in range(2):
            assert headrace.cli("jobs", "stop", job).returncode == 0
            headrace.until(job, "STOPPED")
        assert "is stopped" in _why(headrace, job)
        gate.touch()
        assert headrace.cli("jobs", "restart", job).returncode == 0
        assert headrace.until(job, "COMPLETED")["attempt"] == 2
        # A repeat, as after an answer that was lost, is success.
        assert headrace.cli("jobs", "restart", job).returncode == 0
        assert headrace.until(job, "COMPLETED")["attempt"] == 2

    def test_a_job_that_was_never_stopped_is_not_restarted(self, headrace: Headrace) -> None:
        job = headrace.submit("true")
        headrace.until(job, "COMPLETED")
        assert headrace.cli("jobs", "restart", job).returncode == 4

    def test_following_a_job_that_is_stopped_ends_with_7(self, headrace: Headrace) -> None:
        job = headrace.submit("sleep", "600")
        headrace.until(job, "RUNNING")
        with headrace.started("jobs", "logs", job, "--follow") as follower:
            headrace.ask("POST", f"/jobs/{job}:stop")
            assert follower.wait(60) == 7

    def test_a_held_job_waits_until_it_is_released(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        blocker = headrace.submit(*waits_for(gate), resources=_ALL)
        headrace.until(blocker, "RUNNING")
        last = headrace.gate()
        job = headrace.submit(*waits_for(last))
        for _ in range(2):
            assert headrace.cli("jobs", "hold", job).returncode == 0
        gate.touch()
        headrace.until(blocker, "COMPLETED")
        after = headrace.submit("true")
        headrace.until(after, "COMPLETED")  # who came later went ahead
        assert headrace.job(job)["status"] == "MODEL_EXEC:AWAITING_ALLOCATION"
        assert "held by its owner" in _why(headrace, job)
        for _ in range(2):
            assert headrace.cli("jobs", "release", job).returncode == 0
        last.touch()
        headrace.until(job, "COMPLETED")

    def test_a_running_job_can_not_be_held(self, headrace: Headrace) -> None:
        job = headrace.submit("sleep", "600")
        headrace.until(job, "RUNNING")
        done = headrace.cli("jobs", "hold", job)
        assert done.returncode == 4
        assert "next:" in done.stderr
        assert "stop" in done.stderr
        headrace.ask("POST", f"/jobs/{job}:cancel")
        headrace.until(job, "CANCELED")

    def test_cancel_ends_the_whole_tree_of_processes(self, headrace: Headrace) -> None:
        marker = f"600.{int(token_hex(6), 16)}"
        tree = (
            f"sleep {marker} & setsid sh -c 'trap : TERM; sleep {marker}; sleep {marker}' & wait"
        )
        job = headrace.submit("sh", "-c", tree, limits={"grace": "1s"})
        until(lambda: len(pids_with(f"sleep\0{marker}")) == 2, "the tree of processes")
        with headrace.started("jobs", "logs", job, "--follow") as follower:
            for _ in range(2):
                assert headrace.cli("jobs", "cancel", job).returncode == 0
                headrace.until(job, "CANCELED")
            assert follower.wait(60) == 7
        assert pids_with(marker) == []
        assert headrace.cli("jobs", "restart", job).returncode == 4

    def test_a_job_is_canceled_wherever_it_waits(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        data = {"category": "OUTPUT", "format": "GENERIC", "domain": {"DATA_ID": token_hex(8)}}
        held = {"held": data}
        blocker = headrace.submit(*waits_for(gate), resources=_ALL, outputs=held)
        headrace.until(blocker, "RUNNING")
        waiting = {
            "AWAITING_PREREQUISITES": headrace.submit("true", after=[blocker]),
            "AWAITING_DATA_CHECK": headrace.submit("true", inputs=held),
            "AWAITING_DERIVATION": headrace.submit(
                "true", environment={"pip": [f"no-such-package-{token_hex(8)}"]}
            ),
            "AWAITING_ALLOCATION": headrace.submit("true"),
        }
        for step, job in waiting.items():
            headrace.until(job, step)
        (child,) = re.findall("0[0-9a-z]{15}", _why(headrace, waiting["AWAITING_DERIVATION"]))
        assert blocker in _why(headrace, waiting["AWAITING_PREREQUISITES"])
        done = headrace.cli("jobs", "cancel", *waiting.values())
        assert done.returncode == 0, done.stderr
        for job in (*waiting.values(), child):
            assert headrace.until(job, "CANCELED")["attempt"] == 1
            ended = headrace.cli("jobs", "watch", job)
            assert ended.returncode == 7
        headrace.ask("POST", f"/jobs/{blocker}:cancel")
        headrace.until(blocker, "CANCELED")

    def test_a_stopped_job_can_be_canceled(self, headrace: Headrace) -> None:
        job = headrace.submit("sleep", "600")
        headrace.until(job, "RUNNING")
        headrace.ask("POST", f"/jobs/{job}:stop")
        headrace.until(job, "STOPPED")
        assert headrace.cli("jobs", "cancel", job).returncode == 0
        assert headrace.job(job)["status"] == "CLOSED:CANCELED"

    def test_retry_makes_a_new_job_that_names_its_origin(self, headrace: Headrace) -> None:
        job = headrace.submit("sh", "-c", "echo hi; exit 3")
        assert headrace.ask("POST", f"/jobs/{job}:retry").status == 409
        headrace.until(job, "FAILED")
        again = headrace.said("jobs", "retry", job)["id"]
        assert again != job
        view = headrace.until(again, "FAILED")
        assert (view["origin"], view["attempt"]) == (job, 1)
        assert headrace.log(again) == "hi\n"

    def test_a_verb_for_an_unknown_job_ends_with_3(self, headrace: Headrace) -> None:
        assert headrace.cli("jobs", "stop", "0000000000000000").returncode == 3


class TestOrder:
    """Who runs when, and what is said about it."""

    def test_a_chain_runs_one_after_the_other(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        first = headrace.submit(*waits_for(gate))
        second = headrace.submit("true", after=[first])
        third = headrace.submit("true", after=[second, first])
        assert headrace.job(third)["status"] == "MODEL_EXEC:AWAITING_PREREQUISITES"
        assert f"waits for job {first} to complete" in _why(headrace, second)
        gate.touch()
        headrace.until(third, "COMPLETED")
        ends = [headrace.job(job)["entered"] for job in (first, second, third)]
        assert ends == sorted(ends)

    def test_a_prerequisite_that_fails_ends_the_whole_chain(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        first = headrace.submit("sh", "-c", " ".join(waits_for(gate)[2:]) + "; exit 3")
        second = headrace.submit("true", after=[first])
        third = headrace.submit("true", after=[second])
        gate.touch()
        for job, before in ((second, first), (third, second)):
            view = headrace.until(job, "FAILED")
            assert view["cause"] == "PREREQUISITE"
            assert before in view["detail"]
        assert headrace.cli("jobs", "watch", third).returncode == 1

    def test_after_an_unknown_job_is_refused(self, headrace: Headrace) -> None:
        done = headrace.cli(
            "exec", "from_json", "-", typed=_file(command=["true"], after=["0000000000000000"])
        )
        assert done.returncode in (3, 4)
        assert "0000000000000000" in done.stderr

    def test_a_job_does_not_start_before_its_time(self, headrace: Headrace) -> None:
        begin = datetime.now(UTC) + timedelta(seconds=6)
        job = headrace.submit("true", start_not_before=f"{begin:%Y-%m-%dT%H:%M:%S}Z")
        # Not by the command line, which on a busy machine takes seconds to say it.
        assert "may not start before" in headrace.get(f"/jobs/{job}/why")["sentence"]
        headrace.until(job, "COMPLETED")
        launched = [h["at"] for h in headrace.history(job) if h["to"].endswith("SCHEDULED")]
        assert datetime.fromisoformat(launched[0]) >= begin.replace(microsecond=0)

    def test_a_full_node_serves_the_highest_priority_first(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        blocker = headrace.submit(*waits_for(gate), resources=_ALL)
        headrace.until(blocker, "RUNNING")
        jobs = {
            priority: headrace.submit("true", resources=_ALL, priority=priority)
            for priority in (10, 90, 50)
        }
        first = _why(headrace, jobs[90])
        assert "It fits only after running jobs have ended" in first
        gate.touch()
        for job in jobs.values():
            headrace.until(job, "COMPLETED")
        begun = {
            priority: next(h["at"] for h in headrace.history(job) if h["to"].endswith("SCHEDULED"))
            for priority, job in jobs.items()
        }
        assert sorted(begun, key=lambda priority: begun[priority]) == [90, 50, 10]

    def test_a_small_job_behind_a_reservation_is_told_so(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        half = {"cpus": 1, "memory": "64MiB"}
        blocker = headrace.submit(*waits_for(gate), resources=half, limits={"time": "5m"})
        headrace.until(blocker, "RUNNING")
        first = headrace.submit("true", resources=_ALL)
        small = headrace.submit("sleep", "1", resources=half)
        said = _why(headrace, small)
        assert "reserved for a job that is ahead in the queue" in said
        gate.touch()
        for job in (first, small):
            headrace.until(job, "COMPLETED")

    def test_a_job_that_never_fits_is_refused_at_once(self, headrace: Headrace) -> None:
        done = headrace.cli("exec", "run", "--cpus", "64", "--", "true")
        assert done.returncode == 4
        assert "64" in done.stderr


class TestSeeing:
    """Lists and views for people and programs."""

    def test_lists_are_filtered(self, headrace: Headrace) -> None:
        name = f"named-{token_hex(4)}"
        good = headrace.submit("true", name=name)
        bad = headrace.submit("false", name=name)
        headrace.until(good, "COMPLETED")
        headrace.until(bad, "FAILED")

        def listed(*words: str) -> set[str]:
            return {job["id"] for job in headrace.said("jobs", "list", "-q", name, *words)}

        assert listed() == {good, bad}
        assert listed("--status", "completed") == {good}
        assert listed("--status", "COMPLETED", "--status", "CLOSED:FAILED") == {good, bad}
        assert listed("--status", "CLOSED") == {good, bad}
        assert listed("--status", "RUNNING") == set()
        assert listed("--kind", "command") == {good, bad}
        assert listed("--kind", "ngen") == set()
        assert listed("--owner", "nobody-here") == set()
        assert listed("--owner", headrace.job(good)["owner"]) == {good, bad}
        assert listed("--limit", "1") == {bad}
        wrong = headrace.cli("jobs", "list", "--status", "RUNING")
        assert wrong.returncode == 4
        assert "RUNNING" in wrong.stderr

    def test_what_programs_read_can_be_parsed(self, headrace: Headrace) -> None:
        job = headrace.submit("true")
        headrace.until(job, "COMPLETED")
        for words in (
            ("jobs", "list"),
            ("jobs", "info", job),
            ("jobs", "history", job),
            ("jobs", "why", job),
            ("jobs", "outputs", job),
            ("nodes", "list"),
            ("dataset", "list"),
        ):
            as_json = headrace.said(*words)
            done = headrace.cli(*words, "-o", "yaml")
            assert done.returncode == 0, done.stderr
            as_yaml = yaml.safe_load(done.stdout)
            assert type(as_yaml) is type(as_json)
            assert headrace.cli(*words).returncode == 0
            if words[0] == "jobs":
                assert as_yaml == as_json

    def test_ctrl_c_ends_the_following_and_not_the_job(self, headrace: Headrace) -> None:
        gate = headrace.gate()
        with headrace.started(*_small("--follow", "--", *waits_for(gate))) as follower:
            assert follower.stdout is not None
            assert follower.stderr is not None
            assert follower.stdout.readline() == "ready\n"
            follower.send_signal(signal.SIGINT)
            assert follower.wait(60) == 130
            noted = follower.stderr.read()
        (again,) = re.findall("`headrace (jobs logs .* --follow)`", noted)
        job = again.split()[2]
        assert headrace.job(job)["status"] == "MODEL_EXEC:RUNNING"
        gate.touch()
        done = headrace.cli(*again.split())
        assert done.returncode == 0
        assert done.stdout == "ready\n"


def test_a_job_that_runs_while_headrace_is_down_is_adopted(headrace: Headrace) -> None:
    gates: list[Path] = [headrace.gate(), headrace.gate()]
    jobs = [headrace.submit(*waits_for(gate)) for gate in gates]
    for job in jobs:
        headrace.until(job, "RUNNING")
    said = headrace.local("down")
    assert "2 workers of running jobs live on" in said
    gates[0].touch()  # the one ends while nobody looks, the other after the next `up`
    until(lambda: len(pids_with(str(gates[0]))) == 0, "the worker to end")
    headrace.up()
    gates[1].touch()
    for job in jobs:
        assert headrace.until(job, "COMPLETED")["attempt"] == 1
        assert headrace.log(job) == "ready\n"


def test_a_drained_node_ends_what_it_has_and_takes_nothing_new(headrace: Headrace) -> None:
    gate = headrace.gate()
    before = headrace.submit(*waits_for(gate))
    headrace.until(before, "RUNNING")
    assert headrace.said("nodes", "drain", "local")[0]["state"] == "DRAINED"
    try:
        after = headrace.submit("true")
        gate.touch()
        headrace.until(before, "COMPLETED")
        assert "local is DRAINED" in headrace.get(f"/jobs/{after}/why")["sentence"]
        assert headrace.job(after)["status"] == "MODEL_EXEC:AWAITING_ALLOCATION"
        refused = headrace.cli("nodes", "remove", "local", "--yes")
        assert refused.returncode != 0
        assert "is served by an agent" in refused.stderr
    finally:
        assert headrace.said("nodes", "undrain", "local")[0]["state"] == "UP"
    headrace.until(after, "COMPLETED")
