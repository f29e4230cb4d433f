#!/usr/bin/env bash
# Deploys Headrace's stacks on a Docker Swarm, and looks after them.
set -euo pipefail

project_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/docker.sh
. "$project_root/scripts/lib/docker.sh"
# shellcheck source=scripts/lib/control-help.sh
. "$project_root/scripts/lib/control-help.sh"
# shellcheck source=scripts/lib/control-env.sh
. "$project_root/scripts/lib/control-env.sh"
# shellcheck source=scripts/lib/control-check.sh
. "$project_root/scripts/lib/control-check.sh"
# shellcheck source=scripts/lib/control-deploy.sh
. "$project_root/scripts/lib/control-deploy.sh"
# shellcheck source=scripts/lib/control-operate.sh
. "$project_root/scripts/lib/control-operate.sh"
# shellcheck source=scripts/lib/control-support.sh
. "$project_root/scripts/lib/control-support.sh"

# In the order in which they are done, whatever the order on the command line.
actions_known=(maintenance backup stop networks check build push restore deploy start restart upgrade status logs support)
# In the order in which they come up; they go down the other way round.
stacks_known=(dev_registry object_store main gui)

say() { printf 'control-stack: %s\n' "$*"; }

# What is wrong and why; the fix; the exit code (1).
fail() {
  printf 'control-stack.sh: %s.\n  Do this: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

# Sets what the command line says.
read_arguments() {
  local word words=() wants=""
  declare -gA options=() operands=()
  env_file=$project_root/.env compose_files=() build_arguments=() asked_services=() stacks=() asked=()
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) help_short; exit 0 ;;
      -hh) help_full; exit 0 ;;
      -hhh) help_full; help_examples; exit 0 ;;
      --env-file | --compose-file | --build-arg | --name | --registry | --tag | --why)
        [ -n "${2:-}" ] || fail "$1 needs a value" "see scripts/control-stack.sh -hh" 2
        case $1 in
          --env-file) env_file=$2 ;;
          --compose-file)
            [ -r "$2" ] || fail "the compose file $2 can't be read" "name one that is there" 2
            compose_files+=("$2")
            ;;
          --build-arg) build_arguments+=(--build-arg "$2") ;;
          --why) reason=$2 ;;
          --name) options[HEADRACE_STACK]=$2 ;;
          --registry) options[HEADRACE_REGISTRY]=$2 ;;
          --tag) options[HEADRACE_TAG]=$2 ;;
        esac
        shift
        ;;
      -*) fail "unknown option '$1'" "see scripts/control-stack.sh -hh" 2 ;;
      *) words+=("$1") ;;
    esac
    shift
  done
  [ ${#words[@]} -gt 0 ] || fail "name a stack and an action" "see scripts/control-stack.sh -h" 2
  case ${words[0]} in
    all) stacks=("${stacks_known[@]}") ;;
    main | gui | object_store | dev_registry) stacks=("${words[0]}") ;;
    *) fail "unknown stack '${words[0]}'" "known are: main gui object_store dev_registry all" 2 ;;
  esac
  for word in "${words[@]:1}"; do
    if [ -n "$wants" ]; then
      operands[$wants]=$word wants=""
    elif [[ " ${actions_known[*]} " == *" $word "* ]]; then
      asked+=("$word")
      case $word in backup | restore | maintenance | support) wants=$word ;; esac
    elif [[ " ${asked[*]} " =~ " logs "|" restart " ]]; then
      asked_services+=("$word")
    else
      fail "unknown action '$word'" "known are: ${actions_known[*]}" 2
    fi
  done
  [ ${#asked[@]} -gt 0 ] || fail "name an action" "known are: ${actions_known[*]}" 2
  case $wants in
    backup | restore | support) fail "$wants needs a file" "scripts/control-stack.sh main $wants FILE" 2 ;;
    maintenance) fail "maintenance needs a word" "on, off or show" 2 ;;
  esac
  [[ ${operands[maintenance]:-show} =~ ^(on|off|show)$ ]] ||
    fail "maintenance ${operands[maintenance]} is unknown" "known are: on off show" 2
  [ -z "${operands[restore]:-}" ] || [ -r "${operands[restore]}" ] ||
    fail "the backup ${operands[restore]} can't be read" "name one that is there" 2
  [ ${#compose_files[@]} -eq 0 ] || [ ${#stacks[@]} -eq 1 ] ||
    fail "--compose-file adds to one stack" "name that stack instead of 'all'" 2
  actions=()
  for word in "${actions_known[@]}"; do
    [[ " ${asked[*]} " != *" $word "* ]] || actions+=("$word")
  done
}

# Leaves out of `all` what this deployment has no use for.
choose_stacks() {
  local stack chosen=()
  [ "${stacks[*]}" != gui ] || [ -n "$HEADRACE_GUI_PORT" ] ||
    fail "HEADRACE_GUI_PORT is empty in $env_file: nobody could reach the GUI" "write 8081" 2
  [ ${#stacks[@]} -gt 1 ] || return 0
  for stack in "${stacks[@]}"; do
    case $stack in
      dev_registry) [ "$HEADRACE_REGISTRY" = dev ] || continue ;;
      gui) [ -n "$HEADRACE_GUI_PORT" ] || continue ;;
      object_store) [[ $HEADRACE_STORE == s3://store:* ]] || continue ;;
    esac
    chosen+=("$stack")
  done
  stacks=("${chosen[@]}")
}

# True when an action was asked for.
is_asked() { [[ " ${actions[*]} " == *" $1 "* ]]; }

each_stack() {
  local stack
  for stack in "${stacks[@]}"; do "$1" "$stack"; done
}

run_actions() {
  local action stack failed="" backwards=()
  if is_asked maintenance; then each_stack do_maintenance; fi
  if is_asked backup; then each_stack do_backup; fi
  if is_asked stop; then
    for stack in "${stacks[@]}"; do backwards=("$stack" "${backwards[@]}"); done
    for stack in "${backwards[@]}"; do do_stop "$stack"; done
  fi
  if is_asked networks; then each_stack do_networks; fi
  if is_asked check; then
    for stack in "${stacks[@]}"; do do_check "$stack" || failed=yes; done
    [ -z "$failed" ] || exit 1
  fi
  # One stack after the other: what the second is pushed to may be the first.
  for stack in "${stacks[@]}"; do
    for action in build push restore deploy start restart upgrade; do
      if is_asked "$action"; then "do_$action" "$stack"; fi
    done
  done
  if is_asked status; then each_stack do_status; fi
  if is_asked logs; then each_stack do_logs; fi
  if is_asked support; then each_stack do_support; fi
}

read_arguments "$@"
docker_answers || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -e "$env_file" ] || env_make
env_load
secrets_make
secrets_name
choose_stacks
run_actions
