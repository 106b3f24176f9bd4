//! What crun's tests and youki's contest found: descriptors that nobody gave, `lo`, devices in user namespaces and of
//! the network, hooks that fail, words that only crun had.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::bundle::{bundle, create, run, runtime, state};
use crate::support::{Sandbox, rcon_binary};

#[test]
fn descriptors_that_the_caller_did_not_open_are_not_handed_on() {
    let s = Sandbox::new("rt-freefds");
    let dir = bundle(&s, "free", "ls -l /proc/self/fd | grep -c runtime; echo $LISTEN_FDS", |_| {});
    let dir = dir.to_string_lossy();
    // Among the numbers that the caller left free are those of our own files.
    let done = runtime(&s, ["run", "--preserve-fds", "8", "--bundle", &dir, "free"]);
    assert!(done.ok().starts_with('0') && !done.stderr.contains("level="), "{done:?}");
    let mut command = s.command();
    command.args(["runtime", "--root", &state(&s), "run", "--bundle", &dir, "activated"]);
    let done = command.env("LISTEN_FDS", "2").output().expect("rcon starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n2\n", "{done:?}");
}

#[test]
fn lo_of_a_new_network_namespace_is_up() {
    let s = Sandbox::new("rt-lo");
    let done = run(&s, "lo", "ifconfig lo", |_| {});
    assert!(done.ok().contains("UP LOOPBACK"), "{done:?}");
}

#[test]
fn a_name_is_not_set_by_two() {
    let s = Sandbox::new("rt-names");
    let with = |key: &'static str, value: &'static str| {
        move |spec: &mut Value| {
            spec["domainname"] = "example.org".into();
            spec["linux"]["sysctl"] = json!({ key: value });
        }
    };
    for key in ["kernel.hostname", "kernel.domainname"] {
        let done = run(&s, "two", "true", with(key, "other"));
        assert!(done.fails(1).contains(&format!("linux.sysctl[{key}]: conflicts")), "{done:?}");
    }
    assert_eq!(
        run(&s, "same", "cat /proc/sys/kernel/domainname", with("kernel.domainname", "example.org")).ok(),
        "example.org"
    );
}

