"""Derivations: jobs that Headrace itself starts to make data that another job misses.

One resolves a software environment to a list of exact versions with hashes. All others run a
`Plan`: steps that make one dataset from others. What can be made from what, recipes tell; the
package `headrace_derivations` has them, with the code that a step runs.
"""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Index
from headrace_model.errors import InvalidSpec
from headrace_model.ids import DatasetId
from headrace_model.requirement import Fulfilment, Miss, Requirement
from headrace_model.resources import Resources
from headrace_model.spec import Environment, FileSpec, JobSpec, Limits, OutputSpec, ResourceSpec

DERIVATION: Final = "derivation"  # what such a job shows as its kind
PLAN_FILE: Final = "plan.json.gz"  # a plan names catchments by the hundred thousand
_SCRIPT: Final = "pip_lock.py"
_LINES: Final = "requirements.txt"
_LOCK_TIME_MS: Final = 15 * 60_000
_PLAN_TIME_MS: Final = 6 * 3_600_000
_PLAN_RESOURCES: Final = ResourceSpec(Resources(millicpus=1_000, memory_bytes=2**30))


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a derivation: the data that it reads, by role, and what it is told.

    The name of an input is its role. `parameters` is plain JSON, which the code gets as it is.
    """

    derivation: str
    inputs: tuple[Requirement, ...]
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a derivation can make: datasets of a category and format in `makes`.

    `settings` are the names of what a requirement may tell it. `steps(wanted)` gives the ways to
    make a dataset that meets `wanted`, whose format is one of those, the best first; none where it
    can't. It is pure and cheap, and trusts that each input covers what it asks of it.
    """

    name: str
    summary: str
    makes: tuple[tuple[Category, str], ...]
    steps: Callable[[Requirement], Iterable[Step]]
    settings: frozenset[str] = frozenset()

    def fits(self, wanted: Requirement) -> bool:
        """Tell whether it is worth asking for steps."""
        derived = wanted.derived
        return (wanted.category, wanted.format) in self.makes and (
            derived is None
            or (derived.by == self.name and derived.settings.keys() <= self.settings)
        )


@dataclass(frozen=True)
class Plan:
    """How `wanted` is made: a step, and for each of its inputs the data or a further plan.

    Not slotted, so that `content` is made once: it reads every catchment that is named.
    """

    wanted: Requirement
    step: Step
    sources: "tuple[Plan | Fulfilment, ...]"

    def in_order(self) -> "Iterator[Plan]":
        """Yield each plan after those that it builds on."""
        for source in self.sources:
            if isinstance(source, Plan):
                yield from source.in_order()
        yield self

    @property
    def datasets(self) -> tuple[DatasetId, ...]:
        """The datasets that are read, each once."""
        found: dict[DatasetId, None] = {}
        for each in self.in_order():
            for source in each.sources:
                if isinstance(source, Fulfilment):
                    found.update(dict.fromkeys(source.datasets))
        return tuple(found)

    @property
    def cost(self) -> tuple[int, int, int]:
        """The number of steps, of inputs in other formats, and of datasets that are read: the
        lower, the better.
        """
        plans = list(self.in_order())
        others = sum(need.format != e.wanted.format for e in plans for need in e.step.inputs)
        return len(plans), others, len(self.datasets)

    @cached_property
    def content(self) -> str:
        """What names the data that it makes: what is asked, and by which steps of which data."""
        made = [
            [
                each.step.derivation,
                each.step.parameters,
                [
                    [need.name, *source.datasets] if isinstance(source, Fulfilment) else need.name
                    for need, source in zip(each.step.inputs, each.sources, strict=True)
                ],
            ]
            for each in self.in_order()
        ]
        return f"{asked_of(self.wanted)}.{_digest(made)}"

    @property
    def why(self) -> str:
        """Say what is done, in order: `forcing from NETCDF_FORCING_CANONICAL`."""
        said = []
        for each in self.in_order():
            formats = " and ".join(str(need.format) for need in each.step.inputs)
            said.append(f"{each.wanted.derived or each.step.derivation} from {formats}")
        can = "it can" if self.wanted.derived else "no dataset covers it, but it can"
        return f"{can} be derived: {', then '.join(said)}"


