"""The paths in a realization config of ngen, written anew for the working folder of a job."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from headrace_derivations.base import DerivationFailed
from headrace_derivations.composite_work import NOTHING, InitConfigs
from headrace_derivations.ngen_run_forcing import file_pattern
from headrace_derivations.realization_parts import Formulation, formulations
from headrace_formats.bmi_families import NOAH_TABLES

CSV, NETCDF = "CsvPerFeature", "NetCDF"
_LIBRARY: Final = re.compile(r"[^\0\n{}]{1,1000}")
_TABLES: Final = tuple(name for _, name in NOAH_TABLES)
_FOLDER: Final = re.compile(
    r"^(?P<key>\s*parameter_dir\s*=\s*)(?P<quote>[\"'])(?P<path>[^\"'\n]*)(?P=quote)",
    re.MULTILINE,
)
_ID: Final = re.compile(r"\{\{id\}\}", re.IGNORECASE)
_NOAH: Final = "precip_phase_option"
_MOST_LOOKED_AT: Final = 4 << 20


class Paths:
    """Writes the paths of one run. `init` has the configs as `config/…`; `files` are those of
    the forcing, by catchment."""

    def __init__(
        self,
        init: InitConfigs,
        catchments: Sequence[str],
        files: Mapping[str, PurePosixPath],
        library_root: str | None,
    ) -> None:
        self._init = init
        self._catchments = catchments
        self._files = dict(files)
        self._root = library_root

    def rewrite(self, config: dict[str, Any]) -> None:
        """Write all paths of a realization config anew; raises `DerivationFailed`."""
        named = config.get("catchments", {})
        chosen = set(self._catchments)
        if "catchments" in config:
            config["catchments"] = {id_: of for id_, of in named.items() if id_ in chosen}
        for each in formulations(config):
            self._formulation(each, set(named) & chosen)
        self._forcing(config)

    def of_namelist(self, name: str, path: Path) -> str | None:
        """The text of an init config of Noah-OWP-Modular whose parameter tables lie elsewhere
        in the working folder; None for any other file.
        """
        if path.stat().st_size > _MOST_LOOKED_AT:
            return None
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None
        found = _FOLDER.search(text)
        if found is None or _NOAH not in text:
            return None
        folder = self._tables(name, found["path"])
        return f"{text[: found.start('path')]}{folder}{text[found.end('path') :]}"

    # ---- formulations

    def _formulation(self, each: Formulation, named: set[str]) -> None:
        params = each.params
        given = params.get("init_config")
        if isinstance(given, str) and given not in NOTHING:
            others = [id_ for id_ in self._catchments if id_ not in named]
            ids = [each.catchment] if each.catchment else others
            try:
                found = self._init.path_of(given, ids)
            except DerivationFailed as error:
                raise DerivationFailed(
                    f"{each.where}.params.{error.message}",
                    hint="add it to the init configs, or leave the catchment out of the run "
                    "(settings.catchments)",
                ) from None
            if each.catchment:  # ngen fills it in only where formulations are for all
                found = _ID.sub(each.catchment, found)
            params["init_config"] = found
        if params.get("uses_forcing_file") is True:
            raise DerivationFailed(
                f"{each.where}.params.uses_forcing_file: the model would read "
                f"{params.get('forcing_file') or 'a file of its own'} itself, which is no input "
                "of the job",
                hint="set it to false: ngen then passes the forcing on",
            )
        if params.get("library_file"):
            params["library_file"] = self._library(each, params["library_file"])

    def _library(self, each: Formulation, given: Any) -> str:
        where = f"{each.where}.params.library_file"
        if not isinstance(given, str) or not _LIBRARY.fullmatch(given):
            raise DerivationFailed(f"{where}: {str(given)[:60]!r} is no path of a library")
        if given.startswith("/"):
            return given
        if self._root is None:
            raise DerivationFailed(
                f"{where}: {given} is relative, and a job runs in a folder of its own, where no "
                "library is",
                hint="say where ngen was built with settings.library_root, such as /ngen; or "
                "write whole paths into the realization config",
            )
        return f"{self._root.rstrip('/')}/{given.removeprefix('./')}"

    def _tables(self, name: str, given: str) -> str:
        """The folder of Noah-OWP-Modular's tables, as its namelist names it."""
        try:
            path = self._init.path_of(f"{given.rstrip('/')}/{_TABLES[0]}", ())
        except DerivationFailed as error:
            if given.startswith("/"):
                return given
            if self._root is not None:
                return f"{self._root.rstrip('/')}/{given.removeprefix('./')}"
            raise DerivationFailed(
                f"{name}: parameter_dir {given}: {error.message}",
                hint=f"upload {', '.join(_TABLES)} with the init configs",
            ) from None
        return f"{path.rpartition('/')[0]}/"

    # ---- forcing

    def _forcing(self, config: dict[str, Any]) -> None:
        everywhere = config.get("global", {})
        named = config.get("catchments", {})
        first = next(iter(self._files.values()))
        if first.suffix in (".nc", ".nc4"):
            self._one_netcdf()
            own = {"provider": NETCDF, "path": "./forcing.nc"}
            if everywhere:
                everywhere["forcing"] = {**_kept(everywhere.get("forcing")), **own}
            for of in named.values():
                of["forcing"] = {**_kept(of.get("forcing")), **own}
            return
        folder = self._one_folder()
        for id_, of in named.items():
            own = {"provider": CSV, "path": f"{folder}{self._files[id_].name}"}
            of["forcing"] = {**_kept(of.get("forcing")), **own}
        others = {id_: path for id_, path in self._files.items() if id_ not in named}
        if everywhere:
            given = everywhere.get("forcing") or {}
            is_csv = given.get("provider", CSV) == CSV
            pattern = given.get("file_pattern") if is_csv else None
            everywhere["forcing"] = {
                **_kept(given),
                "provider": CSV,
                "path": folder,
                "file_pattern": file_pattern(pattern, others),
            }

    def _one_netcdf(self) -> None:
        if len(set(self._files.values())) > 1:
            one, two, *_ = sorted({str(each) for each in self._files.values()})
            raise DerivationFailed(
                f"the forcing lies in several NetCDF files, such as {one} and {two}, and ngen "
                "reads one",
                hint="leave out its DATA_ID: then one is made of them; or set settings.forcing "
                "to CSV",
            )

    def _one_folder(self) -> str:
        folders = sorted({path.parent.as_posix() for path in self._files.values()})
        if len(folders) > 1:
            raise DerivationFailed(
                f"the forcing lies in several folders, such as {folders[0]} and {folders[1]}, "
                "and ngen reads one",
                hint="upload the files into one folder",
            )
        return "./forcing/" if folders[0] == "." else f"./forcing/{folders[0]}/"


def _kept(forcing: Any) -> dict[str, Any]:
    """What else a section `forcing` says."""
    told = forcing if isinstance(forcing, dict) else {}
    return {
        key: value
        for key, value in told.items()
        if key not in ("provider", "path", "file_pattern")
    }
