"""The archive itself: texts by name, each without secrets."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from typing import BinaryIO, Final

from headrace_local.support.collect import Text, text_of
from headrace_local.support.redact import Redactor

_FOLDER: Final = "headrace-support"


def write(out: BinaryIO, texts: Mapping[str, Text], secrets: Iterable[str]) -> None:
    """Write an archive (tar.gz) of all texts; `secrets` stand in none of them. Raises OSError."""
    redactor = Redactor(secrets)
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, make in texts.items():
            data = redactor.clean(text_of(make)).encode()
            entry = tarfile.TarInfo(f"{_FOLDER}/{name}")
            entry.size, entry.mode = len(data), 0o600
            tar.addfile(entry, io.BytesIO(data))
