"""Reads any bytes as any format, and lets no other error pass for the format's own."""

import tempfile
from pathlib import Path

from headrace_formats.base import HEAD_BYTES, Format
from headrace_formats.detect import detect_file
from headrace_formats.errors import FormatError
from headrace_formats.registry import BUILT_IN, GENERIC
from headrace_formats.report import Report
from headrace_formats.validate import validate_file
from tests.support.format_samples import SAMPLES

READERS = tuple(each for each in BUILT_IN if not each.parts)


def file_name(of: Format) -> str:
    """A name that files of a format may have."""
    return SAMPLES[of.name][0] if of.name in SAMPLES else "file"


def read_as(of: Format, data: bytes) -> None:
    """Read as a format, at once and to the end; raises what is not the format's own error."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file_name(of))
        path.write_bytes(data)
        of.sniff(data[:HEAD_BYTES])
        answers = []
        for lenient in (False, True):
            report = Report(lenient)
            try:
                found = of.read(path, report)
            except FormatError:
                answers.append(False)
                continue
            if of.whole is not None:
                of.whole([found])
            answers.append(not report.errors)
        if answers[0] != answers[1]:
            raise AssertionError(f"{of.name}: strict says {answers[0]}, lenient {answers[1]}")


def detected(data: bytes, name: str) -> str:
    """Detect and validate as services do; returns the format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        found = detect_file(path)
        validated = validate_file(path)
    if found.format != GENERIC.name and validated.format != found.format:
        raise AssertionError(f"it is detected as {found.format}, validated as {validated.format}")
    return found.format
