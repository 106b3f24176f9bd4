//! Attaching the running container to further networks, and detaching it.

use std::net::IpAddr;
use std::os::fd::{AsFd as _, OwnedFd};

use super::Server;
use super::requests::state;
use crate::model::container::AttachmentState;
use crate::model::network::{AttachmentSpec, Network};
use crate::monitor::proto::{ConnectWish, Failure, FailureKind};
use crate::net::{self, Attachment, ipam};
use crate::storage::leases::{self, Lease};
use crate::sys::ns;

/// The addresses of an attachment.
fn addresses(made: &AttachmentState) -> Vec<IpAddr> {
    made.ip.map(|(ip, _)| IpAddr::V4(ip)).into_iter().chain(made.ip6.map(|(ip, _)| IpAddr::V6(ip))).collect()
}

impl Server {
    pub(super) fn connect(&mut self, wish: &ConnectWish) -> Result<(), Failure> {
        let ConnectWish { attachment, network, names } = wish;
        if self.running.network.iter().any(|a| a.network == network.name) {
            let text = format!("it is already connected to network {}", network.name);
            return Err(Failure::plain(FailureKind::Conflict, text));
        }
        let netns = self.network_namespace()?;
        let attachment = self.lease_attachment(attachment, network)?;
        match net::attach(&self.world.id, netns.as_fd(), &attachment) {
            Ok(made) => {
                self.world.names.clone_from(names);
                let new = addresses(&made);
                self.note_attached(made, network);
                self.rename_hosts(&[], &new);
                self.begin_names(netns.as_fd(), network)?;
                // What had no way in since the last network went has one again.
                let applied = self.world.applied.as_ref().filter(|a| !a.ports.is_empty());
                applied.map_or(Ok(()), net::ensure).map_err(|e| Failure::internal("publishing ports", &e))
            }
            Err(e) => {
                self.release_addresses(&network.name);
                Err(Failure::internal("setting the network up", &e))
            }
        }
    }

    fn network_namespace(&self) -> Result<OwnedFd, Failure> {
        let Some(process) = &self.process else { return Err(state("it is not running")) };
        ns::open_of(process.identity.pid, ns::Kind::Net)
            .map_err(|e| Failure::internal("opening the network namespace", &e))
    }

    /// Leases an address of each subnet.
    fn lease_attachment(&mut self, wish: &AttachmentSpec, network: &Network) -> Result<Attachment, Failure> {
        let mac = wish.mac.as_deref().map(str::parse).transpose();
        let mac = mac.map_err(|e: net::Error| Failure::of(FailureKind::Invalid, "connecting", &e))?;
        let mut attachment = Attachment {
            network: network.clone(),
            interface: wish.interface.clone(),
            host_interface: self.free_host_interface(),
            ip: None,
            ip6: None,
            mac,
            aliases: wish.aliases.clone(),
        };
        if self.world.addresses.is_empty() {
            // Nothing was leased at the start, so nothing would be released at the end.
            self.undo.push("releasing addresses", |world| {
                let troubles: Vec<String> = world
                    .addresses
                    .drain(..)
                    .filter_map(|(n, ip)| leases::release_address(&world.paths, &n, ip, &world.id).err())
                    .map(|e| e.to_string())
                    .collect();
                if troubles.is_empty() { Ok(()) } else { Err(troubles.join(", ")) }
            });
        }
        for subnet in &network.subnets {
            let fixed = match subnet.address {
                IpAddr::V4(_) => wish.ip.map(IpAddr::V4),
                IpAddr::V6(_) => wish.ip6.map(IpAddr::V6),
            };
            let v6 = subnet.address.is_ipv6();
            let last = leases::last_address(&self.world.paths, &network.name, v6);
            let last = last.or_else(|| self.world.shared_start(network, subnet));
            let candidates: Vec<IpAddr> = fixed.into_iter().collect();
            let lease = self.lease(wish);
            let taken = if fixed.is_some() {
                leases::take_first_address(&self.world.paths, &network.name, candidates, &lease)
            } else {
                let free = ipam::candidates(subnet, last);
                leases::take_first_address(&self.world.paths, &network.name, free, &lease)
            };
            match taken {
                Ok(Some(ip)) => {
                    self.world.addresses.push((network.name.clone(), ip));
                    match ip {
                        IpAddr::V4(v4) => attachment.ip = attachment.ip.or(Some(v4)),
                        IpAddr::V6(v6) => attachment.ip6 = attachment.ip6.or(Some(v6)),
                    }
                }
                Ok(None) => {
                    self.release_addresses(&network.name);
                    let text = match fixed {
                        Some(ip) => format!("address {ip} of network {} is in use", network.name),
                        None => format!("network {} has no free address left", network.name),
                    };
                    return Err(Failure::plain(FailureKind::Conflict, text));
                }
                Err(e) => {
                    self.release_addresses(&network.name);
                    return Err(Failure::internal("leasing an address", &e));
                }
            }
        }
        Ok(attachment)
    }

