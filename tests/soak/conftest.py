"""Prints what the soak has counted, at the end of the run."""

import pytest

from tests.support.soak.figures import Figures

_FIGURES = pytest.StashKey[Figures]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin at zero."""
    config.stash.setdefault(_FIGURES, Figures())


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Where each seed adds its figures."""
    return pytestconfig.stash.setdefault(_FIGURES, Figures())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the table, when a seed ran."""
    found = config.stash.get(_FIGURES, None)
    if found and found.seeds:
        terminalreporter.section("soak")
        for line in found.lines():
            terminalreporter.line(line)
