"""Tells webhooks of the jobs of those who own them, while this replica leads.

Events are read from where the last leader was, and what is to be told is kept in Redis together
with that place; a message is dropped once it has arrived, or was tried often enough. So each
arrives at least once, and may come twice with the same id.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace_model.errors import Fenced
from headrace_model.ids import JobId
from headrace_model.reach import Network
from headrace_model.status import Role, Status
from headrace_model.webhook import Delivery, events_of, with_room
from headrace_monitor.hookpost import post
from headrace_service.logs import logger
from headrace_service.metrics import DELIVERIES
from headrace_wire.webhooks import message

if TYPE_CHECKING:
    from headrace_adapters.redis.events import Events
    from headrace_adapters.redis.jobs import JobStore
    from headrace_adapters.redis.webhooks import WebhookStore

_LOOK_S = 0.5
_PAUSE_S = 2.0
_AT_ONCE = 500
_SENT_AT_ONCE = 16
_OF_ONE_USER = 2


class WebhookSender:
    """Makes messages of events, and sends them."""

    def __init__(
        self,
        jobs: "JobStore",
        store: "WebhookStore",
        events: "Events",
        networks: Sequence[Network],
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._events = events
        self._networks = networks
        self._log = logger(Role.MONITOR)

    async def run(self, term: int) -> None:
        """Tell for ever. Whatever goes wrong here, the monitor goes on with its jobs."""
        while True:
            try:
                await self._lead(term)
            except Fenced:
                raise
            except Exception as error:
                if isinstance(error, ExceptionGroup) and error.subgroup(Fenced):
                    raise Fenced("another monitor leads now") from None
                self._log.error(f"webhooks can't be told: {error!r}", action="webhooks")
            await asyncio.sleep(_PAUSE_S)

    async def _lead(self, term: int) -> None:
        kept = await self._store.waiting()
        waiting = dict(kept.deliveries)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._collect(term, kept.at, waiting))
            group.create_task(self._send_all(term, waiting))

    async def _collect(self, term: int, at: str, waiting: dict[str, Delivery]) -> None:
        if not at:  # nobody was ever told: it begins now
            at = await self._events.last()
            await self._store.write(term, at=at)
        while True:
            found = await self._events.kept_after(at, _AT_ONCE)
            if made := await self._messages(found):
                new = with_room(made, waiting.values())
                passed = len(made) - len(new)
                passed += await self._store.write(term, at=found[-1]["at"], new=new)
                if passed:
                    self._log.warning(f"{passed} messages found no room", action="webhooks")
                kept = (await self._store.waiting()).deliveries
                waiting.update({each.id: kept[each.id] for each in new if each.id in kept})
            if found:
                at = found[-1]["at"]
            if len(found) < _AT_ONCE:
                await asyncio.sleep(_LOOK_S)

    async def _messages(self, found: Sequence[Mapping[str, str]]) -> list[Delivery]:
        moves = [
            (event, told)
            for event in found
            if event.get("kind") == "job"
            and (told := events_of(event["from"], Status(event["to"])))
        ]
        if not moves:
            return []
        jobs = {
            job.id: job
            for job in await self._jobs.get_many({JobId(event["job"]) for event, _ in moves})
        }
        hooks = await self._store.of(job.owner for job in jobs.values())
        made = []
        for event, told in moves:
            if not (job := jobs.get(JobId(event["job"]))):
                continue
            for hook in hooks[job.owner]:
                happened = hook.takes(told, job.kind, job.name)
                if happened and int(event["at"].partition("-")[0]) >= hook.created_ms:
                    id_ = f"{event['at']}.{hook.id}"
                    body = message(id_, happened, event["at"], event["to"], job)
                    made.append(Delivery(id_, job.owner, hook.id, body))
        return made

    async def _send_all(self, term: int, waiting: dict[str, Delivery]) -> None:
        sending: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                for task in [task for task in sending.values() if task.done()]:
                    task.result()
                sending = {id_: task for id_, task in sending.items() if not task.done()}
                now_ms = await self._jobs.now_ms() if waiting else 0
                users = [waiting[id_].user for id_ in sending if id_ in waiting]
                for each in sorted(waiting.values(), key=lambda one: one.next_ms):
                    if len(sending) >= _SENT_AT_ONCE or each.next_ms > now_ms:
                        break
                    if each.id not in sending and users.count(each.user) < _OF_ONE_USER:
                        users.append(each.user)
                        sending[each.id] = asyncio.ensure_future(self._send(term, each, waiting))
                await asyncio.sleep(_LOOK_S)
        finally:
            for task in sending.values():
                task.cancel()
            await asyncio.gather(*sending.values(), return_exceptions=True)

    async def _send(self, term: int, each: Delivery, waiting: dict[str, Delivery]) -> None:
        hooks = {hook.id: hook for hook in (await self._store.of([each.user]))[each.user]}
        hook = hooks.get(each.hook)
        error = await post(hook, each, self._networks) if hook else ""
        again = each.again(await self._jobs.now_ms(), error) if error else None
        if again:
            await self._store.write(term, put=[again])
            waiting[each.id] = again
        else:
            await self._store.write(term, gone=[each.id])
            waiting.pop(each.id, None)
        if hook:
            outcome = "arrived" if not error else "again" if again else "given_up"
            DELIVERIES.labels(outcome).inc()
            self._log.info(
                f"webhook {hook.id}: {error or 'told'}", action="webhook", delivery=each.id
            )
