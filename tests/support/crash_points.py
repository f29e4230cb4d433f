"""Runs one service so that a test can stop it at a call to Redis.

`python -m tests.support.crash_points SERVICE` runs `headrace_SERVICE` with its own `build`. The
variable HEADRACE_TEST_POINTS names a folder; before and after each script of Redis (every write
is one) the file of that point is looked for in it, see `Points`.
"""

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

from headrace_adapters.redis.connection import Redis
from headrace_model.errors import HeadraceError
from headrace_service.lifecycle import main_of
from tests.support.wait import wait_until

VARIABLE = "HEADRACE_TEST_POINTS"
KILLED = 137  # what a shell tells of a process that SIGKILL ended

_CRASH, _STOP, _HOLD = "crash", "stop", "hold"
_LONGEST_S = 600.0


class Points:
    """The points at which a service is to be stopped: one file each, below `folder`.

    A point is "<script>.<before|after>", or "<script>.<detail>.<before|after>" where the detail
    tells a transition's event, a fact's kind, or whether a sweep begins or has a page of keys. The
    first process that reaches a point marks it as reached; it dies or stops there, or the call
    waits until `let_go`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def crash_at(self, point: str) -> None:
        """Have the next process that comes by die, once."""
        self._set(point, _CRASH)

    def stop_at(self, point: str) -> None:
        """Have the next process that comes by stop as of SIGSTOP, once.

        Continued, it does what it was about to do before it learns what it has missed.
        """
        self._set(point, _STOP)

    def hold_at(self, point: str) -> None:
        """Have every call that comes by wait there."""
        self._set(point, _HOLD)

    def let_go(self, point: str) -> None:
        """Let the waiting calls go on."""
        self._wanted(point).unlink(missing_ok=True)

    def reached(self, point: str) -> bool:
        """Tell whether a process has come by since the point was set."""
        return self._reached(point).exists()

    async def pass_by(self, point: str) -> None:
        """What the service does at each point."""
        try:
            wanted = self._wanted(point).read_text()
        except FileNotFoundError:
            return
        if wanted == _HOLD:
            self._reached(point).touch()
            await wait_until(
                lambda: not self._wanted(point).exists(),
                f"{point} to be let go",
                within_s=_LONGEST_S,
            )
            return
        try:
            self._wanted(point).rename(self._reached(point))
        except FileNotFoundError:
            return  # another replica was first
        if wanted == _CRASH:
            os._exit(KILLED)
        os.kill(os.getpid(), signal.SIGSTOP)

    def note_refusal(self, call: str, code: str) -> None:
        """Write down what Redis refused."""
        with (self._folder / "refused").open("a") as file:
            file.write(f"{call} {code}\n")

    def refusals(self) -> list[str]:
        """What Redis refused to these services so far, as "<script>.<detail> <code>"."""
        try:
            return (self._folder / "refused").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _set(self, point: str, what: str) -> None:
        self._reached(point).unlink(missing_ok=True)
        part = self._folder / f"{point}.new"
        part.write_text(what)
        part.rename(self._wanted(point))

    def _wanted(self, point: str) -> Path:
        return self._folder / f"{point}.wanted"

    def _reached(self, point: str) -> Path:
        return self._folder / f"{point}.reached"


def point_of(script: str, args: dict[str, Any]) -> str:
    """Name a call by its script and, where one script does many things, by what it is to do."""
    match script:
        case "transition":
            return f"{script}.{args['entry']['event']}"
        case "report_fact":
            return f"{script}.{args['facts'][0]['kind']}"
        case "look_at_datasets":
            return f"{script}.{'page' if args['datasets'] else 'begin'}"
        case _:
            return script


def watch_scripts(points: Points) -> None:
    """Have every script of this process pass by its two points."""
    plain = Redis.script

    async def script(self: Redis, name: str, args: dict[str, Any]) -> list[Any]:
        point = point_of(name, args)
        await points.pass_by(f"{point}.before")
        try:
            reply = await plain(self, name, args)
        except HeadraceError as error:
            points.note_refusal(point, error.code)
            raise
        await points.pass_by(f"{point}.after")
        return reply

    Redis.script = script  # type: ignore[method-assign] # to wrap it is what this program is for


def main() -> None:
    """Run the service that the command line names."""
    watch_scripts(Points(Path(os.environ[VARIABLE])))
    service = importlib.import_module(f"headrace_{sys.argv[1]}.main")
    main_of(service.Settings, service.build)


if __name__ == "__main__":
    main()
