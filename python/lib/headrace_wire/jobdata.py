"""The schemas of a job file's `inputs` and `outputs`."""

from typing import Any

from marshmallow import ValidationError

from headrace_model.dataset import Category
from headrace_model.domain import Domain, check_format
from headrace_model.errors import HeadraceError
from headrace_model.ids import check_name
from headrace_model.requirement import Derived, PathInput, Requirement, Shape
from headrace_model.spec import OutputSpec
from headrace_wire.containers import Part, StrictSchema
from headrace_wire.fields import Text, Word
from headrace_wire.jobrenewed import renewed
from headrace_wire.jobvalues import Covers
from headrace_wire.kindsettings import Plain


class DerivedSchema(StrictSchema):
    """`derived` of an input."""

    by = Text(
        "partition",
        limit=128,
        check=lambda text: check_name(text, "derivation"),
        required=True,
        about="The name of the derivation.",
    )
    settings = Plain(about="What it is told; without it nothing.")

    def make(self, read: dict[str, Any]) -> Derived:
        try:
            return Derived(**read)
        except HeadraceError as error:
            raise ValidationError(error.message) from None

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        return {key: each for key, each in plain.items() if each != {}}


class InputSchema(StrictSchema):
    """One of `inputs`; gives the keys, `build_input` joins them with the name."""

    path = Text("./mine", about="A file or folder to upload and use; on the client only.")
    category = Word(Category)
    format = Text("PRMS_NETCDF", limit=64, check=check_format, about="Without it, any format.")
    domain = Covers(about="What the data must cover.")
    shape = Word(
        Shape,
        about="ANY: one dataset or several, each in a folder of its own; ONE: one dataset; EXACT: "
        "one that covers no more than the domain. Default ANY.",
    )

    derived = Part(
        DerivedSchema(),
        example="{by: partition, settings: {balance: area}}",
        about="Only what this derivation makes, told this.",
    )

    def make(self, read: dict[str, Any]) -> dict[str, Any]:
        if "path" in read:
            if len(read) > 1:
                message = "a path stands alone: no category, format, domain or shape with it"
                raise ValidationError(message)
        elif missing := sorted({"category", "domain"} - set(read)):
            message = "this key is missing; an input has category and domain, or a path alone"
            raise ValidationError({key: [message] for key in missing})
        return read

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        return {key: each for key, each in plain.items() if (key, each) != ("shape", Shape.ANY)}


def build_input(name: str, keys: dict[str, Any]) -> Requirement | PathInput:
    """Join an input's name and keys; raises `InvalidName`, `InvalidInput`."""
    if "path" in keys:
        return PathInput(name, keys["path"])
    wanted = Requirement(
        name,
        keys["category"],
        keys.get("format"),
        keys["domain"],
        keys.get("shape", Shape.ANY),
        keys.get("derived"),
    )
    return renewed(wanted)


class OutputSchema(StrictSchema):
    """One of `outputs`."""

    category = Word(Category, about="Default OUTPUT.")
    format = Text("TIMESERIES_NETCDF", limit=64, check=check_format, required=True)
    domain = Covers(about="What can't be detected from the files; TIME and ids are.")


def build_output(name: str, keys: dict[str, Any]) -> OutputSpec:
    """Join an output's name and keys; raises `InvalidName`, `InvalidDomain`."""
    return OutputSpec(
        name, keys.get("category", Category.OUTPUT), keys["format"], keys.get("domain", Domain())
    )
