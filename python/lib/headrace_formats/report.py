"""What a reader finds wrong or doubtful in a file, each with its place."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from headrace_formats.errors import FormatError

MOST_FINDINGS: Final = 200
_MESSAGE_LENGTH: Final = 500
_WHERE_LENGTH: Final = 200


class Severity(StrEnum):
    """ERROR: the file is not of the format. WARNING: it is, but what it says is doubtful."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong at a place: a line and column, a variable, a feature, a key."""

    severity: Severity
    where: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


@dataclass(slots=True)
class Report:
    """Takes what a reader finds. Not `lenient`, the first error ends the reading.

    A reader calls `error` for what is wrong at one place and goes on behind it; what it can't
    go on from it raises as a `FormatError`.
    """

    lenient: bool = False
    findings: list[Finding] = field(default_factory=list)
    place: str = ""

    def within(self, place: str) -> "Report":
        """The report of a part, such as a file in an archive: the same, each with its place."""
        return Report(self.lenient, self.findings, place)

    def error(self, where: str, message: str, hint: str | None = None) -> None:
        """Say what is wrong; raises `FormatError`, unless lenient and not yet too many."""
        found = self._finding(Severity.ERROR, where, message, hint)
        if not self.lenient:
            raise FormatError(str(found), hint=hint)
        self.findings.append(found)
        if len(self.findings) >= MOST_FINDINGS:
            raise FormatError(f"it has {MOST_FINDINGS} findings or more: the rest was not read")

    def warn(self, where: str, message: str, hint: str | None = None) -> None:
        """Say what is right by the format and doubtful all the same, once; never raises."""
        found = self._finding(Severity.WARNING, where, message, hint)
        said = any(str(each) == str(found) for each in self.findings)
        if len(self.findings) < MOST_FINDINGS and not said:
            self.findings.append(found)

    def _finding(self, severity: Severity, where: str, message: str, hint: str | None) -> Finding:
        where = ", ".join(each for each in (self.place, where) if each)
        return Finding(severity, plain(where, _WHERE_LENGTH), plain(message), hint)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What is wrong."""
        return tuple(each for each in self.findings if each.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What is doubtful."""
        return tuple(each for each in self.findings if each.severity is Severity.WARNING)


def plain(text: str, most: int = _MESSAGE_LENGTH) -> str:
    """Keep a text readable: a stranger's file name or attribute may be long or unprintable."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[: most + 1])
    return shown if len(text) <= most else shown[:most] + "…"
