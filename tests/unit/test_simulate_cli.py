"""`headrace simulate`: what it prints, and what it says of bad input."""

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from headrace_client.cli import exits, run_cli

SMALL = ["simulate", "--nodes", "2x4", "--jobs", "30"]
SWF = "; MaxNodes: 2\n; MaxProcs: 6\n" + "".join(
    f"{number} {number} -1 100 {number} -1 -1 -1 200 -1 1 {number % 2} -1 -1 -1 -1 -1 -1\n"
    for number in range(1, 5)
)


@pytest.fixture
def swf(tmp_path: Path) -> Path:
    file = tmp_path / "trace.swf"
    file.write_text(SWF)
    return file


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert run_cli(["simulate", *words, "-o", "json"]) == exits.OK
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_it_prints_a_table_of_all_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(SMALL) == exits.OK
    said = capsys.readouterr()
    for figure in ("utilisation", "wait, p50", "slowdown, p50", "fairness", "placements a second"):
        assert figure in said.out
    assert [line.split()[-1] for line in said.out.splitlines() if "over-book" in line] == ["0"]
    assert (
        "Lublin-Feitelson, 30 jobs, 8 CPUs, load 0.8, seed 0, on 2 nodes with 8 CPUs" in said.err
    )


def test_the_same_seed_gives_the_same_figures(capsys: pytest.CaptureFixture[str]) -> None:
    one, same, other = (
        _json(capsys, "--nodes", "2x4", "--jobs", "50", "--seed", seed) for seed in "113"
    )
    for found in (one, same, other):
        del found["runs"]["EASY"]["placements_per_s"]  # type: ignore[attr-defined]
    assert one == same != other


def test_the_machine_is_that_of_the_trace_unless_nodes_are_given(
    capsys: pytest.CaptureFixture[str], swf: Path
) -> None:
    found = _json(capsys, str(swf))
    assert (found["trace"], found["nodes"], found["cpus"]) == ("trace.swf", 2, 6)
    assert _json(capsys, str(swf), "--nodes", "8")["cpus"] == 8


def test_a_trace_may_be_compressed(capsys: pytest.CaptureFixture[str], swf: Path) -> None:
    packed = swf.with_suffix(".swf.gz")
    packed.write_bytes(gzip.compress(SWF.encode()))
    assert _json(capsys, str(packed))["cpus"] == 6
    packed.write_bytes(gzip.compress(SWF.encode())[:-12])
    assert run_cli(["simulate", str(packed)]) == exits.REFUSED
    assert "ends in the middle" in capsys.readouterr().err
    packed.write_bytes(b"no gzip")
    assert run_cli(["simulate", str(packed)]) == exits.REFUSED


def test_jobs_that_were_made_are_the_same_when_they_are_read_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "made.swf"
    made = _json(capsys, "--nodes", "2x4", "--jobs", "50", "--write-trace", str(file))
    again = _json(capsys, str(file), "--nodes", "2x4")
    for found in (made, again):
        del found["trace"], found["runs"]["EASY"]["placements_per_s"]  # type: ignore[attr-defined]
    assert made == again


def test_nodes_may_come_from_resources_yaml_and_be_those_of_a_pool(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swf: Path
) -> None:
    file = tmp_path / "resources.yaml"
    file.write_text("nodes: {a: {cpus: 4, memory: 8GiB}, b: {cpus: 3}}\npools: {big: [a]}\n")
    assert _json(capsys, str(swf), "--resources", str(file))["cpus"] == 7
    assert _json(capsys, str(swf), "--resources", str(file), "--pool", "big")["cpus"] == 4
    assert run_cli(["simulate", "--resources", str(file), "--pool", "bog"]) == exits.NOT_FOUND
    assert "did you mean big?" in capsys.readouterr().err


