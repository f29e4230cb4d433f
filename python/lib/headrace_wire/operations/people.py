"""Users, groups, tokens and secrets."""

from typing import Any, Final

from headrace_model.people import Act
from headrace_wire.answers import (
    CreatedUser,
    Groups,
    MadePassword,
    Secrets,
    Tokens,
    Users,
)
from headrace_wire.openapi import Content, Operation, Parameter
from headrace_wire.operations.parameters import ROOT, asked, named
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
from headrace_wire.webhooks import NewWebhook, Webhooks, WebhookView

_USER: Final = named("user", "The name of a user")
_GROUP: Final = named("group", "The name of a group")
_SECRET: Final = named("secret", "The name of a secret")
_TOKEN: Final = Parameter(
    "token", "path", "The id of a token", {"type": "string", "pattern": "^[0-9a-f]{12}$"}
)
_OF: Final = asked("user", "Whose; of others for an admin only", dict(_USER.schema))
_DONE: Final = {204: Content(about="Done; a repeat is success")}
_ONCE: Final = "The token is in the answer, this once"


def _of_user(method: str, summary: str, answer: Any, **more: Any) -> Operation:
    return Operation(
        method, ROOT + "/users/{user}", "people", summary, {200: Content(answer)},
        parameters=(_USER,), **more,
    )  # fmt: skip


PEOPLE: Final = (
    Operation(
        "POST", f"{ROOT}/login", "account", "Log in: a token for a password",
        {201: Content(TokenView, about=_ONCE)}, open=True, errors=(401, 429),
        body=Content(LoginRequest, example={"user": "ann", "password": "…"}),
    ),
    Operation("POST", f"{ROOT}/logout", "account", "Revoke the token that is shown", _DONE),
    Operation(
        "GET", f"{ROOT}/me", "account", "Tell who asks, and with what", {200: Content(MeView)}
    ),
    Operation(
        "GET", f"{ROOT}/tokens", "account", "List tokens", {200: Content(Tokens)},
        Act.KEEP_ACCOUNT, parameters=(_OF,), errors=(404,),
    ),
    Operation(
        "POST", f"{ROOT}/tokens", "account", "Make a token",
        {201: Content(TokenView, about=_ONCE)}, Act.KEEP_ACCOUNT, errors=(404,),
        body=Content(NewToken, example={"label": "laptop", "scopes": ["read", "jobs"]}),
    ),
    Operation(
        "DELETE", ROOT + "/tokens/{token}", "account", "Revoke a token", _DONE, Act.KEEP_ACCOUNT,
        parameters=(_TOKEN, _OF), errors=(404,),
    ),
    Operation(
        "GET", f"{ROOT}/webhooks", "account", "List one's own webhooks",
        {200: Content(Webhooks)}, Act.KEEP_ACCOUNT,
    ),
    Operation(
        "POST", f"{ROOT}/webhooks", "account", "Have an address told of one's own jobs",
        {201: Content(WebhookView, about=_ONCE)}, Act.KEEP_ACCOUNT, errors=(409,),
        body=Content(NewWebhook, example={"url": "https://example.org/hook",
                                          "events": ["failed"]}),
    ),
    Operation(
        "DELETE", ROOT + "/webhooks/{webhook}", "account", "Remove a webhook", _DONE,
        Act.KEEP_ACCOUNT, parameters=(named("webhook", "The id of a webhook"),),
    ),
    Operation(
        "GET", f"{ROOT}/secrets", "account", "List one's own secrets", {200: Content(Secrets)},
        Act.KEEP_SECRETS, errors=(404,),
    ),
    Operation(
        "PUT", ROOT + "/secrets/{secret}", "account", "Keep a secret for one's own jobs",
        {200: Content(SecretView)}, Act.KEEP_SECRETS, parameters=(_SECRET,), errors=(404,),
        body=Content(NewSecret, example={"value": "…"}),
    ),
    Operation(
        "DELETE", ROOT + "/secrets/{secret}", "account", "Remove a secret", _DONE,
        Act.KEEP_SECRETS, parameters=(_SECRET,), errors=(404,),
    ),
    Operation(
        "GET", f"{ROOT}/users", "people", "List all users", {200: Content(Users)}, Act.SEE_PEOPLE
    ),
    Operation(
        "POST", f"{ROOT}/users", "people", "Make a user", {201: Content(CreatedUser)},
        Act.MANAGE_PEOPLE, errors=(404, 409),
        body=Content(NewUser, example={"name": "ann", "role": "user", "groups": ["hydrology"]}),
    ),
    _of_user("GET", "Show a user", UserView, act=Act.SEE_PEOPLE, errors=(404,)),
    _of_user(
        "PATCH", "Change a user's role or quota, or disable or enable them", UserView,
        act=Act.MANAGE_PEOPLE, errors=(404, 409),
        body=Content(UserChange, example={"disabled": True}),
    ),
    Operation(
        "PUT", ROOT + "/users/{user}/password", "people", "Set a password",
        {200: Content(MadePassword)}, Act.KEEP_ACCOUNT, parameters=(_USER,), errors=(404,),
        body=Content(PasswordChange, example={"old": "…", "new": "one that is long"}),
        about="One's own with the old one; another's as an admin. Revokes all of their tokens.",
    ),
    Operation(
        "GET", f"{ROOT}/groups", "people", "List all groups with their members",
        {200: Content(Groups)}, Act.SEE_PEOPLE,
    ),
    Operation(
        "POST", f"{ROOT}/groups", "people", "Make a group", {201: Content(GroupView)},
        Act.MANAGE_PEOPLE, body=Content(NewGroup, example={"name": "hydrology"}), errors=(409,),
    ),
    Operation(
        "PATCH", ROOT + "/groups/{group}", "people", "Change the quota of a group",
        {200: Content(GroupView)}, Act.MANAGE_PEOPLE, parameters=(_GROUP,), errors=(404,),
        body=Content(GroupChange, example={"quota": "10TiB"}),
    ),
    Operation(
        "DELETE", ROOT + "/groups/{group}", "people", "Remove a group", _DONE, Act.MANAGE_PEOPLE,
        parameters=(_GROUP,),
    ),
    Operation(
        "PUT", ROOT + "/groups/{group}/members/{user}", "people", "Take a user into a group",
        _DONE, Act.MANAGE_PEOPLE, parameters=(_GROUP, _USER), errors=(404,),
    ),
    Operation(
        "DELETE", ROOT + "/groups/{group}/members/{user}", "people", "Take a user out of a group",
        _DONE, Act.MANAGE_PEOPLE, parameters=(_GROUP, _USER), errors=(404,),
    ),
)  # fmt: skip
