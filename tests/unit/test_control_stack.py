"""control-stack.sh without an engine: arguments, what it makes, what its check finds in files."""

import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SCRIPT = PROJECT / "scripts" / "control-stack.sh"
NOWHERE = {**os.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}

LOGINS = '{"auths": {"r.example": {"auth": "dXNlcjp3b3Jk"}}}'


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *words], capture_output=True, text=True, check=False, env=NOWHERE
    )


def _in_the_script(folder: Path, program: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program with the functions of control-stack.sh, for a deployment in `folder`."""
    sources = "; ".join(
        f". {PROJECT}/scripts/lib/{name}.sh"
        for name in (
            "docker", "control-env", "control-check", "control-deploy", "control-operate",
            "control-support",
        )
    )  # fmt: skip
    given = "\n".join(f"{name}={value}" for name, value in env.items())
    (folder / "try.env").write_text(f"HEADRACE_STACK=try\n{given}\n")
    lines = f"""
        set -euo pipefail
        project_root={PROJECT} env_file={folder}/try.env wrong=0 work={folder}
        declare -A options=()
        say() {{ echo "$@"; }}
        fail() {{ printf '%s; %s\\n' "$1" "$2" >&2; exit "${{3:-1}}"; }}
        {sources}
        env_load
        {program}
    """
    return subprocess.run(
        ["bash", "-c", lines], capture_output=True, text=True, check=False, env=NOWHERE
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "name a stack and an action"),
        (["main"], "name an action"),
        (["maim", "check"], "known are: main gui object_store dev_registry all"),
        (["main", "deplay"], "known are: "),
        (["main", "--tag"], "--tag needs a value"),
        (["main", "check", "--fast"], "unknown option '--fast'"),
        (["main", "deploy", "--compose-file", "/nowhere.yaml"], "can't be read"),
        (["all", "deploy", "--compose-file", "/dev/null"], "name that stack"),
        (["main", "backup"], "backup needs a file"),
        (["main", "restore", "/nowhere"], "can't be read"),
        (["main", "support"], "support needs a file"),
        (["main", "maintenance"], "on, off or show"),
        (["main", "maintenance", "maybe"], "known are: on off show"),
    ],
)
def test_a_wrong_command_line_is_refused_with_what_to_do(words: list[str], why: str) -> None:
    refused = _run(*words)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert why in refused.stderr
    assert "Do this: " in refused.stderr


def test_help_grows_and_names_every_action() -> None:
    short, full, long = (_run(flag).stdout for flag in ("-h", "-hh", "-hhh"))
    assert len(short) < len(full) < len(long)
    assert long.startswith(full)
    assert full.startswith(short)
    [known] = [
        line for line in SCRIPT.read_text().splitlines() if line.startswith("actions_known=")
    ]
    for action in known.partition("(")[2].rstrip(")").split():
        assert f"\n  {action} " in full


def test_without_an_engine_it_says_what_to_do(tmp_path: Path) -> None:
    refused = _run("main", "check", "--env-file", str(tmp_path / "env"))
    assert refused.returncode == 1
    assert "Start one, or name another in DOCKER_HOST" in refused.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("HEADRACE_PORT", "70000", "is no port"),
        ("HEADRACE_STACK", "Try", "can't be a name"),
        ("HEADRACE_TLS", "maybe", "neither yes nor no"),
        ("HEADRACE_PROT", "1", "line 2 of"),
        ("HEADRACE_REDIS_MEMORY_BYTES", "1GB", "give whole bytes"),
    ],
)
def test_a_wrong_line_of_the_env_file_is_refused(
    tmp_path: Path, name: str, value: str, why: str
) -> None:
    refused = _in_the_script(tmp_path, "", **{name: value})
    assert refused.returncode == 2
    assert why in refused.stderr


def test_a_value_of_the_env_file_is_never_run(tmp_path: Path) -> None:
    told = f"$(touch {tmp_path}/ran)"
    done = _in_the_script(tmp_path, 'echo "$HEADRACE_ADMIN"', HEADRACE_ADMIN=told)
    assert done.stdout == f"{told}\n"
    assert not (tmp_path / "ran").exists()


def test_secrets_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    program = 'secrets_make; secrets_name; echo "$SECRET_REDIS_DATA $SECRET_TLS_CERT"'
    first, second = (
        _in_the_script(tmp_path, program, HEADRACE_HOSTS="10.0.0.1 hydro.example")
        for _ in range(2)
    )
    assert first.returncode == 0, first.stderr
    names = first.stdout.splitlines()[-1].split()
    assert second.stdout.splitlines()[-1].split() == names
    assert names[0].startswith("try_redis_data_")
    files = [file for file in (tmp_path / ".headrace" / "secrets").iterdir() if file.is_file()]
    assert len(files) == 12
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert len({file.read_text() for file in files}) == len(files)

    (tmp_path / ".headrace" / "secrets" / "redis_data").unlink()
    third = _in_the_script(tmp_path, program)
    changed = third.stdout.splitlines()[-1].split()
    assert changed[0] != names[0]
    assert changed[1] == names[1]


@pytest.mark.parametrize(
    ("harm", "finding"),
    [
        ("true", ""),
        (": >$deployment/secrets/redis_data", "redis_data is empty"),
        ("chmod 644 $deployment/secrets/admin_token", "others can read"),
        ("echo no >$deployment/secrets/store_credentials", "is no JSON"),
        ("HEADRACE_HOSTS=other.example", "is not for other.example"),
        ("HEADRACE_HOSTS=10.0.0.9", "is not for 10.0.0.9"),
        ("echo no >$deployment/tls/tls.crt", "holds no certificate"),
        ("openssl genrsa -out $deployment/tls/tls.key 2>&1", "is not the key of"),
        ("chmod 640 $deployment/tls/tls.key", "others can read"),
        ('echo {\\"a\\": {}} >$deployment/registries/config.json', "no logins in the form"),
        ("chmod 644 $deployment/registries/config.json", "others can read"),
    ],
)
def test_check_finds_what_is_wrong_with_secrets(tmp_path: Path, harm: str, finding: str) -> None:
    said = _in_the_script(
        tmp_path,
        f"secrets_make; {harm}; check_secrets main; echo wrong=$wrong",
        HEADRACE_HOSTS="10.0.0.1 hydro.example",
    )
    lines = said.stdout.splitlines()
    assert lines[-1] == f"wrong={bool(finding):d}", said.stdout + said.stderr
    wrong = [line for line in lines if line.startswith("WRONG")]
    assert len(wrong) == bool(finding)
    if finding:
        assert finding in wrong[0]
        assert lines[lines.index(wrong[0]) + 1].startswith("       do this: ")


@pytest.mark.parametrize(
    ("registry", "key", "is_used"),
    [
        ("r.example:5000/hydro", "r.example:5000", True),
        ("docker.io/rivers", "https://index.docker.io/v1/", True),
        ("r.example", "r.example:5000", False),
        ("", "r.example", False),
    ],
)
def test_the_deployments_login_at_its_registry_is_used_on_the_same_engine(
    tmp_path: Path, registry: str, key: str, is_used: bool
) -> None:
    program = f"""
        secrets_make >/dev/null
        echo '{{"auths": {{"{key}": {{"auth": "YTpi"}}}}}}' >$deployment/registries/config.json
        docker() {{ echo "$DOCKER_CONFIG $DOCKER_HOST $*"; }}
        DOCKER_CONFIG=own
        registry_docker push it
    """
    done = _in_the_script(tmp_path, program, HEADRACE_REGISTRY=registry, HEADRACE_TLS="no")
    config = tmp_path / ".headrace" / "registries" if is_used else "own"
    assert done.stdout.split() == [str(config), NOWHERE["DOCKER_HOST"], "push", "it"], done.stderr


def test_who_makes_a_support_archive_is_told_of_every_secret_of_the_deployment(
    tmp_path: Path,
) -> None:
    program = f"""
        secrets_make >/dev/null; secrets_name; images_name() {{ IMAGE_SERVICE=service; }}
        echo '{LOGINS}' >$deployment/registries/config.json
        support_of_swarm() {{ :; }}
        run_once() {{ :; }}
        docker() {{ cat >{tmp_path}/given.tar; }}
        declare -A operands=([support]={tmp_path}/archive)
        do_support main
    """
    done = _in_the_script(tmp_path, program)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "given.tar") as tar:
        given = "".join(tar.extractfile(each).read().decode() for each in tar if each.isfile())  # type: ignore[union-attr] # all are files
    files = [file for file in (tmp_path / ".headrace").rglob("*") if file.is_file()]
    public = {"ca.crt", "ca.key", "tls.crt"}
    assert not [
        file for file in files if file.name not in public and file.read_text() not in given
    ]
    assert "dXNlcjp3b3Jk" in given


def test_what_a_backup_has_of_the_deployments_folder_comes_back_where_that_was_lost(
    tmp_path: Path,
) -> None:
    page = (PROJECT / "docs" / "operate.md").read_text()
    [lay_back] = re.findall(r"`(tar -C \.headrace [^`]*)`", page)
    program = f"""
        secrets_make >/dev/null
        echo '{LOGINS}' >$deployment/registries/config.json
        redis_container() {{ echo redis; }}
        images_name() {{ :; }}
        docker() {{ printf REDIS; }}
        declare -A operands=([backup]={tmp_path}/monday.tar)
        do_backup main
    """
    done = _in_the_script(tmp_path, program)
    assert done.returncode == 0, done.stderr
    lost, folder = tmp_path / "lost", tmp_path / ".headrace"
    folder.rename(lost)
    folder.mkdir()
    words = lay_back.replace("/safe/monday.tar", str(tmp_path / "monday.tar"))
    subprocess.run(words, shell=True, check=True, cwd=tmp_path)  # noqa: S602 - a line of the page
    assert _files(folder) == _files(lost)


@pytest.mark.parametrize("here", ["", "now"])
def test_a_restore_brings_logins_at_registries_where_there_are_none(
    tmp_path: Path, here: str
) -> None:
    program = f"""
        logins() {{ echo "{{\\"auths\\": {{\\"$1\\": {{\\"auth\\": \\"YTpi\\"}}}}}}"; }}
        secrets_make >/dev/null; secrets_name; before=$SECRET_REGISTRY_LOGINS
        cp -R $deployment {tmp_path}/backup
        logins then >{tmp_path}/backup/registries/config.json
        [ -z "{here}" ] || logins now >$deployment/registries/config.json
        secrets_put_back {tmp_path}/backup
        registry_logins
        [ $before != $SECRET_REGISTRY_LOGINS ]
    """
    done = _in_the_script(tmp_path, program, HEADRACE_TLS="no")
    assert (done.returncode, done.stdout) == (0, f"{here or 'then'}\n"), done.stderr


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_new_certificate_is_by_the_same_authority(tmp_path: Path) -> None:
    def make(*words: str) -> subprocess.CompletedProcess[str]:
        command = [PROJECT / "scripts" / "gen-cert.sh", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert make(str(tmp_path), "10.0.0.1", "hydro.example").returncode == 0
    authority, first = (tmp_path / "ca.crt").read_bytes(), (tmp_path / "tls.crt").read_bytes()
    assert make("--days", "30", str(tmp_path), "hydro.example").returncode == 0
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "tls.crt").read_bytes() != first
    verified = ["openssl", "verify", "-CAfile", tmp_path / "ca.crt", tmp_path / "tls.crt"]
    subprocess.run(verified, check=True, capture_output=True)
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600
    refused = make(str(tmp_path), "https://hydro.example")
    assert refused.returncode == 2
    assert "neither a host name nor an address" in refused.stderr


def test_each_tag_is_deployed_by_the_digest_that_it_was_pushed_with(tmp_path: Path) -> None:
    named = "image_reference service || echo none"
    program = f"""
        HEADRACE_TAG=1.0; image_keep service r/service@sha256:old
        image_keep service r/service@sha256:one
        image_keep redis r/redis@sha256:r
        HEADRACE_TAG=1.1; {named}
        image_keep service r/service@sha256:two; {named}
        HEADRACE_TAG=1.0; {named}
        HEADRACE_TAG=1x0; {named}
    """
    done = _in_the_script(tmp_path, program, HEADRACE_REGISTRY="r")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["none", "r/service@sha256:two", "r/service@sha256:one", "none"]
