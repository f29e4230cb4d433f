"""Work records (what Redis asks of an agent) and facts (what an agent saw).

An agent holds ONE record per attempt: the verb that its node owes the attempt now. A later verb
replaces an earlier one, so doing the newest record is always right and repeating it is success.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from headrace_model.cause import Cause
from headrace_model.ids import JobId, NodeId
from headrace_model.resources import Resources


class Verb(StrEnum):
    """What a node owes an attempt."""

    STAGE = "stage"  # put the inputs beside the worker
    LAUNCH = "launch"  # have the worker run (or have run)
    STOP = "stop"  # have nothing of the attempt run or transfer any more
    COLLECT = "collect"  # bring the outputs to the store
    CLEAN = "clean"  # ship the logs, remove the attempt's directory


@dataclass(frozen=True, slots=True)
class Work:
    """One work record: what `node` owes attempt `attempt` of `job`."""

    node: NodeId
    job: JobId
    attempt: int
    verb: Verb
    # Canonical JSON of the JobSpec. With CLEAN only where the attempt failed and may have written
    # outputs, which are kept as partial ones.
    spec: str = ""
    resources: Resources | None = None  # this node's share; with LAUNCH
    rank: int = 0  # of this node's worker
    ranks: int = 1


class FactKind(StrEnum):
    """What an agent can have seen of an attempt."""

    STAGED = "staged"
    STARTED = "started"
    EXITED = "exited"  # the worker and all its processes are gone
    COLLECTED = "collected"
    STOPPED = "stopped"  # nothing of the attempt runs or transfers on the node


@dataclass(frozen=True, slots=True)
class CollectedItem:
    """One output file in the store."""

    path: str
    size_bytes: int
    sha256: str
    key: str


@dataclass(frozen=True, slots=True)
class CollectedOutput:
    """One output as found: its files and what they cover (plain domain; empty: not detected)."""

    name: str
    items: tuple[CollectedItem, ...]
    format: str
    domain: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """What one agent saw of one attempt; `cause` is None when it went well."""

    node: NodeId
    job: JobId
    attempt: int
    kind: FactKind
    cause: Cause | None = None
    detail: str = ""
    exit_code: int | None = None
    signal: int | None = None
    peak_memory_bytes: int | None = None
    outputs: tuple[CollectedOutput, ...] = ()
    at_ms: int = 0  # by the agent's clock
