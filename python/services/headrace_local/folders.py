"""Making and removing the state folder, so that nobody but its owner can read it."""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from secrets import token_hex

from headrace_agent.trees import remove_tree
from headrace_local.layout import Home, root_from
from headrace_model.errors import Conflict, InvalidInput


def find_home(root: Path | None = None) -> Home:
    """The home at `root`, or where the environment says."""
    where = root or root_from(os.environ, Path.home(), Path.cwd())
    # Resolved: a home has one id, by whichever symlink it is reached.
    return Home(where.resolve(), os.geteuid(), Path(tempfile.gettempdir()).resolve())


def prepare(home: Home) -> None:
    """Make all folders, mode 0700; success when they are there.

    Raises `Conflict` where another user owns one, and `InvalidInput` where the root holds
    something else than a state folder of ours.
    """
    try:
        if home.root.is_dir() and _holds_others(home) and not home.config.exists():
            raise InvalidInput(
                f"{home.root} is not empty and no state folder of Headrace",
                hint="set HEADRACE_HOME to a folder that is new or empty",
            )
        home.root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (home.root, *home.folders, home.sockets):
            _make_private(folder)
    except OSError as error:
        raise InvalidInput(
            f"the state folder {home.root} can't be made: {error.strerror} ({error.filename})",
            hint="set HEADRACE_HOME to a folder that you may write",
        ) from error


def _holds_others(home: Home) -> bool:
    """Tell whether the root holds more than what another `up` makes before it has a config."""
    return any(
        not entry.name.startswith(f"{home.config.name}.")
        if entry not in home.folders
        else any(not each.is_dir() for each in entry.rglob("*"))
        for entry in home.root.iterdir()
    )


def _make_private(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    # lstat: in an open temporary folder somebody may have laid a symlink for us to follow.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise Conflict(
            f"{folder} is not a folder of this user's own",
            hint="remove it, or set HEADRACE_HOME to another folder",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600 that is there whole or not at all, also after a crash."""
    part = path.with_name(f"{path.name}.{token_hex(4)}.part")
    number = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(number)
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove(home: Home) -> None:
    """Remove what Headrace made below the root, and the root where nothing else is in it."""
    for entry in home.entries:
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            entry.unlink(missing_ok=True)
    if home.sockets != home.run and home.sockets.is_dir() and not home.sockets.is_symlink():
        remove_tree(home.sockets)
    with contextlib.suppress(OSError):  # not empty: the rest is not ours
        home.root.rmdir()
