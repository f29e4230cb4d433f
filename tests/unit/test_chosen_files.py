"""Which files a transfer takes: folders, patterns, what is excluded, and what would clash."""

from pathlib import Path

import pytest

from headrace_client.globs import Excluded, fits
from headrace_client.localfiles import files_at
from headrace_client.transferplan import chosen, the_one
from headrace_model.errors import InvalidInput, NotFound


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.nc", "b.tmp", "raw/a.nc", "raw/old/c.nc", "raw/x.tmp", ".hidden"):
        file = tmp_path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "data"


def items_at(*paths: Path | str, exclude: tuple[str, ...] = ()) -> list[str]:
    return [each.item for each in files_at(paths, exclude)]


@pytest.mark.parametrize(
    ("pattern", "path", "does"),
    [
        ("*.nc", "a.nc", True),
        ("*.nc", "raw/a.nc", False),
        ("**/*.nc", "a.nc", True),
        ("**/*.nc", "raw/old/c.nc", True),
        ("raw/**", "raw/old/c.nc", True),
        ("raw/*", "raw/old/c.nc", True),  # by its folder
        ("raw", "raw/old/c.nc", True),
        ("raw", "rawer", False),
        ("a?nc", "a/nc", False),
        ("[ab].nc", "b.nc", True),
        ("[!ab].nc", "b.nc", False),
        ("[!ab]c", "/c", False),
        ("[]", "[]", True),
        ("[^a]", "^", True),
        ("a.nc", "aXnc", False),
        ("a\n*", "a\nb", True),
    ],
)
def test_a_pattern_fits_within_a_folder_and_two_stars_across(
    pattern: str, path: str, does: bool
) -> None:
    assert fits(path, pattern) is does


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (("*.tmp",), [".hidden", "a.nc", "raw/a.nc", "raw/old/c.nc"]),
        (("raw/*.tmp", ".*"), ["a.nc", "b.tmp", "raw/a.nc", "raw/old/c.nc"]),
        (("old", "*.tmp"), [".hidden", "a.nc", "raw/a.nc"]),
        (("raw/",), [".hidden", "a.nc", "b.tmp"]),
    ],
)
def test_what_is_excluded_is_left_out_at_any_depth_or_from_the_top(
    folder: Path, exclude: tuple[str, ...], left: list[str]
) -> None:
    assert items_at(folder, exclude=exclude) == left


@pytest.mark.parametrize("pattern", ["", "/", "/raw", "./raw", "[z-a]"])
def test_a_pattern_that_could_exclude_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput):
        assert "x" not in Excluded((pattern,))


def test_all_excluded_is_an_error_and_so_is_an_empty_folder(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="every file is excluded"):
        files_at([folder], ["*"])
    with pytest.raises(InvalidInput, match="every file is excluded"):
        files_at([folder / "a.nc"], ["*.nc"])
    (folder.parent / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no file"):
        files_at([folder.parent / "empty"])


def test_a_broken_link_is_an_error_unless_it_is_excluded(folder: Path) -> None:
    (folder / "broken.lnk").symlink_to(folder / "nowhere")
    with pytest.raises(InvalidInput, match="not a regular file"):
        files_at([folder])
    assert "a.nc" in items_at(folder, exclude=("*.lnk",))


def test_a_pattern_takes_files_with_their_paths_from_its_first_wildcard_on(folder: Path) -> None:
    assert items_at(folder / "*.nc") == ["a.nc"]
    assert items_at(folder / "**" / "*.nc") == ["a.nc", "raw/a.nc", "raw/old/c.nc"]
    assert items_at(folder / "*" / "a.nc") == ["raw/a.nc"]
    assert items_at(folder / "*", exclude=("b*",)) == ["a.nc"]
    with pytest.raises(InvalidInput, match="no file fits"):
        files_at([folder / "*.csv"])


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(folder: Path) -> None:
    (folder / "a[1].nc").write_text("x")
    (folder / "a1.nc").write_text("y")
    assert items_at(folder / "a[1].nc") == ["a[1].nc"]


def test_two_files_that_would_be_one_item_are_refused(folder: Path) -> None:
    assert items_at(folder / "a.nc", folder / "a.nc") == ["a.nc"]
    with pytest.raises(InvalidInput, match=r"both be the item a\.nc"):
        files_at([folder / "a.nc", folder / "raw" / "a.nc"])


def test_items_are_chosen_by_path_folder_or_pattern() -> None:
    items = [{"path": path} for path in ("a.nc", "raw/a.nc", "raw/x.tmp", "we[1]ird")]

    def paths(*wanted: str, exclude: tuple[str, ...] = ()) -> list[str]:
        return [each["path"] for each in chosen(items, wanted, exclude)]

    assert paths() == ["a.nc", "raw/a.nc", "raw/x.tmp", "we[1]ird"]
    assert paths("raw", exclude=("*.tmp",)) == paths("raw/", exclude=("*.tmp",)) == ["raw/a.nc"]
    assert paths("**/*.nc") == ["a.nc", "raw/a.nc"]
    assert paths("a.nc", "*.nc") == ["a.nc"]
    assert paths("we[1]ird") == ["we[1]ird"]
    for missing in ("b.nc", "*.csv", "ra"):
        with pytest.raises(NotFound):
            paths("a.nc", missing)
    assert the_one(items[:1]) == items[0]
    with pytest.raises(InvalidInput, match="takes one item"):
        the_one(items)
