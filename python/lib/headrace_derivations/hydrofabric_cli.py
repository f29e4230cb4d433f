"""`headrace hydrofabric`: cut a hydrofabric on this disk; no server needed."""

from pathlib import Path
from typing import Final

import click

from headrace_client.cli import complete
from headrace_client.cli.base import Words, output_option
from headrace_client.cli.show import pairs, show
from headrace_derivations.hydrofabric import GEOJSON
from headrace_derivations.hydrofabric_network import ELEMENT
from headrace_derivations.hydrofabric_read import files_at
from headrace_derivations.hydrofabric_work import write_part
from headrace_model.errors import Conflict, InvalidInput

_SHOWN: Final = 10


@click.group(cls=Words)
def hydrofabric() -> None:
    """Cut a hydrofabric on this disk: upstream, downstream, by id.

    \b
    Example: headrace hydrofabric subset conus.gpkg --upstream gages-01073000 --to basin
    """


@hydrofabric.command(name="subset")
@click.argument(
    "fabric",
    metavar="FABRIC...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, path_type=Path),
    shell_complete=complete.file,
)
@click.option(
    "--upstream",
    multiple=True,
    metavar="ELEMENT",
    help="All that drains to it, and itself; may be given several times.",
)
@click.option(
    "--downstream",
    multiple=True,
    metavar="ELEMENT",
    help="It, and all that its water passes; may be given several times.",
)
@click.option("--catchments", metavar="ID,ID,...", help="These catchments.")
@click.option(
    "--to",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="The folder to write to, new or empty.",
)
@click.option("--geojson", is_flag=True, help="Write GeoJSON, though it is a GeoPackage.")
@output_option
def subset(
    fabric: tuple[Path, ...],
    upstream: tuple[str, ...],
    downstream: tuple[str, ...],
    catchments: str | None,
    to: Path,
    geojson: bool,
    form: str,
) -> None:
    """Write a part of a hydrofabric, in the format that it has.

    FABRIC is a GeoPackage (version 1 or 2), or the GeoJSON files of its layers, or a folder with
    these. ELEMENT is a catchment, flowpath or nexus (cat-27, wb-27, nex-26), or a gauge
    (gages-01073000). A job gets the same part by ELEMENT_ID or CATCHMENT_ID in the domain of its
    input, from the datasets that are there.

    \b
    Example: headrace hydrofabric subset gauge.gpkg --upstream cat-11223 --to basin
    """
    only = [each.strip() for each in (catchments or "").split(",") if each.strip()]
    elements = [*_said("upstream", upstream), *_said("downstream", downstream)]
    if not (elements or only):
        raise click.UsageError("say which part: --upstream, --downstream or --catchments")
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise Conflict(f"{to} is there already, and not empty", hint="name another folder by --to")
    files = files_at(fabric)
    network = files.network()
    part = network.part(elements, only)
    to.mkdir(parents=True, exist_ok=True)
    write_part(files, part, to, GEOJSON if geojson else files.format)
    written = sorted(str(each.relative_to(to)) for each in to.rglob("*") if each.is_file())
    answer = {
        "folder": str(to),
        "format": GEOJSON if geojson else files.format,
        "files": written,
        "catchments": len(part.catchments),
        "nexuses": len(part.nexuses),
        "of_catchments": len(network.catchments),
        "of_nexuses": len(network.nexuses),
    }
    more = f" and {len(written) - _SHOWN:,} more" if len(written) > _SHOWN else ""
    shown = [
        ("catchments", f"{len(part.catchments):,} of {len(network.catchments):,}"),
        ("nexuses", f"{len(part.nexuses):,} of {len(network.nexuses):,}"),
        ("wrote", f"{to}: {', '.join(written[:_SHOWN])}{more}"),
        ("format", answer["format"]),
    ]
    show(form, answer, lambda: pairs(shown))


def _said(way: str, elements: tuple[str, ...]) -> list[str]:
    said = [f"{way}/{each.strip()}" for each in elements]
    for each, given in zip(said, elements, strict=True):
        if not ELEMENT.fullmatch(each):
            raise InvalidInput(
                f"--{way} {given[:80]}: it is no element",
                hint="name a catchment, flowpath or nexus (cat-27, wb-27, nex-26) or a gauge "
                "(gages-01073000)",
            )
    return said
