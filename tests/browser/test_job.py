"""The page of a job: watched to its end, its parts, and what is done from it."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, Gui
from tests.support.browser import axe_findings

_STEPS = {"pattern": r"step (?P<step>\d+)/(?P<of>\d+)"}
_NOWHERE = {"category": "OBSERVATION", "domain": {"DATA_ID": "nowhere"}}
_PARTS = ("Logs", "Usage", "Workers", "Tasks", "Events", "Lineage", "Job file")


def _lines(page: Page) -> list[str]:
    return page.get_by_role("log").inner_text().splitlines()


def _open(page: Page, job: str, tab: str = "") -> None:
    page.goto(f"/jobs/{job}" + (f"?tab={tab}" if tab else ""))


def test_a_job_is_watched_live_to_its_end(gui: Gui, signed_in: Page) -> None:
    gates = gui.headrace.gate(), gui.headrace.gate()
    script = "".join(
        f"while [ ! -e {gate} ]; do sleep 0.05; done; echo step {n + 1}/2 >&{n + 1}; "
        for n, gate in enumerate(gates)
    )
    job = gui.headrace.submit(
        "sh",
        "-c",
        f"echo begun; {script} echo made > {{output}}/made.txt",
        name="watched",
        progress=_STEPS,
        outputs={"result": {"format": "GENERIC"}},
    )
    _open(signed_in, job)
    head, now = signed_in.locator(".job-head"), signed_in.get_by_role("region", name="Now")
    expect(head).to_contain_text("Running")
    expect(now).to_contain_text("It started at")
    gates[0].touch()
    expect(now.get_by_role("progressbar")).to_have_attribute("value", "50", timeout=20_000)
    signed_in.get_by_role("link", name="Logs").click()
    expect(signed_in.get_by_role("log")).to_contain_text("step 1/2")
    gates[1].touch()
    expect(signed_in.get_by_role("log")).to_contain_text("step 2/2")
    expect(head).to_contain_text("Completed")
    assert sorted(_lines(signed_in)) == ["begun", "step 1/2", "step 2/2"]
    signed_in.get_by_role("link", name="Overview").click()
    made = signed_in.get_by_role("region", name="Data it makes").get_by_role("link")
    expect(made).to_have_attribute("href", re.compile("^/datasets/"))
    expect(signed_in.get_by_role("row").filter(has_text="Running")).to_be_visible()


def test_a_failed_job_shows_what_it_failed_of(gui: Gui, signed_in: Page) -> None:
    job = gui.headrace.submit("cat", "/nowhere/forcing.nc", name="misses", retry={"limit": 0})
    gui.until(job, "FAILED")
    _open(signed_in, job)
    now = signed_in.get_by_role("region", name="Now")
    expect(now).to_contain_text("missing file")
    expect(now.get_by_role("region", name="Last lines")).to_contain_text("/nowhere/forcing.nc")


def test_a_job_that_waits_says_why_and_is_canceled(gui: Gui, signed_in: Page) -> None:
    first = gui.headrace.submit("sleep", "600", name="in-the-way")
    job = gui.headrace.submit("true", name="behind", after=[first])
    _open(signed_in, job)
    expect(signed_in.get_by_role("region", name="Now")).to_contain_text(first)
    expect(signed_in.get_by_role("region", name="The job").get_by_role("link")).to_have_text(first)
    signed_in.get_by_role("button", name="Cancel").click()
    expect(signed_in.locator(".job-head")).to_contain_text("Canceled")
    expect(signed_in.get_by_role("button", name="Retry")).to_be_visible()
    gui.headrace.cli("jobs", "cancel", first)


def test_requirements_tell_what_meets_them(gui: Gui, signed_in: Page, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\n")
    (tmp_path / "job.yaml").write_text(
        "headrace: 1\nkind: command\nname: takes\ncommand: [cat, '{table}/table.csv']\n"
        "resources: {cpus: 100m, memory: 64MiB}\ninputs: {table: {path: ./table.csv}}\n"
    )
    job = gui.headrace.cli("exec", "from_file", str(tmp_path / "job.yaml")).stdout.strip()
    gui.until(job, "COMPLETED")
    _open(signed_in, job)
    needs = signed_in.get_by_role("region", name="Data it takes")
    expect(needs.get_by_role("link")).to_have_text(re.compile(r"takes-table-\w+ v1"))
    signed_in.get_by_role("link", name="Lineage").click()
    graph = signed_in.get_by_role("group", name="Graph of jobs and datasets")
    expect(graph.get_by_role("link")).to_have_attribute("href", re.compile("^/datasets/"))
    signed_in.get_by_role("link", name="Job file").click()
    expect(signed_in.get_by_role("region", name="Job file").last).to_contain_text("name: takes")
    missing = gui.headrace.submit("true", inputs={"q": _NOWHERE})
    _open(signed_in, missing)
    expect(needs).to_contain_text("missing")


def test_a_log_is_chosen_searched_and_bounded(gui: Gui, signed_in: Page) -> None:
    script = "seq 7000; echo beware >&2; printf 'no end'"
    job = gui.headrace.submit("sh", "-c", script, name="chatty")
    gui.until(job, "COMPLETED")
    _open(signed_in, job, "logs")
    expect(signed_in.get_by_text("to its end")).to_be_visible()
    dropped, *lines = _lines(signed_in)
    assert "earlier lines are in the download" in dropped
    assert {"7000", "beware", "no end"} < set(lines)
    assert len(lines) <= 5_000
    signed_in.get_by_role("log").evaluate("(log) => { log.scrollTop = 0; }")
    signed_in.get_by_role("button", name="Jump to the end").click()
    expect(signed_in.get_by_role("checkbox", name="Follow")).to_be_checked()
    signed_in.get_by_label("Stream").select_option("err")
    expect(signed_in.get_by_role("log")).to_have_text("beware")
    with signed_in.expect_download() as download:
        signed_in.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_text() == "beware\n"
    signed_in.get_by_label("Text").fill("699")
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_role("status").filter(has_text="17 lines found.")).to_be_visible()
    signed_in.reload()  # all of that stands in the address
    expect(signed_in.get_by_role("log")).to_have_text("beware")
    expect(
        signed_in.get_by_role("list", name="Lines found").get_by_role("listitem")
    ).to_have_count(17)


def test_tasks_of_an_array_and_their_logs(gui: Gui, signed_in: Page) -> None:
    job = gui.headrace.submit(
        "sh",
        "-c",
        "echo task {index}; [ {index} != 3 ]",
        name="sweep",
        array={"count": 5},
        retry={"limit": 0},
    )
    gui.until(job, "FAILED")
    _open(signed_in, job, "tasks")
    expect(signed_in.get_by_role("row")).to_have_count(6)
    signed_in.get_by_role("button", name="Failed").click()
    expect(signed_in.get_by_role("row").last).to_contain_text("EXIT_CODE")
    signed_in.get_by_role("link", name="Logs of task 3").click()
    expect(signed_in.get_by_role("log")).to_have_text("task 3")
    signed_in.set_viewport_size(PHONE)
    signed_in.emulate_media(color_scheme="dark")
    for part in _PARTS:
        signed_in.get_by_role("link", name=part, exact=True).click()
        expect(signed_in.locator(".job-part > *").first).to_be_visible()
        expect(signed_in.get_by_role("alert")).to_have_count(0)
        assert axe_findings(signed_in) == [], part
        wide = signed_in.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{part} is {wide} px too wide for a phone"


def test_what_workers_use_is_drawn_live(gui: Gui, signed_in: Page) -> None:
    job = gui.headrace.submit("sh", "-c", "while :; do :; done", name="busy")
    _open(signed_in, job, "usage")
    cpus = signed_in.get_by_role("region", name="CPUs in use")
    expect(cpus.get_by_role("img")).to_be_visible(timeout=20_000)
    expect(signed_in.get_by_role("region", name="Used of what it holds")).to_contain_text("64 MiB")
    signed_in.get_by_role("link", name="Workers").click()
    expect(signed_in.get_by_role("row").last).to_contain_text("local")
    signed_in.get_by_role("button", name="Stop").click()
    expect(signed_in.locator(".job-head")).to_contain_text("Stopped")
    expect(signed_in.get_by_role("button", name="Restart")).to_be_visible()


def test_a_job_is_shared_and_taken_back(gui: Gui, signed_in: Page) -> None:
    job = gui.headrace.submit("true", name="shared")
    gui.until(job, "COMPLETED")
    _open(signed_in, job)
    signed_in.get_by_role("button", name="Share").click()
    dialog = signed_in.get_by_role("dialog", name="Share the job")
    dialog.get_by_label("With whom").fill("nobody in particular")
    dialog.get_by_role("button", name="Share").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Next:")
    dialog.get_by_label("With whom").fill("everyone")
    dialog.get_by_role("button", name="Share").click()
    expect(dialog.get_by_role("listitem")).to_contain_text("everyone")
    dialog.get_by_role("button", name="Take back").click()
    expect(dialog.get_by_role("listitem")).to_have_count(0)
    assert gui.headrace.job(job)["shared"] == []
