#!/bin/bash
# reboot.sh: `rcon system install-service` in the virtual machine: which containers are back after a reboot, by restart
# policy. Needs what run.sh needs; ends with 77 where it is not there.
#   RCON=path   the binary (default: a release build)
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
scripts="${RCON_VM_SCRIPTS:-$PWD/../shared/vm}"
if [ "${1:-}" = __before ]; then
  install -m 755 "$2" /usr/local/bin/rcon
  rcon load -q -i /usr/local/share/rcon-vm/busybox.tar
  rcon system install-service
  start() { name="$1" policy="$2"; shift 2; rcon run -d --name "$name" --restart "$policy" "$@" >/dev/null; }
  image=localhost/busybox
  for policy in no always unless-stopped on-failure; do start "run-$policy" "$policy" "$image" sleep 100000; done
  for policy in always unless-stopped; do
    start "stopped-$policy" "$policy" "$image" sleep 100000; rcon stop -t 0 "stopped-$policy"
  done
  start done on-failure "$image" true
  start web always -p 8080:80 "$image" sh -c 'mkdir /w; echo page >/w/index.html; httpd -f -p 80 -h /w'
  start data unless-stopped -v data:/d "$image" sh -c 'echo start >>/d/starts; sleep 100000'
  sleep 2
  exit
fi
if [ "${1:-}" = __after ]; then
  for _ in $(seq 120); do systemctl is-active -q rcon && break; sleep 1; done
  # As docker's documentation has it: `always` comes back even after a stop, `unless-stopped` does not, and `on-failure`
  # is not for this.
  want="data running
done exited
run-always running
run-no exited
run-on-failure exited
run-unless-stopped running
stopped-always running
stopped-unless-stopped exited
web running"
  diff <(echo "$want") <(rcon ps -a --format '{{.Names}} {{.State}}' | sort)
  [ "$(curl -s -m 20 --retry 5 --retry-connrefused http://127.0.0.1:8080/)" = page ]
  [ "$(rcon exec data cat /d/starts | wc -l)" = 2 ]
  rcon system check
  echo "reboot: ok"
  exit
fi
[ -x "$scripts/vm-run.sh" ] || { echo "tests/vm: skipped, no VM scripts at $scripts" >&2; exit 77; }
work="$PWD/.cache/vm"; mkdir -p "$work"
install -m 755 "${RCON:-$(scripts/build.sh)}" "$work/rcon"
disk="$(mktemp -d /var/tmp/rcon-reboot.XXXXXX)"; trap 'rm -rf "$disk"' EXIT
"$scripts/vm-run.sh" --disk "$disk/d.qcow2" --timeout 900 -- "$PWD/tests/vm/reboot.sh" __before "$work/rcon"
"$scripts/vm-run.sh" --disk "$disk/d.qcow2" --timeout 900 -- "$PWD/tests/vm/reboot.sh" __after
