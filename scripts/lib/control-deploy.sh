# shellcheck shell=bash disable=SC2154 # what comes from control-stack.sh, which sources this
# The actions that bring a stack up and down: networks build push deploy start stop restart upgrade
# status logs. Each is `do_<action> STACK` and may be repeated.

deploy_patience_s=300

# Prints the name of a deployed stack: that of `main` is the deployment's.
stack_name() {
  case $1 in
    main) echo "$main_stack" ;;
    *) echo "${main_stack}-$1" ;;
  esac
}

do_networks() {
  local network networks=()
  case $1 in
    main) networks=(requests internal) ;;
    object_store) networks=(internal) ;;
    gui) networks=(requests) ;;
  esac
  for network in "${networks[@]}"; do
    docker network inspect "${main_stack}_$network" >/dev/null 2>&1 && continue
    # shellcheck disable=SC2086 # words apart by blanks
    docker network create --driver overlay --label "headrace.stack=$main_stack" \
      $HEADRACE_NETWORK_OPTIONS "${main_stack}_$network" >/dev/null ||
      fail "the network ${main_stack}_$network can't be made: see above" \
        "choose other addresses: HEADRACE_NETWORK_OPTIONS=--subnet A.B.C.0/24 in $env_file"
    say "made the network ${main_stack}_$network"
  done
}

do_build() {
  local words=()
  mapfile -t words < <(images_of "$1" | tr ' ' '\n')
  base_ensure
  "$project_root/scripts/build-images.sh" --tag "$HEADRACE_TAG" "${build_arguments[@]}" "${words[@]}"
}

# Has the base of all images: from a hub, or else made from Debian packages.
base_ensure() {
  local hub=python:3.11-slim-bookworm
  if docker image inspect "$hub" >/dev/null 2>&1 ||
    docker image inspect "$docker_python_image" >/dev/null 2>&1 ||
    timeout 120 docker pull --quiet "$hub" >/dev/null 2>&1; then
    return
  fi
  say "no image hub gives $hub"
  "$project_root/scripts/build-base-image.sh"
}

# Pushes the images of a stack, and keeps by which digest the registry knows each.
do_push() {
  local image to digest
  to=$(registry)
  if [ -z "$to" ] || [ "$1" = dev_registry ] || [ -z "$(images_of "$1")" ]; then return; fi
  for image in $(images_of "$1"); do
    docker image inspect "headrace/$image:$HEADRACE_TAG" >/dev/null 2>&1 ||
      fail "there is no image headrace/$image:$HEADRACE_TAG to push" \
        "scripts/control-stack.sh $1 build push"
    docker tag "headrace/$image:$HEADRACE_TAG" "$to/headrace/$image:$HEADRACE_TAG"
    registry_docker push --quiet "$to/headrace/$image:$HEADRACE_TAG" >/dev/null ||
      fail "headrace/$image can't be pushed to $to: see above" \
        "$(registry_advice "$to")"
    digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' \
      "headrace/$image:$HEADRACE_TAG" | grep -F "$to/headrace/$image@" | head -n 1)
    image_keep "$image" "$digest"
  done
  say "pushed to $to: $(images_of "$1")"
}

registry_advice() {
  if [ "$HEADRACE_REGISTRY" = dev ]; then
    echo "scripts/control-stack.sh dev_registry build deploy; and each engine needs \"insecure-registries\": [\"$1\"] in its daemon.json"
  else
    echo "docker --config $(dirname "$(secret_file registry_logins)") login ${1%%/*}"
  fi
}

# Keeps in `images` of the deployment's folder what an image of this tag is called in the registry.
image_keep() {
  {
    awk -F= -v image="$1:$HEADRACE_TAG" '$1 != image' "$deployment/images" 2>/dev/null || true
    echo "$1:$HEADRACE_TAG=$2"
  } | write_private "$deployment/images"
}

# Gives nodes the labels by which services find them.
nodes_label() {
  local node label wanted
  for node in $(docker node ls --format '{{.Hostname}}'); do
    for label in state ingress; do
      wanted=no
      case $label in
        state) [ "$node" != "$HEADRACE_STATE_NODE" ] || wanted=yes ;;
        ingress) [[ " $HEADRACE_INGRESS_NODES " != *" $node "* ]] || wanted=yes ;;
      esac
      [ "$(node_label "$node" "$label")" = "$wanted" ] ||
        docker node update --label-add "$main_stack.$label=$wanted" "$node" >/dev/null
    done
  done
}

