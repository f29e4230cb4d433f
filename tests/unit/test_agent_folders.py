"""The folder of an attempt on its node."""

from pathlib import Path

from headrace_agent.folders import AttemptFolder
from headrace_model.spec import FileSpec


def test_files_of_a_job_lie_in_the_working_directory_by_their_paths(tmp_path: Path) -> None:
    folder = AttemptFolder(tmp_path / "job.1")
    folder.make()
    files = (FileSpec("run.py", "0" * 64, b"top"), FileSpec("lib/deep/tables.py", "0" * 64, b"in"))
    for _ in range(2):  # an agent that restarts lays them again
        folder.write_job("{}", files)
    assert (folder.root / "work" / "run.py").read_bytes() == b"top"
    assert (folder.root / "work" / "lib" / "deep" / "tables.py").read_bytes() == b"in"