#[test]
fn devices_in_a_user_namespace_are_what_was_asked_for() {
    let s = Sandbox::new("rt-userdev");
    let script = "stat -c '%t:%T %a %u:%g' /dev/mine; grep -o ' /dev/null .*' /proc/self/mountinfo; cat /dev/mine | head -c 3";
    let done = run(&s, "dev", script, |spec| {
        spec["linux"]["namespaces"].as_array_mut().expect("namespaces").push(json!({ "type": "user" }));
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
        (spec["linux"]["uidMappings"], spec["linux"]["gidMappings"]) = (map.clone(), map);
        // The host has none of that name.
        spec["linux"]["devices"] = json!([
            { "path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o644, "uid": 5, "gid": 7 },
        ]);
        spec["linux"]["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
    });
    assert!(done.ok().starts_with("1:5 644 5:7\n"), "{done:?}");
    let flags = done.stdout.lines().nth(1).expect("a mount");
    assert!(flags.contains("nosuid") && flags.contains("noexec") && !flags.contains("nodev"), "{done:?}");
    assert!(done.stdout.contains("\0\0\0"), "{done:?}");
}

#[test]
fn what_fails_after_the_end_is_a_warning() {
    let s = Sandbox::new("rt-poststop");
    let mark = s.dir().join("second");
    let done = run(&s, "stop", "echo ran", |spec| {
        let second = json!(["sh", "-c", format!("touch {}", mark.display())]);
        spec["hooks"] =
            json!({ "poststop": [{ "path": "/bin/false" }, { "path": "/bin/sh", "args": second }] });
    });
    assert_eq!(done.ok(), "ran");
    assert!(done.stderr.contains("error running poststop hook #0: /bin/false"), "{done:?}");
    assert!(mark.exists());
}

#[test]
fn a_container_whose_poststart_hook_fails_is_ended_and_gone() {
    let s = Sandbox::new("rt-poststart");
    let mark = s.dir().join("ended");
    let dir = bundle(&s, "start", "sleep 1000", |spec| {
        let end = json!(["sh", "-c", format!("touch {}", mark.display())]);
        spec["hooks"] = json!({ "poststart": [{ "path": "/bin/false" }], "poststop": [{ "path": "/bin/sh", "args": end }] });
    });
    create(&s, &dir, "start");
    assert!(runtime(&s, ["start", "start"]).fails(1).contains("error running poststart hook #0: /bin/false"));
    assert!(runtime(&s, ["state", "start"]).fails(1).contains("does not exist"));
    assert!(mark.exists());
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().expect("ip");
    assert!(done.status.success(), "ip {words}: {done:?}");
}

#[test]
fn network_devices_move_into_the_container() {
    let s = Sandbox::new("rt-netdev");
    let (ours, peer) =
        (format!("rt{}a", std::process::id() % 100_000), format!("rt{}b", std::process::id() % 100_000));
    let moves = |given: Value| move |spec: &mut Value| spec["linux"]["netDevices"] = given;
    ip(&format!("link add {ours} mtu 1400 type veth peer name {peer}"));
    ip(&format!("addr add 198.51.100.7/24 dev {ours}"));
    ip(&format!("link set {peer} up"));
    // Nothing has happened where a name is wrong, or the host's own namespace is kept.
    assert!(
        run(&s, "none", "true", moves(json!({ "no-such-dev": {} })))
            .fails(1)
            .contains("linux.netDevices[no-such-dev]")
    );
    assert!(
        run(&s, "bad", "true", moves(json!({ &ours: { "name": "a/b" } })))
            .fails(1)
            .contains("invalid network device name")
    );
    let taken = run(&s, "taken", "true", moves(json!({ &ours: { "name": "lo" } })));
    assert!(
        taken.fails(1).contains(&format!("linux.netDevices[{ours}]: the network namespace has a device")),
        "{taken:?}"
    );
    let hosts = run(&s, "hosts", "true", |spec| {
        spec["linux"]["namespaces"].as_array_mut().expect("namespaces").retain(|n| n["type"] != "network");
        spec["linux"]["netDevices"] = json!({ &ours: {} });
    });
    assert!(hosts.fails(1).contains("needs a network namespace"), "{hosts:?}");
    let script = "ifconfig eth7; cat /sys/class/net/eth7/mtu /proc/sys/net/ipv4/conf/eth7/forwarding";
    let done = run(&s, "moved", script, |spec| {
        spec["linux"]["netDevices"] = json!({ &ours: { "name": "eth7" } });
        // Of a device that is there only because it was moved.
        spec["linux"]["sysctl"] = json!({ "net.ipv4.conf.eth7.forwarding": "1" });
    });
    assert!(done.ok().contains("inet addr:198.51.100.7") && done.stdout.contains("UP "), "{done:?}");
    assert!(done.stdout.ends_with("1400\n1\n"), "{done:?}");
    let gone = Command::new("ip").args(["link", "show", &ours]).output().expect("ip");
    assert!(!gone.status.success(), "it went with the container's namespace");
}

#[test]
fn crun_s_words_are_understood() {
    let s = Sandbox::new("rt-crunwords");
    let dir = bundle(&s, "words", "echo plain", |_| {});
    let mut other: Value =
        serde_json::from_slice(&fs::read(dir.join("config.json")).expect("config")).expect("json");
    other["process"]["args"] = json!(["/bin/sh", "-c", "cat /proc/self/cgroup"]);
    other["linux"]["namespaces"].as_array_mut().expect("namespaces").retain(|n| n["type"] != "cgroup");
    fs::write(dir.join("other.json"), other.to_string()).expect("other.json");
    let dir = dir.to_string_lossy();
    let words = ["--cgroup-manager", "disabled", "run", "--config", "other.json", "--bundle", &dir, "words"];
    let done = runtime(&s, words);
    let ours = fs::read_to_string("/proc/self/cgroup").expect("cgroup");
    assert_eq!(done.ok(), ours.trim_end());
    assert!(done.stderr.contains("linux.resources.devices has no effect"), "{done:?}");
    other["linux"]["resources"]["memory"] = json!({ "limit": 64 << 20 });
    fs::write(format!("{dir}/other.json"), other.to_string()).expect("other.json");
    assert!(runtime(&s, words).fails(1).contains(": limits need a cgroup"));
    let both = ["--cgroup-manager", "systemd", "--systemd-cgroup", "list"];
    assert!(runtime(&s, both).fails(1).contains("cannot be used with"));
}

#[test]
fn groups_of_the_caller_stay_where_the_bundle_says_so() {
    let s = Sandbox::new("rt-keepgroups");
    let called = |id: &str, said: &'static str| {
        let dir = bundle(&s, id, "id -G", |spec| {
            spec["annotations"] = json!({ "run.oci.keep_original_groups": said });
        });
        let mut command = Command::new("setpriv");
        command.args(["--groups", "5,7"]).arg(rcon_binary());
        command.args(["runtime", "--root", &state(&s), "run", "--bundle"]).arg(dir).arg(id);
        String::from_utf8(command.output().expect("setpriv").stdout).expect("text")
    };
    assert_eq!(called("kept", "1"), "0 5 7\n");
    assert_eq!(called("dropped", "0"), "0\n");
}

#[test]
fn what_is_bounded_is_not_inherited() {
    let s = Sandbox::new("rt-bounded");
    let dir = bundle(&s, "bounded", "true", |spec| {
        let one = json!(["CAP_SYS_ADMIN"]);
        spec["process"]["capabilities"] = json!({ "effective": one, "permitted": one, "inheritable": one });
    });
    // At creation, not at the start.
    let done = runtime(&s, ["create", "--bundle", &dir.to_string_lossy(), "bounded"]);
    assert!(done.fails(1).contains("Operation not permitted"), "{done:?}");
}

#[test]
fn recursive_words_hold_for_new_file_systems() {
    let s = Sandbox::new("rt-rro");
    let script = "grep -E ' /(mnt|mnt/below|proc) ' /proc/self/mountinfo | cut -d' ' -f5,6";
    let done = run(&s, "rro", script, |spec| {
        for mount in spec["mounts"].as_array_mut().expect("mounts") {
            if mount["destination"] == "/proc" {
                mount["options"] = json!(["rnosuid", "rnoatime"]);
            }
        }
        let more = ["/mnt", "/mnt/below"].map(|place| json!({ "destination": place, "type": "tmpfs", "source": "tmpfs", "options": ["rnodev"] }));
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.extend(more);
        let at = mounts.len() - 2;
        // The one below needs its place in it first.
        mounts[at]["options"] = json!(["rro"]);
    });
    let lines: Vec<&str> = done.ok().lines().collect();
    assert_eq!(lines, ["/proc rw,nosuid,noatime", "/mnt ro,relatime", "/mnt/below ro,nodev,relatime"]);
}

#[test]
fn an_exec_joins_a_cgroup_below_where_there_is_one() {
    let s = Sandbox::new("rt-below");
    if std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        return;
    }
    let path = format!("rcon-test-below-{}", std::process::id());
    let dir =
        bundle(&s, "below", "sleep 1000", |spec| spec["linux"]["cgroupsPath"] = format!("/{path}").into());
    create(&s, &dir, "below");
    runtime(&s, ["start", "below"]).ok();
    let below = format!("/sys/fs/cgroup/memory/{path}/foo");
    fs::create_dir(&below).expect("a cgroup");
    let groups = runtime(&s, ["exec", "--cgroup", "foo", "below", "cat", "/proc/self/cgroup"]);
    assert!(groups.ok().contains(&format!(":memory:/{path}/foo")), "{groups:?}");
    assert!(groups.stdout.contains(&format!(":pids:/{path}\n")), "{groups:?}");
    let none = runtime(&s, ["exec", "--cgroup", "bar", "below", "true"]);
    assert!(none.fails(255).contains("No such file or directory"), "{none:?}");
    fs::remove_dir(&below).expect("empty");
    runtime(&s, ["delete", "--force", "below"]).ok();
}

#[test]
fn a_failed_start_is_over_when_it_is_told() {
    let s = Sandbox::new("rt-overstart");
    let dir = bundle(&s, "over", "true", |spec| {
        spec["hooks"] = json!({ "startContainer": [{ "path": "/bin/false" }] });
    });
    for _ in 0..10 {
        create(&s, &dir, "over");
        assert!(runtime(&s, ["start", "over"]).fails(1).contains("startContainer hook #0"));
        // Not by force.
        runtime(&s, ["delete", "over"]).ok();
    }
}
