//! Transfers that the user can break off: Ctrl-C, `kill` and a terminal that goes away are noted while one runs, so that
//! it can clear up before the command ends with 128 + the signal's number, as a shell expects.
//!
//! A second signal of the same kind ends the process at once; what it leaves then is swept by the next command.

use super::{Error, Kind};
use crate::image;
use crate::image::progress::{LayerState, Progress};
use crate::model::digest::Digest;
use crate::model::reference::ImageRef;
use crate::sys::signal::{self, Catch};

/// SIGHUP, SIGINT, SIGTERM.
const SIGNALS: [i32; 3] = [1, 2, 15];

/// Runs `work` with a listener that knows of signals, besides telling `progress` everything.
pub(super) fn watched<T>(
    progress: &dyn Progress,
    work: impl FnOnce(&dyn Progress) -> Result<T, image::Error>,
) -> Result<T, Error> {
    let catch =
        Catch::new(&SIGNALS).map_err(|e| Error::with_source(Kind::Internal, "catching signals", e))?;
    let watch = Watch { progress, catch };
    let done = work(&watch);
    match watch.catch.caught() {
        // Also where it was done already: what comes after it in this command is not wanted any more.
        Some(number) => {
            let code = u8::try_from(128 + number).unwrap_or(130);
            Err(Error::new(Kind::Interrupted, format!("interrupted by {}", signal::name(number))).exit(code))
        }
        None => Ok(done?),
    }
}

struct Watch<'a> {
    progress: &'a dyn Progress,
    catch: Catch,
}

impl Progress for Watch<'_> {
    fn missing(&self, name: &str) {
        self.progress.missing(name);
    }

    fn trying(&self, reference: &ImageRef, location: &str) {
        self.progress.trying(reference, location);
    }

    fn layers(&self, reference: &ImageRef, layers: &[(Digest, u64)]) {
        self.progress.layers(reference, layers);
    }

    fn layer(&self, digest: &Digest, state: LayerState) {
        self.progress.layer(digest, state);
    }

    fn opened(&self) {
        self.progress.opened();
    }

    fn config(&self, id: &Digest) {
        self.progress.config(id);
    }

    fn done(&self, reference: &ImageRef, digest: &Digest, up_to_date: bool) {
        self.progress.done(reference, digest, up_to_date);
    }

    fn cancelled(&self) -> bool {
        self.catch.caught().is_some() || self.progress.cancelled()
    }

    fn warning(&self, message: &str) {
        self.progress.warning(message);
    }
}
