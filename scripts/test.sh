#!/bin/bash
# test.sh [TEST...]: the one test command. Sets up everything, then: formatting, lints, documentation, unit tests,
# the architecture and reference tests, and the integration tests on the real kernel, in namespaces of their own.
# With arguments only the integration tests whose names contain one of them run.
#   RCON_TEST_THREADS   how many integration tests run side by side (default: the number of processors)
# A few tests that failed are run once more, each by itself: the kernel is shared, and a machine may be very slow. Which
# they were is printed at the end; who fails twice has failed.
set -euo pipefail
here="$(cd "$(dirname "$(readlink -f "$0")")" && pwd)"
cd "$here/.."
[ "$(id -u)" = 0 ] || exec sudo -E "$0" "$@"
PATH="$PATH:$HOME/.cargo/bin"
mkdir -p target
# once_more LOG CMD...: runs a test command; runs those of its tests that failed once more, if they are at most three.
flaky=()
once_more() {
  local log="target/$1.log" failed name; shift
  if "$@" 2>&1 | tee "$log"; then return 0; fi
  mapfile -t failed < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
  [ ${#failed[@]} -ge 1 ] && [ ${#failed[@]} -le 3 ] || return 1
  for name in "${failed[@]}"; do
    step "once more: $name"
    "${@/--test-threads*/--test-threads=1}" --exact "$name" || return 1
    flaky+=("$name")
  done
}
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
  step "unit tests"; once_more unit tests/isolate.sh cargo test --locked --offline --lib -- --format=pretty
  step "architecture and reference"; cargo test -q --locked --offline --test architecture --test reference
fi
step "integration tests"
once_more it tests/isolate.sh cargo test --locked --offline --test it -- "--test-threads=${RCON_TEST_THREADS:-$(nproc)}" "$@"
[ ${#flaky[@]} = 0 ] || printf 'passed only when run once more, look at them: %s\n' "${flaky[@]}"
step "done"
