"""`headrace dataset match`: how the inputs of a job would be met."""

from collections.abc import Mapping
from typing import Any

import click

from headrace_client.api import AsyncClient
from headrace_client.cli import complete
from headrace_client.cli.base import output_option, run
from headrace_client.cli.covers import category_option, domain_option, plain_domain
from headrace_client.cli.execute import load_file, set_option
from headrace_client.cli.show import pairs, show
from headrace_model.dataset import Category
from headrace_model.requirement import Shape
from headrace_wire.datasets import MatchRequest
from headrace_wire.schema import to_plain


@click.command()
@click.argument("file", required=False, metavar="[FILE]", shell_complete=complete.file)
@click.option("--format", "format_", metavar="FORMAT", help="Default: any.")
@category_option
@domain_option
@click.option(
    "--shape",
    type=click.Choice([each.value for each in Shape], case_sensitive=False),
    help="One dataset or several (ANY), ONE, or one that covers no more (EXACT). Default ANY.",
)
@set_option
@output_option
def match(
    file: str | None,
    format_: str | None,
    category: str | None,
    domain: str | None,
    shape: str | None,
    changes: tuple[str, ...],
    form: str,
) -> None:
    """Tell which data would fulfil the inputs of the job in FILE, or one input that the options
    describe; or what is missing. Nothing is run or made; the exit code is 0 either way.

    \b
    Example: headrace dataset match job.yaml
             headrace dataset match --category FORCING --domain '{TIME: [1979-01-01, 1981-01-01]}'
    """
    said = {"category": category, "format": format_, "domain": domain, "shape": shape}
    if file is not None:
        if any(said.values()):
            raise click.UsageError("FILE says all: no --category, --format, --domain or --shape")
        _match_file(file, changes, form)
        return
    if changes:
        raise click.UsageError("--set changes a key of FILE, which is missing")
    if category is None:
        raise click.UsageError(
            f"FILE or --category is missing; --category is one of {', '.join(Category)}"
        )
    said["domain"] = plain_domain(domain)
    wanted = {key: each for key, each in said.items() if each}
    view = run(lambda client: client.datasets.match(wanted))
    show(form, view, lambda: pairs(_lines(view)))


def _match_file(file: str, changes: tuple[str, ...], form: str) -> None:
    spec, _ = load_file(file, changes)
    wanted = {each.name: to_plain(MatchRequest.of(each)) for each in spec.requirements}
    uploads = [each.name for each in spec.path_inputs]

    async def ask(client: AsyncClient) -> dict[str, Any]:
        return {name: await client.datasets.match(each) for name, each in wanted.items()}

    views = run(ask) if wanted else {}
    views |= {
        name: {"result": "upload", "why": "it is uploaded from here when the job is submitted"}
        for name in uploads
    }

    def table() -> None:
        lines: list[tuple[str, object]] = []
        for name in sorted(views):
            lines += [("input", name), *_lines(views[name])]
        pairs(lines or [("result", "the job has no inputs")])

    show(form, views, table)


def _lines(view: Mapping[str, Any]) -> list[tuple[str, object]]:
    datasets = ", ".join(f"{each['name']}@{each['version']}" for each in view.get("datasets", ()))
    near = "\n".join(str(each["why"]) for each in view.get("nearest", ()))
    return [
        ("result", view["result"]),
        ("datasets", datasets),
        ("job", view.get("job")),
        ("why", view.get("why")),
        ("nearest", near),
    ]
