# shellcheck shell=bash disable=SC2154 # `folder` and `project_root` come from who sources this
# Sourced by dev-swarm.sh: the nodes of a swarm on one machine. A node is a Docker Engine in
# namespaces of its own (engine-init.sh) with a network link to a bridge of ours. Nothing here
# stands in a file that could be out of date: a node is found by the command line of its first
# process, links and rules by their names.
#
# Needs `project_root` and, set by `swarm_choose`: `folder` (all files lie there), `network`
# (its three first numbers), `bridge`, `mark` (on every rule of ours), `group` (of its cgroups).

# Takes the three first numbers of a /24, such as 10.99.0, for this swarm's network.
swarm_choose() {
  local hex
  network=$1
  # shellcheck disable=SC2086 # three numbers for three places
  hex=$(printf '%02x%02x%02x' ${network//./ })
  bridge=hrsw$hex mark="headrace-dev-swarm $network.0/24" group=headrace-dev-swarm-$hex
}

# Prints the nodes that were ever made, managers first.
nodes_all() {
  find "$folder/nodes" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -V || true
}

node_host() { echo "unix://$folder/nodes/$1/docker.sock"; }

# managerN gets .N, workerN .100+N; the machine itself has .1 on the bridge, so .10 is added.
node_address() {
  case $1 in
    manager*) echo "$network.$((10 + ${1#manager}))" ;;
    worker*) echo "$network.$((100 + ${1#worker}))" ;;
  esac
}

# The end of the link of a node that is on the bridge: its name may have 15 letters.
node_link() {
  case $1 in
    manager*) echo "${bridge}m${1#manager}" ;;
    worker*) echo "${bridge}w${1#worker}" ;;
  esac
}

# docker of a node, which never waits long: a manager without its peers does not answer.
node_docker() {
  local node=$1
  shift
  DOCKER_HOST=$(node_host "$node") timeout 20 docker "$@"
}

# Prints the number of a node's first process: of root, process 1 of its own namespace, and with
# exactly the command line that node_start gives it. Fails when the node does not run.
node_process() {
  local candidate words status
  for candidate in $(pgrep -f "engine-init.sh $folder/nodes/$1 " || true); do
    mapfile -d '' -t words 2>/dev/null <"/proc/$candidate/cmdline" || continue
    status=$(grep -E '^(NSpid|Uid):' "/proc/$candidate/status" 2>/dev/null) || continue
    if [ "${words[1]:-}" = "$project_root/scripts/lib/engine-init.sh" ] &&
      [ "${words[2]:-}" = "$folder/nodes/$1" ] &&
      [[ $status =~ Uid:[[:space:]]+0[[:space:]] && $status =~ NSpid:.*[[:space:]]1($'\n'|$) ]]; then
      echo "$candidate"
      return
    fi
  done
  return 1
}

# Starts what is missing of a node; it is ready once node_wait says so.
node_start() {
  local node=$1 process
  mkdir -p "$folder/nodes/$node" /run/containerd
  if ! node_process "$node" >/dev/null; then
    # Not --kill-child alone keeps a node together: the kernel ends a namespace with its process 1.
    setsid unshare --fork --kill-child --pid --mount-proc --mount --propagation=slave --net \
      --uts --ipc "$project_root/scripts/lib/engine-init.sh" "$folder/nodes/$node" "$node" \
      "$network.1" --cgroup-parent="/$group/$node" --insecure-registry="$network.0/24" </dev/null \
      >>"$folder/nodes/$node/dockerd.log" 2>&1 9>&- &
    until process=$(node_process "$node"); do
      kill -0 $! 2>/dev/null || fail "$node did not start: see $folder/nodes/$node/dockerd.log"
      sleep 0.02
    done
  fi
  node_connect "$node"
}

