"""Datasets: found, uploaded, sealed, shared, looked at, deleted and brought back."""

import os
import re
import shutil
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from tests.browser.conftest import Gui, NewPage
from tests.browser.test_sign_in import sign_in
from tests.support.browser import Watch

DROP = """async (drop, files) => {
  const file = ({ name, text }) => new File([text], name);
  const entry = (one) => one.files
    ? { isFile: false, isDirectory: true, name: one.name, createReader: () => {
        let left = one.files.map(entry);
        return { readEntries: (done) => done(left.splice(0, 1)) };
      } }
    : { isFile: true, isDirectory: false, name: one.name, file: (done) => done(file(one)) };
  const data = new DataTransfer();
  const items = files.map((one) => ({ kind: "file", webkitGetAsEntry: () => entry(one) }));
  const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
  Object.defineProperty(event.dataTransfer, "items", { value: items });
  drop.dispatchEvent(event);
}"""


@pytest.fixture(scope="session")
def samples() -> Path:
    """The real sample files; skips (fails in CI) where there are none."""
    folder = os.environ.get("HEADRACE_SAMPLES", "")
    if not folder:
        if os.environ.get("CI") == "true":
            pytest.fail("HEADRACE_SAMPLES names no folder")
        pytest.skip("HEADRACE_SAMPLES names no folder of sample files")
    return Path(folder)


@pytest.fixture
def forcing(samples: Path, tmp_path: Path) -> Path:
    """Real forcing of three catchments in December 2015, as a folder of CSV."""
    folder = tmp_path / "sugar-creek"
    folder.mkdir()
    for file in sorted((samples / "ngen-sugar-creek" / "forcing").glob("*.csv")):
        shutil.copy(file, folder)
    return folder


def choose(page: Page, folder: Path) -> None:
    page.locator('input[data-kind="folder"]').set_input_files(str(folder))


def create(page: Page, name: str, category: str, folder: Path) -> None:
    """Fill the form of a new dataset with a folder's files, and send it."""
    page.goto("/datasets/new")
    choose(page, folder)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Category").select_option(category)
    page.get_by_role("button", name="Create and upload").click()


def panel(page: Page, heading: str) -> Locator:
    return page.get_by_role("region", name=heading, exact=True)


def made(gui: Gui, name: str, folder: Path, category: str = "FORCING") -> str:
    """A sealed dataset, by the command line; gives its id."""
    words = ("dataset", "create", name, "--category", category, "--upload", str(folder))
    return str(gui.headrace.said(*words)["id"])


def test_a_folder_becomes_a_sealed_dataset_with_its_domain(
    gui: Gui, signed_in: Page, forcing: Path
) -> None:
    create(signed_in, "by-chooser", "FORCING", forcing)
    status = panel(signed_in, "Upload").get_by_role("status")
    expect(status).to_have_text("3 files uploaded and sealed.")
    covers = panel(signed_in, "What it covers")
    expect(covers).to_contain_text("2015-12-01 to 2015-12-31 UTC")
    expect(covers).to_contain_text("cat-67")
    view = gui.headrace.said("dataset", "info", "by-chooser")
    assert (view["state"], view["format"], view["item_count"]) == ("SEALED", "AORC_CSV", 3)
    expect(signed_in.get_by_text("AORC_CSV")).to_be_visible()
    expect(signed_in.get_by_role("button", name="Seal", exact=True)).to_be_hidden()


