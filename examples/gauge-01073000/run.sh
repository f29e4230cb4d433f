#!/usr/bin/env bash
# The example: a month of ngen and t-route on the basin of gauge 01073000, through the Headrace that `headrace` reaches.
set -euo pipefail

usage() {
  cat <<'EOF'
Usage: run.sh [-h] SOURCE

Lays the data below SOURCE (the folder data/gauge_01073000 of a clone of NOAA-OWP/ngen) out, makes datasets
of it, and shows what would come of the job (`headrace exec plan`). Where the Headrace has an ngen
(NGEN_EXECUTABLE or NGEN_IMAGE when it was started) it runs the job and downloads its output to
./gauge-01073000-results; where it has none it ends there and says so.
EOF
}

case ${1:-} in
  -h | --help) usage; exit 0 ;;
  "") usage >&2; exit 2 ;;
esac
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 "$here/prepare.py" "$1" "$work"
for each in fabric:hydrofabric forcing:forcing realization:config init:config t-route:config; do
  name=gauge-01073000-${each%%:*}
  if headrace dataset info "$name" >/dev/null 2>&1; then
    echo "dataset $name is there already"
  else
    headrace dataset create "$name" --category "${each#*:}" --upload "$work/${each%%:*}" \
      --domain "{DATA_ID: $name}"
  fi
done

status=0
headrace exec plan "$here/gauge-01073000.yaml" || status=$?
if [ "$status" = 9 ]; then
  echo "It could not start here, for the reason above, and the example ends: it needs an ngen."
  exit 0
fi
[ "$status" = 0 ] || [ "$status" = 8 ] || exit "$status"
headrace exec from_file --follow "$here/gauge-01073000.yaml"
job=$(headrace jobs list -o json | python3 -c 'import json, sys
print(next(each["id"] for each in json.load(sys.stdin) if each["name"] == "gauge-01073000"))')
headrace jobs outputs "$job" --download "gauge-01073000-results"
