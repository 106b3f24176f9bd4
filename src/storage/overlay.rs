//! Overlay mounts as detached descriptors: any number of layers by `lowerdir+`, the legacy option string
//! where the kernel is older than 6.5.

use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use crate::sys;
use crate::sys::mount::{Attributes, FsContext, attr};

/// Longest text that fsconfig takes, its NUL not counted.
const MAX_PARAMETER: usize = 255;

/// Options of an overlay mount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// No syncs of the upper directory: right for containers that go when they end, wrong for others,
    /// because the kernel refuses the upper directory after a crash.
    pub volatile: bool,
    /// `user.overlay.*` attributes, for mounts in a user namespace.
    pub userxattr: bool,
}

/// A writable overlay: `lowers` top first, at least one. `upper` and `work` exist, are empty or reused, and are on
/// one file system. The mount is detached; attach it with move_mount.
///
/// # Errors
/// [`Error::Overlay`] says which call failed and what the kernel logged.
pub fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, options: Options) -> Result<OwnedFd> {
    assemble(lowers, Some((upper, work)), options)
        .map_err(|source| Error::Overlay { layers: lowers.len(), source })
}

/// Takes away the mark by which the kernel refuses the upper directory of an earlier volatile mount. Right where that mount
/// ended in this boot: what it wrote is in the page cache, on disk or not.
///
/// # Errors
/// What the kernel says of the mark; none is no error.
pub fn forget_volatile(work: &Path) -> Result<()> {
    let mark = work.join("work/incompat/volatile");
    match std::fs::remove_dir_all(&mark) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &mark, e)),
        _ => Ok(()),
    }
}

/// How the ids of a mount are shifted.
#[derive(Debug, Clone, Copy)]
pub struct Shift<'a> {
    /// The user namespace whose maps are applied.
    pub userns: BorrowedFd<'a>,
    /// Host ids of a user and a group that it maps, its root if it has one.
    pub owner: (u32, u32),
}

/// A writable overlay whose layers, `upper` included, have their ids shifted by a user namespace: on disk they stay
/// those of the image. `container` is the directory with `upper` and `work` in it.
///
/// # Errors
/// As [`mount`]; also a file system without idmapped mounts, or a kernel whose overlays take none (before 5.19).
pub fn mount_mapped(
    lowers: &[PathBuf],
    container: Option<&Path>,
    options: Options,
    shift: Shift<'_>,
) -> Result<OwnedFd> {
    mapped(lowers, container, options, shift)
        .map_err(|source| Error::Overlay { layers: lowers.len(), source })
}

fn mapped(
    lowers: &[PathBuf],
    container: Option<&Path>,
    options: Options,
    Shift { userns, owner: (uid, gid) }: Shift<'_>,
) -> sys::error::Result<OwnedFd> {
    let shift = |path: &Path| {
        let tree = sys::mount::open_tree_path(path, false)?;
        let change = Attributes { userns: Some(userns), ..Attributes::default() };
        sys::mount::set_attributes(&tree, &change, false)?;
        Ok(tree)
    };
    if let (None, [only]) = (container, lowers) {
        let tree = shift(only)?;
        let change = Attributes { set: attr::RDONLY, ..Attributes::default() };
        sys::mount::set_attributes(&tree, &change, false)?;
        return Ok(tree);
    }
    let trees = lowers.iter().map(|lower| shift(lower)).collect::<sys::error::Result<Vec<_>>>()?;
    // One mount for both, as overlay demands of upper and work directory.
    let base = container.map(shift).transpose()?;
    // Overlay works in its upper directory with the file ids of who mounts it, which must be ids that the mapped
    // mount knows.
    let made = match sys::caps::with_file_ids(uid, gid, || of_detached(&trees, base.as_ref(), options)) {
        Err(e) if [libc::EINVAL, libc::EOPNOTSUPP, libc::EBADF].iter().any(|n| e.is(*n)) => {
            let what = || format!("overlay of {} layers", lowers.len());
            sys::visit::in_own_mounts(what, || {
                let places = attach_all(&trees, base.as_ref())?;
                sys::caps::with_file_ids(uid, gid, || of_attached(&places, base.is_some(), options))
            })
        }
        other => other,
    }?;
    if container.is_some() {
        let change = Attributes { clear: attr::RDONLY, ..Attributes::default() };
        sys::mount::set_attributes(&made, &change, false)?;
    }
    Ok(made)
}

