"""`headrace local up --store s3://…`: a real Headrace whose objects lie on a real S3 server."""

import filecmp
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Any
from urllib.parse import quote

import pytest

from headrace_local import processes
from headrace_local.health import any_free_port
from tests.acceptance.conftest import WITHIN_S, Done, Headrace, until, waits_for
from tests.conftest import new_s3_server
from tests.support.held_relay import HeldRelay
from tests.support.preloaded import run
from tests.support.s3_servers import BUCKET, SECRET_KEY, S3Server, write_credentials

_SECRETS = (b"X-Amz-Signature", SECRET_KEY.encode())


@pytest.fixture(scope="module")
def server(run_root: Path) -> Iterator[S3Server]:
    """A server of this module's own: a test kills it."""
    found = new_s3_server("juicefs", run_root / "s3-local")
    found.start()
    try:
        yield found
    finally:
        found.kill9()


@pytest.fixture(scope="module")
def headrace(run_root: Path, server: S3Server) -> Iterator[Headrace]:
    folder = run_root / "s3-headrace"
    folder.mkdir()
    found = Headrace(folder / "home")
    try:
        found.local("up", *_words(server))
        yield found
        found.end()
    finally:
        if found.home.config.exists():
            found.local("reset", "--yes")


def _words(server: S3Server, **other: str) -> list[str]:
    words = {
        "--store": f"{server.url}/here",
        "--store-credentials": str(server.credentials_file),
        "--port": str(any_free_port()),
        "--cpus": "2",
        "--memory": "1GiB",
        **{f"--{name.replace('_', '-')}": value for name, value in other.items()},
    }
    return [word for pair in words.items() for word in pair if pair[1]]


def _up(headrace: Headrace, *words: str) -> Done:
    """`headrace local up …` that may be refused."""
    code = "from headrace_local.cli import local; local(prog_name='headrace local')"
    command = [sys.executable, "-c", code, "up", *words]
    return run(command, timeout=WITHIN_S, env=headrace.environ)


def _objects(server: S3Server, prefix: str = "here/") -> dict[str, int]:
    found = server.client().list_objects(BUCKET, prefix, recursive=True)
    return {
        str(each.object_name): each.size or 0
        for each in found
        if not str(each.object_name).endswith("/")
    }


def _dataset(headrace: Headrace, folder: Path, data: bytes) -> str:
    """A sealed dataset of two files; gives its name, which is its DATA_ID too."""
    name = f"in-{token_hex(4)}"
    (folder / "d").mkdir(parents=True)
    (folder / "d" / "a ü%+.bin").write_bytes(data)
    (folder / "empty").touch()
    domain = f"{{DATA_ID: {name}}}"
    headrace.said(
        "dataset", "create", name, "--category", "FORCING", "--upload", str(folder),
        "--domain", domain,
    )  # fmt: skip
    return name


def _needs(name: str) -> dict[str, Any]:
    return {"category": "FORCING", "domain": {"DATA_ID": name}}


def test_inputs_outputs_and_logs_lie_in_the_bucket(
    headrace: Headrace, server: S3Server, state_dir: Path
) -> None:
    data = token_bytes(20 * 2**20)  # goes in parts
    name = _dataset(headrace, state_dir / "in", data)
    job = headrace.submit(
        "sh", "-c", "echo seen; ls {data}/d; cp -r {data}/d {output}/copy",
        inputs={"data": _needs(name)}, outputs={"copy": {"format": "GENERIC"}},
    )  # fmt: skip
    headrace.until(job, "COMPLETED")
    done = headrace.cli("jobs", "outputs", job, "--download", str(state_dir / "out"))
    assert done.returncode == 0, done.stderr
    assert (state_dir / "out" / "copy" / "copy" / "a ü%+.bin").read_bytes() == data
    until(lambda: [key for key in _objects(server) if "/logs/" in key], "the log in the store")
    assert headrace.log(job) == "seen\na ü%+.bin\n"
    assert list(headrace.home.store.iterdir()) == []
    assert len([key for key, size in _objects(server).items() if size == len(data)]) == 2
    copied = headrace.cli("dataset", "download", name, str(state_dir / "back"))
    assert copied.returncode == 0, copied.stderr
    assert (state_dir / "back" / "empty").read_bytes() == b""
    assert (state_dir / "back" / "d" / "a ü%+.bin").read_bytes() == data
    assert _secrets_in(headrace.home.root) == []
    assert headrace.cli("dataset", "delete", name, "--now", "--yes").returncode == 0
    until(
        lambda: len([key for key, size in _objects(server).items() if size == len(data)]) == 1,
        "the deleted dataset's objects to be gone",
    )


