"""The Python client's parts that need no server: sources of jobs, errors, tables, the thread."""

import asyncio
import re
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace
from headrace_client import html
from headrace_client.api import AsyncClient
from headrace_client.errors import Behind, check_completed
from headrace_client.jobsource import read_job
from headrace_client.sockets import Inbox
from headrace_client.sync import Client
from headrace_model.array import TaskState
from headrace_wire.api import JobView, TaskView, read_view
from tests.support.wait import wait_until

PROJECT = Path(__file__).parents[2]
_TEXT = "headrace: 1\nkind: command\ncommand: [cat, a.txt]\nfiles: [a.txt]\n"
_VIEW: dict[str, Any] = {
    "id": "0123456789abcdef", "name": "a", "kind": "command", "owner": "ann",
    "status": "CLOSED:FAILED", "desired": "RUN", "version": 7, "attempt": 1, "retries": 0,
    "priority": 50, "created": "2026-01-31T06:00:00.000Z", "entered": "2026-01-31T06:00:00.000Z",
    "cause": "EXIT_CODE", "detail": "worker 0 left with exit code 3", "exit_code": 3,
    "resources": {"cpus": 1, "memory": 1}, "allocation": [], "outputs": {}, "after": [],
    "origin": None,
}  # fmt: skip


def view(**changes: Any) -> JobView:
    return read_view(JobView, {**_VIEW, **changes})


# ---- what is to be run


def test_a_job_is_given_as_keys_as_a_path_or_as_text(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state_dir / "a.txt").write_text("hi")
    (state_dir / "job.yaml").write_text(_TEXT)
    from_path, folder = read_job(state_dir / "job.yaml")
    assert folder == state_dir
    assert read_job(str(state_dir / "job.yaml")) == (from_path, folder)
    monkeypatch.chdir(state_dir)
    keys = {"kind": "command", "command": ["cat", "a.txt"], "files": ["a.txt"]}
    for source in (_TEXT, keys, {"headrace": 1, **keys}):
        assert read_job(source) == (from_path, state_dir)


@pytest.mark.parametrize("source", ["no-such.yaml", Path("no-such.yaml"), "kind: command"])
def test_a_path_that_leads_nowhere_is_said_with_what_else_may_be_given(source: Any) -> None:
    with pytest.raises(headrace.InvalidInput, match="can't be read: No such file") as error:
        read_job(source)
    assert "its text (more than one line)" in str(error.value)


@pytest.mark.parametrize("source", [5, None, ["true"], b"kind: command"])
def test_what_is_no_job_at_all_is_said_with_what_may_be_given(source: Any) -> None:
    with pytest.raises(headrace.InvalidInput, match="a job can't be made of") as error:
        read_job(source)
    assert type(source).__name__ in str(error.value)
    assert "its text (more than one line)" in str(error.value)


# ---- how it ended


def test_a_job_that_failed_is_an_error_with_cause_exit_code_and_next_step() -> None:
    check_completed(view(status="CLOSED:COMPLETED"))
    with pytest.raises(headrace.JobFailed) as failed:
        check_completed(view())
    assert failed.value.job.exit_code == 3
    assert "(EXIT_CODE): worker 0 left with exit code 3" in str(failed.value)
    assert "`headrace jobs logs 0123456789abcdef`" in str(failed.value)
    for status in ("CLOSED:CANCELED", "CLOSED:STOPPED"):
        with pytest.raises(headrace.NotCompleted) as ended:
            check_completed(view(status=status))
        assert not isinstance(ended.value, headrace.JobFailed)


def test_a_job_that_is_not_over_is_a_time_out_like_any_other() -> None:
    assert issubclass(headrace.StillRunning, TimeoutError)
    assert issubclass(headrace.StillRunning, headrace.HeadraceError)
    assert str(headrace.StillRunning("a", hint="b")) == "a (b)"


# ---- what notebooks show


