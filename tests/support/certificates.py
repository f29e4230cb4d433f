"""A certificate authority of a test's own, made by the machine's `openssl`."""

import itertools
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a certificate and its key (PEM)."""

    cert: Path
    key: Path


class Authority:
    """A CA with its files in `folder`; `file` is its own certificate."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl on the PATH to make certificates with")
        self._folder = folder
        self._name = name
        self._numbers = itertools.count(1)
        self.file, self._key = folder / f"{name}.pem", folder / f"{name}.key"
        _openssl(
            "req", "-x509", *_KEY, "-subj", f"/CN=test {name}",
            "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", self._key, "-out", self.file,
        )  # fmt: skip

    def certificate(self, host: str) -> Certificate:
        """A server's certificate for a host: a name, or an IPv4 address."""
        stem = self._folder / f"{self._name}-{next(self._numbers)}"
        key, asked, cert = (stem.with_suffix(end) for end in (".key", ".csr", ".pem"))
        extensions = stem.with_suffix(".ext")
        kind = "IP" if host.replace(".", "").isdigit() else "DNS"
        extensions.write_text(f"subjectAltName={kind}:{host}\nextendedKeyUsage=serverAuth\n")
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={host}", "-keyout", key, "-out", asked)
        _openssl(
            "x509", "-req", "-in", asked, "-CA", self.file, "-CAkey", self._key,
            "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", cert,
        )  # fmt: skip
        return Certificate(cert, key)

    def trust(self) -> ssl.SSLContext:
        """A client's side that trusts this CA alone."""
        return ssl.create_default_context(cafile=self.file)


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"openssl {words[0]} failed: {done.stderr}")
