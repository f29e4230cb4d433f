"""The project's own rules, as far as no other tool checks them."""

import importlib
import importlib.metadata
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parents[2]
SCRIPTS = sorted((PROJECT / "scripts").glob("*.sh"))
PACKAGES = sorted(file.parent for file in (PROJECT / "python").glob("*/*/__init__.py"))
SUBPACKAGES = sorted(file.parent for file in (PROJECT / "python").rglob("__init__.py"))
LONGEST_FILE = 500


def _names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("script", SCRIPTS, ids=_names(SCRIPTS))
def test_a_script_is_executable_and_explains_itself(script: Path) -> None:
    assert os.access(script, os.X_OK)
    answer = subprocess.run([script, "-h"], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0
    assert "Usage:" in answer.stdout


@pytest.mark.parametrize("word", ["nonsense", "--nonsense"])
def test_run_tests_refuses_an_unknown_group_and_names_the_known(word: str) -> None:
    answer = subprocess.run(
        [PROJECT / "scripts" / "run-tests.sh", word], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 2
    assert "unit contract integration acceptance faults" in answer.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["unit", "--seeds", "2"], "--seeds is for the groups soak, faults, simulation and swarm"),
        (["faults", "--minutes", "2", "--seeds", "2"], "--minutes is for the group soak"),
        (["soak", "--seeds", "0"], "--seeds needs a whole number above 0"),
    ],
)
def test_run_tests_refuses_numbers_that_no_group_takes(words: list[str], why: str) -> None:
    answer = subprocess.run(
        [PROJECT / "scripts" / "run-tests.sh", *words], capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 2
    assert why in answer.stderr


def test_ci_can_be_started() -> None:
    assert os.access(PROJECT / ".ci" / "run", os.X_OK)


def test_no_python_file_is_too_long() -> None:
    lengths = {
        str(file.relative_to(PROJECT)): len(file.read_text().splitlines())
        for file in (PROJECT / "python").rglob("*.py")
    }
    assert {file: n for file, n in lengths.items() if n >= LONGEST_FILE} == {}


def test_each_decision_has_a_number_of_its_own() -> None:
    pages = sorted((PROJECT / "docs" / "decisions").glob("*.md"))
    numbers = [re.match(r"(\d{4})-[a-z0-9-]+\.md$", page.name) for page in pages]
    assert None not in numbers
    taken = [found[1] for found in numbers if found]
    assert sorted(set(taken)) == taken


@pytest.mark.parametrize(
    "package", SUBPACKAGES, ids=["/".join(path.parts[-2:]) for path in SUBPACKAGES]
)
def test_each_package_can_be_imported(package: Path) -> None:
    folder = next(each for each in PACKAGES if package.is_relative_to(each)).parent
    importlib.import_module(".".join(package.relative_to(folder).parts))


def test_each_folder_with_python_in_it_is_a_package() -> None:
    folders = {file.parent for file in (PROJECT / "python").glob("*/*/**/*.py")}
    assert folders - set(SUBPACKAGES) == set()


def _import_linter() -> dict[str, Any]:
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    found: dict[str, Any] = tools["importlinter"]
    return found


def test_the_import_contracts_know_each_package() -> None:
    settings = _import_linter()
    contracts = {contract["type"]: contract for contract in settings["contracts"]}
    layered = re.findall(r"\w+", " ".join(settings["contracts"][0]["layers"]))
    names = _names(PACKAGES)
    assert sorted(settings["root_packages"]) == sorted(names)
    assert set(names) - set(layered) == set()
    assert set(contracts["acyclic_siblings"]["ancestors"]) == set(names)


def test_the_contract_on_third_party_libraries_binds_each_package_but_adapters() -> None:
    [contract] = [c for c in _import_linter()["contracts"] if c["name"].startswith("Redis")]
    assert set(contract["source_modules"]) == set(_names(PACKAGES)) - {"headrace_adapters"}


def test_the_contract_inside_a_service_binds_each_service() -> None:
    [contract] = [c for c in _import_linter()["contracts"] if c["name"].startswith("Inside")]
    services = {path.name for path in PACKAGES if path.parent.name in ("services", "gui")} - {
        "headrace_local"
    }
    assert set(contract["containers"]) == services


def _pins() -> dict[str, str]:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def _required(
    name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]
) -> Iterator[str]:
    """The installed distributions that `name` with `extras` brings, itself included."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    yield name
    for text in importlib.metadata.distribution(name).requires or ():
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in {"", *extras}):
            yield from _required(
                canonicalize_name(requirement.name), frozenset(requirement.extras), seen
            )


def test_everything_that_is_installed_for_development_is_pinned() -> None:
    pins = _pins()
    pulled = set(_required("headrace", frozenset({"dev"}), set())) - {"headrace"}
    unlike = {
        name: (importlib.metadata.version(name), pins.get(name))
        for name in pulled
        if importlib.metadata.version(name) != pins.get(name)
    }
    assert unlike == {}
