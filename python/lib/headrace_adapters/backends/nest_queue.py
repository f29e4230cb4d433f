"""Tasks that wait in the nest for a free slot, so that one ends and the next begins at once.

An agent hands over the tasks of a range in one message. Nothing of the queue is journaled: a task
is a worker like any other from the moment it starts, and an agent that finds another nest, or
comes back itself, hands over again what has not ended.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final

from headrace_adapters.backends.nest_wire import Message, split_key
from headrace_adapters.backends.nest_workers import Workers
from headrace_model.errors import InvalidInput, Unavailable

_AT_ONCE: Final = 8
"""How many start before clients are served again."""
_AGAIN_S: Final = 1.0
_NEVER: Final = float("inf")


class _Waiting:
    """What one attempt has waiting, and how many of its tasks may run at a time."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.tasks: deque[Message] = deque()
        self.keys: set[str] = set()


class Queue:
    """The waiting tasks of all attempts."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._attempts: dict[tuple[str, int], _Waiting] = {}
        self._fill_at = _NEVER

    def add(self, request: Message) -> None:
        """Let tasks wait; those that wait, run or have ended already are passed over.

        A task is `[key, argv, env]`; its `env` comes on top of what all share. Its output goes to
        the end of the two files of its slot, `<logs>.<slot>.out` and `.err`.
        """
        slots = int(request["slots"])
        if slots < 1:
            raise InvalidInput(f"a queue needs a slot at least, not {slots}")
        attempt = (str(request["job"]), int(request["attempt"]))
        common = {name: request[name] for name in ("cwd", "memory", "exclusive", "logs")}
        shared = _texts(request["env"])
        tasks = []
        for key, argv, env in request["tasks"]:
            if split_key(key)[:2] != attempt:
                raise InvalidInput(f"{key[:80]!r} is no task of attempt {attempt[1]}")
            tasks.append({**common, "key": key, "argv": argv, "env": {**shared, **_texts(env)}})
        waiting = self._attempts.setdefault(attempt, _Waiting(slots))
        waiting.slots = slots
        for task in tasks:
            if task["key"] not in waiting.keys and not self._workers.knows(task["key"]):
                waiting.tasks.append(task)
                waiting.keys.add(task["key"])
        self._fill_at = 0.0

    def drop(self, job: str, attempt: int) -> None:
        """Forget what an attempt has waiting."""
        self._attempts.pop((job, attempt), None)

    def slot_free(self) -> None:
        """A worker has ended."""
        if self._attempts:
            self._fill_at = 0.0

    def fill(self, now: float) -> None:
        """Start what has a free slot."""
        if now < self._fill_at:
            return
        self._fill_at = _NEVER
        room = _AT_ONCE
        for attempt, waiting in tuple(self._attempts.items()):
            used = self._workers.slots_of(*attempt)
            free = [slot for slot in range(waiting.slots) if slot not in used]
            while waiting.tasks and free and room > 0:
                task = waiting.tasks.popleft()
                try:
                    record = self._workers.spawn({**task, "slot": free[0]})
                except Unavailable:  # the journal can't be written: not lost, only later
                    waiting.tasks.appendleft(task)
                    self._fill_at = now + _AGAIN_S
                    return
                waiting.keys.discard(task["key"])
                room -= 1
                if record["exit"] is None:
                    del free[0]
            if not waiting.tasks:
                del self._attempts[attempt]
            elif free:
                self._fill_at = 0.0

    def next_due(self) -> float:
        """When `fill` is needed next (infinity: only after an event)."""
        return self._fill_at


def _texts(env: Mapping[str, object]) -> dict[str, str]:
    return {str(name): str(value) for name, value in env.items()}
