#!/usr/bin/env bash
# Builds the images of Headrace.
set -euo pipefail

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/docker.sh
. "$project_root/scripts/lib/docker.sh"

# Each with the folder of its Dockerfile; the base, and what one stands on, come first of themselves.
declare -A folders=(
  [service]=docker/main
  [worker-python]=docker/workers/python
  [worker-mpi]=docker/workers/mpi
  [worker-bmi]=docker/workers/bmi
  [redis]=docker/redis
  [object-store]=docker/object_store
  [dev-registry]=docker/dev_registry
)
images_known=(service worker-python worker-mpi worker-bmi redis object-store dev-registry)
declare -A stands_on=([worker-bmi]="worker-python worker-mpi")

usage() {
  cat <<EOF
Usage: scripts/build-images.sh [-h] [--tag TAG] [--build-arg A=B]... [IMAGE...]

IMAGE: ${images_known[*]}; all of them without.
Builds headrace/IMAGE:TAG, and headrace/base:TAG below them, on the Docker Engine at DOCKER_HOST.

  --tag TAG        without: the version in pyproject.toml
  --build-arg A=B  for the Dockerfiles, such as HTTP_PROXY=http://proxy:3128, or the models of
                   worker-bmi: "PACKAGES=HBV==1.5.2"

The base begins with $docker_python_image where scripts/build-base-image.sh has made it, else with
python:3.11-slim-bookworm of the hub. CA certificates in docker/base/ca/ and in this machine's
/usr/local/share/ca-certificates/ are put into the images. Where pip looks for packages on this
machine (its index-url, extra-index-url and trusted-host) it does in the builds, and no image
remembers it.
EOF
}

fail_usage() {
  echo "build-images.sh: $1" >&2
  exit 2
}

tag="" asked=() arguments=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --tag)
      [[ ${2:-} =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
        fail_usage "--tag needs a tag: letters, digits, and . _ - after the first"
      tag=$2
      shift
      ;;
    --build-arg)
      [[ ${2:-} == ?*=* ]] || fail_usage "--build-arg needs NAME=VALUE"
      arguments+=(--build-arg "$2")
      shift
      ;;
    *)
      [[ " ${images_known[*]} " == *" $1 "* ]] ||
        fail_usage "unknown image '$1'; known are: ${images_known[*]}"
      asked+=("$1")
      ;;
  esac
  shift
done
[ ${#asked[@]} -gt 0 ] || asked=("${images_known[@]}")

cd "$project_root"
docker_answers || exit 1
docker_find_builder || exit 1
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
tag=${tag:-$version}
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || revision+=-modified

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The settings of pip that say where it looks; a path of this machine means nothing in a build.
pip_settings() {
  echo "[global]"
  python3 -m pip config list 2>/dev/null |
    sed -nE "s/^[^.]*\.((extra-)?index-url|trusted-host)='(.*)'$/\1 = \3/p" | grep -v ' = file:'
}
pip_settings >"$work/pip.conf" || true

# Builds headrace/$1:$tag with the words that follow; what the builder says is shown if it fails.
build() {
  local image=headrace/$1:$tag started=$SECONDS
  shift
  if ! "${docker_builder[@]}" --network host --tag "$image" "${arguments[@]}" "$@" >"$work/log" 2>&1 </dev/null; then
    cat "$work/log" >&2
    echo "build-images.sh: $image was not built: see above." >&2
    exit 1
  fi
  printf 'images: built %s (%d MB) in %d s\n' "$image" \
    $(($(docker image inspect --format '{{.Size}}' "$image") / 1000000)) $((SECONDS - started))
}

# The certificates go into a copy: nothing of this machine gets into the project's folder.
cp -r docker/base "$work/base"
find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$work/base/ca/" \; 2>/dev/null ||
  true
from=()
if docker image inspect "$docker_python_image" >/dev/null 2>&1; then
  from=(--build-arg "BASE_IMAGE=$docker_python_image")
fi
build base "${from[@]}" "$work/base"
# Whether image $1 is there as it would be built: of this commit, and with nothing changed since.
is_there() {
  [[ $revision != unknown && $revision != *-modified ]] || return 1
  [ "$revision" = "$(docker image inspect "headrace/$1:$tag" 2>/dev/null \
    --format '{{index .Config.Labels "org.opencontainers.image.revision"}}')" ]
}

# Builds image $1 and, before it, what it stands on.
build_image() {
  local name=$1 each
  for each in ${stands_on[$name]:-}; do
    is_there "$each" || build_image "$each"
  done
  build "$name" --file "${folders[$name]}/Dockerfile" --secret "id=pip,src=$work/pip.conf" \
    --build-arg "BASE=headrace/base:$tag" --build-arg "VERSION=$version" \
    --build-arg "WORKER_PYTHON=headrace/worker-python:$tag" \
    --build-arg "WORKER_MPI=headrace/worker-mpi:$tag" --build-arg "REVISION=$revision" .
}
# No image has Node.js: what it makes is made here.
if [[ " ${asked[*]} " == *" service "* ]]; then
  builder=python3
  [ ! -x .venv/bin/python ] || builder=.venv/bin/python
  "$builder" python/gui/build_hook.py >/dev/null || exit 1
fi
for name in "${asked[@]}"; do
  build_image "$name"
done
