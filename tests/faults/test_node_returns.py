"""A node that was lost while its agent was dead: what was given up there ends first."""

from pathlib import Path

from headrace_local import workers
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
    "limits": {"grace": "1s", "exclusive": True},
    "retry": {"limit": 1, "on": ["NODE_LOST"]},
}


async def test_a_node_offers_nothing_while_a_worker_lives_that_was_given_up(
    state_dir: Path,
) -> None:
    gate = state_dir / "gate"
    script = f"while [ ! -e {gate} ]; do sleep 0.05; done"
    async with Stack(state_dir / "home", points=True) as stack, stack.client() as client:
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
