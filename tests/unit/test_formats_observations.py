"""Observations of the USGS as WaterML-JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from headrace_formats.detect import detect_file, detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.format_samples import waterml
from tests.support.samples import sample

DAYS = ("2015-06-01T00:00:00.000", "2015-06-02T00:00:00.000")


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


def daily(path: Path, zones: Any, times: tuple[str, ...] = DAYS) -> Path:
    """Daily values, whose times have no zone, of a site that tells its zones."""
    answer = json.loads(waterml())
    series = answer["value"]["timeSeries"][0]
    if zones is not None:
        series["sourceInfo"]["timeZoneInfo"] = zones
    series["values"][0]["value"] = [{"value": "1", "dateTime": each} for each in times]
    path.write_text(json.dumps(answer))
    return path


ZONES: dict[str, Any] = {
    "defaultTimeZone": {"zoneOffset": "-05:00", "zoneAbbreviation": "EST"},
    "daylightSavingsTimeZone": {"zoneOffset": "-04:00", "zoneAbbreviation": "EDT"},
    "siteUsesDaylightSavingsTime": True,
}


@pytest.mark.parametrize("times", [DAYS, ("2015-06-01", "2015-06-02")])
def test_a_day_without_a_zone_is_one_of_the_standard_time_of_its_site(
    tmp_path: Path, times: tuple[str, ...]
) -> None:
    found = detect_folder(daily(tmp_path / "x", ZONES, times))
    assert found.notes == ()
    assert found.domain.to_plain()["TIME"] == ["2015-06-01T05:00Z", "2015-06-03T05:00Z"]


@pytest.mark.parametrize("ending", ["Z", "+00:00", ".000+0000", "z"])
def test_a_zone_in_a_time_counts_before_that_of_the_site(tmp_path: Path, ending: str) -> None:
    times = tuple(f"2015-06-0{day}T00:00:00{ending}" for day in (1, 2))
    found = detect_folder(daily(tmp_path / "x", ZONES, times))
    assert found.domain.to_plain()["TIME"] == ["2015-06-01", "2015-06-03"]


@pytest.mark.parametrize(
    "zones",
    [None, 3, {}, {"defaultTimeZone": {}}]
    + [{"defaultTimeZone": {"zoneOffset": each}} for each in ("", None, "EST", ":30", "-99:00")],
)
def test_without_a_zone_anywhere_there_is_no_time(tmp_path: Path, zones: Any) -> None:
    found = detect_folder(daily(tmp_path / "x", zones))
    assert found.format == "USGS_WATERML_JSON"
    assert found.domain.time is None
    assert found.notes == (
        "x: timeSeries[0] (0214655255, 00060): 2 times have no zone, and sourceInfo.timeZoneInfo "
        "tells none: TIME is not detected",
    )


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
