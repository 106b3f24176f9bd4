//! Capabilities, no_new_privs, LSM labels, seccomp.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use crate::runtime::plan::process::{CapPlan, ProcessPlan};
use crate::runtime::seccomp::Filter;
use crate::runtime::sync::{self, During, Step};
use crate::sys;
use crate::sys::caps::{self, CapSet};
use crate::sys::error::Context;
use crate::sys::proc::Proc;
use crate::sys::process;

const SYS_ADMIN: u32 = 21;

/// Labels take force at the exec; written through the trusted handle only, and a failure is the end
/// of the start: never unlabelled (rule R2, CVE-2019-16884).
pub(in crate::runtime) fn write_labels(plan: &ProcessPlan, proc: &Proc) -> Step<()> {
    if let Some(profile) = &plan.apparmor {
        let text = format!("exec {profile}");
        let file = Path::new("thread-self/attr/apparmor/exec");
        proc.write(file, text.as_bytes())
            .or_else(|_| proc.write(Path::new("thread-self/attr/exec"), text.as_bytes()))
            .during(|| format!("applying the AppArmor profile {profile:?}"))?;
    }
    if let Some(label) = &plan.selinux {
        proc.write(Path::new("thread-self/attr/exec"), label.as_bytes())
            .during(|| format!("applying the SELinux label {label:?}"))?;
    }
    Ok(())
}

/// Limits what any exec can ever give back. Before the change of user, which takes CAP_SETPCAP away.
pub(in crate::runtime) fn limit_bounding(sets: &CapPlan) -> Step<()> {
    caps::limit_bounding(sets.bounding).during(|| "limiting the bounding set".into())
}

/// The effective set of the program, which a change of user has cleared; what is permitted stays until the end.
pub(in crate::runtime) fn raise(sets: &CapPlan) -> Step<()> {
    // The kernel lets nothing be inherited that is bounded.
    let unbounded = sets.inheritable.0 & !sets.bounding.0;
    if unbounded != 0 {
        let what = format!("inheritable {unbounded:#x}, which the bounding set has not");
        return Err(sys::Error::new("capset", what, libc::EPERM))
            .during(|| "setting the capabilities of the program".into());
    }
    caps::raise(sets.effective)
        .and_then(|permitted| match sets.permitted.0 & !permitted.0 {
            0 => Ok(()),
            // Now, not when it is started.
            lacking => {
                Err(sys::Error::new("capset", format!("{lacking:#x} are not ours to give"), libc::EPERM))
            }
        })
        .during(|| "setting the capabilities of the program".into())
}

/// [`confine`], and the notify descriptor goes up at once: the next call may be one that waits for its agent.
pub(in crate::runtime) fn confine_told(
    plan: &ProcessPlan,
    filter: Option<&Filter>,
    socket: &OwnedFd,
) -> Step<()> {
    let Some(notify) = confine(plan, filter)? else { return Ok(()) };
    if filter.and_then(|f| f.listener.as_ref()).is_some_and(|l| l.by_number) {
        return sync::lend_listener(socket, notify.as_fd());
    }
    sync::send(socket, sync::LISTENER, &[notify.as_fd()])
        .during(|| "handing over the seccomp listener".into())
}

/// After the change of user: the final sets.
///
/// Without no_new_privs a filter needs CAP_SYS_ADMIN to be loaded, so it is loaded between, as the
/// last thing that is done with more than the final sets. With it, it is loaded after them.
fn confine(plan: &ProcessPlan, filter: Option<&Filter>) -> Step<Option<OwnedFd>> {
    if plan.no_new_privileges {
        process::set_no_new_privileges().during(|| "setting no_new_privs".into())?;
        set_capabilities(&plan.caps)?;
        return load(filter);
    }
    if filter.is_none() {
        set_capabilities(&plan.caps)?;
        return Ok(None);
    }
    let mut enough = plan.caps;
    enough.permitted.insert(SYS_ADMIN);
    enough.effective.insert(SYS_ADMIN);
    let widen = |set: CapSet| CapSet(set.0);
    let loadable = caps::set(widen(enough.effective), widen(enough.permitted), plan.caps.inheritable);
    loadable.during(|| "keeping CAP_SYS_ADMIN to load the seccomp filter".into())?;
    let listener = load(filter)?;
    set_capabilities(&plan.caps)?;
    Ok(listener)
}

fn set_capabilities(sets: &CapPlan) -> Step<()> {
    caps::set(sets.effective, sets.permitted, sets.inheritable)
        .and_then(|()| caps::set_ambient(sets.ambient))
        .during(|| "setting the capabilities".into())
}

fn load(filter: Option<&Filter>) -> Step<Option<OwnedFd>> {
    let Some(filter) = filter else { return Ok(None) };
    crate::sys::seccomp::load(&filter.program, filter.flags)
        .call("seccomp", || format!("{} instructions, flags {:#x}", filter.program.len(), filter.flags))
        .during(|| "loading the seccomp filter".into())
}
