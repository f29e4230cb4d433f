"""People of a real `headrace local`: logins, users, groups, tokens and secrets."""

import json
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from headrace_client.cli import exits
from tests.acceptance.conftest import Headrace, until, waits_for
from tests.support.person import SMALL, People, Person

_TOKEN_CACHE_S = 5.0  # the default of token_cache_s
_REVOKED_WITHIN_S = _TOKEN_CACHE_S + 30.0  # the command line itself is slow on a busy machine


def _until_refused(person: Person, token: str) -> None:
    until(
        lambda: person.code("whoami", token=token) == exits.NOT_AUTHENTICATED,
        "a token to be refused",
        _REVOKED_WITHIN_S,
    )


def test_what_is_used_of_quotas_of_running_use_is_shown(headrace: Headrace) -> None:
    me = headrace.said("whoami")["name"]
    limits = ("--quota", "cpus=1", "--quota", "gpus=4", "--quota", "jobs=20")
    assert headrace.cli("users", "change", me, *limits).returncode == 0
    gate = headrace.gate()
    job = headrace.submit(*waits_for(gate))
    try:
        headrace.until(job, "RUNNING")

        def used() -> object:
            return headrace.said("users", "info", me)["run_used"]

        until(lambda: used() == "cpus=100m gpus=0 jobs=1", "what is used to be told")
        line = next(
            each
            for each in headrace.cli("users", "list").stdout.splitlines()
            if each.startswith(me)
        )
        assert "cpus=100m of 1, gpus=0 of 4, jobs=1 of 20" in line
        assert "gpus=0 of 4, jobs=1 of 20" in headrace.cli("whoami").stdout
    finally:
        gate.touch()
        for what in ("cpus", "gpus", "jobs"):
            headrace.cli("users", "change", me, "--quota", f"{what}=none")
    headrace.until(job, "COMPLETED")


class TestLogin:
    """Passwords, and what they open."""

    def test_everybody_is_who_they_say(self, people: People) -> None:
        for person, role in ((people.bob, "user"), (people.vera, "viewer")):
            me = person.said("whoami")
            assert (me["name"], me["role"]) == (person.name, role)
        assert people.vera.said("whoami")["groups"] == ["models"]

    def test_a_wrong_password_opens_nothing_and_after_some_one_has_to_wait(
        self, stranger: Person
    ) -> None:
        assert stranger.cli("logout").returncode == 0
        right, stranger.password = stranger.password, "not the right one"
        done = stranger.log_in()
        assert done.returncode == exits.NOT_AUTHENTICATED
        assert "wrong" in done.stderr
        assert stranger.code("jobs", "list") == exits.NOT_AUTHENTICATED

        wrong = stranger.password

        def all_have_to_wait() -> bool:
            codes = []
            for stranger.password in (wrong, wrong, wrong, right):
                codes.append(stranger.log_in().returncode)
            return codes[2:] == [exits.UNAVAILABLE] * 2

        # A further try is let in each 12 s, and a slow machine may come just then.
        until(all_have_to_wait, "the right password to have to wait too")

    def test_an_unknown_name_is_told_like_a_wrong_password(self, people: People) -> None:
        nobody = Person("nobody", people.bob.folder, people.bob.url, people.bob.password)
        done = nobody.log_in()
        assert done.returncode == exits.NOT_AUTHENTICATED
        assert "user or password is wrong" in done.stderr

    def test_logout_ends_the_token(self, stranger: Person) -> None:
        (file,) = (stranger.folder / "config" / "headrace" / "tokens").iterdir()
        token = file.read_text().strip()
        assert stranger.code("whoami", token=token) == exits.OK
        assert stranger.code("logout") == exits.OK
        assert stranger.code("whoami") == exits.NOT_AUTHENTICATED
        _until_refused(stranger, token)

    def test_a_disabled_user_is_out_and_an_enabled_one_in_again(
        self, headrace: Headrace, stranger: Person
    ) -> None:
        assert headrace.cli("users", "disable", stranger.name).returncode == 0
        until(
            lambda: stranger.code("whoami") == exits.NOT_AUTHENTICATED,
            "a disabled user to be out",
            _REVOKED_WITHIN_S,
        )
        assert stranger.log_in().returncode == exits.NOT_AUTHENTICATED
        assert headrace.cli("users", "enable", stranger.name).returncode == 0
        assert stranger.log_in().returncode == exits.OK
        assert stranger.code("whoami") == exits.OK

    def test_ones_own_password_is_changed_with_the_old_one_and_the_login_goes_on(
        self, stranger: Person
    ) -> None:
        before, after = stranger.password, "another one, longer"
        assert stranger.code("users", "password", typed=f"wrong one\n{after}\n") == 6
        assert stranger.code("users", "password", typed=f"{before}\n{after}\n") == exits.OK
        assert stranger.code("whoami") == exits.OK
        assert stranger.log_in().returncode == exits.NOT_AUTHENTICATED
        stranger.password = after
        assert stranger.log_in().returncode == exits.OK

    def test_an_admin_makes_a_new_password_for_somebody(
        self, headrace: Headrace, stranger: Person
    ) -> None:
        done = headrace.cli("users", "password", stranger.name, "--make")
        assert done.returncode == 0, done.stderr
        assert stranger.log_in().returncode == exits.NOT_AUTHENTICATED
        stranger.password = done.stdout.strip()
        assert stranger.log_in().returncode == exits.OK


