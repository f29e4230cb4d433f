"""What strangers, mistakes and malice send: each gets a clear answer, and nothing breaks.

The last test looks at what all of them left.
"""

import asyncio
import contextlib
import json
import re
import socket
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_local.redis_users import connect
from tests.acceptance.conftest import Answer, Headrace, until
from tests.support.ngen_runs import run_example
from tests.support.people import token_of

_DOCS = Path(__file__).parents[2] / "docs" / "rest.md"
_JOB = {"headrace": 1, "kind": "command", "name": "job", "command": ["true"]}
_SMALL = {"cpus": "100m", "memory": "64MiB"}


def _refused(answer: Answer, *statuses: int) -> Any:
    """The problem that an answer tells; it has to be a whole one."""
    assert answer.status in (statuses or range(400, 500)), answer
    assert answer.headers["content-type"].startswith("application/problem+json"), answer
    problem = answer.json
    assert problem["status"] == answer.status
    assert re.fullmatch("[A-Z_]+", problem["code"])
    assert len(problem["detail"]) > 10
    assert problem["request_id"] == answer.headers["x-request-id"]
    return problem


async def _with_users(headrace: Headrace) -> tuple[str, str]:
    """A token of another user, and one that has expired."""
    redis = connect(headrace.home)
    try:
        await redis.open()
        users = UserStore(redis)
        return await token_of(users, "bob"), await token_of(users, "bob", expires_ms=1)
    finally:
        await redis.close()


@pytest.fixture(scope="module")
def tokens(headrace: Headrace) -> tuple[str, str]:
    """A token of another user, and one that has expired."""
    return asyncio.run(_with_users(headrace))


class TestBodies:
    """Bodies that are no JSON, or too much of it."""

    @pytest.mark.parametrize("path", ["/jobs", "/jobs:validate", "/jobs:plan", "/datasets"])
    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"[" * 100_000, id="deep lists"),
            pytest.param(b"[" * 100_000 + b"]" * 100_000, id="deep closed lists"),
            pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="deep objects"),
            pytest.param(b'{"name": ' + b"9" * 100_000 + b"}", id="a long number"),
            pytest.param(b'{"priority": NaN}', id="NaN"),
            pytest.param(b'{"priority": -Infinity}', id="Infinity"),
            pytest.param(b'{"priority": 1e999}', id="1e999"),
            pytest.param(b'{"name": "a\\u0000b"}', id="NUL"),
            pytest.param(b'{"name": "a\\ud800b"}', id="half a surrogate pair"),
            pytest.param(b'{"name": "\xff\xfe"}', id="bad UTF-8"),
            pytest.param('{"name": "a"}'.encode("utf-16"), id="UTF-16"),
            pytest.param(b'{"name": "a", "name": "b"}', id="a key twice"),
            pytest.param(b"", id="nothing"),
            pytest.param(b"null", id="null"),
            pytest.param(b'"job"', id="a text"),
            pytest.param(b"[]", id="an empty list"),
            pytest.param(b"[[]]", id="a list of lists"),
            pytest.param(b"{", id="half an object"),
            pytest.param(b"\x00" * 1000, id="zeros"),
        ],
    )
    def test_what_is_no_job_and_no_dataset(
        self, headrace: Headrace, path: str, body: bytes
    ) -> None:
        _refused(headrace.ask("POST", path, body), 422)

    @pytest.mark.parametrize("path", ["/jobs", "/datasets"])
    def test_a_huge_body_is_too_large(self, headrace: Headrace, path: str) -> None:
        body = json.dumps({**_JOB, "name": "x" * (17 << 20)}).encode()
        problem = _refused(headrace.ask("POST", path, body), 413)
        assert problem["code"] == "TOO_LARGE"

    def test_a_run_of_ngen_where_there_is_no_ngen(self, headrace: Headrace) -> None:
        job = {
            "headrace": 1,
            "kind": "ngen",
            "settings": {"time": ["2015-12-01", "2015-12-02"]},
        }
        problem = _refused(headrace.ask("POST", "/jobs", job), 422)
        assert "there is no ngen to run" in problem["detail"]
        plan = headrace.ask("POST", "/jobs:plan", job).json
        assert plan["outcome"] == "NEVER"
        assert "there is no ngen to run" in plan["sentence"]
        assert {each["input"] for each in plan["data"]} == {"config", "fabric", "forcing"}

    def test_an_example_of_ngen_ends_where_there_is_none(
        self, headrace: Headrace, tmp_path: Path
    ) -> None:
        done = run_example(headrace.environ, "sugar-creek", "ngen-sugar-creek", tmp_path)
        assert done.returncode == 0, done.stderr
        assert "there is no ngen to run" in done.stdout
        assert "the example ends: it needs an ngen" in done.stdout
        headrace.delete_datasets()

    def test_of_a_list_with_a_wrong_job_none_is_taken(self, headrace: Headrace) -> None:
        name = f"list-{token_hex(4)}"
        jobs = [{**_JOB, "name": name}, {**_JOB, "name": name, "comand": ["x"]}]
        assert "command" in _refused(headrace.ask("POST", "/jobs", jobs), 422)["detail"]
        assert headrace.get(f"/jobs?q={name}")["jobs"] == []
        many = [{**_JOB, "name": name}] * 1001
        _refused(headrace.ask("POST", "/jobs", many), 413)


