#!/usr/bin/env bash
# Format, lint, types and import contracts: what must hold before a test is worth running.
set -uo pipefail

usage() {
  cat <<'EOF'
Usage: scripts/check.sh [-h]

Runs, over the whole project:
  ruff format --check    the format         (mend: .venv/bin/ruff format)
  ruff check             the lint rules     (mend some: .venv/bin/ruff check --fix)
  mypy --strict          the types of python/
  lint-imports           the import contracts of pyproject.toml
  shellcheck -x          the scripts
  npm run check          the types, lint and format of the GUI's pages, where there is Node.js
                         (mend: npm run format in python/gui/headrace_gui/web)

All run even when one fails; the exit code is 0 when all hold. Makes or updates .venv
first (HEADRACE_PYTHON names the interpreter to make it with).
EOF
}

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/venv.sh
. "$project_root/scripts/lib/venv.sh"

if [ $# -gt 0 ]; then
  case $1 in
    -h | --help) usage; exit 0 ;;
    *) echo "check.sh takes no argument but -h, got: $1" >&2; exit 2 ;;
  esac
fi

cd "$project_root" || exit 1
venv_ensure || exit 1
bin=$project_root/.venv/bin
failed=()

# Runs one checker ($2...) under the name $1, and keeps the name when it fails.
check() {
  local name=$1 started=$SECONDS
  shift
  if "$@"; then
    echo "check: $name holds ($((SECONDS - started)) s)"
  else
    echo "check: $name FAILS ($((SECONDS - started)) s)"
    failed+=("$name")
  fi
}

check "ruff format" "$bin/ruff" format --check --quiet .
check "ruff check" "$bin/ruff" check --quiet .
check "mypy" "$bin/mypy"
check "import contracts" "$bin/lint-imports" --no-logo
check "shellcheck" "$bin/shellcheck" -x scripts/*.sh scripts/lib/*.sh .ci/run docker/*/start \
  python/services/headrace_agent/parallel/*.sh
if command -v npm >/dev/null; then
  web=python/gui/headrace_gui/web
  [ -d "$web/node_modules" ] || (cd "$web" && npm ci --silent --no-audit --no-fund)
  check "npm run check" npm run --silent --prefix "$web" check
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check: FAILED:'
  printf ' %s;' "${failed[@]}"
  printf '\n'
  exit 1
fi
