"""What a user installs, the built wheel, holds all that the editable tree has."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FOLDERS = sorted((PROJECT / "python").iterdir())
# What the pages of the GUI are built of, and by; the wheel has what is built: headrace_gui/assets.
GUI = PROJECT / "python" / "gui"
NOT_HELD = (GUI / "headrace_gui" / "web", GUI / "build_hook.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the tree as it is, built by the pinned backend."""
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w"]
    subprocess.run([sys.executable, "-m", "pip", *words, folder, PROJECT], check=True, timeout=120)
    [built] = folder.glob("headrace-*.whl")
    return built


def test_the_wheel_holds_each_file_of_the_packages(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(file.relative_to(folder))
        for folder in FOLDERS
        for file in folder.rglob("*")
        if file.is_file()
        and "__pycache__" not in file.parts
        and not any(file.is_relative_to(each) for each in NOT_HELD)
    }
    assert "headrace_gui/assets/index.html" in files
    assert files - held == set()
    assert {name for name in held - files if ".dist-info/" not in name} == set()


def test_each_package_of_the_wheel_can_be_imported(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    names = sorted(path.parent.name for path in tmp_path.glob("*/__init__.py"))
    program = (
        "import sys, importlib\nfor n in sys.argv[1:]: print(importlib.import_module(n).__file__)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    assert [Path(line).is_relative_to(tmp_path) for line in ended.stdout.split()] == [
        True for _ in names
    ]
