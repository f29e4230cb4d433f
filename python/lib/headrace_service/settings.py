"""Settings: one frozen dataclass a service, read once from the environment.

Each field is one variable: `lease_s` of any service is `HEADRACE_LEASE_S`. The sentence in a
field's metadata (`about`) documents it; `describe` prints all of them.
"""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from headrace_model.errors import InvalidInput

S = TypeVar("S")
PREFIX = "HEADRACE_"
_MISSING = dataclasses.MISSING


def setting(about: str, default: Any = _MISSING) -> Any:
    """Declare a setting with its sentence; without a default it must be given."""
    metadata = {"about": about}
    if default is _MISSING:
        return dataclasses.field(metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


class AnySettings(Protocol):
    """What a program's settings have that is none of Headrace's inner services."""

    @property
    def log_level(self) -> str:
        """debug, info, warning or error."""


@dataclasses.dataclass(frozen=True, slots=True)
class CommonSettings:
    """What every service needs."""

    state_dir: Path = setting("Folder for this service's own files.")
    redis_url: str = setting(
        "Where Redis listens, and its user: redis://user@host:port or unix://user@/path."
    )
    internal_token_file: Path = setting(
        "File (mode 0600) with the token that services and agents show each other."
    )
    listen: str = setting(
        "Where this service's HTTP listens: host:port, unix:/path, or empty for nowhere.", ""
    )
    redis_password_file: str = setting(
        "File (mode 0600) with the password of Redis's user; empty: it has none.", ""
    )
    data_url: str = setting("Where the data service listens: http://host:port or unix:/path.", "")
    lease_s: float = setting("How long leadership lasts without renewal, in seconds.", 6.0)
    sweep_s: float = setting("How often what hints missed is looked for, in seconds.", 2.0)
    log_level: str = setting("debug, info, warning or error.", "info")


def read(cls: type[S], environ: Mapping[str, str]) -> S:
    """Read settings from an environment; raises `InvalidInput` that lists all that is wrong."""
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type] # S is always a dataclass here
        name = PREFIX + field.name.upper()
        text = environ.get(name)
        if text is None:
            if field.default is _MISSING and field.default_factory is _MISSING:
                wrong.append(f"{name} is not set: {field.metadata['about']}")
            continue
        try:
            values[field.name] = _parse(hints[field.name], text)
        except ValueError:
            wrong.append(f"{name}={text!r} is not a {hints[field.name].__name__}")
    if wrong:
        raise InvalidInput("; ".join(wrong), hint="docs/settings.md lists all settings")
    return cls(**values)


def to_environ(settings: object) -> dict[str, str]:
    """The environment that `read` would read these settings from."""
    return {
        PREFIX + field.name.upper(): str(getattr(settings, field.name))
        for field in dataclasses.fields(settings)  # type: ignore[arg-type] # always a dataclass
    }


def _parse(hint: Any, text: str) -> Any:
    if hint is bool:
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(text)
        return text.lower() in ("true", "1")
    return hint(text)
