"""Checks of a job that need more than one of its keys."""

from collections.abc import Iterator

from headrace_kinds.base import RESERVED_NAMES
from headrace_kinds.registry import kind_named
from headrace_model.resources import Paradigm
from headrace_model.spec import FileSpec, JobSpec
from headrace_model.units import size_text
from headrace_wire.errors import Problem

MAX_FILES_BYTES = 4 * 2**20
# Half of what Linux hands to a program as a rule (2 MiB): placeholders grow at launch.
MAX_COMMAND_BYTES = 2**20


def problems_of(spec: JobSpec, *, sent: bool) -> list[Problem]:
    """Give all that is wrong between the parts of a spec.

    `sent`: the job has left its client, so an input may not be a local path any more.
    """
    problems = [
        *_names(spec),
        *_files(spec.files),
        *_software(spec),
        *_parallel(spec),
        *_raised(spec),
        *_checkpoint(spec),
        *(_unsent(spec) if sent else ()),
    ]
    kind = kind_named(spec.kind)
    problems += _laid_by_kind(spec, {*kind.programs, *(each.name for each in kind.links(spec))})
    wrong = kind.check(spec)
    return problems + [Problem(each.path, each.reason) for each in wrong]


def _names(spec: JobSpec) -> Iterator[Problem]:
    places = [(f"inputs.{each.name}", each.name) for each in spec.inputs]
    places += [(f"outputs.{each.name}", each.name) for each in spec.outputs]
    axes = [(f"array.matrix.{axis}", axis) for axis, _ in spec.array.matrix]
    for path, name in places + axes:
        if name in RESERVED_NAMES:
            yield Problem(path, f"{name!r} has a meaning of its own; choose another name")
    if spec.checkpoint and "checkpoint" in (name for _, name in places + axes):
        yield Problem("checkpoint", "an input, output or axis bears this name: choose another")
    inputs = {each.name for each in spec.inputs}
    for path, name in axes:
        if name in inputs:
            yield Problem(path, f"{{{name}}} is already the input of that name")


def _files(files: tuple[FileSpec, ...]) -> Iterator[Problem]:
    total_bytes = sum(len(each.content) for each in files)
    if total_bytes > MAX_FILES_BYTES:
        yield Problem(
            "files",
            f"{total_bytes:,} bytes in all; at most {size_text(MAX_FILES_BYTES)} travels with a "
            "job: make a dataset of them and name it in `inputs`",
        )
    seen: set[str] = set()
    folders = {
        name.rsplit("/", depth)[0]
        for name in (each.name for each in files)
        for depth in range(1, name.count("/") + 1)
    }
    for at, each in enumerate(files):
        if each.name in seen:
            yield Problem(f"files[{at}]", f"{each.name!r} stands twice")
        elif each.name in folders:
            yield Problem(f"files[{at}]", f"{each.name!r} is also the folder of another file")
        seen.add(each.name)


def _laid_by_kind(spec: JobSpec, names: set[str]) -> Iterator[Problem]:
    for at, each in enumerate(spec.files):
        if (first := each.name.partition("/")[0]) in names:
            yield Problem(
                f"files[{at}]",
                f"the kind {spec.kind} lays {first} beside the worker itself: choose another name",
            )


def _software(spec: JobSpec) -> Iterator[Problem]:
    if spec.image is not None and spec.environment is not None:
        yield Problem(
            "environment", "an image brings its own software: give image or environment, not both"
        )
    handed = sum(len(each.encode()) + 1 for each in spec.command)
    handed += sum(len(name) + len(value.encode()) + 2 for name, value in spec.env)
    if handed > MAX_COMMAND_BYTES:
        yield Problem(
            "command",
            f"command and env have {handed:,} bytes; at most {size_text(MAX_COMMAND_BYTES)} can "
            "be handed to a program: put them into a file in `files`",
        )


def _parallel(spec: JobSpec) -> Iterator[Problem]:
    if spec.parallel is None:
        return
    if spec.array.is_array:
        yield Problem(
            "parallel",
            "the tasks of an array run each for itself: give array or parallel, not both",
        )
    if spec.resources.amount.millicpus % 1000:
        yield Problem("resources.cpus", "a rank has a CPU of its own: ask for 1, 2, 3 or more")
    if spec.is_spread and spec.image is None:
        yield Problem(
            "image",
            f"{spec.resources.paradigm} spreads the ranks over nodes, which takes an image with "
            "Open MPI and an SSH server: name one, or write `paradigm: SINGLE_NODE`",
        )


def _raised(spec: JobSpec) -> Iterator[Problem]:
    limit = spec.retry.memory_limit_bytes
    if limit is None:
        return
    if spec.array.is_array:
        yield Problem(
            "retry.memory_limit", "tasks of an array run again with what they asked: leave it out"
        )
    if limit < spec.resources.amount.memory_bytes:
        asked = size_text(spec.resources.amount.memory_bytes)
        yield Problem("retry.memory_limit", f"is less than `resources.memory`, {asked}")


def _checkpoint(spec: JobSpec) -> Iterator[Problem]:
    warn, limit_ms = spec.limits.warn, spec.limits.time_ms
    for path, given in (("limits.warn", warn), ("checkpoint", spec.checkpoint)):
        if given is None:
            continue
        if spec.array.is_array:
            yield Problem(path, "tasks of an array have none: leave it out")
        if spec.is_spread:
            yield Problem(
                path,
                f"ranks on several nodes have none: write `paradigm: {Paradigm.SINGLE_NODE}`, or "
                "leave it out",
            )
    if warn is None:
        return
    if limit_ms is None:
        yield Problem("limits.warn", "warns of `limits.time`, which is not given")
    elif warn.before_ms >= limit_ms:
        yield Problem("limits.warn.before", "is not less than `limits.time`")


def _unsent(spec: JobSpec) -> Iterator[Problem]:
    for each in spec.path_inputs:
        yield Problem(
            f"inputs.{each.name}.path",
            "a path means something on its own machine only: upload it first (`headrace exec "
            "from_file` does) and ask for the dataset by its DATA_ID",
        )