def test_a_job_outlives_the_death_of_the_store(
    headrace: Headrace, server: S3Server, state_dir: Path
) -> None:
    name = _dataset(headrace, state_dir / "in", b"rain")
    gate = headrace.gate()
    wait = " ".join(waits_for(gate)[2:])
    job = headrace.submit(
        "sh", "-c", f"{wait}; cat {{data}}/d/* > {{output}}/copy",
        inputs={"data": _needs(name)}, outputs={"copy": {"format": "GENERIC"}},
    )  # fmt: skip
    headrace.until(job, "RUNNING")
    server.kill9()
    try:
        gate.touch()
        headrace.until(job, "AWAITING_COLLECTION")
        # What needs no store works on; what needs it says so.
        plain = headrace.submit("true")
        headrace.until(plain, "COMPLETED")
        answer = headrace.ask("GET", f"/datasets/{name}/items/{quote('d/a ü%+.bin')}")
        assert answer.status == 503, answer.body
        assert answer.json["hint"]
        assert headrace.job(job)["status"].endswith("AWAITING_COLLECTION")
    finally:
        server.start()
    headrace.until(job, "COMPLETED")
    done = headrace.cli("jobs", "outputs", job, "--download", str(state_dir / "out"))
    assert done.returncode == 0, done.stderr
    assert (state_dir / "out" / "copy" / "copy").read_bytes() == b"rain"
    assert _secrets_in(headrace.home.root) == []


def _arrived(headrace: Headrace) -> int:
    """Bytes of files that come in just now."""
    spool = headrace.home.state_of("data") / "spool"
    return sum(path.stat().st_size for path in spool.rglob("*") if path.is_file())


