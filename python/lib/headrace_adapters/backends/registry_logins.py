"""Logins at registries of images, as `docker login` keeps them: `auths` of a config.json."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_IMODE
from typing import Any, Final

from docker import auth
from docker.errors import DockerException

from headrace_model.errors import InvalidInput

_LARGEST_BYTES: Final = 1 << 20

Login = Mapping[str, Any]
"""What the SDK sends to the engine, and the engine to one registry."""


class RegistryLogins:
    """The logins of a file, or else (`file` None) what `docker login` of our own user keeps.

    They are read for each pull, so that a new login counts at once and none is kept in memory.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Raises `InvalidInput` where the file is not there, wrong, or others may read it."""
        self._file = file
        if file is not None:
            _read(file)

    def of(self, image: str) -> Login | None:
        """The login at an image's registry; None: there is none. Blocks; errors as at first."""
        registry = registry_of(image)
        if self._file is not None:
            return _read(self._file).get(registry)
        try:
            found: Login | None = auth.resolve_authconfig(auth.load_config(), registry)
        except DockerException as error:
            raise InvalidInput(
                f"what `docker login` keeps for {registry} can't be read",
                hint="log in again, or name a registry_logins_file",
            ) from error
        return found


def registry_of(image: str) -> str:
    """The host (and port) that an image's name begins with; docker.io where it names none."""
    registry: str = auth.resolve_repository_name(image)[0]
    return registry


def _read(file: Path) -> Mapping[str, Login]:
    """The logins of a file by registry. No error tells what stands in it."""
    try:
        with file.open("rb") as opened:
            mode = S_IMODE(os.fstat(opened.fileno()).st_mode)
            text = opened.read(_LARGEST_BYTES)
    except OSError as error:
        raise InvalidInput(
            f"the file of registry logins {file} can't be read: {error.strerror}"
        ) from None
    if mode & 0o077:
        raise InvalidInput(f"others may read {file}, which holds logins", hint=f"chmod 600 {file}")
    try:
        found = auth.parse_auth(json.loads(text)["auths"], raise_on_error=True)
    except (DockerException, AttributeError, KeyError, TypeError, ValueError):
        raise InvalidInput(
            f"{file} holds no logins in the form of docker's config.json",
            hint='{"auths": {"HOST": {"auth": "base64 of USER:PASSWORD"}}}; docs/operate.md',
        ) from None
    for registry, login in found.items():
        if not login:
            raise InvalidInput(
                f"{file} names {registry} without its login: a credential helper may keep that",
                hint='write "auth": "base64 of USER:PASSWORD" there; docs/operate.md',
            )
    return {auth.resolve_index_name(registry): login for registry, login in found.items()}
