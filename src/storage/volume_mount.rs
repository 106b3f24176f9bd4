//! How a volume's content is had at mount time: its directory, or what its options name; and filling a new one
//! from the image.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, XattrFlags, flock};
use rustix::io::Errno;

use super::error::{Error, Result};
use super::{copy, overlay, tree};
use crate::model::volume::Volume;
use crate::sys;
use crate::sys::mount::{Attributes, FsContext, attr};

/// How a volume's content is had.
#[derive(Debug)]
pub enum VolumeSource {
    /// A plain directory: bind it.
    Directory(PathBuf),
    /// A detached mount made of the volume's options (nfs, tmpfs, a block device, a bind elsewhere).
    Mount(OwnedFd),
}

/// Options of docker's local driver that we know.
const KNOWN: [&str; 3] = ["type", "device", "o"];

/// Refuses options that would do nothing.
pub(super) fn check_options(name: &str, options: &[(String, String)]) -> Result<()> {
    let refuse = |why: String| Err(Error::VolumeOptions { name: name.to_owned(), why });
    for (key, _) in options {
        if key == "size" {
            return refuse(
                "option size needs project quotas, which rcon does not set; use type=tmpfs with o=size=…"
                    .into(),
            );
        }
        if !KNOWN.contains(&key.as_str()) {
            return refuse(format!("unknown option {key:?}; the local driver knows type, device and o"));
        }
    }
    let plan = Plan::of(options);
    if plan.kind.is_empty() && plan.device.is_empty() && plan.words.is_empty() {
        return Ok(());
    }
    // podman's: only whose the volume is.
    if plan.kind.is_empty() && plan.device.is_empty() && plan.words.iter().all(|w| owner(w).is_some()) {
        return Ok(());
    }
    if plan.device.is_empty() && !plan.is_tmpfs() {
        return refuse("option device is missing".into());
    }
    // podman's spelling, and its check; with docker's (o=bind) the directory may be made later.
    if plan.kind == "bind" && !Path::new(plan.device).exists() {
        return refuse(format!("invalid option device: stat {}: no such file or directory", plan.device));
    }
    if plan.kind.is_empty() && !plan.is_bind() {
        return refuse("option type is missing".into());
    }
    Ok(())
}

/// `uid=N` or `gid=N` of a volume that is a directory.
fn owner(word: &str) -> Option<(bool, u32)> {
    let (key, id) = word.split_once('=')?;
    let id = id.parse().ok()?;
    match key {
        "uid" => Some((true, id)),
        "gid" => Some((false, id)),
        _ => None,
    }
}

/// The owner that the options of a plain volume name.
#[must_use]
pub fn owner_of(options: &[(String, String)]) -> (Option<u32>, Option<u32>) {
    let plan = Plan::of(options);
    if !plan.kind.is_empty() || !plan.device.is_empty() {
        return (None, None);
    }
    let find =
        |user: bool| plan.words.iter().rev().filter_map(|w| owner(w)).find(|o| o.0 == user).map(|o| o.1);
    (find(true), find(false))
}

/// A volume's options, taken apart.
struct Plan<'a> {
    kind: &'a str,
    device: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn of(options: &'a [(String, String)]) -> Self {
        let get = |key: &str| options.iter().find(|(k, _)| k == key).map_or("", |(_, v)| v.as_str());
        let words = get("o").split(',').filter(|w| !w.is_empty()).collect();
        Self { kind: get("type"), device: get("device"), words }
    }

    /// A tmpfs needs no device, whatever is said of it.
    fn is_tmpfs(&self) -> bool {
        self.kind == "tmpfs"
    }

    fn is_bind(&self) -> bool {
        // podman writes it as the type, too.
        self.kind == "bind" || self.words.iter().any(|w| matches!(*w, "bind" | "rbind"))
    }
}