    fn lease(&self, wish: &AttachmentSpec) -> Lease {
        Lease {
            id: self.world.id.clone(),
            name: self.keep.name.clone(),
            aliases: wish.aliases.clone(),
            mac: wish.mac.clone(),
        }
    }

    fn free_host_interface(&self) -> String {
        let taken = |name: &String| self.running.network.iter().any(|a| a.host_interface == *name);
        let mut names = (0..36).map(|n| net::host_interface(&self.world.id, n));
        names.find(|n| !taken(n)).unwrap_or_else(|| net::host_interface(&self.world.id, 35))
    }

    fn note_attached(&mut self, made: AttachmentState, network: &Network) {
        let applied = self.world.applied.get_or_insert_with(|| net::Applied {
            container: self.world.id.clone(),
            networks: Vec::new(),
            attachments: Vec::new(),
            ports: Vec::new(),
        });
        applied.networks.push(network.clone());
        applied.attachments.push(made.clone());
        self.running.network.push(made);
        self.publish();
        self.follow_ports();
    }

    pub(super) fn disconnect(&mut self, network: &str) -> Result<(), Failure> {
        let Some(at) = self.running.network.iter().position(|a| a.network == network) else {
            let text = format!("it is not connected to network {network}");
            return Err(Failure::plain(FailureKind::Conflict, text));
        };
        let netns = self.network_namespace()?;
        net::detach(&self.world.id, &self.running.network[at], &self.running.ports)
            .map_err(|e| Failure::internal("taking the network down", &e))?;
        let gone = addresses(&self.running.network.remove(at));
        if let Some(applied) = &mut self.world.applied {
            applied.attachments.retain(|a| a.network != network);
            applied.networks.retain(|n| n.name != network);
            // Published ports move to what is left, as does the way out.
            let open =
                |a: &&AttachmentState| applied.networks.iter().any(|n| n.name == a.network && n.leads_out());
            let next = applied.attachments.iter().find(open).map(|a| net::route(netns.as_fd(), a));
            let moved = next.unwrap_or(Ok(())).and_then(|()| net::ensure(applied));
            moved.map_err(|e| Failure::internal("setting the network up", &e))?;
        }
        self.release_addresses(network);
        self.publish();
        self.follow_ports();
        self.rename_hosts(&gone, &[]);
        Ok(())
    }

    /// /etc/hosts follows: the container's names at its present addresses. What cannot be written is only noted, for
    /// the networks are changed already.
    fn rename_hosts(&self, gone: &[IpAddr], new: &[IpAddr]) {
        let path = self.world.paths.run_container(&self.world.id).join("hosts");
        let Ok(bytes) = crate::sys::fd::read_file(&path) else { return };
        let done = self.document().and_then(|spec| {
            let full = match spec.domainname.as_str() {
                "" => String::new(),
                domain => format!("{}.{domain}", spec.hostname),
            };
            let mut names = vec![full.as_str(), &spec.hostname, &self.keep.name];
            names.retain(|name| !name.is_empty());
            names.dedup();
            let text = net::hosts::moved(&String::from_utf8_lossy(&bytes), gone, new, &names);
            // In place: the container has this very file mounted.
            std::fs::write(&path, text).map_err(|e| Failure::internal("writing /etc/hosts", &e))
        });
        if let Err(failure) = done {
            self.note(&failure.to_string());
        }
    }

    fn release_addresses(&mut self, network: &str) {
        let (paths, id) = (&self.world.paths, &self.world.id);
        self.world.addresses.retain(|(n, ip)| {
            // One that stays behind is swept with the container.
            n != network || leases::release_address(paths, n, *ip, id).is_err()
        });
    }
}
