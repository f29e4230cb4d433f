"""Who may do what: every row of the table of operations, for each role and standing, asked of a
real `headrace local` by REST, by CLI and over the WebSocket, and held to the one matrix of rules.

A new operation has no scene here: the first test is red until somebody says who may use it.
"""

import asyncio
import json
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from headrace_client.cli import exits, run_cli
from headrace_model.people import RULES, SCOPE_OF, Act, Level, Scope, Standing, UserRole
from headrace_wire.batch import BatchFile, encode_batch
from headrace_wire.openapi import Operation
from headrace_wire.operations.table import OPERATIONS
from tests.acceptance.conftest import PLACE, Answer, Headrace, until

JOB, DATASET = "job", "dataset"
SEE = {JOB: Act.SEE_JOB, DATASET: Act.SEE_DATASET}
LEVELS = {Standing.WRITER: Level.WRITE, Standing.READER: Level.READ}
# Those who may less come first: what they are refused must not be done already.
ROLES = (UserRole.VIEWER, UserRole.USER, UserRole.ADMIN)
NEVER = {
    "headrace": 1, "kind": "command", "command": ["true"], "start_not_before": "2199-01-01",
    "resources": {"cpus": "100m", "memory": "64MiB"},
}  # fmt: skip
CONTENT = b"time,flow\n1980-01-01,1\n"
DIGEST = sha256(CONTENT).hexdigest()
SUM = {"X-Content-SHA256": DIGEST}
BATCH = encode_batch([BatchFile("a.csv", DIGEST, CONTENT)])
PASSWORD = "a horse of another colour"  # noqa: S105 - of users that only these tests know


@dataclass(frozen=True, slots=True)
class Scene:
    """How one row is tried. In texts `{thing}` is the job or dataset, `{me}` who asks, `{new}` a
    name that nobody has.

    `cli`: the words of the same verb; `act`: where the rule is another than the row's.
    """

    cli: tuple[str, ...] = ()
    body: Any = None
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)  # what its job says besides NEVER
    before: str = ""  # the verb that its job was told before
    names: dict[str, str] = field(default_factory=dict)  # for the path
    act: Act | None = None
    own: bool = False  # about oneself, not about others
    free: bool = False  # with any token, as GET /me
    once: bool = False  # a repeat is refused: the CLI does not try what REST has done


def _job(verb: str, **more: Any) -> tuple[Scene, ...]:
    return (Scene(cli=("jobs", verb, "{thing}"), **more),)


