"""A pytest plugin (`-p tests.support.outcomes`) that records how each test ended.

Writes one JSON object a line to the file named by HEADRACE_TEST_OUTCOMES: `test` (the node id),
`outcome` (passed, failed or skipped), `reason` (of a skip). scripts/lib/summary.py reads it. A
test that fails in its setup, call or teardown counts once, as failed.
"""

import json
import os
from pathlib import Path

import pytest


class Outcomes:
    """Keeps the worst outcome of each test of one session."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: dict[str, tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Setup, call and teardown of one test each come by here."""
        if report.when == "call" or report.outcome != "passed":
            self._keep(report.nodeid, report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file that can't be read is a failure, a file that skips itself is a skip."""
        if report.outcome != "passed":
            self._keep(report.nodeid, report)

    def pytest_sessionfinish(self) -> None:
        """Write the file, also when the session ends early."""
        lines = [
            json.dumps({"test": test, "outcome": outcome, "reason": reason})
            for test, (outcome, reason) in self._found.items()
        ]
        self._file.write_text("".join(f"{line}\n" for line in lines))

    def _keep(self, test: str, report: pytest.TestReport | pytest.CollectReport) -> None:
        if self._found.get(test, ("", ""))[0] != "failed":
            self._found[test] = (report.outcome, _reason(report))


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped; a skip's long text is (file, line, "Skipped: why")."""
    if report.outcome != "skipped":
        return ""
    if expected := getattr(report, "wasxfail", None):
        return f"expected to fail: {expected}"
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    return str(report.longrepr)


def pytest_configure(config: pytest.Config) -> None:
    """Record only when told where to."""
    if file := os.environ.get("HEADRACE_TEST_OUTCOMES"):
        config.pluginmanager.register(Outcomes(Path(file)), "headrace-outcomes")
