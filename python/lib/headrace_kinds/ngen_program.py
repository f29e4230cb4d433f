"""The ngen that runs where a job names none: that which this Headrace is told of."""

from dataclasses import dataclass, replace
from typing import Final

from headrace_kinds.ngen import NAME, NgenKind, NgenSettings
from headrace_model.errors import InvalidSpec, NeverFits
from headrace_model.spec import JobSpec

_KIND: Final = NgenKind()


@dataclass(frozen=True, slots=True)
class NgenProgram:
    """An image, an executable (a path in the image, or on nodes without one), and from where
    relative paths of libraries count; each may be empty."""

    image: str = ""
    executable: str = ""
    library_root: str = ""

    def given_to(self, spec: JobSpec) -> JobSpec:
        """The job with this program, where it is an ngen that names none of its own."""
        if not _lacks_one(spec) or not (self.image or self.executable):
            return spec
        told: NgenSettings = spec.settings
        if told.version and not self.image:
            raise InvalidSpec(
                "this Headrace runs an executable of ngen and no image, so there are no versions",
                path="settings.version",
                hint="leave it out, or name an `image`",
            )
        settings = replace(
            told,
            executable=self.executable or None,
            library_root=told.library_root or self.library_root or None,
        )
        return _KIND.complete(
            replace(spec, settings=settings, image=self._tagged(told.version), command=())
        )

    def _tagged(self, version: str | None) -> str | None:
        """The image, with another tag where one is named."""
        if not version:
            return self.image or None
        name, slash, last = self.image.partition("@")[0].rpartition("/")
        return f"{name}{slash}{last.partition(':')[0]}:{version}"


def refuse_without_ngen(spec: JobSpec) -> None:
    """Raise `NeverFits` for an ngen of which neither the job nor this Headrace names one."""
    if _lacks_one(spec):
        raise NeverFits(
            "there is no ngen to run: the job names none, and none is configured here",
            hint="name one by `image: …` or `settings: {executable: /path/of/ngen}`, or an admin "
            "sets HEADRACE_NGEN_IMAGE or HEADRACE_NGEN_EXECUTABLE of the request service; on a "
            "laptop: `NGEN_EXECUTABLE=/path/of/ngen headrace local up`",
        )


def _lacks_one(spec: JobSpec) -> bool:
    if spec.kind != NAME or spec.image or spec.environment:
        return False
    told: NgenSettings = spec.settings
    return told.executable is None
