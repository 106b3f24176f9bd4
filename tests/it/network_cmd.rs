//! `rcon network …` and what containers on named networks see: names, several networks, fixed addresses, a
//! firewall that mends itself.

use crate::support::{Sandbox, eventually, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

fn run(s: &Sandbox, name: &str, args: &[&str]) {
    let mut all = vec!["run", "-d", "--name", name];
    all.extend_from_slice(args);
    all.extend_from_slice(&["busybox", "sleep", "1000"]);
    s.rcon(all).ok();
}

fn inspect(s: &Sandbox, container: &str, template: &str) -> String {
    s.rcon(["inspect", "--format", template, container]).ok().to_owned()
}

#[test]
fn networks_are_made_listed_shown_and_removed() {
    let s = sandbox("network-cmd");
    let id = s.rcon(["network", "create", "--label", "tier=back", "n1"]).ok().to_owned();
    assert_eq!(id.len(), 64);
    s.rcon(["network", "create", "n1"]).fails(1);
    s.rcon(["network", "create", "--ignore", "n1"]).ok();
    s.rcon(["network", "create", "--subnet", "10.50.0.0/24", "--gateway", "10.50.0.254", "--internal", "n2"])
        .ok();
    let text = s.rcon(["network", "create", "--subnet", "10.50.0.128/25", "n3"]).fails(1).to_owned();
    assert!(text.contains("10.50.0.0/24 of network n2"), "{text}");
    let text = s.rcon(["network", "create", "--subnet", "192.0.2.0/24", "n3"]).fails(1).to_owned();
    assert!(text.contains("192.0.2.0/24") && text.contains("dev host0"), "{text}");
    s.rcon(["network", "create", "-d", "overlay", "n3"]).fails(1);
    s.rcon(["network", "create", "host"]).fails(1);
    let names = s.rcon(["network", "ls", "--format", "{{.Name}}"]);
    assert_eq!(names.ok(), "bridge\nhost\nn1\nn2\nnone");
    assert_eq!(s.rcon(["network", "ls", "-q", "--filter", "label=tier=back"]).ok(), &id[..12]);
    let json = s.rcon(["network", "inspect", "n2"]);
    let json: serde_json::Value = serde_json::from_str(json.ok()).expect("JSON");
    assert_eq!(json[0]["IPAM"]["Config"][0]["Gateway"], "10.50.0.254");
    assert_eq!(json[0]["Internal"], true);
    s.rcon(["network", "exists", "n2"]).ok();
    s.rcon(["network", "exists", "n9"]).fails(1);
    run(&s, "c1", &["--network", "n1"]);
    s.rcon(["network", "rm", "n1"]).fails(1);
    assert_eq!(s.rcon(["network", "prune", "-f"]).ok(), "Deleted Networks:\nn2");
    s.rcon(["rm", "-f", "c1"]).ok();
    assert_eq!(s.rcon(["network", "rm", "n1"]).ok(), "n1");
    s.rcon(["network", "rm", "bridge"]).fails(1);
    assert!(!sh("ip -o link").contains(&format!("br-{}", &id[..12])));
}

#[test]
fn containers_of_a_network_find_each_other_by_name() {
    let s = sandbox("network-names");
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["network", "create", "--internal", "n2"]).ok();
    run(&s, "web", &["--network", "n1", "--network-alias", "www"]);
    run(&s, "client", &["--network", "n1"]);
    run(&s, "other", &["--network", "n2"]);
    let ip = inspect(&s, "web", "{{.NetworkSettings.Networks.n1.IPAddress}}");
    let short = inspect(&s, "web", "{{slice .Id 0 12}}");
    for name in ["web", "www", "WEB", "web.n1", "web.dns.podman", &short] {
        let done = s.rcon(["exec", "client", "nslookup", name]);
        assert!(done.stdout.contains(&ip), "{name}: {} {}", done.stdout, done.stderr);
    }
    let done = s.rcon(["exec", "client", "nslookup", &ip]);
    assert!(done.stdout.contains("web.n1"), "{} {}", done.stdout, done.stderr);
    // Another network's names are not told, and nothing is asked outside for an internal network.
    let done = s.rcon(["exec", "other", "nslookup", "web"]);
    assert!(!done.stdout.contains(&ip) && done.stdout.contains("NXDOMAIN"), "{}", done.stdout);
    s.rcon(["network", "connect", "--alias", "db", "n1", "other"]).ok();
    let done = s.rcon(["exec", "client", "nslookup", "db"]);
    let db = inspect(&s, "other", "{{.NetworkSettings.Networks.n1.IPAddress}}");
    assert!(done.stdout.contains(&db), "{}", done.stdout);
    // One of the default network, which has no names of its own, learns those of a network that it comes to; also over
    // a restart.
    run(&s, "late", &[]);
    s.rcon(["network", "connect", "n1", "late"]).ok();
    for _ in 0..2 {
        let done = s.rcon(["exec", "late", "nslookup", "web"]);
        assert!(done.stdout.contains(&ip), "{} {}", done.stdout, done.stderr);
        s.rcon(["restart", "-t", "0", "late"]).ok();
    }
    s.rcon(["rm", "-f", "-t", "0", "late"]).ok();
    s.rcon(["rm", "-f", "-t", "0", "web"]).ok();
    let done = s.rcon(["exec", "client", "nslookup", "-type=a", "web"]);
    assert!(!done.stdout.contains(&ip), "{}", done.stdout);
    s.rcon(["rm", "-f", "-t", "0", "client", "other"]).ok();
}

