"""The folder of an attempt on its node."""

import json
from pathlib import Path

from headrace_agent.folders import AttemptFolder
from headrace_model.resources import Resources
from headrace_model.spec import FileSpec


def test_files_of_a_job_lie_in_the_working_directory_by_their_paths(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    files = (FileSpec("run.py", "0" * 64, b"top"), FileSpec("lib/deep/tables.py", "0" * 64, b"in"))
    for _ in range(2):  # an agent that restarts lays them again
        folder.write_job("{}", files, {}, {})
    assert (folder.root / "work" / "run.py").read_bytes() == b"top"
    assert (folder.root / "work" / "lib" / "deep" / "tables.py").read_bytes() == b"in"


def test_what_an_attempt_of_the_version_before_is_given_is_what_its_job_asks_for(
    tmp_path: Path,
) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    assert folder.share() is None
    asked = {"cpus": 2, "memory": "1GiB"}
    folder.write_job(
        json.dumps({"headrace": 1, "kind": "command", "command": ["true"], "resources": asked}),
        (),
        {},
        {},
    )
    assert folder.share() == Resources(2_000, 2**30)
    folder.keep_share(Resources(1_000, 2**29))
    assert folder.share() == Resources(1_000, 2**29)


def test_a_barred_attempt_has_no_job_file_any_more_whoever_lays_it_again(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.bar()
    folder.make()
    folder.write_job("{}", (), {}, {})
    for _ in range(2):
        folder.bar()
        folder.write_job("{}", (), {}, {})
        assert not (folder.root / "job.json").exists()


def test_secrets_that_lie_there_stay_since_a_container_may_bind_them_now(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    (folder.root / "secrets.part").mkdir()  # an agent was killed while it laid them
    (folder.root / "secrets.part" / "key").write_bytes(b"ha")
    folder.write_secrets({"key": b"half"})
    bound = folder.secrets.stat().st_ino
    folder.write_secrets({"key": b"half"})
    assert folder.secrets.stat().st_ino == bound
    assert (folder.secrets / "key").read_bytes() == b"half"
    (folder.root / "secrets.part").mkdir()
    folder.remove_secrets()
    assert not list(folder.root.glob("secrets*"))
