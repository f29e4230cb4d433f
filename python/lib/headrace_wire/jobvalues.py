"""Values of a job file that need checks of their own: names, images, files, domains."""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError

from headrace_model.dataset import check_item_path
from headrace_model.domain import Domain, Index
from headrace_model.errors import HeadraceError, InvalidName
from headrace_model.ids import check_name
from headrace_model.nearest import did_you_mean
from headrace_model.spec import FileSpec
from headrace_model.units import size_text
from headrace_wire.fields import WireField, expected

MAX_FILE_BYTES = 2**20

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A reference as registries define it: host and port, path in lower case, tag, digest.
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def check_env_name(name: str) -> str:
    """Check the name of an environment variable; raises `InvalidName`."""
    if len(name) > 128 or not _ENV_NAME.fullmatch(name):
        raise InvalidName(
            "can't be the name of a variable: use letters, digits and '_', not a digit first"
        )
    if name.upper().startswith("HEADRACE_"):
        raise InvalidName("names that begin with HEADRACE_ are set by Headrace itself")
    return name


def check_member_name(what: str) -> Callable[[str], str]:
    """Make the check for names of inputs, outputs or matrix axes; it raises `InvalidName`.

    As `check_name`, without '.', which would make a path such as `inputs.a.b` say two things.
    """

    def check(name: str) -> str:
        if "." in name:
            raise InvalidName(f"{name[:80]!r} can't be the name of a {what}: '.' may not be in it")
        return check_name(name, what)

    return check


def check_image(text: str) -> str:
    """Check an image's reference; raises `InvalidName`."""
    if not _IMAGE.fullmatch(text):
        raise InvalidName(
            f"{text[:80]!r} is not the name of an image; write for example model:1.2 or "
            "registry/name@sha256:… with all 64 digits"
        )
    return text


def check_pip_line(line: str) -> str:
    """Check one requirement line; options (`-r`, `--index-url`) are refused: `InvalidName`."""
    if not line.strip() or line.strip().startswith(("-", "#")) or "\n" in line:
        raise InvalidName(
            f"{line[:60]!r} is not a requirement; write for example numpy==2.1.0 (options of pip "
            "can't be used)"
        )
    return line


class Content(WireField[FileSpec]):
    """One file that travels: on the wire `{name, sha256, content}`, content in base64.

    The names that a file on a client's disk lists are replaced before (`jobfile`).
    """

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> FileSpec:
        if isinstance(value, FileSpec):
            return value
        if not isinstance(value, Mapping) or set(value) != {"name", "sha256", "content"}:
            raise ValidationError("a file is sent with its name, sha256 and content (base64)")
        if not all(isinstance(each, str) for each in value.values()):
            raise ValidationError("name, sha256 and content of a file are texts")
        if len(value["content"]) > MAX_FILE_BYTES * 4 // 3 + 4:
            raise ValidationError(f"has more than {size_text(MAX_FILE_BYTES)}")
        try:
            content = base64.b64decode(value["content"], validate=True)
        except (binascii.Error, ValueError):
            raise ValidationError("content is not valid base64") from None
        made = file_spec(value["name"], content)
        if not _SHA256.fullmatch(value["sha256"]) or made.sha256 != value["sha256"]:
            raise ValidationError(
                f"sha256 does not fit the content, whose sha256 is {made.sha256}"
            )
        return made

    def _serialize(self, value: FileSpec | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        content = base64.b64encode(value.content).decode()
        return {"name": value.name, "sha256": value.sha256, "content": content}

    def json_schema(self) -> dict[str, Any]:
        names = ("name", "sha256", "content")
        listed = {
            "type": "string",
            "description": "A path below the folder of a job file; on the client only.",
            "examples": ["run.py"],
        }
        sent = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in names},
            "required": list(names),
            "additionalProperties": False,
        }
        return {"anyOf": [listed, sent]}


def file_spec(name: str, content: bytes) -> FileSpec:
    """Make a file of a job; raises `ValidationError` for a bad name or too much content."""
    try:
        check_item_path(name)
    except HeadraceError:
        raise ValidationError(
            f"{name[:80]!r} can't be the name of a file: it must lie below the job file's folder"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise ValidationError(
            f"{name} has {len(content):,} bytes; at most {size_text(MAX_FILE_BYTES)} travels with "
            "a job: make it a dataset and name it in `inputs`"
        )
    return FileSpec(name, hashlib.sha256(content).hexdigest(), content)


class Covers(WireField[Domain]):
    """A domain in its plain form, with an error for each index that is wrong."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Domain:
        if not isinstance(value, Mapping):
            raise expected("a mapping", "{TIME: [1979-01-01, 1981-01-01]}", value)
        try:
            return Domain.from_plain(value)
        except HeadraceError as error:
            raise self._each_wrong(value) or ValidationError(error.message) from None

    def _each_wrong(self, value: Mapping[Any, Any]) -> ValidationError | None:
        """Look at each index alone, to tell all mistakes; None when only the whole is wrong."""
        if len(value) > len(Index):
            return ValidationError(f"has {len(value):,} keys; there are {len(Index)} indexes")
        errors: dict[str, list[str]] = {}
        for key, restriction in value.items():
            if key not in Index.__members__:
                errors[str(key)] = [f"unknown index; {did_you_mean(str(key), Index.__members__)}"]
                continue
            try:
                Domain.from_plain({key: restriction})
            except HeadraceError as error:
                errors[str(key)] = [error.message]
        return ValidationError(errors) if errors else None

    def _serialize(self, value: Domain | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else value.to_plain()

    def json_schema(self) -> dict[str, Any]:
        text = {"type": "string", "minLength": 1, "maxLength": 1024}
        pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        names = {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]}
        time = {"anyOf": [pair, {"type": "array", "items": pair, "minItems": 1}]}
        properties = {str(each): time if each is Index.TIME else names for each in Index}
        return {"type": "object", "properties": properties, "additionalProperties": False}