WHO = {"who": "user:somebody"}
WITH = ("{thing}", "--with", "user:somebody")
OBSERVED = {"name": "{new}", "category": "OBSERVATION"}
SPARE = {
    "user": "spare", "group": "spares", "token": "0" * 12, "secret": "spare", "node": "local",
}  # fmt: skip
SCENES: dict[str, tuple[Scene, ...]] = {
    "POST /jobs": (Scene(("exec", "run", "--cpus", "100m", "--memory", "64MiB", "--", "true"),
                         body=NEVER),),
    "POST /jobs:validate": (Scene(body=NEVER),),
    "POST /jobs:plan": (Scene(body=NEVER),),
    "GET /jobs": (Scene(("jobs", "list"), own=True),),
    "GET /jobs/{job}": _job("info"),
    "GET /jobs/{job}/history": _job("history"),
    "GET /jobs/{job}/why": _job("why"),
    "GET /jobs/{job}/when": _job("when"),
    "GET /jobs/{job}/outputs": _job("outputs"),
    "GET /jobs/{job}/lineage": _job("lineage"),
    "GET /jobs/{job}/logs": _job("logs"),
    "GET /jobs/{job}/usage": (Scene(),),
    "GET /jobs/{job}/progress": (Scene(),),
    "GET /jobs/{job}/tasks": _job("tasks", job={"array": {"count": 2}}),
    "POST /jobs/{job}:stop": _job("stop"),
    "POST /jobs/{job}:restart": _job("restart", before="stop"),
    "POST /jobs/{job}:cancel": _job("cancel"),
    "POST /jobs/{job}:hold": _job("hold"),
    "POST /jobs/{job}:release": _job("release", before="hold"),
    "POST /jobs/{job}:retry": (
        Scene(("jobs", "retry", "{thing}"), before="cancel"),
    ),
    "POST /jobs/{job}:share": (Scene(("jobs", "share", *WITH), body=WHO),),
    "POST /jobs/{job}:unshare": (Scene(("jobs", "unshare", *WITH), body=WHO),),
    "GET /cluster/series": (Scene(),),
    "GET /nodes": (Scene(("nodes", "list")),),
    "POST /nodes/{node}:drain": (Scene(("nodes", "drain", "local")),),
    "POST /nodes/{node}:undrain": (Scene(("nodes", "undrain", "local")),),
    "POST /nodes/{node}:confirm-lost": (Scene(("nodes", "confirm-lost", "lost", "--yes"),
                                              names={"node": "lost"}),),
    "POST /nodes/{node}:label": (Scene(("nodes", "label", "local", "rack=r7", "spare-"),
                                       body={"set": {"rack": "r7"}, "remove": ["spare"]}),),
    "POST /nodes/{node}:remove": (Scene(("nodes", "remove", "gone", "--yes"),
                                        names={"node": "gone"}),),
    "POST /nodes/{node}:discard": (Scene(("nodes", "discard", "local", "--yes")),),
    "GET /maintenance": (Scene(("maintenance", "show")),),
    "PUT /maintenance": (Scene(("maintenance", "off"), body={"on": False}),),
    "POST /datasets": (Scene(("dataset", "create", "{new}", "--category", "OBSERVATION"),
                             body=OBSERVED),),
    "GET /datasets": (Scene(("dataset", "list"), own=True),),
    "POST /datasets:match": (Scene(("dataset", "match", "--category", "FORCING"),
                                   body={"category": "FORCING"}, own=True),),
    "POST /datasets:sweep": (Scene(("dataset", "sweep", "--dry-run"), body={"dry_run": True}),),
    "GET /datasets/{dataset}": (Scene(("dataset", "info", "{thing}")),),
    "PATCH /datasets/{dataset}": (
        Scene(("dataset", "change", "{thing}", "--description", "x"), body={"description": "x"}),
        Scene(body={"expires_in": "9d"}, act=Act.DELETE_DATASET),
        Scene(body={"name": "{new}"}, act=Act.DELETE_DATASET),
    ),
    "DELETE /datasets/{dataset}": (Scene(("dataset", "delete", "{thing}", "--yes"), once=True),),
    "POST /datasets/{dataset}:undelete": (Scene(("dataset", "undelete", "{thing}")),),
    "GET /datasets/{dataset}/versions": (Scene(),),
    "GET /datasets/{dataset}/lineage": (Scene(("dataset", "lineage", "{thing}")),),
    "POST /datasets/{dataset}:seal": (Scene(("dataset", "seal", "{thing}")),),
    "POST /datasets/{dataset}:share": (Scene(("dataset", "share", *WITH), body=WHO),),
    "POST /datasets/{dataset}:unshare": (Scene(("dataset", "unshare", *WITH), body=WHO),),
    "GET /datasets/{dataset}/items": (Scene(("dataset", "items", "{thing}")),),
    "POST /datasets/{dataset}:upload": (
        Scene(("dataset", "upload", "{thing}", "a.csv"), body=BATCH),
    ),
    "POST /datasets/{dataset}:download": (
        Scene(("dataset", "download", "{thing}", "{new}"), body={"paths": ["a.csv"]}),
    ),
    "POST /datasets/{dataset}:take": (
        Scene(body={"dataset": "{thing}", "paths": ["a.csv"]}),
    ),
    "POST /datasets/{dataset}:direct-upload": (
        Scene(body={"path": "b.bin", "size_bytes": 9, "sha256": "0" * 64}),
    ),
    "POST /datasets/{dataset}:direct-download": (Scene(body={"path": "a.csv"}),),
    "POST /datasets/{dataset}:import": (
        Scene(
            ("dataset", "import", "{thing}", "--from", str(PLACE)), body={"source": str(PLACE)}
        ),
    ),
    "PUT /datasets/{dataset}/items/{path}": (Scene(body=CONTENT, headers=SUM),),
    "GET /datasets/{dataset}/items/{path}": (Scene(),),
    "HEAD /datasets/{dataset}/items/{path}": (Scene(),),
    "DELETE /datasets/{dataset}/items/{path}": (
        Scene(("dataset", "remove", "{thing}", "a.csv"), once=True),
    ),
    "POST /logout": (Scene(own=True, once=True),),
    "GET /me": (Scene(("whoami",), own=True),),
    "GET /tokens": (
        Scene(("tokens", "list"), own=True),
        Scene(("tokens", "list", "--user", "spare"), query="?user=spare", act=Act.MANAGE_PEOPLE),
    ),
    "POST /tokens": (
        Scene(("tokens", "create"), body={}, own=True),
        Scene(("tokens", "create", "--user", "spare"), body={"user": "spare"},
              act=Act.MANAGE_PEOPLE),
    ),
    "DELETE /tokens/{token}": (
        Scene(("tokens", "revoke", "0" * 12), own=True),
        Scene(("tokens", "revoke", "0" * 12, "--user", "spare"), query="?user=spare",
              act=Act.MANAGE_PEOPLE),
    ),
    "GET /webhooks": (Scene(("webhooks", "list"), own=True),),
    "POST /webhooks": (
        Scene(("webhooks", "add", "https://example.org/{new}"),
              body={"url": "https://example.org/hook"}, own=True),
    ),
    "DELETE /webhooks/{webhook}": (
        Scene(("webhooks", "remove", "0" * 12), names={"webhook": "0" * 12}, own=True),
    ),
    "GET /secrets": (Scene(("secrets", "list"), own=True),),
    "PUT /secrets/{secret}": (Scene(("secrets", "set", "spare", "--from-file", "a.csv"),
                                    body={"value": "x"}, own=True),),
    "DELETE /secrets/{secret}": (Scene(("secrets", "delete", "spare"), own=True),),
    "GET /users": (Scene(("users", "list")),),
    "POST /users": (Scene(("users", "create", "{new}"), body={"name": "{new}"}),),
    "GET /users/{user}": (
        Scene(("users", "info", "spare")),
        Scene(("users", "info", "{me}"), names={"user": "{me}"}, free=True, own=True),
    ),
    "PATCH /users/{user}": (Scene(("users", "change", "spare", "--role", "user"),
                                  body={"role": "user"}),),
    "PUT /users/{user}/password": (
        Scene(("users", "password", "spare", "--make"), body={}, act=Act.MANAGE_PEOPLE),
        Scene(body={"old": PASSWORD, "new": PASSWORD}, names={"user": "{me}"}, own=True,
              once=True),
    ),
    "GET /groups": (Scene(("groups", "list")),),
    "POST /groups": (Scene(("groups", "create", "{new}"), body={"name": "{new}"}),),
    "PATCH /groups/{group}": (Scene(("groups", "change", "spares", "--quota", "1TiB"),
                                    body={"quota": "1TiB"}),),
    "DELETE /groups/{group}": (Scene(("groups", "delete", "{new}", "--yes"),
                                     names={"group": "{new}"}),),
    "PUT /groups/{group}/members/{user}": (Scene(("groups", "add", "spares", "spare")),),
    "DELETE /groups/{group}/members/{user}": (Scene(("groups", "remove", "spares", "spare")),),
}  # fmt: skip


