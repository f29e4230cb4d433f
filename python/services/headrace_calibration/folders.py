"""The folder of one run of the model: what a worker of its own would find, with its parameters.

It looks as the folder of an attempt does, so that relative paths lead to the same: `work`, where
the model runs, beside `datasets/<input>` and `output`. Everything is a link to what was staged,
but the files that parameters go into.
"""

import importlib
import os
import shutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from headrace_calibration.core.plan import Plan, Target
from headrace_kinds.base import Link
from headrace_kinds.filling import Place, filled_in
from headrace_model.errors import InvalidInput

_MOST_BYTES: Final = 64 << 20  # of a file that parameters go into


class RunFolder:
    """Makes `root`; `inputs` has the folder of each input of the model, by name."""

    def __init__(self, root: Path, plan: Plan, home: Path, inputs: Mapping[str, Path]) -> None:
        self.root, self._plan = root, plan
        self._home, self._inputs = home, inputs
        self.work, self.output = root / "work", root / "output"
        self.said = root / "said.txt"

    def make(self, values: Mapping[str, float]) -> None:
        """Lay everything anew; raises `InvalidInput` where a parameter has no place to go."""
        shutil.rmtree(self.root, ignore_errors=True)
        for each in (self.work, self.output, self.root / "datasets"):
            each.mkdir(parents=True)
        for name in self._plan.model.files:
            place = self.work / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(self._home / name)
        for name in self._plan.model.programs:
            # The model's Python may be another one than ours, which knows nothing of them.
            found = importlib.import_module(name)
            (self.work / name).symlink_to(Path(str(found.__file__)).parent)
        changed = {each.input for each in self._plan.targets}
        for name, folder in self._inputs.items():
            place = self.root / "datasets" / name
            if name in changed:
                _mirror(folder, place)
            else:
                place.symlink_to(folder)
        for link in self._plan.model.links:
            self._link(link)
        places: dict[Path, list[Place]] = {}  # patterns of several targets may fit one file
        for target in self._plan.targets:
            for file in self._files_of(target):
                places.setdefault(file, []).extend(target.places)
        for file, there in places.items():
            _fill(file, there, values)

    def paths(self) -> dict[str, str]:
        """What placeholders of the model's command stand for, as seen from its working folder."""
        return {"output": "../output"} | {name: f"../datasets/{name}" for name in self._inputs}

    def parameter_files(self) -> list[tuple[str, Path]]:
        """The files that parameters went into, each with its name for people."""
        found: dict[Path, str] = {}
        for target in self._plan.targets:
            base = self._base(target)
            for file in self._files_of(target):
                name = file.relative_to(base).as_posix()
                found[file] = f"{target.input}/{name}" if target.input else name
        return [(name, file) for file, name in found.items()]

    def remove(self) -> None:
        """Leave nothing of it."""
        shutil.rmtree(self.root, ignore_errors=True)

    def _base(self, target: Target) -> Path:
        return self.root / "datasets" / target.input if target.input else self.work

    def _files_of(self, target: Target) -> list[Path]:
        base = self._base(target)
        names = sorted(
            Path(folder, name).relative_to(base).as_posix()
            for folder, _, files in os.walk(base)
            for name in files
        )
        found = [base / name for name in names if fnmatchcase(name, target.file)]
        if not found:
            where = f"the input {target.input}" if target.input else "the files of the model"
            shown = ", ".join(names[:5]) or "none"
            raise InvalidInput(f"no file among {where} fits {target.file}; there are: {shown}")
        return found

    def _link(self, link: Link) -> None:
        folder = self.root / "datasets" / link.input
        place = self.work / link.name
        place.parent.mkdir(parents=True, exist_ok=True)
        files = (e.relative_to(folder).as_posix() for e in folder.rglob("*") if e.is_file())
        to = folder / link.choose(files) if link.patterns else folder
        place.symlink_to(os.path.relpath(to, place.parent))


def _mirror(folder: Path, place: Path) -> None:
    """The same folders, with a link for each file."""
    for root, _, names in os.walk(folder):
        inside = place / Path(root).relative_to(folder)
        inside.mkdir()
        for name in names:
            (inside / name).symlink_to(Path(root, name).resolve())


def _fill(file: Path, places: Sequence[Place], values: Mapping[str, float]) -> None:
    if file.stat().st_size > _MOST_BYTES:
        raise InvalidInput(
            f"{file.name} is larger than {_MOST_BYTES:,} bytes, too large to fill in"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(f"{file.name} is no text (UTF-8), so no parameter fits in") from None
    text = filled_in(text, places, values, file.name)
    file.unlink()  # it may be a link
    file.write_text(text, encoding="utf-8")