def test_folders_in_folders_are_dropped(gui: Gui, signed_in: Page) -> None:
    text = "time,01472000\n1979-01-01T00:00Z,1.5\n1979-01-02T00:00Z,1.7\n"
    files = [{"name": name, "text": text} for name in ("a.csv", "b ü.csv")]
    deep = {"name": "deep", "files": files}
    signed_in.goto("/datasets/new")
    drop = signed_in.get_by_role("region", name="Files to upload")
    top = {"name": "top.csv", "text": text}
    drop.evaluate(DROP, [{"name": "Stations", "files": [deep, top]}])
    expect(signed_in.get_by_label("Name")).to_have_value("stations")
    signed_in.get_by_label("Category").select_option("OBSERVATION")
    signed_in.get_by_role("button", name="Create and upload").click()
    expect(panel(signed_in, "Upload")).to_contain_text("3 files uploaded and sealed.")
    paths = {each["path"] for each in gui.headrace.said("dataset", "items", "stations")}
    assert paths == {"deep/a.csv", "deep/b ü.csv", "top.csv"}
    signed_in.get_by_text("deep/").click()
    expect(signed_in.get_by_role("button", name="b ü.csv", exact=True)).to_be_visible()


def test_a_failed_file_alone_is_sent_again_from_where_it_broke(
    gui: Gui, signed_in: Page, watches: list[Watch], tmp_path: Path
) -> None:
    watches[0].expect("Failed to load resource")
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "small.csv").write_text("time,01472000\n1979-01-01T00:00Z,1.5\n")
    whole = os.urandom(3 * 2**20)
    (folder / "large.bin").write_bytes(whole)
    asked: list[tuple[str, str]] = []
    cut = [True]

    def on_put(route: Route, request: Request) -> None:
        """Let a part come, and break off: as a network does."""
        content_range = request.headers.get("content-range", "")
        asked.append((request.url.rpartition("/")[2], content_range))
        if "*" in content_range or not cut[0]:
            route.continue_()
        else:
            route.abort("connectionreset")

    signed_in.route(re.compile("/items/large.bin"), _puts(on_put))
    create(signed_in, "resumed", "OBSERVATION", folder)
    sent = panel(signed_in, "Upload")
    expect(sent.get_by_role("status")).to_have_text("1 of 2 files there, 1 failed.")
    expect(sent).to_contain_text("The connection broke while this file was sent.")
    # A part of it did come.
    part = 2**20
    answer = gui.headrace.ask(
        "PUT", "/datasets/resumed/items/large.bin", whole[:part],
        headers={
            "X-Content-SHA256": sha256(whole).hexdigest(),
            "Content-Range": f"bytes 0-{part - 1}/{len(whole)}",
        },
    )  # fmt: skip
    assert answer.status == 202
    cut[0] = False
    asked.clear()
    sent.get_by_role("button", name="Send 1 file again").click()
    expect(sent.get_by_role("status")).to_have_text("2 files uploaded and sealed.")
    assert asked == [("large.bin", f"bytes {part}-{len(whole) - 1}/{len(whole)}")]


def _puts(handler: Callable[[Route, Request], None]) -> Callable[[Route, Request], None]:
    return lambda route, request: (
        handler(route, request) if request.method == "PUT" else route.continue_()
    )


def test_what_is_shared_is_seen_and_a_viewer_deletes_nothing(
    gui: Gui, signed_in: Page, new_page: NewPage, forcing: Path
) -> None:
    dataset = made(gui, "to-share", forcing)
    viewer, page = gui.person("viewer"), new_page()
    page.goto("/")
    sign_in(page, viewer.name, viewer.password)
    page.get_by_role("link", name="Datasets").click()
    expect(page.get_by_role("table", name="Datasets")).to_be_visible()
    expect(page.get_by_role("link", name="to-share")).to_be_hidden()

    signed_in.goto(f"/datasets/{dataset}")
    access = panel(signed_in, "Who may use it")
    access.get_by_label("Share with").fill("No Such!")
    access.get_by_role("button", name="Share", exact=True).click()
    expect(access.get_by_role("alert")).to_contain_text("No Such!")
    access.get_by_label("Share with").fill(viewer.name)
    access.get_by_role("button", name="Share", exact=True).click()
    expect(access).to_contain_text(f"{viewer.name}: reads it")

    page.reload()
    page.get_by_role("link", name="to-share").click()
    expect(page.get_by_role("heading", name="to-share")).to_be_visible()
    expect(panel(page, "What it covers")).to_contain_text("cat-27")
    for verb in ("Delete", "Edit", "New version", "Share"):
        expect(page.get_by_role("button", name=verb, exact=True)).to_be_hidden()
    refused = page.evaluate(
        """async (id) => (await fetch(`/api/v1/datasets/${id}`, {
            method: "DELETE", headers: { "X-Headrace-GUI": "1" } })).status""",
        dataset,
    )
    assert refused == 403

    access.get_by_role("button", name="Take back").click()
    expect(access).not_to_contain_text(viewer.name)
    page.reload()
    expect(page.get_by_role("alert")).to_contain_text("NOT_FOUND")


