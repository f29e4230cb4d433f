"""Datasets in the REST API: what is asked of the data service, and what it answers.

Times are ISO 8601 in UTC; domains are in their plain form (Appendix A of docs/design.md).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headrace_kinds.derivation import Derivable
from headrace_model.dataset import Category, Dataset, Item, check_tags
from headrace_model.domain import Domain
from headrace_model.errors import InvalidInput
from headrace_model.ids import NAME, DatasetId
from headrace_model.requirement import Derived, Fulfilment, Miss, Promised, Requirement, Shape
from headrace_model.times import instant_text
from headrace_model.units import parse_duration
from headrace_wire.dataschema import says
from headrace_wire.jsontext import parse_json
from headrace_wire.records import compact, decode_dataset
from headrace_wire.schema import from_plain

DESCRIPTION_CHARACTERS = 10_000


@dataclass(frozen=True, slots=True)
class NewDataset:
    """POST /datasets. `version` is absent, or `new` for a further version of a name."""

    name: str = field(metadata=says(pattern=f"^{NAME}$"))
    category: Category
    format: str | None = None
    domain: Domain = field(default_factory=Domain)
    description: str = field(default="", metadata=says(maxLength=DESCRIPTION_CHARACTERS))
    expires_in: str | None = None
    version: str | None = field(default=None, metadata=says(enum=[None, "new"]))

    def __post_init__(self) -> None:
        check_description(self.description)
        if self.version not in (None, "new"):
            raise InvalidInput("version can only be `new`: Headrace gives the number")

    @property
    def expires_after_ms(self) -> int | None:
        """How long it is kept; None is for ever. Raises `InvalidInput`."""
        return parse_duration(self.expires_in) if self.expires_in else None


@dataclass(frozen=True, slots=True)
class DatasetChange:
    """PATCH /datasets/{name}: what is None stays, unless `keeps` says: it never expires."""

    description: str | None = None
    tags: tuple[str, ...] | None = None
    name: str | None = None
    expires_after_ms: int | None = None
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class SealRequest:
    """POST /datasets/{name}:seal: what is given replaces what was declared before."""

    domain: Domain | None = None
    format: str | None = None


@dataclass(frozen=True, slots=True)
class UndeleteRequest:
    """POST /datasets/{name}:undelete; `name` is another one, where its own was taken."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """POST /datasets:match."""

    category: Category
    format: str | None = None
    domain: Domain = field(default_factory=Domain)
    shape: Shape = Shape.ANY
    derived: Derived | None = None
    name: str = "input"

    @property
    def requirement(self) -> Requirement:
        """What is to be met; raises `InvalidName`, `InvalidDomain`."""
        return Requirement(
            self.name, self.category, self.format, self.domain, self.shape, self.derived
        )

    @classmethod
    def of(cls, wanted: Requirement) -> "MatchRequest":
        """The request that asks how a requirement would be met."""
        return cls(
            wanted.category,
            wanted.format,
            wanted.domain,
            wanted.shape,
            wanted.derived,
            wanted.name,
        )


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """POST /datasets:sweep, a page of the store from `cursor` on."""

    dry_run: bool = False
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """POST /internal/staging, and the start of the other internal requests: who asks."""

    job: str
    attempt: int
    node: str


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """POST /datasets/{name}:import: a folder or bucket whose files become items and stay there.

    `after`: where to go on, as the answer before said.
    """

    source: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class ImportView:
    """How many files are items by this request, their bytes, and how many of them were read for
    it. The next request goes on `after`; null: all are items now."""

    items: int
    size_bytes: int
    read: int
    after: str | None


@dataclass(frozen=True, slots=True)
class EntriesRequest:
    """POST /internal/datasets: the catalogue entries of ids, in any state, and that of a name."""

    ids: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file of POST /internal/outputs. `upload`: the id of an upload in parts, begun by an
    earlier grant whose URLs have expired.
    """

    output: str
    path: str
    size_bytes: int
    sha256: str
    upload: str = ""


@dataclass(frozen=True, slots=True)
class PartialsRequest:
    """POST /internal/partials: files of an attempt that failed; `put`: they are in the store."""

    job: str
    attempt: int
    node: str
    items: tuple[OutputFile, ...]
    put: bool = False


