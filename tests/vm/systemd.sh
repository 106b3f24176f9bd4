#!/bin/bash
# systemd.sh: `rcon runtime --systemd-cgroup` in the virtual machine: scopes, their properties, scopes that fail. Needs
# what run.sh needs; ends with 77 where it is not there.
#   RCON=path   the binary (default: a release build)
set -euo pipefail
case "${1:-}" in __user) ;; *) cd "$(dirname "$(readlink -f "$0")")/../.." ;; esac
scripts="${RCON_VM_SCRIPTS:-$PWD/../shared/vm}"
if [ "${1:-}" = __inside ]; then
  install -m 755 "$2" /usr/local/bin/rcon-runtime
  work="$(mktemp -d)"; cd "$work"
  mkdir -p root/bin; cp /bin/busybox root/bin/
  for name in sh sleep cat; do ln -s busybox "root/bin/$name"; done
  rt() { rcon-runtime --root "$work/state" --systemd-cgroup "$@"; }
  unit=rcon-sd.scope
  # bundle ARGS FILTER: a bundle that runs ARGS, changed by a filter of jq.
  bundle() {
    rm -f config.json; rt spec
    jq ".root.path = \"root\" | .process.terminal = false | .process.args = $1 |
      .linux.cgroupsPath = \"system.slice:rcon:sd\" | $2" config.json >new && mv new config.json
  }
  property() { systemctl show -p "$1" --value "$unit"; }
  same() { [ "$2" = "$3" ] || { echo "systemd: $1: $2 and not $3" >&2; exit 1; }; }

  # A bundle with a cgroup mount, which every one has, with a cgroup namespace and without.
  bundle '["sh", "-c", "cat /sys/fs/cgroup/cgroup.controllers"]' .
  same "own view" "$(rt run sd | grep -c memory)" 1
  bundle '["sh", "-c", "cat /sys/fs/cgroup/system.slice/rcon-sd.scope/cgroup.type"]' \
    '.linux.namespaces |= map(select(.type != "cgroup"))'
  same "the host's view" "$(rt run sd)" domain

  # Limits are the unit's, too; half a quota keeps the other half.
  bundle '["sleep", "10000"]' '.linux.resources.CPU = {"Cpus": "0"} | .linux.resources.cpu = {"quota": 50000, "period": 100000}'
  rt run -d sd
  same AllowedCPUs "$(property AllowedCPUs)" 0
  rt update --cpu-period 200000 sd
  same cpu.max "$(cat /sys/fs/cgroup/system.slice/$unit/cpu.max)" "50000 200000"
  same CPUQuotaPerSecUSec "$(property CPUQuotaPerSecUSec)" 250ms
  rt update --cpu-share 200 --cpu-idle 1 sd 2>&1 | grep -q "unable to apply both"
  systemctl daemon-reload
  same cpu.idle "$(cat /sys/fs/cgroup/system.slice/$unit/cpu.idle)" 1
  rt update --cpu-share 200 sd
  same cpu.idle "$(cat /sys/fs/cgroup/system.slice/$unit/cpu.idle)" 0
  rt delete --force sd
  same LoadState "$(property LoadState)" not-found

  # Controllers below itself, as systemd in a container has them: an exec goes where the first process is.
  bundle '["sh", "-c", "cd /sys/fs/cgroup; mkdir in; echo 1 >in/cgroup.procs; echo +memory >cgroup.subtree_control; exec sleep 10000"]' \
    '(.mounts[] | select(.type == "cgroup").options) -= ["ro"] | .root.readonly = false'
  for name in mkdir; do ln -s busybox "root/bin/$name"; done
  rt run -d sd
  for _ in $(seq 600); do grep -q memory /sys/fs/cgroup/system.slice/$unit/cgroup.subtree_control && break; sleep 0.2; done
  same "place of an exec" "$(rt exec sd cat /proc/self/cgroup)" 0::/in
  ! rt run -d second 2>err && grep -q "container's cgroup is not empty" err
  rt delete --force sd

  # Wishes by annotation; one that failed is there until it is deleted.
  bundle '["sleep", "10000"]' '.annotations = {"org.systemd.property.RuntimeMaxSec": "1", "org.systemd.property.TimeoutStopSec": "1"}'
  rt run -d sd
  for _ in $(seq 600); do [ "$(property ActiveState)" = failed ] && break; sleep 0.2; done
  same ActiveState "$(property ActiveState)" failed
  rt delete --force sd
  same LoadState "$(property LoadState)" not-found
  echo "systemd: ok"
  exit
fi
if [ "${1:-}" = __user ]; then
  # podman without root, whose manager of cgroups is systemd's of the user.
  cp "$2" /tmp/rcon-runtime
  p() { podman --runtime /tmp/rcon-runtime "$@"; }
  image=localhost/busybox
  [ "$(p run --rm --network none --memory 64m $image cat /sys/fs/cgroup/memory.max)" = 67108864 ]
  [ "$(p --cgroup-manager cgroupfs run --rm --network none $image sh -c 'echo here >/dev/null; id -u')" = 0 ]
  p run -d --name one --network none $image sleep 10000
  systemctl --user list-units --no-legend 'libpod-*.scope' | grep -q "rcon container"
  [ "$(podman exec one hostname)" = "$(podman inspect -f '{{.Config.Hostname}}' one)" ]
  podman rm -f -t 0 one
  [ -z "$(systemctl --user list-units --all --no-legend 'libpod-[0-9a-f]*.scope')" ]
  echo "podman without root: ok"
  # The runtime alone: the user's systemd makes the scope, which holds to limits.
  mkdir -p /tmp/own/root/bin; cd /tmp/own
  cp /bin/busybox root/bin/; ln -s busybox root/bin/cat
  /tmp/rcon-runtime spec --rootless
  jq '.root.path = "root" | .process.terminal = false | .process.args = ["cat", "/sys/fs/cgroup/memory.max"] |
    .linux.cgroupsPath = "user.slice:rcon:own" | .linux.resources = {"memory": {"limit": 67108864}}' config.json >new
  mv new config.json
  [ "$(/tmp/rcon-runtime --systemd-cgroup run own)" = 67108864 ]
  echo "the runtime without root: ok"
  exit
fi
[ -x "$scripts/vm-run.sh" ] || { echo "tests/vm: skipped, no VM scripts at $scripts" >&2; exit 77; }
work="$PWD/.cache/vm"; mkdir -p "$work"
install -m 755 "${RCON:-$(scripts/build.sh)}" "$work/rcon"
"$scripts/vm-run.sh" --timeout 900 -- "$PWD/tests/vm/systemd.sh" __inside "$work/rcon"
cp tests/vm/systemd.sh "$work/"
"$scripts/vm-run.sh" --timeout 900 --mount "$work" --user tester -- /src/systemd.sh __user /src/rcon
