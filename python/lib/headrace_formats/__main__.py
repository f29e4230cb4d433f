"""The child of `runner`: detects one folder under limits and answers in JSON.

Arguments: limits (JSON), folder, the wanted format or "", and the folders inside that count (none:
all of it). stdout: one JSON object, either
`{"format", "domain", "notes"}` or `{"error", "hint"}`. stderr: `reading <file>` lines.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from headrace_formats.detect import detect_files, load_libraries, walk, walk_inside
from headrace_formats.errors import FormatError
from headrace_formats.limits import Limits, allow_one_more_file
from headrace_formats.registry import all_formats


def _progress(name: str) -> None:
    sys.stderr.write(f"reading {name[:1024]!a}\n")
    sys.stderr.flush()


def _answer(folder: Path, wanted: str | None, inside: Sequence[str]) -> dict[str, Any]:
    try:
        all_formats()
        files, notes = walk_inside(folder, inside) if inside else walk(folder)
        load_libraries(files)
        allow_one_more_file()
        found = detect_files(files, wanted, notes, _progress)
    except FormatError as error:
        return {"error": error.message, "hint": error.hint}
    except MemoryError:
        return {"error": "reading the files needs too much memory", "hint": None}
    return {
        "format": found.format,
        "domain": found.domain.to_plain(),
        "notes": list(found.notes),
    }


def main() -> None:
    """Bind this process, detect, answer."""
    limits, folder, wanted, *inside = sys.argv[1:]
    Limits.from_text(limits).apply()
    answer = _answer(Path(folder), wanted or None, inside)
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
