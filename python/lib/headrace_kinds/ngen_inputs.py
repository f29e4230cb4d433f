"""Whether the inputs of a run of ngen ask for what its settings say.

A job that is filled in holds both; who changes a setting there would run the inputs of before.
"""

from collections.abc import Iterator
from typing import Any, Final

from headrace_kinds.base import CHANGED, Wrong
from headrace_kinds.ngen_run import FABRIC, FORCING
from headrace_kinds.partition import balanced
from headrace_model.domain import Discrete, Index
from headrace_model.requirement import Requirement, Shape

PARTITIONS: Final = "partitions"


def contradictions(settings: Any, own: Requirement, fabric: Requirement) -> Iterator[Wrong]:
    """What an input asks for otherwise than the settings: it was filled in from others.

    `fabric` is what the config is checked against.
    """
    time = own.domain.time if own.name == FORCING else None
    if time is not None and not settings.time.time.subtract(time).is_empty:
        yield Wrong(
            f"inputs.{own.name}.domain.TIME",
            f"it does not cover settings.time. {CHANGED}",
        )
    if own.name == PARTITIONS and balanced(settings.balance) not in (None, own.derived):
        yield Wrong(
            "settings.balance",
            f"the partition config that inputs.{PARTITIONS} asks for is not made by it: leave one "
            f"of them out. {CHANGED}",
        )
    if own.name == FABRIC and not _is_checked(own, fabric):
        yield Wrong(
            f"inputs.{FABRIC}",
            "it asks for another hydrofabric than settings.catchments, settings.hydrofabric_uid "
            "and settings.hydrofabric_data_id, which the config is checked against "
            f"(with catchments: `shape: EXACT`). {CHANGED}",
        )
    for part, key, index in (
        (FABRIC, "hydrofabric_data_id", Index.HYDROFABRIC_DATA_ID),
        (FABRIC, "hydrofabric_uid", Index.HYDROFABRIC_ID),
        (FORCING, "forcing_data_id", Index.DATA_ID),
        (PARTITIONS, "partition_config_data_id", Index.DATA_ID),
    ):
        said, asked = getattr(settings, key), own.domain.get(index)
        if asked is None and part == FABRIC:
            continue  # said above
        if part == own.name and said and asked != Discrete(frozenset((said,))):
            yield Wrong(
                f"inputs.{part}.domain.{index}",
                f"it is another one than settings.{key}, {said[:60]}. {CHANGED}",
            )


def _is_checked(own: Requirement, fabric: Requirement) -> bool:
    """Tell whether what the job runs is what its config is checked against."""
    same_part = (own.shape, own.derived) == (fabric.shape, fabric.derived)
    return own.domain == fabric.domain and (fabric.shape is Shape.ONE or same_part)
