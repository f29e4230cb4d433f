"""`python3 -m headrace_evaluation SPEC.json OBSERVATIONS OUTPUT SIMULATION...`

A SIMULATION is a folder, or NAME=FOLDER; `hydrofabric=FOLDER` is the fabric. Exit code
1 with a sentence on stderr where the data can't be scored.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from headrace_derivations.program import run_program, say
from headrace_evaluation.crosswalk import Crosswalk
from headrace_evaluation.datasets import open_dataset
from headrace_evaluation.report import write_report
from headrace_evaluation.worker import Evaluation
from headrace_evaluation.writing import SeriesFile, write_csv, write_json, write_netcdf
from headrace_kinds.evaluation import HYDROFABRIC, EvaluationSettings
from headrace_model.errors import InvalidInput
from headrace_wire.kindsettings import schema_of

_MOST_SAID: Final = 20  # files and locations that failed; scores.json tells all


def read_spec(path: Path) -> EvaluationSettings:
    """Read a spec strictly; raises `InvalidInput` that names the key."""
    from marshmallow import ValidationError

    try:
        found: EvaluationSettings = schema_of(EvaluationSettings).load(
            json.loads(path.read_text(encoding="utf-8"))
        )
    except ValidationError as error:
        raise InvalidInput(f"{path.name}: {error.messages}") from None
    except (ValueError, OSError) as error:
        raise InvalidInput(f"{path.name} can't be read as JSON: {error}") from None
    return found


def evaluate(
    said: EvaluationSettings, observations: Path, output: Path, runs: Sequence[str]
) -> None:
    """Score, and write the files of the result; raises `HeadraceError`."""
    observed = open_dataset("observations", observations, said.observed_variable, said.unit)
    simulated = {}
    crosswalk = None
    for each in runs:
        name, _, folder = each.rpartition("=")
        name = name or Path(folder).name
        if name == HYDROFABRIC:
            crosswalk = Crosswalk(Path(folder))
            continue
        simulated[name] = open_dataset(name, Path(folder), said.simulated_variable, said.unit)
    output.mkdir(parents=True, exist_ok=True)
    with SeriesFile(output / "series.csv") as series:
        evaluation = Evaluation(said, observed, simulated, say, crosswalk, series.keep)
        say(f"{len(evaluation.locations):,} locations")
        result = evaluation.run()
    write_json(output / "scores.json", result)
    write_csv(output / "scores.csv", result)
    write_netcdf(output / "scores.nc", result)
    write_report(output / "report.html", result, evaluation, said.plots)
    for why in result.unreadable[:_MOST_SAID]:
        say(f"can't be read: {why}")
    for id_, why in list(result.unscored.items())[:_MOST_SAID]:
        say(f"not scored: {id_}: {why}")
    say(f"{len(result.scored):,} of {len(result.locations):,} locations scored")


def main() -> None:
    """Read the arguments and run."""
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    spec, observations, output, *runs = sys.argv[1:]

    def work() -> None:
        evaluate(read_spec(Path(spec)), Path(observations), Path(output), runs)

    run_program(work, "an evaluation", "hydrology")


if __name__ == "__main__":
    main()
