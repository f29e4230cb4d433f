"""Placeholders in commands and env values: `{forcing}`, `{output}`; `{{` and `}}` are braces.

Kept apart from `str.format`, whose attribute and index syntax would let a job file read more
than names, and whose errors say nothing to a user.
"""

import re
from collections.abc import Mapping

from headrace_model.errors import InvalidSpec
from headrace_model.nearest import did_you_mean

# One pass from left to right: a doubled brace, a placeholder, or a brace that stands alone.
_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_-]+)\}|[{}]")


def names_in(template: str) -> tuple[str, ...]:
    """Give the names of the placeholders in order; raises `InvalidSpec` for a brace alone."""
    names = []
    for match in _TOKEN.finditer(template):
        if match[1]:
            names.append(match[1])
        elif len(match[0]) == 1:
            around = template[max(0, match.start() - 10) : match.start() + 20]
            raise InvalidSpec(
                f"a brace stands alone in {around!r}; write {{{{ and }}}} for the braces "
                "themselves, or {name} for a placeholder"
            )
    return tuple(names)


def check_template(template: str, known: tuple[str, ...]) -> None:
    """Raise `InvalidSpec` for a broken template or a placeholder that is not known."""
    for name in names_in(template):
        if name not in known:
            shown = ", ".join(f"{{{each}}}" for each in known[:24])
            near = did_you_mean(name, known)
            near = f"{near} " if near.startswith("did") else ""
            raise InvalidSpec(
                f"{{{name}}} is not a placeholder here; {near}known are {shown}; for the braces "
                f"themselves write {{{{{name}}}}}"
            )


def render(template: str, values: Mapping[str, str]) -> str:
    """Put values in the place of placeholders; values are not read again for placeholders.

    Raises `InvalidSpec` for a broken template or a name without a value.
    """
    check_template(template, tuple(values))
    return _TOKEN.sub(lambda match: values[match[1]] if match[1] else match[0][0], template)