#[test]
fn a_container_is_attached_and_detached_while_it_runs() {
    let s = sandbox("network-connect");
    for n in ["n1", "n2"] {
        s.rcon(["network", "create", n]).ok();
    }
    s.rcon(["network", "create", "--subnet", "10.60.0.0/24", "n3"]).ok();
    run(&s, "c1", &["--network", "n1", "--network", "n2"]);
    let addresses = |s: &Sandbox| s.rcon(["exec", "c1", "ip", "-o", "addr"]).ok().to_owned();
    assert!(addresses(&s).contains("eth1"));
    s.rcon(["network", "connect", "--ip", "10.60.0.77", "--mac-address", "02:00:00:00:00:99", "n3", "c1"])
        .ok();
    assert!(addresses(&s).contains("10.60.0.77/24"));
    assert!(s.rcon(["exec", "c1", "ip", "link"]).ok().contains("02:00:00:00:00:99"));
    s.rcon(["network", "connect", "n3", "c1"]).fails(1);
    s.rcon(["network", "disconnect", "n1", "c1"]).ok();
    s.rcon(["network", "disconnect", "n1", "c1"]).fails(1);
    s.rcon(["network", "disconnect", "-f", "n1", "c1"]).ok();
    assert!(!addresses(&s).contains("eth0"));
    assert!(s.rcon(["exec", "c1", "ip", "route"]).ok().contains("default via"), "the way out moved");
    // What was changed while it ran is so after the next start.
    s.rcon(["restart", "-t", "0", "c1"]).ok();
    assert!(addresses(&s).contains("10.60.0.77/24") && !addresses(&s).contains("eth0"));
    run(&s, "c2", &["--network", "n3", "--ip", "10.60.0.5"]);
    let text = s.rcon(["run", "--rm", "--network", "n3", "--ip", "10.60.0.5", "busybox", "true"]);
    assert!(text.fails(125).contains("10.60.0.5"), "{}", text.stderr);
    s.rcon(["rm", "-f", "-t", "0", "c1", "c2"]).ok();
}

#[test]
fn the_firewall_of_a_running_container_mends_itself() {
    let s = sandbox("network-mend");
    run(&s, "c1", &["-p", "18080:80"]);
    sh("nft flush ruleset");
    eventually("the port is published again", || sh("nft list ruleset").contains("18080"));
    s.rcon(["network", "reload", "c1"]).ok();
    s.rcon(["rm", "-f", "-t", "0", "c1"]).ok();
}
