"""Wires the request service; `python -m headrace_request.main` runs it alone."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import Idempotency, JobStore
from headrace_adapters.redis.log_replies import LogReplies
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.packs import PackStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_adapters.redis.series import SeriesStore
from headrace_adapters.redis.users import UserStore, new_token
from headrace_adapters.redis.webhooks import WebhookStore
from headrace_adapters.sqlite.model import ReadModel
from headrace_kinds.ngen_program import NgenProgram
from headrace_model.ids import JobId
from headrace_model.quota import RunLimit, run_limits
from headrace_model.resources import Allocation
from headrace_request.api.answers import add_answers
from headrace_request.api.document import OPEN, add_document
from headrace_request.api.jobs import JobRoutes
from headrace_request.api.lineage import add_lineage
from headrace_request.api.live import WS, LiveRoute
from headrace_request.api.maintenance import add_maintenance
from headrace_request.api.people import LOGIN, PeopleRoutes
from headrace_request.api.requests import CALLER_KEY
from headrace_request.api.streams import add_datasets, add_logs, add_nodes
from headrace_request.api.traffic import limit_requests
from headrace_request.api.usage import add_usage
from headrace_request.api.webhooks import add_webhooks
from headrace_request.core.room import Watermarks
from headrace_request.core.throttle import Throttle
from headrace_request.service.answers import AnswerDesk
from headrace_request.service.archive import Archive
from headrace_request.service.cached import Cached
from headrace_request.service.doorman import Doorman
from headrace_request.service.feed import Feed
from headrace_request.service.jobs import JobDesk
from headrace_request.service.lineage import LineageDesk
from headrace_request.service.lister import Lister
from headrace_request.service.live import LiveHub
from headrace_request.service.livelogs import LiveLogs
from headrace_request.service.livesampled import LiveSampled
from headrace_request.service.logs import LogReader, ReadAllocation
from headrace_request.service.logsearch import LogSearch
from headrace_request.service.maintenance import MaintenanceDesk
from headrace_request.service.nodes import NodeDesk
from headrace_request.service.passwords import Passwords
from headrace_request.service.peers import Peer
from headrace_request.service.people import People
from headrace_request.service.room import Room
from headrace_request.service.showing import Showing
from headrace_request.service.tasklogs import TaskLogs
from headrace_request.service.triage import Triager
from headrace_request.service.usage import UsageReader
from headrace_request.service.waiters import Waiters
from headrace_request.settings import Settings
from headrace_service.http import InternalToken, make_app
from headrace_service.lifecycle import Service, main_of
from headrace_service.query import refuse_unknown_parameters
from headrace_service.sockets import Sockets, tls_of
from headrace_wire.records import decode

_REMEMBER_S = 1.0


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the request service from its settings.

    `events`: the one reader of a process that holds several services.
    """
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    store = JobStore(redis)
    token = InternalToken(settings.internal_token_file)
    data = Peer("data", settings.data_url, token)
    scheduler = Peer("scheduler", settings.scheduler_url, token)
    node_store = NodeStore(redis)
    nodes = Cached(node_store.all, _REMEMBER_S)
    bounds = Cached(ResourcesStore(redis).get, _REMEMBER_S)
    node_desk = NodeDesk(node_store, nodes, bounds, store)
    # Redis may have been restored while it was away: what is decided from now on is decided from
    # what it holds now, so the epoch is read anew.
    users = UserStore(redis)
    doorman = Doorman(
        users,
        settings.token_cache_s,
        Throttle(settings.user_requests_per_s, settings.user_requests_at_once),
    )
    events = events or Events(redis)
    waiters = Waiters(events, missed=redis.open)
    waiters.listen({"node"}, lambda _: nodes.forget())
    waiters.listen({"user"}, lambda _: doorman.forget())
    model = ReadModel(settings.state_dir / "jobs.sqlite")
    feed = Feed(model, store, events, PackStore(redis), data.pack, lambda: redis.epoch)
    waiters.listen({"job", "share", "pack"}, feed.hear)
    archive = Archive(model, feed, data.pack)
    room = Cached(_room(redis, settings).look, _REMEMBER_S)
    quotas = QuotaStore(redis)
    limits = Cached(partial(_run_limits, quotas), _REMEMBER_S)
    desk = JobDesk(
        store,
        ArrayStore(redis),
        archive,
        nodes,
        bounds,
        room,
        waiters,
        Idempotency,
        quotas,
        limits,
        NgenProgram(settings.ngen_image, settings.ngen_executable, settings.ngen_library_root),
    )
    held = _allocations(redis, archive)
    reader = LogReader(
        LogReplies(redis),
        waiters,
        data.shipped_log,
        held,
        settings.logs_limit,
        settings.user_logs_limit,
    )
    people = People(
        users,
        quotas,
        Passwords(),
        new_token,
        Cached(scheduler.in_use, _REMEMBER_S).get,
        login_days=settings.login_days,
        token_days=settings.token_days,
    )
    app = _app(redis, doorman, settings)
    PeopleRoutes(people, settings.headers_s).add_to(app)
    lister = Lister(model, feed, store)
    usage = UsageReader(reader, data.shipped_log, held)
    showing = Showing(desk, usage, SeriesStore(redis), store.estimates)
    triager = Triager(reader, data.shipped_log, held)
    answers = AnswerDesk(desk, scheduler, data, triager, store.estimates)
    sampled = LiveSampled(desk, showing, answers)
    hub = LiveHub(events, store, doorman, desk, node_desk, lister, LiveLogs(desk, reader), sampled)
    waiters.listen({"job", "node", "user"}, hub.hear)
    LiveRoute(hub, doorman, settings).add_to(app)
    JobRoutes(desk, lister, answers, settings).add_to(app)
    add_answers(app, answers, settings.json_limit_bytes)
    tasks, finder = (
        TaskLogs(reader, data.shipped_log, held),
        LogSearch(reader, data.search_log, data.shipped_log, held),
    )
    add_logs(app, desk, reader, tasks, finder, doorman)
    add_usage(app, desk, showing)
    add_webhooks(app, WebhookStore(redis))
    add_lineage(app, LineageDesk(desk, data, model, feed))
    add_datasets(app, data)
    add_nodes(app, node_desk)
    add_maintenance(app, MaintenanceDesk(MaintenanceStore(redis), store))
    add_document(app)
    return Service(
        name="request",
        open=[redis.open, users.note_memberships, model.open, data.open, scheduler.open],
        loops=[waiters.run, feed.run, feed.read_packs, reader.run, hub.run, hub.watch_people],
        app=app,
        listen=settings.listen,
        sockets=Sockets(
            settings.connections_limit,
            settings.idle_s,
            settings.headers_s,
            tls_of(settings.tls_cert_file, settings.tls_key_file),
        ),
        close=[data.close, scheduler.close, model.close, redis.close],
    )


