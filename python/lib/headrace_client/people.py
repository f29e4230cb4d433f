"""People through the client: logging in, users, groups, tokens and one's own secrets.

What makes something that is answered once (a user's password, a token) is not sent again when the
answer is lost: a list tells whether it was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from headrace_client.http import Http
from headrace_model.errors import InvalidInput
from headrace_model.webhook import HookEvent
from headrace_wire.api import read_view
from headrace_wire.people import (
    GroupChange,
    GroupView,
    LoginRequest,
    MeView,
    NewGroup,
    NewSecret,
    NewToken,
    NewUser,
    PasswordChange,
    SecretView,
    TokenView,
    UserChange,
    UserView,
)
from headrace_wire.schema import to_plain
from headrace_wire.webhooks import NewWebhook, WebhookView

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MadeUser:
    """A new user; `password` where the server made one: nobody can read it again."""

    user: UserView
    password: str | None


class People:
    """What a client does about people; errors are those of every call (headrace_client.api)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    # ---- webhooks

    async def webhooks(self) -> tuple[WebhookView, ...]:
        """List one's own webhooks."""
        plain = await self._http.json("GET", "/webhooks")
        return tuple(read_view(WebhookView, each) for each in plain["webhooks"])

    async def add_webhook(
        self,
        url: str,
        *,
        events: tuple[HookEvent, ...] = (HookEvent.ENDED,),
        kind: str = "",
        name: str = "",
    ) -> WebhookView:
        """Have an address told of one's own jobs; the answer alone tells the secret."""
        body = to_plain(NewWebhook(url, events, kind, name))
        return read_view(WebhookView, await self._http.json("POST", "/webhooks", body=body))

    async def remove_webhook(self, webhook: str) -> None:
        """Remove a webhook; a repeat is success."""
        await self._http.json("DELETE", f"/webhooks/{quote(webhook, safe='')}")

    # ---- oneself

    async def login(self, user: str, password: str) -> TokenView:
        """Trade a password for a token; raises `Unauthorized`, and `RateLimited` after many."""
        body = to_plain(LoginRequest(user, password))
        return read_view(TokenView, await self._http.json("POST", "/login", body=body))

    async def logout(self) -> None:
        """Revoke the token that this client shows."""
        await self._http.json("POST", "/logout")

    async def me(self) -> MeView:
        """Tell who this client is, and what its token may be used for."""
        return read_view(MeView, await self._http.json("GET", "/me"))

    # ---- users

    async def users(self) -> tuple[UserView, ...]:
        """List the users, the disabled ones too."""
        return _each(UserView, await self._http.json("GET", "/users"), "users")

    async def user(self, name: str) -> UserView:
        """Read one user."""
        return read_view(UserView, await self._http.json("GET", _at("users", name)))

    async def create_user(self, user: NewUser) -> MadeUser:
        """Make a user; raises `Conflict` for a name that is or was in use."""
        plain = await self._http.json("POST", "/users", body=to_plain(user), once=True)
        return MadeUser(read_view(UserView, plain), plain.get("password"))

    async def change_user(self, name: str, change: UserChange) -> UserView:
        """Give a user another role or quota, disable or enable them; a repeat is success."""
        body = to_plain(change)
        return read_view(UserView, await self._http.json("PATCH", _at("users", name), body=body))

    async def set_password(self, name: str, change: PasswordChange) -> str | None:
        """Change a password; gives it where the server made it. All tokens of theirs are revoked,
        also the one that this client shows when the password is one's own.
        """
        address = f"{_at('users', name)}/password"
        plain = await self._http.json("PUT", address, body=to_plain(change)) or {}
        password: str | None = plain.get("password")
        return password

    # ---- groups

    async def groups(self) -> tuple[GroupView, ...]:
        """List the groups with their members."""
        return _each(GroupView, await self._http.json("GET", "/groups"), "groups")

    async def create_group(self, name: str) -> GroupView:
        """Make a group without members."""
        body = to_plain(NewGroup(name))
        return read_view(GroupView, await self._http.json("POST", "/groups", body=body))

    async def change_group(self, name: str, change: GroupChange) -> GroupView:
        """Change the quota of a group; a repeat is success."""
        body = to_plain(change)
        return read_view(GroupView, await self._http.json("PATCH", _at("groups", name), body=body))

    async def delete_group(self, name: str) -> None:
        """Delete a group: what is shared with it is shared with nobody there any more."""
        await self._http.json("DELETE", _at("groups", name))

    async def add_member(self, group: str, user: str) -> None:
        """Put a user into a group; a repeat is success."""
        await self._http.json("PUT", _at("groups", group, "members", user))

    async def remove_member(self, group: str, user: str) -> None:
        """Take a user out of a group; success for one who is not in it."""
        await self._http.json("DELETE", _at("groups", group, "members", user))

    # ---- tokens

    async def tokens(self, user: str | None = None) -> tuple[TokenView, ...]:
        """List one's own tokens, or for an admin a user's; the tokens themselves are not told."""
        query = {"user": user} if user else None
        return _each(TokenView, await self._http.json("GET", "/tokens", query=query), "tokens")

    async def create_token(self, token: NewToken) -> TokenView:
        """Make a token; `token` of the answer is told this once."""
        plain = await self._http.json("POST", "/tokens", body=to_plain(token), once=True)
        return read_view(TokenView, plain)

    async def revoke_token(self, id_: str, user: str | None = None) -> None:
        """Revoke a token by its id, for an admin a user's; success if there is none.

        Within seconds nobody gets in with it.
        """
        query = {"user": user} if user else None
        await self._http.json("DELETE", _at("tokens", id_), query=query)

    # ---- one's own secrets

    async def secrets(self) -> tuple[SecretView, ...]:
        """List the names of one's own secrets."""
        return _each(SecretView, await self._http.json("GET", "/secrets"), "secrets")

    async def set_secret(self, name: str, value: str) -> SecretView:
        """Make or replace a secret; from then on only workers of one's own jobs read it."""
        body = to_plain(NewSecret(value))
        return read_view(SecretView, await self._http.json("PUT", _at("secrets", name), body=body))

    async def delete_secret(self, name: str) -> None:
        """Delete a secret."""
        await self._http.json("DELETE", _at("secrets", name))


def _at(*words: str) -> str:
    return "".join(f"/{quote(word, safe='')}" for word in words)


def _each(kind: type[T], plain: object, name: str) -> tuple[T, ...]:
    if not isinstance(plain, Mapping) or not isinstance(found := plain.get(name), list):
        raise InvalidInput(f"the server's answer lists no {name}")
    return tuple(read_view(kind, each) for each in found)
