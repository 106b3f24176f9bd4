#!/bin/bash
# run.sh [SECTION...]: rcon beside podman, docker and the bare runtimes. See README.md here.
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
if [ "${RCON_ISOLATED:-}" != 1 ]; then
  [ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
  "$here/../scripts/setup.sh" bench
  RCON="$(readlink -f "${RCON:-$("$here/../scripts/build.sh")}")"; export RCON
  RCON_FIXTURES="$("$here/../tests/fixtures/build.sh")"; export RCON_FIXTURES
  "$here/images.sh" "$RCON_FIXTURES"
  # A fresh XFS: ext4 avoids inodes deleted in the last minutes one by one, so that an extract-delete loop gets
  # slower with every round, for every engine.
  disk="$(mktemp -d /var/tmp/rcon-bench.XXXXXX)"; export disk
  trap 'rm -rf "$disk"' EXIT
  truncate -s 20G "$disk/img"; mkfs.xfs -q "$disk/img"; mkdir "$disk/mnt"
  # The mount is made in a mount namespace of its own and ends with it.
  unshare --mount --propagation private bash -euc '
    mount -o loop "$disk/img" "$disk/mnt"
    RCON_ISOLATE_DIR="$disk/mnt" exec "$0" "$@"' "$here/../tests/isolate.sh" "$here/run.sh" "$@"
  exit
fi
# crun before 1.9 refuses a machine whose cgroup2 tree offers controllers beside v1 ones: let all peers see plain v1.
if grep -qs . /sys/fs/cgroup/unified/cgroup.controllers; then umount -l /sys/fs/cgroup/unified; fi
python3 "$here/bench.py" "$@"
