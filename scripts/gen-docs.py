#!/usr/bin/env python3
"""Writes what docs/ takes from the code: settings, formats, tables, pictures, schemas; and the
OpenAPI document that the GUI is built with.

Run it with the project's interpreter: .venv/bin/python scripts/gen-docs.py
"""

import argparse
import dataclasses
import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from lib.pictures import policies_picture, use_picture

from headrace_derivations.registry import all_derivations
from headrace_formats.page import describe_page
from headrace_local.layout import SERVICES
from headrace_model.cause import MEANINGS, RETRIED_BY_DEFAULT, RETRYABLE, Cause, next_step
from headrace_model.people import RULES, SCOPE_OF, Act, Standing, UserRole
from headrace_model.status import as_markdown, as_picture
from headrace_model.units import size_text
from headrace_service.settings import PREFIX, CommonSettings
from headrace_wire.jsonschema import job_json_schema
from headrace_wire.openapi import document
from headrace_wire.operations.table import OPERATIONS, TAGS

DOCS = Path(__file__).resolve().parent.parent / "docs"
_GUI = DOCS.parent / "python" / "gui" / "headrace_gui" / "web"
_HEAD = f"""# Settings

Written by `python scripts/gen-docs.py`; a test compares. A service reads its settings once, from
the environment: `lease_s` is `{PREFIX}LEASE_S`. One without a default must be given. Names end in
their unit: `_s` seconds, `_bytes` bytes, `_ms` milliseconds.

With `headrace local` they stand in `config.json` of the state folder, for every service that has
them, and count from the next `up`: `{{"settings": {{"log_level": "debug"}}}}`. It gives all that
must be given.
"""


def settings_page() -> str:
    """docs/settings.md: what all services share, then what each has of its own."""
    common = dataclasses.fields(CommonSettings)
    parts = [_HEAD, _table("All services", common)]
    shared = {field.name for field in common}
    for service in sorted((*SERVICES, "cluster", "gui")):
        settings = importlib.import_module(f"headrace_{service}.settings").Settings
        # The GUI is no service of the inside, and shares nothing.
        shares = issubclass(settings, CommonSettings)
        own = tuple(f for f in dataclasses.fields(settings) if not shares or f.name not in shared)
        parts.append(_table(f"headrace_{service}", own))
    return "\n".join(parts)


def _table(title: str, fields: "tuple[dataclasses.Field[object], ...]") -> str:
    if not fields:
        return f"## {title}\n\nNone of its own.\n"
    rows = [f"| `{f.name}` | {_default(f)} | {f.metadata['about']} |" for f in fields]
    return "\n".join(
        [f"## {title}\n", "| setting | default | what it is |", "|---|---|---|", *rows, ""]
    )


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is dataclasses.MISSING:
        return "must be given"
    if field.default == "":
        return "empty"
    if field.name.endswith("_bytes") and field.default:
        return f"{field.default} ({size_text(int(str(field.default)))})"
    return str(field.default)


def _openapi() -> str:
    """What the GUI's types are made of: the API as it is, of no version of the package."""
    return json.dumps(document(OPERATIONS, TAGS, "0"), ensure_ascii=False, indent=1) + "\n"


def design_page(page: str) -> str:
    """docs/design.md with the table and the picture of the status table between their marks."""
    page = _between(page, "design.md", "edges", as_markdown())
    return _between(page, "design.md", "picture", f"```mermaid\n{as_picture()}\n```")


_STANDINGS = {
    frozenset[Standing](): "no",
    frozenset({Standing.OWNER}): "own",
    frozenset({Standing.OWNER, Standing.WRITER}): "own, shared for writing",
    frozenset({Standing.OWNER, Standing.WRITER, Standing.READER}): "own, shared",
    frozenset(Standing): "yes",
}


def people_page(page: str) -> str:
    """docs/people.md with the matrix of who may do what between its marks."""
    roles = tuple(UserRole)
    lines = [
        f"| act | {' | '.join(roles)} | scope of the token |",
        f"|---|{'---|' * len(roles)}---|",
        *(
            f"| {act.replace('_', ' ')} | "
            + " | ".join(_STANDINGS[RULES[act][role]] for role in roles)
            + f" | `{SCOPE_OF[act]}` |"
            for act in Act
        ),
    ]
    return _between(page, "people.md", "matrix", "\n".join(lines))


def data_page(page: str) -> str:
    """docs/data.md with the table of derivations between its marks."""
    lines = ["| derivation | what it makes | formats | settings |", "|---|---|---|---|"]
    for each in all_derivations():
        recipe = each.recipe
        formats = ", ".join(sorted({format_ for _, format_ in recipe.makes}))
        told = ", ".join(f"`{each}`" for each in sorted(recipe.settings))
        lines.append(f"| {recipe.name} | {recipe.summary} | {formats} | {told} |")
    return _between(page, "data.md", "derivations", "\n".join(lines))


def operate_page(page: str) -> str:
    """docs/operate.md with the tables of causes and alerts between their marks."""
    lines = ["| cause | what happened | what to do | retried |", "|---|---|---|---|"]
    for cause, meaning in MEANINGS.items():
        lines.append(
            f"| {cause} | {meaning.what} | {next_step(cause, 'JOB')} | {_retried(cause)} |"
        )
    page = _between(page, "operate.md", "causes", "\n".join(lines))
    rules = yaml.safe_load((DOCS / "headrace-alerts.yaml").read_text())["groups"][0]["rules"]
    rows = [f"| {r['alert']} | {_shown(r, 'summary')} | {_shown(r, 'advice')} |" for r in rules]
    table = "\n".join(["| alert | what it is | what to do |", "|---|---|---|", *rows])
    return _between(page, "operate.md", "alerts", table)


def _shown(rule: dict[str, Any], name: str) -> str:
    """A text of a rule; what Prometheus puts in stands as `…`."""
    return re.sub(r"\{\{.*?\}\}", "…", rule["annotations"][name])


def _retried(cause: Cause) -> str:
    if cause is Cause.RESTORED:
        return "always"
    if cause not in RETRYABLE:
        return "never"
    if cause is Cause.OOM:
        return "yes, with more memory"
    return "yes" if cause in RETRIED_BY_DEFAULT else "if `retry.on` names it"


def _between(page: str, name: str, mark: str, text: str) -> str:
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"gen-docs.py: docs/{name} has no {begin} … {end}")
    return f"{before}{begin}\n{text}\n{end}{after}"


def main() -> int:
    """Write the pages, or with --check tell which are not current."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    names = ("data", "design", "people", "operate")
    data, design, people, operate = (DOCS / f"{name}.md" for name in names)
    pages = {
        data: data_page(data.read_text()),
        design: design_page(design.read_text()),
        people: people_page(people.read_text()),
        operate: operate_page(operate.read_text()),
        DOCS / "formats.md": describe_page(),
        DOCS / "settings.md": settings_page(),
        DOCS / "pictures" / "policies.svg": policies_picture(),
        DOCS / "pictures" / "use.svg": use_picture(),
        DOCS / "job-file.schema.json": json.dumps(job_json_schema(), indent=2) + "\n",
        _GUI / "openapi.json": _openapi(),
    }
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if not check:
            path.write_text(pages[path])
        print(f"{'stale' if check else 'written'}: {path.relative_to(DOCS.parent)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
