"""The maintenance switch."""

from typing import Final

from headrace_model.people import Act
from headrace_wire.maintenance import MaintenanceChange, MaintenanceView
from headrace_wire.openapi import Content, Operation
from headrace_wire.operations.parameters import ROOT

_PATH: Final = f"{ROOT}/maintenance"

MAINTENANCE: Final = (
    Operation(
        "GET", _PATH, "maintenance", "Tell whether new work is kept away",
        {200: Content(MaintenanceView)}, Act.SEE_MAINTENANCE,
    ),
    Operation(
        "PUT", _PATH, "maintenance", "Keep new work away, or let it come again",
        {200: Content(MaintenanceView)}, Act.MANAGE_MAINTENANCE,
        body=Content(MaintenanceChange, example={"on": True, "why": "new disks"}),
        about="While it is on, no job and no dataset is taken, and no waiting job starts; what "
        "runs is finished, and reading goes on. A repeat is success.",
    ),
)  # fmt: skip
