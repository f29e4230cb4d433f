"""PIP_LOCK: a hash-locked list of Python packages, as `pip install --require-hashes` reads it.

Lines `name==version --hash=sha256:...`, with comments, extras, markers and continued lines;
options (an index, other files) are refused, because a lock says by itself what is installed.
"""

import re
from pathlib import Path
from typing import Final

from headrace_formats.base import FileDomain, Format, open_plain
from headrace_formats.errors import FormatError
from headrace_formats.report import Report
from headrace_model.dataset import Category

_MOST_BYTES: Final = 16 << 20
_COMMENT: Final = re.compile(r"(^|\s)#.*$")
_PIN: Final = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._,\s-]*\])?\s*==\s*"
    r"[A-Za-z0-9.!+_-]+\s*(?:;[^#]*?)?(?P<hashes>(?:\s+--hash=sha256:[0-9a-f]{64})*)",
    re.ASCII,
)


def _sniff(head: bytes) -> bool:
    return b"==" in head and b"--hash=sha256:" in head and b"\0" not in head


def _read(path: Path, report: Report) -> FileDomain:
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"it is larger than {_MOST_BYTES:,} bytes")
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        raise FormatError("it is not valid UTF-8") from None
    pins, pending, begun = 0, "", 1
    for number, raw in enumerate(lines, start=1):
        if not pending:
            begun = number
        pending += _COMMENT.sub("", raw).rstrip()
        if pending.endswith("\\"):
            pending = pending[:-1] + " "
            continue
        if pending.strip():
            _check(pending.strip(), f"line {begun}", report)
            pins += 1
        pending = ""
    if pending.strip():
        raise FormatError(f"line {begun} is continued, but the file ends")
    if not pins:
        raise FormatError("it names no package")
    return FileDomain()


def _check(line: str, where: str, report: Report) -> None:
    head, mark, hashes = line.partition("--hash=")
    found = _PIN.fullmatch(f"{head.rstrip()} {mark}{hashes}".rstrip())
    if found is None:
        report.error(where, f"{line[:60]!r} is not name==version --hash=sha256:...")
    elif not found["hashes"]:
        report.error(where, f"{line[:60]!r} has no hash")


FORMAT: Final = Format(
    name="PIP_LOCK",
    summary="lines name==version --hash=sha256:... of a hash-locked Python environment",
    categories=(Category.CONFIG,),
    indexes=(),
    sniff=_sniff,
    read=_read,
    source="pip, `--require-hashes`",
)
