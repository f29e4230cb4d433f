"""For every script of Redis one good call: what lies there before, and the call."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.datasets import DatasetStore
from headrace_adapters.redis.jobs import Idempotency, JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.maintenance import MaintenanceStore
from headrace_adapters.redis.nodes import NodeStore
from headrace_adapters.redis.packs import PackStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.resources import ResourcesStore
from headrace_adapters.redis.secrets import SecretStore
from headrace_adapters.redis.series import SeriesStore
from headrace_adapters.redis.services import ServiceStore
from headrace_adapters.redis.users import UserStore
from headrace_adapters.redis.webhooks import WebhookStore
from headrace_model import people
from headrace_model.array import FailedTask, TaskReport
from headrace_model.cause import Cause
from headrace_model.dataset import Category, Dataset, DatasetState, Item, Origin
from headrace_model.domain import Domain
from headrace_model.estimate import Run
from headrace_model.ids import DatasetId, JobId, NodeId, job_id
from headrace_model.job import Ask, Job, Need, NewJob, first_step
from headrace_model.maintenance import Maintenance
from headrace_model.move import Derivation, Learned, Move, move_of
from headrace_model.node import Cached, Inventory
from headrace_model.quota import Quota
from headrace_model.requirement import Fulfilment
from headrace_model.resources import Allocation, Paradigm, Resources, Share
from headrace_model.series import Point, Resolution
from headrace_model.service import ServiceRefusal, ServiceWish
from headrace_model.status import Event, Role
from headrace_model.webhook import Delivery, HookEvent, Webhook
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_model.worker import Mount
from headrace_wire.packs import Record

N1, N2 = NodeId("node1"), NodeId("node2")
NODE_SIZE = Resources(4_000, 8 * 2**30, (("gpus", 2),))
SMALL = Resources(1_000, 2**30, (("gpus", 1), ("licence_x", 3)))
ASK = Ask(SMALL, Paradigm.SINGLE_NODE, "process")
PLAIN = replace(ASK, resources=Resources(1_000, 2**30))
"""Nothing by the piece: what nodes offer without a resources.yaml holds it."""
HELD = {DatasetId("d1"): 5_000}
INVENTORY = Inventory("docker", "20.10.24", 2, 10**12, 10**11, Cached(5_000, 3, 1))
TWO_NODES = Allocation((Share(N1, SMALL), Share(N2, SMALL)))


def new_job(number: int = 1, *needs: Need, after: tuple[JobId, ...] = ()) -> NewJob:
    """A small job with an id that `number` decides."""
    return NewJob(
        id=job_id(1_700_000_000_000, number),
        owner="ann",
        name=f"job{number}",
        kind="command",
        spec='{"kind":"command"}',
        priority=50,
        ask=ASK,
        needs=frozenset(needs),
        after=after,
    )


def new_dataset(number: int = 1, name: str = "") -> Dataset:
    """An OPEN dataset."""
    return Dataset(
        id=DatasetId(f"d{number}"),
        name=name or f"data{number}",
        version=1,
        category=Category.OUTPUT,
        format="GENERIC",
        domain=Domain(),
        owner="ann",
        created_ms=1,
    )


def sealed(dataset: Dataset) -> Dataset:
    """The same, SEALED."""
    return replace(dataset, state=DatasetState.SEALED, sealed_ms=2, manifest_sha256="0" * 64)


class Recorder(Redis):
    """Keeps the calls of scripts that go through it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, patience_s=30.0)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def script(self, name: str, args: dict[str, Any]) -> list[Any]:
        self.calls.append((name, args))
        return await super().script(name, args)


