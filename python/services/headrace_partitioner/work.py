"""Splitting a hydrofabric that lies on this disk: read, choose, split, write."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from headrace_derivations.base import Work
from headrace_derivations.hydrofabric_network import Network
from headrace_derivations.hydrofabric_read import files_of
from headrace_formats.json_text import load_json
from headrace_kinds.partition import BALANCE, Balance
from headrace_partitioner.core.config import Config, config_of, read_plain, to_text
from headrace_partitioner.core.drainage import Drainage
from headrace_partitioner.core.explain import Figures, figures_of, naive_figures
from headrace_partitioner.core.split import split
from headrace_partitioner.errors import PartitioningFailed

FILE: Final = "partitions.json"


@dataclass(frozen=True, slots=True)
class Made:
    """A split: the config, what it means, and beside it what a naive split would."""

    config: Config
    figures: Figures
    naive: Figures
    notes: tuple[str, ...]


def drainage_of(network: Network, balance: Balance, catchments: Collection[str] = ()) -> Drainage:
    """The network of a fabric or of some of its catchments.

    Raises `DerivationFailed` for a catchment that it has not, and `PartitioningFailed`.
    """
    part = network.part((), catchments)
    chosen = {id_: to for id_, to in network.catchments.items() if id_ in part.catchments}
    nexuses = {id_: to for id_, to in network.nexuses.items() if id_ in part.nexuses}
    areas = network.areas_km2 if balance is Balance.AREA else None
    return Drainage.of(chosen, nexuses, areas)


def make(drainage: Drainage, parts: int) -> Made:
    """Split it; raises `PartitioningFailed`."""
    assigned = split(drainage, parts)
    config = config_of(drainage, assigned, parts)
    notes = []
    if drainage.astray:
        shown = ", ".join(each[:60] for each in drainage.astray[:5])
        notes.append(
            f"{len(drainage.astray):,} catchments flow to a nexus that is not there: {shown}"
        )
    figures = figures_of(drainage, assigned, parts)
    return Made(config, figures, naive_figures(drainage, parts), tuple(notes))


def read_config(path: Path) -> Config:
    """Read a partition config; raises `FormatError` or `PartitioningFailed`, naming the file."""
    try:
        return read_plain(load_json(path))
    except PartitioningFailed as error:
        raise PartitioningFailed(f"{path.name}: {error.message}", hint=error.hint) from None


def derive(work: Work) -> None:
    """Make the config of a derivation."""
    (folder,) = work.inputs.values()
    told = work.parameters
    network = files_of(folder, told["source"]).network()
    balance = Balance(told.get(BALANCE, Balance.COUNT))
    write_config(network, work.output, told["partitions"], balance, told["catchments"], work.say)


def write_config(
    network: Network,
    output: Path,
    parts: int,
    balance: Balance,
    catchments: Collection[str],
    say: Callable[[str], None],
) -> None:
    """Split a fabric or some of its catchments, and write the config to a folder."""
    made = make(drainage_of(network, balance, catchments), parts)
    output.joinpath(FILE).write_text(to_text(made.config), encoding="utf-8")
    for note in made.notes:
        say(note)
    say(said_of(made))


def said_of(made: Made) -> str:
    """Say for people what a split is."""
    of, parts = made.figures, len(made.figures.parts)
    return (
        f"{sum(each.catchments for each in of.parts):,} catchments in {parts:,} partitions; the "
        f"heaviest is {of.imbalance:.3f} of the mean; {of.cut_edges:,} of {of.edges:,} edges cut "
        f"(blocks as the file has them: {made.naive.imbalance:.3f}, {made.naive.cut_edges:,})"
    )
