//! The runtime as a user without root calls it, alone: no podman around it has made a user namespace before.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::bundle::of_user;
use crate::support::{Done, Sandbox, eventually, rootfs};

/// nobody: every machine has it.
const USER: u32 = 65534;

/// A user with a bundle of `spec --rootless`.
struct User {
    own: PathBuf,
}

impl User {
    fn new(s: &Sandbox) -> Self {
        let own = of_user(s, USER);
        let bundle = own.join("bundle");
        fs::create_dir(&bundle).expect("bundle");
        std::os::unix::fs::chown(&bundle, Some(USER), Some(USER)).expect("owner");
        let user = Self { own };
        user.rcon(&["spec", "--rootless"]).ok();
        user.change(|spec| {
            spec["root"]["path"] = json!(rootfs::busybox(s));
            spec["process"]["terminal"] = false.into();
        });
        user
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        let file = self.own.join("bundle/config.json");
        let mut spec = serde_json::from_slice(&fs::read(&file).expect("config.json")).expect("json");
        change(&mut spec);
        fs::write(&file, spec.to_string()).expect("config.json");
    }

    fn command(&self, words: &[&str]) -> Command {
        let id = USER.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]);
        command.arg(self.own.join("rcon")).arg("runtime").args(words);
        command.current_dir(self.own.join("bundle")).stdin(Stdio::null());
        command.env("XDG_RUNTIME_DIR", self.own.join("run"));
        command
    }

    fn rcon(&self, words: &[&str]) -> Done {
        Done::from(&self.command(words).output().expect("setpriv"))
    }
}

#[test]
fn a_bundle_lives_its_whole_life() {
    let s = Sandbox::new("rt-user");
    let user = User::new(&s);
    user.change(|spec| {
        let script =
            "trap \"exit 5\" TERM; cat /proc/self/uid_map; ls -l /dev/null; while :; do sleep 0.05; done";
        spec["process"]["args"] = json!(["sh", "-c", script]);
        // A bind, a bind of an own mount, and what is masked by a file.
        fs::write(user.own.join("file"), "of the user").expect("file");
        let mounts = spec["mounts"].as_array_mut().expect("mounts");
        mounts.push(
            json!({ "destination": "/dev/f", "source": user.own.join("file"), "options": ["bind", "ro"] }),
        );
    });
    let out = fs::File::create(user.own.join("out")).expect("out");
    let errors = out.try_clone().expect("out");
    let made = user.command(&["create", "life"]).stdout(out).stderr(errors).status().expect("setpriv");
    let text = || fs::read_to_string(user.own.join("out")).expect("out");
    assert!(made.success(), "{}", text());
    user.rcon(&["start", "life"]).ok();
    eventually("the program runs", || text().contains("/dev/null"));
    assert!(text().contains(&USER.to_string()) && text().contains("\nc"), "{}", text());

    let seen = user.rcon(&[
        "exec",
        "life",
        "sh",
        "-c",
        "id -u; cat /dev/f; touch /dev/f || echo kept; hostname; exit 7",
    ]);
    assert_eq!((seen.code, &*seen.stdout), (7, "0\nof the userkept\nrcon\n"), "{}", seen.stderr);
    // What runs on must not keep the pipes of a test that waits for their end.
    let mut detached = user.command(&["exec", "--detach", "life", "sleep", "1000"]);
    assert!(detached.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("setpriv").success());
    let pids =
        || serde_json::from_str::<Vec<i32>>(user.rcon(&["ps", "-f", "json", "life"]).ok()).expect("pids");
    // The shell, its own sleep now and then, and the other one.
    eventually("both are listed, without a cgroup", || pids().len() >= 2);

    let refused = user.rcon(&["pause", "life"]);
    assert!(refused.code == 1 && refused.stderr.contains("cgroup"), "{}", refused.stderr);
    user.rcon(&["kill", "--all", "life", "TERM"]).ok();
    eventually("all have ended", || user.rcon(&["state", "life"]).stdout.contains("\"stopped\""));
    assert!(pids().is_empty());
    user.rcon(&["delete", "life"]).ok();
    assert_eq!(user.rcon(&["list", "-q"]).ok(), "");
}

