"""`headrace evaluation`: compare downloaded results of evaluations."""

import json
from pathlib import Path
from typing import Any, Final

import click

from headrace_client.cli.base import Words, output_option
from headrace_client.cli.show import rows, show
from headrace_model.errors import InvalidInput

_MOST_BYTES: Final = 256 << 20


@click.group(cls=Words, name="evaluation")
def group() -> None:
    """Compare results of evaluations.

    \b
    Example: headrace evaluation compare first/scores second/scores
    """


@group.command()
@click.argument("results", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@output_option
def compare(results: tuple[Path, ...], form: str) -> None:
    """Put downloaded results side by side: medians, over the locations that all of them score.

    RESULT is a scores.json or a folder that holds one.

    \b
    Example: headrace evaluation compare first/scores second/scores -o json
    """
    found = compared([(str(each), read_result(each)) for each in results])
    names = list(dict.fromkeys(name for each in found["runs"] for name in each["median"]))
    lines = [
        [each["result"], each["run"], *(_shown(each["median"].get(name)) for name in names)]
        for each in found["runs"]
    ]
    show(form, found, lambda: rows(["RESULT", "RUN", *names], lines, "nothing to compare"))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def read_result(path: Path) -> dict[str, Any]:
    """Read a result; raises `InvalidInput` that names the file."""
    found = sorted(path.rglob("scores.json")) if path.is_dir() else [path]
    if len(found) != 1:
        raise InvalidInput(
            f"{path} holds {len(found)} files scores.json, not one",
            hint="headrace jobs outputs JOB --download FOLDER",
        )
    if found[0].stat().st_size > _MOST_BYTES:
        raise InvalidInput(f"{found[0]} is larger than {_MOST_BYTES:,} bytes")
    try:
        said = json.loads(found[0].read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{found[0]} can't be read as JSON: {error}") from None
    if not isinstance(said, dict) or said.get("headrace_evaluation") != 1:
        raise InvalidInput(f"{found[0]} is no result of an evaluation")
    return said


def compared(results: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """The medians of each run of each result, over the locations that every run scores."""
    runs: list[tuple[str, str, dict[str, dict[str, float | None]]]] = []
    try:
        for name, said in results:
            for run_name in said["runs"]:
                of = {
                    each["id"]: each["runs"][run_name]["scores"]
                    for each in said["locations"]
                    if each["runs"][run_name]["scores"]
                }
                runs.append((name, run_name, of))
    except (KeyError, TypeError) as error:
        raise InvalidInput(f"{name} is damaged: {error!r}") from None
    common = set.intersection(*(set(of) for _, _, of in runs)) if runs else set()
    return {
        "locations": len(common),
        "runs": [
            {"result": name, "run": run_name, "median": _medians(of, sorted(common))}
            for name, run_name, of in runs
        ],
    }


def _medians(
    scores: dict[str, dict[str, float | None]], common: list[str]
) -> dict[str, float | None]:
    from statistics import median

    names = dict.fromkeys(name for id_ in common for name in scores[id_])
    found: dict[str, float | None] = {}
    for name in names:
        values = [value for id_ in common if (value := scores[id_].get(name)) is not None]
        found[name] = median(values) if values else None
    return found
