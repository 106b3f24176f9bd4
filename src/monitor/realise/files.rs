//! The files that the engine puts into a container: /etc/hosts, /etc/hostname, /etc/resolv.conf, the time
//! zone, secrets. Written into the run directory (tmpfs) and bound from there.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::{Start, on_host};
use crate::model::container::{ContainerSpec, SecretUse};
use crate::model::id::ContainerId;
use crate::model::network::{DnsOptions, Network, NetworkModeSpec};
use crate::model::process::ProcessSpec;
use crate::monitor::notify::{self, Notify};
use crate::monitor::proto::{Failure, FailureKind};
use crate::net::hosts;
use crate::runtime::user::User;
use crate::storage::Paths;
use crate::sys::root::Root;
use crate::sys::{self, fd};

/// `(host path, path inside, read-only)`.
pub(super) type Files = Vec<(PathBuf, String, bool)>;

/// Largest file of an image that is read whole.
const LARGEST: usize = 1 << 20;

impl Start<'_> {
    /// Writes them all.
    pub(super) fn write_files(&mut self, root: &OwnedFd, user: &User) -> Result<Files, Failure> {
        let mut out = Files::new();
        if let NetworkModeSpec::Container(other) = &self.handoff.spec.network.mode {
            // It lives in the other's network and so sees the other's names.
            let dir = self.world.paths.run_container(other);
            for name in ["hosts", "hostname", "resolv.conf"] {
                let file = dir.join(name);
                if file.exists() {
                    out.push((file, format!("/etc/{name}"), false));
                }
            }
        } else {
            self.network_files(root, &mut out)?;
        }
        // With a read-only root these are no way to write, either.
        let read_only = self.handoff.spec.root.read_only;
        out.iter_mut().for_each(|file| file.2 = read_only);
        self.notify(&mut out)?;
        self.time_zone(root, &mut out)?;
        self.passwd(root, user)?;
        self.subscriptions(&mut out)?;
        self.secrets(&mut out)?;
        self.marks(root, &mut out)?;
        let process = &self.handoff.spec.process;
        if let Some(program) = process.init_path.as_ref().filter(|_| process.init) {
            out.push((program.into(), ProcessSpec::INIT.to_owned(), true));
        }
        // Whoever goes there by chroot(2) finds them, too.
        let all = out.clone();
        for dir in &self.handoff.spec.chroot_dirs {
            out.extend(all.iter().map(|(file, at, ro)| (file.clone(), format!("{dir}{at}"), *ro)));
        }
        Ok(out)
    }

    /// Secrets as files, each with the owner and mode asked for.
    fn secrets(&self, out: &mut Files) -> Result<(), Failure> {
        use std::os::unix::fs::PermissionsExt as _;
        for (n, secret) in self.handoff.spec.secrets.iter().enumerate() {
            let Some(target) = &secret.target else { continue };
            let step = || format!("preparing secret {}", secret.name);
            let value = secret_value(&self.world.paths, &self.world.id, secret)?;
            let path = self.put(&format!("secret-{n}"), &value)?;
            let mode = std::fs::Permissions::from_mode(secret.mode);
            let (uid, gid) = on_host(self.world.ids.as_ref(), secret.uid, secret.gid);
            std::os::unix::fs::chown(&path, Some(uid), Some(gid))
                .and_then(|()| std::fs::set_permissions(&path, mode))
                .map_err(|e| Failure::internal(step(), &e))?;
            out.push((path, target.clone(), false));
        }
        Ok(())
    }

    /// `--sdnotify`: the way to the service manager, and the container's end of it.
    fn notify(&mut self, out: &mut Files) -> Result<(), Failure> {
        let own = self.world.paths.run_container(&self.world.id).join("notify.sock");
        if self.world.notify.is_none() {
            let mode = self.handoff.spec.lifecycle.sdnotify.as_deref();
            self.world.notify = Notify::new(mode, self.handoff.notify_socket.as_deref(), &own)
                .map_err(|e| Failure::internal("preparing --sdnotify", &e))?;
        }
        if self.world.notify.as_ref().is_some_and(|n| n.fd().is_some()) {
            out.push((own, notify::INSIDE.to_owned(), false));
        }
        Ok(())
    }

    fn network_files(&mut self, root: &OwnedFd, out: &mut Files) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        let dns = &spec.network.dns;
        if !dns.no_hostname {
            let text = format!("{}\n", spec.hostname);
            out.push((self.put("hostname", text.as_bytes())?, "/etc/hostname".to_owned(), false));
        }
        if dns.no_hosts != Some(true) {
            let text = self.hosts_text(root)?;
            out.push((self.put("hosts", text.as_bytes())?, "/etc/hosts".to_owned(), false));
        }
        if dns.servers.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let host_network = matches!(spec.network.mode, NetworkModeSpec::Host | NetworkModeSpec::Path(_));
        let base = match &spec.network.mode {
            NetworkModeSpec::Path(path) => hosts::resolv_conf_of(path),
            _ => None,
        };
        let base = base.unwrap_or_else(hosts::host_resolv_conf);
        let resolver = hosts::resolv_conf(&base, dns, self.embedded_dns(), host_network);
        let confined = !self.handoff.networks.is_empty() && self.handoff.networks.iter().all(|n| n.internal);
        // A network without a way out must not leak questions either (rule R12).
        self.world.upstream = if confined {
            Vec::new()
        } else {
            network_servers(&spec.network.dns, &self.handoff.networks).unwrap_or(resolver.upstream)
        };
        let file = self.put("resolv.conf", resolver.text.as_bytes())?;
        out.push((file, "/etc/resolv.conf".to_owned(), false));
        Ok(())
    }

    /// Whether the container's names are answered by a responder of ours.
    pub(super) fn embedded_dns(&self) -> bool {
        self.handoff.spec.network.mode == NetworkModeSpec::Bridge
            && self.handoff.networks.iter().any(|n| n.dns_enabled)
    }

    fn hosts_text(&self, root: &OwnedFd) -> Result<String, Failure> {
        let spec = &self.handoff.spec;
        let base = self.hosts_base(root)?;
        let addresses: Vec<IpAddr> = self.world.addresses.iter().map(|(_, ip)| *ip).collect();
        let said = spec.network.dns.host_ip.as_deref();
        let gateway = match spec.network.mode {
            _ if said == Some("none") => None,
            _ if said.is_some() => said.and_then(|text| text.parse().ok()),
            // In the host's own network the host is here.
            NetworkModeSpec::Host => Some(IpAddr::from([127, 0, 0, 1])),
            _ => self.handoff.networks.iter().flat_map(|n| &n.subnets).find_map(|s| s.gateway),
        };
        let mut extra = spec.network.dns.hosts.clone();
        extra.extend(self.handoff.extra_hosts.iter().cloned());
        extra.extend(self.link_hosts()?);
        Ok(hosts::hosts_file(&hosts::Hosts {
            hostname: &spec.hostname,
            domainname: &spec.domainname,
            name: &spec.name,
            addresses: &addresses,
            gateway,
            extra: &extra,
            base: base.as_deref(),
            ipv6: self.has_ipv6(),
        }))
    }

    /// Whether loopback has ::1: the kernel may lack IPv6, or a sysctl of the container's switches it off.
    fn has_ipv6(&self) -> bool {
        let off = |(key, value): &(String, String)| {
            let keys = ["net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.lo.disable_ipv6"];
            keys.contains(&key.as_str()) && value == "1"
        };
        Path::new("/proc/net/if_inet6").exists() && !self.handoff.spec.sysctls.iter().any(off)
    }

    /// `--hosts-file`: a host path, `image`, or `none`; with the host's network the host's own.
    fn hosts_base(&self, root: &OwnedFd) -> Result<Option<String>, Failure> {
        let step = "reading the base of /etc/hosts";
        let spec = &self.handoff.spec;
        let wanted = match spec.network.dns.hosts_file.as_deref() {
            None | Some("") if spec.network.mode == NetworkModeSpec::Host => "/etc/hosts",
            None | Some("" | "none") => return Ok(None),
            Some(text) => text,
        };
        let bytes = if wanted == "image" {
            let image = Root::new(fd::dup(root, 3).map_err(|e| Failure::internal(step, &e))?);
            image.read_regular(Path::new("/etc/hosts"), LARGEST).map_err(|e| Failure::internal(step, &e))?
        } else {
            match fd::read_file(Path::new(wanted)) {
                Ok(bytes) => Some(bytes),
                Err(e) if e.is(libc::ENOENT) && wanted == "/etc/hosts" => None,
                Err(e) => return Err(Failure::of(FailureKind::NotFound, format!("reading {wanted}"), &e)),
            }
        };
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    }

    /// `--tz`: the zone's file of the host, where the container has an /etc to show it in.
    fn time_zone(&self, root: &OwnedFd, out: &mut Files) -> Result<(), Failure> {
        let Some(zone) = self.handoff.spec.timezone.as_deref().filter(|z| !z.is_empty()) else {
            return Ok(());
        };
        let path = if zone == "local" {
            PathBuf::from("/etc/localtime")
        } else {
            let bad = zone.split('/').any(|part| part.is_empty() || part == "." || part == "..");
            if bad {
                let text = format!("invalid time zone {zone:?}");
                return Err(Failure::plain(FailureKind::Invalid, text));
            }
            Path::new("/usr/share/zoneinfo").join(zone)
        };
        let image = Root::new(fd::dup(root, 3).map_err(|e| Failure::internal("opening the root", &e))?);
        // An image that has the zone itself names it, as at every start of this container. What the user brought as the
        // root is left as it is.
        let own = !self.handoff.spec.root.is_lent() && zone != "local";
        if own && image.resolve(&path).is_ok() && link_zone(&image, zone).is_ok() {
            return Ok(());
        }
        let text = fd::read_file(&path).map_err(|e| {
            Failure::of(FailureKind::NotFound, format!("reading time zone {zone}"), &e)
                .hint("install the package tzdata on the host, or name a zone such as Europe/Berlin")
        })?;
        if image.open_dir(Path::new("/etc")).is_ok() {
            out.push((self.put("localtime", &text)?, "/etc/localtime".to_owned(), false));
        }
        Ok(())
    }

    /// Writes a file of the run directory, readable by everyone inside.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.world.paths.run_container(&self.world.id).join(name);
        // The inode stays the same over restarts; the umask of the monitor is 022.
        std::fs::write(&path, content)
            .and_then(|()| match &self.world.ids {
                None => Ok(()),
                // Root of the container may write it, as it may without a user namespace.
                ids => {
                    let (uid, gid) = on_host(ids.as_ref(), 0, 0);
                    std::os::unix::fs::chown(&path, Some(uid), Some(gid))
                }
            })
            .map_err(|e| Failure::internal(format!("writing {}", path.display()), &e))?;
        Ok(path)
    }
}

