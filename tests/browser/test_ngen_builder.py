"""A run of NextGen built on a map, planned, and run: by the tests' stand-in for ngen."""

import json
import re
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import WITHIN_MS, Gui
from tests.support.ngen_runs import STAND_IN, SUGAR_CREEK, copied, put_week
from tests.support.samples import sample

INITS = ("pet.ini", "cfe_cat-27.ini", "cfe_cat-52.ini", "cfe_cat-67.ini")


def put(gui: Gui, name: str, category: str, folder: Path) -> None:
    index = "HYDROFABRIC_DATA_ID" if category == "HYDROFABRIC" else "DATA_ID"
    gui.headrace.said(
        "dataset", "create", name, "--category", category, "--upload", str(folder),
        "--domain", json.dumps({index: name}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def sugar_creek(gui: Gui, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The real hydrofabric, a week of its forcing, its configs, and partitions for two ranks."""
    place = tmp_path_factory.mktemp("sugar-creek")
    files = (f"{SUGAR_CREEK}/{each}_data.geojson" for each in ("catchment", "nexus"))
    put(gui, "creek", "HYDROFABRIC", copied(place / "fabric", *files))
    put_week(sample(f"{SUGAR_CREEK}/corrected/forcing"), place / "forcing")
    put(gui, "creek-week", "FORCING", place / "forcing")
    realization = f"{SUGAR_CREEK}/corrected/realization.json"
    put(gui, "creek-models", "CONFIG", copied(place / "realization", realization))
    inits = (f"{SUGAR_CREEK}/corrected/{each}" for each in INITS)
    put(gui, "creek-init", "CONFIG", copied(place / "init", *inits))
    parts = copied(place / "parts", "ngen-partitions/sugar_creek_partition_2.json")
    put(gui, "creek-parts", "CONFIG", parts)


@pytest.fixture
def builder(signed_in: Page, sugar_creek: None) -> Page:
    signed_in.goto("/new/ngen")
    choose(signed_in, "creek")
    return signed_in


def choose(page: Page, fabric: str) -> None:
    options = page.get_by_label("Hydrofabric").locator("option")
    label = options.filter(has_text=re.compile(rf"^{fabric}\b(?!-)")).first.text_content()
    page.get_by_label("Hydrofabric").select_option(label=label)
    expect(page.get_by_text(re.compile("of . chosen"))).to_be_visible()
    expect(page.locator(".map-ground canvas")).to_be_visible()


def expect_ids(page: Page, *wanted: str) -> None:
    """Wait until just these catchments are chosen."""
    field = page.get_by_label("Ids of the catchments")
    for _ in range(WITHIN_MS // 50):
        if {each.strip() for each in field.input_value().split(",")} == set(wanted):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"{field.input_value()!r} is chosen, not {wanted}")


def test_catchments_are_chosen_by_click_box_list_and_id(builder: Page) -> None:
    ground = builder.get_by_role("region", name=re.compile("^Catchments of creek"))
    box = ground.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    builder.mouse.click(*middle)
    expect(builder.get_by_text("1 of 3 chosen")).to_be_visible()
    builder.mouse.click(*middle)
    expect(builder.get_by_text("0 of 3 chosen")).to_be_visible()
    builder.get_by_role("button", name="Choose by box").click()
    builder.wait_for_timeout(300)  # nobody draws sooner; the map hears of the button by an effect
    builder.mouse.move(box["x"] + 60, box["y"] + 2)
    builder.mouse.down()
    builder.mouse.move(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2, steps=3)
    builder.mouse.up()
    expect(builder.get_by_text("3 of 3 chosen")).to_be_visible()
    builder.get_by_text("As a list").click()
    builder.get_by_label("cat-52").uncheck()
    expect_ids(builder, "cat-27", "cat-67")
    builder.get_by_label("Ids of the catchments").fill("cat-52 cat-99")
    expect(builder.get_by_text("The hydrofabric has no cat-99")).to_be_visible()
    expect(builder.get_by_text("1 of 3 chosen")).to_be_visible()


def test_up_and_down_the_water(gui: Gui, builder: Page, tmp_path: Path) -> None:
    """1 and 2 drain to 3, which drains to 4; 5 drains elsewhere."""
    to = {1: 3, 2: 3, 3: 4, 4: 0, 5: 0}
    square = [[[0, 0], [0.9, 0], [0.9, 0.9], [0, 0.9], [0, 0]]]
    features = [
        {
            "type": "Feature",
            "id": f"cat-{n}",
            "properties": {"toid": f"nex-{n}", "areasqkm": 1},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x + n, y] for x, y in square[0]]],
            },
        }
        for n in to
    ] + [
        {
            "type": "Feature",
            "id": f"nex-{n}",
            "properties": {"toid": f"cat-{below}"},
            "geometry": {"type": "Point", "coordinates": [n, 0]},
        }
        for n, below in to.items()
    ]
    fabric = {"type": "FeatureCollection", "features": features}
    (tmp_path / "fabric.geojson").write_text(json.dumps(fabric))
    put(gui, "chain", "HYDROFABRIC", tmp_path)
    builder.reload()
    choose(builder, "chain")
    area = builder.get_by_label("Ids of the catchments")
    area.fill("cat-3")
    builder.get_by_role("button", name="Add all upstream").click()
    expect(builder.get_by_text("3 of 5 chosen")).to_be_visible()
    expect_ids(builder, "cat-1", "cat-2", "cat-3")
    area.fill("cat-2")
    builder.get_by_role("button", name="Add all downstream").click()
    expect(builder.get_by_text("3 of 5 chosen")).to_be_visible()
    expect_ids(builder, "cat-2", "cat-3", "cat-4")


def test_a_run_is_built_planned_and_completes(gui: Gui, builder: Page, tmp_path: Path) -> None:
    program = tmp_path / "ngen"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    builder.get_by_label("Begin (UTC)").fill("2015-12-05")
    builder.get_by_label("End (UTC)").fill("2016-01-01")
    builder.get_by_label(re.compile("^creek-week")).check()
    expect(builder.get_by_text("not all of the run")).to_be_visible()
    builder.get_by_label("End (UTC)").fill("2015-12-06")
    expect(builder.get_by_text("not all of the run")).to_have_count(0)
    for config in ("creek-models", "creek-init"):
        builder.get_by_label(re.compile(f"^{config}")).check()
    parts = builder.get_by_label("Partitions").locator("option", has_text="creek-parts")
    builder.get_by_label("Partitions").select_option(label=parts.text_content())
    expect(builder.get_by_text("rank 1", exact=True)).to_be_visible()
    expect(builder.get_by_text("as many ranks are needed")).to_be_visible()
    builder.get_by_label("Partitions").select_option("")
    builder.get_by_role("button", name="Go on to plan and submit").click()
    builder.wait_for_url(re.compile("/new$"))
    text = builder.get_by_label("The job file as YAML")
    expect(text).to_have_value(re.compile(r"config_sources: \[creek-(models, creek-)?init"))
    assert "hydrofabric_uid: hf1-" in text.input_value(), "the one on the map, and no other"
    job = text.input_value().replace(
        "settings:\n", f"settings:\n  executable: {program}\n  library_root: /ngen\n"
    )
    text.fill(job.replace("cpus: 1", "cpus: 500m").replace("512MiB", "256MiB"))
    plan = builder.get_by_role("region", name="What would come of it")
    config = plan.get_by_role("listitem").filter(has_text="config")
    expect(config).to_contain_text("will be made")  # and the job waits for that, not for room
    expect(plan).to_contain_text("Waits")
    builder.get_by_role("button", name="Submit").click()
    builder.wait_for_url(re.compile(r"/jobs/[0-9a-z]{16}$"))
    gui.until(builder.url.rpartition("/")[2], "COMPLETED")
    expect(builder.get_by_role("main")).to_contain_text("Completed")
