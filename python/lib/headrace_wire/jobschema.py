"""The schemas of a job file, version 1 (Appendix A of docs/design.md).

A schema reads plain values into the parts of a `JobSpec` and writes them back. What needs more
than one key at a time is checked in `jobcheck`.
"""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from headrace_kinds.patterns import MOST_PATTERN, check_pattern
from headrace_kinds.registry import all_kinds, kind_named
from headrace_model.cause import RETRIED_BY_DEFAULT, RETRYABLE, Cause
from headrace_model.ids import check_name, parse_job_id
from headrace_model.priority import CLASSES, MOST_PRIORITY
from headrace_model.requirement import PathInput, Requirement
from headrace_model.spec import (
    DEFAULT_RETRY_LIMIT,
    ArraySpec,
    Checkpoint,
    Environment,
    JobSpec,
    Limits,
    OutputSpec,
    Parallel,
    ProgressSpec,
    Retry,
    Signal,
    Warn,
)
from headrace_model.times import Instant, format_instant, parse_instant
from headrace_wire.amounts import ResourcesSchema, duration, memory_size
from headrace_wire.containers import Named, Part, StrictSchema, Words
from headrace_wire.fields import Flag, Graded, Parsed, Text, Whole, WireField, Word, expected
from headrace_wire.jobdata import InputSchema, OutputSchema, build_input, build_output
from headrace_wire.jobvalues import (
    Content,
    check_env_name,
    check_image,
    check_member_name,
    check_pip_line,
)
from headrace_wire.kindsettings import SettingsField, read_as, settings_by_kind, with_settings

FILE_VERSION = 1
MAX_TASKS = 10_000_000
# The longest single argument that Linux hands to a program (MAX_ARG_STRLEN), less its end.
MAX_ARGUMENT = 131_071


class EnvironmentSchema(StrictSchema):
    """`environment`."""

    pip = Words(
        Text("numpy==2.1.0", limit=1024, check=check_pip_line),
        least=1,
        limit=512,
        example='["numpy==2.1.0"]',
        required=True,
        about="Requirement lines as pip reads them, markers included; no options.",
    )

    def make(self, read: dict[str, Any]) -> Environment:
        return Environment(**read)


class WarnSchema(StrictSchema):
    """`limits.warn`."""

    signal = Word(Signal, required=True, about="Which signal.")
    before_ms = duration(
        "before", 1, data_key="before", required=True, about="How long before `limits.time`."
    )

    def make(self, read: dict[str, Any]) -> Warn:
        return Warn(**read)


class CheckpointSchema(StrictSchema):
    """`checkpoint`."""

    signal = Word(Signal, about="Asks the worker to fill it before it is stopped. Default TERM.")

    def make(self, read: dict[str, Any]) -> Checkpoint:
        return Checkpoint(**read)


class LimitsSchema(StrictSchema):
    """`limits`."""

    time_ms = duration("time", 1, data_key="time", about="Longest run; without it, no limit.")
    grace_ms = duration(
        "grace", 0, data_key="grace", about="From SIGTERM to SIGKILL. Default 10s."
    )
    exclusive = Flag(about="Has effects outside its output: never two live attempts.")
    warn = Part(
        WarnSchema(),
        example="{signal: USR1, before: 60s}",
        about="A signal to the worker before its time limit.",
    )

    def make(self, read: dict[str, Any]) -> Limits:
        return Limits(**read)


class RetrySchema(StrictSchema):
    """`retry`."""

    limit = Whole(0, 100, about=f"Most new attempts. Default {DEFAULT_RETRY_LIMIT}.")
    on = Words(
        Word(sorted(RETRYABLE)),
        limit=len(Cause),
        unique=True,
        example="[NODE_LOST, STAGING]",
        about=f"Causes to retry for. Default {', '.join(sorted(RETRIED_BY_DEFAULT))}.",
    )

    memory_limit_bytes = memory_size(
        "memory_limit",
        "8GiB",
        data_key="memory_limit",
        about="After an OOM the next attempt asks twice the memory, at most this. Default 4 times "
        "`resources.memory`.",
    )

    def make(self, read: dict[str, Any]) -> Retry:
        if "on" in read:
            read["on"] = frozenset(read["on"])
        return Retry(**read)


