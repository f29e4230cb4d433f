# shellcheck shell=bash disable=SC2154 # `results` comes from who sources this
# Sourced by run-tests.sh: groups of tests that run side by side. Needs `results`, a folder for
# files `<group>.log` and `<group>.ended`, and `run_group`, which runs its programs under `timeout`:
# so they are no part of the terminal's foreground, and Ctrl-C reaches them once.
#
# Groups may do so because they share nothing but the folder of images that tests build
# (tests/support/docker_images.py): each has a run root, ports, engines and networks of its own.

# run_side_by_side N GROUP...: runs the groups in this order, N at a time. What a group says is
# shown whole when it has ended; Ctrl-C ends all of them.
run_side_by_side() {
  local lanes=$1 group
  shift
  trap 'stop_groups 130' INT
  trap 'stop_groups 143' TERM
  for group in "$@"; do
    while [ "$(jobs -pr | wc -l)" -ge "$lanes" ]; do
      wait -n
      show_once "$results"/*.ended
    done
    echo "=== $group starts; what it says follows when it has ended"
    run_aside "$group" &
  done
  while [ -n "$(jobs -pr)" ]; do
    wait -n
    show_once "$results"/*.ended
  done
  show_once "$results"/*.ended
  trap - INT TERM
}

run_aside() {
  trap : TERM # What it runs is ended by `stop_groups`.
  run_group "$1" >"$results/$1.log" 2>&1 </dev/null
  mv "$results/$1.log" "$results/$1.ended"
}

show_once() {
  local file
  for file in "$@"; do
    [ ! -e "$file" ] || { cat "$file"; rm "$file"; }
  done
}

# Ends the groups that run, as Ctrl-C ends one, shows what they said, and exits with code $1.
stop_groups() {
  local lane
  trap '' INT TERM
  for lane in $(jobs -pr); do pkill -INT -P "$lane"; done
  wait
  show_once "$results"/*.ended "$results"/*.log
  echo "run-tests.sh: ended by a signal" >&2
  exit "$1"
}
