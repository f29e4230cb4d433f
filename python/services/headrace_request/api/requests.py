"""Reading requests: who asks, and their parameters and bodies within limits."""

import asyncio
import re
from typing import Any, Final

from aiohttp import web

from headrace_model.errors import InvalidInput
from headrace_model.ids import JobId, parse_job_id
from headrace_model.people import User
from headrace_request.service.doorman import Caller
from headrace_service.http import read_bounded
from headrace_wire.jsontext import TextLimits, parse_json

_KEY: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LARGE_BYTES: Final = 256 * 1024
_BODY_S: Final = 120.0
CALLER_KEY: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who asks, and with which token; set when the request was authenticated."""
    return request[CALLER_KEY]


def user_of(request: web.Request) -> User:
    """Who asks."""
    return caller_of(request).user


def job_of(request: web.Request) -> JobId:
    """The job in the address; raises `InvalidName`."""
    return parse_job_id(request.match_info["job"])


def key_of(request: web.Request) -> str | None:
    """The Idempotency-Key; raises `InvalidInput` for a strange one."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidInput(
            "an Idempotency-Key has 1 to 128 letters, digits and '.', '_', ':', '-'"
        )
    return key


def number(
    request: web.Request, name: str, default: int, least: int = 0, most: int = 2**53
) -> int:
    """A whole number in the query; raises `InvalidInput` outside least…most."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise InvalidInput(f"{name}={text[:20]!r}: a whole number from {least} to {most}")
    return int(text)


async def read_json(request: web.Request, limit_bytes: int, within_s: float = _BODY_S) -> Any:
    """Read a JSON body; raises `TooLarge`, `InvalidInput`, and answers 408 for a slow one."""
    body = await read_bounded(request, limit_bytes, within_s)
    if not body:
        raise InvalidInput("a JSON body is expected, and there is none")
    limits = TextLimits(max_bytes=limit_bytes)
    if len(body) > _LARGE_BYTES:
        return await asyncio.to_thread(parse_json, body, limits, what="body")
    return parse_json(body, limits, what="body")
