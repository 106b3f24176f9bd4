#!/bin/bash
# setup.sh [build|test|bench]: installs what is needed, on Debian or Ubuntu, and does nothing where it is there already.
#   build   a C linker, the musl compiler, the Rust toolchain (with its musl target)
#   test    what the tests need besides: registry, image tools, peers to compare with
#   bench   what the benchmarks need besides
set -euo pipefail
what="${1:-build}"
build=(ca-certificates curl gcc git libc6-dev make musl-tools)
test=(apache2-utils attr busybox-static conmon containerd crun docker-registry docker.io iproute2 jq libcap2-bin mmdebstrap nftables openssl pigz
  podman procps python3 runc skopeo strace tar uidmap umoci util-linux zstd)
bench=(buildah iperf3 iptables isal netavark wrk xfsprogs)
packages=("${build[@]}")
case "$what" in
  build) ;;
  test) packages+=("${test[@]}") ;;
  bench) packages+=("${test[@]}" "${bench[@]}") ;;
  *) echo "setup.sh: build, test or bench" >&2; exit 2 ;;
esac
missing=()
for p in "${packages[@]}"; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
done
as_root=(); [ "$(id -u)" = 0 ] || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
install() {
  echo "setup: installing $*" >&2
  # No service may start on its own: a post-install script that wants to is told no.
  "${as_root[@]}" env RUNLEVEL=1 apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >/dev/null
}
if [ ${#missing[@]} -gt 0 ]; then
  "${as_root[@]}" apt-get -qq -o DPkg::Lock::Timeout=300 update
  install "${missing[@]}"
fi
# Since Debian 13 the docker command is a package of its own.
[ "$what" = build ] || command -v docker >/dev/null || install docker-cli
if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then PATH="$HOME/.cargo/bin:$PATH"; fi
if ! command -v cargo >/dev/null; then
  echo "setup: installing the Rust toolchain" >&2
  curl --proto '=https' --tlsv1.2 -fsSL https://sh.rustup.rs | sh -s -- -y -q --profile minimal -c rustfmt -c clippy
  PATH="$HOME/.cargo/bin:$PATH"
fi
target="$(uname -m)-unknown-linux-musl"
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qx "$target"; then
  rustup -q target add "$target" >&2
fi
want="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$(dirname "$0")/../Cargo.toml")"
have="$(rustc --version | cut -d' ' -f2)"
if [ "$(printf '%s\n' "$want" "$have" | sort -V | head -1)" != "$want" ]; then
  echo "setup: rcon needs Rust $want, here is $have: run 'rustup update stable'" >&2; exit 1
fi
