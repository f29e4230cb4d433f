"""What must hold of Redis after every step (docs/design.md, section 8), read by one script.

`ledger.py` has those of the shares of nodes.
"""

import json
from collections.abc import Mapping
from typing import Any

from headrace_model.errors import IllegalTransition
from headrace_model.status import Event, Status, move
from tests.support.simulation.broken import Broken, check, hash_of
from tests.support.simulation.ledger import Ledger, Rules
from tests.support.simulation.redis_host import RedisHost, Served

_EMPTY_AT_REST = ("hr:held:", "hr:work:", "hr:facts:", "hr:links:", "hr:untidy", "hr:unmarked")


class Invariants:
    """Looks after each step, and remembers what was."""

    def __init__(self, host: RedisHost, rules: Rules) -> None:
        self._host = host
        self.ledger = Ledger(rules)
        self._commits = 0
        self._histories: dict[str, list[dict[str, Any]]] = {}
        self._closed: dict[str, str] = {}  # final jobs, and how
        self._cancelled: set[str] = set()
        self._terms: dict[str, int] = {}
        self._done: dict[str, int] = {}  # tasks of arrays
        self._incarnations: dict[str, str] = {}  # of the agents that serve the nodes
        self.accepted: set[str] = set()  # what a user was told of
        self.edges: dict[str, int] = {}  # how often each was taken
        self.looks = 0
        self.fenced = 0  # how often a former leader was refused
        self.state: dict[str, Any] = {}

    def after_step(self, commands: list[list[bytes]], served: Served) -> None:
        """Look, if a script has written. Raises `Broken`."""
        before, self._commits = self._commits, served.commits
        self._fences(commands, served.replies)
        if self._commits != before:
            check(self._commits > before, f"hr:commits went from {before} to {self._commits}")
        if served.found is not None:
            self._all(served.found)

    def after_restart(self) -> None:
        """Look whether all that was answered is there. Raises `Broken`."""
        served = self._host.look()
        check(
            served.commits >= self._commits,
            f"{self._commits} commits were answered, and after the crash there are "
            f"{served.commits}",
        )
        self._commits = served.commits
        self._all(served.found or [])

    def look(self) -> None:
        """Read all and check it."""
        self._all(self._host.look().found or [])

    def _all(self, found: list[Any]) -> None:
        self.looks += 1
        before, self.state = self.state, dict(found)
        jobs = {key[7:]: hash_of(value) for key, value in found if key.startswith("hr:job:")}
        for job in self.accepted:
            check(job in jobs, f"job {job} was accepted and is gone")
        for job, fields in jobs.items():
            # What is as it was has been checked.
            if any(
                before.get(key) != self.state.get(key)
                for key in (f"hr:job:{job}", f"hr:history:{job}")
            ):
                self._job(job, fields)
        self._indexes(jobs)
        for key, value in found:
            if key.startswith("hr:array:"):
                self._array(key, hash_of(value))
            elif key.startswith("hr:lease:"):
                term = int(hash_of(value).get("term", 0))
                check(term >= self._terms.get(key, 0), f"the term of {key} fell to {term}")
                self._terms[key] = term
        self.ledger.look(self.state, jobs, int(self._host.now_s() * 1000))

    def _job(self, job: str, fields: Mapping[str, str]) -> None:
        """Its history replays to its state; nothing twice; what is final stays."""
        length, last = self.state.get(f"hr:history:{job}") or (0, [])
        known = self._histories.setdefault(job, [])
        check(length >= len(known), f"the history of {job} has become shorter")
        if length > len(known):
            new = last[len(known) - length :]
            if len(new) < length - len(known):
                new = self._host.ask([("LRANGE", f"hr:history:{job}", len(known), -1)])[0]
            for text in new:
                entry = json.loads(text)
                self._replay(job, known, entry)
                known.append(entry)
            check(job not in self._closed, f"{job} was {self._closed.get(job)} and moved: {new}")
        status, version = fields["status"], int(fields["version"])
        end = known[-1]
        check(end["to"] == status, f"{job} is in {status}, its history ends in {end['to']}")
        check(end["version"] == version, f"{job} has version {version}, its history {end}")
        if Status(status).final:
            if job in self._cancelled:
                check(
                    status == Status.CANCELED, f"{job} was to be cancelled and ended in {status}"
                )
            self._closed.setdefault(job, status)
        if fields.get("desired") == "CANCEL":
            self._cancelled.add(job)
        else:
            check(job not in self._cancelled, f"the CANCEL of {job} was overwritten")

    def _replay(self, job: str, known: list[dict[str, Any]], entry: dict[str, Any]) -> None:
        if not known:
            check(entry["from"] == "" and entry["to"] == Status.ACCEPTED, f"{job}: {entry}")
            return
        before = known[-1]
        check(entry["from"] == before["to"], f"{job}: {entry} does not follow {before}")
        born = len(known) == 1  # creation is two entries of one version and transaction
        check(entry["version"] == before["version"] + (not born), f"{job}: {entry} after {before}")
        check(
            born or all(entry["txn"] != each["txn"] for each in known),
            f"{job}: {entry} took effect twice",
        )
        if entry["event"].startswith("DESIRE_"):
            check(entry["to"] == before["to"], f"{job}: a wish moved it: {entry}")
            return
        try:
            edge = move(Status(entry["from"]), Event(entry["event"]))
        except IllegalTransition as error:
            raise Broken(f"{job}: {error}") from None
        taken = f"{entry['from']} {entry['event']}"
        self.edges[taken] = self.edges.get(taken, 0) + 1
        check(edge.to == entry["to"], f"{job}: {entry} leads elsewhere")
        check(edge.writer == entry["by"], f"{job}: {entry} is not its writer's")

    def _array(self, key: str, fields: Mapping[str, str]) -> None:
        """Each task is in one state; what is done stays done."""
        states = {name: int(fields[name]) for name in ("waiting", "running", "done", "failed")}
        check(min(states.values()) >= 0, f"{key} counts {states}")
        check(sum(states.values()) == int(fields["total"]), f"{key} counts {states}")
        done = states["done"]
        check(done >= self._done.get(key, 0), f"of {key} {done} are done, and were more")
        self._done[key] = done

    def _indexes(self, jobs: Mapping[str, Mapping[str, str]]) -> None:
        indexed: dict[str, str] = {}
        for status in Status:
            for job in self.state.get(f"hr:status:{status}", ()):
                check(job not in indexed, f"{job} is in {status} and in {indexed.get(job)}")
                indexed[job] = status
        for job, fields in jobs.items():
            where = indexed.pop(job, None)
            check(where == fields["status"], f"{job} is in {fields['status']}, listed in {where}")
        check(not indexed, f"listed, and no job: {indexed}")
        queued = set(self.state.get("hr:queue", ()))
        waiting = {j for j, f in jobs.items() if f["status"] == Status.AWAITING_ALLOCATION}
        check(queued == waiting, f"the queue has {queued}, and {waiting} wait")

    def _fences(self, commands: list[list[bytes]], replies: list[Any]) -> None:
        """What comes of a former leader or agent is refused for that, and for nothing else."""
        for command, reply in zip(commands, replies, strict=True):
            if command[0] != b"EVALSHA" or not isinstance(reply, list):
                continue
            if b'"role":' in command[3] or b'"incarnation":' in command[3]:
                self._fence(self._host.name_of(command), json.loads(command[3]), reply)

    def _fence(self, script: str, args: Mapping[str, Any], reply: list[Any]) -> None:
        lease, node = f"hr:lease:{args.get('role')}", f"hr:node:{args.get('node')}"
        if script == "acquire_lease" and reply[0] == "OK":
            self._terms[lease] = int(reply[1])
        elif script == "register_node":
            if reply[:2] == ["OK", "REGISTERED"]:
                self._incarnations[node] = args["incarnation"]
        elif args.get("term") is not None and args["term"] != self._terms.get(lease):
            self._must_be(reply, "TERM", f"{lease} of term {args['term']} asked for {script}")
        elif "incarnation" in args and args["incarnation"] != self._incarnations.get(node):
            self._must_be(reply, "INCARNATION", f"a former agent of {node} asked for {script}")

    def _must_be(self, reply: list[Any], code: str, who: str) -> None:
        self.fenced += 1
        refused = reply[:2] in (["REFUSED", code], ["REFUSED", "EPOCH"])
        check(refused, f"{who} and was told {reply}")

    def at_rest(self) -> list[str]:
        """What is left when all is over; nothing should be."""
        self.look()
        left = []
        for key, value in self.state.items():
            if key.startswith(_EMPTY_AT_REST) and value:
                left.append(f"{key} holds {value}")
            if key.startswith("hr:job:"):
                fields = hash_of(value)
                if not Status(fields["status"]).closed:
                    left.append(f"{key} is in {fields['status']}, desired {fields['desired']}")
        return left

    def histories(self) -> Mapping[str, list[dict[str, Any]]]:
        """The histories as far as they were read."""
        return self._histories
