#!/bin/bash
# Three gateways, PostgreSQL, Redis, HAProxy and nginx on this machine, from Debian's packages
# (postgresql, redis-server, haproxy, nginx). The provider is the built-in simulator.
#
#   deploy/three-nodes.sh            starts everything, tries it, stops everything
#   deploy/three-nodes.sh --stay     the same, and leaves it running until Enter
#
# MAINSTAY names the program (target/release/mainstay). Nothing is written outside a directory of its own.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mainstay=${MAINSTAY:-$here/../target/release/mainstay}
mainstay=$(realpath "$mainstay")
place=$(mktemp -d)
chmod 755 "$place"
started=()
token=three-nodes-on-one-machine

say() { echo "== $*"; }

stop() {
  for ((n = ${#started[@]} - 1; n >= 0; n--)); do kill "${started[n]}" 2>/dev/null || true; done
  if [ -d "$place/postgres" ]; then as_postgres "$bin/pg_ctl" -D "$place/postgres" -m fast -w stop >/dev/null || true; fi
  wait 2>/dev/null || true
  rm -rf "$place"
}
trap stop EXIT

# PostgreSQL refuses root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups "$@"); else "$@"; fi
}

# Runs a program beside this script, its words in a file.
begin() {
  local name=$1
  shift
  "$@" >"$place/$name.log" 2>&1 &
  started+=($!)
}

until_ok() {
  local what=$1
  shift
  for _ in $(seq 1 300); do
    if "$@" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  echo "$what does not come about; the last words:" >&2
  tail -n 5 "$place"/*.log >&2
  exit 1
}

if command -v systemd-analyze >/dev/null; then
  mkdir "$place/units"
  for unit in "$here"/systemd/*.service; do
    sed "s|/usr/bin/mainstay|$mainstay|" "$unit" >"$place/units/$(basename "$unit")"
    systemd-analyze verify "$place/units/$(basename "$unit")"
  done
  say "systemd finds nothing wrong with the units"
fi

say "PostgreSQL"
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
mkdir "$place/postgres"
if [ "$(id -u)" = 0 ]; then chown postgres: "$place/postgres"; fi
as_postgres "$bin/initdb" -D "$place/postgres" -U mainstay -A trust -E UTF8 >/dev/null
as_postgres "$bin/pg_ctl" -D "$place/postgres" -w -l "$place/postgres/log" \
  -o "-p 54391 -c listen_addresses=127.0.0.1 -c unix_socket_directories=$place/postgres" start >/dev/null
export DATABASE_URL=postgres://mainstay@127.0.0.1:54391/postgres

say "Redis"
begin redis redis-server --port 63791 --bind 127.0.0.1 --save "" --appendonly no --maxmemory-policy noeviction
redis=${started[-1]}
export REDIS_URL=redis://127.0.0.1:63791
until_ok "Redis" redis-cli -p 63791 ping

export MAINSTAY_ADMIN_TOKEN=$token
for n in 1 2 3; do
  mkdir "$place/$n"
  sed 's/^name = "openai"/name = "sim"/; s/^kind = "openai"/kind = "sim"/; /^api_key/d' "$here/mainstay.toml" >"$place/$n/mainstay.toml"
done
start_gateway() {
  (cd "$place/$1" && exec "$mainstay" serve --listen "127.0.0.1:818$1" --admin-listen "127.0.0.1:819$1") >"$place/gateway-$1.log" 2>&1 &
  started+=($!)
  gateway[$1]=$!
  until_ok "gateway $1" curl -fs "http://127.0.0.1:818$1/readyz"
}
declare -a gateway
for n in 1 2 3; do
  say "gateway $n"
  start_gateway "$n"
done

say "HAProxy on 127.0.0.1:8088, nginx on 127.0.0.1:8089"
begin haproxy haproxy -f "$here/haproxy.cfg"
begin nginx nginx -e stderr -p "$place/" -c "$here/nginx.conf" -g "daemon off;"

api() { curl -fsS -H "Authorization: Bearer $token" "$@"; }
status() { api "http://127.0.0.1:819$1/mainstay/status"; }
three_there() { for n in 1 2 3; do status "$n" | grep -q '"nodes":3' || return 1; done; }
until_ok "three gateways that see each other" three_there
say "three gateways see each other"

made=$(api "http://127.0.0.1:8191/mainstay/keys" -d '{"name": "three-nodes"}')
key=$(grep -o 'sk-ms-[A-Za-z0-9_-]*' <<<"$made" | head -1)
id=$(grep -o 'key_[A-Za-z0-9]*' <<<"$made" | head -1)
call() {
  curl -s -o /dev/null -w '%{http_code}' --max-time 30 "http://127.0.0.1:$1/v1/chat/completions" -H "Authorization: Bearer $key" \
    -H "Content-Type: application/json" -d '{"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}'
}
works() { [ "$(call "$1")" = 200 ]; }
for port in 8181 8182 8183 8088 8089; do until_ok "a call through $port" works "$port"; done
say "a key made on one gateway works on all three, through HAProxy and through nginx"

# Counts what comes of a hundred calls through a front.
hundred() {
  local good=0
  for _ in $(seq 1 100); do
    if [ "$(call "$1")" = 200 ]; then good=$((good + 1)); fi
  done
  echo "$good"
}

say "Redis frozen: HAProxy $(kill -STOP "$redis"; hundred 8088) of 100, nginx $(hundred 8089) of 100; $(curl -s http://127.0.0.1:8181/readyz)"
kill -CONT "$redis"
well() { ! curl -s http://127.0.0.1:8181/readyz | grep -q degraded; }
until_ok "the end of it" well

say "gateway 2 stopped: HAProxy $(kill "${gateway[2]}"; hundred 8088) of 100, nginx $(hundred 8089) of 100"
wait "${gateway[2]}" 2>/dev/null || true
start_gateway 2
say "gateway 2 killed: HAProxy $(kill -9 "${gateway[2]}"; hundred 8088) of 100, nginx $(hundred 8089) of 100"
start_gateway 2

api -X POST "http://127.0.0.1:8191/mainstay/keys/$id/revoke" >/dev/null
refused() { [ "$(call "$1")" = 401 ]; }
for port in 8181 8182 8183; do until_ok "a refusal on $port" refused "$port"; done
say "the key is revoked on one gateway and refused on all three"

if [ "${1:-}" = --stay ]; then
  read -rp "HAProxy http://127.0.0.1:8088/v1, consoles http://127.0.0.1:8191 to 8193 (token $token); Enter stops it all "
fi
