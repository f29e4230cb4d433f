# shellcheck shell=bash disable=SC2034,SC2154 # what comes from control-stack.sh, which sources this
# The actions on what is deployed: maintenance, backup, restore. Each is for the stack `main` alone.

# Turns the switch, or says how it stands: on, off or show.
do_maintenance() {
  local said word=${operands[maintenance]} options=()
  [ "$1" = main ] || return 0
  images_name main
  options=(--secret "$(secret_option "$SECRET_REDIS_ADMIN" redis_admin)"
    --env HEADRACE_REDIS_URL=redis://admin@redis:6379)
  said=$(run_once maintenance "${options[@]}" -- \
    stack maintenance "$word" --by "$HEADRACE_ADMIN" --why "${reason:-}") ||
    fail "the maintenance switch can't be turned: $said" \
      "see that Redis runs: scripts/control-stack.sh main status"
  say "$said"
}

# Prints the container of Redis; fails where it runs on another engine than DOCKER_HOST names.
redis_container() {
  local found
  found=$(docker ps -q --filter "label=com.docker.swarm.service.name=${main_stack}_redis" | head -n 1)
  [ -n "$found" ] ||
    fail "Redis of $main_stack does not run on this engine" \
      "let DOCKER_HOST name the engine of $HEADRACE_STATE_NODE, where it runs, and have it run"
  echo "$found"
}

# Writes a copy of Redis as of now, and the deployment's secrets, to one file.
do_backup() {
  local container file=${operands[backup]} here=$work/backup
  [ "$1" = main ] || return 0
  [ ! -e "$file" ] || fail "$file is there already" "name a new file"
  container=$(redis_container)
  mkdir "$here"
  # As a replica takes it: one moment, whatever Redis writes meanwhile. By way of a file, since what
  # redis-cli writes to a pipe ends with a mark that is no part of the copy.
  # shellcheck disable=SC2016 # the container's shell expands it
  docker exec "$container" sh -euc '
    export REDISCLI_AUTH=$(cat /run/secrets/redis_admin)
    trap "rm -f /data/backup.rdb" EXIT
    redis-cli --user admin --rdb /data/backup.rdb >&2
    cat /data/backup.rdb
  ' >"$here/redis.rdb" 2>"$work/backup.log" && [ "$(head -c 5 "$here/redis.rdb")" = REDIS ] ||
    fail "Redis gives no copy: $(tail -n 1 "$work/backup.log")" \
      "scripts/control-stack.sh main logs redis"
  date -u +%Y-%m-%dT%H:%M:%SZ >"$here/at"
  cp -R "$deployment/secrets" "$here/secrets"
  cp -R "$deployment/registries" "$here/registries"
  [ ! -d "$deployment/tls" ] || cp -R "$deployment/tls" "$here/tls"
  cp "$env_file" "$here/env"
  (cd "$here" && sha256sum redis.rdb at >sums)
  tar -C "$here" -cf - . | write_private "$file"
  say "$file holds $main_stack as of $(cat "$here/at"), with its secrets: keep it as you keep a key"
}

# Goes back to a backup: stops the stack, lays the copy into Redis's volume, and deploys anew.
do_restore() {
  local file=${operands[restore]} here=$work/restore this at said
  [ "$1" = main ] || return 0
  mkdir "$here"
  { tar -C "$here" -xf "$file" && (cd "$here" && sha256sum --quiet -c sums); } >"$work/restore.log" 2>&1 ||
    fail "$file is no whole backup: $(tail -n 1 "$work/restore.log")" "name what the action backup wrote"
  this=$(docker info --format '{{.Name}}')
  [ "$this" = "$HEADRACE_STATE_NODE" ] ||
    fail "Redis's volume is on $HEADRACE_STATE_NODE, and this engine is $this" \
      "let DOCKER_HOST name the engine of $HEADRACE_STATE_NODE"
  at=$(cat "$here/at")
  images_name main
  do_stop main
  secrets_put_back "$here"
  docker run --rm --interactive --network none --user 10001:10001 --volume "${main_stack}_redis:/data" \
    --entrypoint sh "$IMAGE_REDIS" -euc '
      cd /data
      cat >appendonly.aof.part
      aside=before-restore-$(date +%s)
      mkdir "$aside"
      for each in appendonlydir appendonly.aof dump.rdb; do
        [ ! -e "$each" ] || mv "$each" "$aside/"
      done
      mv appendonly.aof.part appendonly.aof
    ' <"$here/redis.rdb" ||
    fail "the copy can't be laid into the volume ${main_stack}_redis: see above" "mend that; then restore again"
  do_networks main
  nodes_label
  # shellcheck disable=SC2046 # names
  secrets_create $(secrets_of main)
  stack_deploy "$main_stack" -c "$project_root/docker/main/redis.yaml"
  wait_converged "$main_stack" "${main_stack}_redis"
  # Before any service runs: what they decided since counts no more.
  said=$(run_once epoch --secret "$(secret_option "$SECRET_REDIS_ADMIN" redis_admin)" \
    --env HEADRACE_REDIS_URL=redis://admin@redis:6379 -- stack epoch "$at") ||
    fail "the restored Redis gets no new epoch: $said" "restore again, before anything is deployed"
  do_deploy main
  say "$main_stack is as it was at $at; \`headrace nodes list\` says what runs that the backup does not know"
}

# What the restored Redis was written with: keys of users' secrets that are missing here, and the
# token of the admin; and the logins at registries, where there are none here. The others are
# Redis's and the store's as they are now.
secrets_put_back() {
  local here=$deployment/secrets
  {
    cat "$here/secrets_key"
    grep -vxFf "$here/secrets_key" "$1/secrets/secrets_key" || true
  } | write_private "$here/secrets_key"
  write_private "$here/admin_token" <"$1/secrets/admin_token"
  if [ -z "$(registry_logins || true)" ] && [ -e "$1/registries/config.json" ]; then
    write_private "$(secret_file registry_logins)" <"$1/registries/config.json"
  fi
  secrets_name
}

# Waits, for half a minute at most, for agents that are just starting: who is replaced in the middle
# of it is away for two starts, and its node is lost.
agents_settle() {
  local deadline=$((SECONDS + 30))
  while [ -n "$(not_converged "$1" "$1_agent")" ] && [ "$SECONDS" -lt "$deadline" ]; do sleep 0.5; done
}
