//! Mounts of a container: bind, volume, tmpfs, image, devpts, glob; the syntaxes of `-v`, `--mount` and
//! `--tmpfs`.

use serde::{Deserialize, Serialize};

mod csv;
mod long;
mod short;

use super::units::ByteSize;

/// One mount as the caller wished it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountRequest {
    /// What is mounted.
    pub kind: MountKind,
    /// Host path, volume name or image reference; `None` for tmpfs and anonymous volumes.
    pub source: Option<String>,
    /// Absolute path in the container.
    pub target: String,
    /// Options common to all kinds.
    pub options: MountOptions,
}

/// The kinds of `--mount type=…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A directory or file of the host.
    Bind,
    /// A named or anonymous volume.
    Volume,
    /// A fresh tmpfs.
    Tmpfs,
    /// A fresh ramfs.
    Ramfs,
    /// The file system of an image, read-only unless `rw`.
    Image,
    /// A devpts instance.
    Devpts,
    /// Each match of a host glob, bound beneath the target.
    Glob,
}

/// Options of a mount; `None` and empty mean "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// `ro` / `rw`.
    pub read_only: Option<bool>,
    /// `shared`, `rshared`, `slave`, `rslave`, `private`, `rprivate`, `unbindable`, `runbindable`.
    pub propagation: Option<String>,
    /// Whether a read-only mount makes those below it read-only, too (`bind-recursive=readonly|writable`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only_below: Option<bool>,
    /// `bind` instead of `rbind` (`bind-nonrecursive`).
    pub non_recursive: bool,
    /// `nodev`/`dev`, `noexec`/`exec`, `nosuid`/`suid`, `noatime`, …: as mount(8) spells them.
    pub flags: Vec<String>,
    /// `nocopy`: do not fill a new volume from the image.
    pub no_copy: bool,
    /// `U`: chown the source to the container's user.
    pub chown: bool,
    /// `z` (shared) or `Z` (private) SELinux label.
    pub relabel: Option<char>,
    /// `O`: overlay over the source, writes thrown away.
    pub overlay: bool,
    /// `upperdir=` of an overlay mount.
    pub upper_dir: Option<String>,
    /// `workdir=` of an overlay mount.
    pub work_dir: Option<String>,
    /// `idmap[=uids=…;gids=…]`: `Some("")` for the container's own mapping.
    pub idmap: Option<String>,
    /// `subpath=` inside the volume or image.
    pub subpath: Option<String>,
    /// tmpfs size.
    pub tmpfs_size: Option<ByteSize>,
    /// tmpfs mode, octal.
    pub tmpfs_mode: Option<u32>,
    /// Further file system options (`uid=1000`, `nr_inodes=…`), as typed.
    pub fs_options: Vec<String>,
    /// `tmpcopyup` (`Some(true)`) or `notmpcopyup` (`Some(false)`).
    pub tmpcopyup: Option<bool>,
    /// Volume driver (`volume-driver=`).
    pub volume_driver: Option<String>,
    /// Volume labels (`volume-label=`).
    pub volume_labels: Vec<(String, String)>,
    /// Volume driver options (`volume-opt=`).
    pub volume_opts: Vec<(String, String)>,
    /// The options of `-v` and `--tmpfs` as they were typed, for `inspect`; `None` for `--mount`.
    pub typed: Option<String>,
    /// `-v` makes a missing bind source (docker); `--mount` refuses it.
    pub create_source: bool,
    /// `no-dereference`: do not follow a symlink source.
    pub no_dereference: bool,
}

/// One mount as it will be: sources are host paths, every default is written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub kind: MountKind,
    /// Volume name, for [`MountKind::Volume`]; image reference, for [`MountKind::Image`].
    #[serde(default)]
    pub name: Option<String>,
    /// Absolute host path; empty for tmpfs, ramfs, devpts.
    pub source: String,
    /// Absolute path in the container, cleaned.
    pub target: String,
    /// Read-only.
    pub read_only: bool,
    /// What is mounted below a read-only mount is read-only, too: docker's default, podman's not.
    #[serde(default)]
    pub read_only_below: bool,
    /// Recursive bind.
    pub recursive: bool,
    /// Propagation, `rprivate` by default.
    pub propagation: String,
    /// Mount flags and file system options, as mount(8) spells them.
    pub flags: Vec<String>,
    /// Fill the empty volume from the image at its first start.
    #[serde(default)]
    pub copy_up: bool,
    /// An empty volume belongs to the container's user, where the image has nothing in its place (podman).
    #[serde(default)]
    pub give: bool,
    /// The volume is anonymous: removed with the container by `rm -v` and `--rm`.
    #[serde(default)]
    pub anonymous: bool,
    /// `U`.
    #[serde(default)]
    pub chown: bool,
    /// `O`, with optional upper and work directories.
    #[serde(default)]
    pub overlay: Option<OverlayDirs>,
    /// `idmap`.
    #[serde(default)]
    pub idmap: Option<String>,
    /// Layers of the image, for [`MountKind::Image`].
    #[serde(default)]
    pub layers: Vec<super::digest::ChainId>,
    /// Path inside the volume or image that is mounted, resolved beneath it at start.
    #[serde(default)]
    pub subpath: Option<String>,
}

/// Where an `O` mount writes; `None` is a throw-away directory of the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OverlayDirs {
    /// Upper directory.
    pub upper: Option<String>,
    /// Work directory.
    pub work: Option<String>,
}
