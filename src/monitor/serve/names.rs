//! Names of other containers, for the responder of named networks: read from the leases at each question, so
//! that nothing has to be told to anyone when a container comes or goes. And the firewall, which is put back
//! when someone else flushed it.

use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use super::{DNS, RELAYS, Server, WATCH};
use crate::model::network::Network;
use crate::monitor::proto::Failure;
use crate::monitor::{finish, realise};
use crate::net::{self, dns::Zone, hosts};
use crate::storage::Paths;
use crate::storage::leases::{self, Lease};
use crate::sys::event::interest;
use crate::sys::fd;

/// The names on some networks.
struct Leased<'a> {
    paths: &'a Paths,
    networks: Vec<&'a str>,
    links: &'a [(String, String)],
}

impl Zone for Leased<'_> {
    fn lookup(&self, name: &str) -> Vec<IpAddr> {
        // A link is this container's own word for another one, and comes before what others call themselves.
        let linked = self.links.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
        let name = linked.map_or(name, |(_, other)| other);
        let mut found = Vec::new();
        for network in &self.networks {
            // docker also knows NAME.NETWORK.
            let own = name.strip_suffix(network).and_then(|n| n.strip_suffix('.')).unwrap_or(name);
            let is = |lease: &Lease| {
                let same = |n: &str| n.eq_ignore_ascii_case(name) || n.eq_ignore_ascii_case(own);
                same(&lease.name) || same(lease.id.short()) || lease.aliases.iter().any(|a| same(a))
            };
            // A directory that cannot be read has no names to give.
            for (ip, _) in leases::find_addresses(self.paths, network, is).unwrap_or_default() {
                if !found.contains(&ip) {
                    found.push(ip);
                }
            }
        }
        found
    }

    fn reverse(&self, address: IpAddr) -> Vec<String> {
        for network in &self.networks {
            if let Ok(Some(lease)) = leases::address_holder(self.paths, network, address) {
                return vec![format!("{}.{network}", lease.name), lease.name];
            }
        }
        Vec::new()
    }
}

impl Server {
    /// Follows the responder and the firewall of a container that has a network of ours.
    pub(super) fn follow_network(&mut self) -> Result<(), crate::sys::Error> {
        self.follow_ports();
        if let Some(dns) = &self.world.dns {
            // Over a restart it is the same one, followed already.
            let _again = self.epoll.add(dns.fd(), DNS, interest::READ);
        }
        if self.world.applied.is_some() && self.watcher.is_none() {
            match net::Watcher::new() {
                Ok(watcher) => {
                    self.epoll.add(watcher.fd(), WATCH, interest::READ)?;
                    self.watcher = Some(watcher);
                }
                Err(e) => self.note(&format!("watching the firewall: {e}")),
            }
        }
        Ok(())
    }

    /// Waits for clients that come by IPv6 to ports that are published on every address. Who carried them so far goes:
    /// the container may have another address now.
    pub(super) fn follow_ports(&mut self) {
        self.carriers.clear();
        for (slot, port) in (RELAYS..).zip(&self.world.ports) {
            let Some(socket) = net::relay::entrance(port) else { continue };
            // Without it clients are refused there and go on to IPv4. Over a restart it is followed already.
            if net::relay::wait_on(socket).is_ok() {
                let _again = self.epoll.add(socket, slot, interest::READ);
            }
        }
    }

    /// The first client of a port has come by IPv6.
    pub(super) fn carry_port(&mut self, slot: usize) {
        let Some(port) = self.world.ports.get(slot) else { return };
        let Some(socket) = net::relay::entrance(port) else { return };
        let _now_its_own = self.epoll.remove(socket);
        let v4 = self.running.network.iter().filter_map(|a| a.ip).map(|(ip, _)| IpAddr::V4(ip));
        let v6 = self.running.network.iter().filter_map(|a| a.ip6).map(|(ip, _)| IpAddr::V6(ip));
        let addresses: Vec<IpAddr> = v4.chain(v6).collect();
        match net::relay::carry(&port.mapping, socket, &addresses) {
            Ok(relay) => self.carriers.push(relay),
            Err(e) => self.note(&format!("publishing port {} for IPv6: {e}", port.mapping.host_port)),
        }
    }

    /// The responder has something to do.
    pub(super) fn answer_names(&mut self) {
        let Some(dns) = &mut self.world.dns else { return };
        let networks = self.running.network.iter().map(|a| a.network.as_str()).collect();
        let zone = Leased { paths: &self.world.paths, networks, links: &self.world.names };
        dns.step(&zone, Instant::now());
    }

    /// The first network with names that a container without a responder comes to: from now on it has one, and its
    /// resolv.conf says so, unless it was changed since we wrote it.
    pub(super) fn begin_names(&mut self, netns: BorrowedFd<'_>, network: &Network) -> Result<(), Failure> {
        if !network.dns_enabled || self.world.dns.is_some() {
            return Ok(());
        }
        let spec = self.document()?;
        let options = &spec.network.dns;
        if options.servers.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        let host = hosts::host_resolv_conf();
        let before = hosts::resolv_conf(&host, options, false, false).text;
        let now = hosts::resolv_conf(&host, options, true, false);
        let servers =
            realise::network_servers(options, std::slice::from_ref(network)).unwrap_or(now.upstream);
        let failed = |e: &dyn std::error::Error| Failure::internal("answering names", e);
        let dns = net::dns::Server::bind(netns, net::dns::Config::new(&servers)).map_err(|e| failed(&e))?;
        self.epoll.add(dns.fd(), DNS, interest::READ).map_err(|e| failed(&e))?;
        self.world.dns = Some(dns);
        let path = self.world.paths.run_container(&self.world.id).join("resolv.conf");
        if fd::read_file(&path).is_ok_and(|bytes| bytes == before.as_bytes()) {
            // In place: the container has this very file mounted.
            std::fs::write(&path, now.text).map_err(|e| Failure::internal("writing /etc/resolv.conf", &e))?;
        }
        Ok(())
    }

    /// Servers are asked of as the networks say now.
    pub(super) fn network_changed(&mut self) -> Result<(), Failure> {
        let spec = self.document()?;
        let (networks, _) = finish::definitions(&self.world.paths, &spec)?;
        let Some(dns) = &mut self.world.dns else { return Ok(()) };
        if networks.iter().all(|n| n.internal) {
            return Ok(());
        }
        let servers = realise::network_servers(&spec.network.dns, &networks).unwrap_or_else(|| {
            let text = hosts::host_resolv_conf();
            hosts::resolv_conf(&text, &spec.network.dns, true, false).upstream
        });
        dns.configure(net::dns::Config::new(&servers));
        Ok(())
    }

    pub(super) fn names_deadline(&self) -> Option<Instant> {
        self.world.dns.as_ref()?.deadline()
    }

    /// Someone changed the firewall.
    pub(super) fn firewall_changed(&mut self) {
        if !self.watcher.as_mut().is_some_and(net::Watcher::changed) {
            return;
        }
        if let Some(applied) = &self.world.applied
            && let Err(e) = net::ensure(applied)
        {
            self.note(&format!("putting the firewall back: {e}"));
        }
    }
}
