//! `--export`: a checkpoint as one archive, from which a container is made on another machine. Its form is podman's:
//!
//! ```text
//! checkpoint/        criu's images (pre-checkpoint/ in the archive of a pre-checkpoint)
//! config.dump        name, id, image, times
//! spec.dump          the OCI spec
//! network.status     interfaces and addresses by network
//! rootfs-diff.tar    what was added or changed in the root file system
//! deleted.files      what was deleted there, a list of paths
//! volumes/NAME.tar   content of each volume
//! stats-dump         criu's statistics
//! rcon.json          our own document of the container, which a restore by rcon takes
//! ```

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::engine::context::Context;
use crate::engine::error::{Error, Kind};
use crate::model::container::{AttachmentState, ContainerSpec};
use crate::model::mount::MountKind;
use crate::model::network::NetworkModeSpec;
use crate::model::volume::Volume;
use crate::runtime::cgroup::Layout;
use crate::runtime::oci::{self, HostFacts, ResolvedFacts};
use crate::storage::diff::{ChangeKind, TarOptions, changes, write_tar};
use crate::storage::{Store, checkpoints, tree};

/// How an archive is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    #[default]
    Zstd,
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::new(
                Kind::Invalid,
                format!(
                    "selected compression algorithm ({text:?}) not supported. Please select one from: gzip, none, zstd"
                ),
            )),
        }
    }
}

/// What goes into an archive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Export {
    /// How it is packed.
    pub compression: Compression,
    /// `--ignore-rootfs`: without the changes of the root file system.
    pub ignore_rootfs: bool,
    /// `--ignore-volumes`: without the content of volumes.
    pub ignore_volumes: bool,
}

/// Our own document in an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Document {
    /// Of this form.
    pub(super) version: u32,
    /// The container.
    pub(super) spec: ContainerSpec,
    /// Its networks when the checkpoint was written.
    pub(super) network: Vec<AttachmentState>,
    /// Its volumes.
    pub(super) volumes: Vec<Volume>,
}

/// [`Document::version`] of ours.
pub(super) const VERSION: u32 = 1;

pub(super) const DOCUMENT: &str = "rcon.json";
pub(super) const ROOTFS_DIFF: &str = "rootfs-diff.tar";
pub(super) const DELETED: &str = "deleted.files";
pub(super) const VOLUMES: &str = "volumes";

/// Files of an archive that are not kept beside the checkpoint.
const MADE: [&str; 7] =
    [DOCUMENT, ROOTFS_DIFF, DELETED, VOLUMES, "config.dump", "spec.dump", "network.status"];

/// Whether an archive of this container makes sense, asked before it is frozen.
pub(super) fn check(spec: &ContainerSpec) -> Result<(), Error> {
    if !spec.requires.is_empty() || matches!(spec.network.mode, NetworkModeSpec::Container(_)) {
        return Err(Error::new(
            Kind::Unsupported,
            "cannot export checkpoints of containers with dependencies",
        ));
    }
    if let Some(directory) = &spec.root.directory {
        let text =
            format!("cannot export the checkpoint of a container whose root is {directory} (--rootfs)");
        return Err(Error::new(Kind::Unsupported, text).hint("make the container of an image"));
    }
    Ok(())
}

/// Writes the archive to `out`; `pre`: of what was written ahead.
pub(super) fn write(
    ctx: &Context,
    store: &Store,
    spec: &ContainerSpec,
    (export, pre): (&Export, bool),
    out: &mut dyn Write,
) -> Result<(), Error> {
    let work = ctx.paths.userdata(&spec.id);
    let made = gather(ctx, store, spec, export, &work).and_then(|()| pack(&work, pre, out));
    for name in MADE {
        let path = work.join(name);
        if path.exists() {
            tree::remove(&path)?;
        }
    }
    made
}

/// As [`write`], to a file that only its owner can read.
pub(super) fn write_file(
    ctx: &Context,
    store: &Store,
    spec: &ContainerSpec,
    how: (&Export, bool),
    path: &Path,
) -> Result<(), Error> {
    let failed = |e| Error::with_source(Kind::Invalid, format!("writing {}", path.display()), e);
    let file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map_err(failed)?;
    let written = packed(&file, how.0.compression, &mut |out| write(ctx, store, spec, how, out), failed);
    if written.is_err() {
        // Half an archive helps nobody; that it could not be removed is less than the failure itself.
        let _gone = std::fs::remove_file(path);
    }
    written
}

fn packed(
    file: &File,
    compression: Compression,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
    failed: impl Fn(std::io::Error) -> Error,
) -> Result<(), Error> {
    let mut buffered = std::io::BufWriter::with_capacity(1 << 16, file);
    match compression {
        Compression::None => write(&mut buffered)?,
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(&mut buffered, flate2::Compression::fast());
            write(&mut out)?;
            out.finish().map_err(&failed)?;
        }
        Compression::Zstd => {
            let mut out = zstd::stream::write::Encoder::new(&mut buffered, 1).map_err(&failed)?;
            write(&mut out)?;
            out.finish().map_err(&failed)?;
        }
    }
    buffered.flush().map_err(failed)
}