def test_a_large_upload_outlives_the_death_of_the_services_and_of_the_client(
    headrace: Headrace, server: S3Server, state_dir: Path
) -> None:
    """Its parts go to the store while the rest arrives: nothing of that may be taken for whole."""
    size = 192 * 2**20
    big = state_dir / "in" / "big.bin"
    big.parent.mkdir()
    piece = token_bytes(2**20)
    with big.open("wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(4) + piece[4:])
    name = f"big-{token_hex(4)}"
    headrace.said("dataset", "create", name, "--category", "FORCING")
    words = ("dataset", "upload", name, str(big.parent))
    with headrace.started(*words) as client:
        until(lambda: _arrived(headrace) > 2**24 or client.poll() is not None, "a part of it")
        (services,) = processes.find(headrace.home.id, "services")
        services.signal(signal.SIGKILL)
        until(lambda: processes.find(headrace.home.id, "services"), "the services again")
        assert client.poll() is None, "it waits for them"
        before = _arrived(headrace)
        until(lambda: _arrived(headrace) > before or client.poll() is not None, "more of it")
        client.kill()
    assert not [key for key, found in _objects(server).items() if found == size]
    done = headrace.cli(*words)
    assert done.returncode == 0, done.stderr
    assert len([key for key, found in _objects(server).items() if found == size]) == 1
    copied = headrace.cli("dataset", "download", name, str(state_dir / "back"))
    assert copied.returncode == 0, copied.stderr
    assert filecmp.cmp(state_dir / "back" / "big.bin", big, shallow=False)
    until(lambda: _arrived(headrace) < 2**20, "the spool to be empty")
    assert headrace.cli("dataset", "delete", name, "--now", "--yes").returncode == 0


@pytest.fixture
def relay(headrace: Headrace, server: S3Server) -> Iterator[HeldRelay]:
    """The only way by which clients reach the store themselves, while the test lasts."""
    with HeldRelay(server.port) as found:
        _set(headrace, store_direct=found.url)
        yield found
    _set(headrace, store_direct="")


def _set(headrace: Headrace, **settings: str) -> None:
    headrace.local("down")
    config = json.loads(headrace.home.config.read_text())
    config["settings"] = {**config["settings"], **settings}
    headrace.home.config.write_text(json.dumps(config))
    headrace.local("up")


def _is_ready(headrace: Headrace) -> bool:
    with suppress(OSError):
        return headrace.ask("GET", "/datasets").status == 200
    return False


def _files_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_direct_transfer_outlives_the_death_of_the_services_and_of_the_client(
    headrace: Headrace, relay: HeldRelay, state_dir: Path
) -> None:
    """Of eight parts four go at a time: with 72 MiB gone one is whole at least."""
    size, held = 128 * 2**20, 72 * 2**20
    big = state_dir / "in" / "big.bin"
    big.parent.mkdir()
    big.write_bytes(token_bytes(size))
    name = f"direct-{token_hex(4)}"
    headrace.said("dataset", "create", name, "--category", "FORCING")
    words = ("dataset", "upload", name, str(big.parent))
    relay.count_anew(held)
    with headrace.started(*words) as client:
        until(lambda: relay.holds or client.poll() is not None, "a part of it")
        (services,) = processes.find(headrace.home.id, "services")
        services.signal(signal.SIGKILL)
        until(lambda: processes.find(headrace.home.id, "services"), "the services again")
        assert client.poll() is None
        client.kill()
    relay.count_anew(None)
    until(lambda: _is_ready(headrace), "the services to answer")
    done = headrace.cli(*words)
    assert done.returncode == 0, done.stderr
    assert 0 < relay.there < size - 15 * 2**20, "what was there is not sent again"
    assert _arrived(headrace) == 0, "nothing of it came through the services"
    back = state_dir / "back"
    words = ("dataset", "download", name, str(back))
    relay.count_anew(held)
    with headrace.started(*words) as client:
        until(lambda: _files_in(back) > 32 * 2**20 or client.poll() is not None, "a part of it")
        client.kill()
    relay.count_anew(None)
    done = headrace.cli(*words)
    assert done.returncode == 0, done.stderr
    assert 0 < relay.back < size - 32 * 2**20
    assert filecmp.cmp(back / "big.bin", big, shallow=False)
    assert headrace.said("dataset", "seal", name)["state"] == "SEALED"
    assert _secrets_in(headrace.home.root) == []
    relay.close()
    big.write_bytes(token_bytes(9 * 2**20))
    again = f"streamed-{token_hex(4)}"
    headrace.said("dataset", "create", again, "--category", "FORCING", "--upload", str(big.parent))
    copied = headrace.cli("dataset", "download", again, str(state_dir / "streamed"))
    assert copied.returncode == 0, copied.stderr
    assert filecmp.cmp(state_dir / "streamed" / "big.bin", big, shallow=False)


def test_the_store_is_remembered_and_stays(headrace: Headrace, server: S3Server) -> None:
    config = json.loads(headrace.home.config.read_text())
    assert config["store"] == f"{server.url}/here"
    assert config["store_credentials"] == str(server.credentials_file)
    assert "is already up" in headrace.local("up", "--store", f"{server.url}/here/")
    headrace.local("down")
    refused = _up(headrace, "--store", f"{server.url}/other")
    assert refused.returncode == 1
    assert "can't change" in refused.stderr
    headrace.local("up")


def test_a_new_state_folder_finds_the_sealed_datasets_again(
    run_root: Path, server: S3Server, state_dir: Path
) -> None:
    store = f"{server.url}/again"
    first, second = (Headrace(state_dir / name) for name in ("first", "second"))
    try:
        first.local("up", *_words(server, store=store))
        name = _dataset(first, state_dir / "in", b"rain")
        said = first.local("reset", "--yes")
        assert f"The objects in {store} are still there" in said
        second.local("up", *_words(server, store=store))
        until(lambda: second.ask("GET", f"/datasets/{name}").status == 200, "the dataset")
        answer = second.ask("GET", f"/datasets/{name}/items/{quote('d/a ü%+.bin')}")
        assert answer.body == b"rain"
    finally:
        for each in (first, second):
            if each.home.config.exists():
                each.local("reset", "--yes")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"store": "s3://{endpoint}/no-such-bucket"}, "has no bucket 'no-such-bucket'"),
        ({"store": "s3://{endpoint}/Bad_Name"}, "names no bucket"),
        ({"store": "elsewhere"}, "is not s3://"),
        ({"store": "s3://127.0.0.1:9/bucket"}, "does not answer"),
        ({"store_credentials": "{folder}/missing"}, "can't be read"),
        ({"store_credentials": "{folder}/wrong-key"}, "refuses the credentials"),
        ({"store_credentials": "{folder}/open"}, "chmod 600"),
        ({"store_credentials": "{folder}/rubbish"}, "holds no credentials"),
        ({"store_credentials": ""}, "--store-credentials FILE"),
        ({"store_tls": "yes"}, "store_tls"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_at_the_start(
    server: S3Server, state_dir: Path, wrong: dict[str, str], said: str
) -> None:
    write_credentials(state_dir / "wrong-key", "somebody", "else-0123456789")
    write_credentials(state_dir / "open", "somebody", "else-0123456789").chmod(0o644)
    write_credentials(state_dir / "rubbish", "", "topsecret")
    places = {"endpoint": server.endpoint, "folder": str(state_dir)}
    words = {name: value.format(**places) for name, value in wrong.items()}
    headrace = Headrace(state_dir / "home")
    refused = _up(headrace, *_words(server, **words))
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "topsecret" not in refused.stderr
    assert not headrace.home.root.exists(), "a refused start leaves nothing"


def _secrets_in(root: Path) -> list[str]:
    """The files below a folder in which a URL's signature, or the store's key, stands."""
    return [
        str(path)
        for path in root.rglob("*")
        if path.is_file() and any(secret in path.read_bytes() for secret in _SECRETS)
    ]
