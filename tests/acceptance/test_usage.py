"""What a job's workers use, by REST, the Python client and `headrace jobs info`."""

from headrace_client.sync import Client
from tests.acceptance.conftest import WITHIN_S, Headrace, until, waits_for


def test_what_a_job_uses_is_told_while_it_runs_and_kept_when_it_is_gone(
    headrace: Headrace,
) -> None:
    gate = headrace.gate()
    job = headrace.submit(*waits_for(gate))

    def sampled() -> bool:
        return len(headrace.get(f"/jobs/{job}/usage")["ranks"][0]["samples"]) > 1

    until(lambda: headrace.job(job)["allocation"], "the job to start")
    until(sampled, "two samples")
    first = headrace.get(f"/jobs/{job}/usage")
    assert (first["workers"], first["cpus"], first["memory"]) == (1, 0.1, 64 * 2**20)
    assert 0 < first["peak_memory"] <= first["memory"]
    info = headrace.cli("jobs", "info", job).stdout
    assert "of 0.1 on average" in info
    assert "of 64.0 MiB" in info
    gate.touch()
    headrace.until(job, "COMPLETED")
    with Client(headrace.url, headrace.token, patience_s=2 * WITHIN_S) as client:
        (rank,) = client.job(job).usage().ranks
        seen = [sample["at"] for sample in first["ranks"][0]["samples"]]
        assert [sample.at for sample in rank.samples][: len(seen)] == seen
        (newer,) = client.job(job).usage(since=seen[-1]).ranks
        assert newer.samples == rank.samples[len(seen) :]
    assert "of 0.1 on average" in headrace.cli("jobs", "info", job).stdout