/// Of detached layers, which Linux 6.15 and newer take.
fn of_detached(trees: &[OwnedFd], base: Option<&OwnedFd>, options: Options) -> sys::error::Result<OwnedFd> {
    let fs = FsContext::new("overlay")?;
    for tree in trees {
        fs.set_fd("lowerdir+", tree)?;
    }
    let mut held = Vec::new();
    if let Some(base) = base {
        for (key, name) in [("upperdir", "upper"), ("workdir", "work")] {
            let dir = sys::root::Root::new(sys::fd::dup(base, 3)?).resolve_no_links(Path::new(name))?;
            fs.set_fd(key, &dir)?;
            held.push(dir);
        }
        if options.volatile {
            fs.flag("volatile")?;
        }
    }
    finish(fs, None, options, &mut held)
}

/// Attaches the layers, in a mount namespace of our own, and gives their places: the layers', then that of what holds
/// the upper and work directories.
fn attach_all(trees: &[OwnedFd], base: Option<&OwnedFd>) -> sys::error::Result<Vec<PathBuf>> {
    let scratch = Path::new(sys::visit::SCRATCH);
    let made = FsContext::new("tmpfs")?.mount(0)?;
    sys::mount::move_mount_to_path(&made, scratch)?;
    let mut places = Vec::with_capacity(trees.len() + 1);
    for (n, tree) in trees.iter().chain(base).enumerate() {
        let place = scratch.join(n.to_string());
        std::fs::create_dir(&place).map_err(|e| {
            sys::Error::new("mkdir", place.display().to_string(), e.raw_os_error().unwrap_or_default())
        })?;
        sys::mount::move_mount_to_path(tree, &place)?;
        places.push(place);
    }
    Ok(places)
}

fn of_attached(places: &[PathBuf], writable: bool, options: Options) -> sys::error::Result<OwnedFd> {
    match places.split_last() {
        Some((base, lowers)) if writable => {
            assemble(lowers, Some((&base.join("upper"), &base.join("work"))), options)
        }
        _ => assemble(places, None, options),
    }
}

/// A read-only overlay of `lowers`, top first. One layer alone becomes a read-only bind of it.
///
/// # Errors
/// As [`mount`].
pub fn mount_readonly(lowers: &[PathBuf], options: Options) -> Result<OwnedFd> {
    let made = match lowers {
        [only] => sys::mount::open_tree_path(only, false).and_then(|tree| {
            sys::mount::set_attributes(
                &tree,
                &Attributes { set: attr::RDONLY, ..Attributes::default() },
                false,
            )?;
            Ok(tree)
        }),
        _ => assemble(lowers, None, options),
    };
    made.map_err(|source| Error::Overlay { layers: lowers.len(), source })
}

fn assemble(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    options: Options,
) -> sys::error::Result<OwnedFd> {
    if !sys::probe::kernel_at_least(6, 5) {
        return legacy(lowers, upper, options);
    }
    let invalid = rustix::io::Errno::INVAL.raw_os_error();
    let fs = FsContext::new("overlay")?;
    // Descriptors of paths that are too long for fsconfig must live until the superblock is made.
    let mut held = Vec::new();
    for (n, lower) in lowers.iter().enumerate() {
        match set_path(&fs, "lowerdir+", lower, &mut held) {
            Err(e) if n == 0 && e.is(invalid) => return legacy(lowers, upper, options),
            other => other?,
        }
    }
    finish(fs, upper, options, &mut held)
}

/// Sets upper, work and options, and makes the mount.
fn finish(
    fs: FsContext,
    upper: Option<(&Path, &Path)>,
    options: Options,
    held: &mut Vec<OwnedFd>,
) -> sys::error::Result<OwnedFd> {
    if let Some((upper, work)) = upper {
        set_path(&fs, "upperdir", upper, held)?;
        set_path(&fs, "workdir", work, held)?;
        if options.volatile {
            fs.flag("volatile")?;
        }
    }
    // Said, not left to the kernel's build options: an upper directory must be readable as a layer by itself, with
    // whole files and without references to other directories.
    fs.set("metacopy", "off")?;
    fs.set("redirect_dir", "nofollow")?;
    fs.set("index", "off")?;
    if options.userxattr {
        fs.flag("userxattr")?;
    }
    fs.mount(if upper.is_none() { attr::RDONLY } else { 0 })
}

fn set_path(fs: &FsContext, key: &str, path: &Path, held: &mut Vec<OwnedFd>) -> sys::error::Result<()> {
    if path.as_os_str().len() <= MAX_PARAMETER {
        return fs.set(key, path);
    }
    let fd = sys::fd::open_path(path)?;
    let short = sys::fd::proc_path(&fd);
    held.push(fd);
    fs.set(key, short)
}

