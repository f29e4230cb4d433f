"""What a worker runs with, and how its end becomes a fact."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_agent.core.command import (
    PASSED_ON,
    Folders,
    argv,
    environment,
    inherited_by_process,
    inherited_inside,
    placeholders,
)
from headrace_agent.core.ends import exit_fact
from headrace_kinds.base import WorkerTemplate
from headrace_model.cause import Cause
from headrace_model.ids import NodeId, job_id
from headrace_model.resources import Resources
from headrace_model.work import FactKind, Verb, Work
from headrace_model.worker import ExitCause, WorkerExit, WorkerKey

JOB = job_id(1_700_000_000_000, 1)
WORK = Work(
    NodeId("node1"), JOB, 2, Verb.LAUNCH, "{}", Resources(1_000, 512 * 2**20), rank=1, ranks=3
)
FOLDERS = Folders(
    datasets="/a/datasets",
    output="/a/output",
    work="/a/work",
    tmp="/a/tmp",
    home="/a/home",
    job_file="/a/job.json",
)
ENDED = WorkerExit(
    key=WorkerKey(JOB, 2, 1),
    handle=None,
    cause=ExitCause.EXITED,
    exit_code=0,
    signal=None,
    peak_memory_bytes=77,
    at_ms=5,
)


def env(
    given_env: tuple[tuple[str, str], ...] = (), inherited: dict[str, str] | None = None
) -> dict[str, str]:
    template = WorkerTemplate(("run",), given_env)
    values = placeholders(FOLDERS, ("rain",))
    of_agent = inherited_by_process(inherited or {}, ["/v/bin"])
    return environment(template, WORK, FOLDERS, values, of_agent)


def test_placeholders_become_the_places_on_this_node() -> None:
    template = WorkerTemplate(("run", "{rain}/x.nc", "{output}/{rain}", "{{rain}}"), ())
    values = placeholders(FOLDERS, ("rain",))
    assert argv(template, values)[:3] == (
        "run",
        "/a/datasets/rain/x.nc",
        "/a/output//a/datasets/rain",
    )


def test_a_worker_is_told_who_and_where_it_is() -> None:
    told = {name: value for name, value in env().items() if name.startswith("HEADRACE_")}
    assert told == {
        "HEADRACE_ATTEMPT": "2",
        "HEADRACE_DATASETS": "/a/datasets",
        "HEADRACE_JOB": JOB,
        "HEADRACE_JOB_FILE": "/a/job.json",
        "HEADRACE_OUTPUT": "/a/output",
        "HEADRACE_RANK": "1",
        "HEADRACE_NODE": "node1",
        "HEADRACE_RANKS": "3",
    }
    assert (env()["HOME"], env()["TMPDIR"]) == ("/a/home", "/a/tmp")


def test_a_job_file_may_set_variables_but_none_of_ours() -> None:
    found = env((("HEADRACE_JOB", "another"), ("HOME", "{output}"), ("MINE", "{rain}")))
    assert found["HEADRACE_JOB"] == JOB
    assert found["HOME"] == "/a/output"
    assert found["MINE"] == "/a/datasets/rain"


def test_a_worker_in_an_image_gets_nothing_that_names_a_file_of_the_node() -> None:
    agent = {"PATH": "/m", "SSL_CERT_FILE": "/m/ca", "PIP_CERT": "/m/ca", "HEADRACE_X": "1"}
    assert inherited_inside({**agent, "TZ": "UTC"}, []) == {"TZ": "UTC"}, "PATH is the image's"
    assert inherited_inside(agent, ["/v/bin"])["PATH"].startswith("/v/bin:/usr/")


def test_programs_of_the_environment_come_first_on_the_path() -> None:
    assert env(inherited={"PATH": "/machine"})["PATH"] == "/v/bin:/machine"
    assert env()["PATH"].startswith("/v/bin:/usr/")


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_nothing_of_the_agent_reaches_a_worker_but_what_is_listed(
    inherited: dict[str, str],
) -> None:
    ours = {"HEADRACE_INTERNAL_TOKEN_FILE": "/secret", "AWS_SECRET_ACCESS_KEY": "secret"}
    found = env(inherited={**inherited, **ours})
    assert not ours.keys() & found.keys()
    known = set(env())
    for name in found.keys() - known:
        assert name in PASSED_ON or name.startswith("PIP_")
        assert found[name] == inherited[name]


@pytest.mark.parametrize(
    ("ended", "cause", "says"),
    [
        (ENDED, None, ""),
        (replace(ENDED, exit_code=3), Cause.EXIT_CODE, "worker 1 left with exit code 3"),
        (
            replace(ENDED, cause=ExitCause.SIGNALED, exit_code=None, signal=11),
            Cause.EXIT_CODE,
            "worker 1 was ended by SIGSEGV",
        ),
        (
            replace(ENDED, cause=ExitCause.SIGNALED, exit_code=None, signal=63),
            Cause.EXIT_CODE,
            "worker 1 was ended by signal 63",
        ),
        (
            replace(ENDED, cause=ExitCause.OOM, exit_code=None, signal=9),
            Cause.OOM,
            "worker 1 used more memory than 512.0 MiB",
        ),
        (
            replace(ENDED, cause=ExitCause.NOT_STARTED, exit_code=None, message="no such file"),
            Cause.NOT_STARTED,
            "no such file",
        ),
        (replace(ENDED, cause=ExitCause.LOST, exit_code=None), Cause.ATTEMPT_LOST, "not known"),
    ],
    ids=lambda value: str(value) if isinstance(value, Cause) else "",
)
def test_every_end_has_its_cause_and_a_sentence(
    ended: WorkerExit, cause: Cause | None, says: str
) -> None:
    fact = exit_fact(WORK, ended, watchdog=False)
    assert (fact.kind, fact.cause) == (FactKind.EXITED, cause)
    assert says in fact.detail
    assert (fact.node, fact.job, fact.attempt) == (WORK.node, JOB, 2)
    assert (fact.exit_code, fact.signal) == (ended.exit_code, ended.signal)
    assert (fact.peak_memory_bytes, fact.at_ms) == (77, 5)


def test_what_was_not_measured_is_not_told_as_zero() -> None:
    fact = exit_fact(WORK, replace(ENDED, peak_memory_bytes=0), watchdog=False)
    assert fact.peak_memory_bytes is None


def test_a_worker_that_the_watchdog_killed_was_not_at_fault() -> None:
    killed = replace(ENDED, cause=ExitCause.SIGNALED, exit_code=None, signal=9)
    fact = exit_fact(WORK, killed, watchdog=True)
    assert fact.cause is Cause.ATTEMPT_LOST
    assert "exclusive" in fact.detail
    assert exit_fact(WORK, ENDED, watchdog=True).cause is None, "it ended well before the kill"


@pytest.mark.parametrize("cause", ExitCause)
def test_no_end_is_left_without_a_fact(cause: ExitCause) -> None:
    exit_fact(WORK, replace(ENDED, cause=cause, exit_code=None), watchdog=False)
