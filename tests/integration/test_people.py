"""People over HTTP, with a real Redis: who is let in, who may do what, what is told to whom."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_model.ids import JobId
from headrace_model.people import (
    ALL_SCOPES,
    RULES,
    SCOPE_OF,
    Act,
    Level,
    Scope,
    Share,
    Standing,
    UserRole,
)
from tests.support.people import token_of
from tests.support.redis_server import RedisServer
from tests.support.request_desk import JOB, Desk, running_desk
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")
PASSWORD = "a horse of another colour"  # noqa: S105 - of users that only these tests know


@pytest.fixture
async def desk(
    state_dir: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Desk]:
    # redis-py looks its own version up on disk for each connection: a stat that isn't ours.
    monkeypatch.setattr("redis.utils.get_lib_version", lambda: "0")
    async with running_desk(state_dir, redis_server.url) as made:
        yield made


@dataclass
class Somebody:
    """A user of the API."""

    desk: Desk
    token: str

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        return await self.desk.call(method, path, body, Authorization=f"Bearer {self.token}")


async def somebody(desk: Desk, name: str, role: UserRole = UserRole.USER, **more: Any) -> Somebody:
    return Somebody(desk, await token_of(UserStore(desk.redis), name, role, **more))


# ---- the matrix

_VERBS = {
    Act.SEE_JOB: ("GET", "/jobs/{job}", None),
    Act.STEER_JOB: ("POST", "/jobs/{job}:hold", None),
    Act.SHARE_JOB: ("POST", "/jobs/{job}:share", {"who": "user:carl"}),
    Act.SUBMIT_JOB: ("POST", "/jobs", JOB),
    Act.SEE_NODES: ("GET", "/nodes", None),
    Act.MANAGE_NODES: ("POST", "/nodes/gone:remove", None),
    Act.SEE_MAINTENANCE: ("GET", "/maintenance", None),
    Act.MANAGE_MAINTENANCE: ("PUT", "/maintenance", {"on": False}),
    Act.SEE_PEOPLE: ("GET", "/users", None),
    Act.MANAGE_PEOPLE: ("POST", "/groups", {"name": "new"}),
    Act.KEEP_ACCOUNT: ("GET", "/tokens", None),
}
_LEVELS = {Standing.WRITER: Level.WRITE, Standing.READER: Level.READ}
_OF_A_JOB = {Act.SEE_JOB, Act.STEER_JOB, Act.SHARE_JOB}


async def _job(desk: Desk, owner: str, standing: Standing) -> JobId:
    """A job to which the user `zoe` stands so."""
    anns = await desk.submit()
    by = "zoe" if standing is Standing.OWNER else owner
    await desk.redis.command("HSET", f"hr:job:{anns}", "owner", by)
    if level := _LEVELS.get(standing):
        job = await desk.store.get(anns)
        await desk.store.share(job, (Share("group:hydro", level),), "ann")
    return anns


@pytest.mark.parametrize("role", UserRole)
async def test_every_act_on_jobs_and_people_is_allowed_as_the_matrix_says(
    desk: Desk, role: UserRole
) -> None:
    zoe = await somebody(desk, "zoe", role, groups=("hydro",))
    wrong = []
    for act, standing in product(_VERBS, Standing):
        if act not in _OF_A_JOB and standing is not Standing.STRANGER:
            continue
        method, path, body = _VERBS[act]
        own = act is Act.KEEP_ACCOUNT
        allowed = (Standing.OWNER if own else standing) in RULES[act][role]
        sees = act not in _OF_A_JOB or standing in RULES[Act.SEE_JOB][role]
        job = await _job(desk, "ann", standing) if act in _OF_A_JOB else JobId("")
        status, said = await zoe.call(method, path.format(job=job), body)
        expected = {200, 201} if allowed else {403} if sees else {404}
        if status not in expected:
            wrong.append(f"{role} {act} {standing}: {status} {said}")
    assert wrong == []


async def test_what_is_hidden_is_answered_like_what_does_not_exist(desk: Desk) -> None:
    zoe = await somebody(desk, "zoe")
    hidden, missing = await desk.submit(), "0" * 16
    for method, path in (
        ("GET", "/jobs/{}"), ("GET", "/jobs/{}/history"), ("GET", "/jobs/{}/logs"),
        ("GET", "/jobs/{}/why"), ("GET", "/jobs/{}/outputs"), ("POST", "/jobs/{}:cancel"),
        ("POST", "/jobs/{}:retry"), ("GET", "/jobs/{}?wait=1"),
    ):  # fmt: skip
        one = await zoe.call(method, path.format(hidden))
        other = await zoe.call(method, path.format(missing))
        assert one[0] == other[0] == 404
        assert one[1]["detail"].replace(hidden, missing) == other[1]["detail"]
    assert (await zoe.call("GET", "/jobs"))[1]["jobs"] == []
    after = {**JOB, "after": [hidden]}
    assert (await zoe.call("POST", "/jobs", after))[0] == 404


@pytest.mark.parametrize("scope", Scope)
async def test_a_token_does_what_its_scopes_say_and_no_more(desk: Desk, scope: Scope) -> None:
    admin = await somebody(desk, "root", UserRole.ADMIN, scopes=frozenset({scope}))
    job = await desk.submit()
    for act, (method, path, body) in _VERBS.items():
        status, said = await admin.call(method, path.format(job=job), body)
        # A thing that is there is told: an admin may see it, only this token can't be used for it.
        allowed = SCOPE_OF[act] is scope
        assert (status in (200, 201)) is allowed, (act, status, said)
        if not allowed:
            assert (status, said["code"]) == (403, "FORBIDDEN"), (act, said)


async def test_a_shared_job_is_listed_until_it_is_no_longer_shared(desk: Desk) -> None:
    zoe = await somebody(desk, "zoe", groups=("hydro",))
    job = await desk.submit()
    for who in ("user:zoe", "group:hydro", "everyone"):
        _, shown = await desk.call("POST", f"/jobs/{job}:share", {"who": who})
        assert shown["shared"] == [{"who": who, "level": "read"}]
        assert [each["id"] for each in (await zoe.call("GET", "/jobs"))[1]["jobs"]] == [job]
        for _ in range(2):  # a repeat is success
            _, shown = await desk.call("POST", f"/jobs/{job}:unshare", {"who": who})
            assert shown["shared"] == []
        assert (await zoe.call("GET", "/jobs"))[1]["jobs"] == []
    for who in ("zoe", "user:", "user:A", "team:x", ""):
        assert (await desk.call("POST", f"/jobs/{job}:share", {"who": who}))[0] == 422


# ---- passwords, tokens


async def test_a_password_opens_and_a_logout_closes(desk: Desk) -> None:
    new = {"name": "zoe", "password": PASSWORD}
    assert (await desk.call("POST", "/users", new))[0] == 201
    status, token = await desk.call("POST", "/login", {"user": "zoe", "password": PASSWORD})
    assert (status, token["user"], sorted(token["scopes"])) == (201, "zoe", sorted(ALL_SCOPES))
    zoe = Somebody(desk, token["token"])
    _, me = await zoe.call("GET", "/me")
    assert (me["name"], me["role"], me["expires"]) == ("zoe", "user", token["expires"])
    assert (await zoe.call("POST", "/logout"))[0] == 204
    assert (await zoe.call("GET", "/me"))[0] == 401


async def test_me_tells_what_a_token_serves_in_its_users_role(desk: Desk) -> None:
    used = {}
    for role in UserRole:
        _, me = await (await somebody(desk, f"a-{role}", role)).call("GET", "/me")
        used[role] = me["scopes"]
    assert used == {
        UserRole.ADMIN: sorted(ALL_SCOPES),
        UserRole.USER: ["account", "data", "jobs", "read"],
        UserRole.VIEWER: ["account", "read"],
    }


async def test_wrong_passwords_unknown_and_disabled_users_get_one_and_the_same_answer(
    desk: Desk,
) -> None:
    for name in ("zoe", "old"):
        await desk.call("POST", "/users", {"name": name, "password": PASSWORD})
    await desk.call("PATCH", "/users/old", {"disabled": True})
    answers = []
    for user, password in (("zoe", "wrong" * 4), ("nobody", PASSWORD), ("old", PASSWORD)):
        status, said = await desk.call("POST", "/login", {"user": user, "password": password})
        answers.append((status, said["code"], said["detail"], said["hint"]))
    assert set(answers) == {answers[0]}
    assert answers[0][0] == 401


async def test_a_password_typed_as_a_name_is_not_logged(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    await desk.call("POST", "/users", {"name": "zoe", "password": PASSWORD})
    for name in ("zoe", PASSWORD):
        login = {"user": name, "password": "wrong" * 4}
        assert (await desk.call("POST", "/login", login))[0] == 401
    logged = capsys.readouterr().out
    failed = [line for line in logged.splitlines() if "login_failed" in line]
    assert ["zoe" in line for line in failed] == [True, False]
    assert PASSWORD not in logged


async def test_guessing_a_password_is_slowed_down_also_for_guesses_at_the_same_time(
    desk: Desk,
) -> None:
    await desk.call("POST", "/users", {"name": "zoe", "password": PASSWORD})

    async def guess() -> int:
        return (await desk.call("POST", "/login", {"user": "zoe", "password": "x" * 12}))[0]

    answers = await asyncio.gather(*(guess() for _ in range(12)))
    assert sorted(answers) == [401] * 5 + [429] * 7
    status, said = await desk.call("POST", "/login", {"user": "zoe", "password": PASSWORD})
    assert (status, said["retryable"]) == (429, True)


async def test_a_new_password_ends_all_sessions_and_one_s_own_needs_the_old_one(
    desk: Desk,
) -> None:
    _, made = await desk.call("POST", "/users", {"name": "zoe"})
    login = {"user": "zoe", "password": made["password"]}
    zoe = Somebody(desk, (await desk.call("POST", "/login", login))[1]["token"])
    assert (await zoe.call("PUT", "/users/zoe/password", {"new": PASSWORD}))[0] == 401
    change = {"new": PASSWORD, "old": made["password"]}
    assert (await zoe.call("PUT", "/users/zoe/password", change))[0] == 200
    assert (await zoe.call("GET", "/me"))[0] == 401
    assert (await desk.call("POST", "/login", {**login, "password": PASSWORD}))[0] == 201
    _, reset = await desk.call("PUT", "/users/zoe/password", {})
    assert (await desk.call("POST", "/login", {**login, **reset}))[0] == 201


async def test_a_token_gives_on_no_more_than_it_has_and_for_no_longer_than_allowed(
    desk: Desk,
) -> None:
    zoe = await somebody(desk, "zoe", scopes=frozenset({Scope.READ, Scope.ACCOUNT}))
    status, said = await zoe.call("POST", "/tokens", {"label": "ci", "expires_in": "2d"})
    assert (status, said["scopes"], said["label"]) == (201, ["read"], "ci")
    assert (await zoe.call("POST", "/tokens", {"scopes": ["jobs"]}))[0] == 403
    assert (await zoe.call("POST", "/tokens", {"expires_in": "1000d"}))[0] == 422
    assert (await zoe.call("POST", "/tokens", {"user": "ann"}))[0] == 403
    assert (await zoe.call("GET", "/tokens?user=ann"))[0] == 403
    _, listed = await zoe.call("GET", "/tokens")
    assert all("token" not in each for each in listed["tokens"])
    small = Somebody(desk, said["token"])
    assert (await small.call("GET", "/jobs"))[0] == 200
    assert (await small.call("GET", "/tokens"))[0] == 403
    for _ in range(2):
        assert (await zoe.call("DELETE", f"/tokens/{said['id']}"))[0] == 204
    assert (await small.call("GET", "/jobs"))[0] == 401


async def test_revoking_disabling_and_demoting_act_at_once(
    state_dir: Path, redis_server: RedisServer
) -> None:
    async with running_desk(state_dir, redis_server.url, token_cache_s=600.0) as desk:
        eve = await somebody(desk, "eve", UserRole.ADMIN)
        assert (await eve.call("GET", "/users"))[0] == 200
        await desk.call("PATCH", "/users/eve", {"role": "viewer"})
        await wait_until(lambda: _answers(eve, "/users", 403), "the new role to count")
        await desk.call("PATCH", "/users/eve", {"disabled": True})
        await wait_until(lambda: _answers(eve, "/me", 401), "the token to be refused")
        await desk.call("PATCH", "/users/eve", {"disabled": False})
        assert (await eve.call("GET", "/me"))[0] == 401


async def _answers(who: Somebody, path: str, status: int) -> bool:
    return (await who.call("GET", path))[0] == status


async def test_the_last_admin_can_be_neither_demoted_nor_disabled(desk: Desk) -> None:
    for change in ({"role": "user"}, {"disabled": True}):
        status, said = await desk.call("PATCH", "/users/ann", change)
        assert (status, said["detail"]) == (409, "ann is the only admin")
    await somebody(desk, "eve", UserRole.ADMIN)
    assert (await desk.call("PATCH", "/users/ann", {"role": "user"}))[0] == 200


async def test_a_group_that_is_gone_gives_nothing_to_one_of_the_same_name(desk: Desk) -> None:
    zoe = await somebody(desk, "zoe", groups=("hydro",))
    job = await desk.submit()
    await desk.call("POST", f"/jobs/{job}:share", {"who": "group:hydro"})
    assert (await zoe.call("GET", f"/jobs/{job}"))[0] == 200
    assert (await desk.call("DELETE", "/groups/hydro"))[0] == 204
    await desk.call("POST", "/groups", {"name": "hydro"})
    assert (await zoe.call("GET", f"/jobs/{job}"))[0] == 404
    assert (await desk.call("PUT", "/groups/hydro/members/zoe"))[0] == 204
    assert (await zoe.call("GET", f"/jobs/{job}"))[0] == 200
    assert (await desk.call("PUT", "/groups/none/members/zoe"))[0] == 404
    assert (await desk.call("PUT", "/groups/hydro/members/none"))[0] == 404


async def test_who_asks_too_often_is_told_when_to_come_again(
    state_dir: Path, redis_server: RedisServer
) -> None:
    limits = {"user_requests_per_s": 1, "user_requests_at_once": 3, "token_cache_s": 600.0}
    async with running_desk(state_dir, redis_server.url, **limits) as desk:
        zoe, yan = await somebody(desk, "zoe"), await somebody(desk, "yan")
        answers = [(await zoe.call("GET", "/me"))[0] for _ in range(8)]
        assert answers[:3] == [200] * 3
        assert 429 in answers
        assert (await yan.call("GET", "/me"))[0] == 200  # others go on
        headers = {"Authorization": f"Bearer {zoe.token}"}
        async with desk.session.get("http://request/api/v1/me", headers=headers) as answer:
            assert answer.status in (200, 429)
            assert answer.status == 200 or int(answer.headers["Retry-After"]) >= 1


async def test_what_is_secret_stands_in_no_record_of_redis(
    desk: Desk, capfd: pytest.CaptureFixture[str]
) -> None:
    await desk.call("POST", "/users", {"name": "zoe", "password": PASSWORD})
    _, token = await desk.call("POST", "/login", {"user": "zoe", "password": PASSWORD})
    await desk.call("POST", "/login", {"user": "zoe", "password": PASSWORD + "x"})
    kept = []
    for key in await desk.redis.command("KEYS", "hr:*"):
        kept.append(str(key))
        if await desk.redis.command("TYPE", key) == "hash":
            kept.append(str(await desk.redis.command("HGETALL", key)))
    said = "".join(capfd.readouterr())
    assert any("argon2id" in each for each in kept)
    for secret in (PASSWORD, token["token"]):
        assert secret not in "".join(kept)
        assert secret not in said


async def test_an_expired_token_is_told_so_and_a_removed_one_is_unknown(desk: Desk) -> None:
    users = UserStore(desk.redis)
    late = await token_of(users, "zoe", UserRole.USER, expires_ms=int(time.time() * 1000) - 1000)
    _, said = await Somebody(desk, late).call("GET", "/me")
    assert said["detail"] == "this token has expired"
    await users.revoke_all("zoe")
    _, said = await Somebody(desk, late).call("GET", "/me")
    assert said["detail"] == "this token is not known"


# ---- quotas


async def test_an_admin_gives_quotas_and_who_has_them_sees_what_is_used(desk: Desk) -> None:
    admin = await somebody(desk, "root", UserRole.ADMIN)
    assert (await admin.call("POST", "/groups", {"name": "models"}))[0] == 201
    eve = await somebody(desk, "eve")
    bob = await somebody(desk, "bob")
    for name in ("eve", "bob"):
        await admin.call("PUT", f"/groups/models/members/{name}")
    await desk.redis.command("HSET", "hr:stored", "eve", 5, "bob", 7)
    status, view = await admin.call("PATCH", "/users/eve", {"quota": "10GiB"})
    assert (status, view["stored_bytes"], view["quota_bytes"]) == (200, 5, 10 * 2**30)
    status, view = await admin.call("PATCH", "/groups/models", {"quota": "20GiB"})
    assert (status, view["stored_bytes"], view["quota_bytes"]) == (200, 12, 20 * 2**30)
    _, me = await eve.call("GET", "/me")
    assert me["storage"] == [
        {"who": "user:eve", "stored_bytes": 5, "quota_bytes": 10 * 2**30},
        {"who": "group:models", "stored_bytes": 12, "quota_bytes": 20 * 2**30},
    ]
    _, me = await bob.call("GET", "/me")
    assert me["storage"][0] == {"who": "user:bob", "stored_bytes": 7}, "there is no quota"
    _, users = await bob.call("GET", "/users")
    seen = {each["name"]: each.get("stored_bytes") for each in users["users"]}
    assert (seen["bob"], seen["eve"], seen["root"]) == (7, None, None), "what others have"
    carol = await somebody(desk, "carol")
    _, groups = await carol.call("GET", "/groups")
    assert "stored_bytes" not in groups["groups"][0]
    _, view = await admin.call("PATCH", "/users/eve", {"quota": "cpus=1 jobs=2 cpu_hours=9/7d"})
    assert view["run_quota"] == "cpu_hours=9/7d cpus=1 jobs=2"
    _, view = await admin.call("PATCH", "/users/eve", {"quota": "none jobs=3"})
    assert (view.get("quota_bytes"), view["run_quota"]) == (None, "jobs=3")
    await admin.call("PATCH", "/users/eve", {"quota": "none"})
    view = (await admin.call("GET", "/users/eve"))[1]
    assert (view.get("quota_bytes"), view.get("run_quota")) == (None, None)
    for who in ("/users/nobody", "/groups/nobody"):
        assert (await admin.call("PATCH", who, {"quota": "1GiB"}))[0] == 404
    for bad in ("much", "9000TiB", 5, ""):
        assert (await admin.call("PATCH", "/users/eve", {"quota": bad}))[0] == 422
    assert (await eve.call("PATCH", "/users/eve", {"quota": "1TiB"}))[0] == 403
    assert (await eve.call("PATCH", "/groups/models", {"quota": "1TiB"}))[0] == 403


async def test_who_is_over_a_quota_starts_no_job_that_makes_more(desk: Desk) -> None:
    admin, eve = await somebody(desk, "root", UserRole.ADMIN), await somebody(desk, "eve")
    await admin.call("PATCH", "/users/eve", {"quota": "1GiB"})
    await desk.redis.command("HSET", "hr:stored", "eve", 2**30 - 1)
    makes = {**JOB, "outputs": {"flow": {"format": "GENERIC"}}}
    assert (await eve.call("POST", "/jobs", makes))[0] == 201, "there is room for something"
    await desk.redis.command("HSET", "hr:stored", "eve", 2**30)
    for path in ("/jobs", "/jobs:validate"):
        status, refused = await eve.call("POST", path, makes)
        assert (status, refused["code"]) == (409, "OVER_QUOTA")
        assert (
            refused["detail"]
            == "eve has 1.0 GiB in datasets and checkpoints, of a quota of 1.0 GiB"
        )
        assert "delete NAME --now" in refused["hint"]
    assert (await eve.call("POST", "/jobs", JOB))[0] == 201, "one without outputs goes on"
    assert (await admin.call("POST", "/jobs", makes))[0] == 201
