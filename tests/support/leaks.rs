//! The leak check: what must be as it was before a test, and what must be gone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::sh;

/// The kernel's state before a test.
pub struct Baseline {
    links: BTreeSet<String>,
    mounts: usize,
}

impl Baseline {
    /// Takes it, in the calling thread's namespaces.
    #[must_use]
    pub fn take() -> Self {
        Self { links: links(), mounts: mounts().len() }
    }
}

fn links() -> BTreeSet<String> {
    sh("ip -o link | cut -d: -f2")
        .split_whitespace()
        .map(|l| l.split('@').next().unwrap_or(l).to_owned())
        .collect()
}

fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    text.lines().map(str::to_owned).collect()
}

/// Everything that is left over; empty if nothing is. Bridges of networks may stay, as docker's and podman's do.
#[must_use]
pub fn find(before: &Baseline, root: &Path, run: &Path, ids: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for link in links().difference(&before.links) {
        if !link.starts_with("rcon") && !link.starts_with("br-") {
            found.push(format!("network interface {link}"));
        }
    }
    let now = mounts();
    if now.len() != before.mounts {
        let ours: Vec<_> = now.iter().filter(|m| m.contains("rcon")).map(String::as_str).collect();
        found.push(format!("{} mounts instead of {}:\n  {}", now.len(), before.mounts, ours.join("\n  ")));
    }
    nft_elements(&mut found);
    for id in ids {
        cgroups(id, &mut found);
    }
    processes(root, &mut found);
    for (what, dir) in [
        ("container folder", root.join("containers")),
        ("staging folder", root.join("tmp")),
        ("trash", root.join("trash")),
        ("run folder", run.join("containers")),
    ] {
        for entry in entries(&dir) {
            // What is in it tells who has left it.
            let inside: Vec<_> =
                entries(&entry).iter().filter_map(|e| Some(e.file_name()?.to_owned())).collect();
            found.push(format!("{what} {} with {inside:?}", entry.display()));
        }
    }
    leases(&run.join("leases"), &mut found);
    found
}

fn entries(dir: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(dir).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default()
}

fn leases(dir: &Path, found: &mut Vec<String>) {
    for entry in entries(dir) {
        if entry.is_dir() {
            leases(&entry, found);
        } else if !entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.')) {
            found.push(format!("lease {}", entry.display()));
        }
    }
}

fn nft_elements(found: &mut Vec<String>) {
    let text = sh("nft -j list ruleset 2>/dev/null || true");
    let Ok(rules) = serde_json::from_str::<serde_json::Value>(&text) else { return };
    for object in rules["nftables"].as_array().into_iter().flatten() {
        for kind in ["map", "set"] {
            let set = &object[kind];
            let name = set["name"].as_str().unwrap_or_default();
            // Sets of interfaces and subnets belong to networks, which stay.
            let of_network = ["networks", "open", "same"].contains(&name);
            if set["table"] == "rcon" && !of_network && set["elem"].as_array().is_some_and(|e| !e.is_empty())
            {
                found.push(format!("nft {kind} {name}: {}", set["elem"]));
            }
        }
    }
}

fn cgroups(id: &str, found: &mut Vec<String>) {
    let Ok(hierarchies) = fs::read_dir("/sys/fs/cgroup") else { return };
    let mut roots: Vec<_> = hierarchies.flatten().map(|e| e.path()).collect();
    roots.push("/sys/fs/cgroup".into());
    for hierarchy in roots {
        for parent in ["rcon", "machine.slice", ""] {
            for name in [id.to_owned(), format!("rcon-{id}.scope"), format!("rcon-{id}")] {
                let dir = hierarchy.join(parent).join(name);
                if dir.is_dir() {
                    found.push(format!("cgroup {}", dir.display()));
                }
            }
        }
    }
}

/// Processes that were started for this test's roots: their environment or arguments name the root.
fn processes(root: &Path, found: &mut Vec<String>) {
    let needle = root.to_string_lossy().into_owned();
    let me = std::process::id().to_string();
    for entry in entries(Path::new("/proc")) {
        let Some(pid) = entry.file_name().map(|n| n.to_string_lossy().into_owned()) else { continue };
        if !pid.bytes().all(|b| b.is_ascii_digit()) || pid == me {
            continue;
        }
        let state = fs::read_to_string(entry.join("stat")).unwrap_or_default();
        if state.rsplit(')').next().is_some_and(|s| s.trim_start().starts_with('Z')) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            let text = fs::read(entry.join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            if text.contains(&needle) && !text.contains("registry") {
                found.push(format!("process {pid}: {}", text.replace('\0', " ")));
                break;
            }
        }
    }
}