@dataclass(frozen=True, slots=True)
class OutputsRequest:
    """POST /internal/outputs."""

    job: str
    attempt: int
    node: str
    items: tuple[OutputFile, ...]


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of POST /internal/logs; `upload` as in `OutputFile`."""

    name: str
    size_bytes: int
    upload: str = ""


@dataclass(frozen=True, slots=True)
class CheckpointRequest:
    """POST /internal/checkpoints: where an archive goes; `upload` as in `OutputFile`."""

    job: str
    attempt: int
    node: str
    rank: int
    size_bytes: int
    upload: str = ""


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """POST /internal/logs."""

    job: str
    attempt: int
    node: str
    files: tuple[LogFile, ...]


def read_body(text: bytes) -> dict[str, Any]:
    """Read a JSON object; no body at all is an empty one. Raises `InvalidInput`."""
    plain: object = parse_json(text, what="request") if text.strip() else {}
    if not isinstance(plain, dict):
        raise InvalidInput("the body is not a JSON object")
    return plain


def read_change(plain: Mapping[str, Any]) -> DatasetChange:
    """Read the body of a PATCH; raises `InvalidInput`."""
    if unknown := set(plain) - {"description", "expires_in", "name", "tags"}:
        raise InvalidInput(
            f"{', '.join(sorted(unknown))[:80]} can't be changed",
            hint="only description, expires_in, name and tags can; make a new version for "
            "anything else",
        )
    description, expires_in, name, tags = (
        plain.get(key) for key in ("description", "expires_in", "name", "tags")
    )
    if not all(isinstance(each, str | None) for each in (description, expires_in, name)):
        raise InvalidInput("description, expires_in and name are texts (expires_in may be null)")
    if tags is not None and not (
        isinstance(tags, list) and all(isinstance(each, str) for each in tags)
    ):
        raise InvalidInput("tags is a list of texts")
    check_description(description or "")
    return DatasetChange(
        description=description,
        tags=None if tags is None else check_tags(tags),
        name=name,
        expires_after_ms=parse_duration(expires_in) if expires_in is not None else None,
        keeps="expires_in" in plain and expires_in is None,
    )


def read_seal(plain: Mapping[str, Any]) -> SealRequest:
    """Read the body of a :seal; raises `InvalidInput`."""
    return from_plain(SealRequest, dict(plain))


def check_description(text: str) -> None:
    """Raise `InvalidInput` for a description that is too long."""
    if len(text) > DESCRIPTION_CHARACTERS:
        raise InvalidInput(f"a description has at most {DESCRIPTION_CHARACTERS:,} characters")


def read_entry(text: str) -> Dataset:
    """Read a catalogue entry or SEALED marker, as `encode_dataset` writes it.

    Records leave out what is empty, and a domain may be. Raises `InvalidInput`.
    """
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if not isinstance(plain, dict):
        raise InvalidInput("this is no catalogue entry")
    return decode_dataset(compact({"domain": {}, **plain}))


Known = Callable[[DatasetId], Dataset | None]


def dataset_view(
    dataset: Dataset, known: Known, *, size_bytes: int | None = None, items: int | None = None
) -> dict[str, Any]:
    """Write a dataset; `known` finds those it was derived from, as far as they still exist."""
    origin = dataset.origin
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "title": dataset.title,
        "state": dataset.state,
        "category": dataset.category,
        "format": dataset.format,
        "domain": dataset.domain.to_plain(),
        "owner": dataset.owner,
        "shared": [{"level": each.level, "who": each.who} for each in dataset.shared],
        "created": _time(dataset.created_ms),
        "sealed": _time(dataset.sealed_ms),
        "expires": _time(dataset.expires_ms),
        "deleted": _time(dataset.deleted_ms),
        "purged": _time(dataset.purge_ms),
        "origin": {"job": origin.job, "attempt": origin.attempt} if origin else None,
        "output": dataset.output,
        "partial": dataset.is_partial,
        "derived_from": [_reference(one, known) for one in dataset.derived_from],
        "description": dataset.description,
        "tags": list(dataset.tags),
        "size_bytes": dataset.size_bytes if size_bytes is None else size_bytes,
        "item_count": dataset.item_count if items is None else items,
        "manifest_sha256": dataset.manifest_sha256,
    }


def item_view(item: Item) -> dict[str, Any]:
    """Write an item; its object key is nobody's business."""
    return {"path": item.path, "size_bytes": item.size_bytes, "sha256": item.sha256}


def match_view(found: Fulfilment | Promised | Derivable | Miss, known: Known) -> dict[str, Any]:
    """Write how a requirement would be met, or why not."""
    match found:
        case Fulfilment():
            datasets = [_reference(one, known) for one in found.datasets]
            return {
                "result": "fulfilled",
                "datasets": datasets,
                "over": found.over,
                "why": found.why,
            }
        case Promised():
            promise = found.promise
            return {
                "result": "promised",
                "job": promise.job,
                "output": promise.output,
                "why": found.why,
            }
        case Derivable():
            sources = found.plan.datasets if found.plan else ()
            return {
                "result": "derivable",
                "datasets": [_reference(one, known) for one in sources],
                "why": found.why,
            }
        case Miss():
            return {
                "result": "missing",
                "why": found.sentence,
                "missing": Domain(found.missing).to_plain(),
                "nearest": [
                    {"id": near.dataset, "title": near.title, "why": near.sentence}
                    for near in found.nearest
                ],
            }


def _reference(dataset: DatasetId, known: Known) -> dict[str, Any]:
    found = known(dataset)
    return {
        "id": dataset,
        "name": found.name if found else None,
        "version": found.version if found else None,
        "size_bytes": found.size_bytes if found else None,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant_text(at_ms)
