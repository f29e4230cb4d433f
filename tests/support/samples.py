"""Real sample files, from the folder that HEADRACE_SAMPLES names."""

import os
from pathlib import Path

import pytest


def sample(path: str) -> Path:
    """A real sample file or folder; the test is skipped where there are none."""
    folder = os.environ.get("HEADRACE_SAMPLES")
    if not folder:
        pytest.skip("HEADRACE_SAMPLES names no folder with the real sample files")
    return Path(folder) / path
