"""Observations of the USGS as WaterML-JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_formats.detect import detect_file
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.format_samples import waterml
from tests.support.samples import sample


def changed(path: Path, **changes: Any) -> Path:
    """The small answer with some values of its series replaced."""
    answer = json.loads(waterml())
    values = answer["value"]["timeSeries"][0]["values"][0]["value"]
    for number, each in changes.items():
        values[int(number[1:])].update(each)
    path.write_text(json.dumps(answer))
    return path


def test_the_real_answer_of_two_gauges_is_read() -> None:
    found = detect_file(sample("usgs-2015-12/2015_observations.json"))
    assert found.format == "USGS_WATERML_JSON"
    domains = {
        each.to_plain()["GAUGE_ID"]: each.to_plain()["TIME"] for _, each in found.found.variables
    }
    assert [name for name, _ in found.found.variables] == ["00060", "00060"]
    assert domains["0214657975"] == ["2015-12-01T01:00Z", "2015-12-31T01:05Z"]
    assert domains["0214655255"][0][0] == "2015-12-01T01:00Z"
    assert domains["0214655255"][-1][-1] == "2015-12-30T05:00Z"
    assert len(domains["0214655255"]) == 5  # four gaps
    assert [str(each) for each in found.warnings] == [
        "timeSeries[0] (0214655255, 00060) is irregular: taken as steps of 300 s (the median), "
        "with 4 gaps"
    ]


def test_missing_and_provisional_values_are_pointed_out(tmp_path: Path) -> None:
    path = changed(
        tmp_path / "x",
        v1={"value": "-999999"},
        v2={"value": "-3", "qualifiers": ["P"]},
    )
    found = detect_file(path)
    assert [str(each) for each in found.warnings] == [
        "timeSeries[0] (0214655255, 00060): 1 values are missing",
        "timeSeries[0] (0214655255, 00060): 1 discharges are below 0",
        "timeSeries[0] (0214655255, 00060): 1 values are provisional: they may be revised",
    ]


def test_what_is_wrong_is_said_with_its_place(tmp_path: Path) -> None:
    path = changed(tmp_path / "x", v0={"value": "dry"}, v2={"dateTime": "noon"})
    found = [str(each) for each in validate_file(path).findings]
    assert found[0].startswith("timeSeries[0] (0214655255, 00060).values[0].value[0]: it needs")
    assert "value[2]" in found[1]
    with pytest.raises(FormatError, match=r"value\[0\]"):
        detect_file(path, "USGS_WATERML_JSON")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"name": "ns1:timeSeriesResponseType", "value": {"timeSeries": []}}', "is empty"),
        ('{"name": "ns1:timeSeriesResponseType"}', "value must be an object"),
        ('{"timeSeries": 1, "timeSeries": 2}', "stands twice"),
        ('{"timeSeries": NaN}', "NaN is no number"),
        ('{"timeSeries":\n [1,]}', "line 2"),
        ('{"timeSeries": ' + "[" * 100_000 + "}", "nested too deeply"),
        ('{"timeSeries": ' + "9" * 5000 + "}", "limit"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(FormatError, match=why):
        detect_file(tmp_path / "x", "USGS_WATERML_JSON")
