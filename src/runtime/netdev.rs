//! Network devices: those of the host that the spec moves into the container's network namespace, and `lo` of a
//! new one. Making devices is not the runtime's matter.

use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use oci_spec::runtime::Linux;

use super::Error;
use super::plan::namespaces::NamespacePlan;
use super::sync::{Failure, Kind, Step};
use crate::sys::netlink::{self, Batch, Family, Socket};
use crate::sys::ns;
use crate::sys::rtnl::{self, Change, Which};

const LOOPBACK: i32 = 1;
/// With its end, the most that the kernel takes.
const IFNAMSIZ: usize = 16;

/// A device to move.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NetDevice {
    /// Its name on the host.
    name: String,
    /// Its name in the container.
    inside: String,
}

/// The devices of the spec, in the order of their names.
pub(crate) fn plan(linux: &Linux, namespaces: &NamespacePlan) -> Result<Vec<NetDevice>, Error> {
    let Some(given) = linux.net_devices().as_ref().filter(|g| !g.is_empty()) else { return Ok(Vec::new()) };
    if !namespaces.is_private(ns::Kind::Net) {
        return Err(Error::spec("linux.netDevices", "needs a network namespace that is not the host's"));
    }
    let mut out = Vec::with_capacity(given.len());
    for (name, device) in given {
        let inside = device.name().clone().filter(|n| !n.is_empty()).unwrap_or_else(|| name.clone());
        for one in [name, &inside] {
            if !is_name(one) {
                return Err(Error::spec(
                    format!("linux.netDevices[{name}]"),
                    format!("invalid network device name {one:?}"),
                ));
            }
        }
        out.push(NetDevice { name: name.clone(), inside });
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(pair) = out.iter().enumerate().find(|(i, d)| out[..*i].iter().any(|o| o.inside == d.inside)) {
        return Err(Error::spec(
            "linux.netDevices",
            format!("two devices are to be called {:?}", pair.1.inside),
        ));
    }
    Ok(out)
}

/// The kernel's own rule; and no `%`, by which it would choose a number.
fn is_name(name: &str) -> bool {
    let forbidden = |c: char| matches!(c, '/' | ':' | '%') || c.is_whitespace();
    !name.is_empty() && name.len() < IFNAMSIZ && name != "." && name != ".." && !name.contains(forbidden)
}

/// Moves them into the namespace of the container's process, or the one that it joins. Their addresses of global
/// scope go with them, and they are up there; the kernel keeps their hardware address and MTU.
pub(crate) fn move_all(devices: &[NetDevice], pid: i32, namespaces: &NamespacePlan) -> Result<(), Error> {
    if devices.is_empty() {
        return Ok(());
    }
    let joined = namespaces.joined.iter().find(|(kind, _)| *kind == ns::Kind::Net);
    let netns = match joined {
        Some((_, file)) => crate::sys::fd::dup(file, 3)?,
        None => ns::open_of(pid, ns::Kind::Net)?,
    };
    let mut host = rtnl::open().map_err(|e| failed("", &e))?;
    let mut inside = Socket::open_in(netns.as_fd(), Family::Route).map_err(|e| failed("", &e))?;
    for device in devices {
        move_one(device, &netns, &mut host, &mut inside)?;
    }
    Ok(())
}

fn move_one(device: &NetDevice, netns: &OwnedFd, host: &mut Socket, there: &mut Socket) -> Result<(), Error> {
    let wrong = |e: netlink::Error| failed(&device.name, &e);
    let link = rtnl::link(host, &device.name).map_err(wrong)?;
    let Some(link) = link else {
        return Err(Error::spec(
            format!("linux.netDevices[{}]", device.name),
            "the host has no such network device",
        ));
    };
    // The kernel would move it first, and then find that it cannot give it the name.
    if rtnl::link(there, &device.inside).map_err(wrong)?.is_some() {
        let why = format!("the network namespace has a device {:?} already", device.inside);
        return Err(Error::spec(format!("linux.netDevices[{}]", device.name), why));
    }
    let addresses: Vec<(IpAddr, u8)> = rtnl::lasting_addresses(host, link.index).map_err(wrong)?;
    let mut batch = Batch::new();
    rtnl::move_link(&mut batch, link.index, &device.name, netns.as_fd(), &device.inside);
    host.run(batch).map_err(wrong)?;
    let link = rtnl::link(there, &device.inside).map_err(wrong)?;
    let index = link.map(|l| l.index).ok_or_else(|| {
        Error::spec(format!("linux.netDevices[{}]", device.name), "it vanished while it was moved")
    })?;
    let mut batch = Batch::new();
    for (ip, prefix) in addresses {
        rtnl::add_address(&mut batch, index, ip, prefix);
    }
    rtnl::change_link(&mut batch, Which::Index(index), Change { up: true, ..Change::default() });
    there.run(batch).map(drop).map_err(wrong)
}

fn failed(name: &str, e: &netlink::Error) -> Error {
    Error::spec(format!("linux.netDevices[{name}]"), e.to_string())
}

/// Brings `lo` of the namespace that we are in up: one that is new has it down, and programs rely on it.
pub(crate) fn loopback_up() -> Step<()> {
    let mut batch = Batch::new();
    rtnl::change_link(&mut batch, Which::Index(LOOPBACK), Change { up: true, ..Change::default() });
    let done = rtnl::open().and_then(|mut socket| socket.run(batch));
    done.map(drop).map_err(|e| Failure {
        kind: Kind::Step,
        what: "bringing lo up".into(),
        why: e.to_string(),
        errno: e.errno(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        for good in ["eth0", "veth-a.1", "wan@x", "fifteen-bytes-0"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "eth%d", "sixteen-bytes-00"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
