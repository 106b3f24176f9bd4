//! `cp`: files between host and container, running or not; never outside the container's root.
//!
//! Every copy is a tar stream from [`pack`] to `storage::unpack`, both of which work by descriptors
//! beneath a root (rules R1 and R17): a container that swaps a directory for a link while we copy gains nothing. [`plan`] holds
//! docker's rules for where a copy goes; it is pure.

mod pack;
mod plan;

use std::io::{Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::rootfs::Rootfs;
use super::view::Container;
use crate::model::container::ContainerSpec;
use crate::model::mount::MountSpec;
use crate::model::namespace::IdMaps;
use crate::storage::unpack as tar_in;
use crate::sys::root::{Root, lexical};
use pack::Packer;
use plan::{Found, Landing, landing};

/// How to copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `-a`: keep uid and gid.
    pub archive: bool,
    /// `-L`: follow a symlink at the source.
    pub follow: bool,
    /// `--overwrite`: a directory may be replaced by a file and the other way round.
    pub overwrite: bool,
    /// Relative paths in a container are below its working directory, as podman has it, and not below `/`.
    pub below_workdir: bool,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A host path.
    Host(String),
    /// A path in a container.
    Container {
        /// Name or id.
        name: String,
        /// Path inside.
        path: String,
    },
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(path) => f.write_str(path),
            Self::Container { name, path } => write!(f, "{name}:{path}"),
        }
    }
}

/// Which way a copy goes at an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

impl Way {
    /// docker's word for the event.
    fn action(self) -> &'static str {
        match self {
            Self::Out => "archive-path",
            Self::In => "extract-to-dir",
        }
    }
}

/// An end, opened: the root beneath which its path is looked up.
struct Place {
    rootfs: Option<Rootfs>,
    host: Option<Root>,
    path: PathBuf,
    /// The path as typed ended in a slash, or in `/.`.
    directory: bool,
    contents: bool,
    /// Maps of the user namespace that a running container lives in.
    maps: Option<IdMaps>,
    /// Why nothing may be written there.
    read_only: Option<&'static str>,
}

impl Place {
    fn open(ctx: &Context, end: &End, way: Way, below_workdir: bool) -> Result<Self, Error> {
        let (mut maps, mut read_only) = (None, None);
        let (rootfs, host, text, path) = match end {
            End::Host(text) => {
                let root = Root::open_host(Path::new("/")).map_err(|e| kernel("opening /", e))?;
                let cwd = std::env::current_dir()
                    .map_err(|e| Error::with_source(Kind::Internal, "finding the working directory", e))?;
                (None, Some(root), text, cwd.join(text))
            }
            End::Container { name, path } => {
                let store = ctx.store()?;
                let container = Container::find(ctx, &store, name)?;
                let which = ("path", path.clone());
                super::journal::dockers_container(ctx, way.action(), &container.row, &[which]);
                let spec = container.spec(&store)?;
                let rootfs = Rootfs::open(ctx, &container, &spec)?;
                if let Some(running) = container.phase.running() {
                    maps = super::rootfs::id_maps(&spec, running.init.pid);
                }
                let base = if below_workdir { Path::new(&spec.process.cwd) } else { Path::new("/") };
                let (text, whole) = (path, base.join(path));
                read_only = protected(&spec, &lexical(&whole));
                (Some(rootfs), None, text, whole)
            }
        };
        if text.is_empty() && !(below_workdir && rootfs.is_some()) {
            return Err(Error::new(Kind::Invalid, "copying needs a path on both sides"));
        }
        Ok(Self {
            rootfs,
            host,
            directory: text.is_empty() || text.ends_with('/') || text.ends_with("/.") || text == ".",
            contents: text.ends_with("/.") || text == ".",
            path: lexical(&path),
            maps,
            read_only,
        })
    }

    /// The root that holds the path, and the path beneath it.
    fn root(&self) -> Result<(&Root, PathBuf), Error> {
        match (&self.rootfs, &self.host) {
            (Some(rootfs), _) => Ok(rootfs.place(&self.path)),
            (None, Some(host)) => Ok((host, self.path.clone())),
            (None, None) => Err(Error::new(Kind::Internal, "an end of the copy is not open")),
        }
    }

    fn close(self) -> Result<(), Error> {
        self.rootfs.map_or(Ok(()), Rootfs::close)
    }
}

/// What the container may not write there, `cp` does not write for it.
fn protected(spec: &ContainerSpec, path: &Path) -> Option<&'static str> {
    let depth = |m: &&MountSpec| m.target.len();
    match spec.mounts.iter().filter(|m| path.starts_with(&m.target)).max_by_key(depth) {
        Some(mount) => mount.read_only.then_some("mounted volume is marked read-only"),
        None if ["/run", "/tmp", "/var/tmp"]
            .iter()
            .any(|t| spec.root.read_only_tmpfs && path.starts_with(t)) =>
        {
            None
        }
        None => spec.root.read_only.then_some("container rootfs is marked read-only"),
    }
}

