//! What the new process becomes, made ready beforehand: shared by a start and an exec.

use std::ffi::CString;

use oci_spec::runtime::{
    Capabilities, Capability, IOPriorityClass, LinuxSchedulerFlag, LinuxSchedulerPolicy, PosixRlimit,
    Process, Scheduler,
};

use crate::runtime::Error;
use crate::sys::caps::{self, CapSet};
use crate::sys::limits::{Resource, SchedAttr};
use crate::sys::process::Strings;

/// The process to become.
#[derive(Debug)]
pub(crate) struct ProcessPlan {
    pub command: String,
    pub argv: Strings,
    pub env: Strings,
    /// Paths to try for the command, in order.
    pub candidates: Vec<CString>,
    pub cwd: CString,
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups; without them it keeps those of the caller.
    pub groups: Option<Vec<u32>>,
    pub umask: u32,
    pub caps: CapPlan,
    pub no_new_privileges: bool,
    pub rlimits: Vec<(Resource, u64, u64)>,
    pub oom_score_adj: Option<String>,
    pub scheduler: Option<SchedAttr>,
    pub io_priority: Option<(u32, u32)>,
    pub apparmor: Option<String>,
    pub selinux: Option<String>,
    pub affinity: Option<Vec<usize>>,
    /// The cgroup has not all CPUs, for an error message.
    pub limited_cpus: bool,
}

/// The five capability sets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CapPlan {
    pub bounding: CapSet,
    pub effective: CapSet,
    pub permitted: CapSet,
    pub inheritable: CapSet,
    pub ambient: CapSet,
}

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl ProcessPlan {
    /// Takes a process of the OCI spec.
    pub(crate) fn new(process: &Process) -> Result<Self, Error> {
        let args = process.args().as_deref().unwrap_or_default();
        let Some(command) = args.first().filter(|c| !c.is_empty()) else {
            return Err(Error::spec("process.args", "no command"));
        };
        let env = process.env().as_deref().unwrap_or_default();
        check_env(env)?;
        let env = &once(env)[..];
        let cwd = process.cwd();
        if !cwd.is_absolute() {
            return Err(Error::spec("process.cwd", format!("{cwd:?} is not an absolute path")));
        }
        let user = process.user();
        Ok(Self {
            command: command.clone(),
            argv: Strings::new(args)?,
            env: Strings::new(env)?,
            candidates: candidates(command, env)?,
            cwd: crate::sys::fd::c_path(cwd)?,
            uid: user.uid(),
            gid: user.gid(),
            groups: Some(user.additional_gids().clone().unwrap_or_default()),
            // What is not said is inherited, as runc does; the child itself works with 0.
            umask: user.umask().unwrap_or_else(crate::sys::limits::umask),
            caps: capabilities(process),
            no_new_privileges: process.no_new_privileges().unwrap_or(false),
            rlimits: process.rlimits().iter().flatten().map(rlimit).collect::<Result<_, _>>()?,
            oom_score_adj: oom_score_adj(process.oom_score_adj())?,
            scheduler: process.scheduler().as_ref().map(scheduler).transpose()?,
            io_priority: process
                .io_priority()
                .as_ref()
                .map(|p| io_priority(p.class(), p.priority()))
                .transpose()?,
            apparmor: process.apparmor_profile().clone().filter(|p| !p.is_empty()),
            selinux: process.selinux_label().clone().filter(|l| !l.is_empty()),
            affinity: None,
            limited_cpus: false,
        })
    }
}

/// crun's word for the groups of the caller, by which podman passes `--group-add keep-groups` on. Nothing but the
/// bundle can say it (rule R8).
pub(crate) fn keeps_groups(spec: &oci_spec::runtime::Spec) -> bool {
    let said = spec.annotations().as_ref().and_then(|a| a.get("run.oci.keep_original_groups"));
    said.is_some_and(|value| value != "0" && value != "false")
}

/// An entry without `=` would be taken for a name to copy by careless programs (rule R9).
fn check_env(env: &[String]) -> Result<(), Error> {
    match env.iter().position(|e| !e.contains('=') || e.starts_with('=')) {
        Some(i) => Err(Error::spec(format!("process.env[{i}]"), format!("{:?} is not NAME=value", env[i]))),
        None => Ok(()),
    }
}