#[test]
fn limits_that_nobody_holds_to_are_refused() {
    let s = Sandbox::new("rt-user-limits");
    let user = User::new(&s);
    user.change(|spec| spec["linux"]["resources"] = json!({ "memory": { "limit": 100_000_000 } }));
    // Where the user may make cgroups, the limit holds.
    let refused = user.rcon(&["run", "limited"]);
    assert_eq!(refused.code, 1, "{}", refused.stdout);
    assert!(refused.stderr.contains("linux.resources.memory: cannot set memory limit"), "{}", refused.stderr);
}

#[test]
fn ranges_of_ids_are_mapped_by_the_helpers() {
    let s = Sandbox::new("rt-user-ranges");
    let user = User::new(&s);
    let ids = s.dir().join("subid");
    fs::write(&ids, "nobody:300000:65536\n").expect("subid");
    for file in ["/etc/subuid", "/etc/subgid"] {
        if !fs::exists(file).expect("/etc") {
            // Not made here: it would be the machine's.
            eprintln!("skipped: no {file} to put another one over");
            return;
        }
        nix::mount::mount(Some(&ids), file, None::<&str>, nix::mount::MsFlags::MS_BIND, None::<&str>)
            .expect("bind");
    }
    user.change(|spec| {
        let map = |own| json!([{ "containerID": 0, "hostID": own, "size": 1 }, { "containerID": 1, "hostID": 300_000, "size": 65536 }]);
        spec["linux"]["uidMappings"] = map(USER);
        spec["linux"]["gidMappings"] = map(USER);
        spec["process"]["user"] = json!({ "uid": 7, "gid": 8, "additionalGids": [9] });
        spec["process"]["args"] = json!(["sh", "-c", "id -u; id -G; cat /proc/self/setgroups"]);
    });
    assert_eq!(user.rcon(&["run", "ranges"]).ok(), "7\n8 9\nallow");
    // What is not the user's is not given.
    user.change(|spec| spec["linux"]["uidMappings"][1]["hostID"] = 400_000.into());
    let refused = user.rcon(&["run", "ranges"]);
    assert!(refused.code == 1 && refused.stderr.contains("newuidmap"), "{}", refused.stderr);
    assert_eq!(user.rcon(&["list", "-q"]).ok(), "");
    for file in ["/etc/subuid", "/etc/subgid"] {
        nix::mount::umount(file).expect("umount");
    }
}

/// Opened by a user, who may not give up groups there.
fn denying_namespace() -> (std::process::Child, PathBuf) {
    let id = USER.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "unshare", "--user", "--map-root-user"]);
    command.args(["sh", "-c", "echo there; exec sleep 1000"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("setpriv");
    let mut told = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().expect("piped"), &mut told).expect("it is there");
    let file = PathBuf::from(format!("/proc/{}/ns/user", child.id()));
    (child, file)
}

/// Rule R1: what root's groups open on the machine they would open in there, too.
#[test]
fn roots_groups_do_not_enter_a_user_namespace_that_denies_setgroups() {
    let s = Sandbox::new("rt-user-groups");
    let (mut holder, namespace) = denying_namespace();
    let bundle = crate::support::bundle::bundle(&s, "denied", "id -G", |spec| {
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        namespaces.push(json!({ "type": "user", "path": namespace }));
    });
    let state = crate::support::bundle::state(&s);
    let refused = s.rcon(["runtime", "--root", &state, "run", "-b", &bundle.to_string_lossy(), "denied"]);
    holder.kill().and_then(|()| holder.wait()).expect("sleep");
    let named = refused.stderr.contains("becoming root of the user namespace");
    assert!(refused.code == 1 && named, "{}{}", refused.stdout, refused.stderr);

    let user = User::new(&s);
    user.change(|spec| spec["process"]["args"] = json!(["sleep", "1000"]));
    let mut detached = user.command(&["run", "-d", "lives"]);
    assert!(detached.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("setpriv").success());
    let root = user.own.join("run/rcon-runtime");
    let mut command = Command::new("setpriv");
    command.args(["--groups", "4,24"]).arg(crate::support::rcon_binary());
    command.args(["runtime", "--root"]).arg(&root).args(["exec", "lives", "sh", "-c", "id -G"]);
    let seen = Done::from(&command.stdin(Stdio::null()).output().expect("setpriv"));
    user.rcon(&["delete", "-f", "lives"]).ok();
    assert_eq!(seen.ok(), "0");
}
