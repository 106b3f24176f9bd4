#!/bin/bash
# build.sh: builds the release binary, static and not position independent, and prints its path.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
PATH="$PATH:$HOME/.cargo/bin"
target="$(uname -m)-unknown-linux-musl"
cargo build --release --locked --bin rcon --target "$target" >&2
binary="$(cargo metadata --no-deps --format-version 1 --offline | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/$target/release/rcon"
# The symbols of what is linked in from C and of the standard library stay otherwise.
strip "$binary"
echo "$binary"