class Stage:
    """All stores on one Redis, with two nodes and leaders once `ready`."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.jobs = JobStore(redis)
        self.nodes = NodeStore(redis)
        self.leases = LeaseStore(redis)
        self.datasets = DatasetStore(redis)
        self.secrets = SecretStore(redis)
        self.users = UserStore(redis)
        self.arrays = ArrayStore(redis)
        self.packs = PackStore(redis)
        self.maintenance = MaintenanceStore(redis)
        self.resources = ResourcesStore(redis)
        self.series = SeriesStore(redis)
        self.webhooks = WebhookStore(redis)
        self.services = ServiceStore(redis)
        self.quotas = QuotaStore(redis)

    async def records(self, *jobs: JobId) -> list[Record]:
        return await self.packs.records(jobs)

    async def fields(self, job: JobId) -> dict[str, str]:
        return dict(await self.redis.command("HGETALL", f"hr:job:{job}"))

    async def ready(self) -> None:
        for node in (N1, N2):
            await self.nodes.register(
                node, f"run of {node}", NODE_SIZE, frozenset({"process"}), has_state_lock=True
            )
        await self.lead()

    async def lead(self) -> None:
        """Take every leadership, each with term 1."""
        for role in (Role.SCHEDULER, Role.MONITOR, Role.DATA, Role.CLUSTER):
            await self.leases.acquire(role, "me", 600_000)

    async def make(self, new: NewJob) -> Job:
        await self.jobs.create(new, first_step(new.needs))
        return await self.jobs.get(new.id)

    async def apply(self, move: Move) -> Job:
        await self.jobs.apply(move, None if move.writer is Role.REQUEST else 1)
        return await self.jobs.get(move.job)

    async def launched(self, number: int = 1, *needs: Need) -> Job:
        job = await self.make(new_job(number, *needs))
        return await self.apply(launch(job, TWO_NODES))

    async def running(self, number: int = 1, *needs: Need) -> Job:
        job = await self.launched(number, *needs)
        await self.jobs.report(N1, f"run of {N1}", [Fact(N1, job.id, 1, FactKind.STARTED)])
        return await self.apply(move_of(job, Event.STARTED, Role.MONITOR))

    async def running_array(self, tasks: int) -> Job:
        """An array on both nodes."""
        new = new_job()
        job = await self.make(replace(new, ask=replace(new.ask, tasks=tasks)))
        return await self.apply(launch(job, TWO_NODES))

    async def sealed_dataset(self, number: int = 1) -> Dataset:
        await self.datasets.create(new_dataset(number), new_version=False, newest="")
        entry = await self.datasets.get(new_dataset(number).id)
        await self.datasets.seal(entry, sealed(entry.dataset))
        return (await self.datasets.get(entry.dataset.id)).dataset


def launch(job: Job, allocation: Allocation) -> Move:
    """What the scheduler's plan does with a job that has nothing to stage."""
    return replace(
        move_of(job, Event.LAUNCHED, Role.SCHEDULER),
        takes=allocation,
        work=tuple(
            Work(share.node, job.id, job.attempt, Verb.LAUNCH, job.spec, share.resources)
            for share in allocation.shares
        ),
    )


def derivation(key: str, number: int, parent: Job) -> Derivation:
    """A child that makes missing data."""
    return Derivation(key, replace(new_job(number), parents=(parent.id,)), Event.NEEDS_ALLOCATION)


def fulfilled_by(*datasets: Dataset) -> tuple[Fulfilment, ...]:
    """A requirement `rain` that a union meets."""
    return (Fulfilment("rain", tuple(dataset.id for dataset in datasets), None, "it covers it"),)


Act = Callable[[], Awaitable[object]]


async def _creates_a_user(stage: Stage) -> Act:
    await stage.users.create_group("hydro")
    return lambda: stage.users.create_user("ann", groups=["hydro"])


async def _disables_a_user(stage: Stage) -> Act:
    for name in ("ann", "bob"):
        await stage.users.create_user(name)
    await stage.users.keep_token("token", "ann")
    return lambda: stage.users.set_disabled("ann", True)


async def _make_token(stage: Stage) -> Act:
    await stage.users.create_user("ann")
    return lambda: stage.users.keep_token("token", "ann", expires_ms=2**42)


async def _revoke_tokens(stage: Stage) -> Act:
    await stage.users.create_user("ann")
    await stage.users.keep_token("token", "ann")
    return lambda: stage.users.revoke_all("ann")


async def _remove_group(stage: Stage) -> Act:
    await stage.users.create_group("hydro")
    await stage.users.create_user("ann", groups=["hydro"])
    return lambda: stage.users.remove_group("hydro")


async def _share_job(stage: Stage) -> Act:
    job = await stage.make(new_job())
    return lambda: stage.jobs.share(job, (people.Share("user:bob"),), "ann")


async def _acquire_lease(stage: Stage) -> Act:
    await stage.leases.release(Role.CLUSTER, "me")
    return lambda: stage.leases.acquire(Role.CLUSTER, "me", 60_000)


async def _release_lease(stage: Stage) -> Act:
    return lambda: stage.leases.release(Role.MONITOR, "me")


