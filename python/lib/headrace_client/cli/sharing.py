"""What `share` and `unshare` of jobs and datasets have in common."""

from collections.abc import Iterable, Mapping

import click

from headrace_model.people import Level, Share

with_option = click.option(
    "--with",
    "who",
    multiple=True,
    required=True,
    metavar="WHO",
    help="user:NAME, group:NAME or everyone; may be repeated.",
)
write_option = click.option("--write", "writing", is_flag=True, help="They may change it too.")


def asked_shares(who: Iterable[str], writing: bool = False) -> tuple[Share, ...]:
    """The shares that the options ask for; raises `InvalidInput` before anything is shared."""
    level = Level.WRITE if writing else Level.READ
    return tuple(Share(each, level) for each in who)


def shares_text(shared: Iterable[Share | Mapping[str, str]]) -> str:
    """Say with whom something is shared, a line each: `group:models (write)`."""
    lines = []
    for each in shared:
        share = each if isinstance(each, Share) else Share(each["who"], Level(each["level"]))
        lines.append(f"{share.who} (write)" if share.level is Level.WRITE else share.who)
    return "\n".join(lines)
