"""The kind `ngen-cal`: a calibration as NOAA-OWP/ngen-cal's YAML says it.

It comes to the same job as `calibration`. Headrace finds data by what it covers, so the paths of
the YAML (`model.realization`, `catchments`, `nexus`, `crosswalk`, `partitions`) count nothing: the
job of the model, beside it, asks for data as any run of ngen does. Where a key means what can't be
done here, that is told; `IGNORED` are those that change no result.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from headrace_kinds.calibration import CalibrationKind
from headrace_kinds.calibration_settings import (
    Algorithm,
    CalibrationSettings,
    Location,
    Stop,
    Tuned,
)
from headrace_kinds.settings import Period, told
from headrace_model.errors import HeadraceError, InvalidSpec
from headrace_model.spec import JobSpec
from headrace_model.times import Instant, parse_instant

REALIZATION: Final = "*realization*.json"
_CONFIG_INPUT: Final = "config"  # of the kind ngen
IGNORED: Final = frozenset(
    {
        *("general.name", "general.log", "general.workdir", "general.restart"),
        *("general.parameter_log_file", "general.objective_log_file"),
        *("model.binary", "model.realization", "model.catchments", "model.nexus"),
        *("model.crosswalk", "model.partitions", "model.hydrofabric"),
    }
)
_READ: Final = frozenset(
    {
        *("general.strategy", "general.random_seed", "general.iterations"),
        *("general.start_iteration", "model.type", "model.strategy", "model.params"),
        "model.eval_params",
    }
)
# Of ngen-cal's objectives, the metric that is best for the same parameters: nnse grows with NSE.
_OBJECTIVES: Final = {"kling_gupta": "kge", "nnse": "nse", "volume": "volume_error"}
_PARTICLES: Final = 4  # what ngen-cal takes for itself, as the weights below
_WEIGHTS: Final = {"c1": 0.5, "c2": 0.3, "w": 0.9}


@dataclass(frozen=True, slots=True)
class NgenCalSettings:
    """What a calibration by an ngen-cal config is told."""

    config: Mapping[str, Any] = told(
        "The config of ngen-cal: its YAML, with general and model.",
        "{general: {strategy: {type: estimation}, iterations: 100}, model: {type: ngen, params: "
        "{CFE: [{name: maxsmc, min: 0.2, max: 1.0, init: 0.4}]}, eval_params: "
        "{evaluation_start: 2015-12-15, evaluation_stop: 2015-12-30}}}",
    )
    model: JobSpec = told(
        "The job that runs the model once, as its job file has it.",
        "{kind: ngen, settings: {time: [2015-12-01, 2015-12-31]}}",
    )
    locations: tuple[Location, ...] = told(
        "Where the model is compared with observations.",
        "[{name: '02146562', simulated: nex-26}]",
        most=1000,
    )
    train: Period | None = told(
        "The period that the search fits. Default: that of model.eval_params.",
        "[2015-12-15, 2015-12-30]",
        default=None,
    )
    validate: Period | None = told(
        "A period that the search never sees, in which its end is scored.",
        "[2015-12-05, 2015-12-15]",
        default=None,
    )
    warm_up: str = told("So much of the run's begin counts nowhere.", "5d", default="0s")
    variable: str | None = told(
        "The variable of the model's output that is compared, where files hold several.",
        "Q_OUT",
        default=None,
        most=128,
    )
    unit: str | None = told(
        "The unit in which both are compared.", "m3 s-1", default=None, most=64
    )
    stop: Stop = told("When to end early.", "{without_better: 50}", default=Stop())

    def __post_init__(self) -> None:
        calibration_of(self)


class NgenCalKind(CalibrationKind):
    """Makes the job that calibrates as an ngen-cal config says."""

    name = "ngen-cal"
    summary = "a calibration of ngen as a config of ngen-cal says it"
    settings: type[Any] | None = NgenCalSettings

    def told(self, spec: JobSpec) -> CalibrationSettings:
        """The settings of the calibration that the config comes to."""
        return calibration_of(spec.settings)

    def key_path(self, each: Tuned) -> str:
        """The module that a parameter stands under."""
        return f"settings.config.model.params.{each.key.partition(':')[0]}"


def ignored_keys(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of a config that change nothing here."""
    return tuple(sorted(key for key in _keys(config) if key in IGNORED))


def _keys(config: Mapping[str, Any]) -> Iterator[str]:
    for part in ("general", "model"):
        for key, value in _part(config, part).items():
            if value is not None:
                yield f"{part}.{key}"


