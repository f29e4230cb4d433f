"""Options that say what data is and covers."""

from typing import Any

import click

from headrace_model.dataset import Category
from headrace_wire.yamlfile import parse_yaml

category_option = click.option(
    "--category",
    type=click.Choice([c.value for c in Category], case_sensitive=False),
    help="What kind of data it is.",
)
format_option = click.option("--format", "format_", metavar="FORMAT", help="Default: detected.")
domain_option = click.option(
    "--domain",
    metavar="YAML",
    help="What it covers and the files don't tell: '{HYDROFABRIC_DATA_ID: drb}'.",
)


def plain_domain(text: str | None) -> Any:
    """A domain as YAML on the command line; None where none was given."""
    return None if text is None else parse_yaml(text, what="domain").value
