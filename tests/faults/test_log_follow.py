"""All ranks of a job are followed, each line once and none lost, while request service, Redis and
agents are killed beneath; and searched afterwards."""

import asyncio
from itertools import cycle
from pathlib import Path

from headrace_wire.logsearch import LogFound, SearchEnd
from tests.support.stack import Stack
from tests.support.wait import wait_until

_WITHIN_S = 240.0
_LINES = 1_200
_KILLS = 8
_SAYS = (
    "import time\n"
    f"for n in range({_LINES}):\n"
    "    print('line', n, 'é' * 30, flush=True)\n"
    "    time.sleep(0.02)\n"
)
_RIGHT = "".join(f"line {n} {'é' * 30}\n" for n in range(_LINES))
# Each rank on a node of its own.
_JOB = {
    "headrace": 1,
    "kind": "command",
    "command": ["python3", "-c", _SAYS],
    "resources": {"cpus": 2, "memory": "128MiB", "paradigm": "ROUND_ROBIN"},
}


async def test_all_ranks_are_followed_with_each_line_once_whatever_is_killed(
    state_dir: Path,
) -> None:
    victims = cycle([("request",), ("redis",), ("agent",), ("redis", "request"), ("agent-2",)])
    stack = Stack(state_dir / "home", keep_alive=True, second_node=True)
    async with stack, stack.client() as client:

        async def both_there() -> bool:
            return len(await client.nodes()) == 2  # an agent answers before its node has joined

        await wait_until(both_there, "both nodes")
        job = (await client.submit(_JOB)).id
        read: dict[tuple[int, int], str] = {}  # by attempt and rank
        kills = 0
        async with asyncio.timeout(_WITHIN_S):
            async for piece in client.follow(job, rank=None):
                if piece.stream == "out":
                    key = (piece.attempt, piece.rank)
                    read[key] = read.get(key, "") + piece.text
                    assert _RIGHT.startswith(read[key]), "a line is told twice, or not at all"
                lines = min((each.count("\n") for each in read.values()), default=0)
                if kills < _KILLS and lines > _LINES * (kills + 1) // (_KILLS + 2):
                    kills += 1
                    await asyncio.to_thread(stack.kill9, *next(victims))
        assert sorted(read) == [(1, 0), (1, 1)]
        assert read == {(1, 0): _RIGHT, (1, 1): _RIGHT}
        assert kills == _KILLS
        told = [each async for each in client.search_log(job, " 7 ")]
    assert told == [LogFound(1, rank, "out", 8, f"line 7 {'é' * 30}") for rank in (0, 1)] + [
        SearchEnd(2)
    ]