/// Puts all that goes into the archive beside the checkpoint.
fn gather(
    ctx: &Context,
    store: &Store,
    spec: &ContainerSpec,
    export: &Export,
    work: &Path,
) -> Result<(), Error> {
    let kept = checkpoints::read(&ctx.paths, &spec.id)?;
    let mut volumes = Vec::new();
    for name in spec.mounts.iter().filter(|m| m.kind == MountKind::Volume).filter_map(|m| m.name.as_deref()) {
        volumes.push(store.find_volume(name)?);
    }
    if !export.ignore_volumes {
        let folder = work.join(VOLUMES);
        crate::storage::paths::ensure_private(&folder)?;
        // What is mounted from elsewhere is there on the other machine, or it is not ours to bring.
        for volume in volumes.iter().filter(|v| v.options.is_empty()) {
            let root = File::open(&volume.mountpoint).map_err(|e| {
                Error::with_source(Kind::Internal, format!("opening volume {}", volume.name), e)
            })?;
            let mut file = create(&folder.join(format!("{}.tar", volume.name)))?;
            write_tar(root.as_fd(), &TarOptions::default(), &mut file)?;
        }
    }
    if !export.ignore_rootfs {
        root_changes(ctx, spec, work)?;
    }
    let config = json!({
        "id": spec.id,
        "name": spec.name,
        "rootfsImage": spec.root.image_name,
        "rootfsImageRef": spec.root.image_id,
        "rootfsImageName": spec.root.image_name,
        "runtime": "rcon",
        "createdTime": spec.created.to_string(),
        "checkpointedTime": kept.written.unwrap_or_else(jiff::Timestamp::now).to_string(),
    });
    json_file(&work.join("config.dump"), &config)?;
    json_file(&work.join("spec.dump"), &oci_spec(spec)?)?;
    json_file(&work.join("network.status"), &network_status(&kept.network))?;
    let document = Document { version: VERSION, spec: spec.clone(), network: kept.network, volumes };
    json_file(&work.join(DOCUMENT), &document)
}

fn create(path: &Path) -> Result<std::io::BufWriter<File>, Error> {
    let file = File::create(path)
        .map_err(|e| Error::with_source(Kind::Internal, format!("writing {}", path.display()), e))?;
    Ok(std::io::BufWriter::with_capacity(1 << 16, file))
}

fn json_file(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let failed = |e| Error::with_source(Kind::Internal, format!("writing {}", path.display()), e);
    let text = serde_json::to_vec(value).map_err(|e| failed(e.into()))?;
    std::fs::write(path, text).map_err(failed)
}

/// The writable layer as podman's two files.
fn root_changes(ctx: &Context, spec: &ContainerSpec, work: &Path) -> Result<(), Error> {
    let path = ctx.paths.upper(&spec.id);
    let upper = File::open(&path)
        .map_err(|e| Error::with_source(Kind::Internal, format!("opening {}", path.display()), e))?;
    let mut file = create(&work.join(ROOTFS_DIFF))?;
    write_tar(upper.as_fd(), &TarOptions::default(), &mut file)?;
    let lowers: Vec<PathBuf> = spec.root.layers.iter().rev().map(|l| ctx.paths.layer_diff(l)).collect();
    let changed = changes(upper.as_fd(), &lowers)?;
    let deleted: Vec<String> = changed
        .into_iter()
        .filter(|c| c.kind == ChangeKind::Deleted)
        .map(|c| c.path.to_string_lossy().into_owned())
        .collect();
    json_file(&work.join(DELETED), &deleted)
}

/// The container as an OCI spec, as far as it does not depend on a machine: for tools that look into archives.
fn oci_spec(spec: &ContainerSpec) -> Result<Value, Error> {
    let host = HostFacts {
        cgroups: Layout::None,
        rlimits: Vec::new(),
        raise_rlimits: true,
        capabilities: spec.process.capabilities.clone(),
        oom_score_adj: None,
        cpus: 0,
        apparmor: false,
        selinux: false,
    };
    let facts = ResolvedFacts { rootfs: PathBuf::from("/"), ..ResolvedFacts::default() };
    let failed = |e| Error::with_source(Kind::Internal, "describing the container", e);
    let built = oci::build(spec, &host, &facts)
        .map_err(|e| Error::with_source(Kind::Internal, "describing the container", e))?;
    let mut value = serde_json::to_value(built).map_err(failed)?;
    if !value["annotations"].is_object() {
        value["annotations"] = Value::Object(Map::new());
    }
    value["annotations"]["io.container.manager"] = "rcon".into();
    Ok(value)
}

/// As netavark tells it.
fn network_status(network: &[AttachmentState]) -> Value {
    let one = |a: &AttachmentState| {
        let v4 = a.ip.map(|(ip, prefix)| {
            json!({ "ipnet": format!("{ip}/{prefix}"), "gateway": a.gateway.map(|g| g.to_string()) })
        });
        let v6 = a.ip6.map(|(ip, prefix)| {
            json!({ "ipnet": format!("{ip}/{prefix}"), "gateway": a.gateway6.map(|g| g.to_string()) })
        });
        let subnets: Vec<Value> = v4.into_iter().chain(v6).collect();
        let interface = json!({ "subnets": subnets, "mac_address": a.mac });
        (a.network.clone(), json!({ "interfaces": { a.interface.clone(): interface } }))
    };
    Value::Object(network.iter().map(one).collect())
}

/// The folder as an archive.
fn pack(work: &Path, pre: bool, out: &mut dyn Write) -> Result<(), Error> {
    let folder = File::open(work)
        .map_err(|e| Error::with_source(Kind::Internal, format!("opening {}", work.display()), e))?;
    let other = if pre { "checkpoint" } else { "pre-checkpoint" };
    let exclude = [other, "dump.log", "restore.log", "stats-restore"].map(PathBuf::from).to_vec();
    write_tar(folder.as_fd(), &TarOptions { exclude, ..TarOptions::default() }, out)?;
    Ok(())
}