async def _register_node(stage: Stage) -> Act:
    await stage.launched()
    return lambda: stage.nodes.register(
        N1, f"run of {N1}", NODE_SIZE, frozenset({"process"}), has_state_lock=True
    )


async def _register_beside_a_worker(stage: Stage) -> Act:
    job = await stage.launched()
    return lambda: stage.nodes.register(
        N1, "next", NODE_SIZE, frozenset({"process"}), has_state_lock=True, living=[f"{job.id}.1"]
    )


async def _renew_node(stage: Stage) -> Act:
    return lambda: stage.nodes.renew(N1, f"run of {N1}")


async def _renew_full_node(stage: Stage) -> Act:
    return lambda: stage.nodes.renew(N1, f"run of {N1}", full=True)


async def _leave_node(stage: Stage) -> Act:
    return lambda: stage.nodes.renew(N1, f"run of {N1}", leaving=True)


async def _lose_node(stage: Stage) -> Act:
    counter = (await stage.nodes.all())[0].counter
    return lambda: stage.nodes.lose(N1, counter, 1)


HOOK = Webhook("0123456789ab", "https://example.org/x", (HookEvent.ENDED,), "s", 1)
TOLD = Delivery("7-0.0123456789ab", "ann", HOOK.id, "{}")


async def _put_webhook(stage: Stage) -> Act:
    return lambda: stage.webhooks.keep("ann", HOOK)


async def _removes_a_webhook(stage: Stage) -> Act:
    await stage.webhooks.keep("ann", HOOK)
    return lambda: stage.webhooks.remove("ann", HOOK.id)


async def _write_deliveries(stage: Stage) -> Act:
    await stage.webhooks.write(1, new=[TOLD, replace(TOLD, id="6-0.x")])
    new, put = replace(TOLD, id="8-0.x"), replace(TOLD, tries=1)
    return lambda: stage.webhooks.write(1, at="8-0", new=[new], put=[put], gone=["6-0.x"])


async def _record_series(stage: Stage) -> Act:
    point = Point(7_000_000, 2, 8_000, 7_000, 2**34, 2**33, 1, 0)
    return lambda: stage.series.record(dict.fromkeys(Resolution, point), 1)


async def _publish_resources(stage: Stage) -> Act:
    await stage.resources.publish("", 1)
    return lambda: stage.resources.publish("nodes: {}", 1)


async def _drain_node(stage: Stage) -> Act:
    await stage.launched()
    return lambda: stage.nodes.drain(N1, drained=True)


async def _undrain_node(stage: Stage) -> Act:
    await stage.launched()
    await stage.nodes.drain(N1, drained=True)
    return lambda: stage.nodes.drain(N1, drained=False)


async def _tell_quarantine(stage: Stage) -> Act:
    return lambda: stage.nodes.tell_quarantine(N1, f"run of {N1}", ["a.1", "b.2"])


async def _discard_quarantined(stage: Stage) -> Act:
    await stage.nodes.tell_quarantine(N1, f"run of {N1}", ["a.1", "b.2"])
    return lambda: stage.nodes.discard(N1, ["a.1"])


async def _reconciled(stage: Stage) -> Act:
    await stage.redis.command("SET", "hr:restored", "of yesterday")
    return lambda: stage.jobs.reconciled(1)


async def _begin_maintenance(stage: Stage) -> Act:
    return lambda: stage.maintenance.begin(Maintenance("2026-01-01", "ann", "new disks"))


async def _end_maintenance(stage: Stage) -> Act:
    await stage.maintenance.begin(Maintenance("2026-01-01", "ann", "new disks"))
    return stage.maintenance.end


async def _confirm_node(stage: Stage) -> Act:
    counter = (await stage.nodes.all())[0].counter
    await stage.nodes.lose(N1, counter, 1)
    return lambda: stage.nodes.confirm_lost(N1)


async def _label_node(stage: Stage) -> Act:
    await stage.nodes.label(N1, {"rack": "r1", "spare": "yes"}, [])
    return lambda: stage.nodes.label(N1, {"rack": "r7", "disk": "ssd"}, ["spare"])


async def _describe_node(stage: Stage) -> Act:
    return lambda: stage.nodes.describe(N1, f"run of {N1}", INVENTORY, HELD)


async def _forget_node(stage: Stage) -> Act:
    counter = (await stage.nodes.all())[0].counter
    await stage.nodes.lose(N1, counter, 1)
    return lambda: stage.nodes.forget(N1)


