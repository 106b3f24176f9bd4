//! The transfer of one layer: a body that goes on where it broke off, fed into the [`layer`](super::layer) pipeline.

use std::thread::Scope;
use std::time::{Duration, Instant};

use super::super::manifest::Descriptor;
use super::super::progress::{LayerState, Progress};
use super::super::registry::Remote;
use super::Error;
use super::layer::{self, Input};
use crate::storage::Paths;
use crate::storage::layers::{LayerWriter, StagedLayer, Wanted};

/// Progress is told at most this often.
const TELL: Duration = Duration::from_millis(50);

/// A transfer that got this far since it last broke starts counting its retries anew.
const PROGRESS_BYTES: u64 = 1 << 20;

/// One blob to fetch.
pub(super) struct Fetch<'a, 'scope> {
    pub(super) remote: &'a Remote,
    pub(super) blob: &'a Descriptor,
    pub(super) progress: &'scope dyn Progress,
}

impl Fetch<'_, '_> {
    /// Fetches the layer into `writer`, all checks passed.
    pub(super) async fn layer<'s>(
        &self,
        threads: &'s Scope<'s, '_>,
        writer: LayerWriter,
        wanted: &Wanted,
        paths: &Paths,
    ) -> Result<StagedLayer, Error> {
        let expected = layer::Expected {
            name: self.blob.digest.to_string(),
            // A blob that is not packed is the tar: one digest is enough.
            blob: Some(self.blob.digest.clone()).filter(|d| *d != wanted.diff_id),
            diff_id: Some(wanted.diff_id.clone()),
            root: paths.root.clone(),
        };
        let (input, running) = layer::start(threads, expected, writer);
        let transfer = self.transfer(&input).await;
        if transfer.is_ok() {
            input.end().await;
            self.progress.layer(&self.blob.digest, LayerState::Downloaded);
        }
        // Without an end the pipeline knows that it was cut.
        drop(input);
        let done = running.result().await;
        transfer?;
        let (staged, _) = done?;
        self.progress.layer(&self.blob.digest, LayerState::Complete);
        Ok(staged)
    }

    /// Brings all bytes into the pipeline, with retries. `Ok` also where the pipeline stopped taking them: then it
    /// knows why.
    async fn transfer(&self, input: &Input) -> Result<(), Error> {
        let (mut at, mut tries, mut base) = (0, 0, 0);
        loop {
            let error = match self.body(&mut at, input).await {
                Ok(()) => return Ok(()),
                Err(e) if self.remote.worth_retrying(&e) => e,
                Err(e) => return Err(e),
            };
            if at - base >= PROGRESS_BYTES {
                tries = 0;
            }
            base = at;
            tries += 1;
            let Some(pause) = self.remote.retry().pause(tries, None) else { return Err(error) };
            let reason = crate::image::error::chain(&error);
            self.progress.layer(&self.blob.digest, LayerState::Retrying { after: pause, reason });
            tokio::time::sleep(pause).await;
        }
    }

    /// One request from `at` on; moves `at` along.
    async fn body(&self, at: &mut u64, input: &Input) -> Result<(), Error> {
        let total = self.blob.size;
        let told = |after: Duration, reason: &str| {
            let state = LayerState::Retrying { after, reason: reason.to_owned() };
            self.progress.layer(&self.blob.digest, state);
        };
        if *at == total && total > 0 {
            return Ok(());
        }
        let mut blob = self.remote.blob(&self.blob.digest, *at, &told).await?;
        // A registry without ranges begins again: what is known is thrown away.
        let mut skip = *at - blob.offset;
        let mut last = Instant::now();
        loop {
            let chunk = blob.response.chunk().await.map_err(|e| self.remote.broken(&e))?;
            let Some(mut chunk) = chunk else { break };
            if skip > 0 {
                let n = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
                skip -= n as u64;
                chunk = chunk.split_off(n);
            }
            *at += chunk.len() as u64;
            if *at > total {
                return Err(self.size_mismatch(*at));
            }
            if !chunk.is_empty() && !input.send(chunk).await {
                return Ok(());
            }
            if last.elapsed() >= TELL {
                last = Instant::now();
                self.progress.layer(&self.blob.digest, LayerState::Downloading { current: *at, total });
            }
        }
        if *at < total {
            return Err(self.size_mismatch(*at));
        }
        Ok(())
    }

    fn size_mismatch(&self, actual: u64) -> Error {
        let what = format!("layer {}", self.blob.digest);
        Error::SizeMismatch { what, expected: self.blob.size, actual }
    }
}