node_label() {
  docker node inspect "$1" --format "{{index .Spec.Labels \"$main_stack.$2\"}}"
}

# Runs a command of the service image once inside the stack, as a task near Redis, and says what it
# said: NAME, then words for `docker service create`, --, the command.
run_once() {
  local name=${main_stack}_once_$1 options=() state="" code=0 deadline=$((SECONDS + 120))
  shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  docker service rm "$name" >/dev/null 2>&1 || true
  registry_docker service create --quiet --detach --name "$name" \
    --label "headrace.stack=$main_stack" --restart-condition none \
    --endpoint-mode dnsrr --network "${main_stack}_internal" --no-resolve-image \
    --with-registry-auth --read-only --cap-drop ALL --no-healthcheck \
    "${options[@]}" "$IMAGE_SERVICE" "$@" >/dev/null || return
  while :; do
    state=$(docker service ps --format '{{.CurrentState}}' "$name" | head -n 1)
    case $state in
      Complete*) break ;;
      Failed* | Rejected* | Shutdown*) code=1; break ;;
    esac
    [ "$SECONDS" -lt "$deadline" ] || { code=1; break; }
    sleep 0.2
  done
  docker service logs --raw "$name" 2>&1 || true
  [ "$code" -eq 0 ] ||
    docker service ps --no-trunc --format '{{.CurrentState}} on {{.Node}}: {{.Error}}' "$name"
  docker service rm "$name" >/dev/null
  return "$code"
}

secret_option() { echo "source=$1,target=$2,uid=10001,gid=10001,mode=0400"; }

# Brings the users of Redis to what the secrets say. "keep": passwords of before count on.
redis_users() {
  local keep=() options=() name variable admin said
  [ "${1:-}" != keep ] || keep=(--keep)
  # Redis itself has the admin's password until it is started again by another one.
  admin=$(docker service inspect "${main_stack}_redis" --format \
    '{{range .Spec.TaskTemplate.ContainerSpec.Secrets}}{{.SecretName}}{{end}}')
  options=(--secret "$(secret_option "$admin" redis_admin)"
    --env HEADRACE_REDIS_URL=redis://admin@redis:6379)
  for name in request data scheduler monitor cluster join; do
    variable=SECRET_REDIS_${name^^}
    options+=(--secret "$(secret_option "${!variable}" "redis_$name")")
  done
  said=$(run_once users "${options[@]}" -- stack users "${keep[@]}") ||
    fail "the users of Redis can't be made: $said" \
      "see scripts/control-stack.sh main logs redis; then deploy again"
}

first_admin() {
  local said
  said=$(run_once admin --secret "$(secret_option "$SECRET_REDIS_ADMIN" redis_admin)" \
    --secret "$(secret_option "$SECRET_ADMIN_TOKEN" admin_token)" \
    --env HEADRACE_REDIS_URL=redis://admin@redis:6379 -- stack admin "$HEADRACE_ADMIN") ||
    fail "the first admin can't be made: $said" "mend that; then deploy again"
  say "$said"
}

# Sets `compose` to the words that name the compose files of a stack.
compose_of() {
  local file
  compose=(-c "$project_root/docker/$1/stack.yaml")
  if [ "$1" = main ]; then
    compose=(-c "$project_root/docker/main/redis.yaml" "${compose[@]}")
  fi
  if [ "$HEADRACE_TLS" = yes ] && [ -e "$project_root/docker/$1/tls.yaml" ]; then
    compose+=(-c "$project_root/docker/$1/tls.yaml")
  fi
  for file in "${compose_files[@]}"; do compose+=(-c "$file"); done
}

stack_deploy() {
  local name=$1
  shift
  registry_docker stack deploy --resolve-image never --with-registry-auth "$@" "$name" </dev/null \
    >"$work/deploy.log" 2>&1 || {
    cat "$work/deploy.log" >&2
    fail "the stack $name was not deployed: see above" "mend that; then deploy again"
  }
}

secrets_of() {
  local names=()
  case $1 in
    main) names=("${secrets_known[@]}") ;;
    object_store) names=(store_credentials) ;;
    gui) names=(session_key) ;;
  esac
  if [[ $1 =~ ^(main|gui)$ && $HEADRACE_TLS == yes ]]; then names+=(tls_cert tls_key); fi
  echo "${names[*]}"
}

