#!/usr/bin/env bash
# A real Docker Swarm of several nodes on one Linux machine, for tests and demos.
set -euo pipefail

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/swarm-nodes.sh
. "$project_root/scripts/lib/swarm-nodes.sh"

folder=${HEADRACE_DEV_SWARM:-/var/tmp/headrace-dev-swarm}
network_first=10.99.0

usage() {
  cat <<EOF
Usage: scripts/dev-swarm.sh [-h] up|down|status|kill-node|partition|heal [-h] [ARGUMENT...]

A real Docker Swarm of several nodes on this machine, for tests and demos. Each node is a Docker
Engine of its own with an address of its own; none of them touches the machine's own Docker.

  up [--managers N] [--workers N] [--network A.B.C.0/24]   start it, or what is missing of it
  status [-o json]   the nodes, their state, and how to speak to them
  kill-node NODE     end a node with all its containers, as a power cut does
  partition NODE     cut a node off from all others
  heal NODE          start a killed node again, and connect one that was cut off
  down               end it and remove all of it

It needs root, docker.io, iptables and iproute2. Everything lies in one folder:
  HEADRACE_DEV_SWARM   that folder (now: $folder)
EOF
}

usage_of() {
  case $1 in
    up)
      cat <<EOF
Usage: scripts/dev-swarm.sh up [-h] [--managers N] [--workers N] [--network A.B.C.0/24]

Starts a swarm, or what is missing of it: nodes that are new, were killed or never came up, and
connections that were cut. A second 'up' without numbers keeps those of the first.

  --managers N   1 to 9 (the first time: 1); named manager1, manager2, ...
  --workers N    0 to 99 (the first time: 2); named worker1, worker2, ...
  --network NET  the addresses for bridge and nodes (the first time: $network_first.0/24)

Two swarms at once need two folders (HEADRACE_DEV_SWARM) and two networks.
EOF
      ;;
    down)
      cat <<EOF
Usage: scripts/dev-swarm.sh down [-h]

Ends all nodes with their containers, and removes their networks, rules and files, images and
volumes among them. Nothing when there is no swarm.
EOF
      ;;
    status)
      cat <<EOF
Usage: scripts/dev-swarm.sh status [-h] [-o json]

Shows each node: its role, its state, its address and its DOCKER_HOST. States: ready and down as the
swarm sees it (it needs some seconds to see a change), killed, cut off, and unknown when no manager
answers.
EOF
      ;;
    kill-node)
      cat <<EOF
Usage: scripts/dev-swarm.sh kill-node [-h] NODE

Ends the node's dockerd, its containerd and its containers by SIGKILL, as a power cut does. Its files
stay: 'heal NODE' or 'up' starts it again.
EOF
      ;;
    partition)
      cat <<EOF
Usage: scripts/dev-swarm.sh partition [-h] NODE

Drops every packet on the node's link, both ways. Its containers go on, and DOCKER_HOST still reaches
its engine. 'heal NODE' or 'up' connects it again.
EOF
      ;;
    heal)
      cat <<EOF
Usage: scripts/dev-swarm.sh heal [-h] NODE

Starts the node when it was killed, connects it when it was cut off, and waits until the swarm sees
it as ready.
EOF
      ;;
  esac
}

# Ends with what is wrong ($1) and what to do ($2).
fail() {
  echo "dev-swarm.sh: $1" >&2
  [ -z "${2:-}" ] || echo "  $2" >&2
  exit 1
}

fail_usage() {
  echo "dev-swarm.sh: $1 ('scripts/dev-swarm.sh -h' tells more)" >&2
  exit 2
}

