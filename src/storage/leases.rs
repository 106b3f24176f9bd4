//! Leases of addresses and ports, on tmpfs: `<run>/leases/net/<network>/<ip>` and
//! `<run>/leases/ports/<proto>-<ip>-<port>`.
//!
//! A lease is a symbolic link whose target is its text: made with its content in one system call that fails
//! when the name exists, so there is no lock and no half-written lease. The text is three lines: container id, name,
//! aliases separated by blanks (and a fourth, the MAC address, where known). A lease whose container's run lock is
//! free is garbage and is taken over. Hold the container's [`super::volatile::RunDir`] before you take one.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::error::{Error, Result};
use super::lock::FileLock;
use super::paths::{Paths, ensure_private};
use super::volatile::monitor_alive;
use crate::model::id::ContainerId;
use crate::model::network::Protocol;

/// Link of a network's directory that remembers the address given last, so that addresses go round and are not
/// given again at once (stale ARP and connection tracking entries of the former owner).
const LAST: &str = ".last";

/// Lock file of who replaces dead leases in a directory.
const TAKEOVER: &str = ".takeover";

/// Longest text of a link on tmpfs.
const MAX_TEXT: usize = 4000;

/// Who has an address, and what DNS answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Container.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Further names on this network.
    pub aliases: Vec<String>,
    /// MAC address, if known.
    pub mac: Option<String>,
}

