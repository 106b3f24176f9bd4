//! Isolation: capabilities, `--security-opt`, namespaces, devices, sysctls.

use super::super::exit::Failure;
use super::{commas, strict_pair};
use crate::model::ParseError;
use crate::model::namespace::{IdMapRequest, IdMaps, NamespaceOptions, NsKind, NsMode, UserNsMode};
use crate::model::security::{DeviceRequest, SecurityOptions};

/// Flags for isolation.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Isolation")]
pub struct SecurityArgs {
    /// Add a capability; ALL for all
    #[arg(long, value_name = "CAP")]
    pub cap_add: Vec<String>,
    /// Drop a capability; ALL for all
    #[arg(long, value_name = "CAP")]
    pub cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, apparmor=, label=, mask=, unmask=, proc-opts=, systempaths=
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Whose seccomp policy it gets: default, or image for the one in the image's label io.containers.seccomp.profile
    #[arg(long, value_name = "POLICY")]
    pub seccomp_policy: Option<String>,
    /// PID namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: private, shareable, none, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// UTS namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// cgroup namespace: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
    /// User namespace: host, auto, keep-id, nomap, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Map user ids
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT")]
    pub uidmap: Vec<IdMapRequest>,
    /// Map group ids
    #[arg(long, value_name = "INSIDE:OUTSIDE:COUNT")]
    pub gidmap: Vec<IdMapRequest>,
    /// Map to the user ids that /etc/subuid gives to NAME
    #[arg(long, value_name = "NAME")]
    pub subuidname: Option<String>,
    /// Map to the group ids that /etc/subgid gives to NAME
    #[arg(long, value_name = "NAME")]
    pub subgidname: Option<String>,
    /// Give a device of the host
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]")]
    pub device: Vec<DeviceRequest>,
    /// Add a rule to the list of allowed devices
    #[arg(long, value_name = "RULE")]
    pub device_cgroup_rule: Vec<String>,
    /// GPUs to give ("all" for all)
    #[arg(long, value_name = "REQUEST")]
    pub gpus: Option<String>,
    /// Kernel parameter in the container's namespaces
    #[arg(long, value_name = "KEY=VALUE")]
    pub sysctl: Vec<String>,
    /// cgroup below which the container's is made
    #[arg(long, value_name = "PATH")]
    pub cgroup_parent: Option<String>,
    /// Group of the resctrl file system whose share of cache and memory bandwidth it gets
    #[arg(long, value_name = "GROUP")]
    pub rdt_class: Option<String>,
    /// Whether it has a cgroup: enabled, disabled, no-conmon, split
    #[arg(long, value_name = "MODE", value_parser = ["enabled", "disabled", "no-conmon", "split"])]
    pub cgroups: Option<String>,
}

impl SecurityArgs {
    /// `--security-opt`.
    pub(super) fn security(&self) -> Result<SecurityOptions, Failure> {
        let mut options = SecurityOptions::default();
        for text in &self.security_opt {
            options.add(text, &mut read_profile)?;
        }
        options.seccomp_of_image = match self.seccomp_policy.as_deref() {
            None | Some("" | "default") => false,
            Some("image") => true,
            Some(other) => {
                let text =
                    format!("invalid seccomp policy \"{other}\": valid policies are [\"default\" \"image\"]");
                return Err(Failure::usage(text));
            }
        };
        Ok(options)
    }

    /// Namespaces.
    pub(super) fn namespaces(&self) -> Result<NamespaceOptions, Failure> {
        let mode = |kind, text: &Option<String>| match text {
            Some(t) => NsMode::parse(kind, t),
            None => Ok(None),
        };
        let user = self.user_namespace()?;
        Ok(NamespaceOptions {
            pid: mode(NsKind::Pid, &self.pid)?,
            ipc: mode(NsKind::Ipc, &self.ipc)?,
            uts: mode(NsKind::Uts, &self.uts)?,
            cgroup: mode(NsKind::Cgroup, &self.cgroupns)?,
            user,
            subuid_name: self.subuidname.clone(),
            subgid_name: self.subgidname.clone(),
        })
    }

