"""The answers of the public API that are put together where they are written.

Nothing reads by these classes: they tell the OpenAPI document what the answers look like, and
tests/acceptance/test_openapi.py holds the answers to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from headrace_model.dataset import Category, DatasetState
from headrace_model.domain import Domain, Index
from headrace_model.people import Share
from headrace_model.status import Status
from headrace_wire.api import AcceptedView, HistoryView, JobView, NodeView
from headrace_wire.history import PhaseView
from headrace_wire.people import GroupView, MeView, SecretView, TokenView, UserView


class JobFile:
    """Stands for a job file, whose schema is made by the fields that read it (`jsonschema`)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error (RFC 9457): `detail` says what and why, `hint` what to do next. `code` is for
    programs; `retryable` tells that the same call may succeed later.
    """

    type: str
    title: str
    status: int
    code: str
    detail: str
    retryable: bool
    request_id: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class HealthView:
    """A service that lives, or is ready."""

    status: str
    service: str
    version: str
    """Of Headrace: `headrace doctor` compares it with its own."""


@dataclass(frozen=True, slots=True)
class AcceptedJobs:
    """The answer to a submit of a list, in its order."""

    jobs: tuple[AcceptedView, ...]


@dataclass(frozen=True, slots=True)
class CheckedJob:
    """A job that would be taken, in its canonical form."""

    valid: Literal[True]
    spec: JobFile


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, the last that moved first; it is the last page when `cursor` is null. `incomplete`
    says what may be missing while archived jobs are still being read; else it is null.
    """

    jobs: tuple[JobView, ...]
    cursor: str | None
    incomplete: str | None


@dataclass(frozen=True, slots=True)
class History:
    """A job's transitions and what was wished for it, oldest first, and how long it was where."""

    history: tuple[HistoryView, ...]
    phases: tuple[PhaseView, ...]


@dataclass(frozen=True, slots=True)
class OutputsView:
    """The dataset (its id) of each output that is sealed, by the output's name."""

    job: str
    status: Status
    outputs: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Nodes:
    """All nodes."""

    nodes: tuple[NodeView, ...]


@dataclass(frozen=True, slots=True)
class Users:
    """All users."""

    users: tuple[UserView, ...]


@dataclass(frozen=True, slots=True)
class CreatedUser(UserView):
    """A user; `password` only where one was made. It is told this once."""

    password: str = ""


@dataclass(frozen=True, slots=True)
class MadePassword:
    """The password that was made, told this once; empty where one was given."""

    password: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """All groups."""

    groups: tuple[GroupView, ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A user's tokens."""

    tokens: tuple[TokenView, ...]


@dataclass(frozen=True, slots=True)
class Secrets:
    """One's own secrets, without their values."""

    secrets: tuple[SecretView, ...]


@dataclass(frozen=True, slots=True)
class OriginView:
    """The attempt of a job that made a dataset."""

    job: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Reference:
    """A dataset by its id; the rest is null when it is gone, or not to be seen."""

    id: str
    name: str | None
    version: int | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class DatasetView:
    """One version of a dataset. Times are ISO 8601 in UTC; at `purged` the files of a deleted one
    go, and it can't be brought back any more. `partial`: it is what a failed attempt had written.
    """

    id: str
    name: str
    version: int
    title: str
    state: DatasetState
    category: Category
    format: str
    domain: Domain
    owner: str
    shared: tuple[Share, ...]
    created: str
    sealed: str | None
    expires: str | None
    deleted: str | None
    purged: str | None
    origin: OriginView | None
    output: str | None
    partial: bool
    derived_from: tuple[Reference, ...]
    description: str
    tags: tuple[str, ...]
    size_bytes: int
    item_count: int
    manifest_sha256: str | None


@dataclass(frozen=True, slots=True)
class SealedView(DatasetView):
    """A dataset that was just sealed; `notes` say what was found in it."""

    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """Datasets, the newest first; it is the last page when `cursor` is null."""

    datasets: tuple[DatasetView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of a dataset."""

    datasets: tuple[DatasetView, ...]


@dataclass(frozen=True, slots=True)
class DatasetPatch:
    """PATCH /datasets/{name}: what is left out stays. `expires_in` null: it is kept for ever.

    `tags` replaces all that there are; `name` renames all versions.
    """

    description: str | None = None
    expires_in: str | None = None
    tags: tuple[str, ...] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class NamelessView:
    """An object of the store that nothing can name any more; `due`: it is old enough to go."""

    key: str
    size_bytes: int
    age_s: float
    due: bool
    why: str


@dataclass(frozen=True, slots=True)
class SweptPage:
    """A page of the store: it is the last one when `cursor` is null."""

    looked_at: int
    nameless: tuple[NamelessView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class ItemView:
    """A file of a dataset."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Files of a dataset by path; it is the last page when `cursor` is null."""

    items: tuple[ItemView, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class PutView:
    """A file of a batch that is in the dataset now; `was_there`: it was before, just so."""

    path: str
    size_bytes: int
    sha256: str
    was_there: bool


@dataclass(frozen=True, slots=True)
class BatchView:
    """All files of a batch, in its order."""

    items: tuple[PutView, ...]


@dataclass(frozen=True, slots=True)
class PartView:
    """A part of a file has come; the next begins at `upload_offset`."""

    path: str
    upload_offset: int


@dataclass(frozen=True, slots=True)
class PartGrant:
    """Where `size_bytes` bytes from `offset` on go: PUT them to `url`, which is a secret."""

    offset: int
    size_bytes: int
    url: str


@dataclass(frozen=True, slots=True)
class DirectUploadView:
    """An upload to the store itself: `item`, once it is whole, or the next parts to be put.

    Neither of them: the file goes through us (PUT).
    """

    item: ItemView | None
    kept_bytes: int
    parts: tuple[PartGrant, ...]


@dataclass(frozen=True, slots=True)
class DirectDownloadView:
    """Where the store gives a file itself: GET `url`, which is a secret; null: GET it from us."""

    path: str
    size_bytes: int
    sha256: str
    url: str | None


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """Datasets that meet a requirement; several join along the index `over`."""

    result: Literal["fulfilled"]
    datasets: tuple[Reference, ...]
    over: Index | None
    why: str


@dataclass(frozen=True, slots=True)
class PromisedView:
    """The output of a live job will meet a requirement."""

    result: Literal["promised"]
    job: str
    output: str
    why: str


@dataclass(frozen=True, slots=True)
class DerivableView:
    """A child of the job will make what meets a requirement, from these datasets."""

    result: Literal["derivable"]
    datasets: tuple[Reference, ...]
    why: str


@dataclass(frozen=True, slots=True)
class NearView:
    """A dataset that comes close, and what it lacks."""

    id: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing meets a requirement: what is missing, and what comes nearest."""

    result: Literal["missing"]
    why: str
    missing: Domain
    nearest: tuple[NearView, ...]


# Written by `to_plain`, which leaves out what is empty and may be.
SPARSE: Final = frozenset(
    {UserView, CreatedUser, MadePassword, GroupView, MeView, TokenView, SecretView}
)
