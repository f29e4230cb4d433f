"""A job that was taken stays readable, whatever a later version would refuse of it.

And one that this version can't read at all can still be stopped.
"""

import json
import operator
from dataclasses import replace
from functools import reduce
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_agent.attempt import AttemptOnNode
from headrace_agent.folders import AttemptFolder
from headrace_kinds.base import Target
from headrace_kinds.registry import kind_named
from headrace_model.cause import Cause
from headrace_model.ids import NodeId, job_id
from headrace_model.job import Job
from headrace_model.spec import DEFAULT_GRACE_MS, FileSpec, JobSpec
from headrace_model.status import Desired, Event, Status
from headrace_model.work import Fact, FactKind, Verb, Work
from headrace_monitor.core.decide import decide
from headrace_monitor.service import Monitor
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobfile import dump, dump_text, load_jobfile, load_jobtext

from .test_monitor_decide import NOW, RUNNING

CALIBRATION: dict[str, Any] = {
    "kind": "calibration",
    "settings": {
        "model": {"kind": "command", "command": ["true", "{output}"]},
        "parameters": {
            "a": {"min": 0, "max": 1, "init": 0.5, "file": "m.json", "key": "/a"},
            "b": {"min": 0, "max": 1, "init": 0.5, "file": "m.json", "key": "CFE:satdk"},
        },
        "train": ["1979-01-01", "1980-01-01"],
        "locations": [{"name": "01434000"}],
    },
}
MODEL_FILE = b'{"a": 0, "m": {"model_type_name": "CFE"}}'
EVALUATION = {
    "kind": "evaluation",
    "settings": {"period": ["1979-01-01", "1981-01-01"], "runs": ["elsewhere"]},
}
BMI = {
    "kind": "bmi",
    "settings": {
        "model": "HBV:HBV",
        "time": ["1979-01-01", "1979-01-11"],
        "config": "{{id}} {x2}",
        "variables": {"Q_OUT": "Q"},
    },
}


def stored(job: dict[str, Any]) -> str:
    files = {"files": ["m.json"]} if job is CALIBRATION else {}
    return dump_text(load_jobfile({"headrace": 1, **job, **files}, read_file=lambda _: MODEL_FILE))


@pytest.mark.parametrize(
    ("job", "is_now", "was_then", "why"),
    [
        (CALIBRATION, '"CFE:satdk"', '"CFE:satdkk"', "did you mean satdk"),
        (CALIBRATION, '"file":"m.json"', '"file":"other.json"', "no file of the job fits"),
        (EVALUATION, "elsewhere", "hydrofabric", "not hydrofabric"),
        (BMI, "{x2}", "{{x2}}", "{{x2}} is unknown"),
    ],
)
def test_what_is_refused_of_a_new_job_is_read_of_one_that_was_taken(
    job: dict[str, Any], is_now: str, was_then: str, why: str
) -> None:
    text = stored(job)
    assert is_now in text
    old = text.replace(is_now, was_then)
    new = {key: each for key, each in json.loads(old).items() if key in (*job, "headrace")}
    files = {"files": json.loads(text)["files"]} if job is CALIBRATION else {}
    with pytest.raises(InvalidJobFile) as refused:
        load_jobfile({**new, **_own(files)})
    assert why in str(refused.value)
    spec = load_jobtext(old)
    assert dump_text(spec) == old
    kind_named(spec.kind).expand(spec, Target("3.11", "linux"))


def _own(keys: dict[str, Any]) -> dict[str, Any]:
    """Without the file that the kind makes."""
    return {key: [e for e in some if e["name"] == "m.json"] for key, some in keys.items()}


def before(spec: JobSpec, name: str, path: tuple[str, ...], value: Any = None) -> JobSpec:
    """The job with another value in the file of its kind, or without it."""
    (file,) = (each for each in spec.files if each.name == name)
    content = json.loads(file.content)
    holder = reduce(operator.getitem, path[:-1], content)
    assert not holder.pop(path[-1])
    if value is not None:
        holder[path[-1]] = value
    text = json.dumps(content, indent=2).encode()
    other = FileSpec(name, sha256(text).hexdigest(), text)
    return replace(spec, files=tuple(other if each is file else each for each in spec.files))


