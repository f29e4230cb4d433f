"""Secrets: kept for their owner alone, given to the launch that names them, and left nowhere."""

import base64
import json
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace_data.secrets_api import LIMIT_BYTES
from headrace_model.cause import Cause
from headrace_model.move import Move
from headrace_model.people import Scope, User, UserRole
from headrace_model.status import Desired, Event, Role, Status
from headrace_model.work import FactKind
from tests.support.agent_bench import WAIT_S, AgentBench, open_bench
from tests.support.data_service import NODE, Answer, DataHarness, World
from tests.support.redis_server import RedisServer
from tests.support.wait import wait_until

VALUE = "pa55-of-the-gauges-✓"
NAMES: dict[str, Any] = {"command": ["true"], "secrets": ["usgs_token"]}


@pytest.fixture
async def all_(all_: World) -> World:
    await all_.node()
    return all_


@pytest.fixture
async def bench(redis_server: RedisServer, state_dir: Path) -> AsyncIterator[AgentBench]:
    bench = await open_bench(state_dir, redis_server.url)
    try:
        yield bench
    finally:
        redis_server.start()
        await bench.close()


async def put(data: DataHarness, name: str, value: str = VALUE) -> Answer:
    return await data.api("PUT", f"/secrets/{name}", json={"value": value})


async def names(data: DataHarness) -> list[str]:
    return [each["name"] for each in (await data.api("GET", "/secrets")).json["secrets"]]


def holders(folder: Path, value: str) -> list[str]:
    """Every file below a folder that holds a value as it is, or in base 64."""
    looked_for = [value.encode(), base64.b64encode(value.encode())]
    looked_for.append(json.dumps(value)[1:-1].encode())
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if any(text in content for text in looked_for):
                found.append(str(path.relative_to(folder)))
    return found


# --- keeping them ------------------------------------------------------------------------------


async def test_a_secret_is_kept_replaced_listed_and_removed(data: DataHarness) -> None:
    kept = await put(data, "usgs_token")
    assert (kept.status, sorted(kept.json), kept.json["name"]) == (
        200,
        ["changed", "name"],
        "usgs_token",
    )
    await put(data, "usgs_token", "another")
    await put(data, "key.pem")
    listed = await data.api("GET", "/secrets")
    assert [each["name"] for each in listed.json["secrets"]] == ["key.pem", "usgs_token"]
    assert VALUE not in listed.body.decode()
    for _ in range(2):  # a repeat is success
        assert (await data.api("DELETE", "/secrets/key.pem")).status == 204
    assert await names(data) == ["usgs_token"]


async def test_nobody_sees_the_secrets_of_another_not_even_an_admin(data: DataHarness) -> None:
    await put(data, "usgs_token")
    for role in (UserRole.USER, UserRole.ADMIN):
        data.user = User("root", role)
        assert await names(data) == []
        assert (await data.api("DELETE", "/secrets/usgs_token")).status == 204
    data.user = "ann"
    assert await names(data) == ["usgs_token"]


async def test_a_viewer_keeps_none_and_a_token_needs_its_scope(data: DataHarness) -> None:
    for user in (
        User("ann", UserRole.VIEWER),
        User("ann", UserRole.USER, scopes=frozenset({Scope.READ, Scope.JOBS, Scope.DATA})),
    ):
        data.user = user
        for answer in (
            await put(data, "usgs_token"),
            await data.api("GET", "/secrets"),
            await data.api("DELETE", "/secrets/usgs_token"),
        ):
            assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("name", "body", "status"),
    [
        ("Usgs", {"value": VALUE}, 422),
        ("a b", {"value": VALUE}, 422),
        ("x", {"value": ""}, 422),
        ("x", {"value": [VALUE]}, 422),
        ("x", {"valeu": VALUE}, 422),
        ("x", {}, 422),
        ("x", {"value": "é" * LIMIT_BYTES}, 413),
    ],
)
async def test_what_can_not_be_kept_is_refused_without_repeating_it(
    data: DataHarness, name: str, body: dict[str, object], status: int
) -> None:
    answer = await data.api("PUT", f"/secrets/{name}", json=body)
    assert answer.status == status
    assert "pa55" not in answer.body.decode()
    assert await names(data) == []


async def test_a_body_that_is_no_json_is_not_repeated(data: DataHarness) -> None:
    for body in (f'{{"value": "{VALUE}', f'{{"value": "{VALUE}\\ud800"}}', VALUE):
        answer = await data.api("PUT", "/secrets/x", data=body.encode())
        assert answer.status == 422
        assert "pa55" not in answer.body.decode()


