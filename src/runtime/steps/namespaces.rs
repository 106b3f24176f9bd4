//! Joining namespaces, becoming root of a new user namespace, the cgroup namespace, host names.

use std::os::fd::{AsFd, OwnedFd};

use crate::runtime::plan::Plan;
use crate::runtime::plan::namespaces::NamespacePlan;
use crate::runtime::sync::{During, Step};
use crate::sys::{fd, limits, mount, ns};

/// Joins what the parent could not join for us (pid and time count for children only and are its).
pub(in crate::runtime) fn join(plan: &NamespacePlan, keep_groups: bool) -> Step<()> {
    if plan.joined_user().is_some() {
        // The process between us and our parent has joined all; its ids are not those of the namespace.
        return become_root_of_user_namespace(plan, keep_groups);
    }
    if plan.maps.is_some() {
        // The parent has joined them around the clone: they belong to the host's user namespace.
        return Ok(());
    }
    for (kind, file) in &plan.joined {
        if !matches!(kind, ns::Kind::Pid | ns::Kind::Time) {
            ns::join(file.as_fd(), *kind).during(|| format!("joining the {} namespace", kind.file()))?;
        }
    }
    Ok(())
}

/// Makes the time namespace, whose clocks are set before anybody is in it, and enters it.
pub(in crate::runtime) fn make_time(plan: &NamespacePlan) -> Step<()> {
    let make = || {
        plan.unshare_time()?;
        ns::join(ns::open_path("/proc/self/ns/time_for_children".as_ref(), ns::Kind::Time)?, ns::Kind::Time)
    };
    make().during(|| "making the time namespace".into())
}

/// Joins the cgroup by writing to files that the parent opened.
pub(in crate::runtime) fn join_cgroup(files: &[OwnedFd]) -> Step<()> {
    for file in files {
        fd::write_once(file, b"0", || "tasks, \"0\"".into()).during(|| "joining the cgroup".into())?;
    }
    Ok(())
}

/// In a new user namespace: our ids, unmapped until now, become its root.
pub(in crate::runtime) fn become_root_of_user_namespace(plan: &NamespacePlan, keep_groups: bool) -> Step<()> {
    let groups = if keep_groups { Ok(()) } else { limits::set_groups(&[]) };
    let groups = match groups {
        // It is one whose maps a user without root wrote, who keeps his groups.
        Err(e) if e.is(libc::EPERM) && plan.groups_are_a_users() => Ok(()),
        other => other,
    };
    groups
        .and_then(|()| limits::set_gid(0))
        .and_then(|()| limits::set_uid(0))
        .during(|| "becoming root of the user namespace".into())
}

/// Stops mounts and unmounts from travelling between this namespace and the host's: else detaching
/// the old root would unmount on the host.
pub(in crate::runtime) fn cut_propagation() -> Step<()> {
    mount::set_propagation_of_all(mount::Propagation::Private)
        .during(|| "making the mounts of the new namespace private".into())
}

/// Now that we are in our cgroup, it becomes the root of what we see (rule R14).
pub(in crate::runtime) fn unshare_cgroup(plan: &NamespacePlan) -> Step<()> {
    if plan.unshare_cgroup_late {
        ns::unshare(ns::Kind::Cgroup.flag()).during(|| "making the cgroup namespace".into())?;
    }
    Ok(())
}

/// Host name and domain name of the new UTS namespace.
pub(in crate::runtime) fn set_names(plan: &Plan<'_>) -> Step<()> {
    if let Some(name) = plan.hostname {
        ns::set_hostname(name.as_bytes()).during(|| format!("setting the host name to {name:?}"))?;
    }
    if let Some(name) = plan.domainname {
        ns::set_domainname(name.as_bytes()).during(|| format!("setting the domain name to {name:?}"))?;
    }
    Ok(())
}
