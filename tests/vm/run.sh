#!/bin/bash
# RCON=PATH run.sh [TEST...]: the integration tests in a virtual machine with systemd and cgroup v2 only, by the same test
# binary. Needs the VM scripts (RCON_VM_SCRIPTS, default ../shared/vm beside the checkout); says so and ends with 77
# where they are not there. Emulated and slow: without arguments the tests that depend on cgroups and systemd run.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
scripts="${RCON_VM_SCRIPTS:-$PWD/../shared/vm}"
[ -x "$scripts/vm-run.sh" ] || { echo "tests/vm: skipped, no VM scripts at $scripts" >&2; exit 77; }
[ $# -gt 0 ] || set -- limits foreground stop_sends exec_runs monitor_killed
work="$PWD/.cache/vm"; mkdir -p "$work"
RCON="${RCON:-$(scripts/build.sh)}"
it="$(cargo test -q --locked --test it --no-run --message-format json 2>/dev/null |
  sed -n 's/.*"executable":"\([^"]*\/it-[^"]*\)".*/\1/p' | tail -1)"
RCON_FIXTURES="$(tests/fixtures/build.sh)"
install -m 755 "$RCON" "$work/rcon"; install -m 755 "$it" "$work/it"
rm -rf "$work/fixtures"; mkdir "$work/fixtures"
cp -a "$RCON_FIXTURES"/{registry,tls,token,htpasswd} "$work/fixtures/"
# Each name is a run of its own, so that one that hangs does not hide the others; the binary takes one filter a run
# only where tests are named exactly, so pass them all.
exec "$scripts/vm-run.sh" --timeout 2400 --env "RCON=$work/rcon" --env "RCON_FIXTURES=$work/fixtures" -- \
  "$PWD/tests/isolate.sh" "$work/it" --test-threads 2 "$@"
