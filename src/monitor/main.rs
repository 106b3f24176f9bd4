//! The monitor's hidden entry point.

use std::process::ExitCode;

/// First argument that marks a monitor.
pub const ARGUMENT: &str = "__monitor";

/// Runs the monitor of one container: the handoff comes over descriptor 3. Called by `main` before anything
/// else when the first argument is [`ARGUMENT`].
#[must_use]
pub fn run() -> ExitCode {
    todo!()
}
