"""Hydrofabrics as GeoJSON: features are read one at a time, and written as they stood."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.hydrofabric_network import Network, Part
from headrace_formats.base import open_plain, read_head
from headrace_formats.errors import FormatError
from headrace_formats.geojson_hydrofabric import FORMAT, area_of, id_of, layer_of, toid_of
from headrace_formats.report import Report
from headrace_model.drainage import as_catchment

_MOST_BYTES: Final = 128 << 20  # of a file, as the format has it
_CROSSWALK: Final = "crosswalk.json"
_MOST_CROSSWALK_BYTES: Final = 16 << 20
_BLANK: Final = " \t\r\n"
_DECODER: Final = json.JSONDecoder()


def is_geojson(path: Path) -> bool:
    """Tell whether a file is one of the fabric's."""
    return FORMAT.sniff(read_head(path))


def add_network(path: Path, network: Network) -> None:
    """Add what flows where in a file."""
    for key, _, feature in _members(path):
        if key != "features":
            continue
        id_, layer = _told(feature)
        if layer == "catchments":
            network.add_catchment(id_, toid_of(feature), area_of(feature))
        elif layer == "nexuses":
            network.nexuses[id_] = toid_of(feature)
        network.check_size()


def add_gauges(folder: Path, network: Network) -> None:
    """Add the gauges that a crosswalk beside the fabric tells: by catchment its `site_no`."""
    for path in sorted(folder.rglob(_CROSSWALK)):
        if path.is_symlink() or path.stat().st_size > _MOST_CROSSWALK_BYTES:
            continue
        try:
            told = json.loads(path.read_bytes())
        except ValueError:
            continue  # it is no part of the fabric, and may be anything
        for id_, each in told.items() if isinstance(told, dict) else ():
            site = each.get("site_no") if isinstance(each, dict) else None
            if isinstance(site, str) and id_ in network.catchments:
                network.gauges[site] = id_


def copy_part(path: Path, part: Part, target: Path) -> bool:
    """Write the chosen features of a file, each as it stands; False: it has none."""
    head: dict[str, Any] = {}
    for key, _, value in _members(path):
        if key not in ("features", "bbox"):  # the part has another extent
            head[key] = value
    chosen = (
        text
        for key, text, feature in _members(path)
        if key == "features" and _is_chosen(feature, part)
    )
    return write(target, head, chosen)


def write(target: Path, head: dict[str, Any], features: Iterable[str]) -> bool:
    """Write a collection, a line a feature; with no feature nothing, and False."""
    lines = iter(features)
    first = next(lines, None)
    if first is None:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8", newline="\n") as file:
        file.write("{\n")
        for key, value in head.items():
            file.write(f"{json.dumps(key)}: {json.dumps(value)},\n")
        file.write(f'"features": [\n{first}')
        for line in lines:
            file.write(f",\n{line}")
        file.write("\n]\n}\n")
    return True


def _is_chosen(feature: Any, part: Part) -> bool:
    id_, layer = _told(feature)
    if layer == "flowpaths":
        realized = feature["properties"].get("realized_catchment")
        return part.has(realized if isinstance(realized, str) else as_catchment(id_))
    return part.has(id_)


def _told(feature: Any) -> tuple[str, str | None]:
    id_ = id_of(feature, "a feature", Report())
    geometry = feature.get("geometry") or {}
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    return str(id_), layer_of(kind, str(id_))


def _members(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Iterate over the members of a collection, each feature by itself: key, text, value."""
    with open_plain(path) as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FormatError(f"{path.name} is larger than {_MOST_BYTES:,} bytes")
    try:
        text = data.decode("utf-8-sig")
        del data
        yield from _walk(text)
    except (ValueError, IndexError, RecursionError) as error:
        raise DerivationFailed(f"{path.name} can't be read as JSON: {error}") from None


def _walk(text: str) -> Iterator[tuple[str, str, Any]]:
    at = _behind(text, 0, "{")
    while text[_skip(text, at)] != "}":
        key, at = _DECODER.raw_decode(text, _skip(text, at))
        at = _skip(text, _behind(text, at, ":"))
        if key == "features" and text[at] == "[":
            at = _skip(text, at + 1)
            while text[at] != "]":
                feature, end = _DECODER.raw_decode(text, at)
                yield key, text[at:end], feature
                at = _comma(text, end, "]")
            at += 1
        else:
            value, end = _DECODER.raw_decode(text, at)
            yield str(key), text[at:end], value
            at = end
        at = _comma(text, at, "}")


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at


def _behind(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at] != mark:
        raise ValueError(f"{mark} is missing at letter {at + 1}")
    return at + 1


def _comma(text: str, at: int, end: str) -> int:
    """Go behind a comma, or to the end of an object or list."""
    at = _skip(text, at)
    return at if text[at] == end else _skip(text, _behind(text, at, ","))
