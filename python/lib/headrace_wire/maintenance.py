"""The maintenance switch in the REST API."""

from dataclasses import dataclass, field

from headrace_model.errors import InvalidInput
from headrace_model.maintenance import LONGEST_REASON, check_reason
from headrace_wire.dataschema import says


@dataclass(frozen=True, slots=True)
class MaintenanceChange:
    """PUT /maintenance."""

    on: bool
    why: str = field(default="", metadata=says(maxLength=LONGEST_REASON))

    def __post_init__(self) -> None:
        check_reason(self.why)
        if self.why and not self.on:
            raise InvalidInput("a reason is for maintenance that begins")


@dataclass(frozen=True, slots=True)
class MaintenanceView:
    """Whether nothing new is taken or started. `under_way`: jobs that are still to finish."""

    on: bool
    since: str | None
    by: str | None
    why: str | None
    under_way: int
