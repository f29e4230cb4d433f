# shellcheck shell=bash disable=SC2154 # what comes from control-stack.sh, which sources this
# The action `check`: finds what would go wrong, before it does. Each finding is a line: what, why, fix.

check_space_kib=5242880 check_clock_s=2 check_days=21

found_well() { printf 'ok     %s\n' "$1"; }
found_note() { printf 'note   %s\n' "$1"; }
found_wrong() {
  printf 'WRONG  %s\n       do this: %s\n' "$1" "$2"
  wrong=$((wrong + 1))
}

do_check() {
  local wrong=0
  check_engine || { check_result "$1"; return 1; }
  check_nodes
  check_ports "$1"
  [ "$1" = dev_registry ] || check_secrets "$1"
  check_build
  check_registry "$1"
  check_machines "$1"
  check_result "$1"
}

check_result() {
  [ "$wrong" -gt 0 ] || { say "check of $1: nothing is wrong"; return 0; }
  say "check of $1: $wrong wrong, see above"
  return 1
}

check_engine() {
  local version state
  version=$(docker version --format '{{.Server.APIVersion}}')
  if [ "$(printf '%s\n' 1.41 "$version" | sort -V | head -n 1)" != 1.41 ]; then
    found_wrong "the engine speaks API $version; 1.41 is needed" "install Docker 20.10 or newer"
  fi
  state=$(docker info --format '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}')
  if [ "$state" != "active true" ]; then
    found_wrong "the engine at ${DOCKER_HOST:-its usual place} is no manager of a swarm ($state)" \
      "docker swarm init; or name a manager in DOCKER_HOST"
    return 1
  fi
  found_well "engine (API $version), a manager of a swarm"
}

check_nodes() {
  local hostname status availability manager managers=0 names=() node
  while read -r hostname status availability manager; do
    names+=("$hostname")
    [ "$status" = Ready ] ||
      found_wrong "the node $hostname is ${status,,}" \
        "start its engine; or, if it is gone for good: docker node rm --force $hostname"
    [ "$availability" = Active ] ||
      found_note "the node $hostname takes no tasks: it is set to ${availability,,}"
    [[ $hostname =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] ||
      found_wrong "the host name $hostname can't be the name of a node" \
        "give it one of a-z, 0-9 and -, and restart its engine"
    [ -z "$manager" ] || managers=$((managers + 1))
  done < <(docker node ls --format '{{.Hostname}} {{.Status}} {{.Availability}} {{.ManagerStatus}}')
  node=$(printf '%s\n' "${names[@]}" | sort | uniq -d | tr '\n' ' ')
  [ -z "$node" ] ||
    found_wrong "several nodes have the host name $node" "name them apart, and restart their engines"
  for node in $HEADRACE_STATE_NODE $HEADRACE_INGRESS_NODES; do
    [[ " ${names[*]} " == *" $node "* ]] ||
      found_wrong "$env_file names the node $node, and the swarm has none of that name" \
        "there are: ${names[*]}"
  done
  [ -n "$HEADRACE_STATE_NODE" ] ||
    found_wrong "HEADRACE_STATE_NODE is empty: Redis would run nowhere" "name one of: ${names[*]}"
  [ -n "$HEADRACE_INGRESS_NODES" ] ||
    found_wrong "HEADRACE_INGRESS_NODES is empty: nobody could reach Headrace" \
      "name some of: ${names[*]}"
  [ $((managers % 2)) -eq 1 ] ||
    found_note "$managers managers bear the loss of no more of them than $((managers - 1)) do"
  found_well "nodes: ${names[*]}"
}

# The ports that a stack publishes on nodes: NODES PORT.
ports_of() {
  case $1 in
    main) echo "$HEADRACE_PORT $HEADRACE_INGRESS_NODES" ;;
    gui) echo "$HEADRACE_GUI_PORT $HEADRACE_INGRESS_NODES" ;;
    dev_registry) echo "5000 $(docker info --format '{{.Name}}')" ;;
  esac
}

