//! What holds for every process of a container, its first and those of exec: execution domain and
//! memory policy.

use oci_spec::runtime::{Linux, LinuxPersonalityDomain, MemoryPolicyFlagType, MemoryPolicyModeType};

use super::process::cpu_list;
use crate::runtime::Error;

/// Execution domain and memory policy.
#[derive(Debug, Default)]
pub(crate) struct Domain {
    pub personality: Option<u32>,
    pub memory_policy: Option<(i32, Vec<u64>)>,
}

impl Domain {
    /// Reads them.
    pub(crate) fn new(linux: &Linux) -> Result<Self, Error> {
        Ok(Self {
            personality: linux.personality().as_ref().map(personality).transpose()?,
            memory_policy: linux.memory_policy().as_ref().map(memory_policy).transpose()?,
        })
    }
}

fn personality(given: &oci_spec::runtime::LinuxPersonality) -> Result<u32, Error> {
    if given.flags().as_ref().is_some_and(|f| !f.is_empty()) {
        return Err(Error::spec("linux.personality.flags", "no flags are defined yet"));
    }
    Ok(match given.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

fn memory_policy(given: &oci_spec::runtime::LinuxMemoryPolicy) -> Result<(i32, Vec<u64>), Error> {
    let mut mode = match given.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    for flag in given.flags().iter().flatten() {
        mode |= match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        };
    }
    let text = given.nodes().as_deref().unwrap_or_default();
    let list = cpu_list(text, "linux.memoryPolicy.nodes").map_err(|_| {
        Error::spec("linux.memoryPolicy.nodes", format!("invalid memory policy node list {text:?}"))
    })?;
    if mode == 0 && !list.is_empty() {
        let why = format!("mode requires 0 nodes but got {}", list.len());
        return Err(Error::spec("linux.memoryPolicy", why));
    }
    let mut nodes = Vec::new();
    for node in list {
        if nodes.len() <= node / 64 {
            nodes.resize(node / 64 + 1, 0);
        }
        nodes[node / 64] |= 1 << (node % 64);
    }
    Ok((mode, nodes))
}
