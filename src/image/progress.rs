//! What a transfer tells while it runs. Data only: bars and lines are the command line's matter.

use std::io::{self, Read};
use std::time::Duration;

use crate::model::digest::Digest;
use crate::model::reference::ImageRef;

/// Where one layer is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerState {
    /// Known, not begun ("Pulling fs layer", "Waiting").
    Pending,
    /// Another process fetches the same layer; ours waits for it.
    WaitingForOther,
    /// Bytes of the compressed layer so far. Unpacking runs at the same time.
    Downloading {
        /// Bytes received.
        current: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The transfer broke or was refused and goes on after a pause.
    Retrying {
        /// The pause.
        after: Duration,
        /// Why, one line.
        reason: String,
    },
    /// Everything has arrived and matches its digest; the rest is unpacked.
    Downloaded,
    /// Unpacked and checked ("Pull complete").
    Complete,
    /// The store has it already ("Already exists").
    Exists,
    /// Bytes sent of a layer that is pushed.
    Uploading {
        /// Bytes sent.
        current: u64,
        /// Bytes in all; an estimate until the layer is packed.
        total: u64,
    },
    /// Pushed.
    Pushed,
    /// The registry linked it from another repository of its own.
    Mounted {
        /// That repository.
        from: String,
    },
}

/// A listener to a transfer. Called from several threads; must not block.
pub trait Progress: Send + Sync {
    /// There is no such image in the store, so it will be pulled: `name` as typed, with its tag.
    fn missing(&self, name: &str) {
        let _ = name;
    }

    /// A reference (or mirror) is about to be tried: `location` is what is asked.
    fn trying(&self, reference: &ImageRef, location: &str) {
        let (_, _) = (reference, location);
    }

    /// The manifest is known: its layers, lowest first, with compressed sizes.
    fn layers(&self, reference: &ImageRef, layers: &[(Digest, u64)]) {
        let (_, _) = (reference, layers);
    }

    /// A layer (digest of its blob) moved on.
    fn layer(&self, digest: &Digest, state: LayerState) {
        let (_, _) = (digest, state);
    }

    /// An archive or a directory was opened, and its images are looked at.
    fn opened(&self) {}

    /// The configuration of an image has arrived, last of all of it: the image's id.
    fn config(&self, id: &Digest) {
        let _ = id;
    }

    /// An image is here: its digest in the registry, and whether all of it was here before.
    fn done(&self, reference: &ImageRef, digest: &Digest, up_to_date: bool) {
        let (_, _, _) = (reference, digest, up_to_date);
    }

    /// Whether the user has broken it off: the transfer then clears up and fails with
    /// [`Error::Interrupted`](super::Error::Interrupted). Asked many times a second.
    fn cancelled(&self) -> bool {
        false
    }

    /// Something the user should know though the work goes on, one line.
    fn warning(&self, message: &str) {
        let _ = message;
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}

/// A reader that fails once the user has broken the work off.
pub(crate) struct Stoppable<'a, R> {
    from: R,
    progress: &'a dyn Progress,
}

impl<'a, R: Read> Stoppable<'a, R> {
    pub(crate) fn new(from: R, progress: &'a dyn Progress) -> Self {
        Self { from, progress }
    }
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.progress.cancelled() {
            return Err(io::Error::other("interrupted"));
        }
        self.from.read(out)
    }
}
