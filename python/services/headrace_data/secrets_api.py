"""The addresses of secrets: their owner keeps them, the agent of a launch reads them.

Nobody else does, and no address of people answers a value: an admin neither sees nor lists the
secrets of others. No error, log or event holds a value.
"""

import base64
from typing import TYPE_CHECKING, Final

from aiohttp import web

from headrace_data.api import asking
from headrace_data.collection import check_current
from headrace_model.errors import Conflict, InvalidInput, NotFound, TooLarge, Unavailable
from headrace_model.ids import NodeId, check_name, parse_job_id
from headrace_model.job import Job
from headrace_model.people import Act, User, check_thing
from headrace_model.status import Desired, Status
from headrace_model.times import instant_text
from headrace_service.http import read_bounded
from headrace_service.keyring import Keyring
from headrace_wire.datasets import NodeRequest, read_body
from headrace_wire.jobfile import load_jobtext
from headrace_wire.people import NewSecret, SecretView
from headrace_wire.schema import from_plain, to_plain

if TYPE_CHECKING:
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.secrets import KeptSecret, SecretStore

LIMIT_BYTES: Final = 64 * 1024
_BODY_BYTES: Final = 8 * LIMIT_BYTES  # in JSON a character may take six
_BODY_S: Final = 60.0
_LAUNCHES: Final = frozenset({Status.SCHEDULED, Status.RUNNING})


class SecretsApi:
    """`keyring` None: this Headrace keeps no secrets."""

    def __init__(self, jobs: "JobStore", secrets: "SecretStore", keyring: Keyring | None) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._keyring = keyring

    def add_routes(self, app: web.Application) -> None:
        """Add the addresses of secrets."""
        one = "/api/v1/secrets/{name}"
        app.router.add_get("/api/v1/secrets", self._list, allow_head=False)
        app.router.add_put(one, self._put)
        app.router.add_delete(one, self._delete)
        app.router.add_post("/internal/secrets", self._for_launch)

    async def _list(self, request: web.Request) -> web.Response:
        user = _keeper(request)
        found = [_view(each) for each in await self._secrets.of(user.name)]
        return web.json_response({"secrets": found})

    async def _put(self, request: web.Request) -> web.Response:
        user = _keeper(request)
        name = check_name(request.match_info["name"], "secret")
        value = _value(await read_bounded(request, _BODY_BYTES, _BODY_S))
        if self._keyring is None:
            raise Unavailable(
                "this Headrace keeps no secrets", hint="its admin sets `secrets_key_file`"
            )
        box = self._keyring.lock(user.name, name, value)
        changed_ms = await self._secrets.keep(user.name, name, box)
        return web.json_response(to_plain(SecretView(name, instant_text(changed_ms))))

    async def _delete(self, request: web.Request) -> web.Response:
        user = _keeper(request)
        await self._secrets.remove(user.name, check_name(request.match_info["name"], "secret"))
        return web.Response(status=204)

    async def _for_launch(self, request: web.Request) -> web.Response:
        """The values that a job's spec names, for a node that has to launch its attempt."""
        asked = from_plain(NodeRequest, read_body(await request.read()))
        job = await self._jobs.get(parse_job_id(asked.job))
        check_current(job, asked.attempt, NodeId(asked.node), _LAUNCHES)
        if job.desired in (Desired.STOP, Desired.CANCEL):
            raise Conflict(f"job {job.id} is to end: nothing is launched any more")
        values = await self._values(job)
        plain = [
            {"name": name, "value": base64.b64encode(value).decode()}
            for name, value in values.items()
        ]
        return web.json_response({"secrets": plain}, headers={"Cache-Control": "no-store"})

    async def _values(self, job: Job) -> dict[str, bytes]:
        names = load_jobtext(job.spec).secrets
        kept = await self._secrets.named(job.owner, names)
        for name in names:
            if name not in kept:
                raise NotFound(
                    f"the job needs the secret {name}, and {job.owner} keeps none of that name: "
                    f"`headrace secrets set {name}` sets it, `headrace jobs retry` runs it again"
                )
        if names and self._keyring is None:
            raise InvalidInput("this Headrace keeps no secrets: its admin sets `secrets_key_file`")
        return {
            name: self._keyring.unlock(job.owner, name, kept[name].box)
            for name in names
            if self._keyring is not None
        }


def _keeper(request: web.Request) -> User:
    """Who asks about secrets of their own; raises `Forbidden` for roles that keep none."""
    user = asking(request)
    nothing = NotFound("there are no secrets")
    check_thing(user, Act.KEEP_SECRETS, Act.KEEP_ACCOUNT, user.name, (), nothing)
    return user


def _value(body: bytes) -> bytes:
    """The value in a body. No error repeats any of it."""
    try:
        value = from_plain(NewSecret, read_body(body)).value.encode()
    except (InvalidInput, UnicodeEncodeError):
        raise InvalidInput('the body of a secret is {"value": "…"}, a text in UTF-8') from None
    if not value:
        raise InvalidInput("a secret can't be empty", hint="remove it instead")
    if len(value) > LIMIT_BYTES:
        raise TooLarge(f"a secret has at most {LIMIT_BYTES:,} bytes")
    return value


def _view(kept: "KeptSecret") -> dict[str, object]:
    view: dict[str, object] = to_plain(SecretView(kept.name, instant_text(kept.changed_ms)))
    return view
