"""The pages say what is so: links lead somewhere, names exist, examples load."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import jsonschema
import pytest

from headrace_client.cli import exits
from headrace_model.status import as_markdown, as_picture
from headrace_wire.jobfile import load_jobfile
from headrace_wire.jsonschema import job_json_schema
from headrace_wire.yamlfile import parse_yaml
from tests.support.job_file_keys import job_file_keys

PROJECT = Path(__file__).parents[2]
DOCS = PROJECT / "docs"
PAGES = sorted(
    {
        *PROJECT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *PROJECT.glob("examples/**/*.md"),
        # Not those of npm packages.
        *PROJECT.glob("python/*/*/README.md"),
    }
)
_NAMES = [str(page.relative_to(PROJECT)) for page in PAGES]
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_NAMED = re.compile(r"`((?:headrace_\w+|tests|scripts|examples)/[\w./-]*)(?::([A-Za-z_][\w.]*))?`")
_PLACES = [PROJECT, *(PROJECT / "python" / each for each in ("lib", "services", "gui"))]


def _text(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCED.sub("", page.read_text())


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", _text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=_NAMES)
def test_each_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_text(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@cache
def _defined(file: Path) -> frozenset[str]:
    """The functions, classes and `Class.method`s of a module."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            later = [each for each in node.body if isinstance(each, ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{each.name}" for each in (*inner, *later)}
    return frozenset(names)


@pytest.mark.parametrize("page", PAGES, ids=_NAMES)
def test_each_file_and_function_that_a_page_names_exists(page: Path) -> None:
    missing = []
    for path, name in _NAMED.findall(_text(page)):
        file = next((place / path for place in _PLACES if (place / path).exists()), None)
        if file is None or (name and name not in _defined(file)):
            missing.append(f"{path}:{name}" if name else path)
    assert missing == []


def test_the_walkthrough_names_functions_and_stays_short() -> None:
    page = (DOCS / "walkthrough.md").read_text()
    named = [name for _, name in _NAMED.findall(page) if name]
    assert len(named) > 40
    assert len(page.splitlines()) <= 90


def test_the_readme_stays_short() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 150


def test_the_design_shows_every_edge_and_the_picture() -> None:
    page = (DOCS / "design.md").read_text()
    assert f"<!-- edges:begin -->\n{as_markdown()}\n<!-- edges:end -->" in page
    drawn = f"```mermaid\n{as_picture()}\n```"
    assert f"<!-- picture:begin -->\n{drawn}\n<!-- picture:end -->" in page


def test_what_is_written_from_the_code_is_current() -> None:
    done = subprocess.run(
        [sys.executable, PROJECT / "scripts" / "gen-docs.py", "--check"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run scripts/gen-docs.py"


def test_each_service_has_a_readme() -> None:
    services = [p.parent for p in (PROJECT / "python" / "services").glob("*/__init__.py")]
    assert [each.name for each in services if not (each / "README.md").exists()] == []


def test_the_page_of_the_command_shows_each_exit_code() -> None:
    page = (DOCS / "cli.md").read_text()
    codes = re.findall(r"^  (\d+) ", exits.TABLE, re.MULTILINE)
    assert codes
    assert [code for code in codes if f"| {code} | " not in page] == []


_EXAMPLES = _YAML.findall((DOCS / "job-file.md").read_text())


@pytest.mark.parametrize("text", _EXAMPLES, ids=range(len(_EXAMPLES)))
def test_each_example_of_the_job_file_page_loads(text: str) -> None:
    plain = parse_yaml(text, what="example").value
    own = {} if "kind" in plain else {"kind": "command", "command": ["true"]}
    parameters = b'{"fast": 0.2, "slow": 0.01}'  # of the model that the page calibrates
    spec = load_jobfile({"headrace": 1, **own, **plain}, read_file=lambda _: parameters)
    assert spec.kind == plain.get("kind", "command")


_JOB_FILES = sorted((PROJECT / "examples").rglob("*.yaml"))


@pytest.mark.parametrize(
    "text",
    [*_EXAMPLES, *(file.read_text() for file in _JOB_FILES)],
    ids=[*map(str, range(len(_EXAMPLES))), *(file.name for file in _JOB_FILES)],
)
def test_editors_find_nothing_wrong_with_an_example(text: str) -> None:
    plain = parse_yaml(text, what="example").value
    whole = {"headrace": 1, "kind": "command", **plain}
    jsonschema.Draft202012Validator(job_json_schema()).validate(whole)


def test_the_job_file_page_explains_each_key() -> None:
    page = (DOCS / "job-file.md").read_text()
    keys = [k for k in job_file_keys(job_json_schema()) if k != "environment.pip"]
    assert len(keys) > 25
    assert [key for key in keys if f"| `{key}` |" not in page] == []
