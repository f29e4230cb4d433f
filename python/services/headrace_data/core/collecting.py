"""Collection: from what the agents found in the output folders to datasets, or to a refusal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headrace_data.core.describing import merged_domain, merged_format, united_domain
from headrace_data.core.keys import kept_attempt, output_key
from headrace_data.errors import DomainMismatch
from headrace_kinds.derivation import DERIVATION
from headrace_model.array import OutputPart
from headrace_model.dataset import Dataset, Item, Manifest, Origin
from headrace_model.domain import Domain
from headrace_model.errors import HeadraceError
from headrace_model.ids import DatasetId, NodeId
from headrace_model.job import Job
from headrace_model.outputs import output_dataset, output_name
from headrace_model.requirement import Fulfilment
from headrace_model.spec import OutputSpec
from headrace_model.work import CollectedItem, CollectedOutput, Fact, FactKind


class Refused(Exception):
    """The outputs can't become datasets: the node to blame, and a sentence with a next step."""

    def __init__(self, node: NodeId, detail: str) -> None:
        super().__init__(detail)
        self.node = node
        self.detail = detail


@dataclass(frozen=True, slots=True)
class _Part:
    node: NodeId
    found: CollectedOutput


def manifests(
    job: Job,
    declared: Sequence[OutputSpec],
    facts: Sequence[Fact],
    fulfilments: Sequence[Fulfilment],
    derived_ms: int = 0,
) -> tuple[Manifest, ...]:
    """One manifest a declared output, the same whenever they are made; raises `Refused`.

    What was derived from other data can be made again: it is kept for `derived_ms`; 0: for good.
    """
    sources = tuple(sorted({one for each in fulfilments for one in each.datasets}))
    expires_ms = None
    if job.kind == DERIVATION and sources and derived_ms:
        expires_ms = job.entered_ms + derived_ms
    return tuple(_manifest(job, output, facts, sources, expires_ms) for output in declared)


def part_fact(
    job: Job, node: NodeId, part: OutputPart, outputs: Sequence[CollectedOutput]
) -> Fact:
    """What a part of an array says, as a fact: only the files of the tasks that it counts for.

    `node` is blamed where they can't be kept.
    """
    kept = tuple(
        replace(each, items=tuple(item for item in each.items if part.covers(_task_of(item))))
        for each in outputs
    )
    return Fact(node, job.id, job.attempt, FactKind.COLLECTED, outputs=kept)


def _task_of(item: CollectedItem) -> int:
    """The task that wrote a file: it lies in the folder of its index."""
    index = item.path.partition("/")[0]
    return int(index) if index.isascii() and index.isdigit() else -1


def _manifest(
    job: Job,
    output: OutputSpec,
    facts: Sequence[Fact],
    sources: tuple[DatasetId, ...],
    expires_ms: int | None,
) -> Manifest:
    parts = [
        _Part(fact.node, found)
        for fact in facts
        for found in fact.outputs
        if found.name == output.name and found.items
    ]
    if not parts:
        raise Refused(facts[0].node, f"output {output.name!r} has no file; {_others(facts)}")
    items = _items(job, output, parts)
    try:
        detected = united_domain([Domain.from_plain(part.found.domain) for part in parts])
        for part in parts:
            merged_format(output.format, part.found.format)
        dataset = Dataset(
            id=output_dataset(job.id, kept_attempt(job), output.name),
            name=output_name(job.name, output.name, job.id),
            version=1,
            category=output.category,
            format=merged_format(output.format, parts[0].found.format),
            domain=merged_domain(output.domain, detected),
            owner=job.owner,
            created_ms=job.entered_ms,
            expires_ms=expires_ms,
            origin=Origin(job.id, job.attempt),
            output=output.name,
            derived_from=sources,
            derivation=job.derivation or None,
        )
        return Manifest.of(dataset, items)
    except DomainMismatch as error:
        raise Refused(
            parts[0].node,
            f"output {output.name!r}: {error.message} (correct the output's domain or format in "
            "the job file, or what the command writes)",
        ) from None
    except HeadraceError as error:
        raise Refused(parts[0].node, f"output {output.name!r}: {error}") from None


def _items(job: Job, output: OutputSpec, parts: Sequence[_Part]) -> list[Item]:
    items: dict[str, Item] = {}
    wrote: dict[str, NodeId] = {}
    for part in parts:
        for found in part.found.items:
            if found.path in wrote:
                raise Refused(
                    part.node,
                    f"output {output.name!r}: nodes {wrote[found.path]} and {part.node} both "
                    f"wrote {found.path!r}; have each rank write a file name of its own",
                )
            wrote[found.path] = part.node
            items[found.path] = _item(job, output, part.node, found)
    return list(items.values())


def _item(job: Job, output: OutputSpec, node: NodeId, found: CollectedItem) -> Item:
    try:
        item = Item(found.path, found.size_bytes, found.sha256, found.key)
    except HeadraceError as error:
        raise Refused(node, f"output {output.name!r}: {error}") from None
    if item.key != output_key(job.id, kept_attempt(job), output.name, item.sha256):
        raise Refused(
            node, f"output {output.name!r}: {found.path!r} was not put where it was granted"
        )
    return item


def _others(facts: Sequence[Fact]) -> str:
    """What was found instead, for the sentence about an empty output."""
    counts: dict[str, int] = {}
    for fact in facts:
        for found in fact.outputs:
            counts[found.name] = counts.get(found.name, 0) + len(found.items)
    written = [f"{name!r} has {count}" for name, count in sorted(counts.items()) if count]
    if written:
        return f"of the other outputs, {', '.join(written)}: write the files into its folder"
    return "nothing was written below {output}: have the command write its files there"
