#!/usr/bin/env bash
# The Delaware example from a fresh clone to scored gauges.
set -euo pipefail

usage() {
  cat <<'EOF'
Usage: scripts/run-demo.sh [-h]

Runs the Delaware example (examples/delaware/) on this machine, without Docker and without root:
  1. installs Headrace into .venv and fetches the sample data (a package of about 40 MB),
  2. starts Headrace (`headrace local up`) and makes three datasets,
  3. runs the hydrologic model PRMS over 1979 and 1980 as a job,
  4. scores its streamflow at every gauge in a second job, which finds its inputs by what they
     cover, and downloads the scores and a hydrograph to demo-results/.

It takes 3 to 6 minutes, most of it installing (2 GB of disk), and can be run again: what is
there is not made twice. Headrace is left running; `headrace local down` stops it.

  HEADRACE_HOME    where Headrace keeps its state (default: ~/.local/share/headrace)
  HEADRACE_PYTHON  the Python (3.11 to 3.13) to make .venv with
EOF
}

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/venv.sh
. "$project_root/scripts/lib/venv.sh"

if [ $# -gt 0 ]; then
  case $1 in
    -h | --help) usage; exit 0 ;;
    *) echo "run-demo.sh takes no argument but -h, got: $1" >&2; exit 2 ;;
  esac
fi

cd "$project_root"
started=$SECONDS
example=$project_root/examples/delaware
results=$project_root/demo-results

say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - started)); }

say "1/4 Headrace and the sample data"
venv_ensure
headrace=$project_root/.venv/bin/headrace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The data travels in the package of the model; the model itself is installed by the job, in an
# environment of its own. Which version runs depends on Python, as in prms.yaml.
version=$("$python" -c 'import sys; print("2.0.4" if sys.version_info < (3, 12) else "3.0.0")')
"$python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps \
  --target "$work/package" "pywatershed==$version" </dev/null
PYTHONPATH=$work/package "$python" "$example/prepare.py" "$work/data"
installed=$((SECONDS - started))

say "2/4 Start Headrace, make the datasets"
"$headrace" local up
make_dataset() { # NAME CATEGORY FOLDER
  if "$headrace" dataset info "$1" >/dev/null 2>&1; then
    echo "dataset $1 is there already"
  else
    "$headrace" dataset create "$1" --category "$2" --upload "$work/data/$3" \
      --domain '{HYDROFABRIC_DATA_ID: drb}'
  fi
}
make_dataset drb-forcing forcing forcing
make_dataset drb-parameters config parameters
make_dataset drb-observations observation observations

# Runs a job file, showing its steps and its logs; its id ends up in $job.
run_job() {
  job=$("$headrace" exec from_file "$1" -o json | "$python" -c 'import json, sys
print(json.load(sys.stdin)["id"])')
  "$headrace" jobs logs "$job" --follow &
  "$headrace" jobs watch "$job"
  wait
}

say "3/4 Run the model"
echo "Its software environment (1 GB) is installed first, which takes a minute or two at AWAITING_DATA."
run_job "$example/prms.yaml"
model=$job
say "4/4 Score it at every gauge"
echo "This job has an environment of its own: half a minute or so at AWAITING_DATA."
run_job "$example/score.yaml"
mkdir -p "$results"
"$headrace" jobs outputs "$job" --download "$results"

"$python" "$project_root/scripts/lib/demo_report.py" "$headrace" "$installed" \
  $((SECONDS - started)) "$results/scores/summary.json" "$model" "$job"
cat <<EOF

Scores:      $results/scores/scores.csv
Hydrograph:  $results/scores/hydrograph.png

Try next (PATH=$project_root/.venv/bin:\$PATH):
  headrace jobs list                 the jobs, with those that made the environments
  headrace jobs history $model    the model run's way through the services
  headrace dataset list              the datasets, the model's output among them
  headrace exec run -- echo hello    a job of your own
  headrace local down                stop Headrace; \`headrace local up\` starts it again
EOF
