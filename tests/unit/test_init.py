"""`headrace init`: its file explains every key, and is right as it is and with each of them."""

import re
from pathlib import Path
from typing import Any

import pytest

from headrace_client.cli import exits, run_cli
from headrace_client.cli.init import template
from headrace_kinds.registry import all_kinds, kind_named
from headrace_wire.jobfile import load_jobfile
from headrace_wire.jsonschema import job_json_schema
from headrace_wire.kindsettings import schema_of
from headrace_wire.yamlfile import parse_yaml
from tests.support.job_file_keys import job_file_keys

_OFF = re.compile(r"^( *)#(?=\w+:)")
_KEY = re.compile(r"^ *#?\w+:")


def _blocks(kind: str) -> list[tuple[int, int]]:
    """The lines (from, to) of each key that is commented out, with what stands below it."""
    lines = template(kind).splitlines()
    depths = {at: len(found[1]) for at, line in enumerate(lines) if (found := _OFF.match(line))}
    blocks: list[tuple[int, int]] = []
    for at, depth in depths.items():
        if blocks and at < blocks[-1][1]:
            continue
        end = at + 1
        while depths.get(end, -1) > depth:
            end += 1
        blocks.append((at, end))
    return blocks


def _with(kind: str, *blocks: tuple[int, int]) -> str:
    """The template with these blocks put into effect."""
    lines = template(kind).splitlines()
    for begin, end in blocks:
        lines[begin:end] = [_OFF.sub(r"\1", line) for line in lines[begin:end]]
    return "\n".join(lines) + "\n"


def _loads(text: str) -> None:
    load_jobfile(text, read_file=lambda _: b"")


def _reached(plain: Any, path: list[str]) -> bool:
    if not path:
        return True
    if not isinstance(plain, dict):
        return False
    step, *rest = path
    inner = plain.values() if step == "NAME" else [plain[step]] if step in plain else []
    return any(_reached(each, rest) for each in inner)


def test_the_file_has_every_key_with_a_line_about_it() -> None:
    kind = "command"
    plain = parse_yaml(_with(kind, *_blocks(kind)), what="template").value
    keys = [key for key in job_file_keys(job_json_schema()) if key != "settings"]
    assert len(keys) > 25
    assert [key for key in keys if not _reached(plain, key.split("."))] == []
    lines = template(kind).splitlines()
    silent = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if _KEY.match(line) and "  # " not in line and not before.startswith("# ")
    ]
    # What a group is for stands above it.
    assert [line for line in silent if not line.endswith(":")] == []


@pytest.mark.parametrize("kind", all_kinds())
def test_the_file_of_a_kind_has_every_setting_with_its_sentence(kind: str) -> None:
    if kind_named(kind).settings is None:
        assert "\nsettings:" not in template(kind)
        return
    plain = parse_yaml(_with(kind, *_blocks(kind)), what="template").value
    schema = schema_of(kind_named(kind).settings).json_schema()
    assert set(plain["settings"]) == set(schema["properties"])
    for name, each in schema["properties"].items():
        assert each["description"], name


@pytest.mark.parametrize("kind", all_kinds())
def test_the_file_is_right_as_it_stands_and_with_each_key(kind: str) -> None:
    _loads(template(kind))
    for block in _blocks(kind):
        _loads(_with(kind, block))


def test_what_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "my job.yaml"
    assert run_cli(["init", str(file)]) == exits.OK
    assert f"exec from_file '{file}' --follow" in capsys.readouterr().err
    assert run_cli(["exec", "validate", str(file)]) == exits.OK
    file.write_text("mine")
    assert run_cli(["init", str(file)]) == exits.REFUSED
    assert "is there already" in capsys.readouterr().err
    assert file.read_text() == "mine"


def test_a_dash_writes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["init", "-", "--kind", "command"]) == exits.OK
    _loads(capsys.readouterr().out)


def test_an_unknown_kind_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["init", "-", "--kind", "comand"]) == exits.REFUSED
    assert "did you mean command?" in capsys.readouterr().err


def test_who_writes_a_kind_with_settings_is_not_told_that_it_runs_as_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run.yaml"
    assert run_cli(["init", str(file), "--kind", "ngen"]) == exits.OK
    said = capsys.readouterr().err
    assert f"headrace exec plan {file}" in said
    assert "as it stands" not in said