class TestJobFiles:
    """Keys, types and units."""

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"comand": ["true"]}, "command"),
            ({"resources": {"cpu": 1}}, "cpus"),
            ({"limits": {"tme": "1s"}}, "time"),
            ({"inputs": {"a": {"category": "FORCINGS"}}}, "FORCING"),
            ({"inputs": {"a": {"category": "FORCING", "domain": {"TIMES": "x"}}}}, "TIME"),
            ({"kind": "comand"}, "command"),
            ({"headrace": 2}, "headrace"),
            ({"command": "true"}, "command"),
            ({"command": [["a"]]}, "command"),
            ({"command": []}, "command"),
            ({"command": ["cat", "{nothing}"]}, "nothing"),
            ({"env": {"A": ["x"]}}, "env"),
            ({"env": {"A=B": "1"}}, "env"),
            ({"env": {"HEADRACE_JOB": "1"}}, "HEADRACE_"),
            ({"resources": {"cpus": -1}}, "cpus"),
            ({"resources": {"cpus": True}}, "cpus"),
            ({"resources": {"memory": "4 gigs"}}, "memory"),
            ({"resources": {"memory": 4}}, "memory"),
            ({"limits": {"time": "30 parsecs"}}, "time"),
            ({"limits": {"time": 30}}, "time"),
            ({"start_not_before": "tomorrow"}, "start_not_before"),
            ({"priority": "hihg"}, "did you mean high"),
            ({"priority": 10**30}, "too large"),
            ({"priority": 1000}, "priority"),
            ({"after": ["../x"]}, "after"),
            ({"name": "../x"}, "name"),
            ({"name": ["x"]}, "name"),
            ({"environment": {"pip": ["--index-url=x"]}}, "pip"),
            ({"inputs": {"a.b": {"category": "FORCING"}}}, "inputs"),
            ({"inputs": {"../a": {"category": "FORCING"}}}, "inputs"),
            ({"inputs": {"a": {"path": "/etc/passwd"}}}, "a"),
        ],
    )
    def test_what_is_wrong_is_named(
        self, headrace: Headrace, wrong: dict[str, Any], says: str
    ) -> None:
        for path in ("/jobs", "/jobs:validate"):
            problem = _refused(headrace.ask("POST", path, {**_JOB, **wrong}), 422)
            assert says in problem["detail"]

    def test_the_command_line_shows_all_that_is_wrong_at_once(
        self, headrace: Headrace, state_dir: Path
    ) -> None:
        file = state_dir / "job.yaml"
        file.write_text("headrace: 1\nkind: command\nname: x\ncomand: [true]\nprioritie: 3\n")
        for words in (("exec", "validate", str(file)), ("exec", "from_file", str(file))):
            done = headrace.cli(*words)
            assert done.returncode == 4
            for said in ("comand", "command", "prioritie", "priority"):
                assert said in done.stderr
            assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("[" * 100_000, id="deep"),
            pytest.param("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", id="aliases"),
            pytest.param("!!python/object/apply:os.system ['true']", id="a Python object"),
            pytest.param("\x00", id="NUL"),
            pytest.param("a: 1\na: 2\n", id="a key twice"),
            pytest.param("", id="nothing"),
        ],
    )
    def test_strange_yaml_is_refused(self, headrace: Headrace, text: str) -> None:
        done = headrace.cli("exec", "from_file", "-", typed=text)
        assert done.returncode == 4, done.stderr
        assert done.stderr.startswith("headrace: ")
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "name",
        ["../x", "/etc/passwd", "a/../../x", "..", ".", "", "a\0b", "a\nb", "a\\b", "x" * 300],
    )
    def test_a_small_file_can_not_leave_its_folder(self, headrace: Headrace, name: str) -> None:
        _refused(headrace.ask("POST", "/jobs", {**_JOB, "files": [_file(name)]}), 422)

    @pytest.mark.parametrize(
        "file",
        [
            pytest.param({"sha256": "0" * 64}, id="another hash"),
            pytest.param({"sha256": "x"}, id="no hash"),
            pytest.param({"content": "no base64!"}, id="no base64"),
            pytest.param({"content": None}, id="no content"),
            pytest.param({"mode": "0777"}, id="another key"),
        ],
    )
    def test_a_small_file_has_to_be_whole(self, headrace: Headrace, file: dict[str, Any]) -> None:
        wrong = {**_file("a.txt"), **file}
        _refused(headrace.ask("POST", "/jobs", {**_JOB, "files": [wrong]}), 422)