class ProgressSchema(StrictSchema):
    """`progress`."""

    pattern = Text(
        r"step (?P<step>\d+)/(?P<of>\d+)",
        limit=MOST_PATTERN,
        check=check_pattern,
        required=True,
        about="A pattern with the groups percent, fraction, step, of or time, looked for in each "
        "line that a worker writes.",
    )

    def make(self, read: dict[str, Any]) -> ProgressSpec:
        return ProgressSpec(**read)


class ArraySchema(StrictSchema):
    """`array`: exactly one of count, items, matrix."""

    count = Whole(1, MAX_TASKS, about="The number of tasks; {index} counts them from 0.")
    items = Words(
        Text("site-1", numbers=True),
        least=1,
        limit=100_000,
        about="One task a member; it stands for {item}.",
    )
    matrix: Named[tuple[str, tuple[str, ...]]] = Named(
        Words(Text("x", numbers=True), least=1, limit=100_000),
        limit=16,
        check_key=check_member_name("matrix axis"),
        example="{a: [1, 2], b: [x, y]}",
        make=lambda name, values: (name, values),
        split=lambda pair: pair,
        about="One task a combination; each axis is a placeholder.",
    )

    def make(self, read: dict[str, Any]) -> ArraySpec:
        if len(read) != 1:
            raise ValidationError("give exactly one of count, items and matrix")
        if "matrix" in read and not read["matrix"]:
            raise ValidationError({"matrix": ["is empty; write for example {a: [1, 2]}"]})
        array = ArraySpec(**read)
        if array.tasks > MAX_TASKS:
            raise ValidationError(f"comes to more than {MAX_TASKS:,} tasks")
        return array

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        used = {key: each for key, each in plain.items() if key != "count" and each}
        return used or {"count": plain["count"]}


