//! Small whole files: read with a bound, write beside and rename; random names.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{Error, Result};
use crate::sys;

/// Largest document that we read back: a spec with a big seccomp profile is well below.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Writes `bytes` to `path` so that a reader sees the old or the new content: beside, then renamed. No fsync.
pub(super) fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(sys::atomic::write(path, bytes, 0o600, sys::atomic::Durability::None)?)
}

/// Makes a file that must not exist, for the owner only.
pub(super) fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| Error::io("create", path, e))
}

/// Writes a JSON document, atomically.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let bytes = to_json(path, value)?;
    write_atomic(path, &bytes)
}

/// The JSON text of `value`; `path` only serves the error.
pub(super) fn to_json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|source| Error::Damaged { path: path.to_owned(), source })
}

/// Reads a JSON document; a missing file is `None`.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("open", path, e)),
    };
    let mut bytes = Vec::with_capacity(8192);
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| Error::Damaged { path: path.to_owned(), source })
}

/// `N` random bytes as hex digits.
pub(super) fn random_hex<const N: usize>() -> Result<String> {
    use std::fmt::Write as _;
    let mut bytes = [0u8; N];
    rustix::rand::getrandom(&mut bytes[..], rustix::rand::GetRandomFlags::empty())
        .map_err(|e| Error::io("get random bytes for", "a new name", e))?;
    let mut text = String::with_capacity(2 * N);
    for b in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{b:02x}");
    }
    Ok(text)
}