check_ports() {
  local port nodes node address taken before=$wrong setting=HEADRACE_PORT
  [ "$1" != gui ] || setting=HEADRACE_GUI_PORT
  read -r port nodes < <(ports_of "$1") || return 0
  taken=$(docker service ls --format '{{.Name}} {{.Ports}}' | grep -v "^$(stack_name "$1")_" |
    while read -r service _; do
      docker service inspect "$service" --format \
        "{{range .Endpoint.Ports}}{{if eq .PublishedPort $port}}x{{end}}{{end}}" | grep -q x &&
        echo "$service"
    done || true)
  [ -z "$taken" ] ||
    found_wrong "port $port is published by the service $taken already" \
      "choose another $setting in $env_file"
  if [ -z "$(docker service ls -q --filter "label=com.docker.stack.namespace=$(stack_name "$1")")" ]; then
    for node in $nodes; do
      address=$(nodes_addresses "$node" 2>/dev/null) || continue
      if timeout 2 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null; then
        found_wrong "something listens on $address:$port (node $node) already" \
          "end it, or choose another $setting in $env_file"
      fi
    done
  fi
  [ "$wrong" -gt "$before" ] || found_well "port $port on $nodes"
}

check_secrets() {
  local name file before=$wrong names=("${secrets_known[@]}")
  case $1 in
    object_store) names=(store_credentials) ;;
    gui) names=(session_key) ;;
  esac
  for name in "${names[@]}"; do
    file=$(secret_file "$name")
    if [ ! -s "$file" ]; then
      found_wrong "the secret $file is empty" "remove it: a new one is made"
    elif [ -n "$(find "$file" -perm /077)" ]; then
      found_wrong "others can read $file" "chmod 600 $file"
    fi
  done
  [ "$1" = gui ] || python3 -c 'import json, sys; json.load(open(sys.argv[1]))["secret_key"]' \
    "$(secret_file store_credentials)" 2>/dev/null ||
    found_wrong "$(secret_file store_credentials) is no JSON with access_key and secret_key" \
      "write {\"access_key\": \"…\", \"secret_key\": \"…\"}"
  [ "$1" != main ] || registry_logins >/dev/null ||
    found_wrong "$(registry_logins_wrong)" "$(registry_logins_advice)"
  if [[ $1 =~ ^(main|gui)$ && $HEADRACE_TLS == yes ]]; then check_certificate; fi
  [ "$wrong" -gt "$before" ] || found_well "secrets in $deployment/secrets"
}

check_certificate() {
  local cert key host said before=$wrong again
  cert=$(secret_file tls_cert) key=$(secret_file tls_key)
  again="scripts/gen-cert.sh $deployment/tls ${HEADRACE_HOSTS:-localhost}"
  if ! openssl x509 -in "$cert" -noout >/dev/null 2>&1; then
    found_wrong "$cert holds no certificate" "$again"
    return
  fi
  [ -z "$(find "$key" -perm /077)" ] || found_wrong "others can read $key" "chmod 600 $key"
  [ "$(openssl x509 -in "$cert" -noout -pubkey)" = "$(openssl pkey -in "$key" -pubout 2>/dev/null)" ] ||
    found_wrong "$key is not the key of $cert" "bring the right one; or $again"
  openssl x509 -in "$cert" -noout -checkend 0 >/dev/null ||
    found_wrong "the certificate $cert has expired" "$again; then deploy"
  openssl x509 -in "$cert" -noout -checkend $((check_days * 86400)) >/dev/null ||
    found_note "the certificate $cert expires within $check_days days: $again; then deploy"
  for host in $HEADRACE_HOSTS; do
    said=-checkhost
    [[ ! $host =~ ^[0-9.]+$ && $host != *:* ]] || said=-checkip
    openssl x509 -in "$cert" -noout $said "$host" | grep -q 'does match' ||
      found_wrong "the certificate $cert is not for $host" "$again; then deploy"
  done
  [ "$wrong" -gt "$before" ] || found_well "certificate $cert"
}

check_build() {
  [[ " ${actions[*]} " =~ " build "|" upgrade " ]] || return 0
  if docker_find_builder 2>"$work/builder"; then
    found_well "BuildKit"
  else
    found_wrong "images can't be built: $(cat "$work/builder")" "install it, then check again"
  fi
}

