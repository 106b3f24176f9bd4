#!/bin/bash
# images.sh FIXTURES: adds the image `twelve` to the fixtures' registry store: debian and eleven layers of Debian
# packages, about 200 MB packed, gzip and zstd (`twelve-zstd`).
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
fixtures="$1"; work="$fixtures/bench"
[ ! -e "$work/done" ] || exit 0
export LC_ALL=C
rm -rf "$work"; mkdir -p "$work/debs"; chmod 777 "$work/debs"
apt-get -qq -o DPkg::Lock::Timeout=300 update || true
layers=()
layer() { # layer NAME PACKAGE...: the packages' files, without what they depend on
  local n="$1"; shift
  mkdir -p "$work/debs/$n" "$work/$n"; chmod 777 "$work/debs/$n"
  (cd "$work/debs/$n" && apt-get -qq -o APT::Sandbox::User=root download "$@")
  for f in "$work/debs/$n"/*.deb; do dpkg-deb -x "$f" "$work/$n"; done
  for d in bin sbin lib lib64; do # merged-usr, so that it stacks on the base
    if [ -d "$work/$n/$d" ] && [ ! -L "$work/$n/$d" ]; then
      mkdir -p "$work/$n/usr/$d"; cp -a "$work/$n/$d/." "$work/$n/usr/$d/"; rm -rf "${work:?}/$n/$d"
    fi
  done
  tar --sort=name --mtime=@1700000000 --numeric-owner --format=gnu -C "$work/$n" -cf "$work/$n.tar" .
  rm -rf "${work:?}/$n" "$work/debs/$n"; layers+=("$work/$n.tar")
}
newest() { apt-cache search --names-only "$1" | cut -d' ' -f1 | sort -V | tail -1; }
layer l02 perl-modules-5.36 libperl5.36 || layer l02 perl-base
layer l03 "$(newest '^libpython3\.[0-9]+-stdlib$')" "$(newest '^libpython3\.[0-9]+-minimal$')"
layer l04 "$(newest '^cpp-1[0-9]$')"
layer l05 "$(newest '^gcc-1[0-9]$')"
layer l06 "$(newest '^g\+\+-1[0-9]$')"
layer l07 "$(newest '^libgcc-1[0-9]-dev$')" "$(newest '^libstdc\+\+-1[0-9]-dev$')"
layer l08 libc6-dev linux-libc-dev binutils-x86-64-linux-gnu libbinutils
layer l09 "$(newest '^linux-headers-[0-9.+-]+-common$')"
layer l10 locales tzdata
layer l11 git vim-runtime
mkdir -p "$work/l12/etc"; echo app > "$work/l12/etc/app"; tar -C "$work/l12" -cf "$work/l12.tar" .; layers+=("$work/l12.tar")
for kind in gzip zstd; do
  tag=twelve; [ "$kind" = gzip ] || tag=twelve-zstd
  "$here/../tests/fixtures/mkimage.py" image "$fixtures/oci" "$tag" "{\"compress\":\"$kind\",\"config\":{\"Cmd\":[\"sh\"]}}" \
    "$fixtures/layers/debian.tar" "${layers[@]}"
done
unshare --net --pid --fork --kill-child bash -euo pipefail -c '
  ip link set lo up
  "$2/../tests/fixtures/registry.sh" plain 5000 "$1" >/dev/null 2>&1 &
  for i in $(seq 100); do curl -fs http://127.0.0.1:5000/v2/ >/dev/null && break; sleep .1; done
  for t in twelve twelve-zstd; do
    "$2/../tests/fixtures/mkimage.py" push "$1/oci" "$t" http://127.0.0.1:5000 "$t" latest
  done' bash "$fixtures" "$here"
rm -rf "$work"/l*.tar "$work/debs"; touch "$work/done"
