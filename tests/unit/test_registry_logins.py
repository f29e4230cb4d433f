"""The file with logins at registries: docker's own form, or a sentence that tells no secret."""

import asyncio
from pathlib import Path

import pytest

from headrace_adapters.backends.registry_logins import RegistryLogins
from headrace_agent.launches import Containers, ImageUnusable, image_of
from headrace_model.errors import Forbidden, InvalidInput
from headrace_wire.jobfile import load_jobfile

# rivers:water-wheel
AUTH = "cml2ZXJzOndhdGVyLXdoZWVs"


def logins(folder: Path, text: str, mode: int = 0o600) -> RegistryLogins:
    file = folder / "logins.json"
    file.write_text(text)
    file.chmod(mode)
    return RegistryLogins(file)


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("registry.example:5000", "registry.example:5000/a/b:1"),
        ("https://registry.example/v2/", "registry.example/a@sha256:0"),
        ("https://index.docker.io/v1/", "rivers/prms"),
        ("docker.io", "debian"),
    ],
)
def test_a_login_is_found_by_the_registry_of_an_image(
    tmp_path: Path, key: str, image: str
) -> None:
    found = logins(tmp_path, f'{{"auths": {{"{key}": {{"auth": "{AUTH}"}}}}}}')
    login = found.of(image)
    assert login is not None
    assert (login["username"], login["password"]) == ("rivers", "water-wheel")
    assert found.of("other.example/a") is None


def test_a_token_of_a_registry_is_a_login_too(tmp_path: Path) -> None:
    found = logins(tmp_path, '{"auths": {"r.example": {"identitytoken": "t"}}}')
    assert found.of("r.example/a") == {"IdentityToken": "t"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds no logins in the form"),
        ("[]", "holds no logins in the form"),
        (f'{{"auth": "{AUTH}"}}', "holds no logins in the form"),
        (f'{{"auths": ["{AUTH}"]}}', "holds no logins in the form"),
        (f'{{"auths": {{"r": "{AUTH}"}}}}', "holds no logins in the form"),
        ('{"auths": {"r": {"auth": "cml2ZXJz"}}}', "holds no logins in the form"),
        ('{"auths": {"r": {}}, "credsStore": "pass"}', "a credential helper may keep that"),
    ],
)
def test_a_wrong_file_is_told_without_what_stands_in_it(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why) as told:
        logins(tmp_path, text)
    assert AUTH not in str(told.value)
    assert told.value.__cause__ is None


def test_a_file_that_others_may_read_or_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="others may read"):
        logins(tmp_path, '{"auths": {}}', 0o640)
    with pytest.raises(InvalidInput, match="can't be read: No such file"):
        RegistryLogins(tmp_path / "none")


def test_a_registry_that_refuses_is_no_reason_to_try_again() -> None:
    class Refusing:
        async def ensure_image(self, name: str) -> str:
            raise Forbidden(f"no login for {name}", hint="an admin gives one")

    spec = load_jobfile({"headrace": 1, "kind": "command", "name": "a", "command": ["true"]})
    with pytest.raises(ImageUnusable, match="no login for r/worker") as told:
        asyncio.run(image_of(spec, Containers(Refusing(), "r/worker", {})))
    assert told.value.hint == "an admin gives one"
