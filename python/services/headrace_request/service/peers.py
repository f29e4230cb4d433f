"""Calls to the other services: datasets pass through as streams, logs and reasons are read."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from aiohttp import ClientError, ClientSession, web
from yarl import URL

from headrace_model.dataset import Dataset
from headrace_model.errors import InvalidInput, InvalidName, NotFound, Unavailable
from headrace_model.ids import DatasetId, JobId
from headrace_model.people import User
from headrace_service.http import REQUEST_ID, REQUEST_ID_KEY, USER, InternalToken, internal_session
from headrace_service.logs import logger
from headrace_service.passing import pass_answer
from headrace_wire.datasets import EntriesRequest, read_entry
from headrace_wire.logsearch import Line, read_lines
from headrace_wire.people import encode_user
from headrace_wire.schema import to_plain

_PIECE_BYTES = 128 * 1024
# Hop-by-hop (RFC 9110, 7.6.1), and what we say ourselves.
_NOT_PASSED: Final = frozenset(
    {
        "authorization", "connection", "cookie", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "expect",
        USER.lower(), REQUEST_ID.lower(),
    }
)  # fmt: skip


class Peer:
    """One other service. Opened once the event loop runs."""

    def __init__(self, name: str, url: str, token: InternalToken) -> None:
        self._name = name
        self._url = url
        self._token = token
        self._log = logger("request")
        self._session: ClientSession | None = None
        self._base = ""

    async def open(self) -> None:
        """Make the session; no connection is made yet."""
        if self._url:
            self._session, self._base = internal_session(self._url, self._token)

    async def close(self) -> None:
        """Close the session."""
        if self._session:
            await self._session.close()

    @property
    def session(self) -> ClientSession:
        """The session; raises `Unavailable` when no address is set."""
        if self._session is None:
            raise Unavailable(f"this Headrace runs without the {self._name} service")
        return self._session

    def down(self, error: Exception) -> Unavailable:
        """Say that the service does not answer."""
        self._log.warning(f"the {self._name} service does not answer: {error!r}", action="peer")
        return Unavailable(
            f"the {self._name} service does not answer ({type(error).__name__})",
            hint="it is started again by itself; try again in a moment",
        )

    async def pass_on(self, request: web.Request, user: User) -> web.StreamResponse:
        """Hand a request to the service and its answer back, a piece at a time both ways."""
        if any(part in (".", "..") for part in request.path.split("/")):
            raise InvalidName("the path of a request may not hold '.' or '..'")
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _NOT_PASSED}
        headers |= {USER: encode_user(user), REQUEST_ID: request[REQUEST_ID_KEY]}
        body = request.content if request.body_exists else None
        url = URL(self._base + request.raw_path, encoded=True)
        try:
            answer = await self.session.request(
                request.method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                skip_auto_headers=("Content-Type", "User-Agent"),
                auto_decompress=False,
            )
        except (ClientError, OSError) as error:
            raise self.down(error) from None
        return await pass_answer(request, answer, self._name, leave_out=_NOT_PASSED)

    async def json(self, path: str) -> Any:
        """GET a small JSON answer; raises `Unavailable`, `NotFound`."""
        try:
            async with self.session.get(self._base + path) as answer:
                if answer.status == 404:
                    raise NotFound(f"the {self._name} service does not know it")
                if answer.status != 200:
                    raise Unavailable(f"the {self._name} service answered {answer.status}")
                return await answer.json()
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def in_use(self) -> Mapping[str, str]:
        """What is used of the quotas of running use, as the scheduler counts; none where it is
        silent, or older."""
        try:
            told: Mapping[str, str] = (await self.json("/internal/quotas"))["in_use"]
        except (Unavailable, NotFound):
            return {}
        return told

    async def ask(self, path: str, body: object, user: User) -> Any:
        """POST a small question for a user; raises `Unavailable`, `InvalidInput`."""
        headers = {USER: encode_user(user)}
        try:
            async with self.session.post(self._base + path, json=body, headers=headers) as answer:
                said = await answer.json(content_type=None)
                if answer.status < 300:
                    return said
                if answer.status < 500:
                    raise InvalidInput(str(said["detail"]), hint=said.get("hint"))
                raise Unavailable(f"the {self._name} service answered {answer.status}")
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def datasets(self, ids: Sequence[DatasetId], name: str = "") -> list[Dataset]:
        """Read catalogue entries: those of `ids` that there are, in any state, and of a `name`.

        Raises `NotFound` for a name that nothing has, `Unavailable`.
        """
        body = to_plain(EntriesRequest(tuple(ids), name))
        try:
            async with self.session.post(f"{self._base}/internal/datasets", json=body) as answer:
                if answer.status == 404:
                    raise NotFound(f"there is no dataset {name[:140]!r}")
                if answer.status != 200:
                    raise Unavailable(f"the {self._name} service answered {answer.status}")
                return [read_entry(text) for text in (await answer.json())["datasets"]]
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def shipped_log(
        self, job: JobId, attempt: int, name: str, offset: int
    ) -> AsyncIterator[bytes]:
        """Yield a log from the store, from byte `offset`; nothing when it was not shipped."""
        path = f"{self._base}/internal/logs/{job}/{attempt}/{name}"
        try:
            async with self.session.get(path, params={"offset": str(offset)}) as answer:
                if answer.status == 404:
                    return
                if answer.status != 200:
                    raise Unavailable(f"the {self._name} service answered {answer.status}")
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    yield piece
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def search_log(
        self, job: JobId, attempt: int, name: str, text: str
    ) -> AsyncIterator[list[Line]]:
        """Have a log of the store searched; raises `NotFound` when it was not shipped."""
        path = f"{self._base}/internal/logs/{job}/{attempt}/{name}"
        try:
            async with self.session.get(path, params={"search": text}) as answer:
                if answer.status == 404:
                    raise NotFound("this log is not in the store (yet)")
                if answer.status != 200:
                    raise Unavailable(f"the {self._name} service answered {answer.status}")
                async for line in answer.content:
                    yield read_lines(line.decode(errors="replace"))
        except (ClientError, OSError) as error:
            raise self.down(error) from None

    async def pack(self, name: str) -> bytes:
        """Read a pack of archived jobs; raises `NotFound`, `Unavailable`."""
        try:
            async with self.session.get(f"{self._base}/internal/packs/{name}") as answer:
                if answer.status == 404:
                    raise NotFound(f"there is no pack {name}")
                if answer.status != 200:
                    raise Unavailable(f"the {self._name} service answered {answer.status}")
                return await answer.read()
        except (ClientError, OSError) as error:
            raise self.down(error) from None
