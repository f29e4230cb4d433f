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


def test_the_logs_of_all_tasks_are_searched_at_once_while_they_run_and_later(
    headrace: Headrace,
) -> None:
    gate = headrace.gate()
    says = "echo x; echo task {index} {index} >&2; echo task {index}; {wait}"
    waits = f"[ {{index}} -lt 3 ] || until [ -e {gate} ]; do sleep 0.05; done"
    job = headrace.submit("sh", "-c", says.replace("{wait}", waits), array={"count": 5})
    ended = sorted([f"1/{n}.out:2: task {n}" for n in range(5)])
    ended += sorted([f"1/{n}.err:1: task {n} {n}" for n in range(5)])

    def found() -> bool:
        done = headrace.cli("jobs", "logs", job, "--search", "task")
        # Of five tasks two or three wait for the gate: as many as have slots have written.
        lines = done.stdout.splitlines()
        return len(lines) >= 8 and set(lines) <= set(ended)

    until(found, "what tasks that ended and tasks that run have written")
    gate.touch()
    headrace.until(job, "COMPLETED")

    def all_found() -> bool:
        done = headrace.cli("jobs", "logs", job, "--search", "task")
        return sorted(done.stdout.splitlines()) == sorted(ended)

    until(all_found, "all lines")
    until(lambda: not list(headrace.home.attempts.iterdir()), "the logs to be shipped")
    assert all_found()
    told = headrace.said("jobs", "logs", job, "--search", "task 4")
    assert told["lines"] == [
        {"attempt": 1, "rank": 0, "stream": "out", "line": 2, "text": "task 4", "task": 4},
        {"attempt": 1, "rank": 0, "stream": "err", "line": 1, "text": "task 4 4", "task": 4},
    ]
    assert (told["found"], told["cut"], told["unread"]) == (2, "", [])
    one = headrace.cli("jobs", "logs", job, "--task", "2", "--search", "task")
    assert (one.returncode, one.stdout) == (0, "1/2.out:2: task 2\n1/2.err:1: task 2 2\n")


def test_what_makes_no_sense_is_refused_before_anything_is_read(headrace: Headrace) -> None:
    job = headrace.submit("true")
    for words, why in (
        (("--search", "x", "--follow"), "leave out --follow"),
        (("--rank", "all"), "goes with --follow or --search"),
        (("-o", "json"), "goes with --search"),
        (("--rank", "one"), "a number from 0 on, or all"),
    ):
        done = headrace.cli("jobs", "logs", job, *words)
        assert done.returncode != 0
        assert why in done.stderr
    headrace.until(job, "COMPLETED")
