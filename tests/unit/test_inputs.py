"""Names of datasets that are uploaded with a job."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from headrace_client import inputs
from headrace_client.datasets import Datasets
from headrace_client.localfiles import LocalFile
from headrace_data.core.naming import check_new_name
from headrace_wire.jobfile import load_jobfile


class _Named:
    """Keeps the names that are asked for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def upload_once(
        self, name: str, files: Sequence[LocalFile], description: Mapping[str, Any], moved: object
    ) -> None:
        self.names.append(name)


@pytest.mark.parametrize("job", ["run", "j" * 128])
@pytest.mark.parametrize("digest", ["0" * 64, "0123456789abcdef" * 4, "f" * 64])
def test_whatever_an_input_holds_its_dataset_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, digest: str
) -> None:
    (tmp_path / "a").write_text("1")
    monkeypatch.setattr(inputs, "content_hash", lambda _: digest)
    plain = {"headrace": 1, "kind": "command", "name": job, "command": ["true"]}
    spec = load_jobfile({**plain, "inputs": {"d": {"path": "a"}}})
    datasets = _Named()
    asyncio.run(inputs.upload_inputs(cast(Datasets, datasets), spec, tmp_path))
    (name,) = datasets.names
    assert check_new_name(name) == name
