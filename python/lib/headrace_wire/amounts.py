"""`resources` of a job file, and the amounts that other keys have too."""

from typing import Any

from headrace_model.ids import check_name
from headrace_model.node import MOST_LABELS, check_label, check_label_value
from headrace_model.resources import (
    GPUS,
    MOST_GENERIC,
    MOST_PIECES,
    Constraints,
    Paradigm,
    Resources,
    check_generic,
)
from headrace_model.resources import generic as counted
from headrace_model.spec import DEFAULT_RESOURCES, ResourceSpec
from headrace_model.units import (
    cpus_text,
    duration_text,
    parse_cpus,
    parse_duration,
    parse_size,
    size_text,
)
from headrace_wire.containers import Named, StrictSchema
from headrace_wire.fields import Cpus, Flag, Parsed, Text, Whole, Word

MIN_MEMORY_BYTES = 2**20


def positive(what: str, least: int, shown: str) -> Any:
    """A check that a number is not below the least."""
    return lambda value: None if value >= least else f"{what} must be at least {shown}"


def duration(what: str, least: int, **options: Any) -> Parsed[int]:
    """A duration in milliseconds."""
    return Parsed(
        "a duration",
        "30m",
        parse_duration,
        duration_text,
        pattern=r"^([0-9]+(\.[0-9]+)?(d|h|ms|m|s))+$",
        check=positive(what, least, "1ms"),
        **options,
    )


def memory_size(what: str, example: str, **options: Any) -> Parsed[int]:
    """A size of memory in bytes."""
    return Parsed(
        "a size",
        example,
        parse_size,
        size_text,
        pattern=r"^[0-9]+(\.[0-9]+)? ?([kKMGTP][iI]?)?[bB]$",
        check=positive(what, MIN_MEMORY_BYTES, "1MiB"),
        **options,
    )


class ResourcesSchema(StrictSchema):
    """`resources`."""

    cpus = Cpus(
        "a number of CPUs",
        "2, 0.5 or 500m",
        parse_cpus,
        cpus_text,
        pattern=r"^[0-9]+(m|\.[0-9]+)?$",
        check=positive("cpus", 1, "0.001 (1m)"),
        attribute="amount.millicpus",
        about="CPUs of the whole attempt, or of each task; thousandths count. Default 1.",
    )
    memory = memory_size(
        "memory",
        "4GiB",
        attribute="amount.memory_bytes",
        about="Memory of the whole attempt, or of each task. Default 1GiB.",
    )
    paradigm = Word(Paradigm, about="How the allocation spreads over nodes. Default SINGLE_NODE.")
    pool = Text(
        "large",
        limit=128,
        check=lambda text: check_name(text, "pool"),
        about="The pool whose nodes alone may be used, as an admin named it. Default all nodes.",
    )
    gpus = Whole(0, MOST_PIECES, about="GPUs of the whole attempt, or of each task. Default none.")
    generic: Named[tuple[str, int]] = Named(
        Whole(0, MOST_PIECES),
        limit=MOST_GENERIC,
        check_key=check_generic,
        example="{licence_x: 1}",
        make=lambda name, count: (name, count),
        split=lambda pair: pair,
        about="What else an admin counts by the piece, of the whole attempt, or of each task.",
    )
    labels: Named[tuple[str, str]] = Named(
        Text("ssd", limit=63, numbers=True, check=check_label_value),
        limit=MOST_LABELS,
        check_key=check_label,
        example="{disk: ssd}",
        make=lambda name, value: (name, value),
        split=lambda pair: pair,
        about="Only nodes with these labels, which admins give them.",
    )
    whole_node = Flag(
        about="Nobody else on its nodes: it gets empty ones, and holds all of them. Default false."
    )
    spread = Flag(
        about="What goes to one node goes to the emptiest that holds it, not to the fullest. "
        "Default false."
    )

    def make(self, read: dict[str, Any]) -> ResourceSpec:
        return ResourceSpec(
            Resources(
                read.get("amount.millicpus", DEFAULT_RESOURCES.millicpus),
                read.get("amount.memory_bytes", DEFAULT_RESOURCES.memory_bytes),
                counted({GPUS: read.get("gpus", 0), **dict(read.get("generic", ()))}),
            ),
            read.get("paradigm", Paradigm.SINGLE_NODE),
            read.get("pool"),
            Constraints(
                read.get("labels", ()), read.get("whole_node", False), read.get("spread", False)
            ),
        )
