"""Results of evaluations of real rivers, side by side; an evaluation and a calibration, live."""

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Gui, check_views
from tests.support import evaluated

_JOB_MS = 60_000  # until a job is over, on a busy machine
# Keeps what the page tells about how far it is.
_KEEP_TOLD = """
window.told = [];
new MutationObserver(() => {
  for (const each of document.querySelectorAll("[role=status]"))
    if (window.told.at(-1) !== each.textContent) window.told.push(each.textContent);
}).observe(document, { subtree: true, childList: true, characterData: true });
"""


@dataclass(frozen=True)
class Done:
    """An evaluation that is over."""

    dataset: str
    scores: Any
    lines: list[str]


@pytest.fixture(scope="module")
def gauges(gui: Gui, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return evaluated.rivers(gui.headrace, tmp_path_factory.mktemp("rivers"), 6)


@pytest.fixture(scope="module")
def results(gui: Gui, gauges: list[str]) -> dict[str, Done]:
    """An evaluation of each forecast."""
    jobs = {name: evaluated.evaluate(gui.headrace, name, name) for name in ("yesterday", "week")}
    for job in jobs.values():
        gui.until(job, "COMPLETED")
    return {name: Done(*evaluated.scores(gui.headrace, job)) for name, job in jobs.items()}


def _shown(value: float, unit: str) -> str:
    text = f"{value:.{1 if unit in ('%', 'h') else 3}f}"
    return (text.lstrip("-") if float(text) == 0 else text).replace("-", "\N{MINUS SIGN}")


def _row(table: Locator, gauge: str) -> Locator:
    return table.get_by_role("row").filter(has_text=gauge)


def test_the_table_has_the_scores_of_the_result_in_any_order(
    results: dict[str, Done], signed_in: Page
) -> None:
    done = results["yesterday"]
    signed_in.goto(f"/evaluation/{done.dataset}?metric=kge")
    table = signed_in.get_by_role("table", name="Gauges", exact=True)
    metrics = done.scores["metrics"]
    for each in done.scores["locations"]:
        of = each["runs"]["yesterday"]
        wanted = [each["id"], each["name"], f"{of['n']}", *(
            _shown(value, metrics[name]["unit"]) for name, value in of["scores"].items()
        )]  # fmt: skip
        expect(_row(table, each["id"]).get_by_role("cell")).to_have_text(wanted)
    for name, worst_first in (("NSE", True), ("PBIAS, %", True), ("Gauge", False)):
        table.get_by_role("button", name=name, exact=True).click()
        head = table.get_by_role("columnheader").filter(has_text=re.compile(f"^{name}"))
        expect(head).to_have_attribute("aria-sort", "ascending")
        key = {"NSE": "nse", "PBIAS, %": "pbias"}.get(name)
        ids = [
            each["id"]
            for each in sorted(
                done.scores["locations"],
                key=lambda each: each["runs"]["yesterday"]["scores"][key] if key else each["id"],
            )
        ]
        expect(table.get_by_role("row").nth(1)).to_contain_text(ids[0])
        expect(table.get_by_role("row").nth(len(ids))).to_contain_text(ids[-1])
        assert worst_first or ids == sorted(ids)


def test_the_map_colours_gauges_by_the_metric_and_chooses_one(
    results: dict[str, Done], gauges: list[str], signed_in: Page
) -> None:
    done = results["yesterday"]
    signed_in.goto(f"/evaluation/{done.dataset}?metric=nse&gauge={gauges[0]}")
    map_ = signed_in.get_by_role("region", name="Map")
    expect(map_).to_contain_text("NSE of yesterday")
    map_.get_by_text("As a list").click()
    for each in done.scores["locations"]:
        value = _shown(each["runs"]["yesterday"]["scores"]["nse"], "")
        item = map_.get_by_role("listitem").filter(has_text=each["id"])
        expect(item).to_contain_text(value)
    map_.get_by_role("checkbox", name=gauges[3]).check()
    expect(signed_in.get_by_role("heading", name=gauges[3])).to_be_visible()
    signed_in.wait_for_url(re.compile(f"gauge={gauges[3]}"))


def test_the_hydrograph_shows_the_pairs_of_the_result_and_zooms(
    results: dict[str, Done], gauges: list[str], signed_in: Page
) -> None:
    done, gauge = results["yesterday"], gauges[2]
    signed_in.goto(f"/evaluation/{done.dataset}?gauge={gauge}")
    kept = [line.split(",") for line in done.lines if line.startswith(f"{gauge},yesterday,")]
    panel = signed_in.get_by_role("region", name=gauge)
    plot = panel.get_by_role("img", name=f"Hydrograph of {gauge}")
    expect(panel.get_by_role("status")).to_contain_text(
        f"{kept[0][2][:10]} to {kept[-1][2][:10]}, UTC"
    )
    over = plot.locator(".u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    signed_in.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    day, seen, made = (
        text.strip() for text in plot.locator(".u-legend .u-value").all_text_contents()
    )
    (_, _, _, observed, simulated) = next(row for row in kept if row[2].startswith(day))
    assert (float(seen.replace(",", "")), float(made.replace(",", ""))) == (
        pytest.approx(float(observed), rel=1e-3), pytest.approx(float(simulated), rel=1e-3)
    )  # fmt: skip
    _draw(signed_in, over, 0.25, 0.5)
    expect(panel.get_by_role("status")).not_to_contain_text(kept[0][2][:10])
    panel.get_by_role("button", name="Whole period").click()
    expect(panel.get_by_role("status")).to_contain_text(kept[0][2][:10])
    strip = panel.get_by_role("img", name="The whole period").locator(".u-over")
    _draw(signed_in, strip, 0.5, 0.75)
    expect(panel.get_by_role("status")).not_to_contain_text(kept[0][2][:10])
    panel.get_by_text(f"Values of yesterday: {len(kept)} pairs").click()
    rows = panel.get_by_role("table", name="Values of yesterday").get_by_role("row")
    for at in (0, 1, 5):
        expect(rows.nth(at + 1).get_by_role("cell")).to_have_text(
            [kept[at][2][:10], *(f"{float(each):.10g}" for each in kept[at][3:])]
        )


def _draw(page: Page, over: Locator, begin: float, end: float) -> None:
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * begin, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * end, y, steps=4)
    page.mouse.up()


