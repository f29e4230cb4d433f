"""Handing on what another service answers."""

from collections.abc import Collection, Mapping

from aiohttp import ClientError, ClientResponse, web

from headrace_service.http import REQUEST_ID, REQUEST_ID_KEY


async def pass_answer(
    request: web.Request,
    answer: ClientResponse,
    whose: str,
    *,
    leave_out: Collection[str],
    headers: Mapping[str, str] | None = None,
) -> web.StreamResponse:
    """Answer `request` with what `whose` service answered, a piece at a time.

    `leave_out` are headers (in lower case) that are not passed, `headers` those that replace any.
    Raises `ConnectionResetError` where the answer breaks off.
    """
    async with answer:
        passed = web.StreamResponse(status=answer.status, reason=answer.reason)
        for key, value in answer.headers.items():
            if key.lower() not in leave_out:
                passed.headers.add(key, value)
        passed.headers.update(headers or {})
        passed.headers[REQUEST_ID] = request[REQUEST_ID_KEY]
        await passed.prepare(request)
        try:
            async for piece in answer.content.iter_any():
                await passed.write(piece)
        except (ClientError, OSError) as error:
            # Cut ours as well, so that nobody takes half a file for a whole one.
            raise ConnectionResetError(f"{whose}: {error}") from None
        await passed.write_eof()
    return passed
