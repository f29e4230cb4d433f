"""Each cause says to people what happened and what to do."""

import re

import pytest

from headrace_agent.core.ends import exit_code_text
from headrace_client.cli import headrace
from headrace_model.cause import MEANINGS, Cause, next_step


@pytest.mark.parametrize("cause", Cause)
def test_each_cause_has_a_sentence_and_a_next_step(cause: Cause) -> None:
    assert not MEANINGS[cause].what.endswith("."), "it goes on after the name of the cause"
    assert len(MEANINGS[cause].what) > 10
    assert len(next_step(cause, "x")) > 10


def test_what_a_next_step_tells_to_run_exists() -> None:
    told = [next_step(cause, "0123456789abcdef") for cause in Cause]
    commands = re.findall(r"`headrace ([a-z]+) ([a-z]+)", " ".join(told))
    assert len(commands) > 5
    for group, name in commands:
        found = headrace.get_command(None, group)  # type: ignore[arg-type] # needs no context
        assert name in found.commands  # type: ignore[union-attr] # a group


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (3, "exit code 3"),
        (125, "exit code 125"),
        (127, "exit code 127: to a shell that is a command that it does not find"),
        (137, "exit code 137: to a shell that is a program ended by SIGKILL"),
        (139, "exit code 139: to a shell that is a program ended by SIGSEGV"),
        (255, "exit code 255"),
    ],
)
def test_exit_codes_of_shells_are_translated(code: int, said: str) -> None:
    assert exit_code_text(code) == said
