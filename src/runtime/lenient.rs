//! What others write into `config.json` and `process.json` that the types of the spec's crate do not
//! take: left out users, capabilities of newer kernels, other spellings. Runs on the JSON, before it is typed.
//!
//! Also the checks whose message must name the word, because scripts look for it.

use serde_json::{Map, Value, json};

use super::Error;
use crate::sys::caps;

/// Makes a whole spec acceptable; returns what is worth a warning.
///
/// # Errors
/// [`Error::Spec`] for a word that means nothing.
pub(super) fn spec(value: &mut Value) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    if let Some(process) = value.get_mut("process").and_then(Value::as_object_mut) {
        self::process(process, &mut warnings);
    }
    if let Some(policy) = value.pointer("/linux/memoryPolicy") {
        memory_policy(policy)?;
    }
    if let Some(limits) = value.pointer_mut("/linux/resources") {
        resources(limits);
    }
    Ok(warnings)
}

/// The same for limits alone.
pub(super) fn resources(value: &mut Value) {
    spelling(value);
    if let Some(rules) = value.pointer_mut("/devices").and_then(Value::as_array_mut) {
        rules.iter_mut().for_each(device_rule);
    }
}

/// Fields of limits. Those that have other names within (devices of `rdma`, files of `unified`) end the search.
const RESOURCES: &str = "allow blockIO burst checkBeforeUpdate classID cpu cpus devices disableOOMKiller hugepageLimits \
    idle kernel kernelTCP leafWeight limit major mems memory minor name network pageSize period pids priorities priority \
    quota rate rdma realtimePeriod realtimeRuntime reservation shares swap swappiness throttleReadBpsDevice \
    throttleReadIOPSDevice throttleWriteBpsDevice throttleWriteIOPSDevice type access unified useHierarchy weight \
    weightDevice";

/// A field in other letters is the field, as for runc, whose language reads JSON so: a limit that is misspelt is not to
/// be no limit. The right spelling counts where there are both.
fn spelling(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(spelling),
        Value::Object(fields) => {
            let known = |name: &str| RESOURCES.split_whitespace().find(|r| r.eq_ignore_ascii_case(name));
            let misspelt = |name: &&String| known(name).is_some_and(|right| right != *name);
            let others: Vec<String> = fields.keys().filter(misspelt).cloned().collect();
            for other in others {
                if let (Some(right), Some(inner)) = (known(&other), fields.remove(&other)) {
                    fields.entry(right).and_modify(|there| add(there, &inner)).or_insert(inner);
                }
            }
            let plain = fields.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "rdma" | "unified"));
            plain.for_each(|(_, inner)| spelling(inner));
        }
        _ => {}
    }
}

/// Fields that are not there yet.
fn add(there: &mut Value, more: &Value) {
    let (Some(there), Some(more)) = (there.as_object_mut(), more.as_object()) else { return };
    for (name, value) in more {
        there.entry(name.clone()).and_modify(|inner| add(inner, value)).or_insert_with(|| value.clone());
    }
}

/// The same for a process alone.
pub(super) fn process(process: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    process.entry("user").or_insert_with(|| json!({ "uid": 0, "gid": 0 }));
    if let Some(user) = process.get_mut("user").and_then(Value::as_object_mut) {
        for id in ["uid", "gid"] {
            user.entry(id).or_insert_with(|| 0.into());
        }
    }
    if let Some(sets) = process.get_mut("capabilities").and_then(Value::as_object_mut) {
        capabilities(sets, warnings);
    }
    let flags = process.get_mut("scheduler").and_then(|s| s.get_mut("flags")).and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        match flag.as_str() {
            Some("SCHED_FLAG_RESET_ON_FORK") => *flag = "SCHED_RESET_ON_FORK".into(),
            Some("SCHED_FLAG_DL_OVERRUN") => *flag = "SCHED_FLAG_D_L_OVERRUN".into(),
            _ => {}
        }
    }
}

