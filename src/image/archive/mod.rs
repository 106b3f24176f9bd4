//! Images in files: `save`, `load`, `import`.
//!
//! What is saved is an OCI image layout and a docker archive at once: the blobs lie below `blobs/sha256/`, `index.json`
//! speaks of them in OCI's way, `manifest.json` in docker's. Layers are not packed. What is loaded may be either
//! form, packed or not, from any tool; everything in it is checked as if it came from a registry.

mod import;
mod load;
mod save;
mod sink;
mod spool;

pub use import::{Imported, import_layer};
pub use load::{From, Loaded, load, load_directory};
pub use save::{Packed, Saved, Target, directory_target, save};
pub use spool::unpacked;

use super::Error;

/// Annotation with a full reference, as containerd and docker write it.
const NAME: &str = "io.containerd.image.name";

/// OCI's annotation: a tag, or with podman a full reference.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io { what, source }
}