def calibration_of(given: NgenCalSettings) -> CalibrationSettings:
    """The calibration that a config means; raises `InvalidSpec` naming the key that means none."""
    config = given.config
    for key in _keys(config):
        if key not in _READ | IGNORED:
            raise _wrong(key, "it can't be mapped: leave it out")
    general, model = _part(config, "general"), _part(config, "model")
    _only("model.type", model.get("type"), ("ngen",))
    _only("model.strategy", model.get("strategy", "uniform"), ("uniform",))
    if general.get("start_iteration", 0) not in (0, None):
        raise _wrong("general.start_iteration", "a calibration begins at 0 and goes on by itself")
    algorithm, options, factor, parallel = _strategy(_part(general, "strategy", "general."))
    evaluated = _part(model, "eval_params", "model.", optional=True)
    objective = _objective(evaluated)
    iterations = _whole(general.get("iterations"), "general.iterations")
    try:
        return CalibrationSettings(
            model=given.model,
            parameters=_parameters(_part(model, "params", "model.")),
            train=given.train or _period(evaluated),
            locations=given.locations,
            validate=given.validate,
            warm_up=given.warm_up,
            objective=objective,
            algorithm=algorithm,
            options=options,
            iterations=iterations * factor,
            parallel=parallel,
            seed=_whole(general.get("random_seed", 0), "general.random_seed", least=0),
            stop=given.stop,
            variable=given.variable,
            unit=given.unit,
        )
    except InvalidSpec as error:
        if error.path.startswith("config"):
            raise
        raise InvalidSpec(error.reason, path=error.path or "config") from None


def _strategy(strategy: Mapping[str, Any]) -> tuple[Algorithm, dict[str, Any], int, int]:
    """(algorithm, options, evaluations an iteration, models at once)."""
    at = "general.strategy"
    _only(f"{at}.type", strategy.get("type"), ("estimation",))
    name = strategy.get("algorithm", "dds")
    _only(f"{at}.algorithm", name, ("dds", "pso"))
    given = _part(strategy, "parameters", f"{at}.", optional=True)
    known = {"dds": {"neighborhood"}, "pso": {"pool", "particles", "options"}}[name]
    for key in given:
        if key not in known:
            raise _wrong(f"{at}.parameters.{key}", f"{name} has no such parameter here")
    if name == "dds":
        return Algorithm.DDS, dict(given), 1, 1
    particles = _whole(given.get("particles", _PARTICLES), f"{at}.parameters.particles")
    weights = {**_WEIGHTS, **_part(given, "options", f"{at}.parameters.", optional=True)}
    pool = _whole(given.get("pool", 1), f"{at}.parameters.pool")
    return Algorithm.PSO, {"particles": particles, **weights}, particles, pool


def _parameters(by_module: Mapping[str, Any]) -> tuple[Tuned, ...]:
    found: list[Tuned] = []
    for module, params in by_module.items():
        for place, each in enumerate(params if isinstance(params, list | tuple) else [params]):
            at = f"model.params.{module}[{place}]"
            if not isinstance(each, Mapping) or not isinstance(each.get("name"), str):
                raise _wrong(at, "it needs name, min, max and init")
            low, high, init = (
                _number(each.get(key), f"{at}.{key}") for key in ("min", "max", "init")
            )
            name = each["name"] if len(by_module) == 1 else f"{module}_{each['name']}"
            key = f"{module}:{each['name']}"
            try:
                found.append(Tuned(name, low, high, init, REALIZATION, key, _CONFIG_INPUT))
            except InvalidSpec as error:
                raise _wrong(f"{at}.{error.path}", error.reason) from None
    return tuple(sorted(found, key=lambda each: each.name))


def _objective(evaluated: Mapping[str, Any]) -> str:
    if evaluated.get("target", "min") != "min":
        raise _wrong("model.eval_params.target", "only min can be mapped: leave it out")
    name = evaluated.get("objective", "kling_gupta")
    _only("model.eval_params.objective", name, tuple(_OBJECTIVES))
    return _OBJECTIVES[name]


def _period(evaluated: Mapping[str, Any]) -> Period:
    ends = []
    for key in ("evaluation_start", "evaluation_stop"):
        value = evaluated.get(key)
        at = f"model.eval_params.{key}"
        if value is None:
            raise _wrong(at, "it is not given: give it, or `train` beside the config")
        text = value.isoformat() if isinstance(value, date | datetime) else str(value)
        try:
            ends.append(parse_instant(text.strip().replace(" ", "T")))
        except HeadraceError as error:
            raise _wrong(at, error.message) from None
    try:
        return Period(Instant(ends[0]), Instant(ends[1]))
    except HeadraceError as error:
        raise _wrong("model.eval_params.evaluation_stop", error.message) from None


def _part(
    holder: Mapping[str, Any], key: str, before: str = "", *, optional: bool = False
) -> Mapping[str, Any]:
    found = holder.get(key)
    if found is None and optional:
        return {}
    if not isinstance(found, Mapping):
        raise _wrong(f"{before}{key}", "a mapping is expected here")
    return found


def _only(key: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        said = f"{str(value)[:40]!r} can't be mapped" if value is not None else "it is missing"
        raise _wrong(key, f"{said}; {' and '.join(known)} can")


def _whole(value: Any, key: str, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise _wrong(key, f"a whole number from {least} on is expected")
    return value


def _number(value: Any, key: str) -> float:
    try:
        return float(value) if not isinstance(value, bool | None) else float("nan")
    except (TypeError, ValueError):
        raise _wrong(key, "a number is expected") from None


def _wrong(key: str, reason: str) -> InvalidSpec:
    return InvalidSpec(reason, path=f"config.{key}")
