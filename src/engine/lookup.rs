//! Looking things up for a verb: images and networks by what the user typed, and [`StoreWorld`], through which
//! a resolution asks what exists.

use std::cell::RefCell;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::{Error, Kind};
use super::progress::Progress;
use super::resolve::{Neighbour, PathKind, World};
use crate::model::create::CreateOptions;
use crate::model::digest::ChainId;
use crate::model::image::Image;
use crate::model::namespace::NsMode;
use crate::model::network::{Network, NetworkModeSpec, Protocol};
use crate::model::volume::Volume;
use crate::storage::Store;
use crate::sys::root::Root;

/// An image of the store.
pub(crate) fn image(ctx: &Context, store: &Store, name: &str) -> Result<Image, Error> {
    super::images::find(ctx, store, name)
}

/// The image of a new container, pulled by its policy.
pub(crate) fn ensure_image(
    ctx: &Context,
    store: &Store,
    options: &CreateOptions,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let CreateOptions { image, platform, pull, registry, .. } = options;
    let wanted =
        super::images::WantedImage { name: image, platform: platform.as_deref(), policy: *pull, registry };
    super::images::ensure(ctx, store, &wanted, progress)
}

/// A network; the default one is made when it is not there yet.
pub(crate) fn network(ctx: &Context, store: &Store, name: &str) -> Result<Network, Error> {
    super::networks::find(ctx, store, name)
}

/// What exists, by the store and the host's file system.
pub(crate) struct StoreWorld<'a> {
    ctx: &'a Context,
    store: &'a Store,
    networks: RefCell<Vec<Network>>,
}

impl<'a> StoreWorld<'a> {
    pub(crate) fn new(ctx: &'a Context, store: &'a Store) -> Self {
        Self { ctx, store, networks: RefCell::default() }
    }

    /// The networks that the resolution asked for: a start right after it needs them again.
    pub(crate) fn into_networks(self) -> Vec<Network> {
        self.networks.into_inner()
    }
}

impl World for StoreWorld<'_> {
    fn container(&self, name: &str) -> Result<Neighbour, Error> {
        let row = self.store.find_container(name)?;
        let spec = self.store.spec(&row.id)?;
        let private_ipc = matches!(spec.options.namespaces.ipc, Some(NsMode::Private | NsMode::None));
        Ok(Neighbour {
            id: spec.id,
            name: spec.name,
            hostname: spec.hostname,
            private_ipc,
            mounts: spec.mounts,
            exposed: spec.network.exposed,
            env: spec.process.env,
            host_network: spec.network.mode == NetworkModeSpec::Host,
            joined: match &spec.network.mode {
                NetworkModeSpec::Container(id) => Some(id.clone()),
                _ => None,
            },
            networks: spec.network.attachments.into_iter().map(|a| a.network).collect(),
        })
    }

    fn network(&self, name: &str) -> Result<Network, Error> {
        let network = network(self.ctx, self.store, name)?;
        let mut asked = self.networks.borrow_mut();
        if !asked.contains(&network) {
            asked.push(network.clone());
        }
        Ok(network)
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>, Error> {
        match self.store.find_volume(name) {
            Ok(volume) if volume.name == name => Ok(Some(volume)),
            Ok(_) => Ok(None),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    fn volume_path(&self, name: &str) -> PathBuf {
        self.ctx.paths.volume_data(name)
    }

    fn image(&self, name: &str) -> Result<Image, Error> {
        image(self.ctx, self.store, name)
    }

    fn secret(&self, name: &str) -> Result<(String, String), Error> {
        let secret = self.store.find_secret(name)?;
        Ok((secret.id, secret.name))
    }

    fn sub_ids(&self, file: &str, user: &str) -> Result<Vec<(u32, u32)>, Error> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Error::with_source(Kind::Invalid, format!("reading {file}"), e)),
        };
        Ok(text.lines().filter_map(|line| sub_id(line, user)).collect())
    }

    fn mapped_ids(&self) -> Result<Vec<(u32, u32)>, Error> {
        Ok(crate::storage::host_ids::all(&self.ctx.paths)?)
    }

    fn highest_id(&self, layers: &[ChainId]) -> u32 {
        ["etc/passwd", "etc/group"].iter().map(|file| self.highest_in(layers, file)).max().unwrap_or(0)
    }

    fn host_user(&self, name: &str) -> Result<Option<String>, Error> {
        let text = std::fs::read_to_string("/etc/passwd")
            .map_err(|e| Error::with_source(Kind::Invalid, "reading /etc/passwd", e))?;
        let fits = |line: &&str| {
            let mut fields = line.split(':');
            fields.next() == Some(name) || fields.nth(1) == Some(name)
        };
        Ok(text.lines().find(fits).map(str::to_owned))
    }

    fn free_port(&self, ip: IpAddr, protocol: Protocol) -> Option<u16> {
        let address = match protocol {
            Protocol::Tcp => std::net::TcpListener::bind((ip, 0)).and_then(|s| s.local_addr()),
            Protocol::Udp | Protocol::Sctp => std::net::UdpSocket::bind((ip, 0)).and_then(|s| s.local_addr()),
        };
        address.ok().map(|a| a.port())
    }

    fn path(&self, path: &Path) -> PathKind {
        match std::fs::metadata(path) {
            Ok(m) if m.is_dir() => PathKind::Directory,
            Ok(_) => PathKind::File,
            Err(_) => PathKind::Missing,
        }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        glob(pattern)
    }

    fn cwd(&self) -> PathBuf {
        std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
    }

    fn random_name(&self) -> String {
        super::random::id().as_str().to_owned()
    }

    fn hostname(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }
}

/// A line `USER:FIRST:COUNT`; a user's number may stand for its name.
fn sub_id(line: &str, user: &str) -> Option<(u32, u32)> {
    let mut fields = line.trim().split(':');
    let (name, first, count) = (fields.next()?, fields.next()?, fields.next()?);
    let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
    (name == user && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
}

impl StoreWorld<'_> {
    /// The highest id that a file like /etc/passwd of an image names: the topmost layer that has it counts.
    fn highest_in(&self, layers: &[ChainId], file: &str) -> u32 {
        const LARGEST: usize = 4 << 20;
        let read = |layer: &ChainId| {
            let root = Root::open_host(&self.ctx.paths.layer_diff(layer)).ok()?;
            root.read_regular(Path::new(file), LARGEST).ok().flatten()
        };
        let Some(bytes) = layers.iter().rev().find_map(read) else { return 0 };
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().filter(|l| !l.starts_with("nobody:") && !l.starts_with("nogroup:"));
        let ids = lines.flat_map(|l| l.split(':').skip(2).take(2).filter_map(|n| n.parse::<u32>().ok()));
        ids.max().unwrap_or(0)
    }
}

/// Expands a glob component by component, so that only matching directories are read.
fn glob(pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        let matcher = globset::GlobBuilder::new(part).literal_separator(true).build().ok();
        let matcher = matcher.map(|g| g.compile_matcher());
        for base in found {
            if !part.contains(['*', '?', '[', '{']) {
                let path = base.join(part);
                if path.symlink_metadata().is_ok() {
                    next.push(path);
                }
                continue;
            }
            let Ok(entries) = std::fs::read_dir(&base) else { continue };
            next.extend(entries.flatten().map(|e| e.file_name()).filter_map(|name| {
                matcher.as_ref().is_some_and(|m| m.is_match(&name)).then(|| base.join(name))
            }));
        }
        found = next;
    }
    found.sort();
    found
}