def _file(name: str) -> dict[str, str]:
    digest = sha256(b"hi").hexdigest()
    return {"name": name, "sha256": digest, "content": b64encode(b"hi").decode()}


def _routes() -> Iterator[tuple[str, str]]:
    """Each method and path that the tables of docs/rest.md name, filled in."""
    for line in _DOCS.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        calls = re.findall(r"`([^`]+)`", line.split(" | ")[0])
        methods: list[str] = []
        path = ""
        for call in calls:
            named = re.findall(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD)\b", call)
            methods = named or methods
            if found := re.search(r"/[a-z][^ ?]*", call):
                path = found[0]
            elif call.startswith(":"):
                path = path.partition(":")[0] + call
            filled = path.replace("{id}", "0" * 16).replace("{name}", "x").replace("{path}", "a")
            for method in methods:
                if filled.startswith(("/jobs", "/datasets", "/nodes")):
                    yield method, filled


_ROUTES = sorted({*_routes(), ("GET", "/nodes"), ("GET", "/nowhere"), ("DELETE", "/jobs")})


class TestTokens:
    """Nobody without a token gets further than the door."""

    def test_the_documented_routes_are_found(self) -> None:
        assert len(_ROUTES) > 25
        for known in (
            ("POST", "/jobs"),
            ("GET", "/jobs/0000000000000000/logs"),
            ("POST", "/jobs/0000000000000000:cancel"),
            ("PUT", "/datasets/x/items/a"),
            ("DELETE", "/datasets/x/items/a"),
            ("POST", "/datasets:match"),
        ):
            assert known in _ROUTES

    @pytest.mark.parametrize(("method", "path"), _ROUTES)
    def test_a_route_answers_401_without_a_good_token(
        self, headrace: Headrace, tokens: tuple[str, str], method: str, path: str
    ) -> None:
        _, expired = tokens
        internal = headrace.home.internal_token.read_text().strip()
        shown = ["x", "hrt_" + "x" * 43, expired, internal, "x" * 5000, headrace.token[:-1]]
        answers = [headrace.ask(method, path, token=each) for each in shown]
        answers.append(headrace.ask(method, path, token=None))
        for scheme in ("Basic", "bearer  ", "Bearer", ""):
            basic = {"Authorization": f"{scheme} {headrace.token}x"}
            answers.append(headrace.ask(method, path, token=None, headers=basic))
        spoof = {"X-Headrace-User": "admin"}
        answers.append(headrace.ask(method, path, token=None, headers=spoof))
        for answer in answers:
            # 429: one guess too many from this address.
            assert answer.status in (401, 429)
            told = "www-authenticate" if answer.status == 401 else "retry-after"
            assert answer.headers[told]
            if method != "HEAD":
                _refused(answer, answer.status)
        assert headrace.ask("GET", "/me").status == 200, "a known token opens all the same"

    def test_health_needs_none(self, headrace: Headrace) -> None:
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert headrace.ask("GET", f"/{path}", token=None).status == 200

    @pytest.mark.parametrize(
        "path",
        [
            "/internal/staging",
            "/api/v1/datasets/../../../internal/staging",
            "/api/v1/datasets/%2e%2e/%2e%2e/%2e%2e/internal/staging",
            "/api/v1/datasets/..%2f..%2f..%2finternal/staging",
            "/api/v1/datasets/x/..;/..;/internal/staging",
            "/api/v1//internal/staging",
        ],
    )
    def test_internal_addresses_are_not_reached(self, headrace: Headrace, path: str) -> None:
        asked = {"job": "0" * 16, "attempt": 1, "node": "x"}
        problem = _refused(headrace.ask("POST", f"/{path}", asked))
        assert problem["code"] in ("NOT_FOUND", "INVALID_INPUT", "INVALID_NAME")

    def test_nobody_speaks_for_somebody_else(
        self, headrace: Headrace, tokens: tuple[str, str]
    ) -> None:
        name = f"mine-{token_hex(4)}"
        made = headrace.ask(
            "POST", "/datasets", {"name": name, "category": "FORCING"},
            token=tokens[0], headers={"X-Headrace-User": "eve"},
        )  # fmt: skip
        assert made.json["owner"] == "bob"

    def test_the_command_line_says_what_to_do_about_a_bad_token(
        self, headrace: Headrace, state_dir: Path
    ) -> None:
        (state_dir / "token").write_text("hrt_wrong\n")
        done = headrace.cli("--token-file", str(state_dir / "token"), "jobs", "list")
        # Without --url the local token belongs to the local address.
        assert done.returncode == 6
        assert "next: " in done.stderr


