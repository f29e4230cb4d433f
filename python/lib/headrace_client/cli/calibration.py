"""`headrace exec calibration` and `headrace exec ngen_cal`: search the parameters of a model."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import click
import yaml

from headrace_client.cli.base import file_argument, output_option
from headrace_client.cli.execute import follow_option, load_file, set_option, submit
from headrace_client.cli.show import note
from headrace_kinds.ngen_cal import ignored_keys
from headrace_model.errors import InvalidInput
from headrace_wire.jobfile import load_jobfile
from headrace_wire.yamlfile import parse_yaml

_PERIOD = "BEGIN/END"
_MOST_BYTES = 1 << 20
_MOST_VALUES = 10_000


def _period(_ctx: click.Context, _parameter: click.Parameter, given: str | None) -> Any:
    if given is None:
        return None
    ends = given.split("/")
    if len(ends) != 2 or not all(ends):
        raise click.BadParameter(f"{given!r} is no period: write 1979-01-01/1980-01-01")
    return ends


def _locations(
    _ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> list[dict[str, str]]:
    """`GAUGE` or `GAUGE=ID`."""
    pairs = [each.partition("=") for each in given]
    return [{"name": name, **({"simulated": to} if to else {})} for name, _, to in pairs]


def _config(path: Path) -> Any:
    """Read ngen-cal's YAML, which has anchors, as plain values; raises `InvalidInput`."""
    if path.stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"{path} is larger than {_MOST_BYTES:,} bytes: no config of ngen-cal")
    try:
        read = yaml.safe_load(path.read_bytes())
        return _plain(read, iter(range(_MOST_VALUES)))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"{path} is not valid YAML: {error}") from None


def _plain(value: Any, left: Iterator[int]) -> Any:
    """The same without anything but JSON has; anchors may make much of a little."""
    if next(left, None) is None:
        raise InvalidInput(f"it holds more than {_MOST_VALUES:,} values: no config of ngen-cal")
    match value:
        case dict():
            return {str(key): _plain(each, left) for key, each in value.items()}
        case list():
            return [_plain(each, left) for each in value]
        case date():  # a datetime too
            return value.isoformat()
    return value


@click.command(name="calibration")
@file_argument
@click.option("--algorithm", metavar="NAME", help="dds, pso, lhs or random.")
@click.option("--iterations", type=click.IntRange(1), help="How often the model runs.")
@click.option("--parallel", type=click.IntRange(1), help="How many models run at once.")
@click.option("--seed", type=click.IntRange(0), help="The same seed, the same end.")
@click.option("--objective", metavar="METRIC", help="The metric that is made best.")
@set_option
@follow_option
@output_option
def calibration(
    file: str,
    algorithm: str | None,
    iterations: int | None,
    parallel: int | None,
    seed: int | None,
    objective: str | None,
    changes: tuple[str, ...],
    following: bool,
    form: str,
) -> int:
    """Calibrate a model: run the job file of `kind: calibration` (`-`: standard input).

    What is given here counts instead of what the file says. `headrace init - --kind calibration`
    shows such a file.

    \b
    Example: headrace exec calibration calibrate.yaml --iterations 500 --seed 7 --follow
    """
    given = {
        "algorithm": algorithm,
        "iterations": iterations,
        "parallel": parallel,
        "seed": seed,
        "objective": objective,
    }
    settings = [f"settings.{name}={value}" for name, value in given.items() if value is not None]
    spec, folder = load_file(file, [*changes, *settings])
    if spec.kind not in ("calibration", "ngen-cal"):
        raise click.UsageError(
            f"{file} is a job of the kind {spec.kind}: write it below `settings.model` of one of "
            f"the kind calibration, or run it by `headrace exec from_file {file}`"
        )
    return submit(spec, folder, following, form)


@click.command(name="ngen_cal")
@click.argument("config", metavar="CONFIG", type=click.Path(exists=True, dir_okay=False))
@click.argument("model", metavar="MODEL", type=click.Path(exists=True, dir_okay=False))
@click.option(
    "--location",
    "locations",
    multiple=True,
    required=True,
    metavar="GAUGE=ID",
    callback=_locations,
    help="A gauge, and the nexus or catchment that is it. May be repeated.",
)
@click.option("--train", metavar=_PERIOD, callback=_period, help="Instead of model.eval_params.")
@click.option("--validate", metavar=_PERIOD, callback=_period, help="What the search never sees.")
@click.option("--warm-up", metavar="TIME", help="What of the begin counts nowhere: 180d.")
@click.option("--variable", metavar="NAME", help="The variable of a catchment's output.")
@click.option("--unit", metavar="UNIT", help="In which both are compared: m3 s-1.")
@click.option("--name", default="ngen-cal", show_default=True, help="A name for people.")
@follow_option
@output_option
def ngen_cal(
    config: str,
    model: str,
    locations: list[dict[str, str]],
    train: list[str] | None,
    validate: list[str] | None,
    warm_up: str | None,
    variable: str | None,
    unit: str | None,
    name: str,
    following: bool,
    form: str,
) -> int:
    """Calibrate ngen as a config of ngen-cal says it.

    CONFIG is ngen-cal's YAML. Its paths count nothing, since Headrace finds data by what it
    covers: MODEL is the job file of one run, of `kind: ngen`. What of CONFIG can't be mapped is
    told by its key.

    \b
    Example: headrace exec ngen_cal cal.yaml ngen.yaml --location 02146562=nex-26 --follow
    """
    said = _config(Path(config))
    run: Any = parse_yaml(Path(model).read_bytes(), what="job file").value
    files = run.pop("files", None) if isinstance(run, dict) else None
    settings = {
        "config": said,
        "model": run,
        "locations": locations,
        "train": train,
        "validate": validate,
        "warm_up": warm_up,
        "variable": variable,
        "unit": unit,
    }
    job = {
        "headrace": 1,
        "kind": "ngen-cal",
        "name": name,
        "settings": {key: each for key, each in settings.items() if each is not None},
        **({"files": files} if files else {}),
    }
    folder = Path(model).resolve().parent
    spec = load_jobfile(job, read_file=lambda each: (folder / each).read_bytes())
    if isinstance(said, dict) and (ignored := ignored_keys(said)):
        note(f"{config}: these keys change nothing here: {', '.join(ignored)}")
    return submit(spec, folder, following, form)
