"""How the agent describes what workers wrote."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headrace_agent.collect import FoundFile
from headrace_agent.data_client import OutputGrant
from headrace_agent.folders import AttemptFolder
from headrace_agent.grants import Grant
from headrace_agent.outputs import Outputs
from headrace_agent.transfers import Transfers
from headrace_model.ids import NodeId, job_id
from headrace_model.work import Verb, Work
from headrace_wire.jobfile import load_jobfile

WORK = Work(NodeId("node1"), job_id(1, 1), 1, Verb.COLLECT, "")


@pytest.mark.parametrize(("format_", "reads"), [("GENERIC", False), ("AORC_CSV", True)])
async def test_files_are_read_but_where_the_job_calls_them_generic(
    tmp_path: Path, format_: str, reads: bool
) -> None:
    asked: list[str | None] = []

    async def detect(
        _: Path, format: str | None, inside: Sequence[str]
    ) -> tuple[str, dict[str, object]]:
        asked.append(format)
        return "FOUND", {}

    async def outputs(_: Work, files: Sequence[tuple[str, FoundFile]]) -> list[OutputGrant]:
        return [OutputGrant("key", Grant(path=tmp_path / "store" / "file")) for _ in files]

    data: Any = SimpleNamespace(outputs=outputs)
    folder = AttemptFolder(tmp_path / "attempt")
    folder.output.mkdir(parents=True)
    (folder.output / "file").write_text("1")
    job = {"headrace": 1, "kind": "command", "name": "x", "command": ["true"]}
    spec = load_jobfile({**job, "outputs": {"o": {"format": format_}}})

    made = await Outputs(folder, data, Transfers(), detect, 10).collect(WORK, spec)

    assert [(each.format, len(each.items)) for each in made] == [
        ("FOUND" if reads else "GENERIC", 1)
    ]
    assert asked == ([format_] if reads else [])
