"""The GUI's server: whose requests it takes, what it passes on, sessions and codes."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_gui.core.origin import MARK, why_foreign
from headrace_gui.service.codes import GOOD_FOR_S, claim_code, make_code
from headrace_gui.service.paths import is_public
from headrace_gui.service.sessions import Session, Sessions, session_of
from headrace_service.keyring import Keyring, new_key
from headrace_wire.operations.table import OPERATIONS

HOST = "127.0.0.1:8081"
OURS = {"Host": HOST, "Origin": f"http://{HOST}", "Sec-Fetch-Site": "same-origin", MARK: "1"}
CHANGES = st.sampled_from(["POST", "PUT", "PATCH", "DELETE"])
SITES = st.sampled_from(["cross-site", "same-site", "none"])


class TestWhereARequestComesFrom:
    @given(CHANGES)
    def test_our_own_page_may_do_all(self, method: str) -> None:
        assert why_foreign(method, OURS) is None
        assert why_foreign("GET", OURS, socket=True) is None

    @given(CHANGES, st.sampled_from(["Origin", "Sec-Fetch-Site"]))
    def test_one_of_the_two_is_enough(self, method: str, missing: str) -> None:
        """Browsers say no `Sec-Fetch-Site` to plain HTTP that is not on this machine."""
        assert why_foreign(method, {k: v for k, v in OURS.items() if k != missing}) is None

    @given(CHANGES)
    def test_a_change_without_the_mark_or_without_any_origin_is_refused(self, method: str) -> None:
        assert why_foreign(method, {k: v for k, v in OURS.items() if k != MARK})
        assert why_foreign(method, {"Host": HOST, MARK: "1"})

    @given(CHANGES | st.just("GET"), st.booleans(), SITES)
    def test_what_another_site_sends_is_refused(
        self, method: str, socket: bool, site: str
    ) -> None:
        foreign = {**OURS, "Origin": "http://127.0.0.1:9999"}
        assert why_foreign(method, foreign, socket=socket)
        assert why_foreign(method, {**OURS, "Origin": "null"}, socket=socket)
        typed_in_the_address_bar = method == "GET" and not socket and site == "none"
        refused = why_foreign(method, {**OURS, "Sec-Fetch-Site": site}, socket=socket)
        assert bool(refused) is not typed_in_the_address_bar

    def test_a_socket_says_which_page_it_is_of(self) -> None:
        assert why_foreign("GET", {"Host": HOST}, socket=True)


class TestWhatIsPassedOn:
    def test_all_of_the_api_but_login_and_logout(self) -> None:
        for each in OPERATIONS:
            own = each.path in ("/api/v1/login", "/api/v1/logout")
            path = each.path.replace("{path}", "a/b.nc").replace("{", "").replace("}", "")
            assert is_public(each.method, path) is (path.startswith("/api/v1/") and not own)

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/datasets/../login",
            "/api/v1/datasets/a/items/../../../login",
            "/api/v1/jobs/a/b",
            "/internal/quotas",
            "/api/v2/jobs",
            "/metrics",
        ],
    )
    def test_nothing_else(self, path: str) -> None:
        assert not is_public("GET", path)


class TestSessions:
    @pytest.fixture
    def key_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "session.key"
        path.write_text(new_key())
        path.chmod(0o600)
        return path

    def test_a_session_is_the_same_after_a_restart(self, key_file: Path) -> None:
        session = session_of("t" * 43, None, own=True)
        cookie = Sessions(key_file).lock(session)
        assert "t" * 43 not in cookie
        assert Sessions(key_file).unlock(cookie) == session

    def test_what_is_over_changed_or_of_another_key_is_none(
        self, key_file: Path, tmp_path: Path
    ) -> None:
        sessions = Sessions(key_file)
        over = sessions.lock(session_of("t" * 43, "2020-01-01T00:00:00+00:00", own=True))
        good = sessions.lock(session_of("t" * 43, None, own=True))
        changed = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
        assert [sessions.unlock(each) for each in (over, changed, "", None, "x")] == [None] * 5
        key_file.write_text(new_key())
        assert Sessions(key_file).unlock(good) is None

    def test_one_that_another_version_has_made_is_none(self, key_file: Path) -> None:
        sessions, keyring = Sessions(key_file), Keyring.load(key_file)
        fields = {"token": "t" * 43, "expires_s": time.time() + 60.0, "own": True}

        def unlock(said: object) -> Session | None:
            locked = keyring.lock("session", sessions.cookie, json.dumps(said).encode())
            return sessions.unlock(locked)

        assert unlock(fields) is not None
        less = {name: fields[name] for name in ("token", "own")}
        others = [{**fields, "since": 1}, less, {**fields, "expires_s": "soon"}, []]
        assert [unlock(each) for each in others] == [None] * 4


class TestCodes:
    @given(typed=st.sampled_from([str.upper, str.swapcase, lambda c: c.replace("-", " ")]))
    def test_a_code_is_good_once_however_it_is_typed(
        self, typed: object, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        folder = tmp_path_factory.mktemp("codes")
        code = make_code(folder, "token")
        assert callable(typed)
        assert claim_code(folder, typed(code)) == "token"
        assert claim_code(folder, code) is None
        assert list(folder.iterdir()) == []

    def test_an_old_code_is_over_and_goes(self, tmp_path: Path) -> None:
        first, second = make_code(tmp_path, "one"), make_code(tmp_path, "two")
        for each in tmp_path.iterdir():
            os.utime(each, (time.time(), time.time() - GOOD_FOR_S - 1))
        assert claim_code(tmp_path, first) is None
        third = make_code(tmp_path, "three")
        assert len(list(tmp_path.iterdir())) == 1
        assert claim_code(tmp_path, second) is None
        assert claim_code(tmp_path, third) == "three"

    def test_nobody_else_can_read_it(self, tmp_path: Path) -> None:
        make_code(tmp_path, "token")
        (file,) = tmp_path.iterdir()
        assert file.stat().st_mode & 0o077 == 0