async def _create_job(stage: Stage) -> Act:
    first = await stage.make(new_job(1))
    once = Idempotency("key", "fingerprint")
    second = new_job(2, after=(first.id,))
    return lambda: stage.jobs.create(second, Event.NEEDS_ALLOCATION, once)


async def _report_fact(stage: Stage) -> Act:
    job = await stage.launched()
    facts = [Fact(N1, job.id, 1, kind) for kind in (FactKind.STARTED, FactKind.EXITED)]
    return lambda: stage.jobs.report(N1, f"run of {N1}", facts)


async def _reject_fact(stage: Stage) -> Act:
    job = await stage.launched()
    return lambda: stage.jobs.reject(job, N1, FactKind.COLLECTED, Cause.COLLECTION, "no file")


async def _finish_work(stage: Stage) -> Act:
    job = await stage.launched()
    record = (await stage.jobs.work(N1))[f"{job.id}.1"]
    return lambda: stage.jobs.finish_work(N1, f"run of {N1}", record)


async def _create_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset(1)
    again = replace(new_dataset(2), name="data1")
    return lambda: stage.datasets.create(again, new_version=True, newest="d1", once="request")


async def _put_items(stage: Stage) -> Act:
    await stage.datasets.create(new_dataset(), new_version=False, newest="")
    items = [Item(path, 1, "0" * 64, "key") for path in ("a/b.txt", "c.txt")]
    return lambda: stage.datasets.put_items(new_dataset().id, items, 2)


async def _put_items_in_a_quota(stage: Stage) -> Act:
    await stage.datasets.create(new_dataset(), new_version=False, newest="")
    items = [Item("a", 1, "0" * 64, "k")]
    quotas = (Quota("user:ann", 9, ("ann",)), Quota("group:models", 9, ("ann", "bob")))
    return lambda: stage.datasets.put_items(new_dataset().id, items, 2, quotas)


async def _note_memberships(stage: Stage) -> Act:
    await stage.users.create_user("ann")
    await stage.redis.command("HSET", "hr:user:ann", "groups", "models")
    return stage.users.note_memberships


async def _tell_nodes(stage: Stage) -> Act:
    await stage.nodes.label(N1, {"rack": "3"}, ())
    return stage.nodes.offers


async def _tell_queue(stage: Stage) -> Act:
    ids = [(await stage.make(new_job(number))).id for number in (1, 2)]
    return lambda: stage.jobs.owners([*ids, job_id(1, 9)])


async def _rank_queue(stage: Stage) -> Act:
    job = await stage.make(new_job())
    await stage.redis.command("ZADD", "hr:queue", "50e13", job.id)
    args = {"role": Role.SCHEDULER, "term": 1, "jobs": [job.id], "last": True}
    return lambda: stage.redis.script("rank_queue", args)


async def _count_datasets(stage: Stage) -> Act:
    await stage.sealed_dataset()
    await stage.redis.command("HDEL", f"hr:dataset:{new_dataset().id}", "bytes")
    return lambda: stage.redis.script(
        "count_datasets", {"datasets": [new_dataset().id], "last": True}
    )


async def _set_quota(stage: Stage) -> Act:
    await stage.users.create_user("ann")
    return lambda: stage.quotas.set("user", "ann", 2**50)


async def _set_group_quota(stage: Stage) -> Act:
    await stage.users.create_group("models")
    await stage.quotas.set("group", "models", 1)
    return lambda: stage.quotas.set("group", "models", None)


async def _seal_dataset(stage: Stage) -> Act:
    await (await _put_items(stage))()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.seal(entry, sealed(entry.dataset))


async def _describe_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset()
    entry = await stage.datasets.get(new_dataset().id)
    described = replace(entry.dataset, description="rain of 1980")
    return lambda: stage.datasets.describe(entry, described)


async def _rename_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset()
    entry = await stage.datasets.get(new_dataset().id)
    changes = [(entry, replace(entry.dataset, name="rain", description="of 1980"))]
    return lambda: stage.datasets.rename(changes)


async def _mark_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.marked(entry.dataset.id, entry.doc)


async def _delete_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.delete(entry, entry.dataset.deleted(5, 10))


async def _undelete_dataset(stage: Stage) -> Act:
    await (await _delete_dataset(stage))()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.undelete(entry, entry.dataset.undeleted("rain"), "")


