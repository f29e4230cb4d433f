"""Webhooks as Redis keeps them, as the REST API shows them, and the messages that they get."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from headrace_model.job import Job
from headrace_model.webhook import Delivery, HookEvent, Webhook
from headrace_wire.api import iso
from headrace_wire.records import compact, decode, encode

ID_HEADER: Final = "Headrace-Delivery"
TIME_HEADER: Final = "Headrace-Timestamp"
SIGNATURE_HEADER: Final = "Headrace-Signature"


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """POST /webhooks. `kind` and `name` (what a job's name begins with) leave out other jobs."""

    url: str
    events: tuple[HookEvent, ...] = (HookEvent.ENDED,)
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class WebhookView:
    """A webhook. `waiting`: messages that it has still to get, `error` why the last of them that
    was tried did not arrive. `secret` is told once, where it was made; else it is empty; so is
    `warning`: why messages may not arrive, as far as it is seen then."""

    id: str
    url: str
    events: tuple[HookEvent, ...]
    kind: str
    name: str
    created: str
    waiting: int = 0
    error: str = ""
    secret: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """One's own webhooks."""

    webhooks: tuple[WebhookView, ...] = field(default=())


def encode_webhook(hook: Webhook) -> str:
    """Write a webhook with its secret, for Redis."""
    return encode(hook)


def decode_webhook(text: str) -> Webhook:
    """Read a webhook; raises `InvalidInput`."""
    return decode(Webhook, text)


def encode_delivery(delivery: Delivery) -> str:
    """Write a message that waits."""
    return encode(delivery)


def decode_delivery(text: str) -> Delivery:
    """Read a message that waits; raises `InvalidInput`."""
    return decode(Delivery, text)


def webhook_view(
    hook: Webhook, deliveries: Sequence[Delivery] = (), *, secret: bool = False, warning: str = ""
) -> dict[str, Any]:
    """Show a webhook; `secret`: with what it signs by."""
    waiting = [each for each in deliveries if each.hook == hook.id]
    tried = [each for each in waiting if each.error]
    return {
        "id": hook.id,
        "url": hook.url,
        "events": list(hook.events),
        "kind": hook.kind,
        "name": hook.name,
        "created": iso(hook.created_ms),
        "waiting": len(waiting),
        "error": max(tried, key=lambda each: each.next_ms).error if tried else "",
        "secret": hook.secret if secret else "",
        "warning": warning,
    }


def message(delivery: str, event: HookEvent, event_at: str, to: str, job: Job) -> str:
    """The body that a webhook gets; the job is as it was when the message was made."""
    return compact(
        {
            "delivery": delivery,
            "event": event,
            "at": iso(int(event_at.partition("-")[0])),
            "job": {
                "id": job.id,
                "name": job.name,
                "kind": job.kind,
                "owner": job.owner,
                "status": to,
                "attempt": job.attempt,
                "cause": job.cause,
                "detail": job.detail,
                "exit_code": job.exit_code,
            },
        }
    )


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a message is signed with: HMAC-SHA256 over `<timestamp>.<body>`, in hex."""
    made = hmac.new(secret.encode(), timestamp.encode() + b"." + body, sha256)
    return f"sha256={made.hexdigest()}"


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Tell whether a message was signed with a secret, not more than five minutes ago."""
    timestamp = headers.get(TIME_HEADER, "")
    shown = headers.get(SIGNATURE_HEADER, "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        return False
    fresh = abs(now_s - int(timestamp)) <= 300
    right = signature(secret, timestamp, body)
    return hmac.compare_digest(shown.encode(), right.encode()) and fresh