/// The container's copy of a secret.
fn secret_value(paths: &Paths, id: &ContainerId, secret: &SecretUse) -> Result<Vec<u8>, Failure> {
    fd::read_file(&paths.container_secret(id, &secret.id))
        .map_err(|e| Failure::internal(format!("reading secret {}", secret.name), &e))
}

/// Secrets that are variables of the environment, `NAME=value`.
pub(in crate::monitor) fn secret_variables(
    paths: &Paths,
    spec: &ContainerSpec,
) -> Result<Vec<String>, Failure> {
    let mut out = Vec::new();
    for secret in &spec.secrets {
        let Some(name) = &secret.env else { continue };
        let value = secret_value(paths, &spec.id, secret)?;
        out.push(format!("{name}={}", String::from_utf8_lossy(&value)));
    }
    Ok(out)
}

/// Name servers of the networks, where the container names none itself.
pub(in crate::monitor) fn network_servers(dns: &DnsOptions, networks: &[Network]) -> Option<Vec<IpAddr>> {
    if dns.servers.as_ref().is_some_and(|own| !own.is_empty()) {
        return None;
    }
    let all: Vec<IpAddr> = networks.iter().flat_map(|n| n.dns_servers.iter().copied()).collect();
    (!all.is_empty()).then_some(all)
}

/// Makes `/etc/localtime` the link that names a zone.
fn link_zone(image: &Root, zone: &str) -> sys::Result<()> {
    let link = Path::new("/etc/localtime");
    let target = Path::new("../usr/share/zoneinfo").join(zone);
    if image.read_link(link).is_ok_and(|now| now == target) {
        return Ok(());
    }
    match image.unlink(link) {
        Err(e) if !e.is(libc::ENOENT) => return Err(e),
        _ => {}
    }
    image.symlink(&target, link)
}