async def _tombstone_deleted(stage: Stage) -> Act:
    await (await _delete_dataset(stage))()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.tombstone(entry)


async def _tombstone_dataset(stage: Stage) -> Act:
    await stage.sealed_dataset()
    entry = await stage.datasets.get(new_dataset().id)
    return lambda: stage.datasets.tombstone(entry)


async def _forget_dataset(stage: Stage) -> Act:
    await (await _tombstone_dataset(stage))()
    return lambda: stage.datasets.forget(new_dataset().id)


async def _restore_dataset(stage: Stage) -> Act:
    return lambda: stage.datasets.restore(sealed(new_dataset()))


async def _restore_deleted(stage: Stage) -> Act:
    return lambda: stage.datasets.restore(sealed(new_dataset()).deleted(5, 10))


async def _look_at_datasets(stage: Stage) -> Act:
    job = await stage.launched()
    await stage.sealed_dataset()
    return lambda: stage.datasets.look({new_dataset().id: None, DatasetId("d9"): job.id}, 1)


async def _put_secret(stage: Stage) -> Act:
    return lambda: stage.secrets.keep("ann", "usgs_token", "1.k1.Ym94")


async def _creates_an_array(stage: Stage) -> Act:
    new = new_job()
    array = replace(new, ask=replace(new.ask, tasks=1_000))
    return lambda: stage.jobs.create(array, Event.NEEDS_ALLOCATION)


async def _take_tasks(stage: Stage) -> Act:
    job = await stage.running_array(1_000)
    await stage.arrays.take(N2, f"run of {N2}", job.id, 1, most=760, known=0)
    return lambda: stage.arrays.take(N1, f"run of {N1}", job.id, 1, most=100, known=0)


async def _finish_tasks(stage: Stage) -> Act:
    job = await stage.running_array(1_000)
    await stage.arrays.take(N1, f"run of {N1}", job.id, 1, most=800, known=0)
    reports = [
        TaskReport(
            lease=1,
            done=((0, 5), (760, 800)),
            failed=(FailedTask(7, Cause.EXIT_CODE, again=True, exit_code=3),),
            part="0" * 64,
        )
    ]
    return lambda: stage.arrays.finish(N1, f"run of {N1}", job.id, 1, reports, limit=1)


async def _gives_tasks_back(stage: Stage) -> Act:
    job = await stage.running_array(1_000)
    await stage.arrays.take(N2, f"run of {N2}", job.id, 1, most=100, known=0)
    end = replace(move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE), returns=(N2,))
    return lambda: stage.jobs.apply(end, 1)


PACK = "00000000000001-0123456789abcdef"


async def _archive_jobs(stage: Stage) -> Act:
    """Of three that are over one is awaited and one was shared since, so these stay."""
    for number in (1, 2, 4):
        await stage.make(new_job(number))
    await stage.make(new_job(3, Need.PREREQUISITES, after=(new_job(2).id,)))
    for number in (1, 2, 4):
        job = await stage.jobs.get(new_job(number).id)
        await stage.apply(launch(job, TWO_NODES))
        job = await stage.jobs.get(job.id)
        stop = move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE)
        job = await stage.apply(replace(stop, forgets=(N1, N2)))
        await stage.apply(replace(move_of(job, Event.END_FAILED, Role.MONITOR), returns=(N1, N2)))
    over, shared = await stage.records(new_job(1).id, new_job(4).id)
    await stage.jobs.share(shared.job, (people.Share("user:bob"),), "ann")
    awaited = replace(over, id=new_job(2).id, fields=await stage.fields(new_job(2).id))
    return lambda: stage.packs.remove(PACK, [over, awaited, shared], 1)


async def _forget_pack(stage: Stage) -> Act:
    await (await _archive_jobs(stage))()
    return lambda: stage.packs.forget(PACK, 1)


async def _takes(stage: Stage) -> Act:
    job = await stage.make(new_job())
    return lambda: stage.jobs.apply(launch(job, TWO_NODES), 1)


