# shellcheck shell=bash disable=SC2034,SC2153,SC2154 # names that control-stack.sh and the env file share
# What a deployment is: its env file, its folder with secrets and certificate, its images.
#
# Needs `project_root`, `env_file` and `options` (names of the env file that the command line gave
# another value); `env_load` sets all HEADRACE_… of the env file.

# The secrets of a deployment, each a file of `secrets/` and a Swarm secret.
secrets_known=(internal_token secrets_key store_credentials admin_token redis_admin redis_request
  redis_data redis_scheduler redis_monitor redis_cluster redis_join registry_logins session_key)

random_hex() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Prints what a new secret holds.
secret_new() {
  case $1 in
    secrets_key | session_key) printf 'k1 %s\n' "$(head -c 32 /dev/urandom | base64 -w 0)" ;;
    admin_token) printf 'hrt_%s\n' "$(head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_' | tr -d =)" ;;
    store_credentials)
      printf '{"access_key": "headrace-%s", "secret_key": "%s"}\n' "$(random_hex 4)" "$(random_hex 24)"
      ;;
    registry_logins) printf '{"auths": {}}\n' ;;
    *) printf '%s\n' "$(random_hex 32)" ;;
  esac
}

# Writes a file that only its owner reads, whole or not at all: what comes on standard input.
write_private() {
  local part
  part=$(umask 077 && mkdir -p "$(dirname "$1")" && mktemp "$1.XXXXXX")
  cat >"$part"
  mv "$part" "$1"
}

