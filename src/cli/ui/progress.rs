//! The progress of a pull.

use std::io::{IsTerminal as _, Write as _};

use crate::engine::Progress;

/// Shows a pull on stderr.
pub struct PullProgress {
    quiet: bool,
    terminal: bool,
}

impl PullProgress {
    /// A listener that says nothing if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self { quiet, terminal: std::io::stderr().is_terminal() }
    }

    /// Leaves the terminal as it should be for what follows.
    pub fn finish(&self) {}
}

impl Progress for PullProgress {
    fn missing(&self, name: &str) {
        if !self.quiet {
            let _gone = writeln!(std::io::stderr(), "Unable to find image '{name}' locally");
            let _ = self.terminal;
        }
    }
}