async def _opens_and_returns(stage: Stage) -> Act:
    job = await stage.running()
    stop = replace(
        move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE, detail="code 1"),
        exit_code=1,
        work=tuple(Work(node, job.id, 1, Verb.STOP, job.spec) for node in (N1, N2)),
        consumes=((N1, FactKind.STARTED),),
    )
    job = await stage.apply(stop)
    await stage.jobs.report(N1, f"run of {N1}", [Fact(N1, job.id, 1, FactKind.STOPPED)])
    retry = replace(
        move_of(job, Event.RETRY, Role.MONITOR, cause=Cause.EXIT_CODE),
        opens=ASK,
        retries=1,
        returns=(N1, N2),
        work=(Work(N1, job.id, 1, Verb.CLEAN),),
        forgets=(N2,),
        consumes=((N1, FactKind.STOPPED),),
    )
    return lambda: stage.jobs.apply(retry, 1)


async def _learns(stage: Stage) -> Act:
    job = await stage.running()
    done = replace(
        move_of(job, Event.COMPLETED, Role.MONITOR),
        returns=(N1, N2),
        learns=Learned(("c1/0", "p1/0"), Run(60_000, 2**30)),
    )
    return lambda: stage.jobs.apply(done, 1)


async def _gives_up_a_node(stage: Stage) -> Act:
    job = await stage.running()
    counter = (await stage.nodes.all())[1].counter
    await stage.nodes.lose(N2, counter, 1)
    stop = move_of(job, Event.ATTEMPT_LOST, Role.MONITOR, cause=Cause.NODE_LOST)
    return lambda: stage.jobs.apply(replace(stop, lost=(N2,), forgets=(N2,)), 1)


async def _links(stage: Stage) -> Act:
    first, second = await stage.sealed_dataset(1), await stage.sealed_dataset(2)
    job = await stage.make(new_job(1, Need.DATA_CHECK))
    move = move_of(job, Event.NEEDS_ALLOCATION, Role.DATA)
    return lambda: stage.jobs.apply(replace(move, fulfilments=fulfilled_by(first, second)), 1)


async def _unlinks(stage: Stage) -> Act:
    await (await _links(stage))()
    job = await stage.jobs.get(new_job(1).id)
    return lambda: stage.jobs.apply(move_of(job, Event.CANCEL, Role.REQUEST))


async def _bears_and_joins(stage: Stage) -> Act:
    other = await stage.make(new_job(1, Need.DATA_CHECK))
    derive = move_of(other, Event.NEEDS_DERIVATION, Role.DATA)
    await stage.apply(replace(derive, children=(derivation("known", 11, other),)))
    job = await stage.make(new_job(2, Need.DATA_CHECK))
    move = replace(
        move_of(job, Event.NEEDS_DERIVATION, Role.DATA),
        children=(derivation("known", 12, job), derivation("new", 13, job)),
    )
    return lambda: stage.jobs.apply(move, 1)


async def _leaves_a_child(stage: Stage) -> Act:
    await (await _bears_and_joins(stage))()
    job = await stage.jobs.get(new_job(2).id)
    return lambda: stage.jobs.apply(move_of(job, Event.CANCEL, Role.REQUEST))


async def _seals(stage: Stage) -> Act:
    job = await stage.running(1, Need.COLLECTION)
    collect = move_of(job, Event.NEEDS_COLLECTION, Role.MONITOR)
    job = await stage.apply(replace(collect, returns=(N1, N2), exit_code=0))
    output = replace(sealed(new_dataset()), origin=Origin(job.id, 1), output="flow")
    complete = replace(
        move_of(job, Event.COMPLETED, Role.DATA),
        seals=(output,),
        work=(Work(N1, job.id, 1, Verb.CLEAN), Work(N2, job.id, 1, Verb.CLEAN)),
        consumes=((N1, FactKind.COLLECTED),),
    )
    return lambda: stage.jobs.apply(complete, 1)


async def _leaves_files(stage: Stage) -> Act:
    job = await stage.running(1, Need.COLLECTION)
    job = await stage.apply(move_of(job, Event.FAILED, Role.MONITOR, cause=Cause.COLLECTION))
    end = move_of(job, Event.END_FAILED, Role.MONITOR, cause=Cause.COLLECTION)
    return lambda: stage.jobs.apply(replace(end, returns=(N1, N2)), 1)


async def _leaves_a_checkpoint(stage: Stage) -> Act:
    job = await stage.running(1, Need.CHECKPOINT)
    done = move_of(job, Event.COMPLETED, Role.MONITOR)
    return lambda: stage.jobs.apply(replace(done, returns=(N1, N2)), 1)


