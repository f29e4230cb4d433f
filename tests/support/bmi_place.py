"""A working folder of the worker of BMI models, with a tiny model and forcing of four days."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from headrace_bmi.__main__ import main
from tests.support.bmi_forcing import write_bmi_forcing
from tests.support.deriving import contents

MODEL = '''
import json
import numpy as np
from netCDF4 import Dataset

class Bucket:
    """Stores rain and lets half of it go each day."""
    def initialize(self, path):
        with open(path) as file:
            self.told = json.load(file)
        with Dataset(self.told["forcing"]) as file:
            self.rain = file["pr"][:].tolist()
        self.day, self.store = 0, 0.0
    def update(self):
        self.store = (self.store + self.rain[self.day]) / 2
        self.day += 1
    def get_value(self, name, dest):
        dest[:] = {"Q": self.store, "NONE": -0.0}[name]
        return dest
    def finalize(self):
        pass

class Raises(Bucket):
    def update(self):
        if self.day == 2:
            raise ZeroDivisionError("the bucket has a hole")
        super().update()

class Nan(Bucket):
    def get_value(self, name, dest):
        dest[:] = float("nan") if self.day == 2 else self.store
        return dest

class Late(Bucket):
    def get_time_units(self):
        return "days since 1979-01-01"
    def get_start_time(self):
        return 1.0

class Fed(Bucket):
    def set_value(self, name, values):
        self.rain[self.day] = 2 * float(values[0])
'''
ALL = tuple(f"cat-{number}" for number in (1, 2, 3, 10, 11))
PARTS = {1: [ALL], 2: [ALL[3:], ALL[:3]], 4: [ALL[4:], ALL[:2], ALL[3:4], ALL[2:3]]}


class Place:
    """A working folder with a model, forcing of 4 days, and a config that may be changed."""

    def __init__(self, folder: Path, catchments: tuple[str, ...] = ALL) -> None:
        self.folder = folder
        (folder / "tiny.py").write_text(MODEL)
        for each in catchments:
            rain = [float(each[4:]), 0.0, 1.0 / 3, 8.0]
            write_bmi_forcing(folder / f"forcing/{each}.nc", {"pr": rain})
        self.config: dict[str, Any] = {
            "headrace_bmi": 1,
            "model": "tiny:Bucket",
            "begin": "1979-01-01 00:00:00",
            "end": "1979-01-05 00:00:00",
            "step_s": 86400,
            "catchments": None,
            "config_name": "tiny.json",
            "config": '{"forcing": "{{forcing}}"}',
            "variables": {"Q_OUT": "Q"},
            "inputs": {},
        }

    def start(
        self, output: str, rank: int = 0, size: int = 1, *more: str
    ) -> subprocess.Popen[str]:
        """Start the worker as one of `size` ranks."""
        (self.folder / "run.json").write_text(json.dumps(self.config))
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(("", *filter(None, sys.path)))}
        if size > 1:
            environ |= {"OMPI_COMM_WORLD_RANK": str(rank), "OMPI_COMM_WORLD_SIZE": str(size)}
        return subprocess.Popen(
            (sys.executable, "-m", "headrace_bmi", "run.json", "forcing", output, *more),
            cwd=self.folder,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, output: str, size: int = 1, *more: str) -> dict[str, bytes]:
        """Run all ranks side by side; returns the files."""
        ranks = [self.start(output, rank, size, *more) for rank in range(size)]
        for each in ranks:
            _, said = each.communicate(timeout=60)
            assert each.returncode == 0, said
        return contents(self.folder / output)

    def alone(self, monkeypatch: pytest.MonkeyPatch, output: str, *more: str) -> dict[str, bytes]:
        """Run in this process; returns the files. What ends the run is a `SystemExit`."""
        (self.folder / "run.json").write_text(json.dumps(self.config))
        monkeypatch.chdir(self.folder)
        monkeypatch.syspath_prepend(self.folder)
        monkeypatch.delitem(sys.modules, "tiny", raising=False)
        monkeypatch.setattr(sys, "argv", ["headrace_bmi", "run.json", "forcing", output, *more])
        main()
        return contents(self.folder / output)
