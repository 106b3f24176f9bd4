//! What an error of `image` means to a user of the engine.

use super::{Error, Kind};
use crate::image::Error as E;

impl From<E> for Error {
    fn from(e: E) -> Self {
        let hint = e.hint();
        let error = match e {
            E::Storage(e) => return e.into(),
            E::Parse(e) => return Self::new(Kind::Invalid, docker_words(&e)),
            e => wrap(e),
        };
        match hint {
            Some(h) => error.hint(h),
            None => error,
        }
    }
}

/// docker's beginning of the message, which scripts look for.
fn docker_words(e: &crate::model::ParseError) -> String {
    if e.what == "image reference" { format!("invalid reference format: {e}") } else { e.to_string() }
}

fn wrap(e: E) -> Error {
    let kind = match &e {
        E::NotFound { .. } | E::NoPlatform { .. } | E::AllFailed { .. } => Kind::NotFound,
        E::Policy { .. } | E::Unauthorized { .. } | E::Denied { .. } | E::Blocked { .. } => Kind::Denied,
        E::Unreachable { .. }
        | E::Tls { .. }
        | E::Timeout { .. }
        | E::RateLimited { .. }
        | E::Server { .. } => Kind::Unavailable,
        E::Schema1 { .. } | E::MediaType { .. } => Kind::Unsupported,
        E::File { .. } | E::Helper { .. } => Kind::Invalid,
        E::Interrupted => Kind::Interrupted,
        _ => Kind::Internal,
    };
    let message = e.to_string();
    match std::error::Error::source(&e) {
        Some(cause) => Error::with_source(kind, message, crate::image::error::chain(cause)),
        None => Error::new(kind, message),
    }
}
