"""A real Chromium, and what is wrong with a page whatever it shows."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

_WEB: Final = Path(__file__).parents[2] / "python" / "gui" / "headrace_gui" / "web"
_AXE: Final = _WEB / "node_modules" / "axe-core" / "axe.min.js"
# Nothing of the browser's own may ask the network, and root can't have its sandbox.
ARGUMENTS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
)
# What the API refuses is an answer like others; the browser says each on the console.
_REFUSED: Final = re.compile(r"Failed to load resource: .* a status of 4\d\d")
_TELL_VIOLATIONS: Final = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


def find_chromium() -> str | None:
    """The Chromium of this machine, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def chromium() -> str:
    """The same; skips (fails in CI) where there is none."""
    found = find_chromium()
    if found is None:
        reason = "no chromium on the PATH (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Watch:
    """Keeps what no page may do: errors on the console, requests that leave the origin."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self._origin = urlsplit(origin).netloc
        self._expected: list[str] = []
        self.faults: list[str] = []
        context.add_init_script(_TELL_VIOLATIONS)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))
        context.on("request", self._asked)

    def expect(self, pattern: str) -> None:
        """Let pass what a test brings about itself, such as a server that is away."""
        self._expected.append(pattern)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type != "error":
            return
        place = urlsplit(message.location["url"]).path
        if _REFUSED.match(message.text) and place.startswith(("/api/", "/session")):
            return
        self._keep(f"console: {message.text} ({place})")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._origin:
            self._keep(f"left the origin: {request.url}")

    def _keep(self, fault: str) -> None:
        if not any(re.search(each, fault) for each in self._expected):
            self.faults.append(fault)


def axe_findings(page: Page) -> Sequence[str]:
    """What axe-core finds on a page that is serious or critical: rule, place, why."""
    page.evaluate(_AXE.read_text())
    found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{rule['id']} at {node['target']}: {node['failureSummary']}"
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
