"""Inputs are laid beside a worker while its image is pulled."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_agent.attempt import AttemptOnNode
from headrace_agent.folders import AttemptFolder
from headrace_agent.launches import Containers
from headrace_model.cause import Cause
from headrace_model.errors import NotFound, Unavailable
from headrace_model.ids import NodeId, job_id
from headrace_model.work import Fact, Verb, Work
from headrace_wire.jobfile import dump_text, load_jobfile

WITHIN_S = 30
SPEC = dump_text(
    load_jobfile(
        {"headrace": 1, "kind": "command", "name": "x", "command": ["true"], "image": "i"}
    )
)
WORK = Work(NodeId("node1"), job_id(1, 1), 1, Verb.STAGE, SPEC)


class Node:
    """What an attempt needs of its node: an image and inputs, which wait for each other."""

    def __init__(self, folder: Path) -> None:
        self.pulling, self.staging = asyncio.Event(), asyncio.Event()
        self.image_fails: Exception | None = None
        self.inputs_fail: Exception | None = None
        self.ended: list[str] = []
        self.facts: list[Fact] = []
        tools: Any = SimpleNamespace(
            containers=Containers(self, "worker", {}),
            data=SimpleNamespace(staging=self.needed),
            cache=self,
            report=self.report,
            transfers=None,
            detect=None,
            backend=None,
            settings=SimpleNamespace(
                output_limit_items=1, checkpoint_every_s=60.0, checkpoint_limit_bytes=1
            ),
        )
        self.attempt = AttemptOnNode(AttemptFolder(folder / f"{WORK.job}.1"), tools)

    async def needed(self, work: Work) -> dict[str, list[object]]:
        return {"rain": []}

    async def ensure_image(self, name: str) -> str:
        self.pulling.set()
        try:
            await self.staging.wait()
            if self.image_fails:
                raise self.image_fails
            if self.inputs_fail:
                await asyncio.Event().wait()
        finally:
            self.ended.append("image")
        return name

    async def stage(self, *_: object) -> None:
        self.staging.set()
        try:
            await self.pulling.wait()
            if self.inputs_fail:
                raise self.inputs_fail
            if self.image_fails:
                await asyncio.Event().wait()
        finally:
            self.ended.append("inputs")

    async def report(self, fact: Fact) -> bool:
        self.facts.append(fact)
        return True


async def test_each_goes_on_while_the_other_does(tmp_path: Path) -> None:
    node = Node(tmp_path)
    async with asyncio.timeout(WITHIN_S):
        await node.attempt.do(WORK)
    assert [fact.cause for fact in node.facts] == [None]


async def test_without_its_image_no_input_is_waited_for(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.image_fails = NotFound("there is no image i")
    async with asyncio.timeout(WITHIN_S):
        await node.attempt.do(WORK)
    assert [fact.detail for fact in node.facts] == ["there is no image i"]
    assert sorted(node.ended) == ["image", "inputs"]


async def test_an_input_that_fails_ends_the_pull(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.inputs_fail = NotFound("it is no longer in the store")
    async with asyncio.timeout(WITHIN_S):
        await node.attempt.do(WORK)
    assert [fact.cause for fact in node.facts] == [Cause.STAGING]
    node.facts.clear()
    again = Node(tmp_path / "again")
    again.inputs_fail = Unavailable("the store is away")
    with pytest.raises(Unavailable):
        await again.attempt.do(WORK)
    assert (again.facts, sorted(again.ended)) == ([], ["image", "inputs"])


async def test_who_gives_staging_up_leaves_nothing_behind(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.image_fails = NotFound("there is no image i")
    doing = asyncio.create_task(node.attempt.do(WORK))
    await node.staging.wait()
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert (node.facts, sorted(node.ended)) == ([], ["image", "inputs"])