/// Where a link at the end of `path` leads to beneath `root`, if there is one: a copy goes through it, and leaves it
/// as it is.
fn through_links(root: &Root, path: PathBuf) -> Result<PathBuf, Error> {
    const MOST: usize = 40;
    let mut at = path;
    for _ in 0..MOST {
        match root.read_link(&at) {
            Ok(target) => at = lexical(&at.parent().unwrap_or(Path::new("/")).join(target)),
            Err(_) => return Ok(at),
        }
    }
    Err(Error::new(Kind::Invalid, "the destination is a link that leads to too many others"))
}

fn kernel(what: impl Into<String>, e: crate::sys::error::Error) -> Error {
    let kind = match e.kind() {
        std::io::ErrorKind::NotFound => Kind::NotFound,
        std::io::ErrorKind::PermissionDenied => Kind::Denied,
        _ => Kind::Internal,
    };
    Error::with_source(kind, what, e)
}

/// What is at a path beneath a root; links are followed inside it.
fn look(root: &Root, path: &Path) -> Found {
    match root.resolve(path).ok().and_then(|fd| rustix::fs::fstat(&fd).ok()) {
        None => Found::Nothing,
        Some(s) if rustix::fs::FileType::from_raw_mode(s.st_mode).is_dir() => Found::Directory,
        Some(_) => Found::File,
    }
}

/// Copies between host and container or between two containers. Returns bytes copied.
///
/// # Errors
/// No such container or path; a destination that does not fit the source.
pub fn cp(ctx: &Context, from: &End, to: &End, options: &CopyOptions) -> Result<u64, Error> {
    if matches!((from, to), (End::Host(_), End::Host(_))) {
        return Err(Error::new(Kind::Invalid, "must specify at least one container source or destination"));
    }
    let source = Place::open(ctx, from, Way::Out, options.below_workdir)?;
    let target = Place::open(ctx, to, Way::In, options.below_workdir)?;
    let moved = transfer(&source, &target, from, to, options);
    let closed = source.close().and(target.close());
    let bytes = moved?;
    closed?;
    Ok(bytes)
}

fn transfer(
    source: &Place,
    target: &Place,
    from: &End,
    to: &End,
    options: &CopyOptions,
) -> Result<u64, Error> {
    let (root, path) = source.root()?;
    let packer =
        Packer::open(root, &path, options.follow || source.directory).map_err(|e| missing(e, from))?;
    let packer = packer.mapped(source.maps.clone());
    if let Some(why) = target.read_only {
        return Err(Error::new(Kind::Invalid, format!("copying to {to}: {why}")));
    }
    if let End::Host(text) = to
        && std::fs::metadata(&target.path).is_ok_and(|m| !m.is_dir() && !m.is_file())
    {
        let text = format!("invalid output path: {text:?} must be a directory or a regular file");
        return Err(Error::new(Kind::Invalid, text));
    }
    let (target_root, target_path) = target.root()?;
    let target_path = through_links(target_root, target_path)?;
    let found = look(target_root, &target_path);
    let landing = landing(&plan::Wish {
        source_directory: packer.is_directory(),
        source_contents: source.contents || source.path.file_name().is_none(),
        source_name: source.path.file_name().unwrap_or_default().to_owned(),
        target: target_path,
        target_slash: target.directory,
        found,
        overwrite: options.overwrite,
    })
    .map_err(|e| Error::new(Kind::Invalid, format!("copying to {to}: {e}")))?;
    let directory = directory(target_root, &landing, to)?;
    let unpacking = tar_in::Options { maps: target.maps.clone(), ..unpacking(owner(to, options), options) };
    stream(packer, &landing, directory, &unpacking, to)
}

/// docker's words for a source that is not there.
fn missing(e: Error, from: &End) -> Error {
    match from {
        End::Container { name, path } if e.kind() == Kind::NotFound => {
            Error::new(Kind::NotFound, format!("Could not find the file {path} in container {name}"))
        }
        _ => e.context(format!("copying from {from}")),
    }
}

/// The directory that receives the copy.
fn directory(root: &Root, landing: &Landing, to: &End) -> Result<OwnedFd, Error> {
    root.read_dir_fd(&landing.directory).map_err(|e| {
        let what = format!("copying to {to}: {} is not there or no directory", landing.directory.display());
        kernel(what, e)
    })
}

