"""What an admin does with a Headrace that works: maintenance."""

from pathlib import Path

from headrace_client.cli import exits
from tests.acceptance.conftest import Headrace, waits_for


def test_in_maintenance_nothing_new_is_taken_or_started_and_what_runs_is_finished(
    headrace: Headrace,
) -> None:
    gate: Path = headrace.gate()
    running = headrace.submit(*waits_for(gate))
    headrace.until(running, "RUNNING")
    waiting = headrace.submit("true", after=[running])
    said = headrace.said("maintenance", "on", "--why", "new disks")
    try:
        assert (said["on"], said["why"], said["under_way"]) == (True, "new disks", 1)
        refused = headrace.cli("exec", "run", "--", "true")
        assert refused.returncode == exits.UNAVAILABLE
        assert f"in maintenance since {said['since']}, by {said['by']}: new disks" in (
            refused.stderr
        )
        made = headrace.cli("dataset", "create", "none", "--category", "OBSERVATION")
        assert (made.returncode, "new disks" in made.stderr) == (exits.UNAVAILABLE, True)
        assert headrace.job(running)["status"] == "MODEL_EXEC:RUNNING", "reading goes on"
        gate.touch()
        headrace.until(running, "COMPLETED")
        headrace.until(waiting, "AWAITING_ALLOCATION")
        headrace.local("down")
        headrace.up()
        assert "new disks" in headrace.local("status"), "it outlives services and Redis"
        assert "new disks" in headrace.get(f"/jobs/{waiting}/why")["sentence"]
        assert headrace.job(waiting)["status"] == "MODEL_EXEC:AWAITING_ALLOCATION"
        assert headrace.said("maintenance", "show")["under_way"] == 0
    finally:
        assert headrace.said("maintenance", "off")["on"] is False
    headrace.until(waiting, "COMPLETED")