/// The option string of kernels before 6.5. It holds 255 bytes, so layers are given as descriptor numbers,
/// relative to `/proc/self/fd` as working directory (three bytes each instead of ninety). Only for a process of one
/// thread, as the working directory is everyone's.
fn legacy(
    lowers: &[PathBuf],
    upper: Option<(&Path, &Path)>,
    options: Options,
) -> sys::error::Result<OwnedFd> {
    let mut held =
        lowers.iter().map(|lower| sys::fd::open_path(lower)).collect::<sys::error::Result<Vec<_>>>()?;
    let numbers: Vec<String> = held.iter().map(|fd| fd.as_raw_fd().to_string()).collect();
    let text = numbers.join(":");
    if text.len() > MAX_PARAMETER {
        let what = format!("overlay, lowerdir: {} layers need Linux 6.5 or newer", lowers.len());
        return Err(sys::Error::new("fsconfig", what, rustix::io::Errno::TOOBIG.raw_os_error()));
    }
    let back = sys::fd::open_path(Path::new("."))?;
    let enter = |fd: &OwnedFd| {
        rustix::process::fchdir(fd).map_err(|e| sys::Error::new("fchdir", "", e.raw_os_error()))
    };
    enter(&sys::fd::open_path(Path::new("/proc/self/fd"))?)?;
    let made = FsContext::new("overlay").and_then(|fs| {
        fs.set("lowerdir", text)?;
        finish(fs, upper, options, &mut held)
    });
    enter(&back)?;
    made
}

/// Whether overlay's attributes must be `user.overlay.*` here: in a user namespace the trusted ones are out of reach.
#[must_use]
pub fn needs_userxattr() -> bool {
    static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ANSWER.get_or_init(|| {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let initial = map.split_whitespace().eq(["0", "0", "4294967295"]);
        !(initial && rustix::process::geteuid().is_root())
    })
}

/// Makes `upper` and `work` below a container's directory. The root of the merged tree is `upper` itself, so it
/// gets owner and mode of the topmost layer's root.
pub(super) fn make_upper(container: &Path, top: &Path) -> Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    let meta = std::fs::metadata(top).map_err(|e| Error::io("look at", top, e))?;
    let upper = container.join("upper");
    std::fs::DirBuilder::new()
        .mode(0o755)
        .create(&upper)
        .map_err(|e| Error::io("create directory", &upper, e))?;
    if meta.uid() != 0 || meta.gid() != 0 {
        std::os::unix::fs::chown(&upper, Some(meta.uid()), Some(meta.gid()))
            .map_err(|e| Error::io("change the owner of", &upper, e))?;
    }
    // Always: our umask may have narrowed the mode.
    std::fs::set_permissions(&upper, std::fs::Permissions::from_mode(meta.mode() & 0o7777))
        .map_err(|e| Error::io("change the mode of", &upper, e))?;
    let work = container.join("work");
    std::fs::DirBuilder::new().mode(0o700).create(&work).map_err(|e| Error::io("create directory", work, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree(dir: &Path, name: &str) -> PathBuf {
        let path = dir.join(name);
        fs::create_dir(&path).expect("mkdir");
        fs::write(path.join(name), name).expect("write");
        path
    }

    fn read(mount: &OwnedFd, name: &str) -> String {
        fs::read_to_string(sys::fd::proc_path(mount).join(name)).expect("read")
    }

    #[test]
    fn many_layers_and_a_long_path() {
        let dir = crate::storage::testing::scratch("overlay");
        let deep = dir.path().join("x".repeat(250));
        fs::create_dir(&deep).expect("mkdir");
        let lowers: Vec<_> = (0..130).map(|n| tree(&deep, &format!("l{n}"))).collect();
        let (upper, work) = (tree(&deep, "upper"), deep.join("work"));
        fs::create_dir(&work).expect("mkdir");
        let m = mount(&lowers, &upper, &work, Options { volatile: true, userxattr: false }).expect("mount");
        assert_eq!(read(&m, "l0"), "l0");
        assert_eq!(read(&m, "l129"), "l129");
        fs::write(sys::fd::proc_path(&m).join("new"), "n").expect("write");
        assert!(upper.join("new").exists());
        let ro = mount_readonly(&lowers[..2], Options::default()).expect("mount");
        assert_eq!(read(&ro, "l1"), "l1");
        assert!(fs::write(sys::fd::proc_path(&ro).join("new"), "n").is_err());
        let one = mount_readonly(&lowers[..1], Options::default()).expect("bind");
        assert!(fs::write(sys::fd::proc_path(&one).join("new"), "n").is_err());
    }

    #[test]
    fn legacy_option_string() {
        let dir = crate::storage::testing::scratch("legacy");
        let lowers: Vec<_> = (0..20).map(|n| tree(dir.path(), &format!("l{n}"))).collect();
        let (upper, work) = (tree(dir.path(), "upper"), dir.path().join("work"));
        fs::create_dir(&work).expect("mkdir");
        let before = std::env::current_dir().expect("cwd");
        let m = legacy(&lowers, Some((&upper, &work)), Options::default()).expect("mount");
        assert_eq!(read(&m, "l19"), "l19");
        assert_eq!(std::env::current_dir().expect("cwd"), before);
    }
}