class TestRepeats:
    """Idempotency-Key."""

    def test_a_key_stands_for_one_job_of_one_user(
        self, headrace: Headrace, tokens: tuple[str, str]
    ) -> None:
        key = {"Idempotency-Key": f"key-{token_hex(8)}"}
        job = {**_JOB, "resources": _SMALL}
        first, again = (headrace.ask("POST", "/jobs", job, headers=key) for _ in range(2))
        assert (first.status, again.status) == (201, 201)
        assert first.json["id"] == again.json["id"]
        other = {**job, "command": ["false"]}
        problem = _refused(headrace.ask("POST", "/jobs", other, headers=key), 409)
        assert "Idempotency" in problem["detail"] + problem.get("hint", "")
        foreign = headrace.ask("POST", "/jobs", other, headers=key, token=tokens[0])
        assert foreign.status == 201
        assert foreign.json["id"] != first.json["id"]
        headrace.until(first.json["id"], "COMPLETED")

    @pytest.mark.parametrize("key", ["", " ", "x" * 129, "a/b", "é", "*"])
    def test_a_strange_key_is_refused(self, headrace: Headrace, key: str) -> None:
        headers = {"Idempotency-Key": key}
        _refused(headrace.ask("POST", "/jobs", _JOB, headers=headers), 422)


class TestQueries:
    """Parameters in addresses."""

    @pytest.mark.parametrize(
        "path",
        [
            "/jobs?limit=0", "/jobs?limit=-1", "/jobs?limit=1e9", "/jobs?limit=999999999999999999",
            "/jobs?status=RUNING", "/jobs?cursor=../x", "/jobs?cursor=%00", "/jobs?since=today",
            "/datasets?limit=%C2%B2", "/datasets?cursor=%C2%B2-x",
            "/jobs/x", "/jobs/..%2f..", "/jobs/%00", "/jobs/0000000000000000",
            "/jobs/0000000000000000/logs?offset=-1", "/jobs/0000000000000000/logs?stream=all",
            "/jobs/0000000000000000?wait=31", "/jobs/0000000000000000?wait=x",
            "/datasets?limit=x", "/datasets?limit=%D9%A3", "/datasets?category=FORCINGS",
            "/datasets?colour=red", "/datasets?cursor=x", "/datasets/nothing", "/datasets/x@x",
            "/datasets/x@999999999999999999999", "/datasets/%00", "/datasets/nothing/items",
            "/nowhere",
        ],
    )  # fmt: skip
    def test_a_strange_query_is_refused(self, headrace: Headrace, path: str) -> None:
        _refused(headrace.ask("GET", path), 404, 422)

    def test_an_unknown_verb_or_method_is_refused(self, headrace: Headrace) -> None:
        _refused(headrace.ask("POST", "/jobs/0000000000000000:explode"), 404, 422)
        _refused(headrace.ask("DELETE", "/jobs"), 405)
        _refused(headrace.ask("PATCH", "/nodes"), 405)
        _refused(headrace.ask("OPTIONS", "/jobs"), 405)


@pytest.fixture(scope="module")
def dataset(headrace: Headrace) -> str:
    """An OPEN dataset that stays empty."""
    name = f"open-{token_hex(4)}"
    made = headrace.ask("POST", "/datasets", {"name": name, "category": "FORCING"})
    assert made.status == 201
    return name


