"""The kind `partition`: a partition config of ngen from a hydrofabric, as a dataset of its own.

A run that asks for one gets it by itself, as a derivation. This kind makes one beforehand.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from headrace_kinds.base import filled, naming
from headrace_kinds.command import CommandKind
from headrace_kinds.settings import told
from headrace_model.dataset import Category
from headrace_model.domain import Domain, Index, Restriction
from headrace_model.requirement import Derived, Requirement, Shape
from headrace_model.spec import JobSpec, OutputSpec

FABRIC: Final = "hydrofabric"
OUTPUT: Final = "partitions"
PLAN: Final = "partition.json"
FORMAT: Final = "NGEN_PARTITION_CONFIG"
DERIVATION: Final = "partition"
BALANCE: Final = "balance"  # its setting
_ELEMENTS: Final = 1_000


class Fabric(StrEnum):
    """In which form the hydrofabric is read."""

    GEOJSON = "GEOJSON"
    GEOPACKAGE = "GEOPACKAGE"


class Balance(StrEnum):
    """What each partition has about as much of."""

    COUNT = "count"
    AREA = "area"


def balanced(by: Balance) -> Derived | None:
    """How a partition config that is asked for has to be made; by count, any that is there."""
    return Derived(DERIVATION, {BALANCE: by.value}) if by is not Balance.COUNT else None


_FORMATS: Final = {
    Fabric.GEOJSON: "NGEN_GEOJSON_HYDROFABRIC",
    Fabric.GEOPACKAGE: "NGEN_GEOPACKAGE_HYDROFABRIC_V2",
}


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """What a split is told."""

    partitions: int = told(
        "The number of partitions: the ranks of the run.", "4", low=1, high=1_000_000
    )
    balance: Balance = told(
        "What each partition has about as much of, `count`: catchments, or `area`.",
        "area",
        default=Balance.COUNT,
    )
    fabric: Fabric | None = told(
        "The form of the hydrofabric; without it any that is there is read as it is.",
        "GEOJSON",
        default=None,
    )
    catchments: tuple[str, ...] = told(
        "Only these catchments; without it all of the hydrofabric.", "[cat-27, cat-52]", default=()
    )
    elements: tuple[str, ...] = told(
        "Only what lies upstream or downstream of these.",
        "[upstream/nex-26]",
        default=(),
        most=_ELEMENTS,
    )
    hydrofabric_data_id: str | None = told(
        "The name of the hydrofabric, HYDROFABRIC_DATA_ID.", "conus-2.2", default=None, most=1024
    )
    hydrofabric_id: str | None = told(
        "The content id of the hydrofabric, HYDROFABRIC_ID.",
        "hf1-0123456789abcdef0123456789abcdef01234567",
        default=None,
        most=1024,
    )


class PartitionKind(CommandKind):
    """Runs `headrace_partitioner`, in the agent's interpreter or that of the worker image."""

    name = "partition"
    summary = "a partition config for parallel runs of ngen, from a hydrofabric"
    settings: type[Any] | None = PartitionSettings

    def complete(self, spec: JobSpec) -> JobSpec:
        """Ask for the fabric, and make the config of it."""
        told: PartitionSettings = spec.settings
        of = _fabric_domain(told)
        fabric = told.fabric
        if fabric is None and told.elements:  # what is cut out is made in a form that is named
            fabric = Fabric.GEOPACKAGE
        length = naming({Index.LENGTH: (str(told.partitions),)})
        plan = {
            "headrace_partition": 1,
            "partitions": told.partitions,
            "balance": str(told.balance),
            "catchments": sorted(set(told.catchments)),
        }
        return filled(
            spec,
            command=("python3", "-m", "headrace_partitioner", PLAN, "{output}", f"{{{FABRIC}}}"),
            inputs=(
                Requirement(
                    FABRIC,
                    Category.HYDROFABRIC,
                    None if fabric is None else _FORMATS[fabric],
                    Domain.of(of),
                    Shape.ONE,
                ),
            ),
            outputs=(OutputSpec(OUTPUT, Category.CONFIG, FORMAT, Domain.of(of | length)),),
            files=((PLAN, json.dumps(plan, sort_keys=True).encode()),),
        )


def _fabric_domain(told: PartitionSettings) -> dict[Index, Restriction]:
    return naming(
        {
            Index.CATCHMENT_ID: told.catchments,
            Index.ELEMENT_ID: told.elements,
            Index.HYDROFABRIC_DATA_ID: (told.hydrofabric_data_id,),
            Index.HYDROFABRIC_ID: (told.hydrofabric_id,),
        }
    )
