"""The folders of a home are its owner's own, whatever lay there before."""

import os
from pathlib import Path

import pytest

from headrace_local.folders import prepare
from headrace_local.layout import Home
from headrace_model.errors import Conflict


def test_a_folder_that_somebody_else_laid_is_refused(tmp_path: Path) -> None:
    theirs, temp = tmp_path / "theirs", tmp_path / "tmp"
    theirs.mkdir()
    temp.mkdir()
    home = Home(tmp_path / ("long" * 30), os.geteuid(), temp)
    assert home.sockets.parent == temp  # its path is too long for sockets of its own
    home.sockets.symlink_to(theirs)
    with pytest.raises(Conflict, match="not a folder of this user's own"):
        prepare(home)
    assert list(theirs.iterdir()) == []


def test_a_folder_that_was_open_to_all_is_closed(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", os.geteuid(), tmp_path)
    prepare(home)
    home.passwords.chmod(0o777)
    home.config.touch()
    prepare(home)
    assert home.passwords.stat().st_mode & 0o777 == 0o700
