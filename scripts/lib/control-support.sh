# shellcheck shell=bash disable=SC2154 # what comes from control-stack.sh, which sources this
# The action `support`: one archive for somebody who helps, of all stacks, without secrets.

support_lines=5000                      # of each task's log, at most
support_log_bytes=$((4 * 1024 * 1024))  # of each service's log, at most: the newest
support_patience_s=30                   # a node that does not answer keeps its log

# Gathers what the swarm tells, and has the service image take the secrets out and pack it.
do_support() {
  local file=${operands[support]} here=$work/support
  [ "$1" = main ] || return 0
  [ ! -e "$file" ] || fail "$file is there already" "name a new file"
  images_name main
  mkdir -p "$here/texts/logs"
  support_of_swarm "$here/texts"
  run_once redis --secret "$(secret_option "$SECRET_REDIS_ADMIN" redis_admin)" \
    --env HEADRACE_REDIS_URL=redis://admin@redis:6379 \
    -- python -m headrace_local.support.deployed redis >"$here/redis" 2>&1 ||
    echo "Redis can't be asked" >>"$here/redis"
  support_secrets "$here/secrets"
  [ ! -e "$deployment/tls/ca.crt" ] || cp "$deployment/tls/ca.crt" "$here/ca.crt"
  tar -C "$here" -cf - . |
    docker run --rm --interactive --network host --read-only --tmpfs /tmp --cap-drop ALL \
      --no-healthcheck "$IMAGE_SERVICE" \
      python -m headrace_local.support.deployed bundle "$(url_of_clients)" \
      >"$work/support.tar.gz" 2>"$work/support.log" ||
    fail "the archive can't be made: $(tail -n 1 "$work/support.log")" \
      "does this engine run $IMAGE_SERVICE? scripts/control-stack.sh main check"
  write_private "$file" <"$work/support.tar.gz"
  say "$file is for who helps; look at it before you send it"
}

# Copies into a folder what may stand nowhere.
support_secrets() {
  local name
  cp -R "$deployment/secrets" "$1"
  for name in registry_logins tls_key; do
    [ ! -e "$(secret_file "$name")" ] || cp "$(secret_file "$name")" "$1/$name"
  done
}

# Writes what the swarm tells of itself and of all stacks into a folder.
support_of_swarm() {
  local stack name service
  cp "$env_file" "$1/env"
  { docker version; docker info; docker node ls; } >"$1/swarm.txt" 2>&1 || true
  for stack in "${stacks_known[@]}"; do
    name=$(stack_name "$stack")
    for service in $(docker service ls --filter "label=com.docker.stack.namespace=$name" \
      --format '{{.Name}}'); do
      # By time, as the tasks of a service don't come in that order.
      timeout "$support_patience_s" docker service logs --timestamps --no-trunc \
        --tail "$support_lines" "$service" 2>&1 |
        LC_ALL=C sort | tail -c "$support_log_bytes" >"$1/logs/$service.log" || true
    done
    do_status "$stack"
    docker stack ps --no-trunc --format '{{.Name}} on {{.Node}}: {{.CurrentState}} {{.Error}}' \
      "$name" 2>/dev/null || true
  done >"$1/status.txt" 2>&1
}
