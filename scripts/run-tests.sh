#!/usr/bin/env bash
# Runs the tests, group by group or several groups side by side. CI runs this without an argument.
set -uo pipefail

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/venv.sh
. "$project_root/scripts/lib/venv.sh"
# shellcheck source=scripts/lib/lanes.sh
. "$project_root/scripts/lib/lanes.sh"

groups_known=(unit contract integration acceptance faults simulation swarm hydrology browser soak)
# The longest first, so that those that run side by side end at about the same time.
# Not browser beside those that make networks: Chromium drops what it loads when one comes or goes.
groups_of_ci=(swarm acceptance integration faults hydrology unit browser simulation contract)
lanes_of_ci=3

usage() {
  cat <<EOF
Usage: scripts/run-tests.sh [-h] [--lanes N] [--minutes N] [--seeds N] [GROUP...]
                            [-- PYTEST-ARGUMENT...]

GROUP: ${groups_known[*]}, or all.
A group is the folder tests/GROUP. Without a group: scripts/check.sh and
${groups_of_ci[*]}, as far as they have
tests; this is what CI runs.

  --lanes N    how many groups run side by side, each group's output shown when it has ended
               ($lanes_of_ci without a GROUP, else 1: one after the other, output as it comes)
  --minutes N  how long soak runs, all its seeds together
               (HEADRACE_SOAK_MINUTES for its tests; 10 without)
  --seeds N    how many seeds soak tries (HEADRACE_SOAK_SEEDS; 4 without), the kills of
               faults and swarm (HEADRACE_FAULT_SEEDS; 1 without), and the simulation
               (HEADRACE_SIMULATION_SEEDS; without, as many as fit into 45 s, and
               10,000 in soak). HEADRACE_SIMULATION_FIRST_SEED is the simulation's first

Under CI=true a skipped test fails the run unless tests/skips.txt names it. Some tests read
sample files from the folder in HEADRACE_SAMPLES. The last line of the output is
"N passed, N failed, N skipped"; the exit code is 0 when nothing failed and some test ran.

Examples: scripts/run-tests.sh unit -- -k status -x
          scripts/run-tests.sh unit integration
          scripts/run-tests.sh --lanes 2 integration acceptance
          scripts/run-tests.sh soak --minutes 30 --seeds 10
          scripts/run-tests.sh faults --seeds 200 -- -k matrix
          scripts/run-tests.sh swarm --seeds 10 -- -k any_moment
          scripts/run-tests.sh soak --seeds 20000 -- -k simulated
          python -m tests.support.simulation --first 17 --trace   (one simulated seed again)
EOF
}

fail_usage() {
  echo "run-tests.sh: $1" >&2
  exit 2
}

# Sets `asked` ("check" is among them where it was not said), `lanes` and `pytest_arguments` from
# the command line.
read_arguments() {
  local options="" with_check=
  asked=() pytest_arguments=() lanes=
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --lanes | --minutes | --seeds)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || fail_usage "$1 needs a whole number above 0"
        case $1 in
          --lanes) lanes=$2 ;;
          --minutes) export HEADRACE_SOAK_MINUTES=$2 ;;
          --seeds) export HEADRACE_SOAK_SEEDS=$2 HEADRACE_FAULT_SEEDS=$2 HEADRACE_SIMULATION_SEEDS=$2 ;;
        esac
        options+=" $1 "
        shift
        ;;
      --) shift; pytest_arguments=("$@"); break ;;
      all) with_check=yes; asked=("${groups_known[@]}") ;;
      *)
        [[ " ${groups_known[*]} " == *" $1 "* ]] ||
          fail_usage "unknown group '$1'; known are: ${groups_known[*]}, all"
        asked+=("$1")
        ;;
    esac
    shift
  done
  if [ ${#asked[@]} -eq 0 ]; then
    with_check=yes
    asked=("${groups_of_ci[@]}")
    lanes=${lanes:-$lanes_of_ci}
  fi
  lanes=${lanes:-1}
  [[ $options != *" --minutes "* || " ${asked[*]} " == *" soak "* ]] ||
    fail_usage "--minutes is for the group soak"
  [[ $options != *" --seeds "* || " ${asked[*]} " =~ " soak "|" faults "|" swarm "|" simulation " ]] ||
    fail_usage "--seeds is for the groups soak, faults, simulation and swarm"
  [ -z "$with_check" ] || asked=(check "${asked[@]}")
}

# Keeps the result of one group for the table: name, exit code, seconds, outcomes file, note.
keep() {
  printf '%s\t%s\t%s\t%s\t%s\n' "$@" >>"$results/groups.tsv"
}

# Runs scripts/check.sh, or the tests of one folder. CI and lanes also end a group that hangs.
run_group() {
  local group=$1 limit=() limit_s=3600
  # A simulated seed takes some two seconds on a busy machine.
  case $group in
    soak)
      limit_s=$((limit_s + 60 * ${HEADRACE_SOAK_MINUTES:-10} + 2 * ${HEADRACE_SIMULATION_SEEDS:-10000}))
      ;;
    simulation) limit_s=$((limit_s + 2 * ${HEADRACE_SIMULATION_SEEDS:-0})) ;;
  esac
  [ "${CI:-}" != true ] && [ "$lanes" -eq 1 ] ||
    limit=(timeout --signal=INT --kill-after=30 "$limit_s")
  echo "=== $group"
  if [ "$group" = check ]; then run_check; else run_tests; fi
}

