"""Taking secrets out of texts: those that are known, and what looks like one."""

import json
import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from headrace_local.config import Config
from headrace_local.layout import Home

GONE: Final = "[redacted]"
_SHORTEST: Final = 6  # what is shorter would be found in ordinary words
_LOOKS_LIKE: Final = (
    # A value behind a name that says what it is, in JSON, YAML, an environment or a query.
    re.compile(
        r"""((?:pass(?:word|wd)?|secret|token|credential|api_?key|access_?key|private_?key|"""
        r"""signature)[a-z_-]*["']?\s*[:=]\s*)("[^"]*"|'[^']*'|[^\s,;&"'}]+)""",
        re.IGNORECASE,
    ),
    re.compile(r"((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]+)", re.IGNORECASE),
    re.compile(r"(://[^/\s:@]*:)([^/\s@]+)(?=@)"),
    re.compile(r"()(-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)", re.S),
    re.compile(r"()(\bhrt_[A-Za-z0-9_-]{20,})"),
)
# Names of settings that name a file, and a text such as `token_file: /path`, tell no secret.
_A_PATH: Final = re.compile(r"""["']?/[^\s"']*["']?""")


class Redactor:
    """Replaces each of `secrets`, and what looks like a secret, in texts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {secret for secret in secrets if len(secret) >= _SHORTEST}
        # The longest first: one may be a part of another.
        words = "|".join(re.escape(each) for each in sorted(known, key=len, reverse=True))
        self._known = re.compile(words) if words else None

    def clean(self, text: str) -> str:
        """The text without secrets."""
        if self._known:
            text = self._known.sub(GONE, text)
        for pattern in _LOOKS_LIKE:
            text = pattern.sub(_replaced, text)
        return text


def _replaced(found: re.Match[str]) -> str:
    before, value = found.group(1, 2)
    if "file" in before.lower() and _A_PATH.fullmatch(value):
        return found.group()
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{before}{quote}{GONE}{quote}"


def secrets_of(home: Home, config: Config, environ: Iterable[tuple[str, str]]) -> set[str]:
    """Every secret that the home's files and the environment hold, as far as they can be read."""
    files = [home.admin_token, home.internal_token, home.secrets_key, home.session_key]
    if home.passwords.is_dir():
        files += home.passwords.iterdir()
    files += [Path(config.store_credentials)] if config.store_credentials else []
    files += [Path(config.tls_key)] if config.tls_key else []
    found: set[str] = set()
    for file in files:
        found |= _words_of(file)
    for name, value in environ:
        if re.search(r"TOKEN|PASSW|SECRET|CREDENTIAL|_KEY\b", name.upper()):
            found |= {value} if not value.startswith("/") else _words_of(Path(value))
    return found


def _words_of(file: Path) -> set[str]:
    try:
        return words_in(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return set()


def _values(plain: object) -> Iterator[str]:
    """Every text in what JSON holds, but the names of keys."""
    match plain:
        case str():
            yield plain
        case dict():
            for each in plain.values():
                yield from _values(each)
        case list():
            for each in plain:
                yield from _values(each)


def _login_in(text: str) -> set[str]:
    """USER:PASSWORD and the password, where a text is that in base64."""
    try:
        login = b64decode(text, validate=True).decode()
    except ValueError:
        return set()
    _, colon, password = login.partition(":")
    return {login, password} if colon else set()


def words_in(text: str) -> set[str]:
    """Every secret that a file with this content holds: texts in JSON, else lines and words.

    A text in JSON may be USER:PASSWORD in base64, as a login at a registry is: then that and the
    password too.
    """
    try:
        plain = json.loads(text)
    except ValueError:
        plain = None
    if isinstance(plain, dict):
        texts = set(_values(plain))
        return texts.union(*map(_login_in, texts))
    return {word for line in text.splitlines() for word in (line.strip(), *line.split())}
