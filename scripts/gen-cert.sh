#!/usr/bin/env bash
# Makes a certificate for the public port, and the authority that signs it.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: scripts/gen-cert.sh [-h] [--days N] FOLDER NAME...

Makes, in FOLDER:
  ca.crt, ca.key    an authority of its own, the first time; for ten years
  tls.crt, tls.key  a certificate by it for the NAMEs (host names and addresses), with its chain

  --days N   how long the certificate is good (without: 397, what clients take at most)

A second call makes a new certificate by the same authority, so that clients, who trust ca.crt, need
not hear of it. For a certificate by another authority put its files in place of tls.crt and tls.key.
USAGE
}

fail() {
  printf 'gen-cert.sh: %s.\n  Do this: %s\n' "$1" "$2" >&2
  exit "${3:-1}"
}

days=397
case ${1:-} in
  -h | --help) usage; exit 0 ;;
  --days)
    [[ ${2:-} =~ ^[1-9][0-9]{0,3}$ ]] || fail "--days needs a number" "write --days 90" 2
    days=$2
    shift 2
    ;;
esac
[ $# -ge 2 ] || fail "a folder and at least one name are needed" "see scripts/gen-cert.sh -h" 2
folder=$1
shift
command -v openssl >/dev/null ||
  fail "there is no openssl on this machine" "apt-get install openssl"

names=()
for name in "$@"; do
  if [[ $name =~ ^([0-9]{1,3}\.){3}[0-9]{1,3}$ || $name =~ ^[0-9A-Fa-f]*:[0-9A-Fa-f:]+$ ]]; then
    names+=("IP:$name")
  elif [[ $name =~ ^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$ ]]; then
    names+=("DNS:$name")
  else
    fail "'$name' is neither a host name nor an address" "leave out https:// and the port" 2
  fi
done

umask 077
mkdir -p "$folder"
work=$(mktemp -d "$folder/.new.XXXXXX")
trap 'rm -rf "$work"' EXIT
# What openssl says is shown when it fails.
ssl() { openssl "$@" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }; }

if [ ! -e "$folder/ca.crt" ]; then
  ssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -sha256 \
    -subj "/CN=Headrace $(date -u +%Y-%m-%d)" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$work/ca.key" -out "$work/ca.crt"
  mv "$work/ca.key" "$work/ca.crt" "$folder/"
elif [ ! -e "$folder/ca.key" ]; then
  fail "$folder/ca.crt has no key here, so nothing can be signed by it" \
    "bring ca.key, or remove ca.crt: then clients need the new one"
fi
printf '%s\n' "subjectAltName=$(IFS=,; echo "${names[*]}")" basicConstraints=critical,CA:FALSE \
  keyUsage=critical,digitalSignature extendedKeyUsage=serverAuth >"$work/extensions"
ssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=${1:0:64}" \
  -keyout "$work/tls.key" -out "$work/request"
ssl x509 -req -in "$work/request" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" \
  -set_serial "0x$(openssl rand -hex 16)" -days "$days" -sha256 -extfile "$work/extensions" \
  -out "$work/tls.crt"
cat "$folder/ca.crt" >>"$work/tls.crt"
mv "$work/tls.key" "$work/tls.crt" "$folder/"
chmod 644 "$folder/ca.crt" "$folder/tls.crt"
echo "certificate for ${names[*]}, good for $days days: $folder/tls.crt"
