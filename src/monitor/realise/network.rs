//! What the network of a container needs before and after its process is there: leases of addresses, ports
//! reserved by bound sockets, the namespace, the kernel's side.

use std::net::IpAddr;
use std::os::fd::AsFd;

use super::{Start, World};
use crate::model::namespace::UserNsMode;
use crate::model::network::{AttachmentSpec, Network, NetworkModeSpec, Subnet};
use crate::monitor::proto::{Failure, FailureKind};
use crate::net;
use crate::storage::leases::{self, Lease};
use crate::sys::ns;

/// Whether the container has a network namespace of its own.
pub(super) fn owns_namespace(mode: &NetworkModeSpec) -> bool {
    matches!(mode, NetworkModeSpec::Bridge | NetworkModeSpec::None)
}

impl Start<'_> {
    /// Leases addresses and reserves host ports. Kept over restarts.
    pub(super) fn lease(&mut self) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        if spec.network.mode != NetworkModeSpec::Bridge || self.world.netns.is_some() {
            return Ok(());
        }
        if !spec.network.attachments.is_empty() {
            self.undo.push("releasing addresses", |world| {
                let mut troubles = Vec::new();
                for (network, ip) in world.addresses.drain(..) {
                    if let Err(e) = leases::release_address(&world.paths, &network, ip, &world.id) {
                        troubles.push(e.to_string());
                    }
                }
                if troubles.is_empty() { Ok(()) } else { Err(troubles.join(", ")) }
            });
        }
        for attachment in &spec.network.attachments {
            let network = self.network(attachment)?.clone();
            for ip in attachment.ip.map(IpAddr::V4).into_iter().chain(attachment.ip6.map(IpAddr::V6)) {
                net::ipam::check_within(&network, ip)
                    .map_err(|e| self.advised(Failure::plain(FailureKind::Invalid, e.to_string())))?;
            }
            for subnet in &network.subnets {
                let fixed = match subnet.address {
                    IpAddr::V4(_) => attachment.ip.map(IpAddr::V4),
                    IpAddr::V6(_) => attachment.ip6.map(IpAddr::V6),
                };
                let ip = self.lease_one(&network, subnet, fixed, attachment);
                let ip = ip.map_err(|failure| self.advised(failure))?;
                self.world.addresses.push((network.name.clone(), ip));
            }
        }
        self.reserve()
    }

    /// Nobody asked for the addresses of a checkpoint: another may do.
    fn advised(&self, failure: Failure) -> Failure {
        match &self.handoff.restore {
            Some(_) => failure.hint("restore it with any address that is free: --ignore-static-ip"),
            None => failure,
        }
    }

    fn network(&self, attachment: &AttachmentSpec) -> Result<&Network, Failure> {
        self.handoff.networks.iter().find(|n| n.name == attachment.network).ok_or_else(|| {
            Failure::plain(FailureKind::NotFound, format!("network {} does not exist", attachment.network))
        })
    }

    fn lease_one(
        &self,
        network: &Network,
        subnet: &Subnet,
        fixed: Option<IpAddr>,
        attachment: &AttachmentSpec,
    ) -> Result<IpAddr, Failure> {
        let step = || format!("leasing an address of network {}", network.name);
        let paths = &self.world.paths;
        let lease = Lease {
            id: self.world.id.clone(),
            name: self.handoff.spec.name.clone(),
            aliases: attachment.aliases.clone(),
            mac: attachment.mac.clone(),
        };
        let take = |ip| {
            leases::take_address(paths, &network.name, ip, &lease).map_err(|e| Failure::internal(step(), &e))
        };
        if let Some(ip) = fixed {
            net::ipam::check(subnet, ip).map_err(|e| Failure::of(FailureKind::Invalid, step(), &e))?;
            if take(ip)? {
                return Ok(ip);
            }
            let holder = leases::address_holder(paths, &network.name, ip).ok().flatten();
            let who =
                holder.map_or_else(|| "another container".to_owned(), |l| format!("{} ({})", l.name, l.id));
            return Err(Failure::plain(
                FailureKind::Conflict,
                format!("address {ip} of network {} is in use by {who}", network.name),
            ));
        }
        let before = self.handoff.addresses.iter();
        for (_, ip) in before.filter(|(name, ip)| *name == network.name && net::ipam::contains(subnet, *ip)) {
            if net::ipam::check(subnet, *ip).is_ok() && take(*ip)? {
                return Ok(*ip);
            }
        }
        // Round and round: an address given again at once meets the former owner's neighbour entries.
        let last = leases::last_address(paths, &network.name, subnet.address.is_ipv6());
        let last = last.or_else(|| self.world.shared_start(network, subnet));
        let free = net::ipam::candidates(subnet, last);
        let taken = leases::take_first_address(paths, &network.name, free, &lease)
            .map_err(|e| Failure::internal(step(), &e))?;
        if let Some(ip) = taken {
            return Ok(ip);
        }
        Err(Failure::plain(
            FailureKind::Conflict,
            format!(
                "network {} has no free address left in {}/{}",
                network.name, subnet.address, subnet.prefix
            ),
        ))
    }

    fn reserve(&mut self) -> Result<(), Failure> {
        let wanted = &self.handoff.spec.network.ports;
        if wanted.is_empty() {
            return Ok(());
        }
        let networks = self.handoff.networks.iter();
        let coming: Vec<IpAddr> = networks.flat_map(|n| &n.subnets).filter_map(|s| s.gateway).collect();
        let reserved = net::ports::reserve_all(wanted, &coming).map_err(|e| self.port_in_use(&e))?;
        self.world.ports = reserved;
        self.undo.push("releasing ports", |world| {
            let mut troubles = Vec::new();
            for port in world.ports.drain(..) {
                let m = port.mapping;
                let released =
                    leases::release_port(&world.paths, m.protocol, m.host_ip, m.host_port, &world.id);
                troubles.extend(released.err().map(|e| e.to_string()));
            }
            if troubles.is_empty() { Ok(()) } else { Err(troubles.join(", ")) }
        });
        for port in &self.world.ports {
            let m = port.mapping;
            leases::take_port(&self.world.paths, m.protocol, m.host_ip, m.host_port, &self.world.id)
                .map_err(|e| Failure::of(FailureKind::Conflict, "publishing ports", &e))?;
        }
        Ok(())
    }

    /// Names the container of ours that has the port, which the kernel cannot.
    fn port_in_use(&self, error: &net::Error) -> Failure {
        let net::Error::AddrInUse { mapping: m, .. } = error else {
            return Failure::internal("publishing ports", error);
        };
        let failure = Failure::of(FailureKind::Conflict, "publishing ports", error);
        let holder = leases::port_holder(&self.world.paths, m.protocol, m.host_ip, m.host_port);
        match holder {
            Ok(Some(id)) => {
                failure.hint(format!("container {} publishes it: choose another port or stop it", id.short()))
            }
            _ => failure.hint("choose another host port, or stop what uses it"),
        }
    }

    /// Sets the network up in the namespace of the process `pid`.
    pub(super) fn set_up_network(&mut self, pid: i32) -> Result<(), Failure> {
        let mode = &self.handoff.spec.network.mode;
        if !owns_namespace(mode) || self.world.netns.is_some() {
            return Ok(());
        }
        // The process is born in a new namespace, but joins one that was made ahead some time later.
        let netns = match self.world.fresh_netns.take() {
            Some(fresh) => fresh,
            None => ns::open_of(pid, ns::Kind::Net)
                .map_err(|e| Failure::internal("opening the network namespace", &e))?,
        };
        if *mode == NetworkModeSpec::None || self.handoff.spec.network.attachments.is_empty() {
            net::set_up_loopback(netns.as_fd())
                .map_err(|e| Failure::internal("setting the network up", &e))?;
            self.world.netns = self.keeps_netns().then_some(netns);
            return Ok(());
        }
        let attachments = self.attachments()?;
        let ports: Vec<_> = self.world.ports.iter().map(|p| p.mapping).collect();
        let plan = net::Plan {
            container: &self.world.id,
            netns: netns.as_fd(),
            attachments: &attachments,
            ports: &ports,
        };
        self.undo.push("taking the network down", |world| {
            world.netns = None;
            world.dns = None;
            world.relays.clear();
            match world.applied.take() {
                None => Ok(()),
                Some(applied) => net::tear_down(&applied).map_err(|e| e.to_string()),
            }
        });
        let applied = net::set_up(&plan).map_err(|e| Failure::internal("setting the network up", &e))?;
        self.world.applied = Some(applied);
        let addresses: Vec<IpAddr> = self.world.addresses.iter().map(|(_, ip)| *ip).collect();
        self.world.relays = net::relay::start_all(&self.world.ports, &addresses)
            .map_err(|e| Failure::internal("publishing ports", &e))?;
        if self.embedded_dns() {
            let config = net::dns::Config::new(&self.world.upstream);
            let server = net::dns::Server::bind(netns.as_fd(), config)
                .map_err(|e| Failure::internal("starting the name server of the container", &e))?;
            self.world.dns = Some(server);
            self.world.names.clone_from(&self.handoff.spec.network.names);
        }
        self.world.netns = self.keeps_netns().then_some(netns);
        Ok(())
    }

    /// Held only where a restart will need it: a held namespace outlives its processes. One that belongs to a user
    /// namespace of the container's own is of no use to the next start, which gets another.
    fn keeps_netns(&self) -> bool {
        !matches!(self.handoff.spec.namespaces.user, UserNsMode::Mapped(_))
            && self.handoff.spec.lifecycle.restart != crate::model::lifecycle::RestartPolicy::No
    }

    fn attachments(&self) -> Result<Vec<net::Attachment>, Failure> {
        let mut addresses = self.world.addresses.iter();
        let mut out = Vec::new();
        for (index, wish) in self.handoff.spec.network.attachments.iter().enumerate() {
            let network = self.network(wish)?.clone();
            let (mut ip, mut ip6) = (None, None);
            for (_, address) in addresses.by_ref().take(network.subnets.len()) {
                match address {
                    IpAddr::V4(v4) => ip = ip.or(Some(*v4)),
                    IpAddr::V6(v6) => ip6 = ip6.or(Some(*v6)),
                }
            }
            let mac =
                wish.mac.as_deref().map(str::parse).transpose().map_err(|e: net::Error| {
                    Failure::of(FailureKind::Invalid, "setting the network up", &e)
                })?;
            out.push(net::Attachment {
                interface: if wish.interface.is_empty() {
                    format!("eth{index}")
                } else {
                    wish.interface.clone()
                },
                host_interface: net::host_interface(&self.world.id, index),
                network,
                ip,
                ip6,
                mac,
                aliases: wish.aliases.clone(),
            });
        }
        Ok(out)
    }
}

impl World {
    /// Where to begin with the addresses of a network that other run directories give away, too.
    pub(in crate::monitor) fn shared_start(&self, network: &Network, subnet: &Subnet) -> Option<IpAddr> {
        network.file.as_ref()?;
        // The id is as random as anything here.
        let number = u64::from_str_radix(self.id.short(), 16).ok()?;
        Some(net::ipam::somewhere(subnet, number))
    }
}
