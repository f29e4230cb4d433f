"""Which of the nest's descendants belong to which worker.

The nest is a subreaper (prctl(2)): a process whose parent ends becomes the nest's own child,
however often it forked or changed its session. So nothing a worker starts ever leaves the
nest's tree, and when no child is left but the workers' main processes, nothing has remained of
any other. What is left to find is the owner of such an orphan.
"""

from collections.abc import Mapping

from headrace_adapters.backends import proc_tree
from headrace_adapters.backends.proc_tree import ProcessStat, Table


class Orphans:
    """Finds the owners of the nest's orphaned children and remembers them until reaped.

    Evidence, strongest first: the process was seen below the worker before; its session is the
    worker's; it carries the worker's marker. One that shows none of these (it cleared its
    environment, began a session and lost its parents between two samples) belongs to nobody
    for certain.
    """

    def __init__(self) -> None:
        self._owners: dict[int, str] = {}
        self._seen: dict[tuple[int, int], str] = {}

    def remember(self, seen: Mapping[tuple[int, int], str]) -> None:
        """Take over the (pid, start time) → key pairs of the latest look at the whole tree."""
        self._seen = dict(seen)

    def reaped(self, pid: int) -> None:
        """Drop a pid that can now come back as somebody else's."""
        self._owners.pop(pid, None)

    def owner(self, stat: ProcessStat, sessions: Mapping[int, str]) -> str | None:
        """The key of an orphan's worker; `sessions` maps workers' session ids to keys."""
        known = self._owners.get(stat.pid)
        if known is None:
            known = (
                self._seen.get((stat.pid, stat.start_time))
                or sessions.get(stat.session)
                or proc_tree.read_marker(stat.pid)
            )
            if known is not None:
                self._owners[stat.pid] = known
        return known


def members(
    table: Table, mains: Mapping[int, str], orphans: Mapping[int, str]
) -> dict[str, list[ProcessStat]]:
    """The living processes of each worker by key: main process, orphans, all descendants."""
    roots: dict[str, list[int]] = {}
    for pid, key in (*mains.items(), *orphans.items()):
        roots.setdefault(key, []).append(pid)
    return {
        key: [table[pid] for pid in proc_tree.with_descendants(table, pids) if not table[pid].dead]
        for key, pids in roots.items()
    }
