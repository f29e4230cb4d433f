#!/usr/bin/env bash
# An image of Debian 12 with Python 3.11, made from Debian packages, for machines without a hub.
set -euo pipefail

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/docker.sh
. "$project_root/scripts/lib/docker.sh"

usage() {
  cat <<EOF
Usage: scripts/build-base-image.sh [-h]

Makes the image $docker_python_image from Debian packages, where no image hub can be reached;
else it is not needed. scripts/build-images.sh takes it for its base when it is there.
It needs root, mmdebstrap (apt-get install mmdebstrap) and a Docker Engine at DOCKER_HOST, and
takes half a minute to a minute. What is there already is left alone: 'docker rmi' it to have it
made anew, with the packages of the day.
EOF
}

if [ $# -gt 0 ]; then
  case $1 in
    -h | --help) usage; exit 0 ;;
    *) echo "build-base-image.sh takes no argument but -h, got: $1" >&2; exit 2 ;;
  esac
fi

docker_answers || exit 1
if docker image inspect "$docker_python_image" >/dev/null 2>&1; then
  echo "base: $docker_python_image is there already"
  exit
fi
if ! command -v mmdebstrap >/dev/null; then
  echo "mmdebstrap is missing. Install it: apt-get install mmdebstrap" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Packages can only be unpacked as root: run this with sudo." >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
started=$SECONDS
# Named, because apt's own user can't read the machine's list of keys everywhere.
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
trust=()
[ ! -r "$keyring" ] || trust=(--keyring="$keyring")
echo "base: fetching the packages of Debian 12 ..."
# What the hub's slim images leave out is left out here too; licences stay.
mmdebstrap --quiet "${trust[@]}" --variant=minbase --include=python3,python3-venv,ca-certificates \
  --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/man/*' \
  --dpkgopt='path-exclude=/usr/share/locale/*' \
  bookworm "$work/root.tar" \
  "deb http://deb.debian.org/debian bookworm main" \
  "deb http://deb.debian.org/debian bookworm-updates main" \
  "deb http://deb.debian.org/debian-security bookworm-security main" </dev/null
docker import "$work/root.tar" "$docker_python_image" >/dev/null
echo "base: made $docker_python_image in $((SECONDS - started)) s"
