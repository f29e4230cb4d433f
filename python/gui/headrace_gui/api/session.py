"""The session: signing in with a password, a token or a one-time code; signing out."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from headrace_gui.core.origin import why_foreign
from headrace_gui.service.codes import claim_code
from headrace_gui.service.sessions import Session, Sessions, session_of
from headrace_gui.service.upstream import Upstream
from headrace_model.errors import Forbidden, HeadraceError, InvalidInput, Unauthorized
from headrace_model.people import ALL_SCOPES
from headrace_service.http import read_bounded
from headrace_service.logs import logger
from headrace_wire.jsontext import TextLimits, parse_json
from headrace_wire.people import LoginRequest
from headrace_wire.schema import from_plain, to_plain

PATH: Final = "/session"
SESSION_KEY: Final = web.RequestKey("session", Session)
_BODY_BYTES: Final = 16 * 1024
_LABEL: Final = "browser"
_LASTS: Final = "1d"


@dataclass(frozen=True, slots=True)
class TokenSignIn:
    """POST /session with a token that the user has."""

    token: str


@dataclass(frozen=True, slots=True)
class CodeSignIn:
    """POST /session with a one-time code of `headrace local`."""

    code: str


class SessionRoutes:
    """Serves /session. What comes of signing in is a cookie; no page ever sees a token of it."""

    def __init__(
        self, sessions: Sessions, upstream: Upstream, codes: Path | None, body_s: float
    ) -> None:
        """`body_s`: how long the body of a sign-in may take; who sends it is a stranger yet."""
        self._sessions = sessions
        self._upstream = upstream
        self._codes = codes
        self._body_s = body_s
        self._log = logger("gui")

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get(PATH, self.show)
        app.router.add_post(PATH, self.sign_in)
        app.router.add_delete(PATH, self.sign_out)

    async def authenticate(self, request: web.Request, *, socket: bool = False) -> None:
        """Let in what one of our pages asks for somebody who is signed in.

        Raises `Forbidden` for pages of others, `Unauthorized`.
        """
        _check_own(request, socket=socket)
        session = self._session_of(request)
        if session is None:
            raise Unauthorized("the session is over", hint="sign in again")
        request[SESSION_KEY] = session

    def _session_of(self, request: web.Request) -> Session | None:
        return self._sessions.unlock(request.cookies.get(self._sessions.cookie))

    async def show(self, request: web.Request) -> web.Response:
        """Tell who is signed in: `{me: null}` where nobody is, which is no error."""
        session, me = self._session_of(request), None
        if session is not None:
            with suppress(Unauthorized):
                me = await self._upstream.json("GET", "/me", session.bearer)
        return _answer(me, codes=self._codes is not None)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Make a session. Raises what the API says to the password or token, `Forbidden`."""
        _check_own(request)
        body = await read_bounded(request, _BODY_BYTES, self._body_s)
        plain = parse_json(body, TextLimits(max_bytes=_BODY_BYTES), what="body")
        session = await self._made(plain)
        me = await self._upstream.json("GET", "/me", session.bearer)
        if not session.own:  # only now it is known how long the user's token is good
            session = session_of(session.token, me.get("expires"), own=False)
        self._log.info("signed in", action="sign_in", user=me["name"])
        response = _answer(me, codes=self._codes is not None, status=201)
        response.set_cookie(
            self._sessions.cookie,
            self._sessions.lock(session),
            max_age=max(0, int(session.expires_s - time.time())),
            path="/",
            httponly=True,
            samesite="Strict",
            secure=_came_by_tls(request),
        )
        return response

    async def _made(self, plain: Any) -> Session:
        keys = set(plain) if isinstance(plain, dict) else set()
        if "token" in keys:
            token = from_plain(TokenSignIn, plain).token.strip()
            if not token.isascii() or not token.isprintable():
                raise Unauthorized("this is no token")
            return session_of(token, None, own=False)
        if "code" in keys:
            return await self._by_code(from_plain(CodeSignIn, plain).code)
        asked = to_plain(from_plain(LoginRequest, plain))
        made = await self._upstream.json("POST", "/login", {}, asked)
        return session_of(made["token"], made["expires"], own=True)

    async def _by_code(self, code: str) -> Session:
        if self._codes is None:
            raise InvalidInput("this Headrace takes no codes", hint="sign in with your password")
        token = await asyncio.to_thread(claim_code, self._codes, code)
        if token is None:
            raise Unauthorized(
                "the code is unknown, was used, or is older than ten minutes",
                hint="`headrace local gui` makes another one",
            )
        # A token of its own: signing out must not end that of the command line.
        asked = {"label": _LABEL, "scopes": sorted(ALL_SCOPES), "expires_in": _LASTS}
        bearer = session_of(token, None, own=False).bearer
        made = await self._upstream.json("POST", "/tokens", bearer, asked)
        return session_of(made["token"], made["expires"], own=True)

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session, and the token that was made for it; a repeat is success."""
        _check_own(request)
        session = self._session_of(request)
        response = web.Response(status=204)
        if session is not None and session.own:
            try:
                await self._upstream.json("POST", "/logout", session.bearer)
            except Unauthorized:
                pass  # it is over already
            except HeadraceError as error:
                # The cookie goes in any case; that the token lives on has to be said.
                response = web.json_response(
                    {"detail": f"signed out here; the token could not be revoked: {error}"}
                )
        response.del_cookie(self._sessions.cookie, path="/")
        return response


def _check_own(request: web.Request, *, socket: bool = False) -> None:
    """Raise `Forbidden` for what no page of ours asks."""
    if why := why_foreign(request.method, request.headers, socket=socket):
        raise Forbidden(f"the request is not one of the GUI's own: {why}")


def _answer(me: Any, *, codes: bool, status: int = 200) -> web.Response:
    return web.json_response(
        {"me": me, "codes": codes}, status=status, headers={"Cache-Control": "no-store"}
    )


def _came_by_tls(request: web.Request) -> bool:
    """What the browser says counts: something before us may speak TLS for us."""
    return request.secure or urlsplit(request.headers.get("Origin", "")).scheme == "https"