@dataclass(frozen=True, slots=True)
class Derivable:
    """No dataset meets the requirement, but a child job can make one that does.

    `miss` says what is not there; `plan` None: the child resolves a software environment.
    """

    miss: Miss
    plan: Plan | None

    @property
    def why(self) -> str:
        """Say it for people."""
        return self.plan.why if self.plan else "it can be resolved by pip"

    @property
    def content(self) -> str:
        """What names the data that the child makes."""
        return self.plan.content if self.plan else asked_of(self.miss.requirement)


def derivation_key(content: str, owner: str) -> str:
    """What names a derivation: two jobs of one owner that miss the same share one. Never two
    owners: what it makes belongs to the one who asked first.
    """
    return f"{owner}:{content}"


def content_of(key: str) -> str:
    """What a `derivation_key` names without its owner."""
    return key.rpartition(":")[2]


def asked_by(key: str) -> str:
    """The question that a `content`, or a `derivation_key` of one, answers: `asked_of` gave it."""
    return content_of(key).partition(".")[0]


def asked_of(requirement: Requirement) -> str:
    """What names a question: the first part of `content`, whatever answers it."""
    derived = requirement.derived
    return _digest(
        [
            requirement.category,
            requirement.format,
            requirement.domain.to_plain(),
            requirement.shape,
            *([derived.by, derived.settings] if derived else []),
        ]
    )


def _digest(plain: object) -> str:
    return sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:32]


def plan_job(plan: Plan, priority: int) -> JobSpec:
    """The job that makes what `plan` is for: all steps, one after the other, in one worker.

    Its inputs are the data at the plan's leaves. `python3` is the agent's own interpreter, or in
    a container that of the worker image, which has this code too.
    """
    steps: list[dict[str, Any]] = []
    inputs: list[Requirement] = []
    made: dict[int, int] = {}
    for each in plan.in_order():
        roles: dict[str, dict[str, int]] = {}
        for need, source in zip(each.step.inputs, each.sources, strict=True):
            if isinstance(source, Plan):
                roles[need.name] = {"step": made[id(source)]}
            else:
                roles[need.name] = {"input": len(inputs)}
                inputs.append(replace(need, name=f"source-{len(inputs)}"))
        made[id(each)] = len(steps)
        steps.append(
            {
                "derivation": each.step.derivation,
                "roles": roles,
                "parameters": each.step.parameters,
            }
        )
    text = json.dumps({"headrace_plan": 1, "steps": steps}, sort_keys=True)
    content = gzip.compress(text.encode(), mtime=0)
    folders = [f"{{{each.name}}}" for each in inputs]
    wanted = plan.wanted
    return JobSpec(
        kind="command",
        name=f"derive-{wanted.format}".lower().replace("_", "-"),
        command=("python3", "-m", "headrace_derivations", PLAN_FILE, "{output}", *folders),
        files=(_file(PLAN_FILE, content),),
        resources=_PLAN_RESOURCES,
        limits=Limits(time_ms=_PLAN_TIME_MS),
        priority=priority,
        inputs=tuple(sorted(inputs, key=lambda each: each.name)),
        outputs=(
            OutputSpec(
                name="derived",
                category=wanted.category,
                format=str(wanted.format),
                domain=wanted.domain,
            ),
        ),
    )


def environment_job(
    environment: Environment, requirement: Requirement, script: bytes, priority: int
) -> JobSpec:
    """The job that makes the lock list which `requirement` asks for.

    `script` is run by the node's own interpreter with pip beside it; it writes `lock.txt`.
    """
    key = _data_id(requirement)
    return JobSpec(
        kind="command",
        name=f"environment-{key[:12]}",
        command=("python3", _SCRIPT, _LINES, "{output}"),
        files=(
            _file(_SCRIPT, script),
            _file(_LINES, "".join(f"{line}\n" for line in environment.pip).encode()),
        ),
        limits=Limits(time_ms=_LOCK_TIME_MS),
        priority=priority,
        outputs=(
            OutputSpec(
                name="lock",
                category=requirement.category,
                format=str(requirement.format),
                domain=requirement.domain,
            ),
        ),
    )


def _data_id(requirement: Requirement) -> str:
    names = requirement.domain.get(Index.DATA_ID)
    if not isinstance(names, Discrete) or len(names.values) != 1:
        raise InvalidSpec(f"input {requirement.name}: an environment has one DATA_ID, its key")
    (key,) = names.values
    return key


def _file(name: str, content: bytes) -> FileSpec:
    return FileSpec(name, sha256(content).hexdigest(), content)