class TestManaging:
    """Users and groups are the admin's."""

    def test_nobody_else_makes_or_changes_people(self, people: People) -> None:
        for person in (people.bob, people.vera):
            for words in (
                ("users", "create", "mallory"),
                ("users", "change", person.name, "--role", "admin"),
                ("users", "disable", "olaf"),
                ("users", "password", "olaf", "--make"),
                ("groups", "create", "mine"),
                ("groups", "add", "models", person.name),
                ("groups", "remove", "models", "carol"),
                ("groups", "delete", "models", "--yes"),
                ("tokens", "list", "--user", "olaf"),
                ("tokens", "create", "--user", "olaf"),
            ):
                assert person.code(*words) == exits.REFUSED, words

    def test_users_see_names_to_share_with_and_viewers_see_themselves(
        self, people: People
    ) -> None:
        names = {each["name"] for each in people.bob.said("users", "list")}
        assert {"bob", "carol", "vera", "olaf"} <= names
        (models,) = people.bob.said("groups", "list")
        assert (models["name"], models["members"]) == ("models", ["carol", "vera"])
        assert models["stored_bytes"] is None, "what others keep is not told"
        assert people.vera.code("users", "list") == exits.REFUSED
        assert people.vera.said("users", "info", "vera")["role"] == "viewer"

    def test_a_name_is_not_used_twice_and_an_unknown_one_is_told(self, headrace: Headrace) -> None:
        assert headrace.cli("users", "create", "olaf").returncode == exits.REFUSED
        for words in (("info", "nobody"), ("disable", "nobody")):
            assert headrace.cli("users", *words).returncode == exits.NOT_FOUND

    def test_the_last_admin_stays_one(self, headrace: Headrace) -> None:
        admin = headrace.said("whoami")["name"]
        for words in (("disable", admin), ("change", admin, "--role", "user")):
            assert headrace.cli("users", *words).returncode == exits.REFUSED


class TestTokens:
    """What a program may do with a token, and for how long."""

    def test_a_token_does_no_more_than_its_scopes(self, people: People) -> None:
        token = people.bob.token("--scope", "read")
        assert people.bob.code("jobs", "list", token=token) == exits.OK
        for words in (
            ("exec", "run", *SMALL, "--", "true"),
            ("dataset", "create", "x", "--category", "OBSERVATION"),
            ("tokens", "create"),
            ("tokens", "list"),
            ("secrets", "list"),
            ("users", "create", "mallory"),
        ):
            done = people.bob.cli(*words, token=token)
            assert done.returncode == exits.REFUSED, (words, done.stderr)
            assert "scope" in done.stderr

    def test_the_usual_scopes_are_for_jobs_and_data(
        self, headrace: Headrace, people: People
    ) -> None:
        token = people.bob.token()
        job = people.bob.cli("exec", "run", *SMALL, "--", "true", token=token).stdout.strip()
        headrace.until(job, "COMPLETED")
        assert set(people.bob.said("whoami", token=token)["scopes"]) == {"read", "jobs", "data"}
        assert people.bob.code("tokens", "create", token=token) == exits.REFUSED

    def test_a_token_gives_on_no_scope_that_it_lacks(self, people: People) -> None:
        token = people.bob.token("--scope", "account", "--scope", "read")
        words = ("tokens", "create", "--scope")
        assert people.bob.code(*words, "jobs", token=token) == exits.REFUSED
        assert people.bob.code(*words, "read", token=token) == exits.OK

    def test_the_admin_scope_makes_nobody_an_admin(self, people: People) -> None:
        done = people.bob.cli("tokens", "create", "--scope", "admin")
        if done.returncode == 0:
            token = done.stdout.strip()
            assert people.bob.code("users", "create", "mallory", token=token) == exits.REFUSED
        else:
            assert done.returncode == exits.REFUSED

    def test_a_token_expires(self, people: People) -> None:
        token = people.bob.token("--scope", "read", "--expires-in", "3s")
        _until_refused(people.bob, token)
        assert people.bob.code("tokens", "create", "--expires-in", "1000000d") == exits.REFUSED

    def test_a_revoked_token_is_refused_within_seconds_and_a_repeat_is_success(
        self, people: People
    ) -> None:
        label = token_hex(4)
        token = people.bob.token("--label", label)
        (listed,) = [each for each in people.bob.said("tokens", "list") if each["label"] == label]
        assert "token" not in listed
        assert token not in json.dumps(people.bob.said("tokens", "list"))
        assert people.bob.code("whoami", token=token) == exits.OK
        assert people.olaf.code("tokens", "revoke", listed["id"]) == exits.OK  # none of his own
        assert people.bob.code("whoami", token=token) == exits.OK
        for _ in range(2):
            assert people.bob.code("tokens", "revoke", listed["id"]) == exits.OK
        _until_refused(people.bob, token)

    def test_an_admin_revokes_anybodys(self, headrace: Headrace, people: People) -> None:
        label = token_hex(4)
        token = people.bob.token("--label", label)
        found = headrace.said("tokens", "list", "--user", "bob")
        (listed,) = [each for each in found if each["label"] == label]
        done = headrace.cli("tokens", "revoke", listed["id"], "--user", "bob")
        assert done.returncode == 0, done.stderr
        _until_refused(people.bob, token)