def test_two_results_are_compared_as_the_command_line_does(
    results: dict[str, Done], signed_in: Page
) -> None:
    signed_in.goto("/evaluation")
    for done in results.values():
        row = signed_in.get_by_role("row").filter(
            has=signed_in.locator(f'a[href="/evaluation/{done.dataset}"]')
        )
        row.get_by_role("checkbox").check()
    signed_in.get_by_role("button", name="Compare 2").click()
    signed_in.get_by_label("Metric", exact=True).select_option("nse")
    # The list shows the newest first, and so does the page that it leads to.
    table = signed_in.get_by_role("table", name="Medians over the gauges")
    runs = [row.get_by_role("rowheader").inner_text().strip()
            for row in table.get_by_role("row").all()[1:]]  # fmt: skip
    by_label = {label: next(name for name in results if name in label) for label in runs}
    assert sorted(by_label.values()) == ["week", "yesterday"]
    values: list[dict[str, float]] = []
    for label, name in by_label.items():
        found = results[name].scores["locations"]
        values.append({each["id"]: each["runs"][name]["scores"]["nse"] for each in found})
        row = table.get_by_role("row").filter(has=signed_in.get_by_role("rowheader", name=label))
        middle = _shown(median(values[-1].values()), "")
        expect(row.get_by_role("cell").first).to_have_text(middle)
    first, second = values
    better = sum(second[id_] > first[id_] for id_ in first)
    told = signed_in.get_by_role("listitem").filter(has_text=f"NSE of {runs[1]} against {runs[0]}")
    expect(told).to_contain_text(f"{better} better")
    expect(told).to_contain_text(f"{len(first) - better} worse")
    gauge = next(iter(first))
    change = second[gauge] - first[gauge]
    row = _row(signed_in.get_by_role("table", name="Gauges", exact=True), gauge)
    expect(row.get_by_role("cell").last).to_contain_text(_shown(change, ""))
    expect(row.get_by_role("cell").last).to_contain_text("better" if change > 0 else "worse")
    check_views(signed_in, by_label[runs[0]])


def test_scores_come_as_they_are_made_and_then_the_result(
    gui: Gui, gauges: list[str], signed_in: Page
) -> None:
    signed_in.add_init_script(_KEEP_TOLD)
    job = evaluated.evaluate(gui.headrace, "live-scores", "yesterday", "week")
    signed_in.goto(f"/evaluation/{job}")
    medians = signed_in.get_by_role("table", name="Medians over the gauges")
    expect(medians).to_contain_text("week", timeout=_JOB_MS)
    told = signed_in.evaluate("window.told")
    assert f"{len(gauges)} of {len(gauges)} gauges scored" in told, told


def test_a_calibration_is_watched_to_its_end(gui: Gui, signed_in: Page, tmp_path: Path) -> None:
    signed_in.add_init_script(_KEEP_TOLD)
    job = evaluated.calibrate(gui.headrace, tmp_path, 16, 0.15)
    signed_in.goto("/evaluation")
    waits = signed_in.get_by_role("list", name="Calibrations that run or wait")
    waits.get_by_role("link", name="reservoir").click()
    expect(signed_in.get_by_role("main").get_by_role("status")).to_contain_text(
        re.compile(r"^\d+ of 16 iterations; best kge"), timeout=_JOB_MS
    )
    table = signed_in.get_by_role("table", name="Scores of the initial and the best parameters")
    expect(table).to_be_visible(timeout=_JOB_MS)
    found = evaluated.best(gui.headrace, job)
    wanted = [
        _shown(found[which]["objective"][period], "")
        for period in ("train", "validate")
        for which in ("initial", "best")
    ]
    row = table.get_by_role("row").filter(has_text="the objective")
    expect(row.get_by_role("cell")).to_contain_text(wanted)
    told = [each for each in signed_in.evaluate("window.told") if " of 16 iterations" in each]
    steps = [int(each.split(" ")[0]) for each in told]
    assert steps == sorted(steps)
    assert len(set(steps)) > 5, f"it was not told live: {told}"
    last = told[-1]
    best = found["best"]["objective"]["train"]
    assert float(last.split("best kge ")[1].split(" ")[0]) == pytest.approx(best, abs=1e-3), last
    for name, value in found["best"]["parameters"].items():
        item = signed_in.get_by_role("listitem").filter(
            has=signed_in.get_by_role("heading", name=name, exact=True)
        )
        said = re.search(r"best ([\d.]+) within", item.inner_text())
        assert said is not None
        assert float(said[1]) == pytest.approx(value, rel=1e-3)
        expect(item.get_by_role("img", name=f"{name} by iteration between")).to_be_visible()
    check_views(signed_in, "reservoir")