def _checksum(data: bytes) -> dict[str, str]:
    return {"X-Content-SHA256": sha256(data).hexdigest()}


class TestDatasets:
    """Names, paths and bytes of datasets."""

    @pytest.mark.parametrize(
        "name",
        ["..", ".", "", "a/b", "../../etc/passwd", "A", "a b", "-a", "a-", "a..b", "a\0b", "é",
         "x" * 129, "0123456789abcdef", None, 3, ["a"]],
    )  # fmt: skip
    def test_a_strange_name_is_refused(self, headrace: Headrace, name: object) -> None:
        asked = {"name": name, "category": "FORCING"}
        _refused(headrace.ask("POST", "/datasets", asked), 422)

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            ({"categry": "FORCING"}, "category"),
            ({"category": "FORCINGS"}, "FORCING"),
            ({"domain": {"TIME": ["1980", "1979"]}}, "TIME"),
            ({"domain": {"TIME": ["1981-01-01", "1980-01-01"]}}, "is empty"),
            ({"domain": {"DATA_ID": []}}, "DATA_ID"),
            ({"domain": []}, "domain"),
            ({"expires_in": "soon"}, "is not a duration"),
            ({"expires_in": "-1s"}, "is not a duration"),
            ({"format": "../x"}, "format"),
            ({"version": 7}, "version"),
        ],
    )
    def test_a_strange_description_is_refused(
        self, headrace: Headrace, more: dict[str, Any], says: str
    ) -> None:
        asked = {"name": f"bad-{token_hex(4)}", "category": "FORCING", **more}
        assert says in _refused(headrace.ask("POST", "/datasets", asked), 422)["detail"]

    @pytest.mark.parametrize(
        "path",
        ["../x", "../../x", "%2e%2e/x", "%2e%2e%2f%2e%2e%2fx", "..%2fx", "a/../../../x",
         "a/%2e%2e/x", "/etc/passwd", "%2fetc%2fpasswd", "%00", "a%00b", "a%0ab", "a%5cb", "a//b",
         "a/", ".", "%2e", "x" * 300, "/".join(["x" * 200] * 8)],
    )  # fmt: skip
    def test_an_item_can_not_leave_its_dataset(
        self, headrace: Headrace, dataset: str, path: str
    ) -> None:
        before = _outside(headrace)
        for method in ("PUT", "GET", "DELETE"):
            data = b"out" if method == "PUT" else None
            answer = headrace.ask(
                method, f"/datasets/{dataset}/items/{path}", data, headers=_checksum(b"out")
            )
            if method != "DELETE" or answer.status != 204:  # deleting nothing is success
                _refused(answer, 400, 404, 405, 422)
        assert headrace.get(f"/datasets/{dataset}/items")["items"] == []
        assert _outside(headrace) == before

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Content-SHA256": "x"},
            {"X-Content-SHA256": "0" * 64},
            {**_checksum(b"data"), "Content-Range": "bytes 0-9/4"},
            {**_checksum(b"data"), "Content-Range": "bytes 2-1/4"},
            {**_checksum(b"data"), "Content-Range": "bytes 0-3/99999999999999999"},
            {**_checksum(b"data"), "Content-Range": "bytes 4-7/8"},
            {**_checksum(b"data"), "Content-Range": "lines 0-3/4"},
        ],
    )
    def test_bytes_that_contradict_their_headers_are_not_kept(
        self, headrace: Headrace, dataset: str, headers: dict[str, str]
    ) -> None:
        path = f"/datasets/{dataset}/items/bad{len(str(headers))}.txt"
        _refused(headrace.ask("PUT", path, b"data", headers=headers), 409, 413, 422)
        assert headrace.get(f"/datasets/{dataset}/items")["items"] == []

    def test_a_truncated_upload_is_no_item(self, headrace: Headrace, dataset: str) -> None:
        parts = urlsplit(headrace.url)
        assert parts.hostname is not None
        assert parts.port is not None
        for framing in ("Content-Length: 1000", "Transfer-Encoding: chunked"):
            head = (
                f"PUT /api/v1/datasets/{dataset}/items/cut.txt HTTP/1.1\r\nHost: x\r\n"
                f"{framing}\r\n"
                f"Authorization: Bearer {headrace.token}\r\n"
                f"X-Content-SHA256: {'1' * 64}\r\n\r\n"
            )
            with socket.create_connection((parts.hostname, parts.port)) as wire:
                wire.sendall(head.encode() + b"5\r\nhello")
        assert headrace.ask("GET", f"/datasets/{dataset}/items/cut.txt").status == 404
        assert headrace.get(f"/datasets/{dataset}/items")["items"] == []

    def test_what_is_sealed_stays_as_it_is(self, headrace: Headrace) -> None:
        name = f"sealed-{token_hex(4)}"
        headrace.ask("POST", "/datasets", {"name": name, "category": "FORCING"})
        path = f"/datasets/{name}/items/a.txt"
        assert headrace.ask("PUT", path, b"one", headers=_checksum(b"one")).status == 201
        assert headrace.ask("POST", f"/datasets/{name}:seal").status == 200
        _refused(headrace.ask("PUT", path, b"two", headers=_checksum(b"two")), 409)
        _refused(headrace.ask("DELETE", path), 409)
        for wrong in ("bytes=9-", "bytes=3-2"):
            answer = headrace.ask("GET", path, headers={"Range": wrong})
            assert answer.status in (200, 416)
        assert headrace.ask("GET", path).body == b"one"

    def test_strange_bodies_of_a_seal_are_refused(self, headrace: Headrace, dataset: str) -> None:
        for body in (b"{", b"[]", b'{"x": 1}', b"[" * 100_000, b'{"domain": {"TIME": 3}}'):
            _refused(headrace.ask("POST", f"/datasets/{dataset}:seal", body), 422)
            _refused(headrace.ask("PATCH", f"/datasets/{dataset}", body), 422)
            _refused(headrace.ask("POST", "/datasets:match", body), 422)


