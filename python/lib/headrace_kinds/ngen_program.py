"""The ngen that runs where a job names none: that which this Headrace is told of.

It is given to jobs of the kind `ngen`, and to calibrations whose model is one: there the program
goes into the model's settings, and the image to the whole job, in which its worker runs the model.
"""

from dataclasses import dataclass, replace
from typing import Final

from headrace_kinds.calibration import PLAN_FILE
from headrace_kinds.calibration_settings import CalibrationSettings
from headrace_kinds.ngen import NAME, NgenSettings, is_made
from headrace_kinds.ngen_cal import NgenCalSettings
from headrace_kinds.registry import kind_named
from headrace_model.errors import InvalidSpec, NeverFits
from headrace_model.spec import JobSpec

_MODEL: Final = "settings.model."


@dataclass(frozen=True, slots=True)
class NgenProgram:
    """An image, an executable (a path in the image, or on nodes without one), and from where
    relative paths of libraries count; each may be empty."""

    image: str = ""
    executable: str = ""
    library_root: str = ""

    def given_to(self, spec: JobSpec) -> JobSpec:
        """The job with this program, where it is, or calibrates, an ngen that names none."""
        run = _lacking(spec)
        if run is None or not (self.image or self.executable):
            return spec
        told: NgenSettings = run.settings
        if told.version and not self.image:
            raise InvalidSpec(
                "this Headrace runs an executable of ngen and no image, so there are no versions",
                path=f"{'' if run is spec else _MODEL}settings.version",
                hint="leave it out, or name an `image`",
            )
        settings = replace(
            told,
            executable=self.executable or None,
            library_root=told.library_root or self.library_root or None,
        )
        made = replace(spec, image=self._tagged(told.version), command=())
        if run is spec:
            made = replace(made, settings=settings)
        else:
            model = replace(run, settings=settings, command=())
            made = _without_what_follows(
                replace(made, settings=replace(spec.settings, model=model))
            )
        return kind_named(spec.kind).complete(made)

    def _tagged(self, version: str | None) -> str | None:
        """The image, with another tag where one is named."""
        if not version:
            return self.image or None
        name, slash, last = self.image.partition("@")[0].rpartition("/")
        return f"{name}{slash}{last.partition(':')[0]}:{version}"


def refuse_without_ngen(spec: JobSpec) -> None:
    """Raise `NeverFits` for an ngen of which neither the job nor this Headrace names one."""
    run = _lacking(spec)
    if run is not None:
        of_it, at = ("the job", "") if run is spec else ("the model to calibrate", _MODEL)
        raise NeverFits(
            f"there is no ngen to run: {of_it} names none, and none is configured here",
            hint=f"name one by `image: …` of the job or `{at}settings.executable: /path/of/ngen`, "
            "or an admin sets HEADRACE_NGEN_IMAGE or HEADRACE_NGEN_EXECUTABLE of the request "
            "service; on a laptop: `NGEN_EXECUTABLE=/path/of/ngen headrace local up`",
        )


def _lacking(spec: JobSpec) -> JobSpec | None:
    """The run of ngen that names no program: the job itself, or the model that it calibrates."""
    run: JobSpec = spec
    if isinstance(spec.settings, CalibrationSettings | NgenCalSettings):
        run = spec.settings.model
    if run.kind != NAME or spec.image or spec.environment:
        return None
    told: NgenSettings = run.settings
    return run if told.executable is None else None


def _without_what_follows(spec: JobSpec) -> JobSpec:
    """A calibration without the plan and the config that follow from its model's settings."""
    return replace(
        spec,
        files=tuple(each for each in spec.files if each.name != PLAN_FILE),
        inputs=tuple(each for each in spec.inputs if not is_made(each)),
    )
