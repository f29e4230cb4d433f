"""Datasets: named, described data, and the manifest that seals one.

A dataset is OPEN while its items are written and SEALED, for good, after; a change is a new
version. The manifest lists the items; its canonical bytes give the SHA-256 that names the
contents, and are enough to rebuild a lost catalogue entry.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from headrace_model.domain import Domain, check_format
from headrace_model.errors import Conflict, InvalidInput, InvalidName
from headrace_model.ids import DatasetId, JobId, check_name
from headrace_model.people import Shares

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_PATH_BYTES: Final = 1024
_MOST_TAGS: Final = 32
_PART_BYTES: Final = 255  # the longest file name that Linux file systems take


class Category(StrEnum):
    """What data is for."""

    CONFIG = "CONFIG"
    FORCING = "FORCING"
    HYDROFABRIC = "HYDROFABRIC"
    OBSERVATION = "OBSERVATION"
    OUTPUT = "OUTPUT"


class DatasetState(StrEnum):
    """How far a dataset is. It moves down this list only, but for one that is DELETED: nobody sees
    it, and until its undo time is over it can be brought back. Then it is TOMBSTONED, for good,
    while its files go.
    """

    OPEN = "OPEN"
    SEALED = "SEALED"
    DELETED = "DELETED"
    TOMBSTONED = "TOMBSTONED"


def check_item_path(path: str) -> str:
    """Check a stranger's item path, such as `forcing/prcp.nc`; raises `InvalidName`.

    A path that passes stays below any directory that it is joined to, and can be both an object
    key and a file name: relative, '/' between its parts, no part empty, '.' or '..', no control
    character or backslash, at most 1024 bytes of UTF-8 and 255 a part.
    """
    parts = path.split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        raise InvalidName(f"the item path {path[:80]!r} is not valid Unicode") from None
    why = None
    if path.startswith("/"):
        why = "it must be relative"
    elif any(part in ("", ".", "..") for part in parts):
        why = "no part may be empty, '.' or '..'"
    elif "\\" in path or not all(letter.isprintable() for letter in path):
        why = "it holds a backslash or a character that can't be printed"
    elif sum(sizes) + len(parts) - 1 > _PATH_BYTES or max(sizes) > _PART_BYTES:
        why = f"it is over {_PATH_BYTES} bytes, or {_PART_BYTES} between two '/'"
    if why:
        raise InvalidName(f"{path[:80]!r} can't be the path of an item: {why}")
    return path


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Tags in order, each once; raises `InvalidName`, `InvalidInput` for too many."""
    checked = tuple(sorted({check_name(tag, "tag") for tag in tags}))
    if len(checked) > _MOST_TAGS:
        raise InvalidInput(f"a dataset has at most {_MOST_TAGS} tags, not {len(checked)}")
    return checked


@dataclass(frozen=True, slots=True)
class Item:
    """One file of a dataset: its path in it, its contents' SHA-256 and its object key.

    Raises `InvalidName` for a bad path, `InvalidInput` for a bad size or hash.
    """

    path: str
    size_bytes: int
    sha256: str
    key: str

    def __post_init__(self) -> None:
        check_item_path(self.path)
        if self.size_bytes < 0:
            raise InvalidInput(f"{self.path}: a size can't be {self.size_bytes} bytes")
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidInput(f"{self.path}: a SHA-256 is 64 hexadecimal digits in lower case")
        if not self.key:
            raise InvalidInput(f"{self.path}: the object key is missing")


@dataclass(frozen=True, slots=True)
class Origin:
    """The attempt of a job that made a dataset."""

    job: JobId
    attempt: int


@dataclass(frozen=True, slots=True)
class Dataset:
    """The catalogue entry of one version of a dataset. Times are milliseconds since 1970, UTC.

    `output` is the name of the output, or of the requirement (for uploads that travel with a job
    and for derivations), under which `origin` made it. `derived_from` lists the datasets it was
    made from; `derivation` names what a derivation was asked, and of what it made it. Sizes and
    counts are zero until it is sealed. `shared` and `tags` are no part of the manifest: they
    change after it is sealed. `purge_ms` tells until when one that was deleted at `deleted_ms`
    can be brought back; then its files go. Raises `InvalidInput`.
    """

    id: DatasetId
    name: str
    version: int
    category: Category
    format: str
    domain: Domain
    owner: str
    created_ms: int
    state: DatasetState = DatasetState.OPEN
    sealed_ms: int | None = None
    expires_ms: int | None = None
    origin: Origin | None = None
    output: str | None = None
    derived_from: tuple[DatasetId, ...] = ()
    derivation: str | None = None
    description: str = ""
    size_bytes: int = 0
    item_count: int = 0
    manifest_sha256: str | None = None
    shared: Shares = ()
    tags: tuple[str, ...] = ()
    deleted_ms: int | None = None
    purge_ms: int | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "dataset")
        check_format(self.format)
        if self.version < 1:
            raise InvalidInput(f"dataset {self.name}: versions count from 1, not {self.version}")
        if self.state is DatasetState.SEALED and None in (self.sealed_ms, self.manifest_sha256):
            raise InvalidInput(f"dataset {self.name} is SEALED without a time or manifest")
        if self.state is DatasetState.DELETED and None in (self.deleted_ms, self.purge_ms):
            raise InvalidInput(f"dataset {self.name} is DELETED without its times")

    @property
    def title(self) -> str:
        """The name for people: `delaware-run v1`."""
        return f"{self.name} v{self.version}"

    @property
    def is_partial(self) -> bool:
        """Tell whether it holds what an attempt that failed had written: it is never sealed."""
        return self.state is DatasetState.OPEN and self.origin is not None

    def expired(self, now_ms: int) -> bool:
        """Tell whether its time is over; it is from `expires_ms` on."""
        return self.expires_ms is not None and self.expires_ms <= now_ms

    def deleted(self, now_ms: int, undo_ms: int) -> "Dataset":
        """Return it as DELETED: to be brought back for `undo_ms`, no longer than it is kept."""
        until = now_ms + undo_ms
        if self.expires_ms is not None:
            until = min(until, self.expires_ms)
        return replace(
            self, state=DatasetState.DELETED, deleted_ms=now_ms, purge_ms=max(until, now_ms)
        )

    def undeleted(self, name: str) -> "Dataset":
        """Return a DELETED one as it was before, under this name."""
        state = DatasetState.OPEN if self.sealed_ms is None else DatasetState.SEALED
        return replace(self, name=name, state=state, deleted_ms=None, purge_ms=None)


