"""Maintenance, backup and restore by control-stack.sh: Redis of a stack on a swarm of one node."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.docker_engine import why_no_engine
from tests.support.docker_images import TAG, image_file

pytestmark = pytest.mark.skipif(bool(why_no_engine()), reason=why_no_engine())

PROJECT = Path(__file__).parents[2]
# Addresses that another run on this machine hardly has.
_NETWORK = f"10.{150 + os.getpid() % 50}.{os.getpid() // 50 % 256}.0/24"
# All of a restore but the deployment of the services, which the tests of deploying look at.
_RUN = """
set -euo pipefail
project_root=$PROJECT env_file=$FOLDER/env
work=$(mktemp -d -p "$FOLDER") compose_files=() build_arguments=()
file=$FOLDER/backup.tar
declare -A options=([HEADRACE_STACK]=hand [HEADRACE_TAG]=$TAG)
declare -A operands=([backup]=$file [restore]=$file [maintenance]=on)
say() { echo "$*"; }
fail() { echo "FAILED: $1; $2"; exit 1; }
for name in docker control-env control-check control-deploy control-operate; do
  . "$project_root/scripts/lib/$name.sh"
done
env_make; env_load; secrets_make; secrets_name
rcli() {
  docker exec "$(redis_container)" sh -c \
    'REDISCLI_AUTH=$(cat /run/secrets/redis_admin) redis-cli --user admin "$@"' - "$@"
}
do_networks main; nodes_label; images_name main
secrets_create $(secrets_of main)
stack_deploy hand -c "$project_root/docker/main/redis.yaml"
wait_converged hand hand_redis
redis_users keep
rcli SET hr:epoch first; rcli HSET hr:free:n1 room "1 1"; rcli SET kept yes
reason="new disks" do_maintenance main
do_backup main
(do_backup main) || true
rcli SET later yes
do_deploy() { echo "then $1 is deployed"; }
do_restore main
for key in hr:epoch hr:restored kept later; do echo "$key=$(rcli GET $key)"; done
echo "free=$(rcli EXISTS hr:free:n1) why=$(rcli HGET hr:maintenance why)"
printf x >>"$file"
sed -i s/REDIS0/REDIS1/ "$file"
(do_restore main) || true
do_stop main
"""


def test_a_restored_redis_holds_the_backup_in_a_new_epoch(run_root: Path) -> None:
    folder = run_root / "operate"
    folder.mkdir()
    swarm = PROJECT / "scripts" / "dev-swarm.sh"
    environ = {
        **os.environ,
        "HEADRACE_DEV_SWARM": str(folder / "swarm"),
        "DOCKER_HOST": f"unix://{folder}/swarm/nodes/manager1/docker.sock",
        "DOCKER_CONFIG": str(folder / "cli"),
        "PROJECT": str(PROJECT),
        "FOLDER": str(folder),
        "TAG": TAG,
    }

    def run(*words: str | Path) -> str:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=600, check=False, env=environ
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    files = [image_file(run_root, name) for name in ("redis", "service")]
    try:
        run(swarm, "up", "--workers", "0", "--network", _NETWORK)
        for file in files:
            run("docker", "load", "--quiet", "--input", file)
        for name in ("worker-python", "worker-mpi"):  # named, and not run here
            run("docker", "tag", f"headrace/service:{TAG}", f"headrace/{name}:{TAG}")
        said = run("bash", "-c", _RUN)
    finally:
        run(swarm, "down")
    at = said.partition("hand as of ")[2].partition(",")[0]
    assert "new disks; jobs under way: 0" in said
    assert f"FAILED: {folder}/backup.tar is there already" in said
    assert "then main is deployed" in said
    told = dict(
        line.split("=", 1)
        for line in said.splitlines()
        if line.startswith(("hr:", "kept", "later"))
    )
    assert told["hr:epoch"] not in ("", "first")
    assert (told["hr:restored"], told["kept"], told["later"]) == (at, "yes", "")
    assert "free=0 why=new disks" in said
    assert f"FAILED: {folder}/backup.tar is no whole backup" in said
