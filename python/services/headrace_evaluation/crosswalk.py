"""Which catchments lie upstream of a location, and how large each is: a hydrofabric tells."""

from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

from headrace_derivations.hydrofabric_loop import check_loops
from headrace_derivations.hydrofabric_read import files_at
from headrace_evaluation.core.aligning import EvaluationFailed
from headrace_model.errors import HeadraceError


class Crosswalk:
    """Reads the fabric below a folder; raises `HeadraceError` where there is none."""

    def __init__(self, folder: Path) -> None:
        self._network = files_at([folder]).network()

    @property
    def gauges(self) -> set[str]:
        """The gauges that stand in the fabric."""
        return set(self._network.gauges)

    def areas_km2(
        self, elements: Iterable[str]
    ) -> tuple[dict[str, Mapping[str, float]], dict[str, str]]:
        """By element the areas of all catchments upstream of it; and why others have none.

        An element is a catchment, flowpath, nexus or gauge (`cat-27`, `nex-26`, `gages-01073000`).
        Raises `HeadraceError` for a loop.
        """
        upstream = self._network.upstream()
        found: dict[str, Mapping[str, float]] = {}
        reasons: dict[str, str] = {}
        for element in elements:
            try:
                found[element] = self._areas(sorted(upstream(element)), element)
            except HeadraceError as error:
                reasons[element] = (
                    f"{error.message}; {error.hint}" if error.hint else error.message
                )
        check_loops(self._network, {id_ for each in found.values() for id_ in each})
        return found, reasons

    def _areas(self, catchments: list[str], element: str) -> dict[str, float]:
        areas = self._network.areas_km2
        for id_ in catchments:
            area = areas.get(id_, 0.0)
            if not isfinite(area) or area <= 0:
                raise EvaluationFailed(f"the hydrofabric tells no area of {id_}, up of {element}")
        if not catchments:
            raise EvaluationFailed(f"no catchment of the hydrofabric lies upstream of {element}")
        return {id_: areas[id_] for id_ in catchments}
