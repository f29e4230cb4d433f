"""`headrace exec evaluation`: score simulations against observations."""

from pathlib import Path
from typing import Any

import click

from headrace_client.cli.base import output_option
from headrace_client.cli.execute import follow_option, submit
from headrace_client.cli.ranges import period, texts
from headrace_model.errors import InvalidInput
from headrace_wire.jobfile import load_jobfile


def _runs(
    _ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> dict[str, str]:
    """`DATA_ID` or `NAME=DATA_ID`, by the name of the run."""
    pairs = [each.rpartition("=") for each in given]
    if len(pairs) > 1 and not all(name for name, _, _ in pairs):
        raise click.BadParameter("several are told apart by names: write NAME=DATA_ID")
    return {name or "simulation": data_id for name, _, data_id in pairs}


@click.command(name="evaluation")
@click.argument("period", metavar="PERIOD", callback=period)
@click.option("--hydrofabric", metavar="NAME", help="The HYDROFABRIC_DATA_ID of all data.")
@click.option("--observations", metavar="DATA_ID", help="Else those that cover the period.")
@click.option(
    "--simulation",
    "runs",
    multiple=True,
    metavar="[NAME=]DATA_ID",
    callback=_runs,
    help="Else what covers the period. May be repeated: runs are put side by side.",
)
@click.option(
    "--upstream",
    is_flag=True,
    help="Sum the runoff of all catchments upstream of each gauge of the hydrofabric.",
)
@click.option("--warm-up-days", metavar="N", type=float, help="How long nothing counts.")
@click.option(
    "--metrics", multiple=True, metavar="NAME,…", callback=texts, help="nse,kge,pbias and others."
)
@click.option("--unit", metavar="UNIT", help="In which both are compared. [default: m3 s-1]")
@click.option("--observed-unit", metavar="UNIT", help="Whatever the files tell.")
@click.option("--simulated-unit", metavar="UNIT", help="Whatever the files tell.")
@click.option("--cpus", default="1", show_default=True, metavar="N", help="CPUs.")
@click.option("--memory", default="1GiB", show_default=True, metavar="SIZE", help="Memory.")
@click.option("--name", default="evaluation", show_default=True, help="A name for people.")
@follow_option
@output_option
def evaluation(
    period: list[str],
    hydrofabric: str | None,
    observations: str | None,
    runs: dict[str, str],
    upstream: bool,
    warm_up_days: float | None,
    metrics: list[str],
    unit: str | None,
    observed_unit: str | None,
    simulated_unit: str | None,
    cpus: str,
    memory: str,
    name: str,
    following: bool,
    form: str,
) -> int:
    """Score simulations against observations over a PERIOD, as 1979-01-01/1981-01-01.

    The data is found by the period and the hydrofabric, or named by DATA_ID. Thresholds,
    locations and what else an evaluation can be told stand in a job file of `kind: evaluation`:
    `headrace init - --kind evaluation` shows one.

    \b
    Example: headrace exec evaluation 1979-01-01/1981-01-01 --hydrofabric drb --warm-up-days 180
    """
    settings: dict[str, Any] = {
        "period": period,
        "hydrofabric": hydrofabric,
        "runs": list(runs) or None,
        "upstream": upstream or None,
        "warm_up_days": warm_up_days,
        "metrics": metrics or None,
        "unit": unit,
        "observed_unit": observed_unit,
        "simulated_unit": simulated_unit,
    }
    named = {key: ("OUTPUT", data_id) for key, data_id in runs.items()}
    if observations is not None:
        if "observations" in named:
            raise InvalidInput("a simulation can't be called observations: choose another name")
        named["observations"] = ("OBSERVATION", observations)
    job = {
        "headrace": 1,
        "kind": "evaluation",
        "name": name,
        "settings": {key: each for key, each in settings.items() if each is not None},
        "resources": {"cpus": cpus, "memory": memory},
        "inputs": {
            key: {"category": category, "domain": {"DATA_ID": data_id}}
            for key, (category, data_id) in named.items()
        },
    }
    return submit(load_jobfile(job), Path.cwd(), following, form)
