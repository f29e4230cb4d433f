#!/bin/sh
# Process 1 of a Docker Engine that has namespaces of its own, so that nothing of it can outlive it:
# when dockerd ends, or this process is killed, the kernel ends every container with it and takes
# its mounts and links away. Started by `unshare --fork --pid --mount-proc … engine-init.sh`.
#
# Arguments: the engine's folder, its host name, the gateway to wait for ("" for none), then what
# dockerd gets besides. The folder holds data/ (kept), exec/, docker.sock, docker.pid.
set -u
folder=$1 name=$2 gateway=$3
shift 3

hostname "$name"
ip link set lo up
# The shims' sockets lie here, whatever --exec-root says; a killed engine would leave them behind.
mount -t tmpfs -o mode=711 tmpfs /run/containerd || exit 1
# What a killed engine left. Its process numbers mean nothing in this namespace.
rm -rf "$folder/exec" "$folder/docker.pid" "$folder/docker.sock"
# A swarm that starts before its address is there does not come back.
while [ -n "$gateway" ] && ! ip route | grep -q "^default via $gateway "; do sleep 0.05; done

dockerd --data-root "$folder/data" --exec-root "$folder/exec" -p "$folder/docker.pid" \
  -H "unix://$folder/docker.sock" "$@" &
dockerd=$!
trap 'kill -TERM "$dockerd"' TERM
while kill -0 "$dockerd" 2>/dev/null; do
  wait "$dockerd"
done
