"""`stage-series`: a derivation of a third party, which makes TIMESERIES_CSV from STAGE_LOG."""

from collections.abc import Iterator

from headrace_derivations.base import Derivation, DerivationFailed, Work, files_below
from headrace_kinds.derivation import Recipe, Step
from headrace_model.dataset import Category
from headrace_model.requirement import Requirement

ROLE = "log"


def steps(wanted: Requirement) -> Iterator[Step]:
    """What is wanted can be made of a log that covers the same."""
    log = Requirement(ROLE, Category.OBSERVATION, "STAGE_LOG", wanted.domain)
    yield Step("stage-series", (log,), parameters={})


def run(work: Work) -> None:
    """Write each log as a series; one file a log, of the same name."""
    logs = files_below(work.inputs[ROLE])
    if not logs:
        raise DerivationFailed("there is no log")
    for log in logs:
        _, *lines = log.read_text().splitlines()
        rows = [line.replace(" ", ",", 1) for line in lines]
        (work.output / f"{log.stem}.csv").write_text("\n".join(["time,stage", *rows]) + "\n")
        work.say(f"{log.name}: {len(rows):,} levels")


DERIVATION = Derivation(
    Recipe(
        name="stage-series",
        summary="a series from a logger's water levels",
        makes=((Category.OBSERVATION, "TIMESERIES_CSV"),),
        steps=steps,
    ),
    run,
)
