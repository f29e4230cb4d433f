"""The support bundle: what a helper needs is in it, and no secret, wherever one lies."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from headrace_local.support.redact import GONE
from tests.acceptance.conftest import Headrace

_CLI = "from headrace_client.cli import main; main()"
_KEY = "-----BEGIN PRIVATE KEY-----\nplanted-in-a-key\n-----END PRIVATE KEY-----"
# Each as it might stand in a log, and the part of it that must not be seen.
_LOGGED = (
    ("password=planted-0-assigned ok", "planted-0-assigned"),
    ("Authorization: Bearer planted-1-shown", "planted-1-shown"),
    ("redis://admin:planted-2-url@host:6379", "planted-2-url"),
    ('{"secret_key": "planted-3-json", "n": 1}', "planted-3-json"),
    ("HEADRACE_S3_SECRET='planted 4 quoted'", "planted 4 quoted"),
    ("GET /o?X-Amz-Signature=planted-5-signature&x=1", "planted-5-signature"),
    ("token hrt_" + "planted6" * 5, "planted6planted6"),
    (_KEY, "planted-in-a-key"),
)


def _planted(headrace: Headrace) -> set[str]:
    """Plant secrets everywhere; gives what must not be seen."""
    home = headrace.home
    files = [home.admin_token, home.internal_token, *home.passwords.iterdir()]
    known = {file.read_text().strip() for file in files}
    known.add(home.secrets_key.read_text().split()[1])
    with home.log("services").open("a") as log:
        for line, _ in _LOGGED:
            log.write(line + "\n")
        for secret in known:
            log.write(f'{{"event": "spoke to somebody with {secret} in hand"}}\n')
    config = json.loads(home.config.read_text())
    config["settings"]["proxy_password"] = "planted-7-setting"  # noqa: S105 - of this test
    home.config.write_text(json.dumps(config))
    return known | {part for _, part in _LOGGED} | {"planted-7-setting"}


def test_a_support_bundle_tells_much_and_no_secret(headrace: Headrace, tmp_path: Path) -> None:
    job = headrace.submit("sh", "-c", "echo my results", env={"MY_PASSWORD": "planted-8-job"})
    headrace.until(job, "COMPLETED")
    before = headrace.home.config.read_text()
    hidden = _planted(headrace) | {"planted-8-job", "planted-9-shell", "my results"}
    file = tmp_path / "support.tar.gz"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _CLI, "support", str(file)],
            env={**headrace.environ, "HEADRACE_PROXY_TOKEN": "planted-9-shell"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        headrace.home.config.write_text(before)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as tar:
        texts = {
            Path(member.name).relative_to("headrace-support"): tar.extractfile(member)
            .read()
            .decode()  # type: ignore[union-attr] # all are files
            for member in tar.getmembers()
        }
    for name, text in texts.items():
        for secret in hidden:
            assert secret not in text, f"{name} holds {secret}"
    read = {str(name): text for name, text in texts.items()}
    assert json.loads(read["about.json"])["headrace"]
    assert {"check": "disk", "level": "ok"}.items() <= next(
        each for each in json.loads(read["doctor.json"]) if each["check"] == "disk"
    ).items()
    assert json.loads(read["settings.json"])["config"]["port"]
    assert json.loads(read["settings.json"])["environ"]["HEADRACE_PROXY_TOKEN"] == GONE
    assert json.loads(read["nodes.json"])[0]["id"] == "local"
    assert json.loads(read["ledger.json"])["errors"] == []
    assert json.loads(read["redis.json"])["server"]["redis_version"]
    assert "headrace_transitions_total" in read["metrics.txt"]
    assert job in read["logs/services.log"], "what happened can be followed"
    assert os.path.getsize(file) < 2**20
