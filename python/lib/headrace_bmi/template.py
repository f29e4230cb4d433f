"""The file that a model's `initialize` gets, from a template with names in double braces.

`{{id}}` the catchment, `{{number}}` its number, `{{forcing}}` the path of its forcing, `{{start}}`
and `{{end}}` times as `1979-01-01 00:00:00` or, with a format of strftime, `{{start:%Y%m%d%H%M}}`,
`{{steps}}` how many, `{{step_s}}` how long, and the names of the run's `parameters`.
"""

import re
from datetime import datetime
from typing import Final

from headrace_bmi.config import TIME_FORMAT, RunConfig
from headrace_bmi.errors import BmiFailed

_PLACE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*)(?::([^{}]*))?\s*\}\}", re.ASCII)
NAMES: Final = ("id", "number", "forcing", "start", "end", "steps", "step_s")


def filled(config: RunConfig, catchment: str, forcing: str) -> str:
    """Put a catchment's values into the template; raises `BmiFailed` for an unknown name."""
    own: dict[str, str | datetime] = {
        "id": catchment,
        "number": catchment.removeprefix("cat-"),
        "forcing": forcing,
        "start": config.begin,
        "end": config.end,
        "steps": str(config.steps),
        "step_s": f"{config.step.total_seconds():g}",
    }
    values = {**config.parameters, **own}

    def value(found: re.Match[str]) -> str:
        name, form = found[1], found[2]
        given = values.get(name)
        if given is None:
            raise BmiFailed(
                f"the template {config.config_name} names {{{{{name}}}}}, which is unknown; "
                f"known are {', '.join((*NAMES, *config.parameters))}"
            )
        if isinstance(given, datetime):
            return given.strftime(form or TIME_FORMAT)
        if form:
            raise BmiFailed(f"the template {config.config_name}: {name} takes no format")
        return given

    return _PLACE.sub(value, config.config)
