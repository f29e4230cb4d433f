"""Users and groups, by an admin; nobody else finds or gets the page."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Gui, NewPage
from tests.browser.test_sign_in import sign_in


def test_an_admin_makes_a_user_who_signs_in(gui: Gui, signed_in: Page, new_page: NewPage) -> None:
    gui.headrace.cli("groups", "create", "rivers")
    signed_in.get_by_role("link", name="People").click()
    signed_in.get_by_role("button", name="New user").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Not A Name")
    dialog.get_by_role("button", name="Make the user").click()
    expect(dialog.get_by_role("alert")).to_contain_text("request")
    dialog.get_by_label("Name").fill("nora")
    dialog.get_by_label("Role").select_option("viewer")
    dialog.get_by_label("rivers").check()
    dialog.get_by_role("button", name="Make the user").click()
    first = dialog.get_by_label("Password of nora").input_value()
    dialog.get_by_role("button", name="I have it").click()

    theirs = new_page()
    theirs.goto("/")
    sign_in(theirs, "nora", first)
    theirs.get_by_role("link", name="Account").click()
    expect(theirs.get_by_role("region", name="Who you are")).to_contain_text("rivers")
    theirs.get_by_role("link", name="Jobs").click()

    row = signed_in.get_by_role("list", name="Users").get_by_role("listitem", name="nora")
    row.get_by_label("Role of nora").select_option("user")
    expect(signed_in.get_by_text("nora is user now.")).to_be_visible()
    row.get_by_role("button", name="Quota").click()
    dialog.get_by_label("Datasets and checkpoints").fill("many")
    dialog.get_by_role("button", name="Set the quota").click()
    expect(dialog.get_by_role("alert")).to_contain_text("many")
    dialog.get_by_label("Datasets and checkpoints").fill("3GiB")
    dialog.get_by_label("What runs").fill("jobs=2")
    dialog.get_by_role("button", name="Set the quota").click()
    expect(row).to_contain_text("0 B of 3.0 GiB")
    user = gui.headrace.get("/users/nora")
    assert (user["role"], user["quota_bytes"], user["run_quota"]) == ("user", 3 * 2**30, "jobs=2")

    row.get_by_role("button", name="New password").click()
    dialog.get_by_role("button", name="Make a password").click()
    second = dialog.get_by_label("Password of nora").input_value()
    dialog.get_by_role("button", name="I have it").click()
    expect(theirs.get_by_role("dialog", name="Your session is over")).to_be_visible()
    sign_in(theirs, "nora", second)
    expect(theirs.get_by_role("dialog")).to_be_hidden()

    row.get_by_role("button", name="Disable").click()
    dialog.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("disabled")
    expect(theirs.get_by_role("dialog", name="Your session is over")).to_be_visible()
    row.get_by_role("button", name="Enable").click()
    dialog.get_by_role("button", name="Enable").click()
    expect(row).not_to_contain_text("disabled")


def test_a_group_gets_members_a_quota_and_goes(gui: Gui, signed_in: Page) -> None:
    ann = gui.person()
    signed_in.goto("/people")
    signed_in.get_by_role("button", name="New group").click()
    dialog = signed_in.get_by_role("dialog")
    dialog.get_by_label("Name").fill("hills")
    dialog.get_by_role("button", name="Make the group").click()
    row = signed_in.get_by_role("list", name="Groups").get_by_role(
        "listitem", name="hills", exact=True
    )
    row.get_by_label("Add to hills").select_option(ann.name)
    members = row.get_by_role("list", name="Members of hills")
    expect(members).to_contain_text(ann.name)
    assert gui.headrace.get(f"/users/{ann.name}")["groups"] == ["hills"]
    row.get_by_role("button", name=f"Take {ann.name} out of hills").click()
    expect(members).to_contain_text("nobody")
    row.get_by_role("button", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    expect(row).to_be_hidden()
    assert "hills" not in {each["name"] for each in gui.headrace.get("/groups")["groups"]}


def test_the_last_admin_stays_one_and_the_page_shows_so(gui: Gui, signed_in: Page) -> None:
    admin = gui.headrace.get("/me")["name"]
    signed_in.goto("/people")
    role = signed_in.get_by_label(f"Role of {admin}")
    role.select_option("user")
    expect(signed_in.get_by_role("alert")).to_contain_text("only admin")
    expect(role).to_have_value("admin")


@pytest.mark.parametrize("role", ["user", "viewer"])
def test_who_is_no_admin_sees_no_people(role: str, gui: Gui, page: Page) -> None:
    person = gui.person(role)
    page.goto("/people")
    sign_in(page, person.name, person.password)
    expect(page.get_by_role("alert")).to_contain_text(re.compile(f"403.*your role is {role}"))
    navigation = page.get_by_role("navigation")
    expect(navigation.get_by_role("link", name="Account")).to_be_visible()
    expect(navigation.get_by_role("link", name="People")).to_have_count(0)
    expect(page.get_by_role("main").get_by_role("button")).to_have_count(0)
