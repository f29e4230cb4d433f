"""Who sees, steers and changes whose jobs and data, in a real `headrace local`."""

import json
from collections.abc import Iterator
from secrets import token_hex

import pytest

from headrace_client.cli import exits
from tests.acceptance.conftest import Headrace, until, waits_for
from tests.support.person import SMALL, People, Person

_TOKEN_CACHE_S = 5.0  # the default of token_cache_s
_KNOWN_WITHIN_S = _TOKEN_CACHE_S + 10.0


@pytest.fixture
def job(headrace: Headrace, people: People) -> Iterator[str]:
    """A job of bob's that runs until somebody ends it."""
    found = people.bob.submit(*waits_for(headrace.gate()))
    headrace.until(found, "RUNNING")
    yield found
    people.bob.code("jobs", "cancel", found)


class TestJobs:
    """Whose job it is, and with whom it is shared."""

    def test_nobody_but_the_owner_and_an_admin_sees_a_job(
        self, headrace: Headrace, people: People, job: str
    ) -> None:
        for person in (people.carol, people.vera, people.olaf):
            assert job not in person.jobs()
            for words in ("info", "history", "why", "logs", "outputs", "stop", "cancel", "retry"):
                assert person.code("jobs", words, job) == exits.NOT_FOUND, words
            shares = ("jobs", "share", job, "--with", f"user:{person.name}")
            assert person.code(*shares) == exits.NOT_FOUND
        assert job in people.bob.jobs()
        assert job in {each["id"] for each in headrace.said("jobs", "list")}

    def test_shared_for_reading_it_is_seen_and_not_steered(self, people: People, job: str) -> None:
        (view,) = people.bob.said("jobs", "share", job, "--with", "user:carol")
        assert view["shared"] == [{"level": "read", "who": "user:carol"}]
        assert job in people.carol.jobs()
        for words in ("info", "history", "why", "outputs"):
            assert people.carol.code("jobs", words, job) == exits.OK, words
        assert people.carol.cli("jobs", "logs", job).stdout == "ready\n"
        for words in ("stop", "restart", "cancel", "hold", "release"):
            assert people.carol.code("jobs", words, job) == exits.REFUSED, words
        assert people.carol.code("jobs", "share", job, "--with", "everyone") == exits.REFUSED
        assert people.olaf.code("jobs", "info", job) == exits.NOT_FOUND
        assert "user:carol" in people.bob.cli("jobs", "info", job).stdout

    def test_shared_for_writing_it_is_steered_by_users_and_never_by_viewers(
        self, headrace: Headrace, people: People, job: str
    ) -> None:
        assert people.bob.code("jobs", "share", job, "--with", "group:models", "--write") == 0
        assert people.vera.code("jobs", "info", job) == exits.OK
        assert people.vera.code("jobs", "stop", job) == exits.REFUSED
        assert people.carol.code("jobs", "share", job, "--with", "user:olaf") == exits.REFUSED
        assert people.carol.code("jobs", "stop", job) == exits.OK
        headrace.until(job, "STOPPED")

    def test_taken_back_it_is_gone(self, people: People, job: str) -> None:
        assert people.bob.code("jobs", "share", job, "--with", "everyone") == exits.OK
        assert people.olaf.code("jobs", "info", job) == exits.OK
        for _ in range(2):
            assert people.bob.code("jobs", "unshare", job, "--with", "everyone") == exits.OK
        assert people.olaf.code("jobs", "info", job) == exits.NOT_FOUND
        assert job not in people.olaf.jobs()

    def test_who_leaves_the_group_loses_what_it_saw(
        self, headrace: Headrace, stranger: Person, people: People, job: str
    ) -> None:
        assert people.bob.code("jobs", "share", job, "--with", "group:models") == exits.OK
        assert stranger.code("jobs", "info", job) == exits.NOT_FOUND
        for verb, code in (("add", exits.OK), ("remove", exits.NOT_FOUND)):
            assert headrace.cli("groups", verb, "models", stranger.name).returncode == 0
            until(
                lambda code=code: stranger.code("jobs", "info", job) == code,
                f"{verb} to be known",
                _KNOWN_WITHIN_S,
            )

    def test_a_viewer_submits_nothing_and_an_admin_steers_all(
        self, headrace: Headrace, people: People, job: str
    ) -> None:
        words = ("exec", "run", *SMALL, "--", "true")
        assert people.vera.code(*words) == exits.REFUSED
        assert headrace.cli("jobs", "cancel", job).returncode == 0
        headrace.until(job, "CANCELED")

    def test_a_job_does_not_wait_for_one_that_its_owner_does_not_see(
        self, people: People, job: str
    ) -> None:
        waits = json.dumps({"headrace": 1, "kind": "command", "command": ["true"], "after": [job]})
        words = ("exec", "from_json", "-")
        assert people.olaf.code(*words, typed=waits) in (exits.NOT_FOUND, exits.REFUSED)
        assert people.bob.code(*words, typed=waits) == exits.OK


