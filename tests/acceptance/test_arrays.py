"""Arrays by the command line and REST of a real `headrace local`."""

import json
from pathlib import Path
from typing import Any

from tests.acceptance.conftest import Headrace, until


def _array(**spec: Any) -> str:
    job = {
        "headrace": 1,
        "kind": "command",
        "name": "array",
        "resources": {"cpus": "500m", "memory": "32MiB"},
        **spec,
    }
    return json.dumps(job)


def _sent(headrace: Headrace, **spec: Any) -> str:
    return headrace.cli("exec", "from_json", "-", typed=_array(**spec)).stdout.strip()


def test_an_array_is_followed_by_one_line_and_makes_one_dataset(
    headrace: Headrace, tmp_path: Path
) -> None:
    command = ["sh", "-c", "echo {index} {item} > {output}/$HEADRACE_TASK.txt; echo said {item}"]
    outputs = {"results": {"format": "GENERIC"}}
    typed = _array(command=command, array={"items": ["x", "y", "z"]}, outputs=outputs)
    done = headrace.cli("exec", "from_json", "-", "--follow", typed=typed)
    assert done.returncode == 0, done.stderr
    assert "headrace: 3 of 3 tasks done" in done.stderr
    (job,) = [word for word in done.stderr.split() if len(word) == 16 and word.isalnum()]
    assert headrace.said("jobs", "info", job)["tasks"] == {
        "total": 3, "waiting": 0, "running": 0, "done": 3, "failed": 0,
    }  # fmt: skip
    assert "3: 3 done" in headrace.cli("jobs", "info", job).stdout
    assert headrace.cli("jobs", "logs", job, "--task", "1").stdout == "said y\n"
    headrace.cli("jobs", "outputs", job, "--download", str(tmp_path))
    found = {path.name: path.parent.name for path in tmp_path.glob("results/*/*.txt")}
    assert found == {"0.txt": "0", "1.txt": "1", "2.txt": "2"}
    assert (tmp_path / "results" / "2" / "2.txt").read_text() == "2 z\n"


def test_failed_tasks_are_named_and_can_be_listed(headrace: Headrace) -> None:
    command = ["sh", "-c", "echo of {index} >&2; [ {index} -lt 3 ] || exit 4"]
    job = _sent(headrace, command=command, array={"count": 5})
    view = headrace.until(job, "FAILED")
    assert (view["cause"], view["exit_code"]) == ("TASKS", 4)
    assert view["detail"] == "2 of 5 tasks failed: task 3 (exit code 4), task 4 (exit code 4)"
    failed = headrace.said("jobs", "tasks", job, "--state", "failed")
    assert [(each["index"], each["exit_code"], each["failures"]) for each in failed] == [
        (3, 4, 1),
        (4, 4, 1),
    ]
    info = headrace.cli("jobs", "info", job).stdout
    assert "5: 3 done, 2 failed" in info
    assert "task 3: exit code 4" in info
    assert headrace.cli("jobs", "logs", job, "--task", "4", "--stream", "err").stdout == "of 4\n"
    unnamed = headrace.cli("jobs", "logs", job)
    assert unnamed.returncode != 0
    assert "--task" in unnamed.stderr
    wrong = headrace.cli("jobs", "logs", job, "--task", "5")
    assert wrong.returncode != 0
    assert "5 tasks" in wrong.stderr


def test_an_array_that_is_stopped_and_restarted_goes_on_with_the_rest(
    headrace: Headrace, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    gate = headrace.gate()
    script = (
        f"mktemp -q {marks}/{{index}}.XXXXXX > /dev/null; "
        f"[ {{index}} -lt 20 ] || until [ -e {gate} ]; do sleep 0.05; done; echo x > {{output}}/f"
    )
    job = _sent(
        headrace,
        command=["sh", "-c", script],
        array={"count": 60},
        outputs={"o": {"format": "GENERIC"}},
    )

    def done() -> list[int]:
        found = headrace.said("jobs", "tasks", job, "--state", "done", "--limit", "100")
        return [each["index"] for each in found]

    until(lambda: len(done()) >= 10, "ten tasks to be done")
    headrace.cli("jobs", "stop", job)
    stopped = headrace.until(job, "STOPPED")
    assert stopped["tasks"]["running"] == 0
    before = done()
    assert len(before) == stopped["tasks"]["done"] < 60
    begun = [path.name.partition(".")[0] for path in marks.iterdir()]
    gate.touch()
    headrace.cli("jobs", "restart", job)
    view = headrace.until(job, "COMPLETED")
    assert view["attempt"] == 2
    assert view["tasks"]["done"] == 60
    again = [path.name.partition(".")[0] for path in marks.iterdir()]
    for index in before:
        assert again.count(str(index)) == begun.count(str(index)) == 1
    (output,) = headrace.said("jobs", "outputs", job)
    assert output["item_count"] == 60


def test_an_array_that_is_canceled_ends_with_all_its_tasks(headrace: Headrace) -> None:
    job = _sent(headrace, command=["sleep", "600"], array={"count": 1000})
    until(
        lambda: headrace.said("jobs", "info", job)["status"] == "MODEL_EXEC:RUNNING", "it to run"
    )
    headrace.cli("jobs", "cancel", job)
    view = headrace.until(job, "CANCELED")
    assert view["tasks"]["waiting"] == 1000


def test_a_job_that_is_no_array_has_no_tasks(headrace: Headrace) -> None:
    job = headrace.submit("true")
    headrace.until(job, "COMPLETED")
    said = headrace.cli("jobs", "tasks", job)
    assert said.returncode != 0
    assert "no array" in said.stderr
