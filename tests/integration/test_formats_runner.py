"""Strangers' files are read in a process that can do no harm, whatever they hold."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from netCDF4 import Dataset

from headrace_formats.errors import FormatError
from headrace_formats.limits import Limits
from headrace_formats.runner import DEFAULT_LIMITS, Detected, detect_folder
from headrace_model.domain import Domain
from headrace_model.errors import InvalidInput
from tests.support.netcdf_samples import write_forcing
from tests.support.parquet_samples import write_flows
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")


def write_flow(path: Path, stamps: int = 3, gauges: int = 2) -> None:
    with Dataset(path, "w") as file:
        file.createDimension("time", stamps)
        file.createDimension("gauge", gauges)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "days since 1979-01-01"
        time[:] = range(stamps)
        ids = file.createVariable("gauge_id", str, ("gauge",))
        ids.cf_role = "timeseries_id"
        ids[:] = np.array([f"{1411456 + 44 * n:08}" for n in range(gauges)], object)
        file.createVariable("streamflow", "f4", ("time", "gauge"))[:] = 1


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A folder whose one file takes the child some seconds to read."""
    rows = (
        f"2015-01-{day:02}T{hour:02}:{minute:02}:{second:02},1\n"
        for day, hour, minute, second in product(range(1, 9), range(24), range(60), range(60))
    )
    (tmp_path / "slow.csv").write_text("time,rain\n" + "".join(rows))
    return tmp_path


def reader_of(file: Path) -> int | None:
    """The id of the process, a child of ours, that holds `file` open."""
    tasks = Path("/proc/self/task").glob("*/children")
    for pid in (pid for task in tasks for pid in task.read_text().split()):
        try:
            if any(os.readlink(fd) == str(file) for fd in Path(f"/proc/{pid}/fd").iterdir()):
                return int(pid)
        except OSError:
            continue
    return None


async def start(
    folder: Path, limits: Limits = DEFAULT_LIMITS, format: str | None = "TIMESERIES_CSV"
) -> tuple[asyncio.Task[Detected], int]:
    task = asyncio.create_task(detect_folder(folder, format, limits))
    pid = await wait_until(lambda: reader_of(folder / "slow.csv"), "the child to read")
    assert pid
    return task, pid


async def test_a_folder_is_detected_in_a_child(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.nc")
    found = await detect_folder(tmp_path, "TIMESERIES_NETCDF")
    assert found.format == "TIMESERIES_NETCDF"
    assert found.domain.to_plain() == {
        "TIME": ["1979-01-01", "1979-01-04"],
        "GAUGE_ID": ["01411456", "01411500"],
    }
    assert found.notes == ()


async def test_a_wrong_format_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.nc")
    with pytest.raises(FormatError, match=r"flow\.nc can't be read as PRMS_NETCDF") as caught:
        await detect_folder(tmp_path, "PRMS_NETCDF")
    assert isinstance(caught.value, InvalidInput)


async def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="nowhere can't be read"):
        await detect_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (signal.SIGSEGV, "crashed \\(SIGSEGV\\)"),
        (signal.SIGXCPU, "120 s of CPU"),
        (signal.SIGKILL, "out of memory"),
    ],
)
async def test_a_child_that_dies_is_an_error_that_names_the_file(
    slow: Path, number: signal.Signals, why: str
) -> None:
    task, pid = await start(slow)
    os.kill(pid, number)
    with pytest.raises(FormatError, match=f"slow\\.csv: .*{why}"):
        await task


async def test_cancelling_kills_the_child(slow: Path) -> None:
    task, pid = await start(slow)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_is_too_slow_is_ended(slow: Path) -> None:
    task, pid = await start(slow, Limits(wall_s=10))
    os.kill(pid, signal.SIGSTOP)  # it would have read the file by then
    with pytest.raises(FormatError, match=r"slow\.csv: reading took longer than 10 s"):
        await task
    assert reader_of(slow / "slow.csv") is None


