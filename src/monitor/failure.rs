//! Making a [`Failure`] of an error: the step as a user names it, the chain of reasons, the exit code.

use std::error::Error;

use super::proto::{Failure, FailureKind};

/// The reasons of an error, outermost first; a cause that its wrapper already quotes is not repeated.
#[must_use]
pub(super) fn reasons(error: &dyn Error) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(e) = next {
        let text = e.to_string();
        if !out.last().is_some_and(|last| last.ends_with(&text)) {
            out.push(text);
        }
        next = e.source();
    }
    out
}

impl Failure {
    /// A failed step of the engine's own (exit code 125).
    pub fn internal(step: impl Into<String>, error: &dyn Error) -> Self {
        Self::of(FailureKind::Internal, step, error)
    }

    /// A failed step of a kind (exit code 125).
    pub fn of(kind: FailureKind, step: impl Into<String>, error: &dyn Error) -> Self {
        Self { code: 125, kind, step: step.into(), reasons: reasons(error), hint: None, undo: Vec::new() }
    }

    /// A refusal without an error behind it.
    pub fn plain(kind: FailureKind, what: impl Into<String>) -> Self {
        Self { code: 125, kind, step: what.into(), reasons: Vec::new(), hint: None, undo: Vec::new() }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// An error of the runtime: its own exit code and kind.
    #[must_use]
    pub fn runtime(step: &str, error: &crate::runtime::Error) -> Self {
        let code = error.exit_code();
        let kind = match code {
            127 => FailureKind::CommandNotFound,
            126 => FailureKind::CommandNotExecutable,
            _ if matches!(error, crate::runtime::Error::User(_)) => FailureKind::NotFound,
            _ => FailureKind::Internal,
        };
        let hint = match code {
            127 => Some("check the spelling, and whether the image has such a program"),
            126 => Some(
                "it needs to be an executable file for this processor; a script, its first line `#!PROGRAM`",
            ),
            _ => None,
        };
        Self { code, hint: hint.map(str::to_owned), ..Self::of(kind, step, error) }
    }
}