async def test_the_largest_value_is_kept_and_so_are_a_hundred_names(data: DataHarness) -> None:
    assert (await put(data, "s0", "x" * LIMIT_BYTES)).status == 200
    for number in range(1, 100):
        assert (await put(data, f"s{number}")).status == 200
    refused = await put(data, "s100")
    assert (refused.status, refused.code) == (409, "CONFLICT")
    assert (await put(data, "s99", "replaced")).status == 200


# --- giving them to a launch -------------------------------------------------------------------


async def launched(all_: World, file: dict[str, Any] | None = None) -> dict[str, Any]:
    """A job that is to be launched, as its node asks for its secrets."""
    job = await all_.submit(set(), file or NAMES)
    await all_.allocate(job)
    return {"job": job, "attempt": 1, "node": NODE}


async def ask(data: DataHarness, asked: dict[str, Any]) -> Answer:
    return await data.ask("POST", "/internal/secrets", json=asked)


async def test_the_node_of_a_launch_is_given_what_the_job_names_and_no_more(
    all_: World, data: DataHarness
) -> None:
    await put(data, "usgs_token")
    await put(data, "other", "not named")
    asked = await launched(all_)
    answer = await ask(data, asked)
    (given,) = answer.json["secrets"]
    assert given["name"] == "usgs_token"
    assert base64.b64decode(given["value"]).decode() == VALUE
    assert answer.headers["Cache-Control"] == "no-store"
    await all_.write(asked["job"], Event.STARTED, Role.MONITOR)
    assert (await ask(data, asked)).status == 200, "another node may start later"


async def test_secrets_are_given_for_the_current_attempt_on_its_nodes_while_it_launches(
    all_: World, data: DataHarness
) -> None:
    await put(data, "usgs_token")
    asked = await launched(all_)
    for wrong in ({"attempt": 2}, {"node": "node9"}, {"attempt": 0}):
        assert (await ask(data, {**asked, **wrong})).status == 409
    waiting = await all_.submit(set(), NAMES)
    assert (await ask(data, {**asked, "job": waiting})).status == 409
    job = await all_.jobs.get(asked["job"])
    stop = Move(
        job=job.id,
        version=job.version,
        attempt=job.attempt,
        status=job.status,
        event=None,
        to=job.status,
        writer=Role.REQUEST,
        desired=Desired.STOP,
    )
    await all_.jobs.apply(stop)
    assert (await ask(data, asked)).status == 409


async def test_a_job_is_given_its_owner_s_secret_and_nobody_else_s(
    all_: World, data: DataHarness
) -> None:
    data.user = "bob"
    await put(data, "usgs_token", "of bob")
    asked = await launched(all_)  # ann's
    missing = await ask(data, asked)
    assert missing.status == 404
    assert "`headrace secrets set usgs_token`" in missing.json["detail"]
    data.user = "ann"
    await put(data, "usgs_token", "of ann")
    (given,) = (await ask(data, asked)).json["secrets"]
    assert base64.b64decode(given["value"]) == b"of ann"


async def test_a_box_that_was_moved_in_redis_does_not_open(all_: World, data: DataHarness) -> None:
    data.user = "bob"
    await put(data, "usgs_token")
    stolen = await all_.redis.command("HGET", "hr:secrets:bob", "usgs_token")
    await all_.redis.command("HSET", "hr:secrets:ann", "usgs_token", stolen)
    answer = await ask(data, await launched(all_))
    assert answer.status == 422
    assert VALUE not in answer.body.decode()


async def test_without_the_internal_token_nothing_is_given(all_: World, data: DataHarness) -> None:
    await put(data, "usgs_token")
    asked = await launched(all_)
    headers = {"Authorization": "Bearer wrong"}
    answer = await data.ask("POST", "/internal/secrets", json=asked, headers=headers)
    assert answer.status == 401


async def test_a_headrace_without_a_key_keeps_none(all_: World) -> None:
    async with all_.data() as data:
        await data.kill()
        data.settings = replace(data.settings, secrets_key_file="")
        await data.start()
        assert (await put(data, "x")).status == 503
        assert await names(data) == []