need_machine() {
  local command missing=()
  [ "$(id -u)" -eq 0 ] || fail "namespaces and links can only be made by root" "run it with sudo"
  for command in docker dockerd containerd runc iptables ip unshare nsenter pgrep flock setsid; do
    command -v "$command" >/dev/null || missing+=("$command")
  done
  [ ${#missing[@]} -eq 0 ] || fail "not installed here: ${missing[*]}" \
    "Debian: apt-get install docker.io iptables iproute2 procps util-linux"
}

# Makes or checks the folder; one command at a time may change the swarm.
lock_folder() {
  [[ $folder == /* && $folder != *[[:space:]]* ]] ||
    fail "HEADRACE_DEV_SWARM='$folder' is no absolute path without blanks"
  [ ${#folder} -le 70 ] || fail "the path $folder is too long for the sockets below it" \
    "name a shorter one in HEADRACE_DEV_SWARM"
  if [ -e "$folder" ] && { [ -L "$folder" ] || [ ! -d "$folder" ] || [ ! -O "$folder" ] ||
    { [ ! -e "$folder/lock" ] && [ -n "$(ls -A "$folder")" ]; }; }; then
    fail "$folder is there and is not a swarm's folder of this user" \
      "name another in HEADRACE_DEV_SWARM"
  fi
  [ -d "$folder" ] || { mkdir -p "$(dirname "$folder")" && mkdir -m 700 "$folder"; }
  exec 9>>"$folder/lock"
  flock -w 120 9 || fail "another dev-swarm.sh is at work on $folder" "try again when it has ended"
  # 'down' removes the folder: who waited for its lock begins anew.
  [ "$folder/lock" -ef /dev/fd/9 ] || lock_folder
  trap leave_folder EXIT
}

# Takes away a folder that holds no swarm.
leave_folder() {
  [ -e "$folder/network" ] || { rm -f "$folder/lock" && rmdir "$folder"; } 2>/dev/null || true
}

# Reads which swarm the folder holds; fails when it holds none.
open_swarm() {
  [ -e "$folder/network" ] || return 1
  swarm_choose "$(cat "$folder/network")"
}

need_swarm() {
  need_machine
  open_swarm || fail "there is no swarm in $folder" "start one: scripts/dev-swarm.sh up"
  lock_folder
  open_swarm || fail "there is no swarm in $folder any more"
}

need_node() {
  [ $# -eq 1 ] || fail_usage "name one node"
  need_swarm
  [[ $1 =~ ^(manager|worker)[1-9][0-9]*$ && -d $folder/nodes/$1 ]] ||
    fail "there is no node '$1'; there are: $(nodes_all | paste -sd ' ')"
}

# Prints a manager that can answer for the swarm; fails when none does.
leader() {
  local node
  for node in $(nodes_all | grep '^manager'); do
    node_is_cut "$node" && continue
    if node_docker "$node" node ls >/dev/null 2>&1; then
      echo "$node"
      return
    fi
  done
  return 1
}

# Makes a node a member of the swarm, the first manager its beginning.
join() {
  local node=$1 address by token role=worker
  address=$(node_address "$node")
  case $(node_docker "$node" info --format '{{.Swarm.LocalNodeState}}') in
    active | pending) return ;;
    inactive) ;;
    # A join that was broken off.
    *) node_docker "$node" swarm leave --force >/dev/null ;;
  esac
  if ! by=$(leader); then
    [ "$node" = manager1 ] || fail "no manager answers, so $node can't join" \
      "look at $folder/nodes/manager1/dockerd.log"
    node_docker "$node" swarm init --advertise-addr "$address" --listen-addr "$address" >/dev/null
    return
  fi
  [[ $node != manager* ]] || role=manager
  token=$(node_docker "$by" swarm join-token -q "$role")
  node_docker "$node" swarm join --token "$token" --advertise-addr "$address" \
    --listen-addr "$address" "$(node_address "$by"):2377" >/dev/null
}

# Waits until the swarm sees these nodes as ready, and forgets earlier members of their names.
wait_ready() {
  local by node id deadline=$((SECONDS + 150)) lines missing
  while :; do
    missing=("$@")
    if by=$(leader); then
      lines=$(node_docker "$by" node ls --format '{{.Hostname}} {{.Status}}')
      missing=()
      for node in "$@"; do
        # The swarm goes on to see a node as ready for some seconds after it was killed.
        [ "$(node_docker "$node" info --format '{{.Swarm.LocalNodeState}}')" = active ] &&
          grep -qx "$node Ready" <<<"$lines" || missing+=("$node")
      done
    fi
    [ ${#missing[@]} -gt 0 ] || break
    [ "$SECONDS" -lt "$deadline" ] ||
      fail "the swarm does not see ${missing[*]} as ready" "logs: $folder/nodes/*/dockerd.log"
    sleep 0.2
  done
  node_docker "$by" node ls --format '{{.ID}} {{.Hostname}} {{.Status}}' |
    while read -r id node lines; do
      if [ "$lines" = Down ] && [[ " $* " == *" $node "* ]]; then
        node_docker "$by" node demote "$id" >/dev/null 2>&1 || true
        node_docker "$by" node rm --force "$id" >/dev/null
      fi
    done
}

do_up() {
  local managers="" workers="" wanted="" node nodes=()
  while [ $# -gt 0 ]; do
    case $1 in
      --managers)
        [[ ${2:-} =~ ^[1-9]$ ]] || fail_usage "--managers needs a number from 1 to 9"
        managers=$2
        ;;
      --workers)
        [[ ${2:-} =~ ^(0|[1-9][0-9]?)$ ]] || fail_usage "--workers needs a number from 0 to 99"
        workers=$2
        ;;
      --network)
        [[ ${2:-} =~ ^(([0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5])\.){3}0/24$ ]] ||
          fail_usage "--network needs a network such as 10.98.0.0/24"
        wanted=${2%.0/24}
        ;;
      *) fail_usage "unknown argument '$1' of up" ;;
    esac
    shift 2
  done
  need_machine
  lock_folder
  if open_swarm; then
    [ -z "$wanted" ] || [ "$wanted" = "$network" ] ||
      fail "the swarm in $folder has the network $network.0/24" \
        "'down' it first, or name another folder in HEADRACE_DEV_SWARM"
    if [ -d "$folder/nodes" ]; then
      managers=${managers:-$(nodes_all | grep -c '^manager' || true)}
      workers=${workers:-$(nodes_all | grep -c '^worker' || true)}
    fi
  else
    swarm_choose "${wanted:-$network_first}"
    [ ! -e "/sys/class/net/$bridge" ] ||
      fail "another swarm has the network $network.0/24" \
        "choose another: scripts/dev-swarm.sh up --network 10.98.0.0/24"
    network_is_free
    echo "$network" >"$folder/network"
  fi
  managers=${managers:-1} workers=${workers:-2}
  for ((i = 1; i <= managers; i++)); do nodes+=("manager$i"); done
  for ((i = 1; i <= workers; i++)); do nodes+=("worker$i"); done
  for node in $(nodes_all); do
    [[ " ${nodes[*]} " == *" $node "* ]] ||
      fail "there is a $node already, and 'up' removes none" "begin anew: scripts/dev-swarm.sh down"
  done
  # Their folders first: so the next 'up' knows how many there shall be, if this one is killed.
  mkdir -p "${nodes[@]/#/$folder/nodes/}"
  bridge_make
  for node in "${nodes[@]}"; do node_start "$node"; done
  for node in "${nodes[@]}"; do
    node_mend "$node"
    node_wait "$node"
    join "$node"
  done
  wait_ready "${nodes[@]}"
  show_text
}

do_down() {
  local node
  [ $# -eq 0 ] || fail_usage "down takes no argument"
  if ! open_swarm && [ ! -e "$folder/lock" ]; then
    echo "there is no swarm in $folder"
    return
  fi
  need_machine
  lock_folder
  if open_swarm; then
    for node in $(nodes_all); do node_kill "$node"; done
    bridge_remove
    groups_remove "$group"
  fi
  rm -rf "$folder/nodes" "$folder/forwarding-was-off" "$folder/network"
  echo "the swarm in $folder is gone"
}

# Prints for each node, apart by tabs: name, role, state, address, DOCKER_HOST.
show_nodes() {
  local by lines="" node state
  if by=$(leader); then
    lines=$(node_docker "$by" node ls --format '{{.Hostname}} {{.Status}}') || lines=""
  fi
  for node in $(nodes_all); do
    if ! node_process "$node" >/dev/null; then
      state=killed
    elif node_is_cut "$node"; then
      state="cut off"
    else
      state=$(sed -n "s/^$node //p" <<<"$lines" | head -n 1)
      state=${state,,}
    fi
    printf '%s\t%s\t%s\t%s\t%s\n' "$node" "${node%%[0-9]*}" "${state:-unknown}" \
      "$(node_address "$node")" "$(node_host "$node")"
  done
}

show_text() {
  echo "swarm on $network.0/24 in $folder"
  {
    printf 'NODE\tSTATE\tADDRESS\tTO SPEAK TO IT\n'
    show_nodes | while IFS=$'\t' read -r node _ state address host; do
      printf '%s\t%s\t%s\texport DOCKER_HOST=%s\n' "$node" "$state" "$address" "$host"
    done
  } | column -t -s $'\t'
}

# Names, states, addresses and paths without blanks need no escaping.
show_json() {
  local separator=""
  printf '{"folder": "%s", "network": "%s.0/24", "nodes": [' "$folder" "$network"
  show_nodes | while IFS=$'\t' read -r node role state address host; do
    printf '%s\n  {"name": "%s", "role": "%s", "state": "%s", "address": "%s", "docker_host": "%s"}' \
      "$separator" "$node" "$role" "$state" "$address" "$host"
    separator=,
  done
  printf '\n]}\n'
}

do_status() {
  local json=""
  case "$*" in
    "") ;;
    "-o json") json=yes ;;
    *) fail_usage "status takes '-o json' or nothing" ;;
  esac
  need_machine
  open_swarm || fail "there is no swarm in $folder" "start one: scripts/dev-swarm.sh up"
  if [ -n "$json" ]; then show_json; else show_text; fi
}

do_kill_node() {
  need_node "$@"
  node_kill "$1"
  echo "$1 is killed"
}

do_partition() {
  need_node "$@"
  node_cut "$1"
  echo "$1 is cut off"
}

do_heal() {
  need_node "$@"
  bridge_make
  node_start "$1"
  node_mend "$1"
  node_wait "$1"
  join "$1"
  wait_ready "$1"
  echo "$1 is ready"
}

command=${1:-}
case $command in
  -h | --help) usage; exit 0 ;;
  up | down | status | kill-node | partition | heal) shift ;;
  "") fail_usage "name a command: up, down, status, kill-node, partition or heal" ;;
  *) fail_usage "unknown command '$command'; known are: up, down, status, kill-node, partition, heal" ;;
esac
case ${1:-} in
  -h | --help) usage_of "$command"; exit 0 ;;
esac
"do_${command//-/_}" "$@"
