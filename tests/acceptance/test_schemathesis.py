"""The running services hold to the OpenAPI document, whatever they are asked by it.

No agent runs beside them: a job that is made up here waits, and never starts.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from headrace_client.api import AsyncClient
from headrace_client.localfiles import LocalFile
from headrace_model.node import NodeState
from headrace_wire.people import NewUser
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

_WITHIN_S = 900.0  # on a busy machine; alone it takes less than half a minute
_JOB = {"headrace": 1, "kind": "command", "command": ["true"]}

# What is asked is made by chance from a fixed seed. Beside made-up names the tool is given some
# that exist (`dictionaries`), else it would see little but 404.
_CONFIG = """
seed = 1
request-timeout = 60
continue-on-failure = true
# A busy machine is slow at making things up: that says nothing of the services.
suppress-health-check = ["all"]

[generation]
deterministic = true
max-examples = {examples}
no-shrink = true

[phases]
examples.extra-data-sources.responses = false
coverage.extra-data-sources.responses = false
coverage.unexpected-methods = ["TRACE"]
fuzzing.extra-data-sources.responses = false
stateful.enabled = false

[checks]
# 503 is an answer: a server or disk that is down or full.
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 503]
# A schema tells each value alone: 422 refuses what they say together, 416 a range outside.
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 416, 422, 429, 503]
# Names are chosen by chance from few: what was removed is soon made anew.
use_after_free.enabled = false
ensure_resource_availability.enabled = false

[dictionaries]
jobs.values = {jobs}
datasets.values = {datasets}
files.values = ["a.csv", "folder/b.csv"]
users.values = ["bob"]
groups.values = ["models"]

[parameters]
"path.job" = {{ dictionary = "jobs", probability = 0.7 }}
"path.dataset" = {{ dictionary = "datasets", probability = 0.7 }}
"path.path" = {{ dictionary = "files", probability = 0.7 }}
"path.user" = {{ dictionary = "users", probability = 0.7 }}
"path.group" = {{ dictionary = "groups", probability = 0.7 }}
# They would wait for what never comes.
"query.follow" = "false"
"query.wait" = "0"
"""


@dataclass(frozen=True, slots=True)
class _There:
    """What there is to ask for; the names of jobs and datasets."""

    stack: Stack
    jobs: tuple[str, ...]
    datasets: tuple[str, ...]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(run_root: Path) -> AsyncIterator[_There]:
    """All services but the agent; jobs, datasets and people in the states that they have so."""
    folder = run_root / "schemathesis"
    folder.mkdir()
    file = folder / "a.csv"
    file.write_text("time,flow\n1980-01-01,1\n")
    async with Stack(folder / "home", node_lost_s=3.0) as stack, stack.client() as client:
        stack.kill9("agent")
        await wait_until(lambda: _lost(client), "the node to be lost", within_s=60.0)
        await client.people.create_user(NewUser("bob"))
        await client.people.create_group("models")
        jobs = [(await client.submit(_JOB)).id for _ in range(3)]
        await client.desire(jobs[1], "cancel")
        await client.desire(jobs[2], "hold")
        datasets = ["sealed", "open", "open-too"]
        for name in datasets:
            await client.datasets.create({"name": name, "category": "FORCING"})
            await client.datasets.upload_item(name, LocalFile(file, "a.csv"))
        await client.datasets.seal("sealed")
        yield _There(stack, tuple(jobs), tuple(datasets))


async def _lost(client: AsyncClient) -> bool:
    return all(node.state is NodeState.LOST for node in await client.nodes())


async def _asks(there: _There, *words: str, examples: int) -> None:
    """Run the tool; what it found fails the test, with its report."""
    folder = there.stack.home.root.parent
    config = folder / "schemathesis.toml"
    config.write_text(
        _CONFIG.format(examples=examples, jobs=list(there.jobs), datasets=list(there.datasets))
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [
            Path(sys.executable).parent / "st", "--config-file", config, "--no-color",
            "run", f"{there.stack.url}/openapi.json", *words,
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


async def test_an_admin_gets_what_the_document_says(there: _There) -> None:
    shown = ("-H", f"Authorization: Bearer {there.stack.token}")
    # A logout would end the token that is shown.
    await _asks(there, *shown, "--exclude-path", "/api/v1/logout", examples=5)


async def test_without_a_token_nobody_gets_more_than_the_document_says(there: _There) -> None:
    await _asks(there, "--phases", "examples,fuzzing", examples=3)
