"""Entries of a job's history: who, what, from where to where, and why. Redis adds when."""

from secrets import token_hex
from typing import Any

from headrace_model.job import NewJob
from headrace_model.move import Move
from headrace_model.people import Shares
from headrace_model.status import Event, Role, Status


def first_entries(new: NewJob, first: Event, status: Status, writer: Role) -> list[dict[str, Any]]:
    """What the history of a new job begins with; `status` is its first one."""
    base = {"txn": token_hex(8), "by": writer, "attempt": 1}
    submitted: dict[str, Any] = {"event": "SUBMIT", "from": "", "to": Status.ACCEPTED}
    if writer is Role.REQUEST:
        submitted["user"] = new.owner
    if new.origin:
        submitted["detail"] = f"repeats job {new.origin}"
    return [base | submitted, base | {"event": first, "from": Status.ACCEPTED, "to": status}]


def entry_of(change: Move) -> dict[str, Any]:
    """What the job's history tells of a move: who, what, when (Redis adds it), from, to, why."""
    nodes = [share.node for share in change.takes.shares] if change.takes else change.returns
    told: dict[str, Any] = {
        "user": change.user,
        "cause": change.cause or "",
        "detail": change.detail,
        "desired": change.desired or "",
        "nodes": list(nodes),
    }
    entry = {
        "txn": token_hex(8),
        "by": change.writer,
        "event": change.event or f"DESIRE_{change.desired}",
        "from": change.status,
        "to": change.to,
        "attempt": change.attempt,
        **{name: value for name, value in told.items() if value},
    }
    if change.exit_code is not None:
        entry["exit_code"] = change.exit_code
    return entry


def share_entry(before: Shares, after: Shares, user: str) -> dict[str, str]:
    """What is told of a change of shares; the script adds status, attempt and version."""
    more = [share for share in after if share not in before]
    whom = {share.who for share in after}
    less = [share.who for share in before if share.who not in whom]
    return {
        "txn": token_hex(8),
        "by": Role.REQUEST,
        "user": user,
        "event": "SHARE" if more else "UNSHARE",
        "detail": ", ".join([*(f"{each.who} ({each.level})" for each in more), *less]),
    }
