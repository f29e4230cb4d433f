"""Calibrates: `python3 -m headrace_calibration PLAN OUTPUT CHECKPOINT SEEN [NAME=FOLDER…]`.

The worker of a job of the kind `calibration`, which writes PLAN. SEEN is the folder of the
observations; those behind are the inputs of the model, by name. Exit code 1 with a sentence on
stderr where it can't be done.
"""

import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from headrace_calibration.core.course import Course
from headrace_calibration.core.periods import Span
from headrace_calibration.core.plan import Plan, read_plan
from headrace_calibration.finish import finish
from headrace_calibration.folders import RunFolder
from headrace_calibration.model import Running, run_model
from headrace_calibration.recording import Record
from headrace_calibration.scoring import Scorer
from headrace_calibration.search import Searcher
from headrace_derivations.program import run_program, say
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_model.times import Instant, format_instant

_TERMINATED: Final = 143


class Calibration:
    """Runs the model in folders below `home`/runs, as the plan says."""

    def __init__(self, plan: Plan, home: Path, inputs: Mapping[str, Path], scorer: Scorer) -> None:
        self.searching, self.finishing = Running(), Running()
        self._plan, self._home, self._inputs, self._scorer = plan, home, inputs, scorer
        self._runs = home / "runs"
        shutil.rmtree(self._runs, ignore_errors=True)

    def evaluate(self, number: int, values: Mapping[str, float]) -> tuple[float | None, str]:
        """Run an iteration, in any thread: its score in the train period, or why there is none.

        Raises `InterruptedError` when the calibration is being stopped: then it is no failure.
        """
        train = self._plan.periods.train
        folder, failure = self._run(str(number), values, train.end, self.searching)
        try:
            found = (None, failure) if failure else self._scored(folder)
        finally:
            folder.remove()
        if self.searching.stopped.is_set():
            raise InterruptedError("the calibration is being stopped")
        return found

    def _scored(self, folder: RunFolder) -> tuple[float | None, str]:
        counted = self._plan.periods.counted(self._plan.periods.train)
        try:
            simulated = self._scorer.read(folder.output / self._plan.model.output)
            return self._scorer.score(simulated, counted), ""
        except HeadraceError as error:
            return None, error.message

    def again(self, name: str, values: Mapping[str, float]) -> tuple[RunFolder, str]:
        """Run parameters over both periods, and leave the folder."""
        return self._run(name, values, self._plan.periods.end, self.finishing)

    def _run(
        self, name: str, values: Mapping[str, float], end: int, running: Running
    ) -> tuple[RunFolder, str]:
        folder = RunFolder(self._runs / name, self._plan, self._home, self._inputs)
        folder.make(values)
        span = Span(self._plan.periods.begin, end)
        env = {
            **os.environ,
            "HEADRACE_BEGIN": format_instant(Instant(span.begin)),
            "HEADRACE_END": format_instant(Instant(span.end)),
        }
        return folder, run_model(self._plan.model, folder, env, running)


def calibrate(words: Sequence[str], home: Path) -> None:
    """Do what the command line says; raises `HeadraceError`."""
    file, out, kept, seen, *named = words
    plan = read_plan((home / file).read_bytes())
    pairs = [each.partition("=") for each in named]
    inputs = {name: Path(folder).resolve() for name, _, folder in pairs}
    scorer = Scorer(plan, Path(seen))
    record = Record(Path(kept), plan.digest)
    calibration = Calibration(plan, home, inputs, scorer)

    def stop(number: int, frame: object) -> None:
        """Nothing is lost: what has ended is in the record."""
        calibration.searching.stop()
        calibration.finishing.stop()
        os._exit(_TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    course = Course(scorer.objective, plan.rules)
    abandon = calibration.searching.stop
    Searcher(plan, record, calibration.evaluate, abandon, say).run(course)
    if course.best is None:
        last = course.iterations[-1]
        raise InvalidInput(f"{course.over or 'no run of the model went well'}: {last.failure}")
    say(course.over or "all iterations are done")
    say(finish(plan, course, scorer, calibration.again, Path(out)))


def main() -> None:
    """Read the arguments and run."""
    run_program(lambda: calibrate(sys.argv[1:], Path.cwd()), "a calibration", "hydrology")


if __name__ == "__main__":
    main()