def _row(operation: Operation) -> str:
    return f"{operation.method} {operation.path.removeprefix('/api/v1')}"


GUARDED = {_row(each): each for each in OPERATIONS if not each.open}
_NEW = count(1)


def _about(row: str) -> str | None:
    return next((kind for kind in (JOB, DATASET) if f"{{{kind}}}" in row), None)


def _act(row: str, scene: Scene) -> Act | None:
    return None if scene.free else scene.act or GUARDED[row].act


def _allowed(row: str, scene: Scene, role: UserRole, standing: Standing) -> bool:
    act, about = _act(row, scene), _about(row)
    seen = about is None or standing in RULES[SEE[about]][role]
    return seen and (act is None or standing in RULES[act][role])


def _standings(row: str, scene: Scene) -> tuple[Standing, ...]:
    if _about(row):
        return tuple(Standing)
    return (Standing.OWNER if scene.own else Standing.STRANGER,)


@dataclass
class Somebody:
    """Who asks."""

    name: str
    role: UserRole
    token: str


class Stage:
    """The people of a running Headrace, and a job or dataset for each scene and standing."""

    def __init__(self, headrace: Headrace) -> None:
        self.headrace = headrace
        self.things: dict[tuple[str, int, Standing, str], str] = {}
        assert headrace.ask("POST", "/groups", {"name": "spares"}).status == 201
        headrace.lose_a_node("lost")
        self.spare, self.ann = self.person("spare"), self.person("ann")
        self.asking = {role: self.person(f"m-{role}") for role in ROLES}
        self._set()
        for role, who in self.asking.items():
            # Things are made before: who is a viewer now may have had jobs and data as a user.
            headrace.ask("PATCH", f"/users/{who.name}", {"role": role})
            who.role = role
            until(lambda who=who: self.says(who) == who.role, f"{who.name} to be {role}")

    def person(self, name: str) -> Somebody:
        made = self.headrace.ask("POST", "/users", {"name": name, "password": PASSWORD})
        assert made.status == 201, made.body
        scopes = [*Scope]
        asked = self.headrace.ask("POST", "/tokens", {"user": name, "scopes": scopes})
        return Somebody(name, UserRole.USER, asked.json["token"])

    def says(self, who: Somebody) -> str:
        return str(self.headrace.ask("GET", "/me", token=who.token).json["role"])

    def _set(self) -> None:
        """One thing a scene and owner; those of ann are shared as the standing says."""
        for row, scenes in SCENES.items():
            for number, scene in enumerate(scenes):
                if not (about := _about(row)):
                    continue
                for owner in (*self.asking.values(), self.ann):
                    own = owner is not self.ann
                    for standing in [Standing.OWNER] if own else [*LEVELS, Standing.STRANGER]:
                        thing = self._thing(about, scene, owner.token)
                        self._share(about, thing, standing)
                        self.things[row, number, standing, owner.name if own else ""] = thing

    def _thing(self, about: str, scene: Scene, token: str) -> str:
        ask = self.headrace.ask
        if about == JOB:
            made = ask("POST", "/jobs", {**NEVER, **scene.job}, token=token)
            assert made.status == 201, made.body
            job = str(made.json["id"])
            if scene.before:
                assert ask("POST", f"/jobs/{job}:{scene.before}", token=token).status == 200
            return job
        name = f"d{next(_NEW)}"
        made = ask("POST", "/datasets", {"name": name, "category": "OBSERVATION"}, token=token)
        assert made.status == 201, made.body
        sent = ask("PUT", f"/datasets/{name}/items/a.csv", CONTENT, token=token, headers=SUM)
        assert sent.status == 201, sent.body
        return name

    def _share(self, about: str, thing: str, standing: Standing) -> None:
        if level := LEVELS.get(standing):
            for who in self.asking.values():
                body = {"who": f"user:{who.name}", "level": level}
                path = f"/{about}s/{thing}:share"
                assert self.headrace.ask("POST", path, body, token=self.ann.token).status == 200

    def thing(self, row: str, scene: int, standing: Standing, who: Somebody) -> str:
        name = who.name if standing is Standing.OWNER else ""
        return self.things.get((row, scene, standing, name), "")

    def ask(self, row: str, scene: Scene, thing: str, who: Somebody) -> Answer:
        method, path = row.split(" ", 1)
        words = {"thing": thing, "me": who.name, "new": f"n{next(_NEW)}"}
        names = {**SPARE, JOB: thing, DATASET: thing, "path": "a.csv", **scene.names}
        for key, value in names.items():
            path = path.replace(f"{{{key}}}", _filled(value, words))
        body = scene.body
        if body is not None and not isinstance(body, bytes):
            body = json.loads(_filled(json.dumps(body), words))
        return self.headrace.ask(
            method, path + scene.query, body, token=who.token, headers=scene.headers
        )