@pytest.mark.parametrize(
    ("job", "name", "path"),
    [
        (BMI, "bmi.json", ("parameters",)),
        (EVALUATION, "evaluation.json", ("upstream",)),
        (CALIBRATION, "calibration.json", ("model", "programs")),
        (CALIBRATION, "calibration.json", ("evaluation", "simulated_unit")),
    ],
)
def test_a_job_of_before_its_kind_could_be_told_more_is_taken_again_as_it_was(
    job: dict[str, Any], name: str, path: tuple[str, ...]
) -> None:
    spec = load_jobtext(stored(job))
    old = before(spec, name, path)
    assert load_jobfile(dump(old)) == old
    with pytest.raises(InvalidJobFile, match="with another content"):
        load_jobfile(dump(before(spec, name, path, "told")))


UNREADABLE = '{"headrace":1,"kind":"of-a-plug-in-that-is-gone"}'


class Node:
    """What an attempt needs of its node to end."""

    def __init__(self, folder: Path) -> None:
        self.facts: list[Fact] = []
        self.stopped_within_s: list[float] = []
        own: Any = SimpleNamespace(output_limit_items=1, checkpoint_every_s=60.0)
        own.checkpoint_limit_bytes = own.partial_limit_bytes = own.log_limit_bytes = 1
        tools: Any = SimpleNamespace(
            containers=None, data=None, transfers=None, detect=None, backend=self, settings=own,
            report=self.report,
        )  # fmt: skip
        self.attempt = AttemptOnNode(AttemptFolder(folder / f"{RUNNING.id}.1"), tools)

    async def report(self, fact: Fact) -> bool:
        self.facts.append(fact)
        return True

    async def stop(self, job: object, attempt: int, grace_s: float) -> None:
        self.stopped_within_s.append(grace_s)


def work(verb: Verb) -> Work:
    return Work(NodeId("node1"), job_id(1, 1), 1, verb, UNREADABLE)


async def test_a_worker_whose_job_can_not_be_read_is_stopped(tmp_path: Path) -> None:
    node = Node(tmp_path)
    await node.attempt.do(work(Verb.STOP))
    assert [each.kind for each in node.facts] == [FactKind.STOPPED]
    assert node.stopped_within_s == [DEFAULT_GRACE_MS / 1000]


@pytest.mark.parametrize(
    ("verb", "kind", "cause"),
    [
        (Verb.STAGE, FactKind.STAGED, Cause.STAGING),
        (Verb.LAUNCH, FactKind.EXITED, Cause.STAGING),
        (Verb.COLLECT, FactKind.COLLECTED, Cause.COLLECTION),
    ],
)
async def test_an_attempt_whose_job_can_not_be_read_fails(
    tmp_path: Path, verb: Verb, kind: FactKind, cause: Cause
) -> None:
    node = Node(tmp_path)
    await node.attempt.do(work(verb))
    assert [(each.kind, each.cause) for each in node.facts] == [(kind, cause)]
    assert "of-a-plug-in-that-is-gone" in node.facts[0].detail


class Jobs:
    """What the monitor reads of a job in STOPPING whose workers are gone."""

    async def facts(self, job: object, attempt: int, nodes: list[NodeId]) -> dict[Any, Fact]:
        return {
            (node, FactKind.STOPPED): Fact(node, RUNNING.id, 1, FactKind.STOPPED) for node in nodes
        }

    async def now_ms(self) -> int:
        return NOW

    async def holders(self, job: object) -> frozenset[NodeId]:
        return frozenset()


@pytest.mark.parametrize(
    ("desired", "event"), [(Desired.CANCEL, Event.END_CANCELED), (Desired.RUN, Event.END_FAILED)]
)
async def test_a_job_that_can_not_be_read_ends_and_is_not_tried_again(
    desired: Desired, event: Event
) -> None:
    job: Job = replace(
        RUNNING, status=Status.STOPPING, spec=UNREADABLE, desired=desired, cause=Cause.STAGING
    )
    monitor: Any = Monitor.__new__(Monitor)
    monitor._jobs, monitor._lost, monitor._confirmed = Jobs(), frozenset(), frozenset()
    move = decide(job, await monitor._look_at(job))
    assert move is not None
    assert move.event is event
