"""The way into the GUI of this machine."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from headrace_local import browser, power, processes
from headrace_local.config import Config, save
from headrace_local.folders import find_home, prepare


@pytest.mark.parametrize("ours", [True, False])
def test_a_code_is_given_only_where_our_services_hold_the_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))
    home, me = find_home(), processes.Found(os.getpid(), 1, "services")
    prepare(home)
    save(home, Config())
    home.admin_token.write_text("token")
    monkeypatch.setattr(power, "running", lambda _: me)
    monkeypatch.setattr(processes, "find", lambda *_: [me])
    monkeypatch.setattr(processes, "listens", lambda _, port: ours and port == Config().gui_port)
    done = CliRunner().invoke(browser.gui, [])
    assert (done.exit_code == 0, "#code=" in done.output) == (ours, ours)
