"""Identifiers: what they look like, how they are made, how a stranger's text is checked.

A job id is 16 characters of Crockford's base 32 in lower case: ten for the time in milliseconds
(so ids sort by age) and six random ones. It is safe in file names, host names and Redis keys.
"""

import re
from typing import NewType

from headrace_model.errors import InvalidName

JobId = NewType("JobId", str)
NodeId = NewType("NodeId", str)
DatasetId = NewType("DatasetId", str)

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_JOB_ID = re.compile(rf"[{_ALPHABET}]{{16}}")
NAME = r"[a-z0-9](?:[a-z0-9._-]{0,126}[a-z0-9])?"
_NAME = re.compile(NAME)


def job_id(at_ms: int, random_bits: int) -> JobId:
    """Build an id from a time in milliseconds and at least 30 random bits."""
    number = (at_ms << 30) | (random_bits & ((1 << 30) - 1))
    digits = []
    for _ in range(16):
        digits.append(_ALPHABET[number & 31])
        number >>= 5
    return JobId("".join(reversed(digits)))


def parse_job_id(text: str) -> JobId:
    """Check a stranger's text; raises `InvalidName`."""
    if not _JOB_ID.fullmatch(text):
        raise InvalidName(
            f"{text[:40]!r} is not a job id: 16 letters and digits are expected, "
            "as `headrace jobs list` prints them"
        )
    return JobId(text)


def check_name(text: str, what: str) -> str:
    """Check the name of a dataset, node or requirement: 1 to 128 of `a-z 0-9 . _ -`.

    Raises `InvalidName`. Names begin and end with a letter or digit, so none is a path trick.
    """
    if not _NAME.fullmatch(text) or ".." in text:
        raise InvalidName(
            f"{text[:140]!r} can't be the name of a {what}: use 1 to 128 lower-case letters, "
            "digits, '.', '_' and '-', beginning and ending with a letter or digit, without '..'"
        )
    return text
