#!/bin/bash
# isolate.sh CMD [ARG...]: runs CMD in mount, network and PID namespaces of its own, with a
# private /run, /var/lib/rcon, /var/lib/containers, /var/lib/docker and /dev/shm, so that a test
# meets nothing of the machine and everything it starts ends with it. Needs root.
#   RCON_ISOLATED=1     set inside; a nested call runs CMD as it is
#   RCON_ISOLATE_DIR    folder that backs the private /var/lib directories (default: a tmpfs)
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "isolate.sh: needs root" >&2; exit 1; }
if [ "${RCON_ISOLATED:-}" = 1 ]; then exec "$@"; fi
if [ "${RCON_ISOLATE_INNER:-}" != 1 ]; then
  exec env RCON_ISOLATE_INNER=1 unshare --mount --net --pid --fork --kill-child \
    --mount-proc --propagation private "$(readlink -f "$0")" "$@"
fi
unset RCON_ISOLATE_INNER
export RCON_ISOLATED=1
state="${RCON_ISOLATE_DIR:-}"
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
if [ -z "$state" ]; then
  state=/run/.state; mkdir -p "$state"; mount -t tmpfs -o mode=755,size=12G tmpfs "$state"
fi
for d in rcon containers docker containerd; do
  mkdir -p "/var/lib/$d" "$state/$d"; mount --bind "$state/$d" "/var/lib/$d"
done
mkdir -p /run/lock /run/netns; chmod 1777 /run/lock
# A sysfs of this network namespace, with the machine's cgroup hierarchies on it.
mkdir -p /run/.cg; mount --rbind /sys/fs/cgroup /run/.cg
umount -R -l /sys; mount -t sysfs sysfs /sys
mount --rbind /run/.cg /sys/fs/cgroup; umount -R -l /run/.cg; rmdir /run/.cg
ip link set lo up
# An address that is not loopback, to stand for "the host", and a default route.
ip link add host0 type veth peer name host1
ip link set host1 up; ip addr add 192.0.2.1/24 dev host0; ip link set host0 up
ip route add default via 192.0.2.254 dev host0
# A shell without job control has its background children ignore SIGINT; tests send it.
env --default-signal=INT,QUIT "$@" & child=$!
trap 'kill -TERM $child 2>/dev/null || true' TERM INT
rc=0; wait $child || rc=$?
exit $rc