def _files(folder: Path) -> Iterator[Path]:
    """The regular files below a folder, without those that go while they are looked for."""
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.read_bytes() is not None:
                yield path


def _outside(headrace: Headrace) -> set[str]:
    """What lies in the store's root and beside it."""
    store = headrace.home.root / "store"
    return {path.name for folder in (store, store.parent) for path in folder.iterdir()}


class TestOutputs:
    """What a worker leaves in its output folder is a stranger's too."""

    @pytest.mark.parametrize(
        ("makes", "named"),
        [
            ("ln -s {secret} {{output}}/link", "link"),
            ("ln -s {folder} {{output}}/deep", "deep"),
            ("mkdir {{output}}/a && ln -s ../../../../.. {{output}}/a/up", "a/up"),
            ("mkfifo {{output}}/pipe", "pipe"),
            ("ln {secret} {{output}}/hard", "hard"),
            ("echo x > {{output}}/one && ln {{output}}/one {{output}}/two", "one"),
            ("rmdir {{output}}; ln -s {folder} {{output}}", "output"),
            ("touch {{output}}/$(printf 'a\\001b')", "a"),
        ],
    )
    def test_what_leaves_the_folder_is_not_collected(
        self, headrace: Headrace, state_dir: Path, makes: str, named: str
    ) -> None:
        secret = state_dir / "secret" / "passwd"
        secret.parent.mkdir()
        secret.write_text(token_hex(16))
        script = makes.format(secret=secret, folder=secret.parent)
        output = {"category": "OUTPUT", "format": "GENERIC", "domain": {"DATA_ID": token_hex(8)}}
        job = headrace.submit(
            "sh", "-c", f"echo fine > {{output}}/fine; rm {{output}}/fine; {script}",
            outputs={"all": output},
        )  # fmt: skip
        view = headrace.until(job, "FAILED")
        assert view["cause"] == "COLLECTION"
        assert named in view["detail"]
        assert view["outputs"] == {}
        assert headrace.get(f"/datasets?job={job}")["datasets"] == []
        assert secret.exists()
        held = secret.read_bytes()

        def is_nowhere() -> bool:
            with contextlib.suppress(FileNotFoundError):  # it is just being removed
                return not any(held in path.read_bytes() for path in _files(headrace.home.root))
            return False

        until(is_nowhere, "the folder of the attempt is gone")


def test_after_all_of_it_headrace_works_and_nothing_is_left(headrace: Headrace) -> None:
    done = headrace.cli(
        "exec", "run", "--cpus", "100m", "--memory", "64MiB", "-f", "--", "echo", "hi"
    )
    assert (done.returncode, done.stdout) == (0, "hi\n")
    headrace.no_leaks()
    assert headrace.ask("GET", "//health/ready", token=None).status == 200
    logged = "".join(path.read_text(errors="replace") for path in headrace.home.logs.iterdir())
    assert "a request failed" not in logged
    assert "Traceback" not in logged
