"""NGEN_RUN_CONFIG: the configs of one run of ngen, with the paths that a worker has for them.

Made by the derivation `ngen-run` for jobs of the kind `ngen`. Its files are those of an
NGEN_JOB_COMPOSITE_CONFIG, so that it is never detected: it is one where it is said to be.
"""

from dataclasses import replace
from typing import Final

from headrace_formats import composite_config
from headrace_formats.base import Format

FORMAT: Final[Format] = replace(
    composite_config.FORMAT,
    name="NGEN_RUN_CONFIG",
    summary="the checked configs of one run of ngen, as its worker reads them",
    source="made by the derivation `ngen-run`",
)