def _filled(text: str, words: dict[str, str]) -> str:
    for key, value in words.items():
        text = text.replace(f"{{{key}}}", value)
    return text


@pytest.fixture(scope="module")
def stage(headrace: Headrace) -> Stage:
    return Stage(headrace)


@pytest.fixture
def shell(
    headrace: Headrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """A shell that knows the server's address alone."""
    (tmp_path / "a.csv").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "CONFIG"):
        monkeypatch.setenv(f"HEADRACE_{name}", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("HEADRACE_URL", headrace.url)
    monkeypatch.delenv("HEADRACE_TOKEN_FILE", raising=False)
    return monkeypatch


def test_every_operation_has_a_scene() -> None:
    assert SCENES.keys() == GUARDED.keys()


def test_without_a_token_only_what_is_open_to_all_is_answered(headrace: Headrace) -> None:
    for operation in OPERATIONS:
        path = operation.path
        for name in ("job", "dataset", "path", "user", "group", "token", "secret", "file"):
            path = path.replace(f"{{{name}}}", "0" * 16)
        status = headrace.ask(operation.method, f"/{path}", token=None).status
        assert (status == 401) is not operation.open, path


def test_a_list_shows_what_the_rules_let_one_see(stage: Stage) -> None:
    for about, path, key in ((JOB, "/jobs?limit=1000", "id"), (DATASET, "/datasets?limit=1000",
                                                                "name")):  # fmt: skip
        for who in stage.asking.values():
            seen = {
                thing
                for (row, _, standing, owner), thing in stage.things.items()
                if _about(row) == about
                and (standing in RULES[SEE[about]][who.role] if owner in ("", who.name)
                     else who.role is UserRole.ADMIN)
            }  # fmt: skip
            listed = stage.headrace.ask("GET", path, token=who.token).json[f"{about}s"]
            things = {*stage.things.values()}
            assert {each[key] for each in listed} & things == seen, (about, who)


async def test_live_updates_tell_what_the_rules_let_one_see(stage: Stage) -> None:
    row = "GET /jobs/{job}"
    async with ClientSession() as session:
        for role, who in stage.asking.items():
            headers = {"Authorization": f"Bearer {who.token}"}
            url = f"{stage.headrace.url}/api/v1/ws"
            async with session.ws_connect(url, headers=headers) as wire, asyncio.timeout(60.0):
                hello = await wire.receive_json()
                assert (hello["user"], hello["role"]) == (who.name, role)
                for standing in Standing:
                    job = stage.thing(row, 0, standing, who)
                    sees = standing in RULES[Act.SEE_JOB][role]
                    await wire.send_json(
                        {"op": "follow", "id": "j", "topic": "jobs", "jobs": [job]}
                    )
                    told = await wire.receive_json()
                    assert [each["id"] for each in told["jobs"]] == ([job] if sees else [])
                    await wire.send_json({"op": "unfollow", "id": "j"})
                    await wire.send_json(
                        {"op": "follow", "id": "l", "topic": "logs", "job": job, "attempt": 9}
                    )
                    told = await wire.receive_json()
                    # An attempt that there is not: who may see the job hears so.
                    assert (told["type"], told["code"]) == ("error", "NOT_FOUND")
                    assert ("attempt" in told["detail"]) is sees, (role, standing, told)
                await wire.send_json({"op": "follow", "id": "n", "topic": "nodes"})
                assert (await wire.receive_json())["type"] == "nodes"
                assert RULES[Act.SEE_NODES][role]


def test_a_token_of_other_scopes_does_nothing(stage: Stage) -> None:
    made = {
        scope: stage.headrace.ask("POST", "/tokens", {"scopes": [scope]}).json["token"]
        for scope in Scope
    }
    wrong = []
    for row, scenes in SCENES.items():
        for number, scene in enumerate(scenes):
            act = _act(row, scene)
            for scope, token in made.items():
                if act is None or SCOPE_OF[act] is scope:
                    continue
                thing = stage.thing(row, number, Standing.STRANGER, stage.ann)
                who = Somebody(stage.headrace.get("/me")["name"], UserRole.ADMIN, token)
                answer = stage.ask(row, scene, thing, who)
                if answer.status != 403:
                    wrong.append(f"{row} {number} with {scope}: {answer.status}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("row", GUARDED)
def test_each_row_is_answered_as_the_rules_say(
    stage: Stage, shell: pytest.MonkeyPatch, row: str
) -> None:
    wrong = []
    for number, scene in enumerate(SCENES[row]):
        for standing in _standings(row, scene):
            for role, who in stage.asking.items():
                if scene.own and scene.once:  # it ends the sessions of who asks
                    who = _another(stage, who)
                thing = stage.thing(row, number, standing, who)
                allowed = _allowed(row, scene, role, standing)
                about = _about(row)
                hidden = about is not None and standing not in RULES[SEE[about]][role]
                answer = stage.ask(row, scene, thing, who)
                what = f"{role} {standing} {number}: {answer.status} {answer.body[:200]!r}"
                right = range(200, 300) if allowed else [404 if hidden else 403]
                if answer.status not in right:
                    wrong.append(what)
                if hidden and not allowed:
                    nothing = "0" * 16 if about == JOB else "nothing"
                    missing = stage.ask(row, scene, nothing, who)
                    if _said(answer, thing) != _said(missing, nothing):
                        wrong.append(f"{what} differs from {missing.body[:200]!r}")
                if scene.cli and not (scene.once and allowed):
                    code = _by_cli(shell, scene, thing, who)
                    expected = (
                        exits.OK if allowed else exits.NOT_FOUND if hidden else exits.REFUSED
                    )
                    if code != expected:
                        wrong.append(f"{role} {standing} {number}: {scene.cli} ended with {code}")
    assert not wrong, "\n".join(wrong)


def _another(stage: Stage, who: Somebody) -> Somebody:
    """Somebody else of the same role."""
    made = stage.person(f"x{next(_NEW)}")
    made.role = who.role
    stage.headrace.ask("PATCH", f"/users/{made.name}", {"role": made.role})
    until(lambda: stage.says(made) == made.role, "the role to count")
    return made


def _by_cli(shell: pytest.MonkeyPatch, scene: Scene, thing: str, who: Somebody) -> int:
    shell.setenv("HEADRACE_TOKEN", who.token)
    words = {"thing": thing, "me": who.name, "new": f"n{next(_NEW)}"}
    return run_cli([_filled(word, words) for word in scene.cli])


def _said(answer: Answer, name: str) -> tuple[int, str]:
    """What an error tells, but for the name that was asked and the id of the request."""
    if not answer.body:
        return answer.status, ""
    told = {key: value for key, value in answer.json.items() if key != "request_id"}
    return answer.status, json.dumps(told, sort_keys=True).replace(name, "NAME")
