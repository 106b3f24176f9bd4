#!/bin/bash
# demo.sh: from a fresh Debian or Ubuntu to nginx in a container. Installs what is needed, builds a release binary,
# makes the images from Debian packages, serves them by a registry on loopback (so that no internet is needed), and
# then types what a user types: rcon run -d -p 8080:80 nginx. Ends with the page that nginx served.
# Everything runs in namespaces of its own and leaves nothing on the machine but packages and caches. Needs root.
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
if [ "${RCON_ISOLATED:-}" != 1 ]; then
  [ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
  "$here/setup.sh" test
  RCON="$("$here/build.sh")"; export RCON
  RCON_FIXTURES="$("$here/../tests/fixtures/build.sh")"; export RCON_FIXTURES
  exec "$here/../tests/isolate.sh" "$0"
fi
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }
rcon() { "$RCON" "$@"; }
"$here/../tests/fixtures/registry.sh" plain 5000 "$RCON_FIXTURES" 2>/dev/null &
for _ in $(seq 100); do curl -fs http://127.0.0.1:5000/v2/ >/dev/null && break; sleep 0.1; done
# On a machine with internet this file is not needed: the same names come from Docker Hub.
cat > /run/registries.conf <<Y
unqualified-search-registries = ["docker.io"]
[[registry]]
prefix = "docker.io"
location = "127.0.0.1:5000"
insecure = true
Y
export CONTAINERS_REGISTRIES_CONF=/run/registries.conf
say rcon version --format '{{.Client.Version}}'
say rcon run --rm hello-world
say rcon run --rm busybox echo hello
say rcon run -d -p 8080:80 --name web nginx
for _ in $(seq 100); do curl -fs http://127.0.0.1:8080/ >/dev/null && break; sleep 0.05; done
say rcon ps
say curl -s http://127.0.0.1:8080/
say rcon logs web
say rcon exec web cat /etc/hostname
say rcon stop web
say rcon rm web
