//! The process of the OCI spec: user, environment, capabilities, limits.

use oci_spec::runtime as oci;

use super::{Error, HostFacts, User};
use crate::model::container::ContainerSpec;
use crate::model::process::ProcessSpec;
use crate::model::security::SecuritySpec;

/// The OCI process of a container.
pub(super) fn process(spec: &ContainerSpec, host: &HostFacts, user: &User) -> Result<oci::Process, Error> {
    process_of(&spec.process, &spec.security, host, user)
}

/// The OCI process of an exec: same rules, other words.
///
/// # Errors
/// [`Error::Rlimit`], [`Error::Unknown`].
pub fn process_of(
    p: &ProcessSpec,
    security: &SecuritySpec,
    host: &HostFacts,
    user: &User,
) -> Result<oci::Process, Error> {
    let mut out = oci::Process::default();
    let mut who = oci::User::default();
    who.set_uid(user.uid).set_gid(user.gid).set_umask(Some(p.umask));
    if !user.groups.is_empty() {
        who.set_additional_gids(Some(user.groups.clone()));
    }
    out.set_terminal(Some(p.tty))
        .set_user(who)
        .set_args(Some(p.command()))
        .set_env(Some(environment(&p.env, &user.home)))
        .set_cwd(p.cwd.clone().into())
        .set_capabilities(Some(capabilities(p, host, user.uid)?))
        .set_rlimits(Some(rlimits(p, host)?))
        .set_no_new_privileges(Some(p.no_new_privileges))
        .set_oom_score_adj(p.oom_score_adj.or(host.oom_score_adj))
        .set_apparmor_profile(security.apparmor.clone().filter(|_| host.apparmor))
        .set_selinux_label(security.selinux_label.clone().filter(|_| host.selinux));
    Ok(out)
}

/// The environment, with HOME where it has none; an empty one counts as none.
fn environment(env: &[String], home: &str) -> Vec<String> {
    let mut out = env.to_vec();
    out.retain(|e| e != "HOME=");
    if !out.iter().any(|e| e.starts_with("HOME=")) {
        out.push(format!("HOME={}", if home.is_empty() { "/" } else { home }));
    }
    out
}

/// The sets: permitted and effective only for root, which is what execve would leave of them anyway; inheritable and
/// ambient stay empty (rule R8, CVE-2022-29162), but for what somebody asked a user other than root to have.
fn capabilities(p: &ProcessSpec, host: &HostFacts, uid: u32) -> Result<oci::LinuxCapabilities, Error> {
    let set = |names: &[String]| {
        let given = names.iter().filter(|n| host.capabilities.contains(n) && p.capabilities.contains(n));
        given.map(|n| capability(n)).collect::<Result<oci::Capabilities, Error>>()
    };
    let bounding = set(&p.capabilities)?;
    let (own, kept) = match uid {
        0 => (bounding.clone(), oci::Capabilities::new()),
        _ => (set(&p.ambient)?, set(&p.ambient)?),
    };
    let mut out = oci::LinuxCapabilities::default();
    out.set_bounding(Some(bounding))
        .set_effective(Some(own.clone()))
        .set_permitted(Some(own))
        .set_inheritable(Some(kept.clone()))
        .set_ambient(Some(kept));
    Ok(out)
}

fn capability(name: &str) -> Result<oci::Capability, Error> {
    use serde::de::{IntoDeserializer, value};
    let text: value::StrDeserializer<'_, value::Error> = name.into_deserializer();
    serde::Deserialize::deserialize(text)
        .map_err(|_| Error::Unknown { what: "capability", word: name.to_owned() })
}

/// Limits: a default is clamped to what the host lets us set, a wish beyond that is an error.
fn rlimits(p: &ProcessSpec, host: &HostFacts) -> Result<Vec<oci::PosixRlimit>, Error> {
    let mut out = Vec::with_capacity(p.rlimits.len());
    for limit in &p.rlimits {
        let kind: oci::PosixRlimitType = limit
            .kind
            .parse()
            .map_err(|_| Error::Unknown { what: "resource limit", word: limit.kind.clone() })?;
        let top = if host.raise_rlimits {
            u64::MAX
        } else {
            host.rlimits.iter().find(|(k, _)| *k == limit.kind).map_or(u64::MAX, |(_, hard)| *hard)
        };
        if limit.asked && limit.hard > top {
            return Err(Error::Rlimit { kind: limit.kind.clone(), asked: limit.hard, top });
        }
        let hard = limit.hard.min(top);
        let built = oci::PosixRlimitBuilder::default()
            .typ(kind)
            .hard(hard)
            .soft(limit.soft.min(hard))
            .build()
            .expect("every part has a default");
        out.push(built);
    }
    Ok(out)
}
