"""What a job asked, used and failed of, as its user sees it."""

from tests.acceptance.conftest import Headrace


def test_a_job_is_told_what_it_used_of_what_it_asked_and_what_earlier_runs_tell(
    headrace: Headrace,
) -> None:
    command = ("python3", "-c", "held = b'x' * (16 << 20); import time; time.sleep(0.1)")
    resources = {"cpus": "100m", "memory": "512MiB"}
    for _ in range(9):
        job = headrace.submit(*command, resources=resources)
        headrace.until(job, "COMPLETED")
    job = headrace.submit(*command, resources=resources)
    headrace.until(job, "COMPLETED")
    told = headrace.get(f"/jobs/{job}/usage")
    assert told["run_s"] > 0
    assert told["estimate"]["runs"] == 10  # itself, too
    assert told["estimate"]["basis"] == "p90 of 10 runs of this command"
    assert told["estimate"]["p10_s"] <= told["estimate"]["p50_s"] <= told["estimate"]["p90_s"]
    page = headrace.cli("jobs", "usage", job)
    assert page.returncode == 0, page.stderr
    assert "p90 of 10 runs of this command" in page.stdout
    assert "of 512.0 MiB" in page.stdout
    assert "no time limit: with `limits.time: 1m`" in page.stdout + page.stderr
    assert "would do, and it would wait less" in page.stdout + page.stderr


def test_a_failed_job_tells_what_it_failed_of_with_its_last_lines(headrace: Headrace) -> None:
    script = "print('begin'); open('no-such-forcing.nc')"
    job = headrace.submit("python3", "-c", script)
    headrace.until(job, "FAILED")
    triage = headrace.get(f"/jobs/{job}/why")["triage"]
    assert triage["fault"] == "MISSING_FILE"
    assert "misses a file: no-such-forcing.nc" in triage["hint"]
    assert triage["lines"][-1] == triage["line"]
    for verb in ("why", "info"):
        page = headrace.cli("jobs", verb, job).stdout
        assert "MISSING_FILE" in page
        assert "Traceback (most recent call last):" in page
        assert "misses a file: no-such-forcing.nc" in page
