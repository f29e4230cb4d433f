"""What several commands take alike: periods, and lists in one word."""

import re

import click

_RANGE = re.compile(r"\s+to\s+|/|,")
_CLOCK = re.compile(r"(\d{4}-\d\d-\d\d)[ _](\d\d:\d\d(:\d\d)?)")


def texts(_ctx: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> list[str]:
    """All members of comma lists, each once."""
    found = (each.strip() for text in given for each in re.split(r"[,\s]+", text))
    return list(dict.fromkeys(each for each in found if each))


def period(_ctx: click.Context, _parameter: click.Parameter, given: str) -> list[str]:
    """Begin and end, as a job file has them; raises `click.BadParameter`."""
    ends = [_CLOCK.sub(r"\1T\2Z", each.strip()) for each in _RANGE.split(given.strip())]
    if len(ends) != 2 or not all(ends):
        raise click.BadParameter(
            f"{given!r} is no range of times: write '2015-12-01 00:00:00 to 2015-12-31 00:00:00', "
            "or 2015-12-01/2015-12-31; the end is not part of it"
        )
    return ends
