//! The HTTP side of registries (OCI distribution spec). The only async code below the REST API.
//!
//! - `tls`: roots, `certs.d`, the checks of certificates
//! - `challenge`: `WWW-Authenticate`, parsed (pure)
//! - `auth`: credentials → `Authorization`, token services
//! - `retry`: which failures are worth another try, and after which pause (pure)
//! - `transport`: one request with schemes, authentication and retries; failures classified
//! - [`remote`]: manifests and blobs of one repository
//!
//! HTTP/1.1 only: layers come over connections of their own, whose reads are large and need no flow control
//! of ours. The runtime is a current-thread one, started when a transfer begins ([`block_on`]).

mod auth;
mod challenge;
pub(crate) mod hub;
pub(crate) mod remote;
pub(crate) mod retry;
mod tls;
mod transport;
pub(crate) mod upload;

use std::time::Duration;

use super::{Error, Progress};

pub use hub::SearchResult;
pub(crate) use remote::{Access, Remote};

/// How often a caller is asked whether it breaks off.
const CANCEL_POLL: Duration = Duration::from_millis(40);

/// Runs a transfer to its end, or until the caller breaks it off.
pub(crate) fn block_on<T>(
    progress: &dyn Progress,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Error::Io { what: "cannot start the network loop".into(), source })?;
    runtime.block_on(async {
        tokio::select! {
            biased;
            result = work => result,
            () = cancelled(progress) => Err(Error::Interrupted),
        }
    })
}

async fn cancelled(progress: &dyn Progress) {
    while !progress.cancelled() {
        tokio::time::sleep(CANCEL_POLL).await;
    }
}
