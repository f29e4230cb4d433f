"""The errors of messages.

InvalidSpec (headrace_model)
└── InvalidJobFile      a job file with one or more problems, each with its place
"""

from collections.abc import Sequence
from dataclasses import dataclass

from headrace_model.errors import InvalidSpec

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: `path` as in `resources.memory` or `command[2]`, `line` 0 when unknown."""

    path: str
    message: str
    line: int = 0

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f" (line {self.line})" if self.line else "")


class InvalidJobFile(InvalidSpec):
    """A job file that can't be a job; `problems` holds all that was found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        shown = [str(each) for each in problems[:_SHOWN]]
        if len(problems) > _SHOWN:
            shown.append(f"and {len(problems) - _SHOWN} more")
        text = (
            shown[0] if len(shown) == 1 else f"{len(problems)} problems:\n  " + "\n  ".join(shown)
        )
        super().__init__(text)
        self.path = problems[0].path
        self.problems = tuple(problems)
