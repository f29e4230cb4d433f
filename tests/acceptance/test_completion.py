"""TAB in a real bash: the script that `headrace completion bash` writes, and what it offers."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.conftest import Headrace, until

_PRESS_TAB = """
source <(headrace completion bash)
[[ $(complete -p headrace) == *_headrace_completion* ]] || exit 9
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_headrace_completion headrace
printf '%s\\n' "${COMPREPLY[@]}"
"""
_WITHIN_S = 60.0

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")


def offers(home: Path, *words: str) -> list[str]:
    """What bash offers after TAB behind the last of these words."""
    programs = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "--norc", "-c", _PRESS_TAB, "bash", "headrace", *words],
        env={
            **os.environ,
            "HEADRACE_HOME": str(home),
            "PATH": f"{programs}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_commands_options_and_known_words_need_no_server(tmp_path: Path) -> None:
    assert offers(tmp_path, "jo") == ["jobs"]
    assert offers(tmp_path, "exec", "from-f") == ["from_file"]
    assert {"init", "doctor", "local", "jobs"} <= set(offers(tmp_path, ""))
    assert offers(tmp_path, "jobs", "list", "--st") == ["--status"]
    assert offers(tmp_path, "jobs", "list", "--status", "run") == ["RUNNING"]
    assert offers(tmp_path, "jobs", "list", "-o", "") == ["table", "json", "yaml"]
    assert offers(tmp_path, "init", "--kind", "c") == ["calibration", "command"]


def test_without_a_server_nothing_is_offered_and_nothing_is_said(tmp_path: Path) -> None:
    assert offers(tmp_path, "jobs", "info", "") == []
    (tmp_path / "token").write_text("two\nlines\n")
    away = ("--url", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token"))
    assert offers(tmp_path, *away, "dataset", "info", "") == []


def test_jobs_and_datasets_of_the_server_are_offered(headrace: Headrace, tmp_path: Path) -> None:
    home = headrace.home.root
    job = headrace.submit("true")
    # `until`: on a busy machine a server may not answer within the second that it is given.
    until(lambda: job in offers(home, "jobs", "info", ""), "the job to be offered")
    until(lambda: offers(home, "jobs", "cancel", job, job[:15]) == [job], "the one that begins so")
    assert offers(home, "jobs", "info", "zzzz") == []
    (tmp_path / "file").write_text("x")
    made = headrace.cli(
        "dataset", "create", "tab-data", "--category", "CONFIG", "--upload", str(tmp_path)
    )
    assert made.returncode == 0, made.stderr
    until(lambda: offers(home, "dataset", "info", "tab-") == ["tab-data"], "the dataset")
    until(lambda: offers(home, "dataset", "info", "tab-data@") == ["tab-data@1"], "its version")
