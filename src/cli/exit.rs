//! Exit codes and what an error looks like to the user.
//!
//! The numbers are docker's: a flag that does not parse is 125 for every command; a wrong number of
//! arguments and a command that fails is 1; `run` (and `create` where docker does so) fails with 125 when
//! the engine fails, 126 when the program cannot be executed, 127 when it is not found, and otherwise ends
//! as the container ends (128 + n for signal n). Called by the name `podman`, podman's numbers are given instead:
//! [`Manner`] is the one place that knows both.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use crate::engine::Kind;

/// Whose exit codes a failing command gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// docker's: 1.
    Docker,
    /// podman's: 125, and for commands that remove things 1 and 2.
    Podman,
}

impl Manner {
    /// By the name that the program was called by.
    #[must_use]
    pub fn of(program: &OsStr) -> Self {
        match Path::new(program).file_name().and_then(OsStr::to_str) {
            Some("podman") => Self::Podman,
            _ => Self::Docker,
        }
    }

    /// The number for the caller.
    #[must_use]
    pub fn code(self, exit: Exit) -> u8 {
        match (exit, self) {
            (Exit::Code(code), _) => code,
            (Exit::Failed, Self::Podman) => 125,
            (Exit::InUse, Self::Podman) => 2,
            (Exit::Failed | Exit::InUse | Exit::Missing, _) => 1,
        }
    }
}

/// How a command ended, as far as its exit code tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// With just this code.
    Code(u8),
    /// It failed, at least in part; the messages are printed already.
    Failed,
    /// What was to be removed is not there, and nothing else went wrong.
    Missing,
    /// What was to be removed is in use, and nothing else went wrong.
    InUse,
}

impl Exit {
    /// Success.
    pub const OK: Self = Self::Code(0);
    /// The answer to a question is no (`container exists`).
    pub const NO: Self = Self::Code(1);
    /// The engine failed before the container's own process could decide.
    pub const ENGINE: Self = Self::Code(125);

    /// The end of a command whose failure carries `code`: 1 is docker's number for any failure.
    #[must_use]
    pub fn failed(code: u8) -> Self {
        if code == 1 { Self::Failed } else { Self::Code(code) }
    }

    /// What a removal that failed for `kind` makes of the removals before it.
    #[must_use]
    pub fn removal(self, kind: Kind) -> Self {
        let new = match kind {
            Kind::NotFound => Self::Missing,
            Kind::Conflict | Kind::State => Self::InUse,
            _ => Self::Failed,
        };
        if self == Self::OK || self == new { new } else { Self::Failed }
    }
}

/// How a command ends.
pub type Outcome = Result<Exit, Failure>;

/// An error on its way to the user: `Error: <message>` and `hint: <hint>` on stderr, then the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What failed and why, lower case, no period.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Exit code.
    pub code: u8,
}

impl Failure {
    /// A management command failed: exit code 1.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: 1 }
    }

    /// A flag or a value that does not parse: exit code 125, as docker's.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, code: 125 }
    }

    /// The same failure with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with another exit code.
    #[must_use]
    pub fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Whether it says nothing and only carries an exit code.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.message.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<crate::model::ParseError> for Failure {
    /// A value the user typed that has the wrong form.
    fn from(e: crate::model::ParseError) -> Self {
        Self::usage(e.to_string())
    }
}

impl From<crate::engine::Error> for Failure {
    /// Exit code 1 unless the engine asks for 126 or 127; `run` and its like raise it to 125 themselves.
    fn from(e: crate::engine::Error) -> Self {
        let code = e.exit_code().filter(|code| *code != 125).unwrap_or(1);
        Self { message: e.chain(), hint: e.hint_text().map(str::to_owned), code }
    }
}

impl From<clap::Error> for Failure {
    fn from(e: clap::Error) -> Self {
        Self::usage(e.to_string().trim_start_matches("error: ").trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_whose_codes_a_failure_has() {
        let codes = |name: &str| {
            let manner = Manner::of(OsStr::new(name));
            [Exit::Failed, Exit::Missing, Exit::InUse, Exit::NO, Exit::ENGINE, Exit::OK]
                .map(|e| manner.code(e))
        };
        assert_eq!(codes("/usr/bin/podman"), [125, 1, 2, 1, 125, 0]);
        for docker in ["docker", "rcon", "/opt/podman/rcon", "podman-remote"] {
            assert_eq!(codes(docker), [1, 1, 1, 1, 125, 0], "{docker}");
        }
    }

    #[test]
    fn removals_that_fail_for_different_reasons_have_failed() {
        assert_eq!(Exit::OK.removal(Kind::NotFound), Exit::Missing);
        assert_eq!(Exit::Missing.removal(Kind::NotFound), Exit::Missing);
        assert_eq!(Exit::Missing.removal(Kind::Conflict), Exit::Failed);
        assert_eq!(Exit::OK.removal(Kind::State), Exit::InUse);
        assert_eq!(Exit::OK.removal(Kind::Internal), Exit::Failed);
    }
}
