"""`headrace dataset upload` and `download`: what moves the files of datasets."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import complete, exits
from headrace_client.cli.base import dataset_argument, output_option, run
from headrace_client.cli.progress import WaitingLine, transfer
from headrace_client.cli.show import note, rows, show, write
from headrace_client.localfiles import LocalFile, files_at
from headrace_client.transferplan import Action, Plan, the_one
from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput
from headrace_model.units import rough_size

_FROM_STDIN = "=-"

exclude_option = click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave files or folders out: '*.tmp' at any depth, 'raw/*.tmp' in the folder raw.",
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only tell what would be moved.")


def add_transfers(group: click.Group) -> None:
    """Add the commands to the group `dataset`."""
    group.add_command(upload)
    group.add_command(download)


@contextmanager
def local_files(paths: Sequence[str], exclude: Sequence[str]) -> Iterator[tuple[LocalFile, ...]]:
    """The files that are named; `ITEM=-` is what comes on standard input, kept until the end."""
    piped = [path for path in paths if path.endswith(_FROM_STDIN) and not Path(path).exists()]
    named = [path for path in paths if path not in piped]
    if "-" in paths or len(piped) > 1:
        raise click.UsageError("standard input is one item, with a name: ITEM=-")
    files = files_at(named, exclude) if named else ()
    if not piped:
        yield files
        return
    item = check_item_path(piped[0].removesuffix(_FROM_STDIN))
    if any(file.item == item for file in files):
        raise InvalidInput(f"standard input and {item} would both be the item {item}")
    with TemporaryDirectory(prefix="headrace-") as folder:
        kept = Path(folder) / "stdin"
        with kept.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield (*files, LocalFile(kept, item))


@click.command(name="upload")
@dataset_argument
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, shell_complete=complete.file)
@exclude_option
@_dry_run
@click.option("--seal", is_flag=True, help="Seal the dataset afterwards.")
@output_option
def upload(
    name: str,
    paths: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    seal: bool,
    form: str,
) -> None:
    """Upload files and folders into an OPEN dataset; a broken upload is taken up again.

    A file that is there with the same SHA-256 is not sent, another one is replaced, and items
    that no PATH names stay. PATH may be a pattern ('data/**/*.nc'); ITEM=- is standard input.

    \b
    Example: headrace dataset upload drb ./forcing --exclude '*.tmp' --seal
    """
    if dry_run and seal:
        raise click.UsageError("--dry-run seals nothing: leave out --seal")

    async def send(client: AsyncClient) -> Plan:
        if dry_run:
            return await client.datasets.plan_upload(name, files)
        with transfer(f"upload {name}") as moved:
            plan = await client.datasets.upload(name, files, moved)
        if seal:
            with WaitingLine() as line:
                line.say(f"{name} is described and sealed")
                await client.datasets.seal(name)
        return plan

    with exits.resumable(), local_files(paths, exclude) as files:
        plan = run(send)
    _show(form, plan, "sent", dry_run=dry_run, more=", sealed" if seal else "")


@click.command(name="download")
@dataset_argument
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, allow_dash=True))
@click.argument("items", metavar="[ITEM...]", nargs=-1)
@exclude_option
@_dry_run
@output_option
def download(
    name: str,
    folder: str,
    items: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    form: str,
) -> None:
    """Download files of a dataset into DIR: all, or each ITEM (a path, folder or pattern).

    A file that is there with the same SHA-256 is not fetched, another one is replaced, and other
    files of DIR stay. DIR - is standard output, for one ITEM.

    \b
    Example: headrace dataset download drb ./data '*.nc' --exclude 'prcp*'
    """
    if folder == "-":
        if dry_run or form != "table":
            raise click.UsageError("standard output takes the bytes of an item, and nothing else")
        run(lambda client: _to_stdout(client, name, items, exclude))
        return

    async def fetch(client: AsyncClient) -> Plan:
        into = Path(folder)
        if dry_run:
            return await client.datasets.plan_download(name, into, items, exclude)
        with transfer(f"download {name}") as moved:
            return await client.datasets.download(name, into, moved, wanted=items, exclude=exclude)

    with exits.resumable():
        plan = run(fetch)
    _show(form, plan, "fetched", dry_run=dry_run, more=f" in {folder}")


async def _to_stdout(
    client: AsyncClient, name: str, wanted: Sequence[str], exclude: Sequence[str]
) -> None:
    item = the_one(await client.datasets.chosen(name, wanted, exclude))
    async for piece in client.datasets.read(name, item["path"]):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _show(form: str, plan: Plan, done: str, *, dry_run: bool, more: str) -> None:
    moving = f"{len(plan.moving)} file(s), {rough_size(plan.moving_bytes)}"
    there, taken = len(plan.acting(Action.SKIP)), len(plan.acting(Action.TAKE))

    def table() -> None:
        if not dry_run:
            alike = f"; {there} were there already" if there else ""
            alike += f"; {taken} taken from the version before" if taken else ""
            write(f"{moving} {done}{alike}{more}")
            return
        lines = [(s.item, rough_size(s.size_bytes), s.action.value) for s in plan.steps]
        rows(("PATH", "SIZE", "ACTION"), lines, "there is no file")
        note(f"{moving} would be {done}; {there + taken} are there already")

    show(form, plan.to_plain(), table)
