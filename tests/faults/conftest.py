"""Prints what the kill matrix has hit, at the end of the run."""

from collections import defaultdict
from dataclasses import dataclass, field

import pytest

from headrace_model.status import Status


@dataclass(slots=True)
class Table:
    """For each fault and status: how often a job was struck there, and came to its right end."""

    struck: dict[tuple[str, Status], int] = field(default_factory=lambda: defaultdict(int))
    ended_well: dict[tuple[str, Status], int] = field(default_factory=lambda: defaultdict(int))

    def lines(self) -> list[str]:
        """The table as text."""
        rows = list(dict.fromkeys(row for row, _ in self.struck))
        columns = [s for s in Status if any(status is s for _, status in self.struck)]
        widths = {column: max(len(column.name), 7) for column in columns}
        head = " ".join(column.name.rjust(widths[column]) for column in columns)
        lines = [f"{'':16}{head}"]
        for row in rows:
            cells = [self._cell(row, column).rjust(widths[column]) for column in columns]
            lines.append(f"{row:16}{' '.join(cells)}")
        return lines

    def _cell(self, row: str, column: Status) -> str:
        struck = self.struck.get((row, column), 0)
        return f"{self.ended_well.get((row, column), 0)}/{struck}" if struck else "miss"


_TABLE = pytest.StashKey[Table]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin with an empty table."""
    config.stash.setdefault(_TABLE, Table())


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """Where the matrix writes what it struck."""
    return pytestconfig.stash.setdefault(_TABLE, Table())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the table, when the matrix ran."""
    found = config.stash.get(_TABLE, None)
    if found and found.struck:
        terminalreporter.section("kill matrix: completed once / struck in that status")
        for line in found.lines():
            terminalreporter.line(line)
