"""The command line without a server: words, help, errors and exit codes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from headrace_client.cli import exits, headrace, run_cli
from headrace_client.cli.used import cpu_text, peak_text
from headrace_client.connection import find_connection
from headrace_client.errors import error_of
from headrace_client.localfiles import content_hash, files_below
from headrace_model.cause import Cause
from headrace_model.errors import (
    Conflict,
    HeadraceError,
    InvalidInput,
    InvalidName,
    NotFound,
    Unauthorized,
    Unavailable,
)
from headrace_model.status import Desired, Status
from headrace_wire.api import JobView, ResourcesView, read_view
from headrace_wire.usage import UsageView
from tests.support.said_server import said_server

GOOD = "headrace: 1\nkind: command\ncommand: [echo, hello]\n"


def _all_commands() -> list[list[str]]:
    found: list[list[str]] = []

    def walk(group: click.Group, words: list[str]) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            if name == "local":
                continue  # another package's
            command = group.get_command(context, name)
            assert command is not None
            found.append([*words, name])
            if isinstance(command, click.Group):
                walk(command, [*words, name])

    walk(headrace, [])
    return found


@pytest.mark.parametrize("words", _all_commands(), ids=" ".join)
def test_every_command_answers_h_with_an_example_within_100_columns(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli([*words, "-h"]) == exits.OK
    said = capsys.readouterr().out
    assert "Example: headrace " in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("words", [*_all_commands(), ["local", "up"]], ids=" ".join)
def test_every_option_says_what_it_is_for(words: list[str]) -> None:
    command: click.Command = headrace
    for word in words:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), word)
        assert found is not None
        command = found
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [each.opts for each in options if not each.help] == []


def test_a_dash_and_an_underscore_are_alike(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(GOOD)
    for word in ("from_file", "from-file"):
        assert run_cli(["exec", word, "-h"]) == exits.OK
    assert run_cli(["dataset", "domain", "list-detectors", "-h"]) == exits.OK


def test_a_group_alone_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["jobs"]) == exits.USAGE
    assert capsys.readouterr().err.startswith("Usage: headrace jobs")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["jobs", "hisotry", "x"]) == exits.USAGE
    assert "did you mean history?" in capsys.readouterr().err


def test_validate_shows_all_that_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(GOOD)
    assert run_cli(["exec", "validate", str(file), "-o", "json"]) == exits.OK
    assert json.loads(capsys.readouterr().out)["command"] == ["echo", "hello"]
    file.write_text(GOOD + "priority: 1000\nresources: {memory: 4}\n")
    assert run_cli(["exec", "validate", str(file)]) == exits.REFUSED
    said = capsys.readouterr().err
    assert "priority" in said
    assert "memory" in said


def test_validate_names_the_input_whose_file_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(GOOD + "inputs: {here: {path: ./job.yaml}, gone: {path: ./gone.csv}}\n")
    assert run_cli(["exec", "validate", str(file)]) == exits.REFUSED
    said = capsys.readouterr().err
    assert "inputs.gone.path: './gone.csv' is neither a file nor a folder" in said
    assert "inputs.here" not in said


def test_a_missing_file_is_a_sentence_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["exec", "from_file", str(tmp_path / "none.yaml")]) == exits.REFUSED
    assert "No such file" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path))
    assert run_cli(["jobs", "list"]) == exits.REFUSED
    assert "headrace local up" in capsys.readouterr().err
    (tmp_path / "token").write_text("hrt_x\n")
    token = str(tmp_path / "token")
    words = ["--url", "http://127.0.0.1:9", "--token-file", token, "jobs", "list"]
    assert run_cli(words) == exits.UNAVAILABLE
    assert "no Headrace answers" in capsys.readouterr().err


def test_help_imports_no_large_library() -> None:
    """So that it comes within 0.3 s on a quiet machine, which no busy one could be asked for."""
    large = ["aiohttp", "cryptography", "headrace_local", "marshmallow", "redis", "rich", "yaml"]
    code = "import sys; from headrace_client.cli import run_cli; run_cli(['-h']);"
    code += "print('imported', *(set(sys.modules) & set(sys.argv[1:])))"
    done = subprocess.run(
        [sys.executable, "-c", code, *large], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "imported"


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", "from headrace_client.cli import main; main()", "-h"],
        check=False,
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthorized("x"), 6),
        (NotFound("x"), 3),
        (Unavailable("x"), 5),
        (Conflict("x"), 4),
        (InvalidName("x"), 4),
        (HeadraceError("x"), 70),
    ],
)
def test_each_error_has_its_exit_code(error: HeadraceError, code: int) -> None:
    assert exits.code_of(error) == code


def _view(status: Status, cause: Cause | None = None, exit_code: int | None = None) -> JobView:
    return JobView(
        id="0" * 16, name="x", kind="command", owner="ann", status=status, desired=Desired.RUN,
        version=1, attempt=1, retries=0, priority=50, created="", entered="", cause=cause,
        detail="", exit_code=exit_code, resources=ResourcesView(1.0, 1), allocation=(),
        outputs={}, after=(), origin=None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (_view(Status.COMPLETED, exit_code=0), 0),
        (_view(Status.FAILED, Cause.EXIT_CODE, 42), 42),
        (_view(Status.FAILED, Cause.EXIT_CODE, -9), 137),
        (_view(Status.FAILED, Cause.TIME_LIMIT), 1),
        (_view(Status.DATA_UNPROVIDEABLE), 1),
        (_view(Status.CANCELED), 7),
        (_view(Status.STOPPED), 7),
    ],
)
def test_a_followed_job_gives_its_exit_code(view: JobView, code: int) -> None:
    assert exits.code_of_job(view) == code


def _used(cpu_s: float | None, mean: float | None, peak: int | None) -> UsageView:
    return UsageView("0" * 16, 1, 2.0, 4 * 2**30, cpu_s, mean, peak, 1, ())


def test_what_was_used_stands_beside_what_is_held() -> None:
    view = replace(_view(Status.COMPLETED), peak_memory=2**20)
    full, one, none = (
        _used(1616.04, 1.834, 2**29),
        _used(0.5, None, 2**29),
        _used(None, None, None),
    )
    assert cpu_text(full) == "1.83 of 2 on average, 1,616.0 s in all"
    assert cpu_text(one) == "0.5 s in all"
    assert [cpu_text(none), cpu_text(None)] == ["", ""]
    assert peak_text(view, full) == "512.0 MiB of 4.0 GiB"
    assert [peak_text(view, none), peak_text(view, None)] == ["1.0 MiB", "1.0 MiB"]
    assert peak_text(_view(Status.RUNNING), None) == ""


def test_options_come_before_the_environment_and_that_before_this_machine(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("local-token")
    (tmp_path / "mine").write_text("my-token")
    client = {"url": "http://127.0.0.1:1", "token_file": str(tmp_path / "here")}
    (tmp_path / "client.json").write_text(json.dumps(client))
    home = {"HEADRACE_HOME": str(tmp_path)}
    found = find_connection(None, None, home)
    assert (found.url, found.token) == ("http://127.0.0.1:1", "local-token")
    env = {**home, "HEADRACE_URL": "http://other:2/", "HEADRACE_TOKEN": "t"}
    assert find_connection(None, None, env).url == "http://other:2"
    mine = find_connection("http://third:3", str(tmp_path / "mine"), env)
    assert mine.token == (tmp_path / "mine").read_text()
    with pytest.raises(Unauthorized):  # this machine's token is not shown to another server
        find_connection("http://other:2", None, home)
    with pytest.raises(InvalidInput):
        find_connection("ftp://x", None, env)


def test_a_problem_becomes_the_error_that_it_names() -> None:
    error = error_of(409, {"code": "CONFLICT", "detail": "no", "hint": "wait"})
    assert (type(error), error.message, error.hint) == (Conflict, "no", "wait")
    assert isinstance(error_of(409, {"code": "LINKED"}), Conflict)
    assert isinstance(error_of(503, None), Unavailable)


def test_a_view_ignores_what_a_newer_server_adds() -> None:
    view = read_view(ResourcesView, {"cpus": 1, "memory": 2, "qubits": 3})
    assert view == ResourcesView(1.0, 2)


def test_the_files_of_a_folder_are_found_below_it_and_hashed_together(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("1")
    (tmp_path / "b.csv").write_text("2")
    assert [each.item for each in files_below(tmp_path)] == ["a/x.csv", "b.csv"]
    assert [each.item for each in files_below(tmp_path / "b.csv")] == ["b.csv"]
    assert content_hash([("a", "1"), ("b", "2")]) == content_hash([("b", "2"), ("a", "1")])
    assert content_hash([("a", "1")]) != content_hash([("b", "1")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput):
        files_below(tmp_path / "empty")


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_download_of_no_outputs_is_refused_and_a_list_of_none_is_not(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with said_server() as server:
        monkeypatch.setenv("HEADRACE_URL", server.url)
        monkeypatch.setenv("HEADRACE_TOKEN", "hrt_ann")
        words = ["jobs", "outputs", "0123456789abcdef", "-o", form]
        for more, code in ([], exits.OK), (["--download", str(tmp_path)], exits.REFUSED):
            server.says("GET /jobs/0123456789abcdef/outputs", {"outputs": {}})
            kept = "GET /datasets?job=0123456789abcdef&state=OPEN&limit=1000"
            server.says(kept, {"datasets": [], "cursor": None})
            assert run_cli([*words, *more]) == code
    assert "has no sealed output to download" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
