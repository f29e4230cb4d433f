"""Wires the scheduler; `python -m headrace_scheduler.main` runs it alone."""

from pathlib import Path

from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_model.status import Role
from headrace_scheduler.answers import Answers
from headrace_scheduler.api import add_routes
from headrace_scheduler.forecasts import Forecasts
from headrace_scheduler.limits_file import LimitsFile
from headrace_scheduler.reading import Reader
from headrace_scheduler.service import Scheduler
from headrace_scheduler.settings import Settings
from headrace_service.http import InternalToken, make_app
from headrace_service.leader import Leader
from headrace_service.lifecycle import Service, main_of

BODY_LIMIT_BYTES = 64 * 1024


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the scheduler from its settings.

    `events`: the one reader of a process that holds several services.
    """
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    leader = Leader(LeaseStore(redis), Role.SCHEDULER, settings.lease_s, redis.open)
    quotas = QuotaStore(redis)
    heard = events or Events(redis)
    limits = LimitsFile(Path(settings.resources_file) if settings.resources_file else None)
    jobs, nodes, maintenance = JobStore(redis), NodeStore(redis), MaintenanceStore(redis)
    scheduler = Scheduler(
        jobs,
        nodes,
        maintenance,
        limits,
        ResourcesStore(redis),
        quotas,
        heard,
        leader,
        settings,
    )
    app = make_app(
        "scheduler",
        ready=redis.ping,
        authenticate=InternalToken(settings.internal_token_file).check,
        body_limit_bytes=BODY_LIMIT_BYTES,
    )
    reader = Reader(jobs, nodes, limits, quotas, lambda: scheduler.queue, heard)
    forecasts = Forecasts(reader)
    add_routes(app, Answers(jobs, maintenance, reader, forecasts))
    return Service(
        name="scheduler",
        open=[limits.open, redis.open],
        loops=[scheduler.run, forecasts.run, reader.run],
        app=app,
        listen=settings.listen,
        close=[redis.close],
    )


if __name__ == "__main__":
    main_of(Settings, build)
