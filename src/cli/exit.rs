//! Exit codes and what an error looks like to the user.
//!
//! The numbers are docker's: a flag that does not parse is 125 for every command; a wrong number of
//! arguments and a command that fails is 1; `run` (and `create` where docker does so) fails with 125 when
//! the engine fails, 126 when the program cannot be executed, 127 when it is not found, and otherwise ends
//! as the container ends (128 + n for signal n). docs/compat.md says where podman differs.

use std::fmt;

/// Exit code of a command that did what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// Success.
    pub const OK: Self = Self(0);
    /// A management command failed, at least in part; the messages are printed already.
    pub const FAILED: Self = Self(1);
    /// The engine failed before the container's own process could decide.
    pub const ENGINE: Self = Self(125);
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
    /// Exit code 1 unless the engine asks for another; `run` and its like raise it to 125 themselves.
    fn from(e: crate::engine::Error) -> Self {
        Self { message: e.chain(), hint: e.hint_text().map(str::to_owned), code: e.exit_code().unwrap_or(1) }
    }
}

impl From<clap::Error> for Failure {
    fn from(e: clap::Error) -> Self {
        Self::usage(e.to_string().trim_start_matches("error: ").trim_end().to_owned())
    }
}
