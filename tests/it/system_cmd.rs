//! Commands about the whole: `mount` and `unmount`, `system prune`, `system reset`, `system install-service`, and the
//! stop and start around a shutdown.

use std::path::Path;

use crate::support::{Sandbox, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

#[test]
fn a_container_is_mounted_on_the_host_running_or_not() {
    let s = sandbox("mount");
    s.rcon(["run", "-d", "--name", "r", "busybox", "sleep", "1000"]).ok();
    s.rcon(["create", "--name", "c", "busybox", "sh", "-c", "ls /made; sleep 1000"]).ok();
    let stopped = s.rcon(["mount", "c"]).ok().to_owned();
    std::fs::write(Path::new(&stopped).join("made"), "x").expect("written");
    // The container starts with the very mount: both sides see what the other writes.
    s.rcon(["start", "c"]).ok();
    crate::support::eventually("it lists", || s.rcon(["logs", "c"]).ok() == "/made");
    s.rcon(["exec", "c", "touch", "/inside"]).ok();
    assert!(Path::new(&stopped).join("inside").exists());
    let running = s.rcon(["mount", "r"]).ok().to_owned();
    s.rcon(["exec", "r", "touch", "/live"]).ok();
    assert!(Path::new(&running).join("live").exists());
    assert_eq!(s.rcon(["mount"]).ok().lines().count(), 2);
    let json: serde_json::Value =
        serde_json::from_str(s.rcon(["mount", "--format", "json"]).ok()).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(2));
    s.rcon(["unmount", "r"]).ok();
    assert!(!Path::new(&running).exists());
    // Removing takes the mount along.
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
    assert_eq!(s.rcon(["mount"]).ok(), "");
    assert!(!sh("cat /proc/self/mountinfo").contains("/merged"));
}

#[test]
fn prune_takes_containers_networks_volumes_and_images() {
    let s = sandbox("sysprune");
    s.rcon(["run", "--name", "gone", "-v", "/anonymous", "busybox", "true"]).ok();
    s.rcon(["run", "-d", "--name", "stays", "busybox", "sleep", "1000"]).ok();
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["pull", "-q", "debian"]).ok();
    let text = s.rcon(["system", "prune", "-f", "--volumes"]).ok().to_owned();
    for wanted in
        ["Deleted Containers:", "Deleted Networks:\nn1", "Deleted Volumes:", "Total reclaimed space:"]
    {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(!text.contains("Deleted Images"), "{text}");
    let text = s.rcon(["system", "prune", "-a", "-f"]).ok().to_owned();
    assert!(text.contains("Deleted Images:\nuntagged: debian"), "{text}");
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}}"]).ok(), "busybox", "in use");
    let text = s.rcon(["system", "prune", "-a", "-f", "--filter", "until=24h"]).ok().to_owned();
    assert!(!text.contains("Deleted"), "{text}");
    s.rcon(["rm", "-f", "-t", "0", "stays"]).ok();
}

#[test]
fn reset_leaves_nothing() {
    let s = sandbox("sysreset");
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["run", "-d", "--name", "c", "--network", "n1", "-v", "v:/v", "busybox", "sleep", "1000"]).ok();
    s.rcon(["mount", "c"]).ok();
    s.rcon_with_input(["secret", "create", "x", "-"], b"x").ok();
    s.rcon(["system", "reset"]).fails(1);
    s.rcon(["system", "reset", "-f"]).ok();
    assert_eq!(std::fs::read_dir(s.root()).expect("root").count(), 0);
    assert!(!sh("ip -o link").contains("br-"), "no bridge");
    for list in [&["ps", "-aq"][..], &["images", "-q"], &["volume", "ls", "-q"], &["secret", "ls", "-q"]] {
        assert_eq!(s.rcon(list).ok(), "");
    }
}

#[test]
fn what_ran_before_a_shutdown_runs_after_the_boot() {
    let s = sandbox("sysboot");
    for (name, policy) in
        [("always", "always"), ("unless", "unless-stopped"), ("halted", "unless-stopped"), ("never", "no")]
    {
        s.rcon(["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]).ok();
    }
    s.rcon(["stop", "-t", "0", "halted"]).ok();
    let units = s.dir().join("units");
    let dir = units.to_str().expect("text");
    s.rcon(["system", "install-service", "--dir", dir]).ok();
    let unit = std::fs::read_to_string(units.join("rcon.service")).expect("unit");
    assert!(units.join("multi-user.target.wants/rcon.service").exists());
    let command = |key: &str| {
        let line = unit.lines().find_map(|l| l.strip_prefix(key)).expect("the line").to_owned();
        sh(&line)
    };
    command("ExecStop=");
    assert_eq!(s.rcon(["ps", "-q"]).ok(), "");
    command("ExecStart=");
    let names = s.rcon(["ps", "--format", "{{.Names}}"]).ok().to_owned();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["always", "unless"]);
    s.rcon(["system", "install-service", "--dir", dir, "--remove"]).ok();
    assert!(!units.join("rcon.service").exists());
}