run_check() {
  local started=$SECONDS code=0 note="all hold"
  "${limit[@]}" "$project_root/scripts/check.sh" || code=$?
  [ "$code" -eq 0 ] || note="scripts/check.sh fails: see above"
  keep check "$code" $((SECONDS - started)) "" "$note"
}

# Prints where the files of a group's tests lie: in memory where that has room, since Redis waits
# for the disk at each write, and no test cuts the power. Swarms and models need more room.
folder_of() {
  local memory=/dev/shm least_kb=$((8 * 1024 * 1024))
  case $1 in
    unit | contract | integration | acceptance | faults)
      if [ "$(stat -f -c %T "$memory" 2>/dev/null)" = tmpfs ] && [ -w "$memory" ] &&
        [ "$(df -k --output=avail "$memory" | tail -n 1)" -gt "$least_kb" ] &&
        [ "$(awk '/^MemAvailable:/ {print $2}' /proc/meminfo)" -gt "$least_kb" ] &&
        ! findmnt -n -o OPTIONS "$memory" | grep -qw noexec; then
        echo "$memory"
        return
      fi
      ;;
  esac
  echo "${TMPDIR:-/tmp}"
}

run_tests() {
  local started=$SECONDS code=0 note=""
  local folder=tests/$group outcomes=$results/$group.jsonl
  if [ -z "$(find "$folder" -name 'test_*.py' -print -quit 2>/dev/null)" ]; then
    note="no tests: $folder has no test_*.py"
    [ -d "$folder" ] || note="no tests: there is no folder $folder"
    echo "$note"
    keep "$group" 0 0 "" "$note"
    return
  fi
  TMPDIR=$(folder_of "$group") HEADRACE_TEST_OUTCOMES=$outcomes "${limit[@]}" "$python" -m pytest \
    -p tests.support.outcomes "$folder" "${pytest_arguments[@]}" || code=$?
  case $code in
    5)
      note="pytest found no test to run in $folder"
      # Arguments such as -k may well choose none in one of several groups.
      [ ${#pytest_arguments[@]} -eq 0 ] || code=0
      ;;
    124 | 137) note="ended: it ran longer than $limit_s s" ;;
  esac
  echo "=== $group took $((SECONDS - started)) s${note:+; $note}"
  keep "$group" "$code" $((SECONDS - started)) "$outcomes" "$note"
}

read_arguments "$@"
cd "$project_root" || exit 1
venv_ensure || exit 1
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
touch "$results/groups.tsv"

if [ "$lanes" -gt 1 ]; then
  run_side_by_side "$lanes" "${asked[@]}"
  for group in "${asked[@]}"; do
    grep -q "^$group"$'\t' "$results/groups.tsv" || keep "$group" 1 0 "" "it was killed"
  done
else
  for group in "${asked[@]}"; do run_group "$group"; done
fi

skips=()
[ "${CI:-}" != true ] || skips=(--skips "$project_root/tests/skips.txt")
"$python" "$project_root/scripts/lib/summary.py" "${skips[@]}" <"$results/groups.tsv"
