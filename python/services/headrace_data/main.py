"""Wires the data service; `python -m headrace_data.main` runs it alone."""

import asyncio
import sys
import sysconfig
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from headrace_adapters.files.store import DirectoryStore
from headrace_adapters.imported import ImportingStore
from headrace_adapters.redis.arrays import ArrayStore
from headrace_adapters.redis.connection import Redis
from headrace_adapters.redis.datasets import DatasetStore
from headrace_adapters.redis.events import Events
from headrace_adapters.redis.jobs import JobStore
from headrace_adapters.redis.leases import LeaseStore
from headrace_adapters.redis.packs import PackStore
from headrace_adapters.redis.quotas import QuotaStore
from headrace_adapters.redis.secrets import SecretStore
from headrace_adapters.redis.users import UserStore
from headrace_adapters.sqlite.items import ItemIndex
from headrace_data.access import Access
from headrace_data.api import DatasetsApi
from headrace_data.archivist import Archivist, retention
from headrace_data.catalogue import Catalogue
from headrace_data.checks import DataChecks
from headrace_data.collection import Collection
from headrace_data.core.places import read_places
from headrace_data.direct import Direct
from headrace_data.importing import Importing
from headrace_data.internal_api import InternalApi
from headrace_data.known_items import KnownItems
from headrace_data.library import Bounds, Detect, Detected, Library
from headrace_data.partials import Partials
from headrace_data.recipes import all_recipes
from headrace_data.reconciliation import Reconciliation
from headrace_data.room import Room
from headrace_data.secrets_api import SecretsApi
from headrace_data.service import DataService
from headrace_data.settings import Settings
from headrace_data.spool import Spool
from headrace_data.staging import Manifests, Staging
from headrace_data.store_api import StoreApi
from headrace_data.store_sweep import StoreSweep
from headrace_data.upkeep import Upkeep
from headrace_kinds.base import Target
from headrace_model.errors import InvalidInput, Unavailable
from headrace_model.status import Role
from headrace_ports.object_store import ObjectStore
from headrace_service.http import InternalToken, make_app
from headrace_service.keyring import Keyring
from headrace_service.leader import Leader
from headrace_service.lifecycle import Service, main_of
from headrace_service.logs import logger
from headrace_service.query import refuse_unknown_parameters

if TYPE_CHECKING:
    from headrace_adapters.s3.direct import DirectObjects

# A list of 100,000 outputs of one attempt is a long text.
BODY_LIMIT_BYTES = 64 * 2**20
_SPOOL_EVERY_S = 600.0
_READY_WITHIN_S = 5.0


