"""The places that may be imported from: folders and buckets that the site's admin has named."""

import re
from collections.abc import Mapping
from typing import Final

from headrace_model.dataset import check_item_path
from headrace_model.errors import InvalidInput, InvalidName
from headrace_model.ids import check_name

_NAMED: Final = re.compile(r"([^=]*)=(.*)")
_SCHEME: Final = "s3://"


def read_places(text: str) -> dict[str, str]:
    """Read `name=/folder, other=s3://bucket/prefix`; raises `InvalidInput`."""
    places: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        found = _NAMED.fullmatch(part)
        name, place = (found[1].strip(), _bare(found[2])) if found else ("", "")
        if not place or name in places:
            raise InvalidInput(
                f"import_places: {part!r} is not name=/folder or name=s3://bucket/prefix, each "
                "name once"
            )
        places[check_name(name, "place")] = place
    return places


def place_of(source: str, places: Mapping[str, str]) -> tuple[str, str]:
    """The place that holds a source, and the folder in it ("": all of it).

    Raises `InvalidInput`, which names the places: whoever may import may know them.
    """
    wanted = _bare(source)
    holding = [
        (len(place), name)
        for name, place in places.items()
        if wanted == place or wanted.startswith(place.rstrip("/") + "/")
    ]
    if not wanted or not holding:
        known = ", ".join(sorted(places.values())) or "no place yet"
        raise InvalidInput(
            f"{source[:200]!r} is in no place that may be imported from; these are: {known}",
            hint="who runs the server names places in the setting import_places",
        )
    _, name = max(holding)
    folder = wanted.removeprefix(places[name]).strip("/")
    try:
        return name, folder and check_item_path(folder)
    except InvalidName as error:
        raise InvalidInput(f"{source[:200]!r} can't be imported: {error.message}") from None


def _bare(text: str) -> str:
    """Without the slash at the end; empty for what is neither a whole path nor a bucket."""
    text = text.strip()
    if text.startswith(_SCHEME):
        return text.rstrip("/") if len(text) > len(_SCHEME) else ""
    return (text.rstrip("/") or "/") if text.startswith("/") else ""
