"""The plan of a calibration: the file that the kind `calibration` gives its worker.

`headrace_kinds.calibration` writes it, in the same words; this only reads it, so what is wrong in
it is a difference of versions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from headrace_calibration.core.course import StopRules
from headrace_calibration.core.periods import Periods, Span
from headrace_calibration.core.sampler import Search
from headrace_calibration.core.space import Parameter, first_point
from headrace_kinds.base import Link
from headrace_kinds.calibration_settings import Algorithm, Scale
from headrace_kinds.filling import Place
from headrace_model.errors import InvalidInput

VERSION = 1


@dataclass(frozen=True, slots=True)
class Target:
    """A file that parameters go into: `file`, a pattern below the model's working folder, or below
    the folder of its input `input`."""

    input: str | None
    file: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """What is run: a command and env with placeholders, `files` and packages of ours, `programs`,
    that lie in its working folder, by name, the folder of the output that is scored (below
    `{output}`), and its limit of time."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    files: tuple[str, ...]
    links: tuple[Link, ...]
    programs: tuple[str, ...]
    output: str
    limit_s: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it. `evaluation` is what says how output and observations are read and compared."""

    space: tuple[Parameter, ...]
    targets: tuple[Target, ...]
    search: Search
    seed: int
    parallel: int
    objective: str
    periods: Periods
    rules: StopRules
    model: Model
    evaluation: Mapping[str, Any]
    digest: str


def read_plan(content: bytes) -> Plan:
    """Read the file; raises `InvalidInput`."""
    try:
        plain = json.loads(content)
        if plain["headrace_calibration"] != VERSION:
            raise InvalidInput("the plan is of another version of Headrace")
        space = tuple(_parameter(each) for each in plain["parameters"])
        return Plan(
            space=space,
            targets=_targets(plain["parameters"]),
            search=Search(
                Algorithm(plain["algorithm"]),
                first_point(space),
                plain["iterations"],
                plain["options"],
            ),
            seed=plain["seed"],
            parallel=plain["parallel"],
            objective=plain["objective"],
            periods=_periods(plain),
            rules=StopRules(**plain["stop"]),
            model=_model(plain["model"]),
            evaluation=plain["evaluation"],
            digest=_digest(plain),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"the plan of the calibration can't be read: {error!r}") from None


def _digest(plain: Mapping[str, Any]) -> str:
    """What names the search: everything but how many models run at once."""
    said = {name: each for name, each in plain.items() if name != "parallel"}
    return sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _parameter(plain: Mapping[str, Any]) -> Parameter:
    scale = Scale(plain["scale"])
    return Parameter(plain["name"], plain["min"], plain["max"], plain["init"], scale)


def _targets(parameters: list[Mapping[str, Any]]) -> tuple[Target, ...]:
    found: dict[tuple[str | None, str], list[Place]] = {}
    for each in parameters:
        places = found.setdefault((each["input"], each["file"]), [])
        places.append(Place(each["name"], each["key"]))
    return tuple(Target(where, file, tuple(places)) for (where, file), places in found.items())


def _periods(plain: Mapping[str, Any]) -> Periods:
    validate = plain["validate"]
    return Periods(
        Span(*plain["train"]), Span(*validate) if validate else None, plain["warm_up_ms"]
    )


def _model(plain: Mapping[str, Any]) -> Model:
    links = tuple(
        Link(each["name"], each["input"], tuple(each["patterns"])) for each in plain["links"]
    )
    return Model(
        command=tuple(plain["command"]),
        env=plain["env"],
        files=tuple(plain["files"]),
        links=links,
        programs=tuple(plain.get("programs", ())),  # a stored plan may be of an older version
        output=plain["output"],
        limit_s=plain["limit_s"],
    )