async def test_a_child_without_cpu_time_left_is_ended(slow: Path) -> None:
    with pytest.raises(FormatError, match=r"slow\.csv: reading took more than 1 s of CPU"):
        await detect_folder(slow, "TIMESERIES_CSV", Limits(cpu_s=1))


async def test_what_takes_too_long_is_generic_where_no_format_is_wanted(slow: Path) -> None:
    task, pid = await start(slow, format=None)
    os.kill(pid, signal.SIGXCPU)
    assert await task == Detected(
        "GENERIC",
        Domain(),
        ("slow.csv: reading took more than 120 s of CPU: taken as GENERIC",),
    )


async def test_too_little_memory_is_an_error(slow: Path) -> None:
    write_flow(slow / "flow.nc")
    with pytest.raises(FormatError):
        await detect_folder(slow, limits=Limits(memory_bytes=40 << 20))


async def test_an_answer_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    write_flow(tmp_path / "flow.nc", gauges=50_000)
    for most in (20, 300_000):
        with pytest.raises(FormatError, match=f"more than {most:,} bytes"):
            await detect_folder(tmp_path, limits=Limits(answer_bytes=most))


async def test_a_huge_dimension_costs_nothing(tmp_path: Path) -> None:
    with Dataset(tmp_path / "huge.nc", "w") as file:
        file.createDimension("time", 10**12)
        file.createDimension("nhm_id", 10**12)
        time = file.createVariable("time", "f8", ("time",), chunksizes=(1000,))
        time.units = "days since 1979-01-01"
        file.createVariable("nhm_id", "i4", ("nhm_id",), chunksizes=(1000,))
        file.createVariable("prcp", "f4", ("time", "nhm_id"), chunksizes=(10, 10))
    with pytest.raises(FormatError, match=r"claims to hold 1,000,000,000,000 values"):
        await detect_folder(tmp_path, "PRMS_NETCDF")


async def test_a_thousand_files_are_read_by_one_child(tmp_path: Path) -> None:
    rows = "".join(f"2015-01-{day:02},1,2\n" for day in range(1, 32))
    for number in range(1000):
        (tmp_path / f"cat-{number}.csv").write_text(f"time,rain,snow\n{rows}")
    found = await detect_folder(tmp_path)
    assert found.format == "TIMESERIES_CSV"
    assert found.domain.to_plain() == {"TIME": ["2015-01-01", "2015-02-01"]}


def test_while_a_file_is_read_no_other_can_be_opened(tmp_path: Path) -> None:
    script = (
        "from headrace_formats.limits import allow_one_more_file\n"
        "allow_one_more_file()\n"
        "with open('/dev/null'):\n"
        "    try: open('/dev/null')\n"
        "    except OSError as error: print(error.errno)\n"
        "open('/dev/null').close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20
    )
    assert (done.stdout, done.stderr) == ("24\n", "")


@given(st.integers(0, 2**32))
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_damaged_netcdf_and_parquet_never_harm(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - damage, not secrets
    good = tmp_path / "good.nc", tmp_path / "forcing.nc", tmp_path / "flow.nc"
    if not good[2].exists():
        write_flow(good[0])
        write_forcing(good[1], {"precip_rate": [0.001, 0, 0], "APCP_surface": [3.6, 0, 0]})
        write_flows(good[2])
    folder = tmp_path / str(seed)
    folder.mkdir(exist_ok=True)
    for number in range(9):
        copy = bytearray(good[number % 3].read_bytes())
        for _ in range(chance.randrange(1, 12)):
            copy[chance.randrange(8, len(copy))] = chance.randrange(256)
        cut = chance.choice([len(copy), chance.randrange(8, len(copy))])
        (folder / f"{number}.nc").write_bytes(copy[:cut])
    try:
        found = asyncio.run(detect_folder(folder, limits=Limits(cpu_s=10, wall_s=60)))
        said = found.format
    except FormatError as error:
        said = error.message
    assert (
        said
        in (
            *("GENERIC", "TIMESERIES_NETCDF", "NETCDF_AORC_DEFAULT"),
            "T_ROUTE_PARQUET",
        )
        or ".nc" in said
    )
