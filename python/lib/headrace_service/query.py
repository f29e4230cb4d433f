"""What the query of a public address may hold: the parameters that its row of the table names."""

import re
from functools import cache
from typing import Final

from aiohttp import web
from aiohttp.hdrs import METH_ANY
from aiohttp.typedefs import Handler

from headrace_model.errors import InvalidInput
from headrace_model.nearest import did_you_mean
from headrace_wire.operations.table import OPERATIONS

_NAMES: Final = re.compile(r"\{\w+\}")


def refuse_unknown_parameters(app: web.Application) -> None:
    """Refuse a parameter that nobody reads: a misspelt filter must not give the whole list."""
    known = {
        (each.method, _bare(each.path)): {p.name for p in each.parameters if p.where == "query"}
        for each in OPERATIONS
    }

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route
        resource = route.resource
        # What is passed on with any method is checked where it goes to.
        if request.query and resource and route.method != METH_ANY:
            names = known.get((request.method, _bare(resource.canonical)))
            if names is not None and (unknown := sorted(set(request.query) - names)):
                raise InvalidInput(
                    f"{unknown[0][:80]!r} is not known here; {did_you_mean(unknown[0], names)}"
                )
        return await handler(request)

    app.middlewares.append(checked)


def flag(request: web.Request, name: str) -> bool:
    """A yes or no in the query; raises `InvalidInput` for anything else."""
    text = request.query.get(name, "false").lower()
    if text not in ("true", "false", "1", "0"):
        raise InvalidInput(f"{name}={text[:20]!r}: true or false is expected")
    return text in ("true", "1")


@cache
def _bare(path: str) -> str:
    """A path without the names of its parts: a route's differ from the table's."""
    return _NAMES.sub("{}", path)
