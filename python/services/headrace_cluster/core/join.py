"""Whether a machine that asks is let in: it must be who it says it is, as the swarm knows it."""

from collections.abc import Iterable, Sequence

from headrace_model.node import JoinRequest
from headrace_model.service import Member


def refuse_join(
    asked: JoinRequest, members: Iterable[Member], known: Sequence[str] | None
) -> str | None:
    """Say why a machine is not let in; None: it is.

    `known`: the SHA-256 of the passwords that its agent has by now; None: it is no user.
    """
    if known is not None and asked.sha256 not in known:
        return (
            f"{asked.node} has credentials: whoever lost them asks an admin for "
            f"`headrace nodes remove {asked.node}`"
        )
    named = [member for member in members if _is_named(member, asked.node)]
    if len(named) > 1:
        return f"{len(named)} machines of the swarm are called {asked.node}"
    if not named or named[0].id != asked.member:
        return f"{asked.node} is not the machine {asked.member[:40]!r} of the swarm"
    if not named[0].ready:
        return f"{asked.node} is not ready, as the swarm says"
    return None


def _is_named(member: Member, node: str) -> bool:
    host = member.host.lower()
    return node in (host, host.partition(".")[0])
