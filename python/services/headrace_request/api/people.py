"""The public addresses of people: login, users, groups and tokens."""

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from headrace_model.ids import check_name
from headrace_model.people import User, check_token_id, usable_scopes
from headrace_request.api.jobs import ROOT
from headrace_request.api.requests import caller_of, read_json, user_of
from headrace_request.service.people import People
from headrace_wire.api import iso
from headrace_wire.people import (
    GroupChange,
    GroupView,
    LoginRequest,
    MeView,
    NewGroup,
    NewToken,
    NewUser,
    PasswordChange,
    QuotaView,
    ShareOfUseView,
    TokenView,
    UserChange,
    UserView,
)
from headrace_wire.schema import from_plain, to_plain

if TYPE_CHECKING:
    from headrace_adapters.redis.users import TokenRecord, UserRecord

_BODY_BYTES = 16 * 1024
LOGIN: Final = f"{ROOT}/login"


class PeopleRoutes:
    """Decodes requests about people, calls the shell, encodes its answers."""

    def __init__(self, people: People, stranger_s: float) -> None:
        """`stranger_s`: how long the body of a login may take; who sends it has no token yet."""
        self._people = people
        self._stranger_s = stranger_s

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        user, group = ROOT + "/users/{name}", ROOT + "/groups/{name}"
        app.router.add_post(LOGIN, self.login)
        app.router.add_post(f"{ROOT}/logout", self.logout)
        app.router.add_get(f"{ROOT}/me", self.me)
        app.router.add_get(f"{ROOT}/users", self.users)
        app.router.add_post(f"{ROOT}/users", self.create_user)
        app.router.add_get(user, self.user)
        app.router.add_patch(user, self.change_user)
        app.router.add_put(f"{user}/password", self.set_password)
        app.router.add_get(f"{ROOT}/groups", self.groups)
        app.router.add_post(f"{ROOT}/groups", self.create_group)
        app.router.add_patch(group, self.change_group)
        app.router.add_delete(group, self.remove_group)
        app.router.add_put(group + "/members/{user}", self.join)
        app.router.add_delete(group + "/members/{user}", self.leave)
        app.router.add_get(f"{ROOT}/tokens", self.tokens)
        app.router.add_post(f"{ROOT}/tokens", self.create_token)
        app.router.add_delete(ROOT + "/tokens/{id}", self.revoke_token)

    async def login(self, request: web.Request) -> web.Response:
        """Answer a token for a password."""
        body = await read_json(request, _BODY_BYTES, self._stranger_s)
        asked = from_plain(LoginRequest, body)
        record, token = await self._people.login(asked, _address(request))
        return _once(_token(record, token), 201)

    async def logout(self, request: web.Request) -> web.Response:
        """Revoke the token that is shown."""
        await self._people.logout(caller_of(request))
        return web.Response(status=204)

    async def me(self, request: web.Request) -> web.Response:
        """Tell who asks, and with what."""
        caller = caller_of(request)
        user = caller.user
        expires = iso(caller.expires_ms) if caller.expires_ms else None
        view = MeView(
            user.name,
            user.role,
            tuple(sorted(user.groups)),
            tuple(sorted(usable_scopes(user))),
            expires,
            tuple(QuotaView(*each) for each in await self._people.own_storage(user)),
            ShareOfUseView(*await self._people.own_share(user)),
        )
        return web.json_response(to_plain(view))

    async def users(self, request: web.Request) -> web.Response:
        """List all users."""
        by = user_of(request)
        found = await self._people.users(by)
        stored = await self._people.stored(by, found)
        views = [_user(each, *its) for each, its in zip(found, stored, strict=True)]
        return web.json_response({"users": views})

    async def create_user(self, request: web.Request) -> web.Response:
        """Make a user; a password that was made is in the answer, once."""
        asked = from_plain(NewUser, await read_json(request, _BODY_BYTES))
        record, password = await self._people.create_user(user_of(request), asked)
        return _once(_user(record) | ({"password": password} if password else {}), 201)

    async def user(self, request: web.Request) -> web.Response:
        """Show a user."""
        by = user_of(request)
        return await self._shown(by, await self._people.user(by, _name(request, "name", "user")))

    async def change_user(self, request: web.Request) -> web.Response:
        """Change a user's role or quota, or disable or enable them."""
        asked = from_plain(UserChange, await read_json(request, _BODY_BYTES))
        name, by = _name(request, "name", "user"), user_of(request)
        return await self._shown(by, await self._people.change_user(by, name, asked))

    async def _shown(self, by: User, record: "UserRecord") -> web.Response:
        (storage,) = await self._people.stored(by, [record])
        return web.json_response(_user(record, *storage))

    async def set_password(self, request: web.Request) -> web.Response:
        """Set a password; one that was made is in the answer, once."""
        asked = from_plain(PasswordChange, await read_json(request, _BODY_BYTES))
        made = await self._people.set_password(
            user_of(request), _name(request, "name", "user"), asked, _address(request)
        )
        return _once({"password": made} if made else {}, 200)

    async def groups(self, request: web.Request) -> web.Response:
        """List all groups with their members."""
        views = await self._groups(user_of(request))
        return web.json_response({"groups": [to_plain(each) for each in views]})

    async def _groups(self, by: User) -> list[GroupView]:
        found = await self._people.groups(by)
        return [GroupView(name, members, *storage) for name, members, storage in found]

    async def change_group(self, request: web.Request) -> web.Response:
        """Change the quota of a group."""
        asked = from_plain(GroupChange, await read_json(request, _BODY_BYTES))
        by, name = user_of(request), _name(request, "name", "group")
        await self._people.change_group(by, name, asked)
        (view,) = [each for each in await self._groups(by) if each.name == name]
        return web.json_response(to_plain(view))

    async def create_group(self, request: web.Request) -> web.Response:
        """Make a group."""
        asked = from_plain(NewGroup, await read_json(request, _BODY_BYTES))
        await self._people.create_group(user_of(request), asked.name)
        return web.json_response(to_plain(GroupView(asked.name, ())), status=201)

    async def remove_group(self, request: web.Request) -> web.Response:
        """Remove a group."""
        await self._people.remove_group(user_of(request), _name(request, "name", "group"))
        return web.Response(status=204)

    async def join(self, request: web.Request) -> web.Response:
        """Take a user into a group."""
        return await self._member(request, member=True)

    async def leave(self, request: web.Request) -> web.Response:
        """Take a user out of a group."""
        return await self._member(request, member=False)

    async def _member(self, request: web.Request, *, member: bool) -> web.Response:
        group, user = _name(request, "name", "group"), _name(request, "user", "user")
        await self._people.set_member(user_of(request), group, user, member=member)
        return web.Response(status=204)

    async def tokens(self, request: web.Request) -> web.Response:
        """List the tokens of a user, without what is secret of them."""
        found = await self._people.tokens(user_of(request), _of(request))
        return web.json_response({"tokens": [_token(each) for each in found]})

    async def create_token(self, request: web.Request) -> web.Response:
        """Make a token, which is in the answer, once."""
        asked = from_plain(NewToken, await read_json(request, _BODY_BYTES))
        record, token = await self._people.create_token(caller_of(request), asked)
        return _once(_token(record, token), 201)

    async def revoke_token(self, request: web.Request) -> web.Response:
        """Revoke a token."""
        token_id = check_token_id(request.match_info["id"])
        await self._people.revoke_token(user_of(request), _of(request), token_id)
        return web.Response(status=204)


