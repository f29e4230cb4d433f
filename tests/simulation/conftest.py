"""Prints what the simulation has counted, at the end of the run."""

import pytest

FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> list[str]:
    """Where each test adds its line."""
    return pytestconfig.stash.setdefault(FIGURES, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the lines, when there are some."""
    if found := config.stash.get(FIGURES, []):
        terminalreporter.section("simulation")
        for line in found:
            terminalreporter.line(line)