def new_wish(job: JobId) -> ServiceWish:
    """A wish for the first worker of a job."""
    return ServiceWish(
        job=job, attempt=1, rank=0, image="sha256:" + "0" * 64, argv=("true",), env={"A": "b"},
        cwd="/", user="10001:10001", labels={"headrace.job": job},
        mounts=(Mount("/a", "/b"),), memory_bytes=2**30, millicpus=1_000,
    )  # fmt: skip


async def _wish_service(stage: Stage) -> Act:
    job = await stage.launched()
    return lambda: stage.services.wish(N1, new_wish(job.id))


async def _drop_services(stage: Stage) -> Act:
    refuse = await _refuse_service(stage)
    await refuse()
    (name,) = await stage.services.names(N1)
    return lambda: stage.services.drop(N1, [name])


async def _refuse_service(stage: Stage) -> Act:
    job = await stage.launched()
    wish = new_wish(job.id)
    await stage.services.wish(N1, wish)
    refusal = ServiceRefusal("there is no such image", retryable=False)
    return lambda: stage.services.refuse(N1, wish.name, refusal, 1)


async def _count_checkpoint(stage: Stage) -> Act:
    job = await stage.running(1, Need.CHECKPOINT)
    await stage.jobs.count_checkpoint(job.id, 1, 0, 100)
    return lambda: stage.jobs.count_checkpoint(job.id, 1, 0, 30)


async def _tidy_job(stage: Stage) -> Act:
    await (await _leaves_files(stage))()
    return lambda: stage.jobs.tidied(new_job(1).id)


async def _tidy_checkpoint(stage: Stage) -> Act:
    job = await stage.running(1, Need.CHECKPOINT)
    await stage.jobs.count_checkpoint(job.id, 1, 0, 100)
    done = move_of(job, Event.COMPLETED, Role.MONITOR)
    await stage.jobs.apply(replace(done, returns=(N1, N2)), 1)
    return lambda: stage.jobs.tidied(job.id)


@dataclass(frozen=True, slots=True)
class Scene:
    """One good call of `script`: `play` makes what lies there before and returns the call.

    `rises` names what a repeat changes again by intent; `again` is the reply of a repeat where it
    isn't the first one's.
    """

    script: str
    play: Callable[[Stage], Awaitable[Act]]
    rises: frozenset[str] = frozenset()
    again: tuple[object, ...] | None = None


