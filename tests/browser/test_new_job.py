"""A new job: in a form and as YAML, planned as one types, submitted, made from another."""

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from headrace_wire.yamlfile import parse_yaml
from tests.browser.conftest import Gui

EXAMPLES = Path(__file__).parents[2] / "examples"
GAUGES = ("01463500", "01472000")


@pytest.fixture(scope="module")
def delaware(gui: Gui, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Flows at two gauges of the Delaware in 1979 and 1980: made up, as the samples have none."""
    days = [date(1979, 1, 1) + timedelta(n) for n in range(731)]
    for name, category, factor in (("seen", "OBSERVATION", 1.0), ("prms", "OUTPUT", 1.1)):
        folder = tmp_path_factory.mktemp(name)
        rows = [f"{day},{factor * (9 + n % 7):g},{factor * (5 + n % 5):g}"
                for n, day in enumerate(days)]  # fmt: skip
        (folder / "flow.csv").write_text("\n".join([f"time,{','.join(GAUGES)}", *rows]) + "\n")
        gui.headrace.said(
            "dataset", "create", f"delaware-{name}", "--category", category,
            "--upload", str(folder), "--domain", "{HYDROFABRIC_DATA_ID: drb}",
        )  # fmt: skip


@pytest.fixture
def form(signed_in: Page) -> Page:
    """The page, with nothing typed yet."""
    signed_in.goto("/new")
    expect(signed_in.get_by_role("heading", name="New job")).to_be_visible()
    return signed_in


def text_of(page: Page) -> Locator:
    return page.get_by_label("The job file as YAML")


def plan_of(page: Page) -> Locator:
    return page.get_by_role("region", name="What would come of it")


def said(page: Page) -> Any:
    return parse_yaml(text_of(page).input_value()).value


def comments(text: str) -> list[str]:
    return re.findall(r"(?:^|\s)# (.*)", text)


def submitted(page: Page) -> str:
    """Submit, and give the id of the job whose page is shown then."""
    page.get_by_role("button", name="Submit").click()
    page.wait_for_url(re.compile(r"/jobs/[0-9a-z]{16}$"))
    return page.url.rpartition("/")[2]


@pytest.mark.usefixtures("delaware")
def test_the_evaluation_of_the_delaware_is_built_runs_and_is_made_anew(
    gui: Gui, form: Page
) -> None:
    form.get_by_label("Kind", exact=True).select_option("evaluation")
    form.get_by_label("Name", exact=True).fill("delaware-evaluation")
    form.get_by_label("Period (needed): begin").fill("1979-01-01")
    form.get_by_label("Period (needed): end").fill("1981-01-01")
    form.get_by_label("Warm up days").fill("180")
    form.get_by_label("Hydrofabric", exact=True).fill("drb")
    form.get_by_text(re.compile(r"^\d+ more settings$")).first.click()
    form.get_by_label("Observed unit").fill("m3 s-1")
    form.get_by_label("Simulated unit").fill("m3 s-1")
    for metric in ("nse", "kge", "pbias"):
        form.get_by_label(metric, exact=True).check()
    form.get_by_label("CPUs", exact=True).fill("1")
    form.get_by_label("Memory", exact=True).fill("512MiB")
    asked = said(form)
    assert asked["settings"]["metrics"] == ["nse", "kge", "pbias"]
    expect(plan_of(form)).to_contain_text("Starts at once")
    expect(plan_of(form).get_by_role("listitem").filter(has_text="simulation")).to_contain_text(
        "found"
    )
    job = submitted(form)
    expect(form.get_by_role("heading", name="delaware-evaluation")).to_be_visible()
    gui.until(job, "COMPLETED")
    expect(form.get_by_role("main")).to_contain_text("Completed")

    form.goto(f"/new?from={job}")
    expect(text_of(form)).to_be_visible()
    again = said(form)
    del asked["settings"]["metrics"]  # they are the metrics by default
    assert {key: again[key] for key in asked} == {**asked, "resources": again["resources"]}
    assert set(again) <= {*asked, "inputs"}  # nothing that the kind made by itself
    form.get_by_label("Warm up days").fill("90")
    expect(plan_of(form)).to_contain_text("Starts at once")
    other = submitted(form)
    assert other != job
    assert gui.headrace.job(other)["spec"]["settings"]["warm_up_days"] == 90
    gui.until(other, "COMPLETED")


def test_what_is_wrong_stands_at_its_field_and_line_in_the_api_s_words(form: Page) -> None:
    form.get_by_label("Time", exact=True).fill("soon")
    field = form.locator(".field", has=form.get_by_label("Time", exact=True))
    expect(field.locator(".problem")).to_contain_text("'soon' is not a duration")
    expect(form.get_by_role("button", name=re.compile("^Line 6$"))).to_be_visible()
    expect(form.get_by_role("button", name="Submit")).to_be_disabled()
    form.get_by_role("button", name="Line 6").click()
    expect(text_of(form)).to_be_focused()
    form.get_by_label("Time", exact=True).fill("5m")
    expect(plan_of(form)).to_contain_text("Starts at once")
    expect(field.locator(".problem")).to_have_count(0)
    form.get_by_label("CPUs", exact=True).fill("100")
    expect(plan_of(form)).to_contain_text("Can never start")
    expect(plan_of(form)).to_contain_text("ask for less in `resources`")


def test_a_plan_tells_which_data_is_missing_and_why(form: Page) -> None:
    text_of(form).fill(
        "headrace: 1\nkind: evaluation\nsettings:\n"
        "  period: [1920-01-01, 1921-01-01]\n  hydrofabric: nowhere\n"
    )
    expect(plan_of(form)).to_contain_text("Data is missing")
    row = plan_of(form).get_by_role("listitem").filter(has_text="observations")
    expect(row).to_contain_text("missing TIME 1920-01-01 to 1921-01-01")


def test_the_form_changes_what_it_is_asked_to_and_nothing_else(form: Page) -> None:
    for path in sorted(EXAMPLES.glob("*/*.yaml")):
        text = path.read_text()
        text_of(form).fill(text)
        before = parse_yaml(text).value
        expect(form.get_by_label("Name", exact=True)).to_have_value(before["name"])
        form.get_by_label("Name", exact=True).fill("another")
        after = text_of(form).input_value()
        assert parse_yaml(after).value == {**before, "name": "another"}, path
        assert comments(after) == comments(text)


def test_ids_with_leading_zeros_stay_texts_on_every_way(form: Page) -> None:
    text_of(form).fill(
        "headrace: 1\nkind: evaluation\nsettings:\n  period: [1979-01-01, 1981-01-01]\n"
        "  locations:\n    - {id: 01472000}\n"
    )
    locations = form.get_by_label("Locations")
    form.get_by_text(re.compile(r"^\d+ more settings$")).first.click()
    expect(locations).to_have_value(re.compile("01472000"))
    locations.fill("- id: 01472000\n- id: 01463500\n")
    locations_said = said(form)["settings"]["locations"]
    assert [each["id"] for each in locations_said] == ["01472000", "01463500"]


def test_text_that_is_no_yaml_is_told_and_the_form_waits(form: Page) -> None:
    text_of(form).fill("headrace: 1\nkind: [command\nname: x\n")
    expect(form.get_by_text("The job file is no YAML at the moment.")).to_be_visible()
    expect(form.get_by_label("Name", exact=True)).to_be_disabled()
    text_of(form).fill("headrace: 1\nkind: command\nname: x\ncommand: ['true']\n")
    expect(form.get_by_label("Name", exact=True)).to_have_value("x")
    expect(form.get_by_label("Name", exact=True)).to_be_enabled()


def test_a_file_travels_with_the_job_and_with_the_next_one(
    gui: Gui, form: Page, tmp_path: Path
) -> None:
    script = tmp_path / "run.sh"
    script.write_text("echo the file came along\n")
    form.get_by_label("Command").fill("sh\nrun.sh")
    form.get_by_label("Pick files, or drop them here").set_input_files(script)
    expect(form.get_by_text("25 B")).to_be_visible()
    assert said(form)["files"] == ["run.sh"]
    expect(plan_of(form)).to_contain_text("Starts at once")
    job = submitted(form)
    gui.until(job, "COMPLETED")
    form.get_by_role("link", name="Logs").click()
    expect(form.get_by_role("log")).to_contain_text("the file came along")
    form.goto(f"/new?from={job}")
    expect(form.get_by_text("25 B")).to_be_visible()
    form.get_by_label("Name", exact=True).fill("once-more")
    expect(plan_of(form)).to_contain_text("Starts at once")
    other = submitted(form)
    gui.until(other, "COMPLETED")
    assert gui.headrace.log(other) == gui.headrace.log(job)


def test_files_of_a_path_become_a_dataset(gui: Gui, form: Page, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    text_of(form).fill(
        "headrace: 1\nkind: command\nname: counted\ncommand: [cat, '{table}/table.csv']\n"
        "inputs:\n  table: {path: ./table.csv}\n"
    )
    expect(form.get_by_text("a path means something on its own").first).to_be_visible()
    form.get_by_label("Pick the files of table").set_input_files(table)
    row = plan_of(form).get_by_role("listitem").filter(has_text="table")
    expect(row).to_contain_text("found")
    job = submitted(form)
    gui.until(job, "COMPLETED")
    assert gui.headrace.log(job) == "a,b\n1,2\n"


def test_what_was_typed_outlives_the_session_and_a_reload(gui: Gui, form: Page) -> None:
    form.get_by_label("Name", exact=True).fill("kept-name")
    form.context.clear_cookies()
    form.get_by_role("button", name="Submit").click()
    expect(form.get_by_role("dialog")).to_contain_text("Your session is over")
    form.goto(gui.link())
    form.get_by_role("navigation").wait_for()
    form.goto("/new")
    expect(form.get_by_label("Name", exact=True)).to_have_value("kept-name")
    form.get_by_role("button", name="Start anew").click()
    expect(form.get_by_label("Name", exact=True)).to_have_value("hello")
    form.get_by_role("button", name="Take it back").click()
    expect(form.get_by_label("Name", exact=True)).to_have_value("kept-name")
