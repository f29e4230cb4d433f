"""What a job used beside what it holds, in the lines of `headrace jobs info`."""

import asyncio
from typing import Final

from headrace_client.api import AsyncClient
from headrace_model.errors import HeadraceError
from headrace_model.units import rough_size
from headrace_wire.api import JobView
from headrace_wire.usage import UsageView

_PATIENCE_S: Final = 1.0


async def read_used(client: AsyncClient, view: JobView) -> UsageView | None:
    """What the job's attempt used until now; None where nobody tells that soon.

    A node may be silent, and a server older than this program: the rest of a job is shown then.
    """
    if not (view.allocation or view.status.closed):
        return None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await client.usage(view.id, attempt=view.attempt)
    except (HeadraceError, TimeoutError):
        return None


def cpu_text(used: UsageView | None) -> str:
    """As in `1.83 of 2 on average, 16.0 s in all`; empty where no sample was taken."""
    if used is None or used.cpu_s is None:
        return ""
    mean = "" if used.mean_cpus is None else f"{used.mean_cpus:.2f} of {used.cpus:g} on average, "
    shown = len(used.ranks)
    of = f" ({shown} of {used.workers} workers)" if 0 < shown < used.workers else ""
    return f"{mean}{used.cpu_s:,.1f} s in all{of}"


def peak_text(view: JobView, used: UsageView | None) -> str:
    """As in `812.0 MiB of 4.0 GiB`; of the last attempt that ended where no sample was taken."""
    if used is not None and used.peak_memory:
        return f"{rough_size(used.peak_memory)} of {rough_size(used.memory)}"
    return rough_size(view.peak_memory) if view.peak_memory else ""
