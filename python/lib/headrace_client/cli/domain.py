"""`headrace dataset domain`: what files on this disk cover, without a server."""

from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from headrace_client.cli.base import Words, output_option
from headrace_client.cli.show import pairs, rows, show
from headrace_model.errors import InvalidInput

_UNREAD: Final = "GENERIC"


def _formats(module: str = "detect") -> Any:
    # By name: readers of formats and the client are neighbours that don't import each other.
    return import_module(f"headrace_formats.{module}")


@click.group(cls=Words, name="domain")
def group() -> None:
    """See what files on this disk cover.

    \b
    Example: headrace dataset domain detect ./forcing
    """


@group.command(name="detect")
@click.argument("path", metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "format_", metavar="FORMAT", help="Check that the files are of it.")
@output_option
def detect(path: Path, format_: str | None, form: str) -> None:
    """Detect the format and domain of a file or folder.

    \b
    Example: headrace dataset domain detect ./forcing -o yaml
    """
    found = _formats().detect_folder(path, format_)
    domain = found.domain.to_plain()
    answer = {"format": found.format, "domain": domain, "notes": list(found.notes)}
    covers = "\n".join(f"{index}: {str(value)[:200]}" for index, value in domain.items())
    shown = [("format", found.format), ("covers", covers), ("notes", "\n".join(found.notes))]
    show(form, answer, lambda: pairs(shown))


@group.command(name="validate")
@click.argument("path", metavar="PATH", type=click.Path(exists=True, path_type=Path))
@click.option("--format", "format_", metavar="FORMAT", help="What the files should be.")
@output_option
def validate(path: Path, format_: str | None, form: str) -> None:
    """Say all that is wrong or doubtful in a file or folder, by line, variable or key.

    \b
    Example: headrace dataset domain validate ./forcing --format AORC_CSV
    """
    files = _formats("validate").validate_folder(path, format_)
    answer = [
        {
            "path": each.path,
            "format": each.format,
            "valid": each.is_valid,
            "findings": [
                {
                    "severity": str(found.severity),
                    "where": found.where,
                    "message": found.message,
                    "hint": found.hint,
                }
                for found in each.findings
            ],
        }
        for each in files
    ]
    lines = [
        (each.path, each.format, str(found.severity), str(found))
        for each in files
        for found in each.findings
    ]
    unread = sum(each.format == _UNREAD for each in files)
    none = f"nothing is wrong with {len(files):,} file{'' if len(files) == 1 else 's'}"
    if unread:
        none += f"; {unread:,} of unknown format ({_UNREAD}), in which nothing was checked"
    show(form, answer, lambda: rows(("FILE", "FORMAT", "SEVERITY", "FINDING"), lines, none))
    wrong = sum(not each.is_valid for each in files)
    if wrong:
        raise InvalidInput(f"{wrong:,} of {len(files):,} files are not what they should be")


@group.command(name="list_detectors")
@output_option
def list_detectors(form: str) -> None:
    """List the formats that can be detected.

    \b
    Example: headrace dataset domain list_detectors
    """
    formats = [
        {
            "name": each.name,
            "summary": each.summary,
            "categories": list(each.categories),
            "indexes": [{"index": index, "from": source} for index, source in each.indexes],
            "fields": [
                {"name": field.name, "unit": field.unit, "about": field.about}
                for field in each.fields
            ],
            "warns": list(each.warns),
            "source": each.source,
        }
        for each in _formats().describe_all()
    ]
    lines = [(each["name"], each["summary"], " ".join(each["categories"])) for each in formats]
    show(form, formats, lambda: rows(("FORMAT", "WHAT", "CATEGORIES"), lines, "none"))