_NODE = frozenset({f"hr:node:{N1}"})
SCENES = {
    "acquire_lease": Scene("acquire_lease", _acquire_lease, frozenset({"hr:lease:cluster"})),
    "release_lease": Scene("release_lease", _release_lease, again=(0,)),
    "register_node": Scene("register_node", _register_node, _NODE),
    "register_node: beside a worker": Scene("register_node", _register_beside_a_worker, _NODE),
    "renew_node: is full": Scene("renew_node", _renew_full_node, _NODE, ("3", "FULL")),
    "renew_node": Scene("renew_node", _renew_node, _NODE, ("3", "UP")),
    "renew_node: leaves": Scene("renew_node", _leave_node, _NODE, ("3", "UP")),
    "lose_node": Scene("lose_node", _lose_node, again=(0,)),
    "put_webhook": Scene("put_webhook", _put_webhook, again=(0,)),
    "put_webhook: removes": Scene("put_webhook", _removes_a_webhook, again=(0,)),
    "write_deliveries": Scene("write_deliveries", _write_deliveries),
    "record_series": Scene("record_series", _record_series),
    "publish_resources": Scene("publish_resources", _publish_resources, again=(0,)),
    "drain_node: drains": Scene("drain_node", _drain_node, again=(0,)),
    "drain_node: undrains": Scene("drain_node", _undrain_node, again=(0,)),
    "tell_quarantine": Scene("tell_quarantine", _tell_quarantine),
    "discard_quarantined": Scene("discard_quarantined", _discard_quarantined, again=(0,)),
    "reconciled": Scene("reconciled", _reconciled, again=(0,)),
    "set_maintenance: begins": Scene("set_maintenance", _begin_maintenance, again=(0,)),
    "set_maintenance: ends": Scene("set_maintenance", _end_maintenance, again=(0,)),
    "confirm_node": Scene("confirm_node", _confirm_node, again=(0,)),
    "label_node": Scene("label_node", _label_node, again=(0,)),
    "describe_node": Scene("describe_node", _describe_node),
    "forget_node": Scene("forget_node", _forget_node, again=(0,)),
    "create_job": Scene("create_job", _create_job),
    "create_job: an array": Scene("create_job", _creates_an_array),
    "take_tasks": Scene("take_tasks", _take_tasks),
    "finish_tasks": Scene("finish_tasks", _finish_tasks),
    "share_job": Scene("share_job", _share_job),
    "note_memberships": Scene("note_memberships", _note_memberships, again=(0,)),
    "save_user: creates": Scene("save_user", _creates_a_user, again=(0,)),
    "save_user: disables": Scene("save_user", _disables_a_user),
    "make_token": Scene("make_token", _make_token),
    "revoke_tokens": Scene("revoke_tokens", _revoke_tokens, again=(0,)),
    "remove_group": Scene("remove_group", _remove_group, again=(0,)),
    "report_fact": Scene("report_fact", _report_fact),
    "reject_fact": Scene("reject_fact", _reject_fact),
    "finish_work": Scene("finish_work", _finish_work, again=(0,)),
    "create_dataset": Scene("create_dataset", _create_dataset, again=("d2", 0)),
    "put_items": Scene("put_items", _put_items, again=(0,)),
    "seal_dataset": Scene("seal_dataset", _seal_dataset, again=(0,)),
    "describe_dataset": Scene("describe_dataset", _describe_dataset),
    "rename_dataset": Scene("rename_dataset", _rename_dataset),
    "mark_dataset": Scene("mark_dataset", _mark_dataset),
    "delete_dataset": Scene("delete_dataset", _delete_dataset, again=(0,)),
    "undelete_dataset": Scene("undelete_dataset", _undelete_dataset, again=(0,)),
    "tombstone_dataset: one that was deleted": Scene(
        "tombstone_dataset", _tombstone_deleted, again=(0,)
    ),
    "tombstone_dataset": Scene("tombstone_dataset", _tombstone_dataset, again=(0,)),
    "forget_dataset": Scene("forget_dataset", _forget_dataset, again=(0,)),
    "restore_dataset": Scene("restore_dataset", _restore_dataset, again=(0,)),
    "restore_dataset: one that was deleted": Scene(
        "restore_dataset", _restore_deleted, again=(0,)
    ),
    "put_items: of an owner with quotas": Scene("put_items", _put_items_in_a_quota, again=(0,)),
    "tell_queue": Scene("tell_queue", _tell_queue),
    "tell_nodes": Scene("tell_nodes", _tell_nodes),
    "rank_queue": Scene("rank_queue", _rank_queue, again=(0,)),
    "count_datasets": Scene("count_datasets", _count_datasets, again=(0,)),
    "set_quota": Scene("set_quota", _set_quota),
    "set_quota: of a group": Scene("set_quota", _set_group_quota),
    "look_at_datasets": Scene("look_at_datasets", _look_at_datasets),
    "wish_service": Scene("wish_service", _wish_service, again=(0,)),
    "drop_services": Scene("drop_services", _drop_services, again=(0,)),
    "refuse_service": Scene("refuse_service", _refuse_service, again=(0,)),
    "count_checkpoint": Scene("count_checkpoint", _count_checkpoint, again=(0,)),
    "tidy_job": Scene("tidy_job", _tidy_job, again=(0,)),
    "tidy_job: of a checkpoint": Scene("tidy_job", _tidy_checkpoint, again=(0,)),
    "put_secret": Scene("put_secret", _put_secret),
    "archive_jobs": Scene("archive_jobs", _archive_jobs, again=(0,)),
    "forget_pack": Scene("forget_pack", _forget_pack, again=(0,)),
    "transition: takes shares": Scene("transition", _takes),
    "transition: returns shares, opens an attempt": Scene("transition", _opens_and_returns),
    "transition: learns of a run": Scene("transition", _learns),
    "transition: gives tasks back": Scene("transition", _gives_tasks_back),
    "transition: gives up a lost node": Scene("transition", _gives_up_a_node),
    "transition: links datasets": Scene("transition", _links),
    "transition: unlinks datasets": Scene("transition", _unlinks),
    "transition: bears and joins children": Scene("transition", _bears_and_joins),
    "transition: leaves children": Scene("transition", _leaves_a_child),
    "transition: seals outputs": Scene("transition", _seals),
    "transition: leaves a checkpoint in the store": Scene("transition", _leaves_a_checkpoint),
    "transition: leaves files in the store": Scene("transition", _leaves_files),
}  # fmt: skip
