"""People on the command line, against a server that says what the test laid down."""

import io
import json
import os
import pty
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from headrace_client.cli import exits, run_cli
from headrace_client.connection import find_connection
from headrace_client.logins import login_at
from headrace_model.errors import InvalidInput, Unauthorized
from tests.support.said_server import SaidServer, said_server

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
TOKEN = "hrt_made"  # noqa: S105 - of nobody
CREATED = "2026-01-01T00:00:00.000Z"
ME = {"name": "ann", "role": "admin", "groups": [], "scopes": ["read", "admin"], "expires": None}
BOB = {
    "name": "bob", "role": "user", "groups": ["g"], "disabled": False, "created": CREATED,
    "stored_bytes": 3 * 2**29, "quota_bytes": 2 * 2**30, "run_quota": "cpus=64 jobs=20",
    "run_used": "cpus=12 jobs=3",
}  # fmt: skip
MADE = {
    "id": "0123456789ab", "user": "bob", "label": "ci", "scopes": ["read"],
    "created": CREATED, "expires": "2026-02-01T00:00:00.000Z", "token": TOKEN,
}  # fmt: skip
LISTED = {name: value for name, value in MADE.items() if name != "token"}
JOB = "0123456789abcdef"
BOB_WRITES = {"who": "user:bob", "level": "write"}
LIMITED = {"code": "RATE_LIMITED", "detail": "too many requests"}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SaidServer]:
    """A server that is the one of this shell; nobody is logged in, and no token is given."""
    with said_server() as found:
        monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("HEADRACE_URL", found.url)
        monkeypatch.delenv("HEADRACE_TOKEN", raising=False)
        monkeypatch.delenv("HEADRACE_TOKEN_FILE", raising=False)
        yield found


@pytest.fixture
def admin(server: SaidServer, monkeypatch: pytest.MonkeyPatch) -> SaidServer:
    """The same, for a shell with a token."""
    monkeypatch.setenv("HEADRACE_TOKEN", "hrt_ann")
    return server


def _types(monkeypatch: pytest.MonkeyPatch, text: str | bytes) -> None:
    """What is typed into the command's standard input, which is no terminal."""
    data = text.encode() if isinstance(text, str) else text
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def _said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def _token(environ: Mapping[str, str]) -> str:
    """The token that a command would show to this shell's server."""
    return find_connection(None, None, environ).token


