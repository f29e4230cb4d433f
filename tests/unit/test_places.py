"""From where may be imported: from places that an admin named, and from nowhere beside them."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_data.core.places import place_of, read_places
from headrace_model.errors import InvalidInput

PLACES = read_places("archive=/data/archive/, noaa = s3://noaa/aorc,deep=/data/archive/deep")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("/data/archive", ("archive", "")),
        ("/data/archive/", ("archive", "")),
        ("/data/archive/a/b/", ("archive", "a/b")),
        ("/data/archive/deep/c", ("deep", "c")),
        ("/data/archive//a", ("archive", "a")),
        ("/data/archive/deeper", ("archive", "deeper")),
        ("s3://noaa/aorc/2015", ("noaa", "2015")),
    ],
)
def test_the_place_that_holds_it_most_closely_is_found(
    source: str, found: tuple[str, str]
) -> None:
    assert place_of(source, PLACES) == found


@pytest.mark.parametrize(
    "source",
    ["", "/", "/etc", "/data", "/data/archives", "archive", "data/archive", "s3://", "s3://noaa",
     "s3://noaa/aorcs", "s3://other/aorc", "/data/archive/../../etc", "/data/archive/a/../b",
     "/data/archive/./a", "//data/archive", "/data/archive/a\0b",
     "file:///data/archive", "S3://noaa/aorc"],
)  # fmt: skip
def test_nothing_else_is(source: str) -> None:
    with pytest.raises(InvalidInput, match=r"/data/archive|can't be imported"):
        place_of(source, PLACES)


parts = st.text(st.sampled_from("ab./\\ "), max_size=3)


@given(st.lists(parts, max_size=6))
def test_a_folder_is_never_outside_its_place(names: list[str]) -> None:
    source = "/data/archive/" + "/".join(names)
    try:
        name, folder = place_of(source, PLACES)
    except InvalidInput:
        return
    whole = posixpath.normpath(posixpath.join(PLACES[name], folder))
    assert whole == PLACES[name] or whole.startswith(PLACES[name] + "/")
    assert not folder.startswith("/")


@pytest.mark.parametrize(
    "text", ["/data", "a=", "a=data", "A=/data", "a=/x,a=/y", "=/x", "a=s3://", "a/b=/x"]
)
def test_a_setting_that_names_no_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_places(text)


def test_without_a_setting_there_is_none() -> None:
    assert read_places(" ") == {}
    with pytest.raises(InvalidInput, match="no place yet"):
        place_of("/etc", {})