/// Each variable once, with the value that was given last: programs differ in which of two they take.
fn once(env: &[String]) -> Vec<String> {
    let name = |entry: &str| entry.split_once('=').map_or(entry.len(), |(name, _)| name.len());
    let mut seen = std::collections::HashSet::new();
    let mut kept: Vec<String> = env.iter().rev().filter(|e| seen.insert(&e[..name(e)])).cloned().collect();
    kept.reverse();
    kept
}

/// Where to look for the command: itself if it has a slash, else each directory of the container's PATH.
fn candidates(command: &str, env: &[String]) -> Result<Vec<CString>, Error> {
    if command.contains('/') {
        return Ok(vec![crate::sys::fd::c_string(command)?]);
    }
    let path = env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let one = |dir: &str| {
        let dir = if dir.is_empty() { "." } else { dir };
        crate::sys::fd::c_string(format!("{}/{command}", dir.trim_end_matches('/')))
    };
    Ok(path.split(':').map(one).collect::<Result<_, _>>()?)
}

fn capabilities(process: &Process) -> CapPlan {
    let Some(given) = process.capabilities() else { return CapPlan::default() };
    let set = |list: &Option<Capabilities>| {
        let mut out = CapSet::default();
        list.iter().flatten().filter_map(number).for_each(|n| out.insert(n));
        out
    };
    let (permitted, inheritable) = (set(given.permitted()), set(given.inheritable()));
    CapPlan {
        bounding: set(given.bounding()),
        effective: set(given.effective()),
        permitted,
        inheritable,
        // The kernel lets nothing else be ambient; specs name more, and runc and crun pass over it too.
        ambient: CapSet(set(given.ambient()).0 & permitted.0 & inheritable.0),
    }
}

fn number(capability: &Capability) -> Option<u32> {
    caps::number(&capability.to_string())
}

fn rlimit(limit: &PosixRlimit) -> Result<(Resource, u64, u64), Error> {
    let name = limit.typ().to_string();
    let resource = Resource::parse(&name)
        .ok_or_else(|| Error::spec("process.rlimits", format!("unknown limit {name}")))?;
    Ok((resource, limit.soft(), limit.hard()))
}

fn oom_score_adj(value: Option<i32>) -> Result<Option<String>, Error> {
    match value {
        Some(v) if !(-1000..=1000).contains(&v) => {
            Err(Error::spec("process.oomScoreAdj", format!("{v} is not between -1000 and 1000")))
        }
        other => Ok(other.map(|v| v.to_string())),
    }
}

fn scheduler(given: &Scheduler) -> Result<SchedAttr, Error> {
    let policy = match given.policy() {
        LinuxSchedulerPolicy::SchedOther => libc::SCHED_OTHER,
        LinuxSchedulerPolicy::SchedFifo => libc::SCHED_FIFO,
        LinuxSchedulerPolicy::SchedRr => libc::SCHED_RR,
        LinuxSchedulerPolicy::SchedBatch => libc::SCHED_BATCH,
        LinuxSchedulerPolicy::SchedIdle => libc::SCHED_IDLE,
        LinuxSchedulerPolicy::SchedDeadline => 6,
        LinuxSchedulerPolicy::SchedIso => {
            return Err(Error::spec("process.scheduler.policy", "SCHED_ISO does not exist in Linux"));
        }
    };
    let mut flags = 0;
    for flag in given.flags().iter().flatten() {
        flags |= match flag {
            LinuxSchedulerFlag::SchedResetOnFork => 0x01,
            LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
            LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
            LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
            LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
            LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
            LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
        };
    }
    let priority = given.priority().unwrap_or(0);
    if *given.policy() == LinuxSchedulerPolicy::SchedDeadline {
        check_deadline(given)?;
    }
    Ok(SchedAttr {
        size: 0,
        policy: policy.unsigned_abs(),
        flags,
        nice: given.nice().unwrap_or(0),
        priority: u32::try_from(priority)
            .map_err(|_| Error::spec("process.scheduler.priority", format!("{priority} is negative")))?,
        runtime: given.runtime().unwrap_or(0),
        deadline: given.deadline().unwrap_or(0),
        period: given.period().unwrap_or(0),
    })
}

