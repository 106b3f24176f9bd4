//! Limits, scheduling, groups and user.

use std::path::Path;

use rustix::fs::Uid;

use crate::runtime::plan::Plan;
use crate::runtime::plan::domain::Domain;
use crate::runtime::plan::process::ProcessPlan;
use crate::runtime::sync::{During, Step};
use crate::sys::proc::Proc;
use crate::sys::{caps, fd, limits};

/// What is written to files of /proc: only through the trusted handle (rule R2).
pub(in crate::runtime) fn write_oom_score(process: &ProcessPlan, proc: &Proc) -> Step<()> {
    if let Some(value) = &process.oom_score_adj {
        proc.write(Path::new("self/oom_score_adj"), value.as_bytes())
            .during(|| format!("setting oom_score_adj to {value}"))?;
    }
    Ok(())
}

/// Kernel parameters (rules R2, R15).
pub(in crate::runtime) fn write_sysctls(plan: &Plan<'_>, proc: &Proc) -> Step<()> {
    for (path, value) in &plan.sysctls {
        proc.write(path, value.as_bytes())
            .during(|| format!("setting /proc/{} to {value:?}", path.display()))?;
    }
    Ok(())
}

/// Limits and scheduling, while we may still raise them.
pub(in crate::runtime) fn set_limits(process: &ProcessPlan) -> Step<()> {
    for &(resource, soft, hard) in &process.rlimits {
        limits::set_rlimit(resource, soft, hard)
            .during(|| format!("setting {} to {soft}:{hard}", resource.name()))?;
    }
    if let Some(attr) = &process.scheduler {
        let done = limits::set_scheduler(attr);
        let cpus = process.limited_cpus && done.as_ref().is_err_and(|e| e.is(libc::EPERM));
        done.during(|| match cpus {
            // SCHED_DEADLINE wants all CPUs.
            true => "process scheduler can't be used together with AllowedCPUs".into(),
            false => "setting the scheduler".into(),
        })?;
    }
    if let Some((class, priority)) = process.io_priority {
        limits::set_io_priority(class, priority).during(|| "setting the I/O priority".into())?;
    }
    if let Some(cpus) = &process.affinity {
        limits::set_affinity(0, cpus).during(|| "setting the CPU affinity".into())?;
    }
    Ok(())
}

/// Execution domain and memory policy of the container.
pub(in crate::runtime) fn set_domain(plan: &Domain) -> Step<()> {
    if let Some(domain) = plan.personality {
        limits::set_personality(domain).during(|| "setting the personality".into())?;
    }
    if let Some((mode, nodes)) = &plan.memory_policy {
        limits::set_mempolicy(*mode, nodes).during(|| "setting the memory policy".into())?;
    }
    Ok(())
}

/// Lets another user open its own stdio again by /dev/stdout and the like.
pub(in crate::runtime) fn own_stdio(uid: u32) {
    if uid == 0 {
        return;
    }
    for one in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        let Ok(stat) = fd::stat(one) else { continue };
        let null = stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3);
        if null || stat.st_uid == uid {
            continue;
        }
        // A file of the host's on a read-only file system, or of an unmapped owner, stays as it is.
        let _kept = rustix::fs::fchown(one, Some(Uid::from_raw(uid)), None);
    }
}

/// Groups, then group, then user; permitted capabilities survive for the steps after.
pub(in crate::runtime) fn become_user(process: &ProcessPlan, user_namespace: bool) -> Step<()> {
    caps::keep(true).during(|| "keeping capabilities".into())?;
    if let Some(groups) = &process.groups {
        match limits::set_groups(groups) {
            // In a user namespace that denies setgroups there are no groups to set.
            Err(e) if user_namespace && e.is(libc::EPERM) && groups.is_empty() => {}
            other => other.during(|| format!("setting the groups {groups:?}"))?,
        }
    }
    limits::set_gid(process.gid).during(|| format!("setting the group {}", process.gid))?;
    limits::set_uid(process.uid).during(|| format!("setting the user {}", process.uid))?;
    limits::set_umask(process.umask);
    Ok(())
}