/// A capability that this kernel does not have cannot be given: said, and left out.
fn capabilities(sets: &mut Map<String, Value>, warnings: &mut Vec<String>) {
    let mut unknown: Vec<String> = Vec::new();
    for list in sets.values_mut().filter_map(Value::as_array_mut) {
        list.retain(|name| {
            let Some(text) = name.as_str() else { return true };
            let known = caps::number(text).is_some();
            if !known && !unknown.iter().any(|u| u == text) {
                unknown.push(text.to_owned());
            }
            known
        });
    }
    if !unknown.is_empty() {
        unknown.sort();
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    let list = |name: &str| -> Vec<String> {
        let of = sets.get(name).and_then(Value::as_array);
        of.into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let (inheritable, permitted) = (list("inheritable"), list("permitted"));
    for name in list("ambient") {
        if !inheritable.contains(&name) || !permitted.contains(&name) {
            warnings.push(format!(
                "can't raise ambient capability {name}: it is not both permitted and inheritable"
            ));
        }
    }
}

/// Letters other than r, w and m mean nothing to the kernel either.
fn device_rule(rule: &mut Value) {
    let Some(access) = rule.get("access").and_then(Value::as_str) else { return };
    let kept: String = ['r', 'w', 'm'].into_iter().filter(|c| access.contains(*c)).collect();
    if !kept.is_empty() && kept != access {
        rule["access"] = kept.into();
    }
}

fn memory_policy(policy: &Value) -> Result<(), Error> {
    const MODES: [&str; 7] = [
        "MPOL_DEFAULT",
        "MPOL_PREFERRED",
        "MPOL_BIND",
        "MPOL_INTERLEAVE",
        "MPOL_LOCAL",
        "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ];
    const FLAGS: [&str; 3] = ["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"];
    let mode = policy.get("mode").and_then(Value::as_str).unwrap_or_default();
    if !MODES.contains(&mode) {
        return Err(Error::spec("linux.memoryPolicy", format!("invalid memory policy mode {mode:?}")));
    }
    for flag in policy.get("flags").and_then(Value::as_array).into_iter().flatten() {
        if !flag.as_str().is_some_and(|f| FLAGS.contains(&f)) {
            return Err(Error::spec("linux.memoryPolicy", format!("invalid memory policy flag {flag}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_user_is_roots() {
        let mut value = json!({ "process": { "args": ["x"], "cwd": "/" } });
        assert!(spec(&mut value).unwrap().is_empty());
        assert_eq!(value["process"]["user"], json!({ "uid": 0, "gid": 0 }));
    }

    #[test]
    fn what_the_kernel_cannot_give_is_left_out_with_a_warning() {
        let sets = json!({ "bounding": ["CAP_KILL", "CAP_LUCK"], "ambient": ["CAP_LUCK", "CAP_CHOWN"] });
        let mut value = json!({ "process": { "capabilities": sets } });
        let warnings = spec(&mut value).unwrap();
        assert_eq!(value["process"]["capabilities"]["bounding"], json!(["CAP_KILL"]));
        assert_eq!(warnings[0], "ignoring unknown or unavailable capabilities: [CAP_LUCK]");
        assert!(warnings[1].starts_with("can't raise ambient capability CAP_CHOWN: "));
    }

    #[test]
    fn memory_policies_name_the_wrong_word() {
        for (policy, word) in [
            (json!({}), "invalid memory policy mode \"\""),
            (json!({ "mode": "INTERLEAVE" }), "mode \"INTERLEAVE\""),
            (json!({ "mode": "MPOL_BIND", "flags": ["bad"] }), "invalid memory policy flag \"bad\""),
        ] {
            let mut value = json!({ "linux": { "memoryPolicy": policy } });
            assert!(spec(&mut value).unwrap_err().to_string().contains(word));
        }
    }

    #[test]
    fn limits_are_known_in_any_letters() {
        let mut value = json!({
            "CPU": { "Cpus": "0", "MEMS": "1", "mems": "2", "shares": 3 }, "cpu": { "shares": 4 }, "memory": { "LIMIT": 5, "other": 6 },
            "unified": { "Memory.max": "7" }, "devices": [{ "Allow": false, "Access": "rwx" }],
        });
        resources(&mut value);
        let wanted = json!({
            "cpu": { "cpus": "0", "mems": "2", "shares": 4 }, "memory": { "limit": 5, "other": 6 },
            "unified": { "Memory.max": "7" }, "devices": [{ "allow": false, "access": "rw" }],
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn device_rules_keep_the_letters_that_mean_something() {
        let mut rule = json!({ "access": "rwa" });
        device_rule(&mut rule);
        assert_eq!(rule["access"], "rw");
    }
}