# Gives a node that runs its link, its address and its route; what is there stays.
node_connect() {
  local node=$1 process link address mac
  process=$(node_process "$node") link=$(node_link "$node") address=$(node_address "$node")
  # The same after every start, as of a real machine: else the others look for the old one.
  # shellcheck disable=SC2086 # four numbers for four places
  mac=$(printf '02:00:%02x:%02x:%02x:%02x' ${address//./ })
  if ! node_net "$process" ip link show eth0 >/dev/null 2>&1; then
    ip link del "$link" 2>/dev/null || true
    ip link add "$link" type veth peer name eth0 address "$mac" netns "$process"
  fi
  ip link set "$link" master "$bridge" up
  node_net "$process" ip address replace "$address/24" dev eth0
  node_net "$process" ip link set eth0 up
  node_net "$process" ip route replace default via "$network.1"
}

# Runs a command in the network of a node's first process.
node_net() {
  local process=$1
  shift
  nsenter --target "$process" --net "$@"
}

# Waits until a node's engine answers.
node_wait() {
  local node=$1 deadline=$((SECONDS + 150))
  until node_docker "$node" version >/dev/null 2>&1; do
    node_process "$node" >/dev/null || fail "$node ended: see $folder/nodes/$node/dockerd.log"
    [ "$SECONDS" -lt "$deadline" ] ||
      fail "the engine of $node stays silent: see $folder/nodes/$node/dockerd.log"
    sleep 0.1
  done
}

# Ends a node as a power cut does: the kernel takes dockerd, containerd, containers, mounts and the
# link along with the first process. Nothing when it does not run.
node_kill() {
  local node=$1 process deadline=$((SECONDS + 30))
  while process=$(node_process "$node"); do
    kill -KILL "$process" 2>/dev/null || true
    while [ -d "/proc/$process" ]; do
      [ "$SECONDS" -lt "$deadline" ] || fail "$node was killed, but process $process stays"
      sleep 0.02
    done
  done
  ip link del "$(node_link "$node")" 2>/dev/null || true
  groups_remove "$group/$node"
}

# Removes the control groups that containers had; in version 1 each controller has a tree.
groups_remove() {
  local top
  for top in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
    [ ! -d "$top" ] || find "$top" -depth -type d -exec rmdir {} \; 2>/dev/null || true
  done
}

# The two rules that cut a node off. In `mangle`, before all that Docker arranges.
node_cut_rules() {
  printf '%s\n' "PREROUTING -i eth0 -j DROP" "POSTROUTING -o eth0 -j DROP"
}

node_is_cut() {
  local process
  process=$(node_process "$1") &&
    node_net "$process" iptables -w -t mangle -C PREROUTING -i eth0 -j DROP 2>/dev/null
}

node_cut() {
  local process rule
  process=$(node_process "$1") || fail "$1 does not run, so it can't be cut off" \
    "start it: scripts/dev-swarm.sh heal $1"
  while read -ra rule; do
    node_net "$process" iptables -w -t mangle -C "${rule[@]}" 2>/dev/null ||
      node_net "$process" iptables -w -t mangle -I "${rule[@]}"
  done < <(node_cut_rules)
}

node_mend() {
  local process rule
  process=$(node_process "$1") || return 0
  while read -ra rule; do
    while node_net "$process" iptables -w -t mangle -D "${rule[@]}" 2>/dev/null; do :; done
  done < <(node_cut_rules)
}

# The rules of ours on the machine itself: nodes reach each other, and the world beyond.
machine_rules() {
  printf '%s\n' "filter FORWARD -i $bridge -j ACCEPT" \
    "filter FORWARD -o $bridge -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT" \
    "nat POSTROUTING -s $network.0/24 ! -o $bridge -j MASQUERADE"
}

# Makes the bridge, its address and the rules; what is there stays.
bridge_make() {
  local rule
  if ! ip link show "$bridge" >/dev/null 2>&1; then
    network_is_free
    ip link add "$bridge" type bridge
  fi
  ip address replace "$network.1/24" dev "$bridge"
  ip link set "$bridge" up
  while read -ra rule; do
    iptables -w -t "${rule[0]}" -C "${rule[@]:1}" -m comment --comment "$mark" 2>/dev/null ||
      iptables -w -t "${rule[0]}" -I "${rule[@]:1}" -m comment --comment "$mark"
  done < <(machine_rules)
  if [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ]; then
    touch "$folder/forwarding-was-off"
    echo 1 >/proc/sys/net/ipv4/ip_forward
  fi
}

bridge_remove() {
  local rule
  while read -ra rule; do
    while iptables -w -t "${rule[0]}" -D "${rule[@]:1}" -m comment --comment "$mark" 2>/dev/null; do
      :
    done
  done < <(machine_rules)
  ip link del "$bridge" 2>/dev/null || true
  [ ! -e "$folder/forwarding-was-off" ] || echo 0 >/proc/sys/net/ipv4/ip_forward
}

# Fails when something of this machine has an address or a route in the network already.
network_is_free() {
  local taken
  taken=$({
    ip -4 route show table all to root "$network.0/24"
    ip -4 route show table all to match "$network.1" | grep -v '^default' || true
  } | sort -u)
  [ -z "$taken" ] || fail "the addresses $network.0/24 are in use on this machine (${taken%%$'\n'*})" \
    "choose others: scripts/dev-swarm.sh up --network 10.98.0.0/24"
}