impl Lease {
    fn to_text(&self) -> String {
        let mac = self.mac.as_deref().unwrap_or_default();
        let mut text = format!("{}\n{}\n{}\n{mac}", self.id, self.name, self.aliases.join(" "));
        if text.len() > MAX_TEXT {
            // Names beyond what a link holds cannot be answered for; keep the ones that fit.
            let mut aliases = self.aliases.clone();
            while text.len() > MAX_TEXT && aliases.pop().is_some() {
                text = format!("{}\n{}\n{}\n{mac}", self.id, self.name, aliases.join(" "));
            }
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let id = lines.next()?.parse().ok()?;
        let name = lines.next().unwrap_or_default().to_owned();
        let aliases = lines.next().unwrap_or_default().split(' ').filter(|a| !a.is_empty());
        let aliases = aliases.map(str::to_owned).collect();
        let mac = lines.next().filter(|m| !m.is_empty()).map(str::to_owned);
        Some(Self { id, name, aliases, mac })
    }
}

/// Takes `ip` on `network` for `lease.id`. `Ok(false)`: a living container has it, try the next.
///
/// # Errors
/// What the kernel says.
pub fn take_address(paths: &Paths, network: &str, ip: IpAddr, lease: &Lease) -> Result<bool> {
    let dir = paths.leases(network);
    Ok(take(paths, &dir, &ip.to_string(), &lease.id, &lease.to_text())?.is_none())
}

/// Takes the first free one of `candidates` and remembers it as the last given. `None`: all are taken.
///
/// # Errors
/// What the kernel says.
pub fn take_first_address(
    paths: &Paths,
    network: &str,
    candidates: impl IntoIterator<Item = IpAddr>,
    lease: &Lease,
) -> Result<Option<IpAddr>> {
    for ip in candidates {
        if take_address(paths, network, ip, lease)? {
            remember_last(paths, network, ip);
            return Ok(Some(ip));
        }
    }
    Ok(None)
}

/// Gives the leases of a container on a network another name.
///
/// # Errors
/// What the kernel says.
pub fn rename(paths: &Paths, network: &str, id: &ContainerId, name: &str) -> Result<()> {
    let dir = paths.leases(network);
    for (ip, lease) in find_addresses(paths, network, |lease| lease.id == *id)? {
        let text = Lease { name: name.to_owned(), ..lease }.to_text();
        let (path, new) = (dir.join(ip.to_string()), dir.join(format!(".new-{}", std::process::id())));
        rustix::fs::symlink(text, &new).map_err(|e| Error::io("make lease", &new, e))?;
        std::fs::rename(&new, &path).map_err(|e| Error::io("rename lease", &path, e))?;
    }
    Ok(())
}

/// The address that was given last on a network, IPv4 or IPv6: where the search for the next begins.
#[must_use]
pub fn last_address(paths: &Paths, network: &str, v6: bool) -> Option<IpAddr> {
    read_link(&paths.leases(network).join(last_name(v6)))?.parse().ok()
}

fn last_name(v6: bool) -> String {
    format!("{LAST}{}", if v6 { 6 } else { 4 })
}

/// A hint only: losing a race for it, or failing, changes nothing but the order of search.
fn remember_last(paths: &Paths, network: &str, ip: IpAddr) {
    let dir = paths.leases(network);
    let new = dir.join(format!(".new-{}", std::process::id()));
    if rustix::fs::symlink(ip.to_string(), &new).is_ok() {
        let _ = std::fs::rename(&new, dir.join(last_name(ip.is_ipv6())));
    }
}

/// All leases of a network whose containers live.
///
/// # Errors
/// What the kernel says.
pub fn list_addresses(paths: &Paths, network: &str) -> Result<Vec<(IpAddr, Lease)>> {
    find_addresses(paths, network, |_| true)
}

/// The leases of a network that `wanted` picks and whose containers live (asked last: it costs a lock).
///
/// # Errors
/// What the kernel says.
pub fn find_addresses(
    paths: &Paths,
    network: &str,
    wanted: impl Fn(&Lease) -> bool,
) -> Result<Vec<(IpAddr, Lease)>> {
    let dir = paths.leases(network);
    let mut found = Vec::new();
    for name in file_names(&dir)? {
        let Ok(ip) = name.parse::<IpAddr>() else { continue };
        let Some(lease) = read_link(&dir.join(&name)).as_deref().and_then(Lease::parse) else { continue };
        if wanted(&lease) && monitor_alive(paths, &lease.id) {
            found.push((ip, lease));
        }
    }
    found.sort_by_key(|(ip, _)| *ip);
    Ok(found)
}

/// Who holds an address, if the holder lives.
///
/// # Errors
/// What the kernel says.
pub fn address_holder(paths: &Paths, network: &str, ip: IpAddr) -> Result<Option<Lease>> {
    let lease = read_link(&paths.leases(network).join(ip.to_string())).as_deref().and_then(Lease::parse);
    Ok(lease.filter(|l| monitor_alive(paths, &l.id)))
}

/// Lets an address go, if `id` has it.
///
/// # Errors
/// What the kernel says.
pub fn release_address(paths: &Paths, network: &str, ip: IpAddr, id: &ContainerId) -> Result<()> {
    release(&paths.leases(network).join(ip.to_string()), id)
}

/// Takes a host port. `ip` unspecified is every address (conflicts between every address and a single one are
/// found by the bound socket, not here).
///
/// # Errors
/// [`Error::Leased`] names the living holder.
pub fn take_port(paths: &Paths, protocol: Protocol, ip: IpAddr, port: u16, id: &ContainerId) -> Result<()> {
    match take(paths, &paths.port_leases(), &port_name(protocol, ip, port), id, id.as_str())? {
        None => Ok(()),
        Some(holder) => Err(Error::Leased { what: format!("port {port}/{}", word(protocol)), holder }),
    }
}

/// The living container that holds a port, on this address or on every address.
///
/// # Errors
/// What the kernel says.
pub fn port_holder(paths: &Paths, protocol: Protocol, ip: IpAddr, port: u16) -> Result<Option<ContainerId>> {
    let prefix = format!("{}-", word(protocol));
    let suffix = format!("-{port}");
    let dir = paths.port_leases();
    for name in file_names(&dir)? {
        let Some(middle) = name.strip_prefix(&prefix).and_then(|n| n.strip_suffix(&suffix)) else { continue };
        let Ok(at) = middle.parse::<IpAddr>() else { continue };
        if at != ip && !at.is_unspecified() && !ip.is_unspecified() {
            continue;
        }
        let holder = read_link(&dir.join(&name)).as_deref().and_then(Lease::parse).map(|l| l.id);
        if let Some(id) = holder.filter(|id| monitor_alive(paths, id)) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Lets a port go, if `id` has it.
///
/// # Errors
/// What the kernel says.
pub fn release_port(
    paths: &Paths,
    protocol: Protocol,
    ip: IpAddr,
    port: u16,
    id: &ContainerId,
) -> Result<()> {
    release(&paths.port_leases().join(port_name(protocol, ip, port)), id)
}

/// Lets everything go that `id` holds (a sweep, for containers whose monitor died).
///
/// # Errors
/// What the kernel says.
pub fn release_all(paths: &Paths, id: &ContainerId) -> Result<()> {
    for dir in lease_dirs(paths)? {
        for name in file_names(&dir)? {
            release(&dir.join(name), id)?;
        }
    }
    Ok(())
}

/// Deletes leases whose containers do not run; returns how many.
///
/// # Errors
/// What the kernel says.
pub fn sweep(paths: &Paths) -> Result<u64> {
    let mut count = 0;
    for dir in lease_dirs(paths)? {
        let names = file_names(&dir)?;
        if names.is_empty() {
            continue;
        }
        let guard = FileLock::acquire(&dir.join(TAKEOVER))?;
        for name in names.iter().filter(|n| !n.starts_with('.')) {
            let path = dir.join(name);
            let holder = read_link(&path).as_deref().and_then(Lease::parse);
            if holder.is_some_and(|l| !monitor_alive(paths, &l.id)) {
                match rustix::fs::unlink(&path) {
                    Ok(()) => count += 1,
                    Err(Errno::NOENT) => {}
                    Err(e) => return Err(Error::io("delete lease", path, e)),
                }
            }
        }
        drop(guard);
    }
    Ok(count)
}

/// Every directory that has leases.
fn lease_dirs(paths: &Paths) -> Result<Vec<PathBuf>> {
    let nets = paths.run.join("leases").join("net");
    let mut dirs: Vec<PathBuf> = file_names(&nets)?.into_iter().map(|n| nets.join(n)).collect();
    dirs.push(paths.port_leases());
    Ok(dirs)
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

fn port_name(protocol: Protocol, ip: IpAddr, port: u16) -> String {
    format!("{}-{ip}-{port}", word(protocol))
}

/// Makes the lease `name`; `Some` is the living holder that has it.
fn take(paths: &Paths, dir: &Path, name: &str, id: &ContainerId, text: &str) -> Result<Option<ContainerId>> {
    let path = dir.join(name);
    match rustix::fs::symlinkat(text, CWD, &path) {
        Ok(()) => return Ok(None),
        Err(Errno::EXIST) => {}
        Err(Errno::NOENT) => {
            ensure_private(dir)?;
            match rustix::fs::symlinkat(text, CWD, &path) {
                Ok(()) => return Ok(None),
                Err(Errno::EXIST) => {}
                Err(e) => return Err(Error::io("make lease", path, e)),
            }
        }
        Err(e) => return Err(Error::io("make lease", path, e)),
    }
    match living_holder(paths, &path, id) {
        Some(holder) => Ok(Some(holder)),
        None => take_over(paths, dir, &path, id, text),
    }
}

/// Who holds the lease, unless it is `me`, dead, or unreadable.
fn living_holder(paths: &Paths, path: &Path, me: &ContainerId) -> Option<ContainerId> {
    let holder = read_link(path).as_deref().and_then(Lease::parse)?.id;
    (holder != *me && monitor_alive(paths, &holder)).then_some(holder)
}

/// Replaces a dead lease. Under a lock, so that two takers do not each remove the other's new one.
fn take_over(
    paths: &Paths,
    dir: &Path,
    path: &Path,
    id: &ContainerId,
    text: &str,
) -> Result<Option<ContainerId>> {
    let _guard = FileLock::acquire(&dir.join(TAKEOVER))?;
    if let Some(holder) = living_holder(paths, path, id) {
        return Ok(Some(holder));
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(e) => return Err(Error::io("delete lease", path, e)),
    }
    match rustix::fs::symlinkat(text, CWD, path) {
        Ok(()) => Ok(None),
        // Someone took it the quick way between the two calls.
        Err(Errno::EXIST) => Ok(living_holder(paths, path, id)),
        Err(e) => Err(Error::io("make lease", path, e)),
    }
}

fn release(path: &Path, id: &ContainerId) -> Result<()> {
    let ours = read_link(path).as_deref().and_then(Lease::parse).is_some_and(|l| l.id == *id);
    if !ours {
        return Ok(());
    }
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(Error::io("delete lease", path, e)),
    }
}

fn read_link(path: &Path) -> Option<String> {
    let text = rustix::fs::readlink(path, Vec::new()).ok()?;
    text.into_string().ok()
}

/// Names in a directory; none when there is no directory.
fn file_names(dir: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io("list", dir, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("list", dir, e))?;
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::volatile::RunDir;

    fn lease(id: &ContainerId) -> Lease {
        Lease { id: id.clone(), name: "web".into(), aliases: vec!["a".into(), "b".into()], mac: None }
    }

    #[test]
    fn living_holder_keeps_it_dead_one_loses_it() {
        let dir = crate::storage::testing::scratch("leases");
        let paths = dir.paths();
        let (a, b) = (ContainerId::from_bytes([1; 32]), ContainerId::from_bytes([2; 32]));
        let run_a = RunDir::acquire(&paths, &a).expect("run");
        let _run_b = RunDir::acquire(&paths, &b).expect("run");
        let ip: IpAddr = "10.88.0.2".parse().expect("ip");
        assert!(take_address(&paths, "bridge", ip, &lease(&a)).expect("take"));
        assert!(!take_address(&paths, "bridge", ip, &lease(&b)).expect("take"));
        assert_eq!(list_addresses(&paths, "bridge").expect("list"), vec![(ip, lease(&a))]);
        drop(run_a);
        assert_eq!(list_addresses(&paths, "bridge").expect("list"), vec![]);
        assert!(take_address(&paths, "bridge", ip, &lease(&b)).expect("take over"));
        release_address(&paths, "bridge", ip, &a).expect("not ours: nothing happens");
        assert_eq!(address_holder(&paths, "bridge", ip).expect("holder"), Some(lease(&b)));
        let next: IpAddr = "10.88.0.3".parse().expect("ip");
        assert_eq!(take_first_address(&paths, "bridge", [ip, next], &lease(&b)).expect("first"), Some(ip));
        assert_eq!(last_address(&paths, "bridge", false), Some(ip));
        release_all(&paths, &b).expect("release");
        assert_eq!(address_holder(&paths, "bridge", ip).expect("holder"), None);
    }

    #[test]
    fn ports_conflict_by_holder() {
        let dir = crate::storage::testing::scratch("ports");
        let paths = dir.paths();
        let (a, b) = (ContainerId::from_bytes([1; 32]), ContainerId::from_bytes([2; 32]));
        let _run = RunDir::acquire(&paths, &a).expect("run");
        let any: IpAddr = "0.0.0.0".parse().expect("ip");
        let one: IpAddr = "127.0.0.1".parse().expect("ip");
        take_port(&paths, Protocol::Tcp, any, 80, &a).expect("take");
        let refused = take_port(&paths, Protocol::Tcp, any, 80, &b).expect_err("held");
        assert!(matches!(refused, Error::Leased { holder, .. } if holder == a));
        assert_eq!(port_holder(&paths, Protocol::Tcp, one, 80).expect("holder"), Some(a.clone()));
        assert_eq!(port_holder(&paths, Protocol::Udp, one, 80).expect("holder"), None);
        release_port(&paths, Protocol::Tcp, any, 80, &a).expect("release");
        assert_eq!(port_holder(&paths, Protocol::Tcp, one, 80).expect("holder"), None);
    }
}
