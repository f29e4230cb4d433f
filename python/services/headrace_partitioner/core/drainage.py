"""The drainage network of a fabric, with numbers for ids.

Water of a catchment flows through one nexus to at most one catchment. A nexus goes with the
catchment below it; one with none below, at an outlet, is a node of its own without weight.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from headrace_model.drainage import as_catchment, loops, loops_text
from headrace_partitioner.errors import PartitioningFailed

NOWHERE: Final = -1
_DIGITS: Final = "0123456789"
_MOST_DIGITS: Final = 18


def by_number(id_: str) -> tuple[str, int, str]:
    """Sort ids as people count: cat-9 before cat-10."""
    text = id_.rstrip(_DIGITS)
    digits = id_[len(text) :]
    return text, int(digits) if 0 < len(digits) <= _MOST_DIGITS else -1, id_


@dataclass(frozen=True, slots=True)
class Drainage:
    """Catchments by number, 0 to n - 1 in the order of their ids, then the outlets.

    `below[i]`: the catchment or outlet that i flows to, or `NOWHERE`; an outlet flows nowhere.
    `nexus[i]`: the nexus that catchment i flows to, empty where the fabric has none.
    `sources[i]`: the nexuses from which catchment i gets water. `weights`: what it costs to run a
    catchment, whole numbers above 0. `in_file[p]` is the p-th catchment as the fabric has them.
    """

    ids: tuple[str, ...]
    below: tuple[int, ...]
    nexus: tuple[str, ...]
    sources: tuple[tuple[str, ...], ...]
    outlets: tuple[str, ...]
    weights: tuple[int, ...]
    in_file: tuple[int, ...]

    @classmethod
    def of(
        cls,
        catchments: Mapping[str, str],
        nexuses: Mapping[str, str],
        areas_km2: Mapping[str, float] | None = None,
    ) -> "Drainage":
        """Build it; without areas each catchment weighs the same.

        Raises `PartitioningFailed` where water flows in a circle, where there is no catchment, or
        an area is missing or not above 0.
        """
        if not catchments:
            raise PartitioningFailed("the hydrofabric has no catchment")
        if found := loops(catchments, nexuses):
            message, hint = loops_text(found)
            raise PartitioningFailed(message, hint=hint)
        ids = tuple(sorted(catchments, key=by_number))
        numbers = {id_: number for number, id_ in enumerate(ids)}
        below: list[int] = []
        outlets: dict[str, int] = {}
        for id_ in ids:
            nexus = catchments[id_]
            to = numbers.get(as_catchment(nexuses[nexus])) if nexus in nexuses else NOWHERE
            if to is None:
                to = outlets.setdefault(nexus, len(ids) + len(outlets))
            below.append(to)
        sources: list[list[str]] = [[] for _ in ids]
        for nexus in sorted(nexuses, key=by_number):
            to = numbers.get(as_catchment(nexuses[nexus]))
            if to is not None:
                sources[to].append(nexus)
        return cls(
            ids,
            (*below, *(NOWHERE for _ in outlets)),
            tuple(catchments[id_] if catchments[id_] in nexuses else "" for id_ in ids),
            tuple(map(tuple, sources)),
            tuple(outlets),
            tuple(_square_metres(id_, areas_km2) for id_ in ids)
            if areas_km2 is not None
            else (1,) * len(ids),
            tuple(numbers[id_] for id_ in catchments),
        )

    @property
    def astray(self) -> tuple[str, ...]:
        """The catchments whose water goes to no nexus of the fabric."""
        return tuple(id_ for id_, nexus in zip(self.ids, self.nexus, strict=True) if not nexus)


def _square_metres(id_: str, areas_km2: Mapping[str, float]) -> int:
    area = areas_km2.get(id_)
    if area is None or not 0 < area < 1e9:  # the Earth has 5.1e8 km2
        said = "it has none" if area is None else f"it says {area:g} km2"
        raise PartitioningFailed(
            f"to balance by area each catchment needs one: {id_[:60]}: {said}",
            hint="mend the hydrofabric, or balance by count",
        )
    return max(1, round(area * 1e6))
