"""`headrace partition`: split a hydrofabric on this disk, and look at splits; no server needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from headrace_client.cli import complete
from headrace_client.cli.base import Words, output_option
from headrace_client.cli.show import note, pairs, rows, show, write
from headrace_derivations.hydrofabric_read import files_at
from headrace_kinds.partition import Balance
from headrace_model.errors import Conflict, InvalidInput
from headrace_partitioner.core.check import check as check_config
from headrace_partitioner.core.config import to_text
from headrace_partitioner.core.explain import Figures, figures_of, naive_figures
from headrace_partitioner.work import drainage_of, make, read_config

F = TypeVar("F", bound=Callable[..., Any])
_PATH = click.Path(exists=True, path_type=Path)
_config = click.argument("config", metavar="CONFIG", type=_PATH, shell_complete=complete.file)
_fabric = click.argument(
    "fabric",
    metavar="FABRIC...",
    nargs=-1,
    required=True,
    type=_PATH,
    shell_complete=complete.file,
)


def _balance_option(command: F) -> F:
    return click.option(
        "--balance",
        type=click.Choice([each.value for each in Balance]),
        default=Balance.COUNT.value,
        show_default=True,
        help="What each partition has about as much of: catchments, or their area.",
    )(command)


@click.group(cls=Words)
def partition() -> None:
    """Split a hydrofabric for a parallel run of ngen; check and explain a split.

    FABRIC is a GeoPackage (version 1 or 2), or the GeoJSON files of catchments and nexuses, or a
    folder with these.

    \b
    Example: headrace partition make catchments.geojson nexus.geojson --partitions 4
    """


@partition.command(name="make")
@_fabric
@click.option(
    "--partitions",
    "-n",
    type=click.IntRange(1),
    required=True,
    metavar="N",
    help="How many: the ranks of the run.",
)
@_balance_option
@click.option(
    "--catchments",
    metavar="ID,ID,...",
    help="Only these catchments of the hydrofabric.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    metavar="FILE",
    shell_complete=complete.file,
    help="The file to write, a new one; partition_N.json if not said.",
)
@output_option
def make_(
    fabric: tuple[Path, ...],
    partitions: int,
    balance: str,
    catchments: str | None,
    to: Path | None,
    form: str,
) -> None:
    """Write a partition config with N partitions: about even, with few edges cut.

    \b
    Example: headrace partition make gauge_01073000.gpkg --partitions 2 --to partition_2.json
    """
    target = to or Path(f"partition_{partitions}.json")
    if target.exists():
        raise Conflict(
            f"{target} is there already", hint="name another file by --to, or remove it"
        )
    only = [each.strip() for each in (catchments or "").split(",") if each.strip()]
    drainage = drainage_of(files_at(fabric).network(), Balance(balance), only)
    made = make(drainage, partitions)
    with target.open("x", encoding="utf-8", newline="\n") as file:
        file.write(to_text(made.config))
    for each in made.notes:
        note(each)
    answer = {"file": str(target), **_plain(made.figures, made.naive, balance)}
    show(form, answer, lambda: _summary(made.figures, made.naive, balance, f"wrote {target}"))


@partition.command(name="check")
@_config
@_fabric
@output_option
def check(config: Path, fabric: tuple[Path, ...], form: str) -> None:
    """Say all that is wrong with a partition config for a hydrofabric.

    Configs of other programs are taken too. A run with one that does not fit loses water, or
    waits for ever. Catchments that the config leaves out are wrong, too: cut the hydrofabric
    first (`headrace hydrofabric subset`).

    \b
    Example: headrace partition check partition_2.json gauge_01073000.gpkg
    """
    found = read_config(config)
    drainage = drainage_of(files_at(fabric).network(), Balance.COUNT)
    findings = check_config(drainage, found).findings
    answer = {
        "valid": not findings,
        "partitions": len(found),
        "findings": [{"partition": each.rank, "message": each.message} for each in findings],
    }
    fits = f"{config} fits: {len(drainage.ids):,} catchments in {len(found):,} partitions"
    lines = [(each.rank, each.message) for each in findings]

    def table() -> None:
        if lines:
            rows(("PARTITION", "WHAT IS WRONG"), lines, "")
        else:
            write(fits)

    show(form, answer, table)
    if findings:
        raise InvalidInput(
            f"{config.name} does not fit the hydrofabric",
            hint=f"make one: `headrace partition make FABRIC --partitions {len(found)}`",
        )


@partition.command(name="explain")
@_config
@_fabric
@_balance_option
@output_option
def explain(config: Path, fabric: tuple[Path, ...], balance: str, form: str) -> None:
    """Show how even a partition config is, and how many edges it cuts.

    Beside it stands a naive split: blocks of the same number of catchments, as the file has
    them. SENDS and RECEIVES are messages a time step: edges that are cut and meet at one nexus on
    their way to one partition are one message.

    \b
    Example: headrace partition explain partition_2.json gauge_01073000.gpkg --balance area
    """
    found = read_config(config)
    drainage = drainage_of(files_at(fabric).network(), Balance(balance))
    checked = check_config(drainage, found)
    if checked.assigned is None:
        raise InvalidInput(
            f"{config.name} does not fit the hydrofabric: {checked.findings[0]}",
            hint="`headrace partition check` says all that is wrong",
        )
    for each in checked.findings:
        note(f"wrong: {each}")
    figures = figures_of(drainage, checked.assigned, len(found), checked.receivers)
    naive = naive_figures(drainage, len(found))

    def table() -> None:
        heads = ("PARTITION", "CATCHMENTS", _weight_head(balance), "SENDS", "RECEIVES")
        lines = [
            (rank, each.catchments, _weight(each.weight, balance), each.sends, each.receives)
            for rank, each in enumerate(figures.parts)
        ]
        kept = [place for place in range(len(heads)) if heads[place]]
        rows(
            [heads[place] for place in kept],
            [[line[place] for place in kept] for line in lines],
            "there is none",
        )
        write("")
        _summary(figures, naive, balance, "")

    show(form, _plain(figures, naive, balance), table)


def _weight_head(balance: str) -> str:
    return "AREA KM2" if balance == Balance.AREA else ""


def _weight(weight: int, balance: str) -> str:
    return f"{weight / 1e6:,.3f}" if balance == Balance.AREA else ""


def _plain(figures: Figures, naive: Figures, balance: str) -> dict[str, Any]:
    return {
        "balance": balance,
        "imbalance": round(figures.imbalance, 6),
        "edges": figures.edges,
        "cut_edges": figures.cut_edges,
        "messages": figures.messages,
        "naive": {
            "imbalance": round(naive.imbalance, 6),
            "cut_edges": naive.cut_edges,
            "messages": naive.messages,
        },
        "partitions": [
            {"id": rank, "catchments": each.catchments}
            | ({"area_km2": each.weight / 1e6} if balance == Balance.AREA else {})
            | {"sends": each.sends, "receives": each.receives}
            for rank, each in enumerate(figures.parts)
        ],
    }


def _summary(figures: Figures, naive: Figures, balance: str, said: str) -> None:
    of = "catchments" if balance == Balance.COUNT else "area"
    pairs(
        [
            ("done", said),
            ("partitions", f"{len(figures.parts):,}"),
            (
                "balance",
                f"the largest has {figures.imbalance:.3f} of the mean of {of} "
                f"(naive: {naive.imbalance:.3f})",
            ),
            (
                "cut edges",
                f"{figures.cut_edges:,} of {figures.edges:,} (naive: {naive.cut_edges:,})",
            ),
            ("messages", f"{figures.messages:,} a time step (naive: {naive.messages:,})"),
        ]
    )
