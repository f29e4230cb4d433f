"""Logs by `headrace jobs logs`: searched while a job runs and when it is over; all ranks shown."""

from tests.acceptance.conftest import Headrace, until

_SAYS = "echo one; echo a needle >&2; echo 'two needle'; until [ -e $0 ]; do sleep 0.05; done"


def test_a_text_is_found_on_the_node_and_later_in_the_store(headrace: Headrace) -> None:
    gate = headrace.gate()
    job = headrace.submit("sh", "-c", _SAYS, str(gate))
    headrace.until(job, "RUNNING")
    right = "0.out:2: two needle\n0.err:1: a needle\n"

    def found() -> bool:
        return headrace.cli("jobs", "logs", job, "--search", "needle").stdout == right

    until(found, "both lines")
    gate.touch()
    headrace.until(job, "COMPLETED")
    until(lambda: not list(headrace.home.attempts.iterdir()), "the log to be shipped")
    done = headrace.cli("jobs", "logs", job, "--search", "needle", "--rank", "all")
    assert (done.returncode, done.stdout, done.stderr) == (0, right, "")
    nothing = headrace.cli("jobs", "logs", job, "--search", "NEEDLE")
    assert (nothing.returncode, nothing.stdout) == (0, "")
    assert "no line holds it" in nothing.stderr
    shown = headrace.cli("jobs", "logs", job, "--follow", "--rank", "all")
    assert (shown.returncode, shown.stdout) == (0, "[0] one\n[0] two needle\n")
    assert "[0] a needle\n" in shown.stderr


def test_the_log_of_a_task_is_searched(headrace: Headrace) -> None:
    job = headrace.submit("sh", "-c", "echo x; echo task {index}", array={"count": 3})
    headrace.until(job, "COMPLETED")
    done = headrace.cli("jobs", "logs", job, "--task", "2", "--search", "task")
    assert (done.returncode, done.stdout) == (0, "0.out:2: task 2\n")
    alone = headrace.cli("jobs", "logs", job, "--search", "task")
    assert alone.returncode != 0
    assert "--task 0" in alone.stderr


def test_what_makes_no_sense_is_refused_before_anything_is_read(headrace: Headrace) -> None:
    job = headrace.submit("true")
    for words, why in (
        (("--search", "x", "--follow"), "leave out --follow"),
        (("--rank", "all"), "goes with --follow or --search"),
        (("--rank", "one"), "a number from 0 on, or all"),
    ):
        done = headrace.cli("jobs", "logs", job, *words)
        assert done.returncode != 0
        assert why in done.stderr
    headrace.until(job, "COMPLETED")
