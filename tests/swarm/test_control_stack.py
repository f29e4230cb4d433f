"""Headrace deployed on a swarm of three nodes by control-stack.sh, and used from outside."""

import asyncio
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from headrace_local.support.redact import words_in
from tests.support.browser import ARGUMENTS, Watch, chromium
from tests.support.docker_engine import why_no_engine
from tests.support.docker_images import TAG, image_file
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

PROJECT = Path(__file__).parents[2]
# Addresses that another run on this machine hardly has.
NETWORK = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 256}"
IMAGES = ("service", "redis", "worker-python", "object-store", "dev-registry")
NAME = "trial"
_WITHIN_S = 300.0
"""Containers start slowly where other tests take the CPUs."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A swarm in `folder`/swarm, and what is deployed there from `folder`/env."""

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """For both scripts, and for `docker` on the manager."""
        swarm = self.folder / "swarm"
        return {
            **os.environ,
            "HEADRACE_DEV_SWARM": str(swarm),
            "DOCKER_HOST": f"unix://{swarm}/nodes/manager1/docker.sock",
            "DOCKER_CONFIG": str(self.folder / "cli"),
        }

    def run(
        self, *words: str | Path, check: bool = True, within_s: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a program; raises AssertionError with what it said when it fails."""
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=within_s, check=False, env=self.environ
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done

    def swarm(self, *words: str) -> None:
        """Run dev-swarm.sh."""
        self.run(PROJECT / "scripts" / "dev-swarm.sh", *words)

    def control(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run control-stack.sh for this deployment."""
        script = PROJECT / "scripts" / "control-stack.sh"
        options = ("--env-file", str(self.folder / "env"), "--name", NAME, "--tag", TAG)
        return self.run(script, *options, *words, check=check)

    def docker(self, *words: str, node: str = "manager1") -> list[str]:
        """The lines that a docker command says on a node."""
        host = f"unix://{self.folder}/swarm/nodes/{node}/docker.sock"
        return self.run("docker", "--host", host, *words).stdout.splitlines()

    def headrace(self, *words: str, urls: Sequence[str] = ()) -> str:
        """What the command `headrace` says, on this machine outside of the swarm."""
        given = {
            "HEADRACE_URL": ",".join(urls or self.urls),
            "HEADRACE_TOKEN_FILE": str(self.folder / ".headrace" / "secrets" / "admin_token"),
            "HEADRACE_CA_FILE": str(self.folder / ".headrace" / "tls" / "ca.crt"),
        }
        done = subprocess.run(
            [Path(sys.executable).parent / "headrace", *words], capture_output=True, text=True,
            timeout=180, check=False, env={**os.environ, **given},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def urls(self) -> list[str]:
        """Where the two ingress nodes are called."""
        return [f"https://{NETWORK}.{host}:8443" for host in ("11", "101")]

    def tasks(self) -> list[str]:
        """The tasks that are to run, by their ids."""
        words = ("--filter", "desired-state=running", "--format", "{{.ID}} {{.Name}}")
        return sorted(self.docker("stack", "ps", *words, NAME))

    def containers(self, service: str, stack: str = NAME) -> list[tuple[str, str]]:
        """The running containers of a service: node and id."""
        label = f"label=com.docker.swarm.service.name={stack}_{service}"
        return [
            (node, id_)
            for node in ("manager1", "worker1", "worker2")
            for id_ in self.docker("ps", "-q", "--filter", label, node=node)
        ]

    def left(self) -> list[str]:
        """All that is left of the deployment but its volumes."""
        found = []
        for what in ("service", "secret", "config"):
            found += self.docker(what, "ls", "--format", "{{.Name}}")
        found += [
            name for name in self.docker("network", "ls", "--format", "{{.Name}}") if NAME in name
        ]
        for node in ("manager1", "worker1", "worker2"):
            found += self.docker("ps", "-a", "--format", "{{.Names}}", node=node)
        return found


@pytest.fixture(scope="module")
def deployment(run_root: Path) -> Iterator[Deployment]:
    """Three nodes with the main stack and what it needs, from images that are built once."""
    made = Deployment(run_root / "control")
    made.folder.mkdir()
    files = [image_file(run_root, name) for name in IMAGES]
    try:
        made.swarm("up", "--workers", "2", "--network", f"{NETWORK}.0/24")
        for file in files:
            made.docker("load", "--quiet", "--input", str(file))
        # An image that no test here runs, and that takes a minute to build, under a name for it.
        made.docker("tag", f"headrace/worker-python:{TAG}", f"headrace/worker-mpi:{TAG}")
        said = made.control("all", "push", "deploy", "networks", "check").stdout
        assert said.index("made the network") < said.index("nothing is wrong")
        assert said.index("dev_registry runs") < said.index("pushed to")
        assert f"export HEADRACE_URL={','.join(made.urls)}" in said
        yield made
    finally:
        made.swarm("down")
        shutil.rmtree(made.folder, ignore_errors=True)


def test_a_job_runs_on_each_node_and_either_address_answers(deployment: Deployment) -> None:
    nodes = json.loads(deployment.headrace("nodes", "list", "-o", "json"))
    assert {each["id"]: each["state"] for each in nodes} == dict.fromkeys(
        ("manager1", "worker1", "worker2"), "UP"
    )
    for url in deployment.urls:
        said = deployment.headrace(
            "exec", "run", "--follow", "--", "sh", "-c", "echo $((6 * 7))", urls=[url]
        )
        assert said == "42\n"


def test_a_job_names_an_image_of_ours_as_on_a_laptop(deployment: Deployment) -> None:
    file = deployment.folder / "names.yaml"
    file.write_text(
        f"headrace: 1\nkind: command\nname: names\nimage: headrace/worker-mpi:{TAG}\n"
        "command: [sh, -c, 'echo $HEADRACE_NODE']\n"
    )
    # The manager has the image by that name, since it built it; the others only from the registry.
    deployment.headrace("nodes", "drain", "manager1")
    said = deployment.headrace("exec", "from_file", "--follow", str(file))
    deployment.headrace("nodes", "undrain", "manager1")
    assert said.strip() in ("worker1", "worker2")


def test_what_a_job_misses_is_made_in_a_container(deployment: Deployment) -> None:
    """A day is cut out of two in the worker image, which has the code of derivations."""
    forcing = deployment.folder / "forcing"
    forcing.mkdir()
    rows = [f"2015-12-0{day} {hour:02}:00:00,1.5,280" for day in (1, 2) for hour in range(24)]
    text = "\n".join(["time,APCP_surface,TMP_2maboveground", *rows]) + "\n"
    (forcing / "cat-1.csv").write_text(text)
    deployment.headrace(
        "dataset", "create", "two-days", "--category", "FORCING", "--upload", str(forcing)
    )
    file = deployment.folder / "reads.yaml"
    file.write_text(
        "headrace: 1\nkind: command\nname: reads\ncommand: [sh, -c, 'wc -l {forcing}/cat-1.csv']\n"
        "inputs:\n  forcing: {category: FORCING, format: AORC_CSV, shape: EXACT,"
        " domain: {TIME: [2015-12-02, 2015-12-03], CATCHMENT_ID: cat-1}}\n"
    )
    said = deployment.headrace("exec", "from_file", "--follow", str(file))
    assert said.split()[0] == "25"


def test_a_second_deployment_replaces_nothing(deployment: Deployment) -> None:
    before = deployment.tasks()
    deployment.control("all", "deploy")
    assert deployment.tasks() == before


def test_only_agents_reach_an_engine_and_none_has_more_rights_than_it_needs(
    deployment: Deployment,
) -> None:
    services = ["redis", "request", "data", "scheduler", "monitor", "agent", "cluster", "gui"]
    for service in services:
        stack = f"{NAME}-gui" if service == "gui" else NAME
        for node, id_ in deployment.containers(service, stack):
            [found] = json.loads("".join(deployment.docker("inspect", id_, node=node)))
            host, config = found["HostConfig"], found["Config"]
            assert host["ReadonlyRootfs"], service
            assert host["CapDrop"] == ["ALL"] or "CAP_SYS_ADMIN" not in host["CapAdd"], service
            assert found["State"]["Health"]["Status"] == "healthy"
            sockets = [m for m in found["Mounts"] if m["Source"].endswith("docker.sock")]
            root = config["User"] in ("", "0", "0:0", "root")
            assert (bool(sockets), root) == (service in ("agent", "cluster"),) * 2, service
            said = json.dumps([config["Env"], config["Cmd"], config["Labels"]])
            for file in (deployment.folder / ".headrace" / "secrets").iterdir():
                assert file.read_text().strip() not in said, (service, file.name)


def test_the_gui_signs_in_and_reaches_the_request_service_alone(deployment: Deployment) -> None:
    url = deployment.urls[0].replace(":8443", ":8081")
    token = (deployment.folder / ".headrace" / "secrets" / "admin_token").read_text().strip()
    ca_file = deployment.folder / ".headrace" / "tls" / "ca.crt"
    marks = {"Origin": url, "X-Headrace-GUI": "1"}
    context = ssl.create_default_context(cafile=ca_file)
    gui = http.client.HTTPSConnection(urlsplit(url).netloc, timeout=60, context=context)
    with closing(gui):
        gui.request("POST", "/session", json.dumps({"token": token}), marks)
        with gui.getresponse() as answer:
            assert (answer.status, token in answer.read().decode()) == (201, False)
            cookie = answer.headers["Set-Cookie"]
        assert token not in cookie
        assert "Secure" in cookie
        gui.request("GET", "/api/v1/nodes", headers={"Cookie": cookie.partition(";")[0]})
        with gui.getresponse() as answer:
            nodes = json.load(answer)["nodes"]
    assert {each["id"] for each in nodes} >= {"manager1", "worker1"}
    node, id_ = deployment.containers("gui", f"{NAME}-gui")[0]
    look = "import socket, sys; socket.getaddrinfo(sys.argv[1], None)"
    for name in ("request", "redis", "data", "scheduler"):
        host = f"unix://{deployment.folder}/swarm/nodes/{node}/docker.sock"
        words = ("docker", "--host", host, "exec", id_, "python", "-c", look, name)
        assert (deployment.run(*words, check=False).returncode == 0) is (name == "request"), name


def test_a_job_is_submitted_and_watched_in_a_browser(deployment: Deployment) -> None:
    url = deployment.urls[0].replace(":8443", ":8081")
    token = (deployment.folder / ".headrace" / "secrets" / "admin_token").read_text().strip()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        # The authority of this deployment is none that a browser knows.
        context = browser.new_context(base_url=url, ignore_https_errors=True)
        context.set_default_timeout(60_000)
        watch = Watch(context, url)
        page = context.new_page()
        page.goto("/")
        page.get_by_role("button", name="Token", exact=True).click()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.get_by_role("link", name="New job").first.click()
        page.get_by_label("Command").fill("sh\n-c\nsleep 3; echo seen in a browser")
        page.get_by_role("button", name="Submit").click()
        page.wait_for_url(re.compile(r"/jobs/[0-9a-z]{16}$"))
        head = page.locator("h1").locator("..")
        expect(head).to_contain_text("Completed", timeout=120_000)
        page.get_by_role("link", name="Logs").click()
        expect(page.get_by_role("log")).to_contain_text("seen in a browser", timeout=60_000)
        browser.close()
    assert watch.faults == []


def test_check_tells_what_is_in_the_way(deployment: Deployment) -> None:
    assert "3 nodes run the image" in deployment.control("main", "check").stdout
    env = deployment.folder / "env"
    text = env.read_text()
    for line, wrong, why in (
        ("HEADRACE_STATE_NODE", "HEADRACE_STATE_NODE=worker9", "the swarm has none of that name"),
        ("HEADRACE_PORT", "HEADRACE_PORT=5000", "published by the service"),
        ("HEADRACE_HOSTS", "HEADRACE_HOSTS=hydro.example", "is not for hydro.example"),
    ):
        lines = [wrong if each.startswith(f"{line}=") else each for each in text.splitlines()]
        env.write_text("\n".join(lines))
        found = deployment.control("main", "check", check=False)
        env.write_text(text)
        assert found.returncode == 1
        assert why in found.stdout
        assert "do this: " in found.stdout


def test_a_support_bundle_has_the_logs_of_all_services_and_no_secret(
    deployment: Deployment,
) -> None:
    deployment.headrace("exec", "run", "--follow", "--", "true")
    secrets = deployment.folder / ".headrace" / "secrets"
    known = (secrets / "redis_request").read_text().strip()
    # One more service of the stack, which has logged what it should not.
    planted = f"{NAME}_planted"
    # With the image's health check its task would start until that fails, and then once more; a
    # swarm gives no logs of a task that still starts.
    deployment.docker(
        "service", "create", "--quiet", "--detach", "--name", planted, "--no-resolve-image",
        "--no-healthcheck", "--restart-condition", "none",
        "--label", f"com.docker.stack.namespace={NAME}", "--constraint", "node.role==manager",
        f"headrace/service:{TAG}",
        "sh", "-c",
        f"seq 6000; echo spoke with {known} in hand; echo password=planted-word; sleep 3600",
    )  # fmt: skip
    _wait_until_logged(deployment, planted, "password=planted-word")
    file = deployment.folder / "support.tar.gz"
    deployment.control("main", "support", str(file))
    again = deployment.control("main", "support", str(file), check=False)
    assert "is there already" in again.stderr
    deployment.docker("service", "rm", planted)

    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        texts = {
            each.name.removeprefix("headrace-support/"): tar.extractfile(each).read().decode()  # type: ignore[union-attr] # all are files
            for each in tar
        }
    hidden = {"planted-word"}.union(*(words_in(each.read_text()) for each in secrets.iterdir()))
    for name, text in texts.items():
        assert not [each for each in hidden if len(each) > 5 and each in text], name
    names = ["redis", "request", "data", "scheduler", "monitor", "agent", "cluster"]
    logs = [*(f"{NAME}_{name}" for name in names), f"{NAME}-object_store_store", planted]
    assert not [name for name in logs if not texts[f"logs/{name}.log"]]
    log = texts[f"logs/{planted}.log"].splitlines()
    assert "spoke with [redacted] in hand" in log[-2]
    assert len(log) == 5000, "no more than that of each task"
    agents = texts[f"logs/{NAME}_agent.log"]
    assert not [node for node in ("manager1", "worker1", "worker2") if node not in agents]
    stamps = [line.partition(" ")[0] for line in agents.splitlines()]
    assert stamps == sorted(stamps)
    assert json.loads(texts["ledger.json"])["errors"] == []
    assert json.loads(texts["redis.json"])["server"]["redis_version"]
    assert len(json.loads(texts["nodes.json"])) == 3
    assert "headrace_" in texts["metrics.txt"]
    assert "HEADRACE_STATE_NODE=manager1" in texts["env"]
    assert "worker2" in texts["swarm.txt"]
    assert f"{NAME}_scheduler.1 on " in texts["status.txt"]


def _wait_until_logged(deployment: Deployment, service: str, last: str) -> None:
    """Wait until the swarm gives the log of a service up to its last line."""

    def whole() -> bool:
        return deployment.docker("service", "logs", "--raw", "--tail", "1", service)[-1:] == [last]

    try:
        asyncio.run(wait_until(whole, f"the line {last!r} of {service}", within_s=_WITHIN_S))
    except AssertionError as error:
        form = "{{.Name}}: {{.CurrentState}} {{.Error}}"
        tasks = deployment.docker("service", "ps", "--no-trunc", "--format", form, service)
        log = deployment.docker("service", "logs", "--raw", service)
        seen = f"its tasks are {tasks}, its log has {len(log)} lines and ends {log[-2:]}"
        raise AssertionError(f"{error}; {seen}") from None


def test_a_job_outlives_the_containers_of_services_and_new_secrets(
    deployment: Deployment,
) -> None:
    accepted: dict[str, Any] = json.loads(
        deployment.headrace(
            "exec", "run", "-o", "json", "--", "sh", "-c", "sleep 60; echo end",
        )
    )  # fmt: skip
    job = accepted["id"]
    before = deployment.tasks()
    for service in ("scheduler", "monitor", "request", "agent"):
        node, id_ = deployment.containers(service)[0]
        deployment.docker("kill", id_, node=node)
        assert deployment.headrace("jobs", "info", job)
    secrets = deployment.folder / ".headrace" / "secrets"
    for name in ("redis_monitor", "redis_join", "admin_token"):
        (secrets / name).unlink()
    authority = (deployment.folder / ".headrace" / "tls" / "ca.crt").read_bytes()
    folder = str(deployment.folder / ".headrace" / "tls")
    hosts = [url.split("/")[2].split(":")[0] for url in deployment.urls]
    deployment.run(PROJECT / "scripts" / "gen-cert.sh", folder, *hosts)
    assert (deployment.folder / ".headrace" / "tls" / "ca.crt").read_bytes() == authority
    deployment.control("main", "deploy")
    assert deployment.tasks() != before
    names = deployment.docker("secret", "ls", "--format", "{{.Name}}")
    assert len([name for name in names if "redis_monitor" in name]) == 1
    assert "end" in deployment.headrace("jobs", "logs", job, "--follow")
    info = json.loads(deployment.headrace("jobs", "info", job, "-o", "json"))
    assert (info["status"], info["attempt"]) == ("CLOSED:COMPLETED", 1), deployment.headrace(
        "jobs", "history", job
    )


def test_a_job_outlives_the_object_store_and_its_output_is_whole(deployment: Deployment) -> None:
    file = deployment.folder / "keeps.yaml"
    file.write_text(
        "headrace: 1\nkind: command\nname: keeps\n"
        "command: [sh, -c, 'echo up; sleep 5; seq 100000 > {output}/numbers.txt']\n"
        "outputs: {numbers: {category: OUTPUT, format: GENERIC}}\n"
    )
    job = json.loads(deployment.headrace("exec", "from_file", str(file), "-o", "json"))["id"]

    def runs() -> bool:
        return "RUNNING" in deployment.headrace("jobs", "info", job)

    asyncio.run(wait_until(runs, "the job to run", within_s=_WITHIN_S))
    [(node, store)] = deployment.containers("store", f"{NAME}-object_store")
    deployment.docker("kill", store, node=node)
    assert "up" in deployment.headrace("jobs", "logs", job, "--follow")
    info = json.loads(deployment.headrace("jobs", "info", job, "-o", "json"))
    assert (info["status"], info["attempt"]) == ("CLOSED:COMPLETED", 1)
    [(_, again)] = deployment.containers("store", f"{NAME}-object_store")
    assert again != store
    results = deployment.folder / "results"
    deployment.headrace("jobs", "outputs", job, "--download", str(results))
    lines = (results / "numbers" / "numbers.txt").read_text().split()
    assert lines == [str(number) for number in range(1, 100_001)]


def test_stop_leaves_nothing_and_start_brings_the_data_back(deployment: Deployment) -> None:
    jobs = deployment.headrace("jobs", "list")
    deployment.control("all", "stop")
    deployment.control("all", "stop")
    # A node removes ended containers a moment after the swarm has forgotten their tasks.
    gone = wait_until(
        lambda: not deployment.left(), "the end of all that is left", within_s=_WITHIN_S
    )
    asyncio.run(gone)
    deployment.control("all", "networks", "start")
    assert deployment.headrace("jobs", "list").split()[1:2] == jobs.split()[1:2]
    assert deployment.headrace("exec", "run", "--follow", "--", "echo", "again") == "again\n"
