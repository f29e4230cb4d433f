"""Wires the cluster agent; `python -m headrace_cluster.main` runs it alone."""

from headrace_adapters.backends.swarm_manager import SwarmManager
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.joins import JoinStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.services import ServiceStore
from headrace_cluster.joins import Joins
from headrace_cluster.service import Cluster
from headrace_cluster.settings import Settings
from headrace_model.status import Role
from headrace_service.http import InternalToken, make_app
from headrace_service.leader import Leader
from headrace_service.lifecycle import Service, main_of

BODY_LIMIT_BYTES = 64 * 1024


def build(settings: Settings, events: Events | None = None) -> Service:
    """Make the cluster agent from its settings.

    `events`: the one reader of a process that holds several services.
    """
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    swarm = SwarmManager(settings.docker_url, settings.swarm_owner)
    leader = Leader(LeaseStore(redis), Role.CLUSTER, settings.lease_s, redis.open)
    cluster = Cluster(
        ServiceStore(redis),
        NodeStore(redis),
        events or Events(redis),
        swarm,
        Joins(JoinStore(redis), swarm.members),
        leader,
        settings,
    )
    token = InternalToken(settings.internal_token_file)
    return Service(
        name="cluster",
        open=[redis.open],
        loops=[cluster.run],
        app=make_app(
            "cluster",
            ready=redis.ping,
            authenticate=token.check,
            body_limit_bytes=BODY_LIMIT_BYTES,
        ),
        listen=settings.listen,
        close=[swarm.close, redis.close],
    )


if __name__ == "__main__":
    main_of(Settings, build)
