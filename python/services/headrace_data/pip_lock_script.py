"""Resolves pip requirements to a lock list: `pip_lock.py REQUIREMENTS OUTPUT_FOLDER`.

Travels with a derivation job and is run by the node's interpreter: standard library only. Writes
`lock.txt`: one comment line with the Python version and platform, then a sorted line
`name==version --hash=sha256:…` for each distribution. Wheels only: nothing is built.
"""

import json
import platform
import re
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

_TAIL_LINES = 20


def resolve(requirements: Path) -> list[dict[str, object]]:
    """Ask pip what it would install; exits with pip's last words where it can't tell."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "pip", "install",
            "--dry-run", "--ignore-installed", "--only-binary", ":all:",
            "--no-input", "--disable-pip-version-check", "--quiet",
            "--report", str(report), "--requirement", str(requirements),
        ]  # fmt: skip
        done = subprocess.run(  # noqa: S603 (our own command; the lines are pip's to judge)
            command, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()[-_TAIL_LINES:]
            raise SystemExit("pip can't resolve the environment:\n" + "\n".join(lines))
        installs: list[dict[str, object]] = json.loads(report.read_text())["install"]
        return installs


def lock_line(install: dict[str, object]) -> str:
    """One line of the lock list; exits where a distribution has no SHA-256 to pin it by."""
    metadata, source = install["metadata"], install["download_info"]
    assert isinstance(metadata, dict)  # noqa: S101 (pip's report is documented so)
    assert isinstance(source, dict)  # noqa: S101
    name = re.sub(r"[-_.]+", "-", metadata["name"]).lower()
    archive = source.get("archive_info", {})
    digest = archive.get("hashes", {}).get("sha256")
    if not digest:
        raise SystemExit(
            f"{name} comes from {source.get('url', 'an unknown place')!r}, which has no SHA-256: "
            "name a version that a package index has as a wheel"
        )
    return f"{name}=={metadata['version']} --hash=sha256:{digest}"


def main() -> None:
    """Write the lock list."""
    requirements, output = Path(sys.argv[1]), Path(sys.argv[2])
    lines = sorted(lock_line(each) for each in resolve(requirements))
    about = f"# Python {platform.python_version()} {sysconfig.get_platform()}"
    (output / "lock.txt").write_text("\n".join([about, *lines]) + "\n")


if __name__ == "__main__":
    main()
