"""What a kind wants in its worker's working folder: links to staged files, packages of ours."""

from pathlib import Path

import pytest

from headrace_agent.folders import AttemptFolder
from headrace_agent.workplace import InputUnfit, lay, link_targets, program_files
from headrace_kinds import registry
from headrace_model.spec import FileSpec, JobSpec
from tests.support.flood_kind import FloodKind

SPEC = JobSpec("flood-wave", "x")


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> FloodKind:
    made = FloodKind()
    monkeypatch.setitem(registry._BUILT_IN, FloodKind.name, made)
    return made


def _staged(tmp_path: Path, *names: str) -> AttemptFolder:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    for name in names:
        path = folder.datasets / "forcing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def test_links_lead_to_staged_files_from_wherever_the_attempt_is_seen(tmp_path: Path) -> None:
    folder = _staged(tmp_path, "in/rain-2015.csv", "other.dat")
    folder.write_job("{}", (), {}, link_targets(folder.datasets, SPEC))
    moved = folder.root.rename(tmp_path / "elsewhere")
    assert (moved / "work" / "rain.csv").read_text() == "in/rain-2015.csv"
    assert (moved / "work" / "rain" / "other.dat").read_text() == "other.dat"


def test_the_first_pattern_that_any_file_fits_counts(tmp_path: Path) -> None:
    folder = _staged(tmp_path, "rain.csv", "a.txt")
    assert link_targets(folder.datasets, SPEC)["rain.csv"] == "../datasets/forcing/a.txt"


def test_a_link_that_was_laid_before_is_not_written_through(tmp_path: Path) -> None:
    folder = _staged(tmp_path, "rain.csv")
    (folder.root / "work" / "rain.csv").symlink_to("../datasets/forcing/rain.csv")
    folder.write_job("{}", (FileSpec("rain.csv", "", b"mine"),), {}, {})
    assert (folder.root / "work" / "rain.csv").read_text() == "mine"
    assert (folder.datasets / "forcing" / "rain.csv").read_text() == "rain.csv"


def test_what_was_laid_stays_whatever_became_of_the_inputs(tmp_path: Path) -> None:
    folder = _staged(tmp_path, "rain.csv")
    lay(folder, "{}", SPEC, {})
    (folder.datasets / "forcing" / "rain.csv").unlink()
    lay(folder, "{}", SPEC, {})
    assert (folder.root / "job.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("names", "said"),
    [((), "no file like"), (("x.csv",), "no file like"), (("a.txt", "b.txt"), "has 2 files like")],
)
def test_none_or_several_files_are_told(tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    folder = _staged(tmp_path, *names)
    with pytest.raises(InputUnfit, match=said):
        link_targets(folder.datasets, SPEC)


def test_the_modules_of_a_package_lie_beside_the_worker(
    tmp_path: Path, kind: FloodKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "programs", ("headrace_kinds",))
    folder = _staged(tmp_path)
    folder.write_job("{}", program_files(SPEC), {}, {})
    laid = folder.root / "work" / "headrace_kinds"
    assert "class Kind(Protocol)" in (laid / "base.py").read_text()
    assert not list(laid.rglob("__pycache__"))
