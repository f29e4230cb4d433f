"""What workers that work together find around them, and whose fault their ends are."""

from dataclasses import replace
from pathlib import Path

import pytest

from headrace_agent.core.ends import exit_fact
from headrace_agent.core.parallel import LOST_CODE
from headrace_agent.folders import AttemptFolder
from headrace_agent.launches import parallel_files, place_of, worker_launch
from headrace_model.cause import Cause
from headrace_model.resources import Paradigm, Resources
from headrace_model.spec import JobSpec, Parallel, ResourceSpec
from headrace_model.work import Work
from headrace_model.worker import ExitCause, Mount, WorkerExit, WorkerLaunch
from tests.unit.test_agent_core import ENDED, WORK

COMMAND = ("mpirun", "python", "x.py")
ONE = JobSpec(
    "command", "x", command=COMMAND, parallel=Parallel.MPI,
    resources=ResourceSpec(Resources(6000, 2**30)),
)  # fmt: skip
SPREAD = replace(
    ONE, image="mpi", resources=ResourceSpec(Resources(6000, 2**30), Paradigm.ROUND_ROBIN)
)
LEADER = replace(WORK, rank=0, resources=Resources(2000, 2**29))
OTHER = replace(LEADER, rank=1)
ALONE = replace(LEADER, ranks=1, resources=Resources(6000, 2**30))


def launched(work: Work, spec: JobSpec, image: str = "") -> WorkerLaunch:
    folder = AttemptFolder(Path("/a"))
    return worker_launch(folder, work, spec, place_of(folder, work, spec, image, None))


@pytest.mark.parametrize(("image", "hosts"), [("", "/a/parallel"), ("i", "/headrace/parallel")])
def test_alone_on_a_node_it_runs_the_command_with_its_slots(image: str, hosts: str) -> None:
    launch = launched(ALONE, replace(ONE, image=image or None), image)
    assert launch.argv == COMMAND
    assert launch.env["OMPI_MCA_orte_default_hostfile"] == f"{hosts}/hosts"
    assert parallel_files(ALONE, ONE, None) == {"hosts": "localhost slots=6\n"}
    assert "HEADRACE_PARALLEL_KEY" not in launch.env
    if image:
        assert launch.inside is not None
        assert launch.inside.ranks == 1
        assert Mount("/a/parallel", "/headrace/parallel") in launch.inside.mounts


def test_only_a_process_of_root_may_run_mpirun_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getuid", lambda: 0)
    assert launched(ALONE, ONE).env["OMPI_ALLOW_RUN_AS_ROOT"] == "1"
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in launched(ALONE, SPREAD, "i").env
    monkeypatch.setattr("os.getuid", lambda: 1000)
    assert "OMPI_ALLOW_RUN_AS_ROOT" not in launched(ALONE, ONE).env


@pytest.mark.parametrize("work", [LEADER, OTHER])
def test_with_others_it_runs_what_waits_for_them_or_serves_them(work: Work) -> None:
    launch = launched(work, SPREAD, "i")
    assert launch.argv == ("/bin/sh", "/headrace/parallel/start.sh", *COMMAND)
    assert launch.inside is not None
    assert launch.inside.ranks == 3
    assert Mount("/a/parallel/passwd", "/etc/passwd") in launch.inside.mounts
    assert launch.env["HEADRACE_SLOTS"] == "2"
    assert launch.env["OMPI_MCA_plm_rsh_agent"] == "ssh -F /headrace/parallel/ssh_config"
    files = parallel_files(work, SPREAD, (10001, 10002))
    entry = "headrace:*:10001:10002::/headrace/home:/bin/sh\n"
    assert files["passwd"] == entry
    assert files["start.sh"].startswith("#!/bin/sh\n")
    assert sorted(files) == ["passwd", "session.sh", "ssh_config", "sshd_config", "start.sh"]


def test_the_jobs_own_variables_win() -> None:
    spec = replace(ONE, env=(("OMPI_MCA_mpi_yield_when_idle", "0"),))
    assert launched(ALONE, spec).env["OMPI_MCA_mpi_yield_when_idle"] == "0"


def test_a_job_that_is_not_parallel_is_told_nothing_of_it() -> None:
    plain = replace(SPREAD, parallel=None)
    launch = launched(LEADER, plain, "i")
    assert launch.argv == COMMAND
    assert not [name for name in launch.env if name.startswith("OMPI")]
    assert parallel_files(LEADER, plain, None) == {}
    assert launch.inside is not None
    assert launch.inside.ranks == 1


KILLED = replace(ENDED, cause=ExitCause.SIGNALED, exit_code=None, signal=9)
OOM = replace(ENDED, cause=ExitCause.OOM, exit_code=None, signal=9)


@pytest.mark.parametrize(
    ("work", "ended", "cause", "says"),
    [
        (LEADER, ENDED, None, ""),
        (LEADER, replace(ENDED, exit_code=1), Cause.EXIT_CODE, "exit code 1"),
        (LEADER, replace(ENDED, exit_code=LOST_CODE), Cause.ATTEMPT_LOST, "another rank"),
        (LEADER, KILLED, Cause.EXIT_CODE, "SIGKILL"),
        (OTHER, KILLED, Cause.ATTEMPT_LOST, "worker 1 on node1 was ended by SIGKILL"),
        (OTHER, ENDED, Cause.ATTEMPT_LOST, "before the command did"),
        (OTHER, replace(ENDED, exit_code=127), Cause.EXIT_CODE, "exit code 127"),
        (OTHER, OOM, Cause.OOM, "more memory"),
    ],
)
def test_who_serves_ranks_and_is_ended_loses_the_attempt(
    work: Work, ended: WorkerExit, cause: Cause | None, says: str
) -> None:
    fact = exit_fact(work, ended, spread=True)
    assert fact.cause is cause
    assert says in fact.detail


def test_without_others_the_code_is_the_commands_own() -> None:
    fact = exit_fact(ALONE, replace(ENDED, exit_code=LOST_CODE))
    assert fact.cause is Cause.EXIT_CODE


def test_its_files_lie_there_before_the_job_file_does(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    folder.write_job("{}", (), {"hosts": "localhost slots=2\n"}, {})
    folder.write_job("{}", (), {"hosts": "written again\n"}, {})
    assert (folder.parallel / "hosts").read_text() == "localhost slots=2\n"
    assert (folder.parallel / "hosts").parent.stat().st_mode & 0o777 == 0o700


def test_a_job_that_may_spread_and_found_room_on_one_node_runs_alone() -> None:
    launch = launched(ALONE, SPREAD, "i")
    assert launch.argv == COMMAND
    assert launch.inside is not None
    assert launch.inside.ranks == 1
    assert exit_fact(ALONE, ENDED).cause is None
