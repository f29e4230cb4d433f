"""The images of Headrace for tests: built once, then loaded from a file while nothing changed.

A build fetches packages and takes a minute, so its result is kept in the user's cache folder, by
the content of all it is made of.
"""

import contextlib
import fcntl
import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.docker_engine import DockerEngine

_PROJECT = Path(__file__).parents[2]
_BASE = (
    "scripts/build-base-image.sh", "scripts/build-images.sh", "scripts/lib/docker.sh",
    "docker/base", "constraints.txt",
)  # fmt: skip
_MADE_OF = {
    "service": (*_BASE, "docker/main", "pyproject.toml", "python"),
    "worker-python": (*_BASE, "docker/workers/python", "pyproject.toml", "python"),
    "worker-mpi": (*_BASE, "docker/workers/mpi"),
    "worker-bmi": (*_BASE, "docker/workers", "pyproject.toml", "python"),
    "redis": (*_BASE, "docker/redis"),
    "object-store": (*_BASE, "docker/object_store"),
    "dev-registry": (*_BASE, "docker/dev_registry"),
}
_STANDS_ON = {"worker-bmi": ("worker-python", "worker-mpi")}
_PYTHON_IMAGE = "headrace/python:3.11-bookworm"
TAG = "test"
PIP_CANARY = "canary-of-the-pip-settings.invalid"
"""A setting of pip that all builds of the tests get, and that no image may hold."""


def add_image(engine: DockerEngine, name: str) -> str:
    """Have `headrace/<name>:test` in an engine; returns that name.

    What is not in the cache is built first, which takes a minute and the network: raises
    AssertionError with what the scripts said when that fails.
    """
    image = f"headrace/{name}:{TAG}"
    if engine.docker("image", "inspect", image, check=False).returncode:
        engine.docker("load", "--input", str(image_file(engine.folder.parent, name)))
    return image


def image_file(work: Path, name: str) -> Path:
    """The file with an image, built by an engine of its own below `work` if it is not there."""
    kept = _kept(name)
    if not kept.exists():
        with _alone():
            if not kept.exists():
                _build_and_keep(work, name, kept)
    return kept


def _kept(name: str) -> Path:
    return _cache() / f"{name}-{_fingerprint(_MADE_OF[name])}.tar"


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Build while no other run does: it may build the same, and a build takes all CPUs."""
    _cache().mkdir(parents=True, exist_ok=True)
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_and_keep(work: Path, name: str, kept: Path) -> None:
    builder = DockerEngine(work / "build", outside=True)
    try:
        builder.start()
        _build(builder, name)
        _keep(builder, f"headrace/{name}:{TAG}", kept)
    finally:
        builder.kill9()


def _build(builder: DockerEngine, name: str) -> None:
    kept = _cache() / f"python-{_fingerprint(_BASE[:1])}.tar"
    if kept.exists():
        builder.docker("load", "--input", str(kept))
    _run(builder, "scripts/build-base-image.sh")
    if not kept.exists():
        _keep(builder, _PYTHON_IMAGE, kept)
    for below in map(_kept, _STANDS_ON.get(name, ())):
        if below.exists():
            builder.docker("load", "--input", str(below))
    _run(builder, "scripts/build-images.sh", "--tag", TAG, name)


def _run(engine: DockerEngine, script: str, *words: str) -> None:
    done = subprocess.run(
        [_PROJECT / script, *words], capture_output=True, text=True, timeout=1500, check=False,
        env={**engine.environ, "PIP_TRUSTED_HOST": PIP_CANARY},
    )  # fmt: skip
    assert done.returncode == 0, f"{script}: {done.stdout}{done.stderr}"


def _keep(engine: DockerEngine, image: str, file: Path) -> None:
    """Save an image as `file`, whole or not at all, in the place of earlier ones of its name."""
    part = file.with_suffix(f".{os.getpid()}")
    engine.docker("save", "--output", str(part), image)
    part.rename(file)
    for each in file.parent.glob(f"{file.name.rpartition('-')[0]}-*.tar"):
        if each != file:
            each.unlink(missing_ok=True)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headrace-tests"


def _fingerprint(paths: tuple[str, ...]) -> str:
    """Of the names and contents of all files at and below these paths but what Python compiled."""
    files = {_PROJECT / path for path in paths}
    files |= {file for folder in files for file in folder.rglob("*")}
    digest = hashlib.sha256()
    for file in sorted(file for file in files if file.is_file() and file.suffix != ".pyc"):
        name = file.relative_to(_PROJECT)
        digest.update(f"{name}\0{file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