def _app(redis: Redis, doorman: Doorman, settings: Settings) -> web.Application:
    async def authenticate(request: web.Request) -> None:
        request[CALLER_KEY] = await doorman.caller_of(
            request.headers.get("Authorization", ""), request.remote or "local"
        )

    app = make_app(
        "request",
        ready=redis.ping,
        authenticate=authenticate,
        body_limit_bytes=settings.json_limit_bytes,
        open_routes=OPEN | {LOGIN, WS},
    )
    limit_requests(app, settings.requests_limit, settings.user_requests_limit, but=frozenset({WS}))
    refuse_unknown_parameters(app)
    return app


async def _run_limits(quotas: QuotaStore) -> tuple[RunLimit, ...]:
    return run_limits(await quotas.limits())


def _room(redis: Redis, settings: Settings) -> Room:
    async def info() -> Mapping[str, Any]:
        found: Mapping[str, Any] = await redis.command("INFO", "memory")
        return found

    marks = Watermarks(settings.memory_percent, settings.disk_percent, settings.disk_spare_bytes)
    return Room(info, Path(settings.disk_path or settings.state_dir), marks)


def _allocations(redis: Redis, archive: Archive) -> ReadAllocation:
    async def allocation(job: JobId, attempt: int) -> Allocation | None:
        text = await redis.command("HGET", f"hr:attempt:{job}.{attempt}", "allocation")
        if text:
            return decode(Allocation, text)
        if await redis.command("EXISTS", f"hr:job:{job}"):
            return None
        return await archive.allocation(job, attempt)

    return allocation


if __name__ == "__main__":
    main_of(Settings, build)