/// Opens a volume for mounting, mounting its device where its options name one.
///
/// # Errors
/// [`Error::VolumeOptions`], or what the kernel says.
pub fn open(volume: &Volume) -> Result<VolumeSource> {
    let plan = Plan::of(&volume.options);
    if plan.device.is_empty() && !plan.is_tmpfs() {
        return Ok(VolumeSource::Directory(PathBuf::from(&volume.mountpoint)));
    }
    let made = if plan.is_bind() { bind(&plan) } else { mount(&plan) };
    made.map(VolumeSource::Mount).map_err(|e| Error::VolumeOptions {
        name: volume.name.clone(),
        why: format!("cannot mount {:?}: {e}", plan.device),
    })
}

fn bind(plan: &Plan<'_>) -> sys::error::Result<OwnedFd> {
    let recursive = plan.words.contains(&"rbind");
    let tree = sys::mount::open_tree_path(Path::new(plan.device), recursive)?;
    let set = plan.words.iter().filter_map(|w| attribute(w)).fold(0, |all, bit| all | bit);
    if set != 0 {
        sys::mount::set_attributes(&tree, &Attributes { set, ..Attributes::default() }, recursive)?;
    }
    Ok(tree)
}

fn mount(plan: &Plan<'_>) -> sys::error::Result<OwnedFd> {
    let kind = sys::fd::c_string(plan.kind)?;
    let fs = FsContext::named(&kind)?;
    fs.set("source", source(plan))?;
    let mut attributes = 0;
    for word in &plan.words {
        if let Some(bit) = attribute(word) {
            attributes |= bit;
            if bit == attr::RDONLY {
                fs.flag("ro")?;
            }
            continue;
        }
        match word.split_once('=') {
            _ if matches!(*word, "rw" | "suid" | "dev" | "exec" | "defaults" | "relatime") => {}
            Some((key, value)) => fs.set(key, value)?,
            None => fs.flag(*word)?,
        }
    }
    fs.mount(attributes)
}

/// The kernel wants the server's name in an NFS source; docker's habit is `device=:/path` with `o=addr=HOST`.
fn source(plan: &Plan<'_>) -> String {
    let address = plan.words.iter().find_map(|w| w.strip_prefix("addr="));
    match address {
        Some(host) if plan.device.starts_with(':') => format!("{host}{}", plan.device),
        _ if plan.device.is_empty() => plan.kind.to_owned(),
        _ => plan.device.to_owned(),
    }
}

/// The mount attribute that an option word means.
fn attribute(word: &str) -> Option<u64> {
    Some(match word {
        "ro" => attr::RDONLY,
        "nosuid" => attr::NOSUID,
        "nodev" => attr::NODEV,
        "noexec" => attr::NOEXEC,
        "noatime" => attr::NOATIME,
        "nodiratime" => attr::NODIRATIME,
        "nosymfollow" => attr::NOSYMFOLLOW,
        _ => return None,
    })
}

