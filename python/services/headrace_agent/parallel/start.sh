#!/bin/sh
# The first program of each worker of an attempt whose ranks are spread over nodes. The workers
# answer to the names rank-0, rank-1, ... in a network of their own. Rank 0's waits until all
# others answer and runs the command, which reaches them by ssh; the others serve that.
#
# It takes an image with sh, ssh, sshd and Open MPI, and nothing else: who it runs as, its keys,
# settings and this program come from Headrace. Exit code 75 (EX_TEMPFAIL) says that another
# worker is away.
set -u

here=${0%/*}
own=/tmp/headrace
wait_s=900 # a node may have to pull the image first
away=75
export PATH="$PATH:/usr/sbin:/usr/local/sbin"

say() {
  echo "headrace: $1" >&2
}

# One key pair serves as everybody's: who has it is of this attempt, host or user.
lay_keys() {
  umask 077
  mkdir -p "$own" && cp "$HEADRACE_PARALLEL_KEY" "$own/key" &&
    public=$(ssh-keygen -y -f "$own/key") &&
    echo "$public" >"$own/authorized_keys" &&
    echo "headrace $public" >"$own/known_hosts"
}

# Prints the slots of a worker when its sshd answers.
ask_slots() {
  ssh -n -F "$here/ssh_config" "rank-$1" 'echo "$HEADRACE_SLOTS"' 2>"$own/said.$1"
}

wait_for() {
  until slots=$(ask_slots "$1"); do
    [ "$(date +%s)" -lt "$until" ] || return
    sleep 0.2
  done
  echo "rank-$1 slots=$slots" >"$own/hosts.$1"
}

# Writes the list of hosts once each answers, rank 0 first.
wait_for_all() {
  until=$(($(date +%s) + wait_s))
  for rank in $others; do
    wait_for "$rank" &
  done
  wait
  [ -z "$told" ] || exit 143
  echo "rank-0 slots=$HEADRACE_SLOTS" >"$own/hosts"
  for rank in $others; do
    cat "$own/hosts.$rank" >>"$own/hosts" 2>/dev/null || lost "$rank"
  done
}

# Ends with the code that says so.
lost() {
  say "the worker of rank $1 does not answer: $(cat "$own/said.$1")"
  exit "$away"
}

# Prints a mask or an address of /proc/net/route, which has its bytes the other way round.
number() {
  rest=${1#??} first=${1%??????}
  second=${rest%????} rest=${rest#??}
  third=${rest%??} fourth=${rest#??}
  echo $((0x$fourth << 24 | 0x$third << 16 | 0x$second << 8 | 0x$first))
}

# Prints the network in which the workers find each other, as 10.0.1.0/24: they have another one
# too, by which none reaches a worker on another node.
shared_network() {
  address=$(getent ahostsv4 rank-0) && address=${address%% *} || return
  old_ifs=$IFS IFS=.
  # shellcheck disable=SC2086 # an address has four words
  set -- $address
  IFS=$old_ifs
  mine=$(($1 << 24 | $2 << 16 | $3 << 8 | $4))
  while read -r _ to _ _ _ _ _ mask _; do
    case $mask in *[!0-9A-F]* | 00000000 | '') continue ;; esac
    to=$(number "$to") mask=$(number "$mask")
    [ $((mine & mask)) -eq "$to" ] || continue
    bits=0
    while [ $((mask & 0xFFFFFFFF)) -ne 0 ]; do
      bits=$((bits + 1)) mask=$((mask << 1 & 0xFFFFFFFF))
    done
    echo "$((to >> 24)).$((to >> 16 & 255)).$((to >> 8 & 255)).$((to & 255))/$bits"
    return
  done </proc/net/route
  return 1
}

# Serves the ranks of this worker until it is told to end. Then it waits until they have ended:
# mpirun, which is told at the same time, tells them.
serve() {
  "$(command -v sshd)" -D -e -f "$here/sshd_config" &
  wait "$!"
  code=$?
  [ "$told" ] || exit "$code"
  while set -- /proc/[0-9]* && [ $# -gt 2 ]; do # more than the first process and this one
    sleep 0.1
  done
  exit 0
}

# Runs the command; tells one that failed by itself from one that lost a worker.
lead() {
  wait_for_all
  if network=$(shared_network); then
    export OMPI_MCA_btl_tcp_if_include="$network" OMPI_MCA_oob_tcp_if_include="$network"
  fi
  "$@" &
  command=$!
  wait "$command"
  code=$?
  while kill -0 "$command" 2>/dev/null; do # a signal has ended the wait
    wait "$command"
    code=$?
  done
  if [ "$code" -ne 0 ] && [ -z "$told" ]; then
    for rank in $others; do
      ask_slots "$rank" >/dev/null || lost "$rank"
    done
  fi
  exit "$code"
}

lay_keys || {
  say "no keys could be made of $HEADRACE_PARALLEL_KEY: has the image ssh-keygen?"
  exit 127
}
export -p >"$own/environment"
told= # SIGTERM goes to all that this program has started, so nothing has to be passed on
trap 'told=yes' TERM
if [ "$HEADRACE_RANK" -eq 0 ]; then
  others=$(seq 1 $((HEADRACE_RANKS - 1)))
  lead "$@"
fi
serve
