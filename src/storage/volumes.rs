//! Volumes of the local driver: rows, `_data` directories, options, and filling a new one from the image.

use std::os::fd::{BorrowedFd, OwnedFd};

use super::db::Store;
use super::error::Result;
use crate::model::volume::Volume;

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// Name; `None` makes an anonymous one of 64 hex digits.
    pub name: Option<String>,
    /// Labels.
    pub labels: Vec<(String, String)>,
    /// Driver options: `type`, `device`, `o` as docker's local driver takes them.
    pub options: Vec<(String, String)>,
    /// To be filled from the image at its first mount.
    pub needs_copy_up: bool,
}

impl Store {
    /// Makes a volume.
    ///
    /// # Errors
    /// [`super::Error::Exists`], [`super::Error::VolumeOptions`].
    pub fn create_volume(&self, new: &NewVolume) -> Result<Volume> {
        let _ = new;
        todo!()
    }

    /// The volume of that name, made if it is not there.
    ///
    /// # Errors
    /// As [`Store::create_volume`].
    pub fn ensure_volume(&self, new: &NewVolume) -> Result<Volume> {
        let _ = new;
        todo!()
    }

    /// The volume of that name; a unique prefix is enough for an anonymous one.
    ///
    /// # Errors
    /// [`super::Error::NotFound`], [`super::Error::Ambiguous`].
    pub fn find_volume(&self, name: &str) -> Result<Volume> {
        let _ = name;
        todo!()
    }

    /// All volumes by name.
    ///
    /// # Errors
    /// What the database says.
    pub fn list_volumes(&self) -> Result<Vec<Volume>> {
        todo!()
    }

    /// Removes a volume and its content.
    ///
    /// # Errors
    /// [`super::Error::InUse`], [`super::Error::NotFound`].
    pub fn remove_volume(&self, name: &str) -> Result<()> {
        let _ = name;
        todo!()
    }

    /// Marks the volume as filled.
    ///
    /// # Errors
    /// [`super::Error::NotFound`].
    pub fn volume_filled(&self, name: &str) -> Result<()> {
        let _ = name;
        todo!()
    }
}

/// How a volume's content is had at mount time.
#[derive(Debug)]
pub enum VolumeSource {
    /// A plain directory: bind it.
    Directory(std::path::PathBuf),
    /// A detached mount made of the volume's options (nfs, tmpfs, a block device, a bind elsewhere).
    Mount(OwnedFd),
}

/// Opens a volume for mounting, mounting its device where its options name one.
///
/// # Errors
/// [`super::Error::VolumeOptions`], or what the kernel says.
pub fn open(volume: &Volume) -> Result<VolumeSource> {
    let _ = volume;
    todo!()
}

/// Copies the image's content at `source` (a directory descriptor, resolved beneath the image root by the
/// caller) into the volume directory `target` if that is empty: owners, modes, times, xattrs, hard links.
/// Safe against concurrent starts: the first takes a lock, the others wait.
///
/// # Errors
/// What the kernel says.
pub fn copy_up(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<bool> {
    let _ = (source, target);
    todo!()
}
