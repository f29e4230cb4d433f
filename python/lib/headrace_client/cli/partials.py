"""What failed attempts of a job had written, in the answers of `headrace jobs`."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace_client.api import AsyncClient

_MOST = 1_000


async def read_partials(client: AsyncClient, job: str) -> list[Mapping[str, Any]]:
    """The datasets with it, those of the first attempt first."""
    found = (await client.datasets.list(job=job, state="OPEN", limit=_MOST))["datasets"]
    whole = [await client.datasets.get(each["id"]) for each in found if each.get("partial")]
    return sorted(
        whole,
        key=lambda each: (each["origin"]["attempt"], each["output"]),
    )


def partial_of(view: Mapping[str, Any]) -> str:
    """As in `flow (partial, attempt 2)`."""
    return f"{view['output']} (partial, attempt {view['origin']['attempt']})"


def partials_text(views: Sequence[Mapping[str, Any]]) -> str:
    """A line for each, with its name and when it expires."""
    return "\n".join(
        f"{partial_of(each)}: {each['name']}, until {each['expires']}" for each in views
    )