check_registry() {
  local address nodes
  nodes=$(docker node ls -q | wc -l)
  if [ -z "$HEADRACE_REGISTRY" ]; then
    [ "$nodes" -eq 1 ] ||
      found_note "without HEADRACE_REGISTRY each node needs the images by itself (docker save | docker load)"
    return 0
  fi
  address=$(registry)
  if [ "$HEADRACE_REGISTRY" = dev ] && [ "$1" != dev_registry ] &&
    [ -z "$(docker service ls -q --filter "name=$(stack_name dev_registry)_registry")" ]; then
    [[ " ${stacks[*]} " == *" dev_registry "* ]] ||
      found_wrong "images are to come from $address, and the stack dev_registry does not run" \
        "scripts/control-stack.sh dev_registry build deploy; or name another HEADRACE_REGISTRY"
    return 0
  fi
  [ "$1" != dev_registry ] || return 0
  if [ "$HEADRACE_REGISTRY" = dev ] && ! timeout 5 curl -fsS --noproxy '*' "http://$address/v2/" >/dev/null 2>&1; then
    found_wrong "the registry at $address does not answer" "scripts/control-stack.sh dev_registry logs"
    return 0
  fi
  if ! registry_has_login && registry_wants_login "${address%%/*}"; then
    found_note "the registry $address wants logins, and nodes have none: $(registry_advice "$address")"
  fi
  found_well "registry $address"
}

# True where a registry answers those alone who log in (some say so, and give public images to all).
registry_wants_login() {
  local scheme
  for scheme in https http; do
    [ "$(curl -s -o /dev/null -w '%{http_code}' --max-time 5 "$scheme://$1/v2/")" != 401 ] || return 0
  done
  return 1
}

# Runs a small task on every node, in the service image: so it is there, or can be had; and looks at
# the node's clock and space.
check_machines() {
  local name=${main_stack}_once_check count state lines node seconds free deadline begun now said
  [ "$1" = main ] || return 0
  # In a subshell: what fails there ends that alone.
  if ! IMAGE_SERVICE=$(image_reference service); then
    if [[ " ${actions[*]} " =~ " build "|" push " ]]; then
      found_note "clock and space of the nodes are looked at once the images are there"
    else
      found_wrong "the image headrace/service:$HEADRACE_TAG is not there" \
        "scripts/control-stack.sh main build${HEADRACE_REGISTRY:+ push}"
    fi
    return 0
  fi
  docker service rm "$name" >/dev/null 2>&1 || true
  begun=$(date +%s)
  # shellcheck disable=SC2016 # the container's shell expands it
  registry_docker service create --quiet --detach --name "$name" \
    --label "headrace.stack=$main_stack" --mode global --restart-condition none \
    --no-resolve-image --with-registry-auth --read-only --no-healthcheck --network host \
    --env 'NODE={{.Node.Hostname}}' --entrypoint sh \
    "$IMAGE_SERVICE" -c 'echo "$NODE $(date +%s) $(df -Pk /etc/hostname | awk "NR == 2 {print \$4}")"' >/dev/null
  count=$(docker node ls --format '{{.Status}} {{.Availability}}' | grep -c '^Ready Active' || true)
  deadline=$((SECONDS + 120))
  while :; do
    state=$(docker service ps --no-trunc --format '{{.CurrentState}}' "$name")
    [ "$(grep -cE '^(Complete|Failed|Rejected)' <<<"$state")" -lt "$count" ] || break
    [ "$SECONDS" -lt "$deadline" ] || break
    sleep 0.2
  done
  docker service ps --no-trunc --format '{{.Node}}|{{.CurrentState}}|{{.Error}}' "$name" |
    grep -v '|Complete' >"$work/failed" || true
  lines=$(docker service logs --raw "$name" 2>/dev/null || true)
  docker service rm "$name" >/dev/null
  while IFS='|' read -r node state said; do
    found_wrong "the node $node can't run the image: ${said:-$state}" \
      "look whether it reaches the registry: docker pull $IMAGE_SERVICE, on that node"
  done <"$work/failed"
  now=$(date +%s)
  while read -r node seconds free; do
    [ -n "$free" ] || continue
    # It was told between these two moments, if the clocks are the same.
    if [ "$seconds" -lt $((begun - check_clock_s)) ] || [ "$seconds" -gt $((now + check_clock_s)) ]; then
      found_wrong "the clock of $node is about $((seconds - now)) s off" "let it follow a time server"
    fi
    [ "$free" -ge "$check_space_kib" ] ||
      found_wrong "the node $node has $((free / 1024)) MiB left for containers" \
        "make room (docker system prune), or take a larger disk"
  done <<<"$lines"
  found_well "$(wc -l <<<"$lines") nodes run the image"
}
