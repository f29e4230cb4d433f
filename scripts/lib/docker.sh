# shellcheck shell=bash
# Sourced by the scripts that speak to Docker Engines: building images, and carrying them from one
# engine to another without a registry. Needs `project_root`.

# The name of the Python image that scripts/build-base-image.sh makes.
# shellcheck disable=SC2034 # for those who source this
docker_python_image=headrace/python:3.11-bookworm

# True when an engine answers at DOCKER_HOST; else says why, and what to do.
docker_answers() {
  local said
  if ! command -v docker >/dev/null; then
    echo "There is no command 'docker' here. Install Docker (Debian: apt-get install docker.io)." >&2
    return 1
  fi
  if ! said=$(docker version --format '{{.Server.Version}}' 2>&1); then
    echo "No Docker Engine answers at ${DOCKER_HOST:-its usual place}: ${said##*$'\n'}" >&2
    echo "Start one, or name another in DOCKER_HOST (unix:///path/docker.sock)." >&2
    return 1
  fi
}

# Sets `docker_builder` to the words of a command that builds with BuildKit: buildx, or a client
# from before 23, which has BuildKit within itself (a later one without buildx can't build so).
docker_find_builder() {
  local candidate version
  docker_builder=()
  if docker buildx version >/dev/null 2>&1; then
    docker_builder=(docker buildx build --load)
    return
  fi
  for candidate in docker /usr/bin/docker; do
    version=$("$candidate" version --format '{{.Client.Version}}' 2>/dev/null) || continue
    if [ "${version%%.*}" -lt 23 ]; then
      docker_builder=(env DOCKER_BUILDKIT=1 "$candidate" build)
      return
    fi
  done
  echo "This docker can't build with BuildKit. Install its plug-in buildx (docker-buildx-plugin)," \
    "or Debian's docker.io." >&2
  return 1
}

# Copies images from one engine to another: SOURCE and TARGET as DOCKER_HOST takes them, IMAGE….
docker_copy_images() {
  local source=$1 target=$2
  shift 2
  # pipefail is the business of who sources this: a broken stream is refused by `load` anyway.
  DOCKER_HOST=$source docker save "$@" | DOCKER_HOST=$target docker load --quiet
}