def test_policies_stand_side_by_side_and_resources_yaml_may_choose_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, swf: Path
) -> None:
    words = [*SMALL, "--policy", "fifo", "--policy", "CONSERVATIVE", "--policy", "FIFO"]
    assert run_cli(words) == exits.OK
    assert capsys.readouterr().out.split("\n")[0].split() == ["FIGURE", "FIFO", "CONSERVATIVE"]
    file = tmp_path / "resources.yaml"
    file.write_text("nodes: {a: {cpus: 8}}\npolicy: FIFO\n")
    assert list(_json(capsys, str(swf), "--resources", str(file))["runs"]) == ["FIFO"]  # type: ignore[call-overload]
    assert run_cli([*SMALL, "--policy", "LIFO"]) == exits.USAGE


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ([], exits.USAGE, "say the nodes"),
        (["--nodes", "many"], exits.REFUSED, "--nodes 'many' says no nodes"),
        (["--nodes", "0x4"], exits.REFUSED, "one node and some CPU at least"),
        (["--nodes", "4x0"], exits.REFUSED, "one node and some CPU at least"),
        (["--nodes", "999999x1"], exits.REFUSED, "more than 10,000 nodes"),
        (["--nodes", "2x4,8"], exits.REFUSED, "has no unit"),
        (["--nodes", "1"], exits.REFUSED, "one CPU in all"),
        (["--nodes", "4", "--resources", "r"], exits.USAGE, "say the same"),
        (["--nodes", "4", "--pool", "p"], exits.USAGE, "--pool needs --resources"),
        (["--nodes", "4", "--load", "0"], exits.USAGE, "0.0 is not in the range"),
        (["--nodes", "4", "--memory-per-cpu", "2"], exits.REFUSED, "has no unit"),
        (["missing.swf"], exits.REFUSED, "missing.swf: No such file"),
        (["/"], exits.REFUSED, "Is a directory"),
        (["t.swf", "--seed", "1"], exits.USAGE, "for jobs that are made"),
        (["--resources", "missing.yaml"], exits.REFUSED, "missing.yaml: No such file"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], code: int, why: str
) -> None:
    assert run_cli(["simulate", *words]) == code
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nodes: {a: {memory: 1GiB}}", "a has no `cpus`"),
        ("pools: {p: [a]}", "names no nodes"),
        ("nodes: [", "not valid YAML"),
    ],
)
def test_a_resources_yaml_that_gives_no_nodes_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, why: str
) -> None:
    file = tmp_path / "resources.yaml"
    file.write_text(text)
    assert run_cli(["simulate", "--resources", str(file)]) == exits.REFUSED
    assert why in capsys.readouterr().err


def test_what_is_wrong_in_a_trace_is_said_with_its_line(
    capsys: pytest.CaptureFixture[str], swf: Path
) -> None:
    swf.write_bytes(SWF.encode() + b"\xff\xfe what\n")
    assert run_cli(["simulate", str(swf)]) == exits.REFUSED
    said = capsys.readouterr().err
    assert "trace.swf, line 7: it has 2 fields" in said
    assert "next:" in said


def test_jobs_of_a_trace_that_fit_nowhere_are_told(
    capsys: pytest.CaptureFixture[str], swf: Path
) -> None:
    assert run_cli(["simulate", str(swf), "--nodes", "2"]) == exits.OK
    assert "2 jobs never run: they are larger than all of these nodes" in capsys.readouterr().err
    words = ["--nodes", "1,1MiB", "--memory-per-cpu", "1GiB"]
    assert run_cli(["simulate", str(swf), *words]) == exits.REFUSED
    assert "none of the 4 jobs fits" in capsys.readouterr().err


def test_a_trace_that_tells_no_machine_needs_nodes(
    capsys: pytest.CaptureFixture[str], swf: Path
) -> None:
    swf.write_text(SWF.splitlines(keepends=True)[-1])
    assert run_cli(["simulate", str(swf)]) == exits.REFUSED
    assert "doesn't tell its machine" in capsys.readouterr().err


def test_a_file_that_is_there_is_not_written_over(
    capsys: pytest.CaptureFixture[str], swf: Path
) -> None:
    assert run_cli([*SMALL, "--write-trace", str(swf)]) == exits.REFUSED
    assert "is there already" in capsys.readouterr().err
    assert swf.read_text() == SWF


def test_a_long_run_tells_how_far_it_is_and_ends_with_ctrl_c() -> None:
    controller, terminal = pty.openpty()
    words = [sys.executable, "-c", "from headrace_client.cli import main; main()", "simulate"]
    run = subprocess.Popen(
        [*words, "--nodes", "16x8", "--jobs", "20000"],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(terminal)
    said = b""
    try:
        while b"of 20,000 jobs have ended, day" not in said:
            said += os.read(controller, 4096)
        run.send_signal(2)
        assert run.wait(timeout=60) == exits.INTERRUPTED
    finally:
        run.kill()
        run.wait()
        os.close(controller)


def test_the_help_alone_tells_how_to_size_a_cluster_and_how_to_read_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(["simulate", "--help"]) == exits.OK
    said = " ".join(capsys.readouterr().out.split())
    for words in ("16 nodes of 8 CPUs and 32 GiB", "Slowdown is", "1 where all bear the same"):
        assert words in said
    assert run_cli(SMALL) == exits.OK
    assert "fairness, 1 is equal (Jain)" in capsys.readouterr().out
