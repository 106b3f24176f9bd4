//! docker's `--link`: lines of /etc/hosts and variables that tell of another container on the same network.

use std::net::IpAddr;

use super::Start;
use crate::model::network::LinkSpec;
use crate::monitor::proto::{Failure, FailureKind};
use crate::storage::leases;

impl Start<'_> {
    /// Addresses of the linked containers, which must run.
    fn linked(&self) -> Result<Vec<(&LinkSpec, IpAddr)>, Failure> {
        let find = |link| Ok((link, self.address_of(link)?));
        self.handoff.spec.network.links.iter().map(find).collect()
    }

    fn address_of(&self, link: &LinkSpec) -> Result<IpAddr, Failure> {
        let all = leases::list_addresses(&self.world.paths, &link.network)
            .map_err(|e| Failure::internal("looking for a linked container", &e))?;
        let own = all.iter().filter(|(_, lease)| lease.id == link.id).map(|(ip, _)| *ip);
        own.min_by_key(IpAddr::is_ipv6).ok_or_else(|| {
            let text = format!("Cannot link to a non running container: {} AS {}", link.name, link.alias);
            Failure::plain(FailureKind::State, text).hint(format!("start it first: rcon start {}", link.name))
        })
    }

    /// Lines of /etc/hosts: names and address.
    pub(super) fn link_hosts(&self) -> Result<Vec<(String, String)>, Failure> {
        let line = |(link, ip): (&LinkSpec, IpAddr)| {
            let mut names = vec![link.alias.as_str()];
            for name in [link.hostname.as_str(), link.id.short(), link.name.as_str()] {
                if !name.is_empty() && !names.contains(&name) {
                    names.push(name);
                }
            }
            (names.join(";"), ip.to_string())
        };
        Ok(self.linked()?.into_iter().map(line).collect())
    }

    /// The variables.
    pub(super) fn link_variables(&self) -> Result<Vec<String>, Failure> {
        let own = &self.handoff.spec.name;
        let all = self.linked()?;
        Ok(all.iter().filter(|(l, _)| l.variables).flat_map(|(l, ip)| variables(own, l, *ip)).collect())
    }
}

/// Adds those variables whose names are not there yet.
pub(in crate::monitor) fn add_unset(env: &mut Vec<String>, variables: &[String]) {
    for variable in variables {
        let name = variable.split('=').next();
        if !env.iter().any(|e| e.split('=').next() == name) {
            env.push(variable.clone());
        }
    }
}

/// As docker names them: `ALIAS_NAME`, `ALIAS_PORT`, `ALIAS_PORT_80_TCP…`, `ALIAS_ENV_…`.
fn variables(own: &str, link: &LinkSpec, ip: IpAddr) -> Vec<String> {
    let alias = link.alias.to_uppercase().replace('-', "_");
    let mut out = vec![format!("{alias}_NAME=/{own}/{}", link.alias)];
    let mut ports = link.ports.clone();
    ports.sort_by_key(|p| (p.port, p.protocol));
    if let Some(first) = ports.first() {
        out.push(format!("{alias}_PORT={}://{ip}:{}", first.protocol, first.port));
    }
    for p in &ports {
        let name = format!("{alias}_PORT_{}_{}", p.port, p.protocol.to_string().to_uppercase());
        out.push(format!("{name}={}://{ip}:{}", p.protocol, p.port));
        out.push(format!("{name}_ADDR={ip}"));
        out.push(format!("{name}_PORT={}", p.port));
        out.push(format!("{name}_PROTO={}", p.protocol));
    }
    out.extend(link.env.iter().map(|e| format!("{alias}_ENV_{e}")));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::network::{ExposedPort, Protocol};

    #[test]
    fn dockers_names() {
        let port = |port| ExposedPort { port, protocol: Protocol::Tcp };
        let link = LinkSpec {
            id: "a".repeat(64).parse().expect("an id"),
            name: "db".to_owned(),
            alias: "my-db".to_owned(),
            hostname: "dbhost".to_owned(),
            network: "bridge".to_owned(),
            ports: vec![port(5432), port(80)],
            env: vec!["X=1".to_owned()],
            variables: true,
        };
        let all = variables("web", &link, IpAddr::from([10, 0, 0, 2])).join(" ");
        assert!(all.starts_with("MY_DB_NAME=/web/my-db MY_DB_PORT=tcp://10.0.0.2:80 "), "{all}");
        assert!(
            all.contains("MY_DB_PORT_5432_TCP=tcp://10.0.0.2:5432 MY_DB_PORT_5432_TCP_ADDR=10.0.0.2"),
            "{all}"
        );
        assert!(all.ends_with("MY_DB_ENV_X=1"), "{all}");
    }
}
