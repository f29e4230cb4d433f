"""Who may do what with datasets, at the running data service: the rules are the test's data."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from headrace_adapters.redis.users import UserStore
from headrace_data.core.keys import marker_key
from headrace_model.job import Need
from headrace_model.people import RULES, Act, Scope, Share, Standing, User, UserRole
from headrace_model.status import Status
from headrace_wire.jobfile import load_jobtext
from headrace_wire.records import decode_fulfilments
from tests.support.data_service import NODE, Answer, DataHarness, World
from tests.support.wait import wait_until

pytestmark = pytest.mark.usefixtures("no_blocking")

YEAR = {"TIME": ["1979-01-01", "1980-01-01"]}
WANTS = {"category": "FORCING", "domain": YEAR}
READS: dict[str, Any] = {"command": ["cat", "{forcing}"], "inputs": {"forcing": WANTS}}
MAKES: dict[str, Any] = {
    "command": ["touch", "{output}/x"],
    "outputs": {"flow": {"category": "FORCING", "format": "GENERIC", "domain": YEAR}},
}
ENVIRONMENT: dict[str, Any] = {"command": ["true"], "environment": {"pip": ["numpy==2.0"]}}
ROOT = User("root", UserRole.ADMIN)
CHECK, COLLECTION = Need.DATA_CHECK, Need.COLLECTION


@pytest.fixture
async def all_(all_: World) -> World:
    await all_.node()
    return all_


async def share(data: DataHarness, name: str, who: str, level: str = "read") -> Answer:
    return await data.api("POST", f"/datasets/{name}:share", json={"who": who, "level": level})


def said(answer: Answer, name: str) -> tuple[object, ...]:
    """All that an error tells, but for the name that was asked and the id of the request."""
    told = {key: value for key, value in answer.json.items() if key != "request_id"}
    return answer.status, json.dumps(told, sort_keys=True).replace(name, "NAME")


# --- the rules ---------------------------------------------------------------------------------

Attempt = Callable[[DataHarness, str], Awaitable[Answer]]


def call(method: str, path: str = "", **options: Any) -> Attempt:
    async def attempt(data: DataHarness, name: str) -> Answer:
        return await data.api(method, f"/datasets/{name}{path}", **options)

    return attempt


async def upload(data: DataHarness, name: str) -> Answer:
    return await data.upload(name, "b", b"2")


async def new_version(data: DataHarness, name: str) -> Answer:
    asked = {"name": name, "category": "FORCING", "version": "new"}
    return await data.api("POST", "/datasets", json=asked)


# Each with whether it needs a dataset that is still OPEN.
ATTEMPTS: dict[Act, list[tuple[Attempt, bool]]] = {
    Act.SEE_DATASET: [
        (call("GET"), False),
        (call("GET", "/versions"), False),
        (call("GET", "/items"), False),
        (call("GET", "/items/a"), False),
        (call("GET", "/items"), True),
    ],
    Act.CHANGE_DATASET: [
        (call("PATCH", json={"description": "x"}), False),
        (upload, True),
        (call("DELETE", "/items/a"), True),
        (call("POST", ":seal"), True),
        (new_version, False),
    ],
    Act.DELETE_DATASET: [(call("DELETE"), False)],
    Act.SHARE_DATASET: [
        (call("POST", ":share", json={"who": "everyone"}), False),
        (call("POST", ":unshare", json={"who": "everyone"}), True),
    ],
}


async def set_stage(data: DataHarness, name: str, standing: Standing, *, is_open: bool) -> None:
    """A dataset towards which bob has a standing."""
    data.user = "bob" if standing is Standing.OWNER else "ann"
    asked = {"name": name, "category": "FORCING"}
    assert (await data.api("POST", "/datasets", json=asked)).status == 201
    assert (await data.upload(name, "a", b"1")).status == 201
    if standing in (Standing.WRITER, Standing.READER):
        level = "write" if standing is Standing.WRITER else "read"
        assert (await share(data, name, "user:bob", level)).status == 200
    if not is_open:
        assert (await data.api("POST", f"/datasets/{name}:seal")).status == 200


@pytest.mark.parametrize("role", UserRole)
@pytest.mark.parametrize("act", ATTEMPTS)
async def test_each_act_is_allowed_exactly_where_the_rules_allow_it(
    data: DataHarness, act: Act, role: UserRole
) -> None:
    for standing in Standing:
        for number, (attempt, is_open) in enumerate(ATTEMPTS[act]):
            name = f"{standing}-{number}"
            # Who is a viewer now may have owned data before.
            await set_stage(data, name, standing, is_open=is_open)
            data.user = User("bob", role)
            answer = await attempt(data, name)
            what = (act, role, standing, number, answer.body)
            if standing in RULES[act][role]:
                assert answer.status < 300, what
            elif standing in RULES[Act.SEE_DATASET][role]:
                assert (answer.status, answer.code) == (403, "FORBIDDEN"), what
            elif attempt is new_version:
                expected = (403, "FORBIDDEN") if role is UserRole.VIEWER else (409, "CONFLICT")
                assert (answer.status, answer.code) == expected, what
            else:
                missing = await attempt(data, "nothing")
                assert answer.status == 404, what
                assert said(answer, name) == said(missing, "nothing"), what


def test_the_attempts_cover_every_act_on_a_dataset() -> None:
    acts = {act for act in Act if act.endswith("_dataset")}
    assert acts == ATTEMPTS.keys() | {Act.MAKE_DATASET}


@pytest.mark.parametrize("role", UserRole)
async def test_who_may_make_datasets(data: DataHarness, role: UserRole) -> None:
    data.user = User("bob", role)
    answer = await data.api("POST", "/datasets", json={"name": "new", "category": "FORCING"})
    assert answer.status == (201 if RULES[Act.MAKE_DATASET][role] else 403)


async def test_a_token_does_no_more_than_its_scopes(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"}, domain=YEAR)
    data.user = User("ann", UserRole.USER, scopes=frozenset({Scope.READ}))
    assert (await data.api("GET", "/datasets/drb")).status == 200
    refused = await data.api("DELETE", "/datasets/drb")
    assert (refused.status, "lacks the scope data" in refused.json["detail"]) == (403, True)
    data.user = User("ann", UserRole.USER, scopes=frozenset({Scope.JOBS}))
    for path in ("/datasets/drb", "/datasets", "/datasets/drb/items/a"):
        assert (await data.api("GET", path)).status == 403
    assert (await data.api("POST", "/datasets:match", json=WANTS)).status == 403


async def test_who_asks_must_be_told(data: DataHarness) -> None:
    for header in ("", "ann", "{}", '{"name":"ann","role":"god","groups":[],"scopes":[]}'):
        answer = await data.ask("GET", "/api/v1/datasets", headers={"X-Headrace-User": header})
        assert answer.status == 422


# --- what is not seen does not exist -----------------------------------------------------------


async def test_what_one_may_not_see_answers_as_what_is_not_there(data: DataHarness) -> None:
    view = await data.make("drb", {"a": b"1"})
    data.user = "bob"
    for name in ("drb", "drb@1", view["id"]):
        for path in ("", "/versions", "/items", "/items/a"):
            answer = await data.api("GET", f"/datasets/{name}{path}")
            nothing = await data.api("GET", f"/datasets/nothing{path}")
            assert said(answer, name) == said(nothing, "nothing")
    sums = {"X-Content-SHA256": "0" * 64}
    for headers in ({}, sums):
        assert (await data.api("HEAD", "/datasets/drb/items/a", headers=headers)).status == 404


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_taken_name_is_refused_without_telling_whose_it_is(
    data: DataHarness, is_open: bool
) -> None:
    await set_stage(data, "drb", Standing.STRANGER, is_open=is_open)
    data.user = "bob"
    answers = [
        await data.api("POST", "/datasets", json={"name": "drb", "category": "FORCING", **more})
        for more in ({}, {"version": "new"})
    ]
    assert {said(each, "drb") for each in answers} == {said(answers[0], "drb")}
    assert answers[0].status == 409
    assert answers[0].json["detail"] == "the name drb is taken"
    assert b"ann" not in answers[0].body


async def test_a_list_shows_in_pages_exactly_what_one_may_see(data: DataHarness) -> None:
    for number in range(12):
        data.user = "bob" if number % 3 == 0 else "ann"
        await data.api("POST", "/datasets", json={"name": f"d{number}", "category": "FORCING"})
    data.user = "ann"
    await share(data, "d4", "user:bob")
    await share(data, "d5", "group:hydro")
    await share(data, "d5", "everyone")  # twice, and still once in the list
    await share(data, "d7", "group:others")
    data.user = User("bob", UserRole.USER, frozenset({"hydro"}))
    expected = ["d9", "d6", "d5", "d4", "d3", "d0"]
    for limit in (1, 2, 5, 100):
        found: list[str] = []
        cursor = ""
        while cursor is not None:
            path = f"/datasets?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
            page = (await data.api("GET", path)).json
            found += [each["name"] for each in page["datasets"]]
            cursor = page["cursor"]
        assert found == expected
    assert (await data.api("GET", "/datasets?owner=ann&q=d7")).json["datasets"] == []
    data.user = ROOT
    assert len((await data.api("GET", "/datasets")).json["datasets"]) == 12


async def test_what_a_dataset_was_made_from_is_named_to_those_who_may_see_it(
    all_: World,
) -> None:
    async with all_.data() as data:
        await data.make("secret-rain", {"a": b"1"}, domain=YEAR)
        file = {**READS, "outputs": {"flow": {"category": "OUTPUT", "format": "GENERIC"}}}
        job = await all_.submit({CHECK, COLLECTION}, file)
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job)
        await all_.exited(job)
        await all_.report(await all_.collect(data, job, {"flow": {"q": b"1"}}))
        await all_.until(job, Status.COMPLETED)
        await share(data, f"run-flow-{job}", "everyone")
        (source,) = (await data.api("GET", f"/datasets/run-flow-{job}")).json["derived_from"]
        assert source["name"] == "secret-rain"
        data.user = "bob"
        answer = await data.api("GET", f"/datasets/run-flow-{job}")
        assert answer.status == 200
        assert b"secret-rain" not in answer.body


# --- sharing -----------------------------------------------------------------------------------


async def test_a_name_is_shared_in_all_versions_and_a_version_alone(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    await data.make("drb", {"a": b"2"}, version="new")
    shared = await share(data, "drb", "group:hydro")
    assert shared.json["shared"] == [{"level": "read", "who": "group:hydro"}]
    await share(data, "drb@1", "user:bob", "write")
    first, second = [(await data.api("GET", f"/datasets/drb@{n}")).json["shared"] for n in (1, 2)]
    assert first == [
        {"level": "read", "who": "group:hydro"},
        {"level": "write", "who": "user:bob"},
    ]
    assert second == [{"level": "read", "who": "group:hydro"}]
    for _ in range(2):  # a repeat is success
        await data.api("POST", "/datasets/drb:unshare", json={"who": "group:hydro"})
    kept = (await data.api("GET", "/datasets/drb/versions")).json["datasets"]
    assert [each["shared"] for each in kept] == [[], [{"level": "write", "who": "user:bob"}]]


async def test_a_share_with_nobody_is_refused(data: DataHarness) -> None:
    await data.make("drb", {"a": b"1"})
    for who in ("bob", "user:", "user:../x", "all", "role:admin"):
        assert (await share(data, "drb", who)).status == 422
    for number in range(100):
        assert (await share(data, "drb", f"user:u{number}")).status == 200
    assert (await share(data, "drb", "user:more")).status == 422


async def test_shares_survive_the_seal_and_other_changes_at_the_same_time(
    data: DataHarness,
) -> None:
    await set_stage(data, "drb", Standing.STRANGER, is_open=True)
    await share(data, "drb", "everyone")
    await data.api("POST", "/datasets/drb:seal")
    answers = await asyncio.gather(*(share(data, "drb", f"user:u{n}") for n in range(20)))
    assert {each.status for each in answers} == {200}
    view = (await data.api("GET", "/datasets/drb")).json
    assert (view["state"], len(view["shared"])) == ("SEALED", 21)


async def test_a_new_version_by_a_writer_belongs_to_the_owner_and_is_shared_alike(
    data: DataHarness,
) -> None:
    await data.make("drb", {"a": b"1"})
    await share(data, "drb", "user:bob", "write")
    data.user = "bob"
    made = await data.make("drb", {"a": b"2"}, version="new")
    assert (made["owner"], made["version"]) == ("ann", 2)
    assert made["shared"] == [{"level": "write", "who": "user:bob"}]
    assert (await data.api("DELETE", "/datasets/drb@2")).status == 403


async def test_of_two_who_take_a_free_name_at_once_one_gets_it(all_: World) -> None:
    async with all_.data() as data:
        for number in range(10):
            asked = {"name": f"d{number}", "category": "FORCING", "version": "new"}
            calls = []
            for user in ("ann", "bob"):
                data.user = user
                calls.append(asyncio.create_task(data.api("POST", "/datasets", json=asked)))
                await asyncio.sleep(0)  # the header is made before the next one asks
            answers = await asyncio.gather(*calls)
            assert sorted(each.status for each in answers) == [201, 409]
            (refused,) = (each for each in answers if each.status == 409)
            assert refused.json["detail"] == f"the name d{number} is taken"


async def test_a_rebuilt_catalogue_comes_back_private(all_: World) -> None:
    async with all_.data() as data:
        view = await data.make("drb", {"a": b"1"})
        await share(data, "drb", "everyone")

        async def marked() -> bool:
            return b"everyone" in await all_.store.get_bytes(marker_key(view["id"]), 10_000)

        await wait_until(marked, "the marker to be written again")
    await all_.redis.command("FLUSHALL")
    await all_.redis.open()
    async with all_.data() as data:

        async def back() -> bool:
            return (await data.api("GET", "/datasets/drb")).status == 200

        await wait_until(back, "the dataset to be back")
        assert (await data.api("GET", "/datasets/drb")).json["shared"] == []
        data.user = "bob"
        assert (await data.api("GET", "/datasets/drb")).status == 404


# --- jobs take what their owner may see --------------------------------------------------------


async def test_a_job_is_never_given_what_its_owner_may_not_see(all_: World) -> None:
    async with all_.data() as data:
        await data.make("private-rain", {"a": b"1"}, domain=YEAR)
        await UserStore(all_.redis).create_user("root", UserRole.ADMIN)
        for owner in ("bob", "root"):
            job = await all_.submit({CHECK}, READS, owner=owner)
            ended = await all_.until(job, Status.DATA_UNPROVIDEABLE)
            assert "no FORCING dataset covers it" in ended.detail
            assert "private-rain" not in ended.detail
            data.user = ROOT if owner == "root" else owner
            answer = await data.api("POST", "/datasets:match", json=WANTS)
            assert (answer.json["result"], answer.json["nearest"]) == ("missing", [])


@pytest.mark.parametrize("who", ["user:bob", "group:hydro", "everyone"])
async def test_a_job_is_given_what_is_shared_with_its_owner_until_it_is_no_more(
    all_: World, who: str
) -> None:
    users = UserStore(all_.redis)
    await users.create_group("hydro")
    await users.create_user("bob", UserRole.USER, groups=["hydro"])
    async with all_.data() as data:
        view = await data.make("rain", {"a": b"1"}, domain=YEAR)
        await share(data, "rain", who)
        job = await all_.submit({CHECK}, READS, owner="bob")
        there = await all_.until(job, Status.AWAITING_ALLOCATION)
        assert decode_fulfilments(there.fulfilments)[0].datasets == (view["id"],)
        await data.api("POST", "/datasets/rain:unshare", json={"who": who})
        job = await all_.submit({CHECK}, READS, owner="bob")
        await all_.until(job, Status.DATA_UNPROVIDEABLE)


async def test_a_replica_that_heard_no_unshare_asks_redis_before_it_gives_data(
    all_: World,
) -> None:
    async with all_.data() as data:
        await data.make("rain", {"a": b"1"}, domain=YEAR)
        await share(data, "rain", "everyone")
        async with all_.data() as other:
            for _ in range(5):
                await share(data, "rain", "everyone")
                other.user = "bob"
                await data.api("POST", "/datasets/rain:unshare", json={"who": "everyone"})
                answer = await other.api("POST", "/datasets:match", json=WANTS)
                assert answer.json["result"] == "missing"


async def test_a_disabled_owner_is_in_no_group(all_: World) -> None:
    users = UserStore(all_.redis)
    await users.create_group("hydro")
    await users.create_user("bob", UserRole.USER, groups=["hydro"])
    await users.set_disabled("bob", True)
    async with all_.data() as data:
        await data.make("rain", {"a": b"1"}, domain=YEAR)
        await share(data, "rain", "group:hydro")
        job = await all_.submit({CHECK}, READS, owner="bob")
        await all_.until(job, Status.DATA_UNPROVIDEABLE)


async def test_only_those_wait_for_an_output_who_may_see_it_and_it_is_shared_as_its_job(
    all_: World,
) -> None:
    async with all_.data() as data:
        maker = await all_.submit({COLLECTION}, MAKES)

        async def result(user: str) -> str:
            data.user = user
            return str((await data.api("POST", "/datasets:match", json=WANTS)).json["result"])

        async def is_promised(user: str) -> bool:
            return await result(user) == "promised"

        await wait_until(lambda: is_promised("ann"), "the promise")
        stranger = await all_.submit({CHECK}, READS, owner="bob")
        await all_.until(stranger, Status.DATA_UNPROVIDEABLE)
        await all_.jobs.share(await all_.jobs.get(maker), (Share("user:bob"),), "ann")
        await wait_until(lambda: is_promised("bob"), "the promise to be shared")
        assert await result("eve") == "missing"
        waiting = await all_.submit({CHECK}, READS, owner="bob")
        await all_.allocate(maker)
        await all_.exited(maker)
        data.user = "ann"
        await all_.report(await all_.collect(data, maker, {"flow": {"q": b"1"}}))
        await all_.until(maker, Status.COMPLETED)
        await all_.until(waiting, Status.AWAITING_ALLOCATION)
        view = (await data.api("GET", f"/datasets/run-flow-{maker}")).json
        assert view["shared"] == [{"level": "read", "who": "user:bob"}]
        assert await result("eve") == "missing"


async def test_two_owners_never_share_a_derivation(all_: World) -> None:
    async with all_.data():
        jobs = [
            await all_.submit({CHECK}, ENVIRONMENT, owner=owner) for owner in ("ann", "ann", "bob")
        ]
        deriving = [await all_.until(job, Status.AWAITING_DERIVATION) for job in jobs]
        children = [each.children for each in deriving]
        assert children[0] == children[1] != children[2]
        owners = [(await all_.jobs.get(one[0])).owner for one in children[1:]]
        assert owners == ["ann", "bob"]


async def test_nobody_s_lock_list_but_one_s_own_is_taken_for_an_environment(all_: World) -> None:
    async with all_.data() as data:
        job = await all_.submit({CHECK}, ENVIRONMENT, owner="bob")
        child = (await all_.until(job, Status.AWAITING_DERIVATION)).children[0]
        lock = (await all_.jobs.get(child)).spec
        domain = load_jobtext(lock).outputs[0].domain.to_plain()
        wanted = {"category": "CONFIG", "format": "PIP_LOCK", "domain": domain}
        data.user = "eve"
        await data.make("trap", {"lock.txt": b"evil==1"}, **wanted)
        await share(data, "trap", "everyone")
        data.user = "bob"
        await data.make("mine", {"lock.txt": b"numpy==2.0"}, **wanted)
        await share(data, "mine", "user:eve", "write")
        data.user = "eve"  # what a writer adds belongs to the owner
        await data.make("mine", {"lock.txt": b"evil==1"}, version="new", **wanted)
        data.user = "bob"
        met = await data.api("POST", "/datasets:match", json={**wanted, "name": "environment"})
        assert met.json["result"] == "missing"
        again = await all_.submit({CHECK}, ENVIRONMENT, owner="bob")
        waits = await all_.until(again, Status.AWAITING_DERIVATION)
        assert (waits.fulfilments, waits.children) == ("", (child,))


async def test_what_is_shared_no_more_is_not_staged_again(all_: World) -> None:
    async with all_.data() as data:
        await data.make("rain", {"a": b"1"}, domain=YEAR)
        await share(data, "rain", "user:bob")
        job = await all_.submit({CHECK, Need.STAGING}, READS, owner="bob")
        await all_.until(job, Status.AWAITING_ALLOCATION)
        await all_.allocate(job, staging=True)
        asked = {"job": job, "attempt": 1, "node": NODE}
        assert (await data.ask("POST", "/internal/staging", json=asked)).status == 200
        await data.api("POST", "/datasets/rain:unshare", json={"who": "user:bob"})
        refused = await data.ask("POST", "/internal/staging", json=asked)
        assert (refused.status, refused.code) == (409, "CONFLICT")
        assert "not shared with bob any more" in refused.json["detail"]


# --- what others do with what is shared with them ----------------------------------------------


async def test_a_writer_has_nothing_deleted_by_letting_it_expire(data: DataHarness) -> None:
    await data.make("rain", {"a": b"1"})
    await share(data, "rain", "user:bob", "write")
    data.user = "bob"
    for expires_in in ("1s", None):
        answer = await data.api("PATCH", "/datasets/rain", json={"expires_in": expires_in})
        assert (answer.status, answer.code) == (403, "FORBIDDEN")
    assert (await data.api("PATCH", "/datasets/rain", json={"description": "x"})).status == 200


async def test_an_owner_is_told_how_many_others_use_a_dataset_and_not_by_which_jobs(
    all_: World,
) -> None:
    async with all_.data() as data:
        await data.make("rain", {"a": b"1"}, domain=YEAR)
        await share(data, "rain", "everyone")
        theirs = await all_.submit({CHECK}, READS, owner="bob")
        await all_.until(theirs, Status.AWAITING_ALLOCATION)
        refused = await data.api("DELETE", "/datasets/rain")
        assert refused.json["detail"] == "dataset rain v1 is used by 1 job of others"
        own = await all_.submit({CHECK}, READS)
        await all_.until(own, Status.AWAITING_ALLOCATION)
        refused = await data.api("DELETE", "/datasets/rain")
        assert refused.json["detail"] == f"dataset rain v1 is used by {own} and 1 more"