def build(
    settings: Settings, events: Events | None = None, detect: Detect | None = None
) -> Service:
    """Make the data service from its settings.

    `events`: the one reader of a process that holds several services; `detect` reads folders, as
    `headrace_formats`.
    """
    redis = Redis(settings.redis_url, password_file=settings.redis_password_file)
    jobs, datasets = JobStore(redis), DatasetStore(redis)
    places = read_places(settings.import_places)
    outside = {name: make_store(settings, place) for name, place in places.items()}
    own = make_store(settings)
    store = ImportingStore(own, outside)
    manifests = Manifests(store)
    catalogue = Catalogue(
        datasets,
        jobs,
        events or Events(redis),
        _target(settings),
        settings.catalogue_sweep_s,
        all_recipes(),
    )
    undo_ms = retention(settings.dataset_undo_days, "dataset_undo_days")
    upkeep = Upkeep(catalogue, datasets, jobs, store, manifests, undo_ms)
    users = UserStore(redis)
    staging = Staging(catalogue, jobs, store, manifests, users)
    derived_ms = retention(settings.derived_days, "derived_days")
    collection = Collection(catalogue, jobs, ArrayStore(redis), store, derived_ms)
    partials = Partials(
        catalogue,
        datasets,
        jobs,
        store,
        retention(settings.partial_keep_days, "partial_keep_days"),
        settings.dataset_limit_items,
    )
    room = Room(settings.state_dir, settings.free_limit_bytes)
    spool = Spool(settings.state_dir / "spool", settings.item_limit_bytes, room)
    script = (files("headrace_data") / "pip_lock_script.py").read_bytes()
    service = DataService(
        catalogue=catalogue,
        jobs=jobs,
        store=store,
        checks=DataChecks(catalogue, jobs, users, store, script),
        staging=staging,
        collection=collection,
        upkeep=upkeep,
        reconciliation=Reconciliation(catalogue, jobs),
        archivist=Archivist(
            jobs,
            PackStore(redis),
            store,
            retention_ms=retention(settings.retention_days, "retention_days"),
            archive_retention_ms=retention(
                settings.archive_retention_days, "archive_retention_days"
            ),
        ),
        store_sweep=StoreSweep(
            datasets, store, manifests, settings.store_unnamed_s, settings.sweep_s
        ),
        leader=Leader(LeaseStore(redis), Role.DATA, settings.lease_s, redis.open),
        sweep_s=settings.sweep_s,
        unfinished_s=settings.store_unfinished_s,
    )
    known = KnownItems(ItemIndex(settings.state_dir / "items.sqlite"), catalogue, manifests)
    library = Library(
        access=Access(catalogue, datasets),
        catalogue=catalogue,
        datasets=datasets,
        jobs=jobs,
        store=store,
        manifests=manifests,
        upkeep=upkeep,
        spool=spool,
        known=known,
        detect=detect or _detect_folder(),
        scratch=settings.state_dir / "reading",
        bounds=Bounds(settings.dataset_limit_items, settings.free_limit_bytes),
        quotas=QuotaStore(redis),
    )

    async def ready() -> None:
        await redis.ping()
        try:
            await asyncio.wait_for(catalogue.ready.wait(), _READY_WITHIN_S)
        except TimeoutError:
            raise Unavailable("the catalogue is still being read") from None

    async def keep_spool() -> None:
        """Each replica has a spool of its own, whether it leads or not."""
        await catalogue.ready.wait()
        while True:
            open_ids = {each.id for each in catalogue.all() if each.sealed_ms is None}
            await spool.sweep(open_ids, settings.spool_keep_s)
            await asyncio.sleep(_SPOOL_EVERY_S)

    async def check_store() -> None:
        """Wrong settings end the service; a server that is away may come back."""
        try:
            await store.check()
        except Unavailable as error:
            logger("data").warning(f"the object store can't be used yet: {error}", action="store")

    app = make_app(
        "data",
        ready=ready,
        authenticate=InternalToken(settings.internal_token_file).check,
        body_limit_bytes=BODY_LIMIT_BYTES,
    )
    refuse_unknown_parameters(app)
    direct = Direct(library, _direct_objects(settings, own))
    importing = Importing(library, places, outside)
    DatasetsApi(library, direct, importing).add_routes(app)
    StoreApi(service.store_sweep).add_routes(app)
    InternalApi(jobs, datasets, store, staging, collection, partials).add_routes(app)
    key_file = settings.secrets_key_file
    keyring = Keyring.load(Path(key_file)) if key_file else None
    SecretsApi(jobs, SecretStore(redis), keyring).add_routes(app)
    return Service(
        name="data",
        open=[redis.open, check_store, library.open],
        loops=[catalogue.run, service.run, keep_spool, known.run],
        app=app,
        listen=settings.listen,
        close=[store.close, redis.close],
    )


def make_store(settings: Settings, place: str = "") -> ObjectStore:
    """The store that the setting names, or another `place`. Raises `InvalidInput`."""
    where = place or settings.store
    if not where.startswith("s3://"):
        return DirectoryStore(Path(where))
    try:
        from headrace_adapters.s3.location import parse_location, read_credentials
        from headrace_adapters.s3.store import Limits, S3Store
    except ImportError as error:
        raise InvalidInput(
            f"an S3 store needs the package {error.name}", hint="pip install 'headrace[s3]'"
        ) from None
    location = parse_location(
        where,
        endpoint=settings.store_endpoint,
        region=settings.store_region,
        tls=settings.store_tls,
    )
    if not settings.store_credentials_file:
        raise InvalidInput(
            f"the store {location} needs credentials",
            hint="name a file with them in the setting store_credentials_file",
        )
    limits = Limits(
        part_bytes=settings.store_part_bytes,
        parallel=settings.store_parallel,
        patience_s=settings.store_patience_s,
        grant_s=settings.store_grant_s,
    )
    return S3Store(location, read_credentials(Path(settings.store_credentials_file)), limits)


def _direct_objects(settings: Settings, store: ObjectStore) -> "DirectObjects | None":
    """What clients may do with the store themselves. Raises `InvalidInput`."""
    if not settings.store_direct:
        return None
    if not settings.store.startswith("s3://"):
        raise InvalidInput(
            "store_direct names an S3 server, and the store is a folder",
            hint="leave store_direct empty, or keep the objects on an S3 server",
        )
    from headrace_adapters.s3.store import S3Store

    assert isinstance(store, S3Store)  # noqa: S101 - made by make_store for such a setting
    return store.direct(settings.store_direct)


def _detect_folder() -> Detect:
    """The readers of formats, imported when they are used: they bring heavy libraries."""

    async def detect(folder: Path, format_: str | None) -> Detected:
        from headrace_formats.runner import detect_folder

        return await detect_folder(folder, format_)

    return detect


def _target(settings: Settings) -> Target:
    """What environments are resolved for: this interpreter's kind, unless settings say another."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return Target(settings.node_python or own, settings.node_platform or platform)


if __name__ == "__main__":
    main_of(Settings, build)
