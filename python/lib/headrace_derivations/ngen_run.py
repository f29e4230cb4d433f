"""`ngen-run`: the config of one run of ngen, checked against its hydrofabric and its forcing.

It is where a run is refused that can't go well: as a derivation it runs before the job holds
anything. What it makes is what ngen reads: a `realization.json` whose paths are those of the
working folder that the kind `ngen` lays out, with the configs beside it.
"""

from collections.abc import Iterator
from typing import Final

from headrace_derivations.base import Derivation, Work
from headrace_kinds.derivation import Recipe, Step
from headrace_kinds.ngen_run import CONFIG, FABRIC, FORCING, NAME, RUN_CONFIG, SETTINGS, NgenRun
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.requirement import Requirement


def _steps(wanted: Requirement) -> Iterator[Step]:
    run = NgenRun.of(wanted)
    time = wanted.domain.time
    if run is None or time is None or len(time.intervals) != 1:
        return
    catchments = wanted.domain.get(Index.CATCHMENT_ID)
    yield Step(
        NAME,
        tuple(run.asked_of(part) for part in (CONFIG, FABRIC, FORCING)),
        {
            "period": Domain(((Index.TIME, time),)).to_plain(),
            "catchments": sorted(catchments.values) if isinstance(catchments, Discrete) else [],
            "fabric": run.parts[FABRIC].format,
            "forcing": run.parts[FORCING].format,
            "netcdf": run.netcdf,
            "routing": run.routing,
            "doubtful": run.doubtful,
            "library_root": run.library_root,
            "output": run.output,
        },
    )


def _run(work: Work) -> None:
    from headrace_derivations.ngen_run_work import derive

    derive(work)


DERIVATION: Final = Derivation(
    Recipe(
        name=NAME,
        summary=(
            "the config of one run of ngen, checked against its hydrofabric and forcing: what "
            "would fail, or make nonsense, is refused with the fix"
        ),
        makes=((Category.CONFIG, RUN_CONFIG),),
        steps=_steps,
        settings=SETTINGS,
    ),
    _run,
)
