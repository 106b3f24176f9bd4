//! The engine's one error: a kind for machines, a chain for people, a hint for help, an exit code for scripts.
//!
//! Opaque on purpose: front doors decide by [`Error::kind`] and [`Error::exit_code`], never by text.

use std::error::Error as StdError;
use std::fmt;

/// What sort of failure it is; decides exit codes and the REST API's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The thing named does not exist.
    NotFound,
    /// The name or the port is taken, or the thing is in use.
    Conflict,
    /// The request makes no sense as it was said.
    Invalid,
    /// The request is understood and not supported (here).
    Unsupported,
    /// The thing is in a state in which this cannot be done (exec in a stopped container).
    State,
    /// Not allowed: credentials, permissions.
    Denied,
    /// The registry, the network or another helper did not answer.
    Unavailable,
    /// The container's command could not be started; see [`Error::exit_code`].
    Command,
    /// The user broke it off.
    Interrupted,
    /// Everything else: a system call failed, a file is damaged.
    Internal,
}

/// An error of the engine.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
    hint: Option<String>,
    exit: Option<u8>,
}

impl Error {
    /// An error without a cause. `message` is lower case (or docker's own text) and has no period.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None, hint: None, exit: None }))
    }

    /// An error with a cause.
    #[must_use]
    pub fn with_source(
        kind: Kind,
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        let mut error = Self::new(kind, message);
        error.0.source = Some(source.into());
        error
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Sets the exit code that the front door must use.
    #[must_use]
    pub fn exit(mut self, code: u8) -> Self {
        self.0.exit = Some(code);
        self
    }

    /// Puts `context` before it: the old message becomes the cause's text.
    #[must_use]
    pub fn context(self, context: impl Into<String>) -> Self {
        let (kind, hint, exit) = (self.0.kind, self.0.hint.clone(), self.0.exit);
        let mut outer = Self::with_source(kind, context, self);
        outer.0.hint = hint;
        outer.0.exit = exit;
        outer
    }

    /// The sort of failure.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the user can do about it, if that is known.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The exit code to use, where it is not the verb's usual one: 125, 126 or 127 for `run`, `start`, `exec`.
    #[must_use]
    pub fn exit_code(&self) -> Option<u8> {
        self.0.exit
    }

    /// The whole chain on one line, `message: cause: cause`.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.0.message.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            // Some libraries repeat their cause in their own text; said once is enough.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

impl From<crate::model::ParseError> for Error {
    fn from(e: crate::model::ParseError) -> Self {
        Self::new(Kind::Invalid, e.to_string())
    }
}

impl From<crate::storage::Error> for Error {
    fn from(e: crate::storage::Error) -> Self {
        use crate::storage::Error as E;
        let kind = match &e {
            E::NotFound { .. } => Kind::NotFound,
            E::NameTaken { .. }
            | E::Exists { .. }
            | E::InUse { .. }
            | E::RunLocked { .. }
            | E::Leased { .. }
            | E::GoneMeanwhile { .. } => Kind::Conflict,
            E::Ambiguous { .. } | E::VolumeOptions { .. } => Kind::Invalid,
            E::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => Kind::Denied,
            E::Busy { .. } => Kind::Unavailable,
            E::NoQuota { .. } => Kind::Unsupported,
            _ => Kind::Internal,
        };
        let message = match &e {
            // docker's own words, which scripts look for.
            E::NotFound { kind: crate::storage::error::Kind::Container, what } => {
                format!("No such container: {what}")
            }
            E::NotFound { kind: crate::storage::error::Kind::Image, what } => {
                format!("No such image: {what}")
            }
            E::NotFound { kind: crate::storage::error::Kind::Volume, what } => {
                format!("get {what}: no such volume")
            }
            E::NotFound { kind: crate::storage::error::Kind::Network, what } => {
                format!("network {what} not found")
            }
            E::NameTaken { name, id } => format!(
                "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to \
                 remove (or rename) that container to be able to reuse that name."
            ),
            other => other.to_string(),
        };
        let taken = matches!(e, E::NameTaken { .. });
        let broken = crate::storage::repair::is_broken_database(&e);
        let mut error = match StdError::source(&e) {
            Some(_) => Self::with_source(kind, message, Cause(e)),
            None => Self::new(kind, message),
        };
        if kind == Kind::Unsupported {
            error =
                error.hint("--storage-opt needs xfs or ext4 mounted with prjquota below the storage root");
        }
        if taken {
            error = error.hint("choose another --name, or replace the other one with --replace");
        }
        if broken {
            error =
                error.hint("rcon system check --repair makes a new one of what can be read and of the files");
        }
        if kind == Kind::Denied {
            error = error.hint("rcon needs root here: run it with sudo");
        }
        error
    }
}

/// Keeps only the causes of a wrapped error, whose own text is the message already.
struct Cause(crate::storage::Error);

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match StdError::source(&self.0) {
            Some(cause) => fmt::Display::fmt(cause, f),
            None => Ok(()),
        }
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        StdError::source(&self.0).and_then(StdError::source)
    }
}

impl From<crate::monitor::client::ClientError> for Error {
    fn from(e: crate::monitor::client::ClientError) -> Self {
        use crate::monitor::client::ClientError as E;
        use crate::monitor::proto::FailureKind as F;
        let exit = u8::try_from(e.exit_code()).unwrap_or(125);
        let (kind, hint) = match &e {
            E::Refused(failure) => {
                let kind = match failure.kind {
                    F::NotFound => Kind::NotFound,
                    F::CommandNotFound | F::CommandNotExecutable => Kind::Command,
                    F::Conflict => Kind::Conflict,
                    F::State => Kind::State,
                    F::Invalid => Kind::Invalid,
                    F::Denied => Kind::Denied,
                    F::Unsupported => Kind::Unsupported,
                    F::Internal => Kind::Internal,
                };
                (kind, failure.hint.clone())
            }
            E::NotRunning { .. } => (Kind::State, None),
            E::Lost { .. } | E::Spawn { .. } | E::Io { .. } | E::Unexpected { .. } | E::Terminal { .. } => {
                (Kind::Internal, None)
            }
        };
        let message = e.to_string();
        let mut error = match StdError::source(&e) {
            Some(cause) => Self::with_source(kind, message, cause.to_string()),
            None => Self::new(kind, message),
        };
        if let Some(hint) = hint {
            error = error.hint(hint);
        }
        error.exit(exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_keeps_kind_hint_and_exit_and_the_chain_reads_outside_in() {
        let e = Error::new(Kind::Denied, "the registry answered 401")
            .hint("run rcon login")
            .exit(125)
            .context("pulling nginx");
        assert_eq!(e.kind(), Kind::Denied);
        assert_eq!(e.hint_text(), Some("run rcon login"));
        assert_eq!(e.exit_code(), Some(125));
        assert_eq!(e.chain(), "pulling nginx: the registry answered 401");
    }
}
