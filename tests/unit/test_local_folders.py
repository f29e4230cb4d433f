"""The folders of a home are its owner's own, whatever lay there before."""

import os
from pathlib import Path

import pytest

from headrace_local.folders import find_home, prepare
from headrace_local.layout import Home
from headrace_model.errors import Conflict, InvalidInput


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


def test_what_another_start_has_made_before_its_config_is_no_foreign_folder(
    tmp_path: Path,
) -> None:
    home = find_home(tmp_path / "home")
    prepare(home)
    (home.root / "config.json.0123abcd.part").touch()
    prepare(home)


@pytest.mark.parametrize("name", ["thesis.tex", "redis/mine.rdb", "config.jsonl", "mine/a"])
def test_a_folder_with_what_somebody_wrote_is_refused(tmp_path: Path, name: str) -> None:
    home = find_home(tmp_path / "home")
    (home.root / name).parent.mkdir(parents=True)
    (home.root / name).touch()
    with pytest.raises(InvalidInput, match="is not empty and no state folder"):
        prepare(home)
