"""`import headrace`, as programs and notebooks use it."""

import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from headrace_client.errors import JobFailed, NotCompleted, StillRunning
from headrace_client.sync import Client, Job
from headrace_model.errors import InvalidSpec
from tests.acceptance.conftest import WITHIN_S, Headrace, until, waits_for

PROJECT = Path(__file__).parents[2]
NOTEBOOKS = sorted((PROJECT / "examples" / "notebooks").glob("*.ipynb"))
_SMALL = {"cpus": "100m", "memory": "64MiB"}
_PYTHON = re.compile(r"^```python test\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def client(headrace: Headrace) -> Any:
    with Client(headrace.url, headrace.token, patience_s=2 * WITHIN_S) as made:
        yield made


def run(client: Client, *command: str, **keys: Any) -> Job:
    job = {"kind": "command", "command": list(command), "resources": _SMALL, **keys}
    return client.run(job)


def script(headrace: Headrace, text: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """A program of its own, which finds this Headrace by itself; its warnings are errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        env=headrace.environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * WITHIN_S,
        check=False,
    )


class TestAJob:
    """Submit, follow, read."""

    def test_a_result_gives_the_outputs_and_what_was_written_is_followed(
        self, client: Client, state_dir: Path
    ) -> None:
        words = "echo hi; echo no >&2; echo 1 > {output}/a.txt"
        output = {"made": {"category": "OUTPUT", "format": "GENERIC"}}
        job = run(client, "sh", "-c", words, outputs=output)
        pieces = list(job.follow())
        for stream, said in (("out", "hi\n"), ("err", "no\n")):
            assert "".join(p.text for p in pieces if p.stream == stream) == said
        result = job.result(timeout=WITHIN_S)
        assert result.download(state_dir / "got") == {"made": state_dir / "got" / "made"}
        assert (state_dir / "got" / "made" / "a.txt").read_text() == "1\n"
        assert [item["path"] for item in result["made"].items()] == ["a.txt"]
        assert client.dataset(result["made"].name).id == result["made"].id
        assert result["made"].id in [dataset.id for dataset in client.datasets(limit=1000)]
        steps = [step.to for step in job.watch()]
        assert (steps[0], steps[-1]) == ("INIT:ACCEPTED", "CLOSED:COMPLETED")
        assert tuple(steps) == tuple(step.to for step in job.history())
        assert (job.logs(stream="out"), job.logs(stream="err")) == ("hi\n", "no\n")
        assert job.id in [each.id for each in client.jobs(status=["COMPLETED"])]
        for shown in (job, result, result["made"], client.jobs(), client.nodes()):
            assert shown._repr_html_().startswith("<table>")

    def test_local_inputs_are_uploaded_from_the_folder_of_the_job_file(
        self, client: Client, state_dir: Path
    ) -> None:
        (state_dir / "mine").mkdir()
        (state_dir / "mine" / "a.txt").write_text("from here\n")
        text = "kind: command\ncommand: [cat, '{mine}/a.txt']\ninputs: {mine: {path: ./mine}}\n"
        (state_dir / "job.yaml").write_text("headrace: 1\n" + text)
        job = client.run(state_dir / "job.yaml")
        assert "".join(str(piece) for piece in job.follow()) == "from here\n"

    def test_a_failure_is_an_error_that_says_why(self, client: Client) -> None:
        with pytest.raises(JobFailed, match="exit code 3") as failed:
            run(client, "sh", "-c", "exit 3").result(timeout=WITHIN_S)
        assert (failed.value.job.exit_code, failed.value.job.cause) == (3, "EXIT_CODE")
        with pytest.raises(InvalidSpec, match="did you mean command"):
            client.run({"kind": "command", "comand": ["true"]})

    def test_giving_up_leaves_the_job_which_can_be_steered(
        self, client: Client, headrace: Headrace
    ) -> None:
        job = run(client, *waits_for(headrace.gate()))
        headrace.until(job.id, "RUNNING")
        with pytest.raises(StillRunning):
            job.result(timeout=0.1)
        assert not job.status.closed
        job.stop()
        with pytest.raises(NotCompleted, match="jobs restart"):
            job.result(timeout=WITHIN_S)
        job.restart()
        headrace.until(job.id, "RUNNING")
        job.cancel()
        with pytest.raises(NotCompleted, match="jobs retry"):
            job.result(timeout=WITHIN_S)
        again = job.retry()
        assert again.view.origin == job.id
        again.cancel()

    def test_the_tasks_of_an_array_are_listed_with_a_log_each(self, client: Client) -> None:
        job = run(client, "sh", "-c", "echo {index}; exit {index}", array={"count": 2})
        with pytest.raises(JobFailed):
            job.result(timeout=WITHIN_S)
        assert [task.state for task in job.tasks()] == ["DONE", "FAILED"]
        (failed,) = job.tasks(state="FAILED")
        assert (failed.exit_code, job.logs(task=failed.index)) == (1, "1\n")

    def test_many_threads_share_a_client(self, client: Client) -> None:
        with ThreadPoolExecutor(8) as threads:
            jobs = list(threads.map(lambda n: run(client, "echo", str(n)), range(8)))
            done = list(threads.map(lambda job: job.result(timeout=WITHIN_S), jobs))
        assert [outputs.job.id for outputs in done] == [job.id for job in jobs]


class TestAProgram:
    """Programs of their own: nothing is left open, nothing is warned of."""

    def test_the_blocks_of_the_page_run_one_after_the_other(
        self, headrace: Headrace, state_dir: Path
    ) -> None:
        blocks = _PYTHON.findall((PROJECT / "docs" / "python.md").read_text())
        done = script(headrace, "\n".join(blocks), state_dir)
        assert (done.returncode, done.stderr) == (0, "")
        said = ["the answer is 42", "step 1", "step 2", "step 3", "CLOSED:COMPLETED"]
        said += ["it failed with 3", "3 jobs are CLOSED:COMPLETED"]
        assert done.stdout.splitlines() == said

    def test_it_works_within_a_running_loop_and_ends_without_close(
        self, headrace: Headrace, state_dir: Path
    ) -> None:
        text = (
            "import asyncio, headrace\n"
            "async def main():\n"
            "    job = headrace.run({'kind': 'command', 'command': ['echo', 'hi']})\n"
            "    news = job.watch(); next(news)\n"
            "    print(job.result().job.status, end='')\n"
            "asyncio.run(main())\n"
        )
        done = script(headrace, text, state_dir)
        assert (done.stdout, done.stderr) == ("CLOSED:COMPLETED", "")

    def test_ctrl_c_leaves_the_job_running(self, headrace: Headrace, state_dir: Path) -> None:
        gate = headrace.gate()
        text = (
            "import headrace, signal\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            f"job = headrace.run({{'kind': 'command', 'command': {list(waits_for(gate))!r}}})\n"
            "print(job.id, flush=True)\n"
            "try:\n    job.result()\n"
            "except KeyboardInterrupt:\n    print('detached', job.status)\n"
        )
        with subprocess.Popen(
            [sys.executable, "-W", "error", "-c", text],
            env=headrace.environ,
            cwd=state_dir,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as program:
            assert program.stdout is not None
            job = program.stdout.readline().strip()
            headrace.until(job, "RUNNING")
            program.send_signal(signal.SIGINT)
            out, err = program.communicate(timeout=WITHIN_S)
        assert (out, err) == ("detached MODEL_EXEC:RUNNING\n", "")
        gate.touch()
        headrace.until(job, "COMPLETED")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
class TestNotebooks:
    """The notebooks of examples/."""

    def test_it_runs_from_its_first_cell_to_its_last(
        self,
        headrace: Headrace,
        notebook: Path,
        state_dir: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR"):
            monkeypatch.setenv(name, str(state_dir / name))
        monkeypatch.setenv("HEADRACE_HOME", str(headrace.home.root))
        read = nbformat.read(notebook, as_version=4)
        where = {"metadata": {"path": str(state_dir)}}
        done = NotebookClient(read, timeout=WITHIN_S, resources=where).execute()
        said = json.dumps([cell.get("outputs", []) for cell in done.cells])
        assert "day 365: " in said
        assert "365 days, " in said
        assert "CLOSED:COMPLETED" in said
        assert "<table>" in said

    def test_it_is_kept_without_outputs(self, notebook: Path) -> None:
        cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
        assert all((c["outputs"], c["execution_count"]) == ([], None) for c in cells)


def test_a_killed_server_is_waited_for(headrace: Headrace, client: Client) -> None:
    """The connection breaks while a result is waited for."""
    gate = headrace.gate()
    job = run(client, *waits_for(gate))
    headrace.until(job.id, "RUNNING")
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(job.result)
        headrace.local("down")
        headrace.up()
        gate.touch()
        assert waiting.result(2 * WITHIN_S).job.attempt == 1
    until(lambda: job.status.closed, "the job to be closed")