@dataclass(frozen=True)
class Manifest:
    """The items of a dataset, sorted by path, with the description that survives a lost Redis.

    `dataset` is kept as it was while OPEN; `Manifest.of` sorts the items and checks that no path
    stands twice or is also a folder of another (no file system could hold both). Not slotted,
    so that the bytes are made once.
    """

    dataset: Dataset
    items: tuple[Item, ...]

    @classmethod
    def of(cls, dataset: Dataset, items: "tuple[Item, ...] | list[Item]") -> "Manifest":
        """Build the manifest of an OPEN dataset; raises `Conflict`, `InvalidInput`."""
        if dataset.state is not DatasetState.OPEN:
            raise Conflict(f"dataset {dataset.title} is {dataset.state}: only OPEN ones seal")
        paths = {item.path for item in items}
        if len(paths) != len(items):
            raise InvalidInput(f"dataset {dataset.title}: two items have the same path")
        for path in paths:
            folder = path
            while "/" in folder:
                folder = folder.rpartition("/")[0]
                if folder in paths:
                    raise InvalidInput(f"{folder!r} can't be an item and the folder of {path!r}")
        ordered = tuple(sorted(items, key=lambda item: item.path.encode()))
        return cls(replace(dataset, size_bytes=0, item_count=0), ordered)

    @property
    def size_bytes(self) -> int:
        """The sum over all items."""
        return sum(item.size_bytes for item in self.items)

    @cached_property
    def canonical_bytes(self) -> bytes:
        """Sorted, compact JSON in UTF-8: equal manifests give equal bytes on every machine."""
        document = {"manifest": 1, "dataset": _plain(self.dataset), "items": []}
        document["items"] = [
            [item.path, item.size_bytes, item.sha256, item.key] for item in self.items
        ]
        return json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of `canonical_bytes`, in hexadecimal."""
        return sha256(self.canonical_bytes).hexdigest()

    def sealed(self, at_ms: int) -> Dataset:
        """Return the dataset as SEALED by this manifest."""
        return replace(
            self.dataset,
            state=DatasetState.SEALED,
            sealed_ms=at_ms,
            size_bytes=self.size_bytes,
            item_count=len(self.items),
            manifest_sha256=self.sha256,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Manifest":
        """Read `canonical_bytes` back; raises `InvalidInput` for anything else."""
        try:
            document = json.loads(data)
            if document["manifest"] != 1:
                raise InvalidInput(f"manifest version {document['manifest']!r} is not known")
            items = [Item(*fields) for fields in document["items"]]
            return cls.of(_dataset(document["dataset"]), items)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(f"this is not a manifest: {error!r}") from None


def _plain(dataset: Dataset) -> dict[str, Any]:
    origin = dataset.origin
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "category": str(dataset.category),
        "format": dataset.format,
        "domain": dataset.domain.to_plain(),
        "owner": dataset.owner,
        "created_ms": dataset.created_ms,
        "expires_ms": dataset.expires_ms,
        "origin": {"job": origin.job, "attempt": origin.attempt} if origin else None,
        "output": dataset.output,
        "derived_from": list(dataset.derived_from),
        "description": dataset.description,
        **({"derivation": dataset.derivation} if dataset.derivation else {}),
    }


def _dataset(plain: dict[str, Any]) -> Dataset:
    origin = plain["origin"]
    return Dataset(
        **{
            **plain,
            "category": Category(plain["category"]),
            "domain": Domain.from_plain(plain["domain"]),
            "origin": Origin(origin["job"], origin["attempt"]) if origin else None,
            "derived_from": tuple(plain["derived_from"]),
        }
    )
