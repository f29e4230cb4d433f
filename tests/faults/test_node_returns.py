"""A node that was lost while its agent was dead: what was given up there ends first."""

from pathlib import Path

import pytest

from headrace_local import workers
from headrace_model.errors import Conflict
from headrace_model.node import NodeState
from headrace_model.status import Status
from tests.support.stack import Stack
from tests.support.status_watch import StatusWatch
from tests.support.wait import wait_until

_WITHIN_S = 60.0
_JOB = {
    "headrace": 1,
    "kind": "command",
    "name": "alone",
    "resources": {"cpus": "100m", "memory": "32MiB"},
    "limits": {"grace": "1s"},
    "retry": {"limit": 1, "on": ["NODE_LOST"]},
}


async def test_a_node_offers_nothing_while_a_worker_lives_that_was_given_up(
    state_dir: Path,
) -> None:
    gate = state_dir / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    async with (
        Stack(state_dir / "home", node_lost_s=3.0, points=True) as stack,
        stack.client() as client,
    ):
        agent = stack.points("agent")
        async with StatusWatch(stack) as watch:
            job = (await client.submit({**_JOB, "command": ["sh", "-c", script]})).id
            await watch.until(job, Status.RUNNING)
            stack.kill9("agent")
            await watch.until(job, Status.AWAITING_ALLOCATION)  # the node is lost: a retry
            assert workers.living(stack.home) == [f"{job}.1.0"]
            agent.hold_at("register_node.after")
            await stack.restart("agent")
            await wait_until(
                lambda: agent.reached("register_node.after"), "the node", within_s=_WITHIN_S
            )
            # From here on the second attempt may be placed.
            assert workers.living(stack.home) == []
            agent.let_go("register_node.after")
            gate.touch()
            view = await client.ended(job)
        assert (view.status, view.attempt) == (Status.COMPLETED, 2)


async def test_an_exclusive_job_runs_again_only_once_its_old_worker_is_known_to_be_gone(
    state_dir: Path,
) -> None:
    gate = state_dir / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    exclusive = {**_JOB, "limits": {"grace": "1s", "exclusive": True}}
    async with (
        Stack(state_dir / "home", node_lost_s=3.0, points=True) as stack,
        stack.client() as client,
    ):
        agent = stack.points("agent")
        async with StatusWatch(stack) as watch:
            first, second = [
                (await client.submit({**exclusive, "command": ["sh", "-c", script]})).id
                for _ in range(2)
            ]
            await watch.until(first, Status.RUNNING)
            await watch.until(second, Status.RUNNING)
            stack.kill9("agent")  # its workers live on, and nobody is there to end them
            await watch.until(first, Status.STOPPING)
            await watch.until(second, Status.STOPPING)

            async def says_so() -> bool:
                return "confirm-lost" in str((await client.why(first)).hint)

            await wait_until(says_so, "the reason to name the way out", within_s=_WITHIN_S)
            assert len(workers.living(stack.home)) == 2
            await client.desire(second, "cancel")
            await watch.until(second, Status.CANCELED)  # that one never runs again
            assert (await client.job(first)).status is Status.STOPPING

            agent.hold_at("register_node.after")
            await stack.restart("agent")
            await wait_until(
                lambda: agent.reached("register_node.after"), "the node", within_s=_WITHIN_S
            )
            assert workers.living(stack.home) == []
            assert (await client.job(first)).attempt == 1
            agent.let_go("register_node.after")
            gate.touch()
            view = await client.ended(first)
        assert (view.status, view.attempt) == (Status.COMPLETED, 2)


async def test_an_admin_confirms_that_a_lost_node_is_gone(state_dir: Path) -> None:
    gate = state_dir / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    exclusive = {**_JOB, "limits": {"grace": "1s", "exclusive": True}}
    async with Stack(state_dir / "home", node_lost_s=3.0) as stack, stack.client() as client:
        async with StatusWatch(stack) as watch:
            job = (await client.submit({**exclusive, "command": ["sh", "-c", script]})).id
            await watch.until(job, Status.RUNNING)
            with pytest.raises(Conflict, match="is not lost"):
                await client.change_node("local", "confirm-lost")
            stack.kill9("agent")
            await watch.until(job, Status.STOPPING)
            (node,) = await client.change_node("local", "confirm-lost")
            assert (node.state, node.confirmed) == (NodeState.LOST, True)
            await watch.until(job, Status.AWAITING_ALLOCATION)
            await stack.restart("agent")
            gate.touch()
            assert (await client.ended(job)).attempt == 2
        assert not (await client.nodes())[0].confirmed
