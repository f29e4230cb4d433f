"""The script of a derivation: pip requirements become a list of versions with hashes."""

import subprocess
import sys
import zipfile
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

SCRIPT = files("headrace_data") / "pip_lock_script.py"


def test_a_lock_list_pins_all_that_is_needed_by_hash(state_dir: Path) -> None:
    inner = _wheel(state_dir, "inner_part", "1.5")
    outer = _wheel(state_dir, "outer", "2.0", requires="inner-part>=1")
    done = _lock(state_dir, "outer\n")
    assert done.returncode == 0, done.stderr
    comment, *lines = (state_dir / "out" / "lock.txt").read_text().splitlines()
    assert comment.startswith("# Python 3.")
    assert lines == [
        f"inner-part==1.5 --hash=sha256:{inner}",
        f"outer==2.0 --hash=sha256:{outer}",
    ]


def test_what_pip_can_not_resolve_is_said_in_its_words(state_dir: Path) -> None:
    _wheel(state_dir, "outer", "2.0", requires="nowhere-to-be-found")
    done = _lock(state_dir, "outer\n")
    assert done.returncode == 1
    assert "pip can't resolve the environment" in done.stderr
    assert "nowhere-to-be-found" in done.stderr
    assert not (state_dir / "out" / "lock.txt").exists()


def _lock(folder: Path, lines: str) -> subprocess.CompletedProcess[str]:
    requirements = folder / "requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {folder}\n{lines}")
    (folder / "out").mkdir()
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(requirements), str(folder / "out")],
        capture_output=True,
        text=True,
        check=False,
    )


def _wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """Make the smallest wheel that pip takes; returns its SHA-256."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    if requires:
        metadata += f"Requires-Dist: {requires}\n"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{about}/METADATA", metadata)
        wheel.writestr(f"{about}/WHEEL", tags)
        wheel.writestr(f"{about}/RECORD", "")
    return sha256(path.read_bytes()).hexdigest()
