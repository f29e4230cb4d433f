"""`--set KEY=VALUE`: what an edit of the file could do, typed and checked as in the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_client.cli import exits, run_cli
from headrace_model.errors import HeadraceError, InvalidInput
from headrace_wire.errors import InvalidJobFile
from headrace_wire.jobchanges import parse_change
from headrace_wire.jobfile import dump, load_jobfile

TEXT = """headrace: 1
kind: command
command: [echo, hello]
resources:
  cpus: 1
  memory: 2GiB
inputs:
  table: {path: ./table.csv}
"""


def changed(*changes: str) -> dict[str, Any]:
    return dump(load_jobfile(TEXT, changes=[parse_change(each) for each in changes]))


def refusal(*changes: str) -> str:
    with pytest.raises(HeadraceError) as caught:
        changed(*changes)
    return caught.value.message


def test_a_change_does_what_an_edit_of_the_file_does() -> None:
    edited = TEXT.replace("cpus: 1", "cpus: 500m").replace("hello", "'0012'")
    edited += "priority: 70\nenv: {OMP_NUM_THREADS: 2, EMPTY: ''}\narray: {items: [a, b]}\n"
    assert changed(
        "resources.cpus=500m",
        "command[1]='0012'",
        "priority=70",
        "env.OMP_NUM_THREADS=2",
        "env.EMPTY=''",
        "array.items=[a, b]",
    ) == dump(load_jobfile(edited))


def test_the_last_change_of_a_key_counts_and_null_takes_a_key_away() -> None:
    found = changed("name=first", "name=second", "inputs=")
    assert (found["name"], "inputs" in found) == ("second", False)


def test_the_values_that_were_read_stay_as_they_were() -> None:
    plain = {"headrace": 1, "kind": "command", "command": ["echo", "hello"]}
    load_jobfile(plain, changes=[parse_change("command[1]=bye"), parse_change("env.A=b")])
    assert plain == {"headrace": 1, "kind": "command", "command": ["echo", "hello"]}


@pytest.mark.parametrize(
    ("change", "guess"),
    [
        ("prioritty=70", "did you mean priority?"),
        ("memory=2GiB", "did you mean resources.memory?"),
        ("resources.memroy=2GiB", "did you mean resources.memory?"),
        ("inputs.table.fromat=X", "did you mean inputs.table.format?"),
        ("inputs.table.domain.TIEM=x", "did you mean inputs.table.domain.TIME?"),
        ("zzzz=1", "known are after, array, checkpoint, command,"),
    ],
)
def test_an_unknown_key_names_the_nearest(change: str, guess: str) -> None:
    key = change.partition("=")[0]
    assert refusal(change).startswith(f"{key}: unknown key; {guess}")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("name.x=1", "name.x: name has no keys below it"),
        ("name[0]=1", "name[0]: name is no list"),
        ("command[2]=x", "command[2]: there is no member [2]: the list has 2"),
        ("files[0]=run.py", "files[0]: there is no member [0]: the list has 0"),
    ],
)
def test_a_place_that_is_not_there_is_named(change: str, why: str) -> None:
    assert refusal(change).startswith(why)


@pytest.mark.parametrize("change", ["", "name", "=1", "a..b=1", "command[x]=1", "a b=1"])
def test_what_is_no_change_is_refused_with_an_example(change: str) -> None:
    with pytest.raises(InvalidInput, match="is not KEY=VALUE") as caught:
        parse_change(change)
    assert "--set resources.cpus=2" in str(caught.value.hint)


def test_a_value_that_is_no_yaml_is_refused_with_the_way_to_quote_it() -> None:
    with pytest.raises(InvalidInput, match=r"--set env.PATTERN: this value") as caught:
        parse_change("env.PATTERN=*.csv")
    assert caught.value.hint == """where it is meant as text, quote it: --set 'env.PATTERN="…"'"""


def test_a_wrong_value_is_told_as_in_the_file_but_with_no_line_of_it() -> None:
    with pytest.raises(InvalidJobFile) as caught:
        changed("resources.memory=4", "command=[]")
    problems = {each.path: each for each in caught.value.problems}
    assert "has no unit" in problems["resources.memory"].message
    assert [each.line for each in problems.values()] == [0] * len(problems)


def test_the_command_line_changes_before_it_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.csv").touch()
    yaml, text = tmp_path / "job.yaml", tmp_path / "job.json"
    yaml.write_text(TEXT.replace("cpus: 1", "cpus: many"))
    assert run_cli(["exec", "validate", str(yaml)]) == exits.REFUSED
    words = ["--set", "resources.cpus=2", "--set", "name=mended", "-o", "json"]
    assert run_cli(["exec", "validate", str(yaml), *words]) == exits.OK
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["resources"]["cpus"]) == ("mended", 2)
    text.write_text(json.dumps({"headrace": 1, "kind": "command", "command": ["true"]}))
    assert run_cli(["exec", "from_json", str(text), "--set", "prioritty=3"]) == exits.REFUSED
    assert "did you mean priority?" in capsys.readouterr().err


def test_settings_of_a_kind_are_changed_and_checked_by_their_reader() -> None:
    plain = {"headrace": 1, "kind": "ngen", "settings": {"time": ["2015-12-01", "2015-12-02"]}}
    found = load_jobfile(plain, changes=[parse_change("settings.catchments=[cat-27]")])
    assert found.settings.catchments == ("cat-27",)
    with pytest.raises(InvalidJobFile, match=r"settings.forcng: .*did you mean"):
        load_jobfile(plain, changes=[parse_change("settings.forcng=CSV")])