def test_what_is_deleted_comes_back(gui: Gui, signed_in: Page, forcing: Path) -> None:
    dataset = made(gui, "to-delete", forcing)
    signed_in.goto(f"/datasets/{dataset}")
    signed_in.get_by_role("button", name="Delete").click()
    signed_in.get_by_role("button", name="Undo").click()
    expect(signed_in.get_by_role("heading", name="to-delete")).to_be_visible()
    signed_in.get_by_role("button", name="Delete").click()
    signed_in.wait_for_url("**/datasets")
    expect(signed_in.get_by_role("link", name="to-delete")).to_be_hidden()
    signed_in.get_by_label("State").select_option("DELETED")
    row = signed_in.get_by_role("row").filter(has_text="to-delete")
    row.get_by_role("button", name="Bring back").click()
    expect(row).to_be_hidden()
    assert gui.headrace.said("dataset", "info", "to-delete")["state"] == "SEALED"
    gui.headrace.cli("dataset", "delete", "to-delete", "--yes")
    signed_in.reload()
    row.get_by_role("button", name="Purge").click()
    signed_in.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
    expect(row).to_be_hidden()
    assert gui.headrace.cli("dataset", "undelete", "to-delete").returncode == 3


def test_datasets_are_found_by_what_they_cover(gui: Gui, signed_in: Page, forcing: Path) -> None:
    made(gui, "to-find", forcing)
    signed_in.goto("/datasets")
    signed_in.get_by_label("Part of a name, description or tag").fill("to-find")
    signed_in.get_by_label("Catchment").fill("cat-27")
    signed_in.get_by_label("Data from (UTC)").fill("2015-12-05")
    signed_in.get_by_label("Data to (UTC)").fill("2015-12-06")
    signed_in.get_by_label("Category").select_option("FORCING")
    row = signed_in.get_by_role("row").filter(has_text="to-find")
    expect(row).to_contain_text("AORC_CSV")
    expect(row.get_by_role("img", name="2015-12-01 to 2015-12-31 UTC")).to_be_visible()
    signed_in.wait_for_url(re.compile("catchment=cat-27"))
    signed_in.reload()
    expect(row).to_be_visible()
    signed_in.get_by_label("Catchment").fill("cat-99999")
    expect(signed_in.get_by_text("No dataset is like that.")).to_be_visible()
    signed_in.get_by_label("Catchment").fill("")
    expect(row).to_be_visible()
    signed_in.get_by_label("Data from (UTC)").fill("2016-01-05")
    signed_in.get_by_label("Data to (UTC)").fill("2016-01-06")
    expect(signed_in.get_by_text("No dataset is like that.")).to_be_visible()