# Writes the first env file, from docker/example.env and what this swarm is.
env_make() {
  local this nodes ingress hosts registry="" socket=/var/run/docker.sock
  this=$(docker node inspect self --format '{{.Description.Hostname}}' 2>/dev/null) ||
    fail "there is no $env_file, and none can be made without a swarm" \
      "docker swarm init (for a trial: scripts/dev-swarm.sh up), then this again"
  mapfile -t nodes < <(docker node ls --format '{{.Hostname}}' | grep -vxF "$this" | sort)
  ingress="$this${nodes[0]:+ ${nodes[0]}}"
  hosts=$(nodes_addresses "$ingress")
  [ ${#nodes[@]} -eq 0 ] || registry=dev
  # Several engines on one machine (scripts/dev-swarm.sh): the path of each holds its node's name.
  if [[ ${DOCKER_HOST:-} == unix://*/"$this"/* ]]; then
    socket=${DOCKER_HOST#unix://}
    socket="${socket%%/"$this"/*}/{{.Node.Hostname}}/${socket#*/"$this"/}"
  fi
  sed -e "s|^HEADRACE_REGISTRY=.*|HEADRACE_REGISTRY=$registry|" \
    -e "s|^HEADRACE_STATE_NODE=.*|HEADRACE_STATE_NODE=$this|" \
    -e "s|^HEADRACE_INGRESS_NODES=.*|HEADRACE_INGRESS_NODES=$ingress|" \
    -e "s|^HEADRACE_ENGINE_SOCKET=.*|HEADRACE_ENGINE_SOCKET=$socket|" \
    -e "s|^HEADRACE_HOSTS=.*|HEADRACE_HOSTS=$hosts|" \
    "$project_root/docker/example.env" >"$env_file.part"
  mv "$env_file.part" "$env_file"
  say "wrote $env_file for this swarm; look at it once"
}

# Prints the addresses of nodes, in one line; a single node that names none is this machine.
nodes_addresses() {
  local node address found=()
  for node in $1; do
    address=$(docker node inspect "$node" --format '{{.Status.Addr}}')
    if [ "$address" = 0.0.0.0 ] || [ "$address" = 127.0.0.1 ]; then
      address=$(docker info --format '{{.Swarm.NodeAddr}}')
    fi
    found+=("$address")
  done
  echo "${found[*]}"
}

# Reads the env file: known names only, values as they stand. What it leaves out is as in the example.
env_load() {
  local line key value number=0 known
  known=$(sed -n 's/^\(HEADRACE_[A-Z_]*\)=.*/\1/p' "$project_root/docker/example.env")
  while IFS= read -r line; do
    [[ $line =~ ^(HEADRACE_[A-Z_]+)=(.*)$ ]] && declare -gx "${BASH_REMATCH[1]}=${BASH_REMATCH[2]}"
  done <"$project_root/docker/example.env"
  while IFS= read -r line || [ -n "$line" ]; do
    number=$((number + 1))
    [[ $line =~ ^[[:space:]]*(#|$) ]] && continue
    [[ $line =~ ^([A-Z_]+)=(.*)$ ]] ||
      fail "line $number of $env_file is not KEY=VALUE" "mend it; docker/example.env is an example" 2
    key=${BASH_REMATCH[1]} value=${BASH_REMATCH[2]}
    [[ $'\n'$known$'\n' == *$'\n'$key$'\n'* ]] ||
      fail "line $number of $env_file: $key is not known" "known are: ${known//$'\n'/ }" 2
    declare -gx "$key=$value"
  done <"$env_file"
  for key in "${!options[@]}"; do declare -gx "$key=${options[$key]}"; done
  [[ $HEADRACE_STACK =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
    fail "HEADRACE_STACK=$HEADRACE_STACK can't be a name" "use a-z, 0-9 and -, 31 at most" 2
  [[ $HEADRACE_PORT =~ ^[1-9][0-9]{0,4}$ && $HEADRACE_PORT -le 65535 ]] ||
    fail "HEADRACE_PORT=$HEADRACE_PORT is no port" "give one from 1 to 65535" 2
  [[ -z $HEADRACE_GUI_PORT || ($HEADRACE_GUI_PORT =~ ^[1-9][0-9]{0,4}$ && $HEADRACE_GUI_PORT -le 65535) ]] ||
    fail "HEADRACE_GUI_PORT=$HEADRACE_GUI_PORT is no port" "give one from 1 to 65535, or nothing" 2
  [[ $HEADRACE_REDIS_MEMORY_BYTES =~ ^[1-9][0-9]{7,12}$ ]] ||
    fail "HEADRACE_REDIS_MEMORY_BYTES=$HEADRACE_REDIS_MEMORY_BYTES is not 10 MB or more" \
      "give whole bytes, such as 1073741824" 2
  [[ $HEADRACE_TLS =~ ^(yes|no)$ ]] ||
    fail "HEADRACE_TLS=$HEADRACE_TLS is neither yes nor no" "write one of them" 2
  [ -n "$HEADRACE_TAG" ] ||
    HEADRACE_TAG=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$project_root/pyproject.toml")
  export HEADRACE_TAG REDIS_LIMIT_BYTES=$((2 * HEADRACE_REDIS_MEMORY_BYTES + 268435456))
  case $HEADRACE_DEPLOYMENT in
    /*) deployment=$HEADRACE_DEPLOYMENT ;;
    *) deployment=$(cd "$(dirname "$env_file")" && pwd)/$HEADRACE_DEPLOYMENT ;;
  esac
  main_stack=$HEADRACE_STACK
  # A name that the certificate is for: inside, the GUI calls the request service by another.
  export REQUEST_TLS_NAME=${HEADRACE_HOSTS%% *}
  REQUEST_TLS_NAME=${REQUEST_TLS_NAME:-localhost}
}

# Makes the secrets that are missing, and the certificate; what is there stays.
secrets_make() {
  local name made=()
  (umask 077 && mkdir -p "$deployment/secrets")
  for name in "${secrets_known[@]}"; do
    [ -e "$(secret_file "$name")" ] && continue
    secret_new "$name" | write_private "$(secret_file "$name")"
    made+=("$name")
  done
  [ ${#made[@]} -eq 0 ] || say "made secrets in $deployment/secrets: ${made[*]}"
  if [ "$HEADRACE_TLS" = yes ] && [ ! -e "$deployment/tls/tls.crt" ]; then
    # shellcheck disable=SC2086 # names apart by blanks
    "$project_root/scripts/gen-cert.sh" "$deployment/tls" ${HEADRACE_HOSTS:-localhost}
  fi
}

# Prints the file of a secret.
secret_file() {
  case $1 in
    tls_cert) echo "$deployment/tls/tls.crt" ;;
    tls_key) echo "$deployment/tls/tls.key" ;;
    registry_logins) echo "$deployment/registries/config.json" ;; # docker --config writes it
    *) echo "$deployment/secrets/$1" ;;
  esac
}

# Sets SECRET_<NAME> of each secret to its name in the swarm, which follows its content.
secrets_name() {
  local name sum
  for name in "${secrets_known[@]}" tls_cert tls_key; do
    [ -e "$(secret_file "$name")" ] || continue
    sum=$(sha256sum <"$(secret_file "$name")")
    declare -gx "SECRET_${name^^}=${HEADRACE_STACK}_${name}_${sum:0:12}"
  done
}

# Gives the swarm the secrets that it lacks.
secrets_create() {
  local name variable there
  there=$'\n'$(docker secret ls --format '{{.Name}}')$'\n'
  for name in "$@"; do
    variable=SECRET_${name^^}
    [[ $there == *$'\n'"${!variable}"$'\n'* ]] ||
      docker secret create --label "headrace.stack=$HEADRACE_STACK" "${!variable}" \
        "$(secret_file "$name")" >/dev/null
  done
}

# Removes secrets of earlier contents, or all with "all"; those in use stay.
secrets_prune() {
  local name
  for name in $(docker secret ls --filter "label=headrace.stack=$HEADRACE_STACK" \
    --format '{{.Name}}'); do
    if [ "${1:-}" = all ] || [[ $'\n'$(env | sed -n 's/^SECRET_[A-Z_]*=//p')$'\n' != *$'\n'$name$'\n'* ]]; then
      docker secret rm "$name" >/dev/null 2>&1 || true
    fi
  done
}

# Prints the images of a stack.
images_of() {
  case $1 in
    main) echo service redis worker-python worker-mpi ;;
    object_store) echo object-store ;;
    dev_registry) echo dev-registry ;;
    gui) echo service ;;
  esac
}

# Prints the registry's address; nothing where there is none.
registry() {
  case $HEADRACE_REGISTRY in
    dev) echo "$(docker info --format '{{.Swarm.NodeAddr}}'):5000" ;;
    *) echo "$HEADRACE_REGISTRY" ;;
  esac
}

# Prints the registries that the deployment has logins for; fails where the file is not docker's.
registry_logins() {
  python3 - "$(secret_file registry_logins)" 2>/dev/null <<'PYTHON'
import base64, json, sys
for name, login in json.load(open(sys.argv[1]))["auths"].items():
    if not login.get("identitytoken") and b":" not in base64.b64decode(login["auth"]):
        sys.exit(1)
    host = name.rpartition("://")[2].partition("/")[0]
    print("docker.io" if host == "index.docker.io" else host)
PYTHON
}

registry_logins_wrong() {
  echo "$(secret_file registry_logins) holds no logins in the form of docker's config.json"
}

registry_logins_advice() {
  echo "write {\"auths\": {\"HOST\": {\"auth\": \"base64 of USER:PASSWORD\"}}}; a credential helper is of no use to nodes"
}

# True where the deployment has a login for its own registry.
registry_has_login() {
  local host
  host=$(registry)
  host=${host%%/*}
  [ -n "$host" ] && [[ $'\n'$(registry_logins)$'\n' == *$'\n'"$host"$'\n'* ]]
}

# Runs docker with the deployment's login for its registry; where there is none, with the user's own.
registry_docker() {
  if registry_has_login; then
    DOCKER_HOST=${DOCKER_HOST:-$(docker context inspect --format '{{.Endpoints.docker.Host}}')} \
      DOCKER_CONFIG=$(dirname "$(secret_file registry_logins)") docker "$@"
  else
    docker "$@"
  fi
}

# Prints what a service names an image by: a digest of the registry, or else the id of the image on
# this engine, by which no node asks any registry. Fails when there is neither.
image_reference() {
  local pushed
  if [ -n "$HEADRACE_REGISTRY" ] && [ "$1" != dev-registry ]; then
    pushed=$(awk -F= -v image="$1:$HEADRACE_TAG" '$1 == image { print $2 }' \
      "$deployment/images" 2>/dev/null) || true
    [ -n "$pushed" ] && echo "$pushed" && return
    return 1
  fi
  docker image inspect --format '{{.Id}}' "headrace/$1:$HEADRACE_TAG" 2>/dev/null
}

# Sets IMAGE_<NAME> of each image of a stack; fails with what to do.
images_name() {
  local image reference variable
  for image in $(images_of "$1"); do
    variable=${image^^}
    reference=$(image_reference "$image") ||
      fail "there is no image headrace/$image:$HEADRACE_TAG to deploy${HEADRACE_REGISTRY:+ that was pushed}" \
        "scripts/control-stack.sh $1 build${HEADRACE_REGISTRY:+ push}"
    declare -gx "IMAGE_${variable//-/_}=$reference"
  done
}
