"""`headrace local up --backend docker`: the same job files, in containers."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headrace_local.health import any_free_port
from tests.acceptance.conftest import Headrace, until
from tests.support.docker_engine import DockerEngine
from tests.support.docker_images import add_image

PROJECT = Path(__file__).parents[2]
NO_IMAGE = "127.0.0.1:1/headrace-test/nowhere:1"
NO_ENGINE = "unix:///nowhere/docker.sock"


class InContainers(Headrace):
    """A Headrace whose workers are containers of an engine."""

    def __init__(self, root: Path, engine: DockerEngine) -> None:
        super().__init__(root)
        self.engine = engine
        self.docker_host = engine.host

    @property
    def environ(self) -> dict[str, str]:
        return {**super().environ, "DOCKER_HOST": self.docker_host}

    def up_with_containers(self) -> None:
        """Start it on the engine, with a small image for jobs that name none."""
        self.local(
            "up", "--cpus", "2", "--memory", "1GiB", "--port", str(any_free_port()),
            "--backend", "docker", "--worker-image", self.engine.add_small_image(),
        )  # fmt: skip

    def containers(self) -> list[str]:
        """The names of all there are, whether they run or not."""
        return self.engine.docker("ps", "-a", "--format", "{{.Names}}").stdout.split()


@pytest.fixture(scope="module")
def headrace(docker_engine: DockerEngine, run_root: Path) -> Iterator[InContainers]:
    found = InContainers(run_root / "docker-local", docker_engine)
    found.up_with_containers()
    try:
        yield found
    finally:
        found.local("reset", "--yes")
        assert found.containers() == [], "a reset leaves none"


def test_a_command_runs_inside_and_sees_its_inputs_read_only(
    headrace: InContainers, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.txt").write_text("rain\n")
    done = headrace.cli(
        "exec", "run", "--follow", "--input", f"data={tmp_path / 'mine'}", "--", "sh", "-c",
        "cat {data}/a.txt; echo {output}; id -u; touch /x || touch {data}/x || echo kept > "
        "{output}/b.txt",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "rain\n/headrace/output\n10001\n"
    assert done.stderr.count("Read-only file system") == 2
    assert headrace.containers() == []


def test_what_a_worker_writes_is_kept_as_a_dataset(headrace: InContainers, tmp_path: Path) -> None:
    job = headrace.submit(
        "sh", "-c", "mkdir {output}/deep && echo flow > {output}/deep/q.csv",
        outputs={"flow": {"category": "OUTPUT", "format": "GENERIC"}},
    )  # fmt: skip
    headrace.until(job, "COMPLETED")
    headrace.cli("jobs", "outputs", job, "--download", str(tmp_path / "got"))
    (found,) = (tmp_path / "got").rglob("q.csv")
    assert found.read_text() == "flow\n"


def test_ranks_of_mpi_share_the_files_of_a_dataset(headrace: InContainers, tmp_path: Path) -> None:
    image = add_image(headrace.engine, "worker-mpi")
    done = headrace.cli(
        "exec", "from_file", "--follow", str(PROJECT / "examples" / "mpi" / "summarize.yaml"),
        "--set", f"image={image}", "--set", "resources.paradigm=SINGLE_NODE",
        "--set", "resources.cpus=2", "--set", "resources.memory=512MiB",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "12 items by 2 ranks on 1 nodes" in done.stdout
    (job,) = headrace.ask("GET", "/jobs?q=discharge-summary").json["jobs"]
    headrace.cli("jobs", "outputs", job["id"], "--download", str(tmp_path / "got"))
    (found,) = (tmp_path / "got").rglob("result.json")
    result = json.loads(found.read_text())
    assert [(each["rank"], len(each["items"])) for each in result["ranks"]] == [(0, 6), (1, 6)]
    (node,) = headrace.ask("GET", "/nodes").json["nodes"]
    assert {each["node"] for each in result["ranks"]} == {node["id"]}
    assert len(result["days"]) == 12


def test_ranks_on_several_nodes_are_refused_where_no_workers_reach_each_other(
    headrace: InContainers,
) -> None:
    done = headrace.cli(
        "exec", "from_file", str(PROJECT / "examples" / "mpi" / "summarize.yaml"),
    )  # fmt: skip
    assert done.returncode != 0
    assert "no known node offers the backend 'parallel'" in done.stderr
    assert "paradigm: SINGLE_NODE" in done.stderr


def test_secrets_are_files_that_only_the_worker_may_read(headrace: InContainers) -> None:
    done = headrace.cli("secrets", "set", "key", typed="s3cr3t")
    assert done.returncode == 0, done.stderr
    job = headrace.submit("sh", "-c", "cat {secrets}/key; ls -ln {secrets}", secrets=["key"])
    headrace.until(job, "COMPLETED")
    said = headrace.cli("jobs", "logs", job).stdout
    assert "s3cr3t" in said
    assert "-r-------- 1 10001 10001 6 " in said


@pytest.mark.parametrize(
    ("more", "script", "cause", "words"),
    [
        ({}, "exit 4", "EXIT_CODE", "left with exit code 4"),
        (
            {"retry": {"limit": 0}},
            "exec dd if=/dev/zero of=/dev/null bs=400M count=9",
            "OOM",
            "more memory than 64.0 MiB",
        ),
        ({"command": ["nope"]}, "", "NOT_STARTED", "exec nope failed: No such file"),
        ({"image": NO_IMAGE, "retry": {"limit": 0}}, "", "STAGING", f"{NO_IMAGE} could not"),
        (
            {"limits": {"time": "1s"}},
            "sleep 600",
            "TIME_LIMIT",
            "its time limit of 1 s",
        ),
    ],
)
def test_each_bad_end_is_told_apart_in_a_sentence(
    headrace: InContainers, more: dict[str, object], script: str, cause: str, words: str
) -> None:
    job = headrace.submit("sh", "-c", script, **more)
    view = headrace.until(job, "FAILED")
    assert view["cause"] == cause
    assert words in json.dumps(view)


def test_tasks_of_an_array_are_containers_too(headrace: InContainers) -> None:
    job = headrace.submit("sh", "-c", "echo task {index}; exit $(({index} / 3))",
                          array={"count": 4}, retry={"limit": 0})  # fmt: skip
    view = headrace.until(job, "FAILED")
    assert view["cause"] == "TASKS"
    for task in range(4):
        assert headrace.cli("jobs", "logs", job, "--task", str(task)).stdout == f"task {task}\n"


def test_the_doctor_and_the_status_tell_of_an_engine_that_is_away(headrace: InContainers) -> None:
    config = headrace.home.config
    before = config.read_text()
    assert _engine_check(headrace)["level"] == "ok"
    config.write_text(before.replace(headrace.engine.host, NO_ENGINE))
    try:
        found = _engine_check(headrace)
        said = headrace.cli("local", "status").stdout
    finally:
        config.write_text(before)
    assert found["level"] == "problem"
    assert NO_ENGINE in found["says"]
    assert "docker info" in found["fix"]
    assert "workers    unknown" in said


def _engine_check(headrace: InContainers) -> dict[str, str]:
    done = headrace.cli("doctor", "-o", "json")
    (found,) = [each for each in json.loads(done.stdout)["checks"] if each["check"] == "engine"]
    return found


def test_the_engine_was_told_all_that_keeps_a_worker_in(headrace: InContainers) -> None:
    assert headrace.cli("secrets", "set", "key", typed="s3cr3t").returncode == 0
    job = headrace.submit(
        "sleep", "600", secrets=["key"], resources={"cpus": "250m", "memory": "96MiB"}
    )
    headrace.until(job, "RUNNING")
    (found,) = json.loads(headrace.engine.docker("inspect", f"hr-{job}-1-0").stdout)
    config, host = found["Config"], found["HostConfig"]
    assert config["User"] == "10001:10001"
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["Privileged"] is False
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["PidsLimit"] == 4096
    assert host["Memory"] == host["MemorySwap"] == 96 * 2**20
    assert host["NanoCpus"] == 250_000_000
    assert host["NetworkMode"] == "bridge"
    assert host["Init"] is True
    assert list(host["Tmpfs"]) == ["/tmp"]  # noqa: S108 - inside the container
    assert host["RestartPolicy"]["Name"] in ("", "no")
    assert not host["Devices"]
    assert not host["Binds"]
    attempt = headrace.home.attempts / f"{job}.1"
    assert {_mount(each) for each in found["Mounts"]} == {
        ("bind", f"{attempt}/datasets", "/headrace/datasets", False),
        ("bind", f"{attempt}/job.json", "/headrace/job.json", False),
        ("bind", f"{attempt}/secrets", "/headrace/secrets", False),
        ("bind", f"{attempt}/output", "/headrace/output", True),
        ("bind", f"{attempt}/work", "/headrace/work", True),
        ("bind", f"{attempt}/home", "/headrace/home", True),
    }
    headrace.ask("POST", f"/jobs/{job}:cancel", {})
    headrace.until(job, "CANCELED")


def _mount(found: dict[str, Any]) -> tuple[str, str, str, bool]:
    """Its type, source, place inside, and whether it may be written."""
    return found["Type"], found["Source"], found["Destination"], found["RW"]


def test_another_engine_is_refused_while_workers_may_live_on_the_old_one(
    headrace: InContainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = headrace.submit("sleep", "600")
    headrace.until(job, "RUNNING")
    up = ("local", "up", "--backend", "docker")
    with monkeypatch.context() as other:
        other.setattr(headrace, "docker_host", NO_ENGINE)
        said = headrace.cli(*up)
        assert said.returncode == 1
        assert "with another DOCKER_HOST" in said.stderr
        headrace.local("down")
        said = headrace.cli(*up)
        assert said.returncode == 1
        assert f"1 workers of running jobs live on at {headrace.engine.host}" in said.stderr
    config = headrace.home.config
    before = config.read_text()
    config.write_text(before.replace(headrace.engine.host, NO_ENGINE))
    try:
        said = headrace.cli(*up)
        assert said.returncode == 1
        assert f"may live on at {NO_ENGINE}, which does not answer" in said.stderr
        assert "start that engine again" in said.stderr
        assert NO_ENGINE in config.read_text()
        assert "workers: unknown, the engine does not answer" in headrace.local("down")
    finally:
        config.write_text(before)
    headrace.local("up")
    headrace.ask("POST", f"/jobs/{job}:cancel", {})
    headrace.until(job, "CANCELED")


@pytest.mark.parametrize("damage", ['"port": "many", "was": ', '"port: '])
def test_a_reset_with_a_damaged_config_removes_containers_or_says_how_to_find_them(
    docker_engine: DockerEngine, state_dir: Path, damage: str
) -> None:
    headrace = InContainers(state_dir / "home", docker_engine)
    before = headrace.containers()
    headrace.up_with_containers()
    try:
        job = headrace.submit("sleep", "600")
        headrace.until(job, "RUNNING")
        config = headrace.home.config
        config.write_text(config.read_text().replace('"port": ', damage))
        said = headrace.local("reset", "--yes")
        left = sorted({*headrace.containers()} - {*before})
        if "was" in damage:  # its settings can still be read
            assert left == []
            assert "docker ps" not in said
        else:
            assert left == [f"hr-{job}-1-0"]
            (command,) = [each for each in said.split("`") if each.startswith("docker ps")]
            listed = docker_engine.docker(*command.split()[1:], "--format", "{{.Names}}").stdout
            assert listed.split() == left
    finally:
        headrace.cli("local", "reset", "--yes")
        for each in {*headrace.containers()} - {*before}:
            docker_engine.docker("rm", "--force", each)


def test_workers_live_on_while_headrace_is_down(headrace: InContainers) -> None:
    job = headrace.submit("sh", "-c", "echo up; sleep 600")
    headrace.until(job, "RUNNING")
    said = headrace.local("down")
    assert "1 worker of running jobs live on" in said
    assert headrace.containers() == [f"hr-{job}-1-0"]
    refused = headrace.cli("local", "up", "--backend", "process")
    assert refused.returncode == 1
    assert "which another backend or engine can't adopt" in refused.stderr
    headrace.local("up")
    headrace.ask("POST", f"/jobs/{job}:cancel", {})
    headrace.until(job, "CANCELED")
    until(lambda: headrace.containers() == [], "its container to be removed")
