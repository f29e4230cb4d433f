"""Wires the monitor; `python -m headrace_monitor.main` runs it alone."""

from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_adapters.redis.series import SeriesStore
from headrace_adapters.redis.webhooks import WebhookStore
from headrace_model.status import Role
from headrace_monitor.hookpost import read_networks
from headrace_monitor.series import SeriesRecorder
from headrace_monitor.service import Monitor
from headrace_monitor.settings import Settings
from headrace_monitor.webhooks import WebhookSender
from headrace_service.http import InternalToken, make_app
from headrace_service.leader import Leader
from headrace_service.lifecycle import Service, main_of

BODY_LIMIT_BYTES = 64 * 1024


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the monitor from its settings.

    `events`: the one reader of a process that holds several services.
    """
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    leader = Leader(LeaseStore(redis), Role.MONITOR, settings.lease_s, redis.open)
    jobs, nodes, heard = JobStore(redis), NodeStore(redis), events or Events(redis)
    networks = read_networks(settings.webhook_networks)
    monitor = Monitor(
        jobs,
        ArrayStore(redis),
        nodes,
        ResourcesStore(redis),
        heard,
        leader,
        settings,
        SeriesRecorder(jobs, nodes, SeriesStore(redis)),
        WebhookSender(jobs, WebhookStore(redis), heard, networks),
    )
    token = InternalToken(settings.internal_token_file)
    return Service(
        name="monitor",
        open=[redis.open],
        loops=[monitor.run],
        app=make_app(
            "monitor",
            ready=redis.ping,
            authenticate=token.check,
            body_limit_bytes=BODY_LIMIT_BYTES,
        ),
        listen=settings.listen,
        close=[redis.close],
    )


if __name__ == "__main__":
    main_of(Settings, build)
