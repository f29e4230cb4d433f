"""Derivations: jobs that Headrace itself starts to make data that another job misses.

The one so far resolves a software environment to a list of exact versions with hashes.
"""

from hashlib import sha256
from typing import Final

from headrace_model.domain import Discrete, Index
from headrace_model.errors import InvalidSpec
from headrace_model.requirement import Requirement
from headrace_model.spec import Environment, FileSpec, JobSpec, Limits, OutputSpec

DERIVATION: Final = "derivation"  # what such a job shows as its kind
_SCRIPT: Final = "pip_lock.py"
_LINES: Final = "requirements.txt"
_TIME_MS: Final = 15 * 60_000


def derivation_key(requirement: Requirement, owner: str) -> str:
    """What names the contents to be made: two jobs of one owner that miss the same share one
    derivation. Never two owners: what it makes belongs to the one who asked first.
    """
    return f"{owner}:{requirement.format}.{_data_id(requirement)}"


def environment_job(
    environment: Environment, requirement: Requirement, script: bytes, priority: int
) -> JobSpec:
    """The job that makes the lock list which `requirement` asks for.

    `script` is run by the node's own interpreter with pip beside it; it writes `lock.txt`.
    """
    key = _data_id(requirement)
    return JobSpec(
        kind="command",
        name=f"environment-{key[:12]}",
        command=("python3", _SCRIPT, _LINES, "{output}"),
        files=(
            _file(_SCRIPT, script),
            _file(_LINES, "".join(f"{line}\n" for line in environment.pip).encode()),
        ),
        limits=Limits(time_ms=_TIME_MS),
        priority=priority,
        outputs=(
            OutputSpec(
                name="lock",
                category=requirement.category,
                format=str(requirement.format),
                domain=requirement.domain,
            ),
        ),
    )


def _data_id(requirement: Requirement) -> str:
    names = requirement.domain.get(Index.DATA_ID)
    if not isinstance(names, Discrete) or len(names.values) != 1:
        raise InvalidSpec(f"input {requirement.name}: an environment has one DATA_ID, its key")
    (key,) = names.values
    return key


def _file(name: str, content: bytes) -> FileSpec:
    return FileSpec(name, sha256(content).hexdigest(), content)