def _reads(secret: str) -> str:
    """A job that tells the SHA-256 of a secret, and who may read its file."""
    script = (
        'sha256sum < "$HEADRACE_SECRETS/$NAME"; stat -c %a "$HEADRACE_SECRETS/$NAME"; '
        "env | grep -c hush || true"
    )
    return json.dumps(
        {
            "headrace": 1, "kind": "command", "secrets": [secret], "env": {"NAME": secret},
            "command": ["sh", "-c", script], "retry": {"limit": 0},
            "resources": {"cpus": "100m", "memory": "64MiB"},
        }
    )  # fmt: skip


class TestSecrets:
    """What only the workers of one's own jobs read."""

    def test_a_worker_of_its_owner_finds_it_in_a_file_and_nobody_else(
        self, headrace: Headrace, people: People
    ) -> None:
        name, value = f"key-{token_hex(4)}", f"hush {token_hex(8)}\n"
        done = people.bob.cli("secrets", "set", name, "--from-file", "-", typed=value)
        assert done.returncode == 0, done.stderr
        assert value.strip() not in done.stdout + done.stderr
        assert name in {each["name"] for each in people.bob.said("secrets", "list")}
        job = people.bob.submit_file(_reads(name))
        headrace.until(job, "COMPLETED")
        digest, mode, others = people.bob.cli("jobs", "logs", job).stdout.splitlines()
        assert digest.split()[0] == sha256(value.encode()).hexdigest()
        assert int(mode, 8) & 0o077 == 0
        assert others == "0"
        headrace.no_leaks()
        assert _files_with(headrace.home.root, value.strip()) == []

    def test_nobody_elses_job_gets_it(self, headrace: Headrace, people: People) -> None:
        name, value = f"key-{token_hex(4)}", token_hex(16)
        assert people.bob.code("secrets", "set", name, typed=value) == exits.OK
        assert name not in {each["name"] for each in people.carol.said("secrets", "list")}
        assert name not in {each["name"] for each in headrace.said("secrets", "list")}
        for ask in (people.carol.cli, headrace.cli):
            done = ask("exec", "from_json", "-", "--follow", typed=_reads(name))
            assert done.returncode != 0
            assert name in done.stderr
            assert sha256(value.encode()).hexdigest() not in done.stdout

    def test_one_that_is_deleted_is_missing(self, people: People) -> None:
        name = f"key-{token_hex(4)}"
        assert people.bob.code("secrets", "set", name, typed="x") == exits.OK
        for _ in range(2):
            assert people.bob.code("secrets", "delete", name) == exits.OK
        done = people.bob.cli("exec", "from_json", "-", "--follow", typed=_reads(name))
        assert done.returncode != 0
        assert name in done.stderr

    def test_a_viewer_keeps_none(self, people: People) -> None:
        assert people.vera.code("secrets", "set", "key", typed="x") == exits.REFUSED


def _files_with(root: Path, text: str) -> list[Path]:
    """The files below a folder that hold a text."""
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    ]
