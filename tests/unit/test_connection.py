"""Client and `headrace local` look for the state folder in the same place."""

from pathlib import Path

import pytest

from headrace_client.connection import state_folder
from headrace_local.layout import root_from


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HEADRACE_HOME": "/srv/headrace"},
        {"XDG_DATA_HOME": "/data/user"},
        {"XDG_DATA_HOME": "not/absolute"},
        {"XDG_DATA_HOME": ""},
        {"XDG_DATA_HOME": "/data/user", "HEADRACE_HOME": "/srv/headrace"},
    ],
)
def test_both_find_the_same_folder(environ: dict[str, str]) -> None:
    assert state_folder(environ) == root_from(environ, Path.home(), Path.cwd())
