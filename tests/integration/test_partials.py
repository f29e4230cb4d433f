"""Where nodes put what failed attempts had written: only of these, and only as what it is."""

from hashlib import sha256
from typing import Any

import pytest

from headrace_model.cause import Cause
from headrace_model.ids import JobId
from headrace_model.job import Need
from headrace_model.status import Event, Role, Status
from tests.support.data_service import NODE, DataHarness, World, write_granted

pytestmark = pytest.mark.usefixtures("no_blocking")

DATA = b"half\n"
FILE = {"command": ["true"], "outputs": {"flow": {"format": "GENERIC"}}}


async def _ask(data: DataHarness, job: JobId, attempt: int = 1, **more: Any) -> Any:
    item = {"output": "flow", "path": "a/b.txt", "size_bytes": len(DATA),
            "sha256": sha256(DATA).hexdigest()}  # fmt: skip
    put = more.pop("put", False)
    asked = {"job": job, "attempt": attempt, "node": NODE, "items": [{**item, **more}], "put": put}
    return await data.ask("POST", "/internal/partials", json=asked)


async def _failed(all_: World, job: JobId) -> None:
    await all_.write(job, Event.FAILED, Role.MONITOR, cause=Cause.EXIT_CODE)
    await all_.write(job, Event.END_FAILED, Role.MONITOR, cause=Cause.EXIT_CODE, returns=(NODE,))


async def test_files_of_a_failed_attempt_become_an_open_dataset_once(
    all_: World, data: DataHarness
) -> None:
    await all_.node()
    job = await all_.submit({Need.COLLECTION}, FILE)
    await all_.allocate(job)
    early = await _ask(data, job)
    assert (early.status, early.code) == (409, "CONFLICT"), "it may still succeed"
    await all_.write(job, Event.STARTED, Role.MONITOR)
    await _failed(all_, job)
    for wrong in (
        {"output": "other"}, {"path": "../x"}, {"path": ""}, {"sha256": "x"}, {"size_bytes": -1},
    ):  # fmt: skip
        assert (await _ask(data, job, **wrong)).status == 422, wrong
    assert (await _ask(data, job, attempt=2)).status == 409
    for _ in range(2):
        granted = await _ask(data, job)
        assert granted.status == 200, granted.body
        missing = await _ask(data, job, put=True, size_bytes=len(DATA) + 1)
        assert missing.status == 422
        write_granted(granted.json["items"][0], DATA)
        assert (await _ask(data, job, put=True)).status == 200
    (view,) = (await data.api("GET", f"/datasets?job={job}")).json["datasets"]
    assert (view["partial"], view["state"], view["owner"]) == (True, "OPEN", "ann")
    assert view["origin"] == {"job": job, "attempt": 1}
    assert view["expires"] is not None
    item = f"/datasets/{view['name']}/items/a/b.txt"
    assert (await data.api("GET", item)).body == DATA
    for refused in (
        await data.upload(view["name"], "more", b"x"),
        await data.api("POST", f"/datasets/{view['name']}:seal"),
        await data.api("DELETE", item),
    ):
        assert (refused.status, refused.code) == (409, "CONFLICT")
        assert "failed attempt" in refused.json["detail"]
    data.user = "bob"
    assert (await data.api("GET", item)).status == 404, "it is the job's owner's"


async def test_of_a_job_that_completed_nothing_is_partial(all_: World, data: DataHarness) -> None:
    await all_.node()
    job = await all_.submit({Need.COLLECTION}, FILE)
    await all_.allocate(job)
    await all_.exited(job)
    assert (await _ask(data, job)).status == 409
    await all_.report(await all_.collect(data, job, {"flow": {"a": b"1"}}))
    await all_.until(job, Status.COMPLETED)
    assert (await _ask(data, job)).status == 409
    (view,) = (await data.api("GET", f"/datasets?job={job}")).json["datasets"]
    assert (view["partial"], view["state"]) == (False, "SEALED")
