"""How commands set quotas, and show how much of one is used."""

import click

from headrace_model.units import rough_size
from headrace_wire.people import GroupView, QuotaView, UserView

quota_option = click.option(
    "--quota",
    "quotas",
    metavar="[WHAT=]AMOUNT",
    multiple=True,
    help="How much their datasets may hold, such as 2TiB; or what their jobs may use at a time: "
    "cpus=64, memory=256GiB, gpus=4, jobs=20, cpu_hours=1000/30d. cpus=none "
    "takes one away, `none` all that are not said beside it. May be repeated.",
)


def run_text(view: UserView | GroupView | QuotaView) -> str:
    """`cpus=12 of 64, jobs=3 of 20`; without what is used where nobody tells it."""
    used = dict(word.split("=", 1) for word in (view.run_used or "").split())
    limits = [word.split("=", 1) for word in (view.run_quota or "").split()]
    return ", ".join(
        f"{what}={used[what].partition('/')[0]} of {limit}" if what in used else f"{what}={limit}"
        for what, limit in limits
    )


def stored_text(view: UserView | GroupView | QuotaView) -> str:
    """`1.5 GiB of 2.0 TiB`; nothing where it is not told."""
    if view.stored_bytes is None:
        return ""
    used = rough_size(view.stored_bytes)
    return used if view.quota_bytes is None else f"{used} of {rough_size(view.quota_bytes)}"