    /// podman takes no `--userns` at all beside what says more of it.
    pub(super) fn check_as_podman(&self) -> Result<(), Failure> {
        let named = self.subuidname.is_some() || self.subgidname.is_some();
        if self.userns.as_deref().is_some_and(|t| !t.is_empty()) && named {
            return Err(Failure::usage("conflicting options: --userns and --subuidname or --subgidname"));
        }
        Ok(())
    }

    fn user_namespace(&self) -> Result<Option<UserNsMode>, Failure> {
        let mapped = !self.uidmap.is_empty() || !self.gidmap.is_empty();
        let named = self.subuidname.is_some() || self.subgidname.is_some();
        match self.userns.as_deref().filter(|t| !t.is_empty()) {
            Some("private") if mapped || named => {}
            Some(_) if mapped || named => {
                let flags = "--uidmap, --gidmap, --subuidname or --subgidname";
                return Err(Failure::usage(format!("conflicting options: --userns and {flags}")));
            }
            Some(text) => return Ok(Some(text.parse()?)),
            None => {}
        }
        if mapped && named {
            return Err(Failure::usage("conflicting options: --subuidname and --uidmap"));
        }
        if !mapped {
            return Ok(None);
        }
        // What stands in one of the two flags alone is for both, as in podman, unless its own flags say otherwise.
        let mut maps = IdMaps::default();
        let (only_uids, only_gids) = (self.gidmap.is_empty(), self.uidmap.is_empty());
        for (list, for_uids, for_gids) in [(&self.uidmap, true, only_uids), (&self.gidmap, only_gids, true)] {
            for request in list {
                if for_uids && request.uids {
                    maps.uids.push(request.map);
                }
                if for_gids && request.gids {
                    maps.gids.push(request.map);
                }
            }
        }
        Ok(Some(UserNsMode::Mapped(maps)))
    }

    /// Capabilities to add and to drop, upper case.
    pub(super) fn capabilities(&self) -> (Vec<String>, Vec<String>) {
        let upper = |list: &[String]| commas(list.iter().map(|c| c.to_ascii_uppercase()).collect());
        (upper(&self.cap_add), upper(&self.cap_drop))
    }

    /// `--sysctl`.
    pub(super) fn sysctls(&self) -> Result<Vec<(String, String)>, Failure> {
        let pairs = self.sysctl.iter().map(|t| strict_pair("sysctl", t)).collect::<Result<Vec<_>, _>>()?;
        Ok(super::unique_pairs(pairs))
    }

    /// `--device-cgroup-rule`, checked.
    pub(super) fn device_rules(&self) -> Result<Vec<String>, Failure> {
        for rule in &self.device_cgroup_rule {
            if !is_device_rule(rule) {
                return Err(Failure::usage(format!(
                    "invalid argument {rule:?} for \"--device-cgroup-rule\" flag: invalid device cgroup format"
                ))
                .hint("want TYPE MAJOR:MINOR ACCESS, for example 'c 1:3 rwm' or 'b *:* r'"));
            }
        }
        Ok(self.device_cgroup_rule.clone())
    }
}

fn is_device_rule(rule: &str) -> bool {
    let number = |n: &str| n == "*" || (!n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let parts: Vec<&str> = rule.split(' ').collect();
    let [kind, numbers, access] = parts[..] else { return false };
    // podman: no minor number means any.
    let (major, minor) = numbers.split_once(':').unwrap_or((numbers, "*"));
    matches!(kind, "a" | "b" | "c")
        && number(major)
        && number(minor)
        && (1..=3).contains(&access.len())
        && access.bytes().all(|b| b"rwm".contains(&b))
}

fn read_profile(path: &str) -> Result<String, ParseError> {
    std::fs::read_to_string(path)
        .map_err(|e| ParseError::new("seccomp profile", path, format!("opening it failed: {e}")))
}
