"""Ngen's output out of archives, into one, and parts of it."""

import gzip
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace_derivations import ngen_output_work
from headrace_derivations.base import Derivation, DerivationFailed
from headrace_derivations.ngen_output import ARCHIVED, PACK, PART, PLAIN, UNPACK
from headrace_formats.detect import Detection, detect_folder
from headrace_formats.errors import FormatError
from headrace_model.dataset import Category
from headrace_model.requirement import Shape
from tests.support.deriving import contents, run, steps, wanted
from tests.support.format_samples import CATCHMENT_CSV, NEXUS_CSV, OUTPUTS, tar_of
from tests.support.samples import sample

TIME = ["2015-12-01T00:00Z", "2015-12-31T00:00Z"]


def made(derivation: Derivation, to: str, source: Path, output: Path, **domain: Any) -> Detection:
    (step,) = steps(derivation, wanted(Category.OUTPUT, to, **domain))
    return run(derivation, step, output, output=source)


def packed(source: Path, output: Path) -> Detection:
    return made(PACK, ARCHIVED, source, output)


def unpacked(source: Path, output: Path) -> Detection:
    return made(UNPACK, PLAIN, source, output)


def folder_of(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def test_a_real_output_is_packed_and_unpacked_and_stays_the_same(tmp_path: Path) -> None:
    source = sample("ngen-sugar-creek/corrected/expected_output")
    domain = detect_folder(source).domain
    archived = packed(source, tmp_path / "packed")
    assert (archived.format, archived.domain) == (ARCHIVED, domain)
    plain = unpacked(tmp_path / "packed", tmp_path / "unpacked")
    assert (plain.format, plain.domain) == (PLAIN, domain)
    assert contents(tmp_path / "unpacked") == contents(source)


def test_the_archive_tells_nothing_of_when_and_by_whom_it_was_made(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", dict(OUTPUTS))
    packed(source, tmp_path / "one")
    for path in sorted(source.rglob("*.csv"), reverse=True):
        path.touch()
        path.chmod(0o600)
    packed(source, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert (tmp_path / "one" / "output.tar.gz").read_bytes()[4:8] == bytes(4)  # gzip's time
    with tarfile.open(tmp_path / "one" / "output.tar.gz") as archive:
        assert [each.name for each in archive] == sorted(OUTPUTS)
        assert {(each.mtime, each.uid, each.uname) for each in archive} == {(0, 0, "")}


IDS = st.integers(1, 10**9)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.one_of(
            IDS.map("cat-{}.csv".format),
            IDS.map("some/where/cat-{}.csv".format),
            IDS.map("ä b/cat-{}.csv".format),
            IDS.map(lambda n: f"{'long' * 60}/cat-{n}.csv"),
        ),
        st.integers(0, 2000).map(
            lambda n: CATCHMENT_CSV + f"2,2015-12-01 02:00:00,{n}\n" * (n > 9)
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_is_packed_comes_out_as_it_was(files: dict[str, Any]) -> None:
    with TemporaryDirectory() as name:
        source = folder_of(Path(name, "in"), files)
        packed(source, Path(name, "packed"))
        unpacked(Path(name, "packed"), Path(name, "out"))
        assert contents(Path(name, "out")) == contents(source)


def test_only_output_is_packed(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {**OUTPUTS, "README.md": "of a run"})
    packed(source, tmp_path / "packed")
    unpacked(tmp_path / "packed", tmp_path / "out")
    assert sorted(contents(tmp_path / "out")) == sorted(OUTPUTS)


def test_compressed_files_lie_beside_one_another(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path / "in",
        {f"cat-{n}.csv.gz": gzip.compress(CATCHMENT_CSV.encode()) for n in (27, 52)},
    )
    found = unpacked(source, tmp_path / "out")
    assert found.domain.to_plain()["CATCHMENT_ID"] == ["cat-27", "cat-52"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.tar": tar_of({"../cat-1.csv": CATCHMENT_CSV})}, "leads out"),
        ({"a.tar": tar_of({"/etc/cat-1.csv": CATCHMENT_CSV})}, "leads out"),
        ({"a.tar": tar_of(dict(OUTPUTS))[:1500]}, "ends early"),
        ({"a.tar": tar_of({"x/cat-1.csv": "", "x/./cat-1.csv": ""})}, "in its place already"),
        ({"a.tar": tar_of({"x": "", "x/cat-1.csv": ""})}, "in its place already"),
        (
            {"a.tar": tar_of(dict(OUTPUTS)), "b.tar": tar_of(dict(OUTPUTS))},
            "in its place already",
        ),
        ({"a.tar": tar_of({f"{'n' * 300}.csv": ""})}, "too long for a file"),
        ({"a.csv": CATCHMENT_CSV}, "no output"),
    ],
)
def test_archives_that_are_no_folder_of_output_are_refused(
    tmp_path: Path, files: dict[str, Any], said: str
) -> None:
    source = folder_of(tmp_path / "in" / "archives", files).parent
    with pytest.raises((DerivationFailed, FormatError), match=said):
        unpacked(source, tmp_path / "work" / "out")
    assert not (tmp_path / "work" / "cat-1.csv").exists()


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = tarfile.TarInfo("x")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc"
    source = folder_of(tmp_path / "in", {"a.tar": tar_of({}, link=link)})
    with pytest.raises(FormatError, match="a link or device"):
        unpacked(source, tmp_path / "out")


def test_too_many_files_for_an_archive_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngen_output_work, "MOST_MEMBERS", 1)
    with pytest.raises(DerivationFailed, match=r"2 files .* are too many for one archive"):
        packed(folder_of(tmp_path / "in", dict(OUTPUTS)), tmp_path / "out")


def test_a_part_of_a_real_output_in_time_and_by_catchment_and_nexus(tmp_path: Path) -> None:
    source = sample("ngen-sugar-creek/corrected/expected_output")
    only = {
        "TIME": ["2015-12-02T00:00Z", "2015-12-03T12:00Z"],
        "CATCHMENT_ID": ["cat-27", "cat-67"],
        "ELEMENT_ID": "nex-34",
    }
    found = made(PART, PLAIN, source, tmp_path / "out", **only)
    assert found.domain == wanted(Category.OUTPUT, PLAIN, **only).domain
    lines = (source / "cat-27.csv").read_bytes().splitlines(keepends=True)
    assert (tmp_path / "out" / "cat-27.csv").read_bytes() == b"".join(
        [lines[0], *lines[25 : 25 + 36]]
    )
    assert sorted(contents(tmp_path / "out")) == ["cat-27.csv", "cat-67.csv", "nex-34_output.csv"]


def test_a_part_of_a_file_of_all_catchments_has_its_rows(tmp_path: Path) -> None:
    text = "catchment_id,Time Step,Time,Q_OUT\n" + "".join(
        f"cat-{n},{step},2015-12-01 0{step}:00:00,0.{n}\n" for step in range(3) for n in (1, 2, 3)
    )
    source = folder_of(tmp_path / "in", {"output.csv": text})
    only = {"CATCHMENT_ID": ["cat-1", "cat-3"], "TIME": ["2015-12-01T01:00Z", "2015-12-01T03:00Z"]}
    found = made(PART, PLAIN, source, tmp_path / "out", **only)
    assert found.domain == wanted(Category.OUTPUT, PLAIN, **only).domain


def test_a_part_without_a_row_or_time_is_refused(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", {"nex-26_output.csv": NEXUS_CSV + "2, soon, 0.1\n"})
    with pytest.raises(DerivationFailed, match="no output of what is wanted"):
        made(PART, PLAIN, source, tmp_path / "one", ELEMENT_ID="nex-34")
    with pytest.raises(DerivationFailed, match="a row has no time"):
        made(PART, PLAIN, source, tmp_path / "two", TIME=TIME)


def test_only_what_is_exactly_wanted_needs_a_part() -> None:
    assert steps(PART, wanted(Category.OUTPUT, PLAIN, Shape.ONE, CATCHMENT_ID="cat-1")) == []
    assert steps(PART, wanted(Category.OUTPUT, PLAIN, DATA_ID="mine")) == []
    (step,) = steps(PART, wanted(Category.OUTPUT, PLAIN, CATCHMENT_ID="cat-1", DATA_ID="mine"))
    assert step.parameters == {"only": {"CATCHMENT_ID": "cat-1"}}
    assert step.inputs[0].domain.to_plain() == {"CATCHMENT_ID": "cat-1", "DATA_ID": "mine"}
    for shape, asked in ((Shape.ANY, Shape.ONE), (Shape.EXACT, Shape.EXACT)):
        (step,) = steps(UNPACK, wanted(Category.OUTPUT, PLAIN, shape, CATCHMENT_ID="cat-1"))
        assert step.inputs[0].shape is asked
