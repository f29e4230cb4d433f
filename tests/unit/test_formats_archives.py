"""ngen's output in archives: read without unpacking; what would harm is refused."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headrace_formats import archives
from headrace_formats.detect import detect_folder
from headrace_formats.errors import FormatError
from headrace_formats.validate import validate_file
from tests.support.format_samples import CATCHMENT_CSV, NEXUS_CSV, OUTPUTS, tar_of
from tests.support.samples import sample

NAME = "ARCHIVED_NGEN_CSV_OUTPUT"
COVERED = {
    "TIME": ["2015-12-01", "2015-12-01T02:00Z"],
    "CATCHMENT_ID": "cat-27",
    "ELEMENT_ID": "nex-26",
}


def zip_of(files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def domain_of(path: Path) -> dict[str, Any]:
    found = detect_folder(path)
    assert (found.format, found.notes) == (NAME, ())
    return found.domain.to_plain()


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(FormatError) as caught:
        detect_folder(path, NAME)
    assert not validate_file(path).is_valid
    return caught.value.message


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz", "zip", "zip stored", "zip bzip2"])
def test_the_real_output_is_read_from_each_kind_of_archive(tmp_path: Path, mode: str) -> None:
    files = {
        f"run/{path.name}": path.read_text()
        for path in sample("ngen-sugar-creek/corrected/expected_output").glob("*.csv")
    }
    methods = {"zip": zipfile.ZIP_DEFLATED, "zip stored": 0, "zip bzip2": zipfile.ZIP_BZIP2}
    data = zip_of(files, methods[mode]) if mode in methods else tar_of(files, mode)
    (tmp_path / "anything").write_bytes(data)
    assert domain_of(tmp_path) == {
        "TIME": ["2015-12-01", "2015-12-31"],
        "CATCHMENT_ID": ["cat-27", "cat-52", "cat-67"],
        "ELEMENT_ID": ["nex-26", "nex-34", "nex-68"],
    }


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_single_compressed_file_is_read(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "cat-27.csv.z").write_bytes(pack(CATCHMENT_CSV.encode()))
    (tmp_path / "nex-26_output.csv.z").write_bytes(pack(NEXUS_CSV.encode()))
    assert domain_of(tmp_path) == COVERED


@pytest.mark.parametrize(
    ("pack", "between"),
    [
        (gzip.compress, b""),
        (bz2.compress, b""),
        (lzma.compress, b""),
        (lzma.compress, bytes(8)),
        (lzma.compress, bytes(200_000)),
    ],
)
def test_a_file_compressed_in_several_streams_is_read_to_its_end(
    tmp_path: Path, pack: Callable[[bytes], bytes], between: bytes
) -> None:
    half = len(CATCHMENT_CSV) // 2
    parts = [CATCHMENT_CSV[:half], CATCHMENT_CSV[half:], ""]
    streams = [pack(part.encode()) for part in parts]
    (tmp_path / "cat-27.csv.z").write_bytes(between.join(streams))
    (tmp_path / "nex-26_output.csv.z").write_bytes(pack(NEXUS_CSV.encode()) + between)
    assert domain_of(tmp_path) == COVERED


@pytest.mark.parametrize("size", [5_000, 200_000])
def test_a_second_stream_of_xz_that_is_damaged_is_refused(tmp_path: Path, size: int) -> None:
    first = lzma.compress(CATCHMENT_CSV.encode())
    second = lzma.compress(bytes(size))
    assert "ends early" in refused(tmp_path / "cat-27.xz", first + second[:-9])
    assert "can't be unpacked" in refused(tmp_path / "cat-27.xz", first + b"garbage" * size)


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names_folders_and_documentation_are_no_trouble(tmp_path: Path, form: int) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("d" * 150)
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, text in {**OUTPUTS, "README.md": "hello"}.items():
            entry = tarfile.TarInfo(f"{'d' * 150}/ä{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    (tmp_path / "x").write_bytes(made.getvalue())
    assert domain_of(tmp_path) == COVERED


@pytest.mark.parametrize(
    "name", ["../cat-1.csv", "/cat-1.csv", "a/../../cat-1.csv", "a\\cat-1.csv", "C:/cat-1.csv"]
)
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_a_name_that_leads_out_is_refused(
    tmp_path: Path, name: str, pack: Callable[[dict[str, str]], bytes]
) -> None:
    said = refused(tmp_path / "x", pack({**OUTPUTS, name: CATCHMENT_CSV}))
    assert f"member {name}: its name leads out of the archive" in said


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_device_is_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("cat-1.csv")
    entry.type, entry.linkname = kind, "/etc/passwd"
    said = refused(tmp_path / "x", tar_of(OUTPUTS, link=entry))
    assert "member cat-1.csv: it is a link or device" in said


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo("cat-1.csv")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    assert "it is a link or device" in refused(tmp_path / "x", made.getvalue())


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_what_grows_without_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(archives, "_SMALL_BYTES", 1 << 16)
    monkeypatch.setattr(archives, "_MOST_TIMES", 10)
    zeros = CATCHMENT_CSV + "\n" * (1 << 20)
    for data in (pack(zeros.encode()), pack(tar_of({"cat-1.csv": zeros}))):
        assert "come out of it: is it made to harm?" in refused(tmp_path / "x", data)
    said = refused(tmp_path / "x", zip_of({"cat-1.csv": zeros}))
    assert "come out of it: is it made to harm?" in said


def test_a_real_bomb_ends_at_the_bound(tmp_path: Path) -> None:
    """100 MB in 0.1 MB: 64 MiB come out, or what documentation may take, and no more."""
    bomb = gzip.compress(tar_of({**OUTPUTS, "README": "0" * 100_000_000}))
    assert "member README: there is more beside" in refused(tmp_path / "x", bomb)
    bomb = gzip.compress(tar_of(OUTPUTS) + b"\0" * 100_000_000)
    assert "more than 67,108,864 bytes" in refused(tmp_path / "x", bomb)


def test_a_tar_that_claims_to_be_huge_takes_no_memory(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("cat-1.csv")
    entry.size = 1 << 60
    assert "ends early" in refused(tmp_path / "x", entry.tobuf(tarfile.GNU_FORMAT))
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        entry.type = kind
        said = refused(tmp_path / "y", entry.tobuf(tarfile.GNU_FORMAT))
        assert "a header of 1,152,921,504,606,846,976 bytes is too large" in said


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_tar_that_tells_a_size_below_0_is_refused(tmp_path: Path, kind: bytes) -> None:
    entry = tarfile.TarInfo("cat-1.csv")
    entry.type, entry.size = kind, -1024
    data = entry.tobuf(tarfile.GNU_FORMAT) + CATCHMENT_CSV.encode().ljust(1024, b"\n")
    assert "a header of it is damaged" in refused(tmp_path / "x", data + tar_of(OUTPUTS))


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 1)
    for pack in (tar_of, zip_of):
        assert "more than 1 members" in refused(tmp_path / "x", pack(OUTPUTS))


def test_other_contents_and_damage_are_refused_with_the_member(tmp_path: Path) -> None:
    good = tar_of(OUTPUTS, "w:gz")
    assert "ended before the end" in refused(tmp_path / "x", good[:-20])
    assert "holds no output" in refused(tmp_path / "x", tar_of({"README": "hello"}))
    inner = tar_of({**OUTPUTS, "more.tar": "x"})
    assert "member more.tar: line 1 is neither" in refused(tmp_path / "x", inner)
    path = tmp_path / "x"
    path.write_bytes(tar_of({"cat-1.csv": CATCHMENT_CSV + "2,noon,x\n", "b.csv": "1,2\n"}))
    assert [str(each) for each in validate_file(path).findings] == [
        "member cat-1.csv, line 4, column Time: 'noon' is not a time: an ISO 8601 date or time in "
        "UTC is expected",
        "member b.csv: line 1 is neither 'Time Step,Time,…' nor step, time, flow",
    ]
    crypt = bytearray(zip_of(OUTPUTS))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        crypt[crypt.index(mark) + at] |= 1
    assert "encrypted" in refused(path, bytes(crypt))


def test_nothing_is_written_beside_the_archive(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(tar_of(OUTPUTS))
    domain_of(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]
