"""The work of `composite`.

The realization config stands in the dataset's folder, init configs in `init-configs/`, the others
in `t-route/` and `ngen-cal/`, each under the name that it had. Paths in the realization config are
written anew where they point to those; they count from the dataset's folder.
"""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from headrace_derivations.base import DerivationFailed, Work, files_below
from headrace_derivations.composite_parts import FORMATS, INIT, NGEN_CAL, REALIZATION, T_ROUTE
from headrace_derivations.realization_parts import formulations
from headrace_formats.base import read_head
from headrace_formats.json_text import load_json
from headrace_formats.registry import format_named
from headrace_formats.report import Report
from headrace_model.nearest import did_you_mean

_ID: Final = re.compile(r"\{\{id\}\}", re.IGNORECASE)
NOTHING: Final = ("", "/dev/null")
"""Paths of init configs that name none."""
ROUTING: Final = "t_route_config_file_with_path"
_MOST_COMPARED: Final = 2_000


def derive(work: Work) -> None:
    """Put the configs together; raises `DerivationFailed` for a path that none of them is."""
    placed = {part: _placed(part, work) for part in FORMATS}
    if len(placed[REALIZATION]) != 1:
        raise DerivationFailed("there must be one realization config")
    ((name, path),) = placed[REALIZATION].items()
    format_named(FORMATS[REALIZATION]).read(path, Report())
    config: dict[str, Any] = load_json(path)
    files = InitConfigs(sorted(placed[INIT]))
    for each in formulations(config):
        given = each.params.get("init_config")
        if isinstance(given, str) and given not in NOTHING:
            ids = [each.catchment] if each.catchment else work.parameters["catchments"]
            each.params["init_config"] = files.path_of(given, ids)
    _route(config, sorted(placed[T_ROUTE]))
    for part in (INIT, T_ROUTE, NGEN_CAL):
        for target, source in placed[part].items():
            (work.output / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, work.output / target, follow_symlinks=False)
    text = json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    (work.output / name).write_text(text, encoding="utf-8")
    work.say(", ".join(f"{len(found):,} of {part}" for part, found in placed.items() if found))


def _placed(part: str, work: Work) -> dict[str, Path]:
    """The files of a part of all its sources, by where they come to stand."""
    of = format_named(FORMATS[part])
    found: dict[str, Path] = {}
    for role, folder in sorted(work.inputs.items()):
        if re.fullmatch(rf"{part}(-\d+)?", role) is None:
            continue
        for path in files_below(folder):
            if not of.sniff(read_head(path)):
                continue
            below = path.relative_to(folder).as_posix()
            target = path.name if part == REALIZATION else f"{part}/{below}"
            if target in found:
                raise DerivationFailed(f"two sources have a file {below}")
            found[target] = path
    return found


def _route(config: dict[str, Any], files: Sequence[str]) -> None:
    routing = config.get("routing")
    if not isinstance(routing, dict) or ROUTING not in routing:
        return
    if len(files) != 1:
        raise DerivationFailed(
            f"the realization config routes by {routing[ROUTING]}, and "
            + (
                "there are several configs of t-route"
                if files
                else "no config of t-route is given"
            ),
            hint="name the DATA_ID of one in COMPOSITE_SOURCE_ID",
        )
    routing[ROUTING] = f"./{files[0]}"


class InitConfigs:
    """Finds init configs by the paths that a realization config has for them."""

    def __init__(self, files: Sequence[str]) -> None:
        self._files = files
        self._known = frozenset(files)
        self._by_name: dict[str, list[str]] = {}
        for file in files:
            self._by_name.setdefault(file.rpartition("/")[2], []).append(file)

    def path_of(self, given: str, catchments: Sequence[str]) -> str:
        """The path of the same end, as long as possible; `{{id}}` in it stands for catchments.

        Raises `DerivationFailed` where there is none, several, or one for some catchments only.
        """
        names = [each for each in given.split("/") if each not in ("", ".", "..")]
        for length in range(len(names), 0, -1):
            end = "/".join(names[-length:])
            found = self._ending(end)
            if len(found) > 1:
                raise DerivationFailed(
                    f"init_config {given}: several init configs are like it: "
                    + ", ".join(f"{each}/{end}" for each in found[:3])
                )
            if found:
                return self._checked(f"{found[0]}/{end}", given, catchments)
        raise DerivationFailed(
            f"init_config {given}: no init config is like it{self._near(given)}"
        )

    def _ending(self, end: str) -> list[str]:
        """The folders that have files of this end."""
        pattern = re.compile(r"[^/]+".join(re.escape(each) for each in _ID.split(end)) + r"\Z")
        depth, name = end.count("/"), end.rpartition("/")[2]
        found = set()
        for file in self._files if _ID.search(name) else self._by_name.get(name, []):
            parts = file.split("/")
            if len(parts) > depth + 1 and pattern.match("/".join(parts[-depth - 1 :])):
                found.add("/".join(parts[: -depth - 1]))
        return sorted(found)

    def _checked(self, path: str, given: str, catchments: Sequence[str]) -> str:
        if _ID.search(path):
            parts = _ID.split(path)
            lacks = [id_ for id_ in catchments if id_.join(parts) not in self._known]
            if lacks:
                raise DerivationFailed(
                    f"init_config {given}: there is no init config for {lacks[0]}"
                    + (f", and {len(lacks) - 1:,} more are missing" if len(lacks) > 1 else "")
                )
        return f"./{path}"

    def _near(self, given: str) -> str:
        if len(self._by_name) > _MOST_COMPARED:
            return ""
        return f"; {did_you_mean(given.rpartition('/')[2], self._by_name)}"
