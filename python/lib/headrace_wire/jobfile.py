"""The job file: text or plain values → `JobSpec`, and back to the one canonical form.

A client reads YAML with `read_file`, replaces path inputs and sends `dump(spec)` as JSON; the
request service reads that with `sent=True` and keeps `dump_text(spec)`. Dump and load are exact
inverses: `load_jobfile(dump(spec)) == spec`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from marshmallow import ValidationError

from headrace_kinds.registry import kind_named
from headrace_model.errors import HeadraceError, InvalidSpec
from headrace_model.spec import JobSpec, Retry
from headrace_wire.errors import InvalidJobFile, Problem
from headrace_wire.jobchanges import Change, apply_changes
from headrace_wire.jobcheck import problems_of
from headrace_wire.jobschema import FILE_VERSION, JobSchema
from headrace_wire.jobvalues import file_spec
from headrace_wire.jsontext import canonical_json, parse_json
from headrace_wire.yamlfile import Path, parse_yaml

# Schemas hold no state between loads; building one costs more than using it.
_SCHEMA: Final = JobSchema()
_PLAIN_KEY: Final = 60

ReadFile = Callable[[str], bytes]


def load_jobfile(
    source: bytes | str | Mapping[str, Any],
    *,
    read_file: ReadFile | None = None,
    sent: bool = False,
    changes: Sequence[Change] = (),
) -> JobSpec:
    """Read a job file: YAML text, or the plain values of a JSON body.

    Most JSON is YAML too; escaped surrogate pairs are not (`load_jobtext` reads all JSON).

    `read_file` gives the content of a file that `files` names, by its path from the job file's
    folder; it may raise `OSError`. Without it files must carry their content. `sent`: refuse
    what makes sense on the client only (path inputs). `changes` are made before all checks.

    Raises `InvalidJobFile` (an `InvalidSpec`) with every problem found, `TooLarge`, and
    `InvalidInput` for text that is no YAML at all.
    """
    lines: dict[Path, int] = {}
    plain: Any = source
    if isinstance(source, bytes | str):
        parsed = parse_yaml(source, what="job file")
        plain, lines = parsed.value, parsed.lines
    if changes and isinstance(plain, Mapping):
        plain = apply_changes(plain, changes)
        lines = _elsewhere(lines, changes)
    return _load(plain, lines, read_file, sent=sent, stored=False)


def _elsewhere(lines: Mapping[Path, int], changes: Sequence[Change]) -> dict[Path, int]:
    """The lines without those of what was changed: what is wrong there stands in no line."""
    paths = [each.path for each in changes]
    kept = {
        place: line
        for place, line in lines.items()
        if not any(place[: len(path)] == path for path in paths)
    }
    return kept | dict.fromkeys(paths, 0)


def load_jobtext(text: bytes | str) -> JobSpec:
    """Read a job from JSON text, as stored: what its kind filled in then, it is not asked again,
    since a later version of it may fill in otherwise; and nothing is checked between its parts,
    since a later version may refuse what was taken then. Errors as `load_jobfile`.
    """
    return _load(parse_json(text, what="job"), {}, None, sent=True, stored=True)


def load_or_nothing(text: bytes | str) -> JobSpec:
    """Read a job as stored, for what must go on without it, such as its end: where this version
    can't read it, it asks for nothing, and no attempt follows.
    """
    try:
        return load_jobtext(text)
    except HeadraceError:
        return JobSpec("command", "command", retry=Retry(limit=0))


def dump(spec: JobSpec) -> dict[str, Any]:
    """Give the canonical plain form: defaults written out, empty parts left out."""
    plain: dict[str, Any] = _SCHEMA.dump(spec)
    return plain


def dump_text(spec: JobSpec) -> str:
    """Give the canonical JSON text: equal specs give equal texts."""
    return canonical_json(dump(spec))


def _load(
    plain: Any,
    lines: dict[Path, int],
    read_file: ReadFile | None,
    *,
    sent: bool,
    stored: bool,
) -> JobSpec:
    if not isinstance(plain, Mapping):
        raise InvalidJobFile(
            [Problem("", "a job file is a mapping of keys, for example `kind: command`")]
        )
    _check_version(plain)
    plain, problems = _read_files(plain, read_file)
    spec: JobSpec | None = None
    try:
        spec = _SCHEMA.load(plain)
    except ValidationError as error:
        problems += _flatten(error.messages, ())
    if spec is not None and not problems and not stored:
        try:
            spec = kind_named(spec.kind).complete(spec)
            found = problems_of(spec, sent=sent)
        except InvalidSpec as error:
            found = [Problem(error.path or "settings", error.reason)]
        problems += [(_parts(each.path), each.message) for each in found]
    if problems or spec is None:
        placed = [Problem(_shown(path), message, _line(path, lines)) for path, message in problems]
        raise InvalidJobFile(sorted(placed, key=lambda each: each.line))
    return spec


def _check_version(plain: Mapping[str, Any]) -> None:
    """Another version may mean other things by the same keys: nothing else is looked at."""
    version = plain.get("headrace")
    if isinstance(version, int) and not isinstance(version, bool) and version != FILE_VERSION:
        raise InvalidSpec(
            f"version {version} of the job file is not known; this Headrace reads version "
            f"{FILE_VERSION}",
            path="headrace",
            hint="write `headrace: 1`, or use a Headrace that knows the newer file",
        )


def _read_files(
    plain: Mapping[str, Any], read_file: ReadFile | None
) -> tuple[dict[str, Any], list[tuple[Path, str]]]:
    """Put the files' content in the place of their names."""
    files = plain.get("files")
    if read_file is None or not isinstance(files, list | tuple):
        return dict(plain), []
    read: list[Any] = []
    problems: list[tuple[Path, str]] = []
    for at, name in enumerate(files):
        if not isinstance(name, str):
            read.append(name)
            continue
        short = name.removeprefix("./")
        try:
            file_spec(short, b"")  # a bad name is refused before the disk sees it
            read.append(file_spec(short, read_file(name)))
        except ValidationError as error:
            problems.append((("files", at), str(error.messages[0])))
        except OSError as error:
            why = error.strerror or type(error).__name__
            problems.append((("files", at), f"{name!r} can't be read: {why}"))
        except HeadraceError as error:
            problems.append((("files", at), error.message))
    return {**plain, "files": read}, problems


def _flatten(messages: Any, path: Path) -> list[tuple[Path, str]]:
    if isinstance(messages, Mapping):
        return [
            found for key, inner in messages.items() for found in _flatten(inner, (*path, key))
        ]
    if isinstance(messages, list | tuple):
        return [found for inner in messages for found in _flatten(inner, path)]
    return [(path, str(messages))]


def _parts(path: str) -> Path:
    """Turn `command[2]` or `env.A` of a check back into its parts."""
    parts: list[str | int] = []
    for step in path.split(".") if path else ():
        name, _, position = step.partition("[")
        parts.append(name)
        if position:
            parts.append(int(position.rstrip("]")))
    return tuple(parts)


def _shown(path: Path) -> str:
    """Write a path; a stranger's key is cut short and shown without control characters."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            plain = step if step.isprintable() and step else repr(step)
            cut = plain if len(plain) <= _PLAIN_KEY else plain[:_PLAIN_KEY] + "…"
            text += f".{cut}" if text else cut
    return text


def _line(path: Path, lines: dict[Path, int]) -> int:
    """Find the line of a path, or of the nearest thing around it (a missing key has none)."""
    for length in range(len(path), 0, -1):
        if (line := lines.get(path[:length])) is not None:
            return line
    return 0