do_deploy() {
  local name
  name=$(stack_name "$1")
  do_networks "$1"
  nodes_label
  images_name "$1"
  # shellcheck disable=SC2046 # names
  secrets_create $(secrets_of "$1")
  compose_of "$1"
  if [ "$1" = main ]; then
    registry_logins >/dev/null || fail "$(registry_logins_wrong)" "$(registry_logins_advice)"
    # A Redis that runs is replaced, if at all, with the others.
    if ! docker service inspect "${name}_redis" >/dev/null 2>&1 ||
      [ -n "$(not_converged "$name" "${name}_redis")" ]; then
      stack_deploy "$name" -c "$project_root/docker/main/redis.yaml"
    fi
    wait_converged "$name" "${name}_redis"
    redis_users keep
    agents_settle "$name"
  fi
  THIS_NODE=$(docker info --format '{{.Swarm.NodeID}}') stack_deploy "$name" "${compose[@]}" --prune
  wait_converged "$name"
  if [ "$1" = main ]; then
    redis_users
    first_admin
    secrets_prune
  fi
  say "$name runs"
  [ "$1" != main ] || how_to_reach
  [ "$1" != gui ] || say "in a browser: $(urls_at "$HEADRACE_GUI_PORT" | tr , ' ')"
}

# Prints where clients call Headrace: addresses apart by commas.
url_of_clients() { urls_at "$HEADRACE_PORT"; }

urls_at() {
  local scheme=http host urls=()
  [ "$HEADRACE_TLS" = no ] || scheme=https
  for host in ${HEADRACE_HOSTS:-localhost}; do urls+=("$scheme://$host:$1"); done
  (IFS=,; echo "${urls[*]}")
}

how_to_reach() {
  echo "To reach it:"
  echo "  export HEADRACE_URL=$(url_of_clients)"
  echo "  export HEADRACE_TOKEN_FILE=$deployment/secrets/admin_token"
  if [ "$HEADRACE_TLS" = yes ] && [ -e "$deployment/tls/ca.crt" ]; then
    echo "  export HEADRACE_CA_FILE=$deployment/tls/ca.crt"
  fi
}

# Prints the services of a stack that are not what they shall be, with how many of how many run.
not_converged() {
  local service replicas state
  docker service ls --filter "label=com.docker.stack.namespace=$1" \
    --format '{{.Name}} {{.Replicas}}' | while read -r service replicas _; do
    [ -z "${2:-}" ] || [ "$service" = "$2" ] || continue
    state=$(docker service inspect "$service" \
      --format '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}')
    case $state in
      updating | rollback_started | paused | rollback_paused) echo "$service $replicas $state" ;;
      *)
        if [ "${replicas%/*}" != "${replicas#*/}" ] || [ "$replicas" = 0/0 ]; then
          echo "$service $replicas"
        fi
        ;;
    esac
  done
}

# Waits until all services of a stack, or one, run as they shall; else says why not.
wait_converged() {
  local name=$1 only=${2:-} waiting deadline=$((SECONDS + deploy_patience_s)) told=$SECONDS service
  while waiting=$(not_converged "$name" "$only"); [ -n "$waiting" ]; do
    if [ "$SECONDS" -ge "$deadline" ] || [[ $waiting == *paused* ]]; then
      while read -r service _; do service_troubles "$service" >&2; done <<<"$waiting"
      fail "these services do not run: ${waiting//$'\n'/; }" \
        "scripts/control-stack.sh ${name#"$main_stack"-} logs; what the nodes say stands above"
    fi
    if [ $((SECONDS - told)) -ge 10 ]; then
      say "waiting for ${waiting//$'\n'/, }"
      told=$SECONDS
    fi
    sleep 0.5
  done
  for service in $(docker service ls --filter "label=com.docker.stack.namespace=$name" \
    --format '{{.Name}}'); do
    [ -z "$only" ] || [ "$service" = "$only" ] || continue
    if [ "$(docker service inspect "$service" --format \
      '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}')" = rollback_completed ]; then
      service_troubles "$service" >&2
      fail "$service did not become healthy and went back to what it was" \
        "scripts/control-stack.sh ${name#"$main_stack"-} logs ${service##*_}"
    fi
  done
}

