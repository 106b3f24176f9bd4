//! What the unit tests of this module share: scratch directories and sample records.

use std::path::{Path, PathBuf};

use super::paths::Paths;

/// A directory that goes with its value.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Store paths below it.
    pub(crate) fn paths(&self) -> Paths {
        Paths::new(self.0.join("root"), self.0.join("run"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A fresh directory below the target's tmp.
pub(crate) fn scratch(name: &str) -> Scratch {
    let unique = super::file::random_hex::<6>().expect("random");
    let path = std::env::temp_dir().join(format!("rcon-test-{name}-{unique}"));
    std::fs::create_dir_all(&path).expect("scratch directory");
    Scratch(path)
}