async def test_a_value_lies_on_no_disk_as_it_is(
    all_: World, data: DataHarness, state_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await put(data, "usgs_token")
    await put(data, "usgs_token", VALUE + "2")
    assert (await ask(data, await launched(all_))).status == 200
    assert holders(state_dir, "hr:secrets:ann"), "the AOF was looked at"
    assert holders(state_dir, VALUE) == []
    out = capfd.readouterr()
    assert "pa55" not in out.out + out.err


# --- beside a worker ---------------------------------------------------------------------------

SHOW = (
    'test "$HEADRACE_SECRETS" = {secrets} && cp {secrets}/usgs_token {output}/got && '
    "stat -c %a {secrets} {secrets}/usgs_token > {output}/modes && env > {output}/env"
)
OUTPUT = {"outputs": {"o": {"format": "GENERIC"}}}


async def test_a_worker_finds_its_secrets_as_files_until_it_ends(
    bench: AgentBench, state_dir: Path
) -> None:
    bench.data.secrets = {"usgs_token": VALUE.encode()}
    await bench.agent()
    job = await bench.run("sh", "-c", SHOW, secrets=["usgs_token"], **OUTPUT)
    exited = await bench.fact(job, FactKind.EXITED)
    assert (exited.cause, exited.exit_code) == (None, 0)
    output = bench.attempt(job) / "output"
    assert (output / "got").read_bytes() == VALUE.encode(), "and no newline more"
    assert (output / "modes").read_text().split() == ["700", "400"]
    assert VALUE not in (output / "env").read_text()
    assert not (bench.attempt(job) / "secrets").exists(), "gone before the exit was told"
    (output / "got").unlink()
    assert holders(state_dir, VALUE) == []


async def test_a_job_that_names_none_asks_for_none(bench: AgentBench) -> None:
    await bench.agent()
    job = await bench.run("sh", "-c", 'test -z "$HEADRACE_SECRETS"')
    assert (await bench.fact(job, FactKind.EXITED)).exit_code == 0
    assert "secrets" not in bench.data.asked
    assert not (bench.attempt(job) / "secrets").exists()


async def test_a_secret_that_is_missing_ends_the_attempt_with_the_command_that_sets_it(
    bench: AgentBench,
) -> None:
    bench.data.no_secret = "set it: `headrace secrets set usgs_token`"  # noqa: S105 - none
    await bench.agent()
    job = await bench.run("touch", "{output}/ran", secrets=["usgs_token"], **OUTPUT)
    exited = await bench.fact(job, FactKind.EXITED)
    assert (exited.cause, exited.detail) == (Cause.NOT_STARTED, bench.data.no_secret)
    assert not (bench.attempt(job) / "output" / "ran").exists()
    failed = await bench.until(job, Status.FAILED)
    assert failed.cause is Cause.NOT_STARTED
    await bench.cleaned(job)


async def test_a_stop_removes_the_secrets_whatever_the_worker_made_of_them(
    bench: AgentBench, state_dir: Path
) -> None:
    bench.data.secrets = {"usgs_token": VALUE.encode()}
    elsewhere = state_dir / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    await bench.agent()
    script = f"rm -rf {{secrets}}; ln -s {elsewhere} {{secrets}}; touch {{output}}/up; sleep 600"
    job = await bench.run("sh", "-c", script, secrets=["usgs_token"], **OUTPUT)
    up = bench.attempt(job) / "output" / "up"
    await wait_until(up.exists, "the worker to run", within_s=WAIT_S)
    await bench.stop(job)
    await bench.fact(job, FactKind.STOPPED)
    assert "secrets" not in os.listdir(bench.attempt(job))
    assert (elsewhere / "kept").read_text() == "kept"


async def test_a_new_run_of_the_agent_leaves_a_running_worker_its_secrets(
    bench: AgentBench,
) -> None:
    bench.data.secrets = {"usgs_token": VALUE.encode()}
    first = await bench.agent()
    script = "while ! test -e go; do sleep 0.02; done; cat {secrets}/usgs_token > {output}/got"
    job = await bench.run("sh", "-c", script, secrets=["usgs_token"], **OUTPUT)
    await bench.fact(job, FactKind.STARTED)
    first.kill9()
    bench.data.secrets = {"usgs_token": b"changed meanwhile"}
    await bench.agent()
    (bench.attempt(job) / "work" / "go").touch()
    assert (await bench.fact(job, FactKind.EXITED)).exit_code == 0
    assert (bench.attempt(job) / "output" / "got").read_bytes() == VALUE.encode()
    assert bench.data.asked.count("secrets") == 1
    assert not (bench.attempt(job) / "secrets").exists()


async def test_secrets_of_a_worker_that_ended_without_an_agent_are_removed_by_the_next(
    bench: AgentBench,
) -> None:
    bench.data.secrets = {"usgs_token": VALUE.encode()}
    first = await bench.agent()
    script = "while ! test -e go; do sleep 0.02; done; touch {output}/done"
    job = await bench.run("sh", "-c", script, secrets=["usgs_token"], **OUTPUT)
    await bench.fact(job, FactKind.STARTED)
    first.kill9()
    (bench.attempt(job) / "work" / "go").touch()
    done = bench.attempt(job) / "output" / "done"
    await wait_until(done.exists, "the worker to end", within_s=WAIT_S)
    assert (bench.attempt(job) / "secrets" / "usgs_token").exists()
    await bench.agent()
    await bench.fact(job, FactKind.EXITED)
    assert not (bench.attempt(job) / "secrets").exists()
    assert bench.data.asked.count("secrets") == 1