class TestLogin:
    """login, logout, whoami."""

    def _log_in(self, server: SaidServer, monkeypatch: pytest.MonkeyPatch) -> Path:
        server.says("POST /login", MADE, status=201)
        _types(monkeypatch, PASSWORD + "\nmore\n")
        assert run_cli(["login", "--user", "bob"]) == exits.OK
        return login_at(server.url, os.environ).file

    def test_the_token_is_kept_for_its_owner_alone_and_never_written(
        self,
        server: SaidServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        file = self._log_in(server, monkeypatch)
        assert server.asked[0].body == {"user": "bob", "password": PASSWORD}
        assert server.asked[0].token is None
        assert file.read_text().strip() == TOKEN
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert list(file.parent.iterdir()) == [file]
        said = capsys.readouterr()
        assert TOKEN not in said.out + said.err
        assert PASSWORD not in said.out + said.err

    def test_the_next_command_shows_it_to_this_server_and_to_no_other(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._log_in(server, monkeypatch)
        server.says("GET /me", ME)
        assert run_cli(["whoami"]) == exits.OK
        assert server.asked[-1].token == TOKEN
        port = server.url.rpartition(":")[2]
        for other in (
            f"http://localhost:{port}",
            f"https://127.0.0.1:{port}",
            f"{server.url}/x",
            f"http://127.0.0.1:{int(port) % 65_535 + 1}",
        ):
            with pytest.raises(Unauthorized):
                find_connection(other, None, os.environ)
        assert find_connection(server.url + "/", None, os.environ).token == TOKEN
        for nonsense in ("http://", "http://host:99999", "ftp://host"):
            with pytest.raises(InvalidInput):
                find_connection(nonsense, None, os.environ)

    def test_a_login_goes_before_the_token_of_this_machines_admin(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "admin.token").write_text("hrt_admin\n")
        client = {"url": server.url, "token_file": str(home / "admin.token")}
        (home / "client.json").write_text(json.dumps(client))
        assert _token(os.environ) == "hrt_admin"
        self._log_in(server, monkeypatch)
        assert _token(os.environ) == TOKEN
        given = {**os.environ, "HEADRACE_TOKEN": "hrt_given"}
        assert _token(given) == "hrt_given"

    def test_a_wrong_password_is_6_and_keeps_nothing(
        self,
        server: SaidServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        problem = {"code": "UNAUTHORIZED", "detail": "user or password is wrong", "hint": "ask"}
        server.says("POST /login", problem, status=401)
        _types(monkeypatch, "wrong\n")
        assert run_cli(["login", "--user", "bob"]) == exits.NOT_AUTHENTICATED
        assert "user or password is wrong" in capsys.readouterr().err
        assert not login_at(server.url, os.environ).file.exists()

    def test_nothing_typed_is_refused_before_anything_is_sent(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _types(monkeypatch, "\n")
        assert run_cli(["login", "--user", "bob"]) == exits.REFUSED
        assert server.asked == []

    def test_a_password_comes_from_a_file(self, server: SaidServer, tmp_path: Path) -> None:
        server.says("POST /login", MADE)
        file = tmp_path / "password"
        file.write_text(PASSWORD + "\r\n")
        assert run_cli(["login", "--user", "bob", "--password-file", str(file)]) == exits.OK
        assert server.asked[0].body["password"] == PASSWORD

    def test_on_a_terminal_a_password_is_typed_unseen(self, server: SaidServer) -> None:
        server.says("POST /login", MADE)
        ours, theirs = pty.openpty()
        shown = b""
        try:
            code = "from headrace_client.cli import main; main()"
            with subprocess.Popen(
                [sys.executable, "-c", code, "login", "--user", "bob"],
                stdin=theirs,
                stdout=subprocess.PIPE,
                stderr=theirs,
                start_new_session=True,  # no terminal but the one of its standard input
            ) as command:
                while b"Password of bob" not in shown:
                    shown += os.read(ours, 1000)
                os.write(ours, PASSWORD.encode() + b"\n")
                assert command.wait(30) == exits.OK
                os.close(theirs)
                shown += os.read(ours, 10_000)
        finally:
            os.close(ours)
        assert server.asked[0].body["password"] == PASSWORD
        assert PASSWORD.encode() not in shown

    def test_logout_revokes_the_token_and_removes_it_and_a_repeat_is_success(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = self._log_in(server, monkeypatch)
        server.says("POST /logout", status=204)
        for _ in range(2):
            assert run_cli(["logout"]) == exits.OK
        assert not file.exists()
        assert [each.token for each in server.asked if each.what == "POST /logout"] == [TOKEN]

    def test_logout_with_an_expired_token_removes_it(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = self._log_in(server, monkeypatch)
        server.says("POST /logout", {"code": "UNAUTHORIZED"}, status=401)
        assert run_cli(["logout"]) == exits.OK
        assert not file.exists()

    def test_logout_never_revokes_a_token_that_was_given(self, admin: SaidServer) -> None:
        assert run_cli(["logout"]) == exits.OK
        assert admin.asked == []

    def test_without_a_token_the_way_in_is_named(
        self, server: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run_cli(["whoami"]) == exits.NOT_AUTHENTICATED
        assert "headrace login" in capsys.readouterr().err


class TestUsers:
    """users and groups."""

    def test_a_password_that_was_made_stands_alone_on_standard_output(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("POST /users", {**BOB, "password": PASSWORD}, status=201)
        assert run_cli(["users", "create", "bob", "--group", "g"]) == exits.OK
        said = capsys.readouterr()
        assert said.out == PASSWORD + "\n"
        assert "can't be shown again" in said.err
        assert admin.asked[0].body == {"name": "bob", "role": "user", "groups": ["g"]}
        assert run_cli(["users", "create", "bob", "-o", "json"]) == exits.OK
        assert _said(capsys) == {**BOB, "password": PASSWORD}

    def test_a_bad_name_or_short_password_is_refused_before_anything_is_sent(
        self, admin: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run_cli(["users", "create", "../x"]) == exits.REFUSED
        _types(monkeypatch, "short\n")
        assert run_cli(["users", "create", "bob", "--password-file", "-"]) == exits.REFUSED
        assert admin.asked == []

    def test_a_user_is_not_made_again_when_the_answer_is_lost(self, admin: SaidServer) -> None:
        admin.says("POST /users", status=0)
        assert run_cli(["users", "create", "bob"]) == exits.UNAVAILABLE
        assert admin.whats == ["POST /users"]

    @pytest.mark.parametrize(
        ("words", "body"),
        [
            (["change", "bob", "--role", "viewer"], {"role": "viewer"}),
            (["disable", "bob"], {"disabled": True}),
            (["enable", "bob"], {"disabled": False}),
        ],
    )
    def test_users_are_changed_one_by_one(
        self, admin: SaidServer, words: list[str], body: Any
    ) -> None:
        admin.says("PATCH /users/bob", BOB)
        assert run_cli(["users", words[0], "nobody", *words[1:]]) == exits.NOT_FOUND
        assert [each.body for each in admin.asked] == [body, body]
        assert run_cli(["users", *words]) == exits.OK

    def test_ones_own_password_needs_the_old_one_and_the_login_goes_on(
        self, server: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = login_at(server.url, os.environ)
        kept.keep("hrt_before")
        server.says("GET /me", ME)
        server.says("PUT /users/ann/password", {})
        server.says("POST /login", {**MADE, "user": "ann"}, status=201)
        _types(monkeypatch, f"old one\n{PASSWORD}\n")
        assert run_cli(["users", "password"]) == exits.OK
        assert server.asked[1].body == {"new": PASSWORD, "old": "old one"}
        assert kept.token() == TOKEN

    def test_who_had_no_password_leaves_the_old_one_empty(
        self, admin: SaidServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.says("GET /me", ME)
        admin.says("PUT /users/ann/password", {})
        _types(monkeypatch, f"\n{PASSWORD}\n")
        assert run_cli(["users", "password"]) == exits.OK
        assert admin.asked[-1].body == {"new": PASSWORD}

    def test_an_admin_has_a_password_made_for_somebody(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("GET /me", ME)
        admin.says("PUT /users/bob/password", {"password": PASSWORD})
        assert run_cli(["users", "password", "bob", "--make"]) == exits.OK
        assert capsys.readouterr().out == PASSWORD + "\n"
        assert admin.asked[-1].body == {}

    def test_users_and_groups_are_listed(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("GET /users", {"users": [BOB]})
        admin.says("GET /users/bob", BOB)
        admin.says("GET /groups", {"groups": [{"name": "g", "members": ["bob"]}]})
        assert run_cli(["users", "list", "-o", "json"]) == exits.OK
        assert _said(capsys) == [BOB]
        assert run_cli(["users", "info", "bob", "-o", "yaml"]) == exits.OK
        assert yaml.safe_load(capsys.readouterr().out) == BOB
        assert run_cli(["groups", "list"]) == exits.OK
        assert capsys.readouterr().out.split() == (
            ["NAME", "STORED", "RUNNING", "MEMBERS", "g", "-", "-", "bob"]
        )
        assert run_cli(["users", "list"]) == exits.OK
        assert "1.5 GiB of 2.0 GiB" in capsys.readouterr().out

    def test_quotas_are_given_and_taken_away(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("PATCH /users/bob", BOB)
        admin.says("GET /users/bob", BOB)
        admin.says("PATCH /groups/g", {"name": "g", "members": [], "stored_bytes": 5})
        assert run_cli(["users", "change", "bob", "--quota", "2GiB"]) == exits.OK
        assert run_cli(["groups", "change", "g", "--quota", "none", "-o", "json"]) == exits.OK
        assert [each.body for each in admin.asked] == [{"quota": "2GiB"}, {"quota": "none"}]
        limits = ["--quota", "cpus=64", "--quota", "cpu_hours=1000/30d"]
        assert run_cli(["users", "change", "bob", *limits]) == exits.OK
        assert admin.asked[-1].body == {"quota": "cpus=64 cpu_hours=1000/30d"}
        assert run_cli(["users", "info", "bob"]) == exits.OK
        assert "cpus=12 of 64, jobs=3 of 20" in capsys.readouterr().out
        assert run_cli(["users", "change", "bob", "--quota", "tpus=2"]) == exits.REFUSED
        assert "there is no quota 'tpus'" in capsys.readouterr().err
        for words in (["users", "change", "bob"], ["groups", "change", "g"]):
            assert run_cli(words) == exits.USAGE
        assert run_cli(["users", "change", "bob", "--quota", "2"]) == exits.REFUSED
        assert "has no unit" in capsys.readouterr().err

    def test_several_people_join_and_leave_a_group(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("GET /groups", {"groups": [{"name": "g", "members": []}]})
        for name in ("bob", "eve"):
            admin.says(f"PUT /groups/g/members/{name}", status=204)
            admin.says(f"DELETE /groups/g/members/{name}", status=204)
        assert run_cli(["groups", "add", "g", "bob", "eve", "-o", "json"]) == exits.OK
        nothing = {"stored_bytes": None, "quota_bytes": None, "run_quota": None, "run_used": None}
        assert _said(capsys) == [{"name": "g", "members": [], **nothing}]
        assert run_cli(["groups", "remove", "g", "bob", "eve"]) == exits.OK
        admin.says("DELETE /groups/g", status=204)
        assert run_cli(["groups", "delete", "g", "--yes"]) == exits.OK


class TestTokens:
    """tokens and secrets."""

    def test_a_token_stands_alone_on_standard_output_once(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("POST /tokens", MADE, status=201)
        words = ["--label", "ci", "--scope", "read", "--expires-in", "30d", "--user", "bob"]
        assert run_cli(["tokens", "create", *words]) == exits.OK
        said = capsys.readouterr()
        assert said.out == TOKEN + "\n"
        assert "0123456789ab" in said.err
        assert admin.asked[0].body == {
            "label": "ci", "scopes": ["read"], "expires_in": "30d", "user": "bob",
        }  # fmt: skip

    def test_a_list_holds_no_token(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("GET /tokens", {"tokens": [LISTED]})
        admin.says("GET /tokens?user=bob", {"tokens": []})
        assert run_cli(["tokens", "list", "-o", "json"]) == exits.OK
        assert _said(capsys) == [LISTED]
        assert run_cli(["tokens", "list", "--user", "bob"]) == exits.OK
        assert "no token" in capsys.readouterr().err

    def test_tokens_are_revoked_by_their_ids(self, admin: SaidServer) -> None:
        for id_ in ("0123456789ab", "ba9876543210"):
            admin.says(f"DELETE /tokens/{id_}?user=bob", status=204)
        words = ["tokens", "revoke", "0123456789ab", "ba9876543210", "--user", "bob"]
        assert run_cli(words) == exits.OK

    @pytest.mark.parametrize("value", ["a token", "line\nline\n", "grüß\n"])
    def test_a_secret_is_kept_as_it_is(
        self, admin: SaidServer, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin.says("PUT /secrets/usgs", {"name": "usgs", "changed": CREATED})
        file = tmp_path / "secret"
        file.write_text(value)
        assert run_cli(["secrets", "set", "usgs", "--from-file", str(file)]) == exits.OK
        _types(monkeypatch, value)
        assert run_cli(["secrets", "set", "usgs", "--from-file", "-"]) == exits.OK
        assert [each.body for each in admin.asked] == [{"value": value}] * 2

    @pytest.mark.parametrize("value", [b"", b"\xff\xfe"])
    def test_an_empty_secret_or_one_that_is_no_text_is_refused(
        self, admin: SaidServer, value: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _types(monkeypatch, value)
        assert run_cli(["secrets", "set", "usgs"]) == exits.REFUSED
        assert admin.asked == []

    def test_a_secret_is_no_argument(self, admin: SaidServer) -> None:
        assert run_cli(["secrets", "set", "usgs", "hush"]) == exits.USAGE

    def test_secrets_are_listed_and_deleted(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("GET /secrets", {"secrets": [{"name": "usgs", "changed": CREATED}]})
        assert run_cli(["secrets", "list", "-o", "json"]) == exits.OK
        assert _said(capsys) == [{"name": "usgs", "changed": CREATED}]
        admin.says("DELETE /secrets/usgs", status=204)
        assert run_cli(["secrets", "delete", "usgs"]) == exits.OK


def _job(*shared: dict[str, str]) -> dict[str, Any]:
    return {
        "id": JOB, "name": "x", "kind": "command", "owner": "ann",
        "status": "CLOSED:COMPLETED", "desired": "RUN", "version": 1, "attempt": 1,
        "retries": 0, "priority": 50, "created": CREATED, "entered": CREATED, "cause": None,
        "detail": "", "exit_code": 0, "resources": {"cpus": 1.0, "memory": 1}, "allocation": [],
        "outputs": {}, "after": [], "origin": None, "shared": list(shared),
    }  # fmt: skip


def _dataset(*shared: dict[str, str]) -> dict[str, Any]:
    return {
        "id": "d", "name": "drb", "version": 1, "state": "SEALED", "category": "FORCING",
        "format": "GENERIC", "domain": {}, "item_count": 1, "size_bytes": 1, "owner": "ann",
        "description": "", "created": CREATED, "expires": None, "shared": list(shared),
    }  # fmt: skip


class TestSharing:
    """share and unshare of jobs and datasets."""

    def test_a_job_is_shared_with_several_and_taken_back(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says(f"POST /jobs/{JOB}:share", _job(BOB_WRITES))
        words = ["--with", "user:bob", "--with", "everyone", "--write"]
        assert run_cli(["jobs", "share", JOB, *words, "-o", "json"]) == exits.OK
        assert _said(capsys)[0]["shared"] == [BOB_WRITES]
        bodies = [each.body for each in admin.asked]
        assert bodies == [{"who": who, "level": "write"} for who in ("user:bob", "everyone")]
        admin.says(f"POST /jobs/{JOB}:unshare", _job())
        assert run_cli(["jobs", "unshare", JOB, "--with", "user:bob"]) == exits.OK

    def test_a_dataset_is_shared_and_taken_back(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says("POST /datasets/drb:share", _dataset({"who": "group:g", "level": "read"}))
        admin.says("POST /datasets/drb:unshare", _dataset())
        assert run_cli(["dataset", "share", "drb", "--with", "group:g"]) == exits.OK
        assert "group:g" in capsys.readouterr().out
        assert run_cli(["dataset", "unshare", "drb", "--with", "group:g"]) == exits.OK
        assert "group:g" not in capsys.readouterr().out

    def test_info_tells_with_whom_it_is_shared(
        self, admin: SaidServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        admin.says(f"GET /jobs/{JOB}", _job(BOB_WRITES))
        admin.says("GET /datasets/drb", _dataset(BOB_WRITES))
        for words in (["jobs", "info", JOB], ["dataset", "info", "drb"]):
            assert run_cli(words) == exits.OK
            assert "user:bob (write)" in capsys.readouterr().out

    @pytest.mark.parametrize("who", ["bob", "users:bob", "user:../x", "group:"])
    def test_nobody_to_share_with_is_refused_before_anything_is_sent(
        self, admin: SaidServer, who: str
    ) -> None:
        for words in (["jobs", "share", JOB], ["dataset", "share", "drb"]):
            assert run_cli([*words, "--with", "everyone", "--with", who]) == exits.REFUSED
        assert admin.asked == []


class TestTooManyRequests:
    """429 with Retry-After."""

    def test_the_client_waits_as_long_as_the_server_says(self, admin: SaidServer) -> None:
        admin.says("GET /me", LIMITED, status=429, headers={"Retry-After": "1"})
        admin.says("GET /me", ME)
        assert run_cli(["whoami"]) == exits.OK
        first, second = admin.asked
        assert second.at_s - first.at_s >= 1.0

    def test_a_wait_longer_than_the_patience_is_said_at_once(
        self,
        server: SaidServer,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        server.says("POST /login", LIMITED, status=429, headers={"Retry-After": "600"})
        _types(monkeypatch, PASSWORD)
        assert run_cli(["login", "--user", "bob"]) == exits.UNAVAILABLE
        assert "too many requests" in capsys.readouterr().err
        assert server.whats == ["POST /login"]