/// In a container the files keep their numeric owners (docker's help says otherwise, docker does so); on the host they
/// belong to the caller, unless `-a` asks for the container's owners.
fn owner(to: &End, options: &CopyOptions) -> Option<(u32, u32)> {
    match (options.archive, to) {
        (true, _) | (false, End::Container { .. }) => None,
        (false, End::Host(_)) => {
            Some((rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw()))
        }
    }
}

/// Packs in a thread, unpacks here, with a pipe between them.
fn stream(
    packer: Packer,
    landing: &Landing,
    directory: OwnedFd,
    unpacking: &tar_in::Options,
    to: &End,
) -> Result<u64, Error> {
    let (reader, writer) =
        std::io::pipe().map_err(|e| Error::with_source(Kind::Internal, "making a pipe for the copy", e))?;
    let name = landing.name.clone();
    let (packed, unpacked) = std::thread::scope(|scope| {
        let packing = scope.spawn(move || packer.write(name.as_deref(), writer));
        let unpacked = unpack_into(reader, &directory, unpacking);
        (packing.join(), unpacked)
    });
    let packed = packed.map_err(|_| Error::new(Kind::Internal, "the packing thread panicked"))?;
    let bytes = unpacked.map_err(|e| e.context(format!("copying to {to}")))?;
    packed?;
    Ok(bytes)
}

/// A directory and what is none never replace each other, unless the caller says `--overwrite`.
fn unpacking(own: Option<(u32, u32)>, options: &CopyOptions) -> tar_in::Options {
    tar_in::Options { own, keep_kinds: !options.overwrite, ..tar_in::Options::default() }
}

fn unpack_into(tar: impl Read, directory: &OwnedFd, options: &tar_in::Options) -> Result<u64, Error> {
    let unpack = || tar_in::unpack(tar, directory.as_fd(), options).map_err(crate::storage::Error::from);
    let Some(maps) = &options.maps else { return Ok(unpack()?.bytes) };
    // Files are made with our own ids first, and those the container's file system does not know.
    let root = (maps.uid(0).unwrap_or(0), maps.gid(0).unwrap_or(0));
    let unpacked = crate::sys::caps::with_file_ids(root.0, root.1, || Ok(unpack()))
        .map_err(|e| kernel("taking the ids of the container", e))?;
    Ok(unpacked?.bytes)
}

/// `cp - CTR:PATH`: unpacks a tar stream (packed by gzip or zstd, or not) below a directory of the container.
///
/// # Errors
/// As [`cp`], or a broken stream.
pub fn unpack(
    ctx: &Context,
    name: &str,
    path: &str,
    tar: &mut dyn Read,
    options: &CopyOptions,
) -> Result<u64, Error> {
    let end = End::Container { name: name.to_owned(), path: path.to_owned() };
    let place = Place::open(ctx, &end, Way::In, options.below_workdir)?;
    let done = (|| {
        if let Some(why) = place.read_only {
            return Err(Error::new(Kind::Invalid, format!("copying to {end}: {why}")));
        }
        let (root, path) = place.root()?;
        if look(root, &path) == Found::File {
            return Err(Error::new(Kind::Invalid, "extraction point is not a directory"));
        }
        let landing = Landing { directory: path, name: None };
        let directory = directory(root, &landing, &end)?;
        let tar = crate::image::archive::unpacked(tar)
            .map_err(|e| Error::with_source(Kind::Invalid, "reading the archive", e))?;
        let unpacking =
            tar_in::Options { maps: place.maps.clone(), ..unpacking(owner(&end, options), options) };
        unpack_into(tar, &directory, &unpacking)
    })();
    place.close()?;
    done
}

/// `cp CTR:PATH -`: writes a tar stream of a path of the container.
///
/// # Errors
/// As [`cp`].
pub fn pack(
    ctx: &Context,
    name: &str,
    path: &str,
    tar: &mut dyn Write,
    options: &CopyOptions,
) -> Result<u64, Error> {
    let end = End::Container { name: name.to_owned(), path: path.to_owned() };
    let place = Place::open(ctx, &end, Way::Out, options.below_workdir)?;
    let done = (|| {
        let (root, path) = place.root()?;
        let packer =
            Packer::open(root, &path, options.follow || place.directory).map_err(|e| missing(e, &end))?;
        let name = if place.contents { None } else { place.path.file_name() };
        packer.mapped(place.maps.clone()).write(name, tar)
    })();
    place.close()?;
    done
}

/// Fills a directory of the host from a tar stream (`volume import`).
pub(super) fn fill(directory: &Path, tar: &mut dyn Read) -> Result<u64, Error> {
    let root =
        Root::open_host(directory).map_err(|e| kernel(format!("opening {}", directory.display()), e))?;
    let fd = root.read_dir_fd(Path::new("/")).map_err(|e| kernel("opening the volume", e))?;
    unpack_into(tar, &fd, &tar_in::Options::default())
}