def _name(request: web.Request, key: str, what: str) -> str:
    return check_name(request.match_info[key], what)


def _of(request: web.Request) -> str | None:
    of = request.query.get("user")
    return check_name(of, "user") if of is not None else None


def _address(request: web.Request) -> str:
    """Where the connection comes from; behind a proxy that is the proxy."""
    return request.remote or "local"


def _once(plain: dict[str, Any], status: int) -> web.Response:
    """An answer that nobody keeps: it holds something secret."""
    return web.json_response(plain, status=status, headers={"Cache-Control": "no-store"})


def _user(
    record: "UserRecord",
    stored_bytes: int | None = None,
    quota_bytes: int | None = None,
    run_quota: str | None = None,
    run_used: str | None = None,
) -> dict[str, Any]:
    view = UserView(
        record.name,
        record.role,
        record.groups,
        record.disabled,
        iso(record.created_ms),
        stored_bytes,
        quota_bytes,
        run_quota,
        run_used,
    )
    return dict(to_plain(view))


def _token(record: "TokenRecord", token: str | None = None) -> dict[str, Any]:
    view = TokenView(
        id=record.id,
        user=record.user,
        label=record.label,
        scopes=tuple(sorted(record.scopes)),
        created=iso(record.created_ms),
        expires=iso(record.expires_ms) if record.expires_ms else None,
        token=token,
    )
    return dict(to_plain(view))