class JobSchema(StrictSchema):
    """A job file, version 1."""

    headrace = Whole(1, FILE_VERSION, required=True, about="The version of the file: 1.")
    kind = Parsed(
        "a kind",
        "command",
        lambda text: kind_named(text).name,
        str,
        required=True,
        about="What runs it.",
    )
    name = Text(
        "delaware-prms",
        limit=128,
        check=lambda text: check_name(text, "job"),
        about="A name for people; not unique. Default: the kind.",
    )
    settings = SettingsField(about="What this kind is told; the rest of the job follows from it.")
    image = Text("registry/name:1.2", limit=512, check=check_image, about="The container image.")
    environment = Part(
        EnvironmentSchema(), example='{pip: ["numpy==2.1.0"]}', about="Software to install first."
    )
    command = Words(
        Text("--fast", limit=MAX_ARGUMENT, numbers=True),
        limit=4096,
        example='[python, run.py, "{output}"]',
        about="Program and arguments, with placeholders.",
    )
    files = Words(
        Content(), limit=64, example="[run.py]", about="Small files that travel with the job."
    )
    env: Named[tuple[str, str]] = Named(
        Text("2", limit=MAX_ARGUMENT, numbers=True),
        limit=512,
        check_key=check_env_name,
        example='{OMP_NUM_THREADS: "2"}',
        make=lambda name, value: (name, value),
        split=lambda pair: pair,
        about="Environment variables, with placeholders.",
    )
    secrets = Words(
        Text("usgs_token", limit=128, check=lambda text: check_name(text, "secret")),
        limit=64,
        unique=True,
        about="Named secrets of the owner, as files in {secrets}.",
    )
    parallel = Word(
        Parallel, about="Ranks that work together: mpi, with mpirun as the command. A rank a CPU."
    )
    resources = Part(ResourcesSchema(), example="{cpus: 2, memory: 4GiB}", about="What it needs.")
    limits = Part(LimitsSchema(), example="{time: 30m}", about="Bounds on an attempt.")
    retry = Part(RetrySchema(), example="{limit: 1, on: [NODE_LOST]}", about="When to try again.")
    progress = Part(
        ProgressSchema(),
        example=r"{pattern: 'step (?P<step>\d+)/(?P<of>\d+)'}",
        about="What tells in its output how far it is.",
    )
    after = Words(
        Parsed("a job id", "0123456789abcdef", parse_job_id, str, pattern="^[0-9a-z]{16}$"),
        limit=1000,
        unique=True,
        about="Jobs that must complete first.",
    )
    start_not_before_ms: Parsed[Instant] = Parsed(
        "a time in UTC",
        "2026-01-31T06:00Z",
        parse_instant,
        format_instant,
        data_key="start_not_before",
        about="The earliest start.",
    )
    deadline_ms: Parsed[Instant] = Parsed(
        "a time in UTC",
        "2026-01-31T06:00Z",
        parse_instant,
        format_instant,
        data_key="deadline",
        about="The end at the latest: a job that can't keep it, by limits.time, doesn't start.",
    )
    priority = Graded(
        0,
        MOST_PRIORITY,
        CLASSES,
        about="Higher runs earlier: low (25), normal (50, the default), high (75), urgent (100), "
        "or a number. More than 75 is for admins.",
    )
    inputs: Named[Requirement | PathInput] = Named(
        Part(InputSchema(), example="{category: FORCING, domain: {…}} or {path: ./mine}"),
        limit=256,
        check_key=check_member_name("job's input"),
        example="{forcing: {category: FORCING, domain: {…}}}",
        make=build_input,
        split=lambda each: (each.name, each),
        about="Data it reads, by the name of its folder.",
    )
    outputs: Named[OutputSpec] = Named(
        Part(OutputSchema(), example="{format: TIMESERIES_NETCDF}"),
        limit=256,
        check_key=check_member_name("job's output"),
        example="{streamflow: {format: TIMESERIES_NETCDF}}",
        make=build_output,
        split=lambda each: (each.name, each),
        about="Data it makes.",
    )
    array = Part(ArraySchema(), example="{count: 10}", about="Many tasks as one job.")
    checkpoint = Part(
        CheckpointSchema(),
        example="{signal: USR1}",
        about="The folder {checkpoint}, which the next attempt gets.",
    )

    def load(self, data: Any, **options: Any) -> Any:
        return super().load(with_settings(data), **options)

    def json_schema(self) -> dict[str, Any]:
        schema = super().json_schema()
        kind = schema["properties"]["kind"]
        kind["description"] = f"What runs it: {', '.join(all_kinds())}."
        rules = settings_by_kind()
        return schema | ({"allOf": rules} if rules else {})

    def make(self, read: dict[str, Any]) -> JobSpec:
        del read["headrace"]
        return JobSpec(**{"name": read["kind"], **read})

    def short(self, plain: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is empty, and the array of an ordinary job."""
        if plain["array"] == {"count": 1}:
            del plain["array"]
        kept = {key: each for key, each in plain.items() if each not in ([], {})}
        return {"headrace": FILE_VERSION, **kept}


class InnerJob(WireField[JobSpec]):
    """A whole job in the settings of another: as a job file, but `headrace` and what travels with
    the outer one, its files, may be left out."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> JobSpec:
        if not isinstance(value, Mapping):
            raise expected("a job", "{kind: command, command: [python, run.py]}", value)
        if value.get("files"):
            raise ValidationError({"files": ["name them in `files` of the whole job"]})
        spec: JobSpec = _INNER.load({"headrace": FILE_VERSION, **value})
        return spec

    def _serialize(self, value: JobSpec | None, attr: Any, obj: Any, **kwargs: Any) -> Any:
        return value and _INNER.dump(value)

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object"}


_INNER = JobSchema()
read_as(JobSpec, InnerJob)