def test_files_are_looked_at_and_downloaded(
    gui: Gui, signed_in: Page, samples: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(samples / "ngen-sugar-creek" / "forcing", folder / "forcing")
    for name in ("routing_config.yaml", "nexus.geojson"):
        shutil.copy(samples / "ngen-gauge-01073000" / name, folder)
    dataset = made(gui, "to-look-at", folder)
    signed_in.goto(f"/datasets/{dataset}")
    signed_in.get_by_text("forcing/").click()
    signed_in.get_by_role("button", name=re.compile("^cat-27_")).click()
    look = signed_in.get_by_role("complementary")
    expect(look.get_by_role("columnheader").first).to_be_visible()
    expect(look.get_by_role("img", name=re.compile("over time"))).to_be_visible()
    expect(look).to_contain_text("720 rows in all")
    signed_in.get_by_role("button", name="routing_config.yaml", exact=True).click()
    expect(look).to_contain_text("network_topology_parameters")
    signed_in.get_by_role("button", name="nexus.geojson", exact=True).click()
    expect(look.get_by_role("region", name="Shapes of nexus.geojson")).to_be_visible()
    signed_in.get_by_role("button", name=re.compile(r"\.nc$")).click()
    expect(look).to_contain_text("can't be read in the browser")

    with signed_in.expect_download() as one:
        signed_in.get_by_role("link", name="Download routing_config.yaml").click()
    assert one.value.path().read_bytes() == (folder / "routing_config.yaml").read_bytes()
    with signed_in.expect_download() as whole:
        signed_in.get_by_role("button", name="Download all").click()
    with tarfile.open(whole.value.path()) as archive:
        archive.extractall(tmp_path / "copy", filter="data")
    for file in (path for path in folder.rglob("*") if path.is_file()):
        copy = tmp_path / "copy" / "to-look-at" / file.relative_to(folder)
        assert copy.read_bytes() == file.read_bytes()


def test_a_dataset_is_described_renamed_and_gets_a_new_version(
    gui: Gui, signed_in: Page, forcing: Path
) -> None:
    dataset = made(gui, "to-edit", forcing)
    signed_in.goto(f"/datasets/{dataset}")
    signed_in.get_by_role("button", name="Edit").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("Name").fill("edited")
    dialog.get_by_label("Description").fill("Forcing of December")
    dialog.get_by_label("Tags").fill("sugar-creek, try")
    dialog.get_by_role("button", name="Save").click()
    expect(signed_in.get_by_role("heading", name="edited", exact=True)).to_be_visible()
    expect(signed_in.get_by_text("Forcing of December")).to_be_visible()
    expect(signed_in.get_by_role("link", name="sugar-creek")).to_be_visible()

    signed_in.get_by_role("button", name="New version").click()
    expect(signed_in.get_by_text("version 2")).to_be_visible()
    choose(signed_in, forcing)
    expect(panel(signed_in, "Upload")).to_contain_text("3 of 3 files there.")
    expect(signed_in.get_by_role("button", name=re.compile("^cat-52_"))).to_be_visible()
    signed_in.get_by_role("button", name=re.compile("^Remove cat-52_")).click()
    expect(signed_in.get_by_role("button", name=re.compile("^cat-52_"))).to_be_hidden()
    signed_in.get_by_role("button", name="Seal", exact=True).click()
    signed_in.get_by_label("What the files can't tell").fill('{"DATA_ID": "second"}')
    signed_in.get_by_role("button", name="Seal it").click()
    expect(panel(signed_in, "What it covers")).to_contain_text("2 in all")
    expect(panel(signed_in, "What it covers")).to_contain_text("second")
    expect(panel(signed_in, "Versions").get_by_role("listitem")).to_have_count(2)


def test_what_satisfies_a_requirement_is_told(gui: Gui, signed_in: Page, forcing: Path) -> None:
    made(gui, "to-match", forcing)
    signed_in.goto("/datasets/match")
    signed_in.get_by_label("From (UTC)").fill("2015-12-02")
    signed_in.get_by_label("To (UTC)").fill("2015-12-03")
    signed_in.get_by_label("Catchments").fill("cat-27 cat-52")
    signed_in.get_by_role("button", name="Look for it").click()
    told = signed_in.get_by_role("main").get_by_role("status")
    expect(told).to_contain_text("Fulfilled")
    expect(told.get_by_role("link").first).to_be_visible()
    signed_in.get_by_label("To (UTC)").fill("2017-12-03")
    signed_in.get_by_role("button", name="Look for it").click()
    expect(told).to_contain_text("Missing")
    expect(told).to_contain_text("2017-12-03")
    signed_in.reload()
    expect(signed_in.get_by_label("Catchments")).to_have_value("cat-27 cat-52")
