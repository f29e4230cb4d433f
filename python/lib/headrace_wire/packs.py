"""Packs of archived jobs: gzip of JSON lines, the first with the version, then one a job.

A line holds the job as Redis had it: the fields of `hr:job:<id>`, its history (texts, oldest
first), and the fields of `hr:attempt:<id>.<n>`.
"""

import gzip
import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import JobId, parse_job_id
from headrace_model.job import Job
from headrace_model.resources import Allocation
from headrace_wire.records import VERSION, compact, decode, read_job

_NOT_LISTED: Final = frozenset(
    {"spec", "needs", "parents", "children", "request_id", "fulfilments", "derivation"}
)


@dataclass(frozen=True, slots=True)
class Record:
    """All that Redis had of a job."""

    id: JobId
    fields: Mapping[str, str]
    history: tuple[str, ...]
    attempts: Mapping[int, Mapping[str, str]]

    @property
    def job(self) -> Job:
        """The job; raises `InvalidInput` for a damaged one."""
        return read_job(self.id, self.fields)

    @property
    def listed_fields(self) -> dict[str, str]:
        """The fields that a list shows."""
        return {name: text for name, text in self.fields.items() if name not in _NOT_LISTED}

    @property
    def runs(self) -> list[tuple[str, str]]:
        """Each node that an attempt was on, with the attempt as "<job>.<attempt>"."""
        held = {attempt: self.allocation(attempt) for attempt in self.attempts}
        return [
            (share.node, f"{self.id}.{attempt}")
            for attempt, allocation in held.items()
            for share in (allocation.shares if allocation else ())
        ]

    def allocation(self, attempt: int) -> Allocation | None:
        """What an attempt held; None where it got nothing, or there was none."""
        text = self.attempts.get(attempt, {}).get("allocation")
        return decode(Allocation, text) if text else None


def write_pack(records: Iterable[Record]) -> bytes:
    """Write a pack; the same records give the same bytes."""
    lines = [compact({"v": VERSION})]
    lines += [
        compact(
            {
                "id": each.id,
                "fields": dict(each.fields),
                "history": list(each.history),
                "attempts": {str(n): dict(fields) for n, fields in each.attempts.items()},
            }
        )
        for each in records
    ]
    return gzip.compress("\n".join(lines).encode(), mtime=0)


def read_pack(data: bytes) -> tuple[Record, ...]:
    """Read what `write_pack` wrote; raises `InvalidInput` for anything else."""
    try:
        head, *lines = gzip.decompress(data).decode().split("\n")
        version = json.loads(head)["v"]
        if version != VERSION:
            raise InvalidInput(f"a pack of version {version!r} is not known here: upgrade it")
        return tuple(_record(json.loads(line)) for line in lines)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError,
            InvalidName) as error:  # fmt: skip
        raise InvalidInput(f"this is no pack of archived jobs: {error!r}") from None


def _record(plain: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Record:
    return Record(
        id=parse_job_id(str(plain["id"])),
        fields={str(name): str(text) for name, text in plain["fields"].items()},
        history=tuple(str(line) for line in plain["history"]),
        attempts={int(n): dict(fields) for n, fields in plain["attempts"].items()},
    )
