"""The nest's journal: what a new nest reads after the old one was killed at any moment."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_adapters.backends.nest_journal import Journal, Record, replay

KEYS = st.sampled_from(["a.1.0", "a.1.1", "b.2.0"])


def intent(key: str) -> Record:
    return {"key": key, "boot": "boot", "memory": None, "exclusive": False}


def ended(key: str, code: int = 0) -> Record:
    return {"key": key, "cause": "EXITED", "exit_code": code}


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("intend"), KEYS),
        st.tuples(st.just("started"), KEYS),
        st.tuples(st.just("exited"), KEYS),
        st.tuples(st.just("forget"), KEYS),
    ),
    max_size=30,
)


def do(journal: Journal, model: dict[str, Record], step: tuple[str, str]) -> None:
    """Do a step as the nest would, and to a plain dictionary as well."""
    action, key = step
    if action == "intend" and key not in model:
        journal.intend(intent(key))
        model[key] = intent(key)
    elif action == "started" and key in model and "exit" not in model[key]:
        journal.started(key, 7, 70)
        model[key] |= {"pid": 7, "start": 70}
    elif action == "exited" and key in model and "exit" not in model[key]:
        journal.exited(ended(key))
        model[key] |= {"exit": ended(key)}
    elif action == "forget" and "exit" in model.get(key, {}):
        del model[key]
        journal.forget([key], model.values())


@given(STEPS, st.integers(0, 200))
def test_a_journal_cut_at_any_byte_gives_the_state_after_some_step(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal, model = Journal(str(path)), {}
    states = [json.dumps({})]
    for step in steps:
        do(journal, model, step)
        states.append(json.dumps(model, sort_keys=True))
    data = path.read_bytes()
    assert replay(data) == model
    path.write_bytes(data[: max(0, len(data) - cut)])
    found = Journal(str(path)).read()
    assert json.dumps(found, sort_keys=True) in states
    assert path.read_bytes() == data[: path.stat().st_size], "only the torn line is cut off"


@given(st.binary(max_size=300))
def test_any_bytes_can_be_replayed(data: bytes) -> None:
    assert all(isinstance(key, str) for key in replay(data))


def test_a_torn_last_line_is_cut_off_and_the_next_line_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
    journal.intend(intent("a.1.0"))
    with path.open("ab") as file:
        file.write(b'{"exit":{"key":"a.1.0","ca')
    journal = Journal(str(path))
    assert journal.read() == {"a.1.0": intent("a.1.0")}
    journal.intend(intent("b.1.0"))
    assert list(Journal(str(path)).read()) == ["a.1.0", "b.1.0"]


def test_nuls_of_a_crashed_file_system_are_passed_over() -> None:
    line = json.dumps({"intent": intent("a.1.0")}).encode() + b"\n"
    assert list(replay(line + b"\0" * 64 + b"\n" + line.replace(b"a.1.0", b"b.1.0"))) == [
        "a.1.0",
        "b.1.0",
    ]


def test_forgetting_shrinks_the_file_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
    kept: dict[str, Record] = {}
    for number in range(50):
        key = f"kept.1.{number}"
        journal.intend(intent(key))
        journal.started(key, number, 3)
        kept[key] = {**intent(key), "pid": number, "start": 3}
    largest = 0
    for number in range(5000):
        key = f"gone.1.{number}"
        journal.intend(intent(key))
        journal.exited(ended(key))
        journal.forget([key], kept.values())
        largest = max(largest, path.stat().st_size)
    assert largest < 300_000
    assert Journal(str(path)).read() == kept


def test_a_line_that_did_not_fit_on_the_disk_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    journal = Journal(str(path))
    journal.intend(intent("a.1.0"))
    write: Any = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:9]))
    with pytest.raises(OSError, match="only 9 of"):
        journal.intend(intent("b.1.0"))
    monkeypatch.undo()
    journal.intend(intent("c.1.0"))
    assert list(Journal(str(path)).read()) == ["a.1.0", "c.1.0"]