/// What the kernel would only call an invalid argument.
fn check_deadline(given: &Scheduler) -> Result<(), Error> {
    let wrong = |field: &str, why: String| Err(Error::spec(format!("process.scheduler.{field}"), why));
    let (runtime, deadline) = (given.runtime().unwrap_or(0), given.deadline().unwrap_or(0));
    let period = given.period().filter(|p| *p > 0).unwrap_or(deadline);
    match () {
        () if runtime < 1024 => wrong("runtime", format!("{runtime} ns: SCHED_DEADLINE needs 1024 at least")),
        () if deadline == 0 => wrong("deadline", "SCHED_DEADLINE needs one".to_owned()),
        () if period > 1 << 62 => wrong("period", format!("{period} ns is more than the kernel takes")),
        () if runtime > deadline => {
            wrong("runtime", format!("{runtime} ns is longer than the deadline, {deadline} ns"))
        }
        () if deadline > period => {
            wrong("deadline", format!("{deadline} ns is longer than the period, {period} ns"))
        }
        () => Ok(()),
    }
}

fn io_priority(class: IOPriorityClass, priority: i64) -> Result<(u32, u32), Error> {
    let class = match class {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match u32::try_from(priority) {
        Ok(p) if p < 8 => Ok((class, p)),
        _ => Err(Error::spec("process.ioPriority.priority", format!("{priority} is not between 0 and 7"))),
    }
}

/// `0-3,7` as a list.
pub(crate) fn cpu_list(text: &str, field: &str) -> Result<Vec<usize>, Error> {
    let mut out = Vec::new();
    let wrong = || Error::spec(field, format!("{text:?} is not a list of CPUs"));
    for part in text.split(',').filter(|p| !p.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let from: usize = from.trim().parse().map_err(|_| wrong())?;
        let to: usize = to.trim().parse().map_err(|_| wrong())?;
        if from > to || to >= 8192 {
            return Err(wrong());
        }
        out.extend(from..=to);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_the_containers() {
        let env = vec!["PATH=/a:/b/".to_owned()];
        assert_eq!(candidates("x", &env).unwrap(), [c"/a/x".to_owned(), c"/b/x".to_owned()]);
        assert_eq!(candidates("./x", &env).unwrap(), [c"./x".to_owned()]);
        assert_eq!(candidates("x", &[]).unwrap().len(), 6);
    }

    #[test]
    fn environment_without_a_value_is_refused() {
        assert!(check_env(&["A=1".into(), "B".into()]).is_err());
        assert!(check_env(&["A=".into()]).is_ok());
    }

    #[test]
    fn a_variable_is_there_once_with_its_last_value() {
        let env = ["A=1", "B=x=y", "A=2", "A="].map(str::to_owned);
        assert_eq!(once(&env), ["B=x=y", "A="]);
    }

    #[test]
    fn deadlines_are_checked_before_the_kernel_calls_them_invalid() {
        let check = |runtime, deadline, period| {
            let text = serde_json::json!({ "policy": "SCHED_DEADLINE", "runtime": runtime, "deadline": deadline, "period": period });
            scheduler(&serde_json::from_value(text).unwrap()).map(drop).map_err(|e| e.to_string())
        };
        check(10_000, 20_000, 0).unwrap();
        check(10_000, 20_000, 20_000).unwrap();
        assert!(check(0, 20_000, 20_000).unwrap_err().contains("process.scheduler.runtime: 0 ns"));
        assert!(check(10_000, 0, 20_000).unwrap_err().contains("process.scheduler.deadline"));
        assert!(check(30_000, 20_000, 40_000).unwrap_err().contains("longer than the deadline"));
        assert!(check(10_000, 30_000, 20_000).unwrap_err().contains("longer than the period"));
        assert!(check(10_000, u64::MAX, 0).unwrap_err().contains("process.scheduler.period"));
    }

    #[test]
    fn cpu_lists() {
        assert_eq!(cpu_list("0-2,5", "f").unwrap(), [0, 1, 2, 5]);
        assert!(cpu_list("3-1", "f").is_err());
    }
}