# Prints what went wrong with a service's last tasks.
service_troubles() {
  docker service ps --no-trunc --format '{{.Name}} on {{.Node}}: {{.CurrentState}} {{.Error}}' "$1" |
    grep -v ' Running ' | head -n 3 || true
}

do_start() { do_deploy "$1"; }

# Ends a stack and takes away all of it but its data: the volumes stay.
do_stop() {
  local name deadline=$((SECONDS + 120)) network
  name=$(stack_name "$1")
  if [ -n "$(docker service ls -q --filter "label=com.docker.stack.namespace=$name")" ]; then
    docker stack rm "$name" >/dev/null 2>&1
    say "stopping $name"
  fi
  # Their tasks are gone from the swarm once the nodes have ended the containers.
  while [ -n "$(tasks_of "$name")" ]; do
    [ "$SECONDS" -lt "$deadline" ] ||
      fail "tasks of $name do not end: $(tasks_of "$name" | tr '\n' ' ')" \
        "is a node down? scripts/control-stack.sh main status; then stop again"
    sleep 0.5
  done
  # The last one takes with it what the stacks share.
  if ! runs main && ! runs object_store && ! runs gui; then
    secrets_prune all
    deadline=$((SECONDS + 30))
    for network in requests internal; do
      while docker network inspect "${main_stack}_$network" >/dev/null 2>&1; do
        docker network rm "${main_stack}_$network" >/dev/null 2>&1 && break
        # The nodes are about to leave it.
        [ "$SECONDS" -lt "$deadline" ] ||
          fail "the network ${main_stack}_$network is still in use" \
            "docker network inspect ${main_stack}_$network tells by whom"
        sleep 0.5
      done
    done
  fi
  say "$name is stopped; its volumes stay"
}

# True where a stack has services.
runs() {
  [ -n "$(docker service ls -q --filter "label=com.docker.stack.namespace=$(stack_name "$1")")" ]
}

tasks_of() {
  docker stack ps "$1" --format '{{.Name}} on {{.Node}}' 2>/dev/null || true
}

# Starts the services of a stack anew, one task after the other: all, or those that are named.
do_restart() {
  local name service
  name=$(stack_name "$1")
  for service in $(services_asked "$name"); do
    docker service update --quiet --detach --force "$service" >/dev/null
    wait_converged "$name" "$service"
    say "$service runs anew"
  done
}

# Prints the services of a stack that the command line names, or all.
services_asked() {
  local there service found=()
  there=$(docker service ls --filter "label=com.docker.stack.namespace=$1" --format '{{.Name}}')
  if [ ${#asked_services[@]} -eq 0 ]; then
    echo "$there"
    return
  fi
  for service in "${asked_services[@]}"; do
    [[ $'\n'$there$'\n' == *$'\n'$1_$service$'\n'* ]] ||
      fail "$1 has no service $service" "there are: ${there//$1_/}"
    found+=("$1_$service")
  done
  printf '%s\n' "${found[@]}"
}

do_upgrade() {
  [ -n "$(docker service ls -q --filter "label=com.docker.stack.namespace=$(stack_name "$1")")" ] ||
    fail "$(stack_name "$1") does not run, so there is nothing to upgrade" \
      "scripts/control-stack.sh $1 networks check build push deploy"
  do_build "$1"
  do_push "$1"
  do_deploy "$1"
}

do_status() {
  local name
  name=$(stack_name "$1")
  if [ -z "$(docker service ls -q --filter "label=com.docker.stack.namespace=$name")" ]; then
    echo "$name does not run"
    return
  fi
  docker service ls --filter "label=com.docker.stack.namespace=$name" \
    --format 'table {{.Name}}\t{{.Replicas}}\t{{.Image}}' | sed 's/@sha256:\(.\{12\}\).*/@\1/'
  docker stack ps "$name" --filter desired-state=running \
    --format 'table {{.Name}}\t{{.Node}}\t{{.CurrentState}}\t{{.Error}}'
}

do_logs() {
  local name service
  name=$(stack_name "$1")
  for service in $(services_asked "$name"); do
    docker service logs --raw --tail 200 "$service" 2>&1 | sed "s/^/${service#"${name}"_}  /"
  done
}
