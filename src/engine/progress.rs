//! [`Progress`]: how a verb tells its front door what it is doing while it takes long.

/// One thing that happened during a long piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The image is not in the store and will be pulled (docker: "Unable to find image … locally").
    ImageMissing {
        /// Name as typed, with its tag.
        image: &'a str,
    },
    /// Work on an image begins (`docker.io/library/nginx:latest`).
    PullStarted {
        /// Full reference.
        image: &'a str,
    },
    /// The layers of the image are known.
    Layers {
        /// Short digests with compressed sizes in bytes, lowest first.
        layers: &'a [(String, u64)],
    },
    /// A layer's state changed.
    Layer {
        /// Short digest.
        id: &'a str,
        /// What is done with it now.
        state: LayerState,
    },
    /// The image is there.
    PullDone {
        /// Full reference.
        image: &'a str,
        /// Image id.
        id: &'a str,
        /// Nothing had to be fetched.
        up_to_date: bool,
    },
    /// Something the user should know and that is no error.
    Warning {
        /// Lower case, no period.
        text: &'a str,
    },
}

/// State of one layer of a pull or push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerState {
    /// Not begun.
    Waiting,
    /// Bytes received (and unpacked as they come).
    Downloading {
        /// Bytes so far.
        done: u64,
        /// Bytes in all; 0 if unknown.
        total: u64,
    },
    /// Another process pulls it; waiting for that one.
    Elsewhere,
    /// Broken off, trying again.
    Retrying,
    /// In the store already.
    Exists,
    /// Complete and verified.
    Done,
}

/// Receives [`Event`]s. Called from several threads during a pull.
pub trait Progress: Sync {
    /// One event; must not block for long.
    fn event(&self, event: &Event<'_>);
}

/// A [`Progress`] that drops everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &Event<'_>) {}
}