/// Copies the image's content at `source` (a directory descriptor, resolved beneath the image root by the
/// caller) into the volume directory `target` if that is empty: owners, modes, times, xattrs, hard links.
/// Safe against concurrent starts: the first takes a lock, the others wait. A fill that was cut short is begun
/// again. Returns whether anything was copied.
///
/// # Errors
/// What the kernel says.
pub fn copy_up(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<bool> {
    fill(source, target)
        .map_err(|e| Error::io("fill a volume from", sys::fd::path_of(source).unwrap_or_default(), e))
}

fn fill(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    // A description of our own, readable: the lock goes with it, and the caller's may be O_PATH.
    let target = tree::open_dir(target, c".")?;
    loop {
        match flock(&target, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    }
    let marker = if overlay::needs_userxattr() { "user.rcon.filling" } else { "trusted.rcon.filling" };
    let mut value = [0; 1];
    let cut_short = rustix::fs::fgetxattr(&target, marker, &mut value[..]).is_ok();
    for name in tree::names(&target)? {
        if !cut_short {
            return Ok(false);
        }
        tree::remove_named(&target, name.as_c_str())?;
    }
    let source = tree::open_dir(source, c".")?;
    // Without xattrs there is no mark; then a fill that is cut short stays as it is.
    let marked = rustix::fs::fsetxattr(&target, marker, b"y", XattrFlags::empty()).is_ok();
    copy::content(source.as_fd(), target.as_fd())?;
    if marked {
        rustix::fs::fremovexattr(&target, marker)?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn options_are_checked() {
        let o = |list: &[(&str, &str)]| {
            let owned: Vec<_> = list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            check_options("v", &owned)
        };
        assert!(o(&[]).is_ok());
        assert!(o(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]).is_ok());
        assert!(o(&[("type", "none"), ("device", "/x"), ("o", "bind")]).is_ok());
        assert!(o(&[("device", "/x"), ("o", "bind")]).is_ok());
        assert!(o(&[("colour", "red")]).is_err());
        assert!(o(&[("type", "nfs")]).is_err());
        assert!(o(&[("size", "1g")]).is_err());
    }

    #[test]
    fn fills_once_with_everything() {
        let dir = crate::storage::testing::scratch("fill");
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sub")).expect("mkdir");
        fs::create_dir(&to).expect("mkdir");
        fs::write(from.join("a"), "1").expect("write");
        fs::hard_link(from.join("a"), from.join("sub/b")).expect("link");
        std::os::unix::fs::symlink("/nowhere", from.join("l")).expect("symlink");
        std::os::unix::fs::chown(&from, Some(7), Some(8)).expect("chown");
        let (source, target) = (fs::File::open(&from).expect("open"), fs::File::open(&to).expect("open"));
        assert!(copy_up(source.as_fd(), target.as_fd()).expect("fill"));
        let (a, b) = (fs::metadata(to.join("a")).expect("a"), fs::metadata(to.join("sub/b")).expect("b"));
        assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
        assert_eq!(fs::metadata(&to).expect("to").uid(), 7);
        assert!(fs::symlink_metadata(to.join("l")).expect("l").file_type().is_symlink());
        assert!(!copy_up(source.as_fd(), target.as_fd()).expect("second"), "not empty any more");
        // Cut short: begun again.
        fs::remove_file(to.join("a")).expect("rm");
        rustix::fs::fsetxattr(&target, "trusted.rcon.filling", b"y", XattrFlags::empty()).expect("mark");
        assert!(copy_up(source.as_fd(), target.as_fd()).expect("third"));
        assert!(to.join("a").exists());
    }

    #[test]
    fn tmpfs_and_bind_volumes() {
        let dir = crate::storage::testing::scratch("volmount");
        fs::write(dir.path().join("x"), "1").expect("write");
        let volume = |options: &[(&str, &str)]| Volume {
            name: "v".into(),
            driver: "local".into(),
            mountpoint: "/none".into(),
            created: jiff::Timestamp::UNIX_EPOCH,
            labels: vec![],
            options: options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            anonymous: false,
        };
        let tmp = open(&volume(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=64k,uid=5,nodev")]))
            .expect("tmpfs");
        let VolumeSource::Mount(tmp) = tmp else { panic!("a mount") };
        assert_eq!(rustix::fs::fstat(&tmp).expect("stat").st_uid, 5);
        let device = dir.path().to_string_lossy().into_owned();
        let bound = open(&volume(&[("type", "none"), ("device", &device), ("o", "bind,ro")])).expect("bind");
        let VolumeSource::Mount(bound) = bound else { panic!("a mount") };
        let path = sys::fd::proc_path(&bound);
        assert_eq!(fs::read_to_string(path.join("x")).expect("read"), "1");
        assert!(fs::write(path.join("y"), "2").is_err());
        let missing = open(&volume(&[("device", "/does/not/exist"), ("o", "bind")]));
        assert!(missing.expect_err("missing").to_string().contains("/does/not/exist"));
    }
}
