//! Host ids that containers with automatic mappings have: a small file in the container's directory, so that they are
//! free again when the container is.

use super::error::{Error, Result};
use super::lock::FileLock;
use super::paths::Paths;
use crate::model::id::ContainerId;

const FILE: &str = "host-ids";

/// Keeps others from choosing host ids until it is dropped.
///
/// # Errors
/// What the kernel says.
pub fn lock(paths: &Paths) -> Result<FileLock> {
    FileLock::acquire(&paths.locks().join("host-ids"))
}

/// Notes the ranges (first, count) of a container that was just made.
///
/// # Errors
/// What the kernel says.
pub fn record(paths: &Paths, id: &ContainerId, ranges: &[(u32, u32)]) -> Result<()> {
    let text: String = ranges.iter().map(|(first, count)| format!("{first} {count}\n")).collect();
    super::file::write_atomic(&paths.container(id).join(FILE), text.as_bytes())
}

/// The ranges of all containers.
///
/// # Errors
/// What the kernel says.
pub fn all(paths: &Paths) -> Result<Vec<(u32, u32)>> {
    let folder = paths.containers();
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("read", &folder, e)),
    };
    let mut all = Vec::new();
    for entry in entries.flatten() {
        let Ok(text) = std::fs::read_to_string(entry.path().join(FILE)) else { continue };
        all.extend(text.lines().filter_map(|line| {
            let (first, count) = line.split_once(' ')?;
            Some((first.parse().ok()?, count.parse().ok()?))
        }));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_found() {
        let dir = super::super::testing::scratch("hostids");
        let paths = dir.paths();
        assert!(all(&paths).expect("none").is_empty());
        let id: ContainerId = "a".repeat(64).parse().expect("an id");
        std::fs::create_dir_all(paths.container(&id)).expect("mkdir");
        record(&paths, &id, &[(5, 10), (50, 1)]).expect("writes");
        assert_eq!(all(&paths).expect("reads"), [(5, 10), (50, 1)]);
        drop(lock(&paths).expect("locks"));
    }
}