@pytest.mark.parametrize(
    "shown",
    [
        html.job_html(view(name="<script>", detail="<b>&\"'")),
        html.jobs_html([view(name="<script>", owner="<b>&\"'")]),
        html.dataset_html({"title": "<script>", "domain": {"X": "<b>&\"'"}}),
        html.datasets_html([{"title": "<script>", "owner": "<b>&\"'"}]),
        html.tasks_html([TaskView(0, TaskState.FAILED, detail="<script><b>&\"'")]),
        html.outputs_html({"<script>": {"title": "<b>&\"'"}}),
    ],
)
def test_what_people_wrote_stays_text_in_a_notebook(shown: str) -> None:
    assert "&lt;script&gt;" in shown
    assert "&lt;b&gt;&amp;&quot;&#x27;" in shown
    assert set(re.findall(r"</?(\w+)", shown)) == {"table", "tr", "th", "td"}


# ---- what is told


async def test_an_inbox_tells_all_that_fitted_in_order_and_then_why_no_more_comes() -> None:
    inbox = Inbox()
    assert inbox.put({"n": 0}, 10 << 20)  # a single message always fits
    assert not inbox.put({"n": 1}, 1)
    inbox.end(Behind("too slow"))
    inbox.end(headrace.NotFound("later"))
    assert await inbox.take() == {"n": 0}
    for _ in range(2):
        with pytest.raises(Behind):
            await inbox.take()


# ---- the thread behind the sync face


@pytest.fixture
def client() -> Iterator[Client]:
    with Client("http://127.0.0.1:1", "none") as made:
        yield made


def test_a_call_within_a_running_loop_waits_without_it(client: Client) -> None:
    async def main() -> int:
        return client.call(_seven)

    assert asyncio.run(main()) == 7


async def _seven(_: AsyncClient) -> int:
    return 7


def test_a_call_on_its_own_loop_is_refused_and_does_not_hang(client: Client) -> None:
    async def inner(_: AsyncClient) -> None:
        client.call(_seven)

    with pytest.raises(headrace.HeadraceError, match="its own event loop"):
        client.call(inner)


def test_closing_ends_what_waits_and_later_calls_say_so(client: Client) -> None:
    said: list[headrace.HeadraceError] = []
    begun = threading.Event()

    async def hang(_: AsyncClient) -> None:
        begun.set()
        await asyncio.Event().wait()

    def wait() -> None:
        with pytest.raises(headrace.HeadraceError) as error:
            client.call(hang)
        said.append(error.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(20)
    client.close()
    client.close()
    waiting.join(20)
    assert "closed meanwhile" in str(said[0])
    with pytest.raises(headrace.HeadraceError, match="this client is closed"):
        client.nodes()


def test_ctrl_c_ends_the_waiting_and_the_call(client: Client) -> None:
    canceled = threading.Event()
    main = threading.get_ident()

    def waits() -> bool:
        frame = sys._current_frames()[main].f_back
        return frame is not None and frame.f_code.co_name == "result"

    async def hang(_: AsyncClient) -> None:
        await wait_until(waits, "the caller to wait", within_s=20)
        try:
            signal.pthread_kill(main, signal.SIGINT)
            await asyncio.Event().wait()
        finally:
            canceled.set()

    with pytest.raises(KeyboardInterrupt):
        client.call(hang)
    assert canceled.wait(20)
    assert client.call(_seven) == 7


def test_an_iterator_that_is_left_early_is_closed(client: Client) -> None:
    closed = threading.Event()

    async def numbers(_: AsyncClient) -> AsyncGenerator[int, None]:
        try:
            for number in range(1000):
                yield number
        finally:
            closed.set()

    for number in client.iterate(numbers):
        if number == 3:
            break
    assert closed.wait(20)
    assert list(client.iterate(numbers)) == list(range(1000))


def test_a_client_that_nobody_holds_ends_its_thread() -> None:
    thread = Client("http://127.0.0.1:1", "none")._background._running.thread
    thread.join(20)
    assert not thread.is_alive()


# ---- the page


def test_the_page_of_the_client_tells_of_each_public_name() -> None:
    page = (PROJECT / "docs" / "python.md").read_text()
    assert [name for name in headrace.__all__ if f"`{name}" not in page] == []
    assert all(hasattr(headrace, name) for name in headrace.__all__)
    methods = {
        f"{kind.__name__}.{name}"
        for kind in (headrace.Client, headrace.Job, headrace.Dataset, headrace.Outputs)
        for name in vars(kind)
        if not name.startswith("_")
    }
    assert [name for name in methods if f".{name.split('.')[1]}" not in page] == []
