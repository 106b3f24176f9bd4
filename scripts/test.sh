#!/bin/bash
# test.sh [TEST...]: the one test command. Sets up everything, then: formatting, lints, documentation, unit tests,
# the architecture and reference tests, and the integration tests on the real kernel, in namespaces of their own.
# With arguments only the integration tests whose names contain one of them run.
#   RCON_TEST_THREADS   how many integration tests run side by side (default: the number of processors)
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
cd "$here/.."
[ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
PATH="$PATH:$HOME/.cargo/bin"
step() { printf '\n== %s (%s s)\n' "$*" "$SECONDS"; }
step "set-up"; "$here/setup.sh" test
if [ $# = 0 ]; then
  step "format"; cargo fmt --check
  step "lints"; cargo clippy -q --locked --all-targets -- -D warnings
  step "documentation"; RUSTDOCFLAGS="-D warnings" cargo doc -q --locked --no-deps --document-private-items
  if command -v cargo-deny >/dev/null; then step "licences"; cargo deny -L error check bans licenses sources; fi
fi
step "build"; cargo test -q --locked --no-run
step "fixtures"; RCON_FIXTURES="$(tests/fixtures/build.sh)"; export RCON_FIXTURES
if [ $# = 0 ]; then
  step "unit tests"; tests/isolate.sh cargo test -q --locked --offline --lib --bins
  step "architecture and reference"; cargo test -q --locked --offline --test architecture --test reference
fi
step "integration tests"
tests/isolate.sh cargo test --locked --offline --test it -- --test-threads "${RCON_TEST_THREADS:-$(nproc)}" "$@"
step "done"
