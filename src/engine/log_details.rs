//! What `logs --details` shows before each line: the labels and variables that `--log-opt` named when the container was
//! made. They are the container's for life, so they are not kept with every line.

use regex_automata::meta::Regex;

use crate::model::container::ContainerSpec;

/// `KEY=VALUE,…`, sorted and escaped as docker does.
pub(super) fn of(spec: &ContainerSpec) -> String {
    let log = &spec.lifecycle.log;
    let option =
        |name: &str| log.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let env: Vec<(&str, &str)> = spec.process.env.iter().filter_map(|e| e.split_once('=')).collect();
    let labels: Vec<(&str, &str)> = spec.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let mut all: Vec<(&str, &str)> = Vec::new();
    for (names, pattern, from) in [("labels", "labels-regex", &labels), ("env", "env-regex", &env)] {
        let wanted: Vec<&str> = option(names).into_iter().flat_map(|list| list.split(',')).collect();
        let regex = option(pattern).and_then(|text| Regex::new(text).ok());
        let fits = |key: &str| wanted.contains(&key) || regex.as_ref().is_some_and(|r| r.is_match(key));
        all.extend(from.iter().filter(|(key, _)| fits(key)));
    }
    all.extend(option("tag").map(|tag| ("tag", tag)));
    all.sort_unstable();
    all.dedup_by(|a, b| a.0 == b.0);
    let pairs: Vec<String> = all.iter().map(|(k, v)| format!("{}={}", escape(k), escape(v))).collect();
    pairs.join(",")
}

/// As in the query of a URL.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