def _upload(person: Person, name: str, *words: str) -> None:
    file = person.folder / f"{name}.csv"
    file.write_text(f"time,flow\n1980-01-01,{name}\n")
    made = ("dataset", "create", name, "--category", "OBSERVATION", "--format", "GENERIC")
    done = person.cli(*made, *words, *(() if words else ("--upload", str(file))))
    assert done.returncode == 0, done.stderr


class TestDatasets:
    """Whose dataset it is, and with whom it is shared."""

    def test_nobody_but_the_owner_and_an_admin_sees_a_dataset(
        self, headrace: Headrace, people: People
    ) -> None:
        name = f"own-{token_hex(4)}"
        _upload(people.bob, name)
        file = people.olaf.folder / "x.csv"
        file.write_text("x\n")
        for person in (people.carol, people.vera, people.olaf):
            assert name not in person.datasets()
            for words in (("info",), ("items",), ("seal",), ("delete", "--yes")):
                assert person.code("dataset", words[0], name, *words[1:]) == exits.NOT_FOUND
            assert person.code("dataset", "download", name, "got") == exits.NOT_FOUND
            assert person.code("dataset", "upload", name, str(file)) == exits.NOT_FOUND
            shares = ("dataset", "share", name, "--with", "everyone")
            assert person.code(*shares) == exits.NOT_FOUND
        assert headrace.cli("dataset", "info", name).returncode == 0

    def test_shared_for_reading_it_is_found_and_downloaded_and_not_changed(
        self, people: People
    ) -> None:
        name = f"read-{token_hex(4)}"
        _upload(people.bob, name)
        view = people.bob.said("dataset", "share", name, "--with", "group:models")
        assert view["shared"] == [{"level": "read", "who": "group:models"}]
        for person in (people.carol, people.vera):
            assert name in person.datasets()
            assert person.code("dataset", "download", name, f"got-{name}") == exits.OK
            assert name in (person.folder / f"got-{name}" / f"{name}.csv").read_text()
            assert person.code("dataset", "delete", name, "--yes") == exits.REFUSED
            shares = ("dataset", "share", name, "--with", "everyone")
            assert person.code(*shares) == exits.REFUSED
        assert people.olaf.code("dataset", "info", name) == exits.NOT_FOUND
        assert people.bob.code("dataset", "unshare", name, "--with", "group:models") == exits.OK
        assert people.carol.code("dataset", "info", name) == exits.NOT_FOUND

    def test_a_lineage_names_what_one_may_see_and_no_more(self, people: People) -> None:
        name = f"line-{token_hex(4)}"
        _upload(people.bob, name, "--domain", f"{{DATA_ID: {name}}}")
        (people.bob.folder / f"{name}.csv").write_text("rain\n")
        people.bob.said(
            "dataset", "upload", name, str(people.bob.folder / f"{name}.csv"), "--seal"
        )
        spec = {
            "headrace": 1, "kind": "command", "name": "rain",
            "command": ["sh", "-c", "cp {rain}/* {output}/"],
            "resources": {"cpus": "100m", "memory": "64MiB"},
            "inputs": {"rain": {"category": "OBSERVATION", "domain": {"DATA_ID": name}}},
            "outputs": {"copy": {"format": "GENERIC"}},
        }  # fmt: skip
        job = people.bob.said("exec", "from_json", "-", typed=json.dumps(spec))["id"]
        people.bob.cli("jobs", "watch", job)
        made = people.bob.said("jobs", "info", job)["outputs"]["copy"]
        view = people.bob.said("dataset", "lineage", made)
        named = {node["name"]: node["state"] for node in view["nodes"]}
        assert named == {
            f"rain-copy-{job} v1": "SEALED", "rain": "CLOSED:COMPLETED", f"{name} v1": "SEALED",
        }  # fmt: skip
        led = people.bob.cli("dataset", "lineage", name).stdout
        assert f"  input rain: job {job} rain, COMPLETED" in led
        assert f"    output copy of attempt 1: dataset rain-copy-{job} v1, SEALED" in led

        assert people.olaf.code("dataset", "lineage", made) == exits.NOT_FOUND
        assert people.olaf.code("jobs", "lineage", job) == exits.NOT_FOUND
        people.bob.said("dataset", "share", made, "--with", "user:olaf")
        told = people.olaf.said("dataset", "lineage", made)
        assert [node["name"] for node in told["nodes"]] == [f"rain-copy-{job} v1", None]
        assert job not in json.dumps(told["nodes"][1])
        people.bob.said("jobs", "share", job, "--with", "user:olaf")
        told = people.olaf.said("dataset", "lineage", made)
        assert [node["name"] for node in told["nodes"]] == [f"rain-copy-{job} v1", "rain", None]

        assert people.bob.code("dataset", "delete", name, "--now", "--yes") == exits.OK
        view = people.bob.said("jobs", "lineage", job)
        assert f"{name} v1" in [node["name"] for node in view["nodes"]], "gone, and still named"
        assert name not in json.dumps(people.olaf.said("jobs", "lineage", job))

    def test_shared_for_writing_others_fill_and_seal_it_and_never_delete_it(
        self, people: People
    ) -> None:
        name = f"open-{token_hex(4)}"
        _upload(people.bob, name, "--description", "to be filled")
        assert people.bob.code("dataset", "share", name, "--with", "user:carol") == exits.OK
        file = people.carol.folder / "mine.csv"
        file.write_text("from carol\n")
        upload = ("dataset", "upload", name, str(file))
        assert people.carol.code(*upload) == exits.REFUSED
        shares = ("dataset", "share", name, "--with", "group:models", "--write")
        assert people.bob.code(*shares) == exits.OK
        assert people.vera.code("dataset", "upload", name, str(file)) == exits.REFUSED
        assert people.carol.code(*upload) == exits.OK
        assert people.carol.code("dataset", "seal", name) == exits.OK
        assert people.carol.code("dataset", "delete", name, "--yes") == exits.REFUSED
        assert people.bob.code("dataset", "delete", name, "--yes") == exits.OK

    def test_a_viewer_makes_no_dataset(self, people: People) -> None:
        made = ("dataset", "create", "veras", "--category", "OBSERVATION")
        assert people.vera.code(*made) == exits.REFUSED

    def test_a_job_uses_only_what_its_owner_may_see(
        self, headrace: Headrace, people: People
    ) -> None:
        name, fabric = f"bobs-{token_hex(4)}", f"f{token_hex(6)}"
        domain = f"{{HYDROFABRIC_DATA_ID: {fabric}}}"
        file = people.bob.folder / "flow.csv"
        file.write_text("time,flow\n1980-01-01,1.5\n1980-01-02,2.5\n")
        made = ("dataset", "create", name, "--category", "FORCING", "--upload", str(file))
        done = people.bob.cli(*made, "--domain", domain)
        assert done.returncode == 0, done.stderr
        wanted = {"category": "FORCING", "domain": {"HYDROFABRIC_DATA_ID": fabric}}
        spec = json.dumps(
            {
                "headrace": 1, "kind": "command", "command": ["sh", "-c", "cat {flow}/flow.csv"],
                "resources": {"cpus": "100m", "memory": "64MiB"}, "inputs": {"flow": wanted},
            }
        )  # fmt: skip
        match = ("dataset", "match", "--category", "FORCING", "--domain", domain)
        missing = people.carol.said(*match)
        assert missing["result"] == "missing"
        assert name not in json.dumps(missing)
        refused = people.carol.submit_file(spec)
        headrace.until(refused, "DATA_UNPROVIDEABLE")
        for words in ("why", "history", "info"):
            assert name not in people.carol.cli("jobs", words, refused).stdout
        assert people.bob.code("dataset", "share", name, "--with", "user:carol") == exits.OK
        assert people.carol.said(*match)["result"] == "fulfilled"
        taken = people.carol.submit_file(spec)
        headrace.until(taken, "COMPLETED")
        assert people.carol.cli("jobs", "logs", taken).stdout == file.read_text()
