"""Each threat of docs/security.md names the tests that try it (test_docs sees that they exist)."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
_THREATS = PAGE.partition("## The threats")[2].partition("## What is not kept out")[0]
_ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in _THREATS.splitlines()
    if line.startswith("| ") and not line.startswith("| who tries what")
]
_TEST = re.compile(r"`tests/[\w/]+\.py:(?:Test\w+\.)?test_\w+`")


def test_the_threats_are_found() -> None:
    assert len(_ROWS) > 30


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0][:60])
def test_each_threat_is_tried_by_a_test(row: list[str]) -> None:
    assert len(row) == 3
    assert _TEST.sub("", row[2]).strip(" ,|") == ""
    assert _TEST.search(row[2])


def test_no_test_is_named_twice() -> None:
    named = _TEST.findall(_THREATS)
    assert sorted(named) == sorted(set(named))
