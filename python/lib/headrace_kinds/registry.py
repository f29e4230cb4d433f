"""The kinds that this Headrace knows, by name."""

from typing import Final

from headrace_kinds.base import Kind
from headrace_kinds.command import CommandKind
from headrace_model.errors import InvalidSpec
from headrace_model.nearest import did_you_mean

_KINDS: Final[tuple[Kind, ...]] = (CommandKind(),)
_BY_NAME: Final = {kind.name: kind for kind in _KINDS}

KIND_NAMES: Final = tuple(sorted(_BY_NAME))


def kind_named(name: str) -> Kind:
    """Find a kind; dashes and underscores are alike. Raises `InvalidSpec` for an unknown one."""
    kind = _BY_NAME.get(name.replace("_", "-"))
    if kind is None:
        raise InvalidSpec(f"{name[:80]!r} is not a kind; {did_you_mean(name, KIND_NAMES)}")
    return kind
