#!/bin/bash
# parity.sh [ENGINE...]: the same command lines (tests/parity/table) with docker, podman and rcon on this machine;
# says where stdout or the exit code differ from docker's, or, in lines that begin with `podman:` (what docker does not
# have), from podman's. Peers that are not installed are left out. Needs root.
#   parity.sh                docker, podman and rcon; exit code 1 if rcon differs from docker where it should not
#   RCON=path                the binary (default target/debug/rcon)
#   PARITY_OUT=dir           where the answers are kept (default a folder that is removed)
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
RCON="$(readlink -f "${RCON:-$here/../target/debug/rcon}")"
table="${PARITY_TABLE:-$here/parity/table}"

# Runs inside isolate.sh: the engine with a local registry as docker.io, then the table.
answer() {
  engine="$1" out="$2" fixtures="$3"
  "$here/fixtures/registry.sh" plain 5000 "$fixtures" >"$out.registry" 2>&1 &
  for _ in $(seq 50); do (exec 3<>/dev/tcp/127.0.0.1/5000) 2>/dev/null && break; sleep 0.1; done
  printf '[[registry]]\nprefix = "docker.io"\nlocation = "127.0.0.1:5000"\ninsecure = true\n' >/run/registries.conf
  printf 'unqualified-search-registries = ["docker.io"]\n' | cat - /run/registries.conf >/run/r && mv /run/r /run/registries.conf
  export CONTAINERS_REGISTRIES_CONF=/run/registries.conf
  case "$engine" in
    docker)
      dockerd --iptables=true --insecure-registry 127.0.0.0/8 >"$out.log" 2>&1 &
      for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.2; done
      docker pull -q 127.0.0.1:5000/busybox >/dev/null
      docker tag 127.0.0.1:5000/busybox busybox; docker rmi 127.0.0.1:5000/busybox >/dev/null
      E() { timeout 30 docker "$@"; } ;;
    podman)
      # crun before 1.9 refuses a machine whose cgroup2 tree offers controllers beside v1 ones; there is no journal;
      # and the limits that podman asks for by default are beyond a machine without CAP_SYS_RESOURCE.
      if grep -qs . /sys/fs/cgroup/unified/cgroup.controllers; then umount -l /sys/fs/cgroup/unified; fi
      printf '[containers]\ndefault_ulimits = []\nlog_driver = "k8s-file"\n' >/run/containers.conf
      printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' >>/run/containers.conf
      export CONTAINERS_CONF=/run/containers.conf
      E() { timeout 30 podman "$@"; }
      E pull -q docker.io/library/busybox >/dev/null ;;
    rcon)
      E() { timeout 30 "$RCON" "$@"; }
      E pull -q busybox >/dev/null ;;
  esac
  rm -rf /tmp/parity /tmp/envfile
  cd /
  n=0
  while IFS= read -r line; do
    case "$line" in '' | '#'*) continue ;; esac
    n=$((n + 1))
    command="${line#code: }" command="${command#podman: }" command="${command#own: }" command="${command#quiet: }"
    rc=0
    # A subshell, so that one line cannot change the next one's folder or variables.
    (eval "${command%%##*}") >"$out.stdout" 2>"$out.stderr" </dev/null || rc=$?
    { normalise <"$out.stdout"; echo "[rc $rc]"; } >"$out/$n"
    cp "$out.stderr" "$out/$n.stderr"
  done <"$table"
  rm -rf /tmp/parity /tmp/envfile
}

normalise() {
  sed -E 's/(sha256:)?[0-9a-f]{64}/<id>/g; s/\b[0-9a-f]{12}\b/<id>/g
    s/\b[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[ +-][0-9:]+( UTC)?)?/<time>/g
    s/(Less than a second|About a minute|[0-9]+ (seconds?|minutes?|hours?|days?|weeks?|months?|years?)) ago/<ago>/g
    s/(docker\.io|127\.0\.0\.1:5000)\/library\///; s/(docker\.io|localhost)\///
    s/[ \t]+$//'
}

if [ "${1:-}" = __answer ]; then shift; answer "$@"; exit; fi

engines=("$@")
if [ ${#engines[@]} = 0 ]; then
  for e in docker podman rcon; do
    if [ "$e" = rcon ] || command -v "$e" >/dev/null; then engines+=("$e"); else echo "parity: $e is not installed"; fi
  done
fi
fixtures="$("$here/fixtures/build.sh" | tail -1)"
out="${PARITY_OUT:-$(mktemp -d)}"
for e in "${engines[@]}"; do
  # With PARITY_OUT the peers' answers are kept from one call to the next.
  if [ "$e" != rcon ] && [ -e "$out/$e/1" ]; then continue; fi
  mkdir -p "$out/$e"
  RCON="$RCON" "$here/isolate.sh" "$here/parity.sh" __answer "$e" "$out/$e" "$fixtures"
done
bad=0 n=0 agree=0 asked=0
pick() { case "$line" in code:*) tail -1 "$1" ;; *) cat "$1" ;; esac; }
while IFS= read -r line; do
  case "$line" in '' | '#'*) continue ;; esac
  n=$((n + 1))
  peer=docker
  # Where docker and podman disagree, docker decides (docs/compat.md); how often podman says the same is only counted.
  if [ -e "$out/podman/$n" ] && [ -e "$out/rcon/$n" ]; then
    asked=$((asked + 1))
    if cmp -s <(pick "$out/podman/$n") <(pick "$out/rcon/$n"); then agree=$((agree + 1)); fi
  fi
  case "$line" in quiet:* | own:*) continue ;; podman:*) peer=podman ;; esac
  if [ ! -e "$out/$peer/$n" ] || [ ! -e "$out/rcon/$n" ]; then continue; fi
  if cmp -s <(pick "$out/$peer/$n") <(pick "$out/rcon/$n"); then continue; fi
  bad=$((bad + 1))
  echo "--- $line"
  for e in docker podman rcon; do
    if [ -e "$out/$e/$n" ]; then pick "$out/$e/$n" | sed "s/^/$(printf '%-7s' "$e")| /"; fi
  done
  if [ -n "${VERBOSE:-}" ]; then head -3 "$out/rcon/$n.stderr" | sed 's/^/ stderr: /'; fi
done <"$table"
echo "parity: $n lines, $bad differ; as podman $agree of $asked"
if [ -z "${PARITY_OUT:-}" ]; then rm -rf "$out"; fi
[ "$bad" = 0 ]
