"""The kind `exceedance`: of each nexus, how many hours its flow was above a threshold."""

import json
from dataclasses import dataclass

from headrace_kinds.base import Link, filled
from headrace_kinds.command import CommandKind
from headrace_kinds.settings import Period, told
from headrace_model.dataset import Category
from headrace_model.domain import Discrete, Domain, Index
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import JobSpec, OutputSpec


@dataclass(frozen=True, slots=True)
class ExceedanceSettings:
    """What the job file says under `settings:`. Each field tells about itself: the reader with its
    messages, the JSON Schema, and the file of `headrace init - --kind exceedance` are made of it.
    """

    time: Period = told("The period that is looked at.", "[2015-12-01, 2015-12-31]")
    nexuses: tuple[str, ...] = told("The nexuses.", "[nex-26, nex-34]")
    threshold_m3_s: float = told("The flow that counts as high, in m3/s.", "10", high=1e6)
    step_h: float = told("Hours between two flows.", "1", default=1.0, low=0.01, high=24)

    def __post_init__(self) -> None:
        strange = [each for each in self.nexuses if not each.startswith("nex-")]
        if strange:  # what two fields have to do with each other is said here, too
            raise InvalidSpec(f"{strange[0]} is no nexus, such as nex-26", path="nexuses")


class ExceedanceKind(CommandKind):
    """From `CommandKind` come the checks of placeholders, and the progress of any worker."""

    name = "exceedance"
    summary = "how long flows at nexuses were above a threshold"
    settings = ExceedanceSettings
    programs = ("exceedance",)  # lies in the working folder, in images too

    def complete(self, spec: JobSpec) -> JobSpec:
        """Fill the job in: what it reads, by what that must cover; what it runs; what it makes."""
        settings: ExceedanceSettings = spec.settings
        plan = {
            "begin_ms": settings.time.begin,
            "end_ms": settings.time.end,
            "nexuses": sorted(settings.nexuses),
            "threshold_m3_s": settings.threshold_m3_s,
            "step_h": settings.step_h,
        }
        flows = Requirement(
            "flows",
            Category.OUTPUT,
            "NGEN_CSV_OUTPUT",
            Domain.of(
                {
                    Index.TIME: settings.time.time,
                    Index.ELEMENT_ID: Discrete(frozenset(settings.nexuses)),
                }
            ),
        )
        return filled(
            spec,
            command=("python3", "-m", "exceedance", "plan.json", "flows", "{output}"),
            inputs=(flows,),
            outputs=(OutputSpec("hours", Category.OUTPUT, "GENERIC", Domain()),),
            files=(("plan.json", json.dumps(plan, sort_keys=True).encode()),),
        )

    def links(self, spec: JobSpec) -> tuple[Link, ...]:
        """A name in the working folder for what is staged."""
        return (Link("flows", "flows"),)


KIND = ExceedanceKind()
