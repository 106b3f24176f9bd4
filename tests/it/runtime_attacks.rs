//! Attacks on a start and on what runs, each the mechanism of a CVE of another runtime (docs/security.md). Those that
//! race do it with a thread that swaps names as fast as it can.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::support::bundle::{bundle, run, run_detached, runtime, state};
use crate::support::{Done, Sandbox, rcon_binary, rootfs, wait_until};

/// Exchanges two names again and again while `work` runs.
fn racing<T>(a: &Path, b: &Path, work: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            while !stop.load(Ordering::Relaxed) {
                renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).expect("exchange");
            }
        });
        // Whatever it finds, the thread must end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        result
    })
    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).expect("directory").map(|e| e.expect("entry").path()).collect()
}

fn add_mount(spec: &mut Value, mount: Value) {
    spec["mounts"].as_array_mut().expect("mounts").push(mount);
}

const ROUNDS: usize = 40;

/// CVE-2021-30465, CVE-2024-45310: the parent of a mount point becomes a link to the host between check and use.
#[test]
fn mount_points_that_change_into_links_lead_nowhere() {
    let s = Sandbox::new("at-mounts");
    let root = rootfs::busybox(&s);
    let outside = s.dir().join("outside");
    fs::create_dir_all(&outside).expect("outside");
    fs::create_dir_all(root.join("vol")).expect("volume");
    let way_out = format!("../../../../../../../../../..{}", outside.display());
    symlink(way_out, root.join("link")).expect("link");
    let source = s.dir().join("source");
    fs::write(&source, "content").expect("source");
    let dir = bundle(&s, "race", "true", |spec| {
        add_mount(spec, json!({ "destination": "/vol/a/b", "type": "tmpfs", "source": "tmpfs" }));
        add_mount(spec, json!({ "destination": "/vol/file", "source": source, "options": ["bind"] }));
    });
    let dir = dir.to_string_lossy();
    let started = racing(&root.join("vol"), &root.join("link"), || {
        (0..ROUNDS).filter(|_| runtime(&s, ["run", "--bundle", &dir, "race"]).code == 0).count()
    });
    assert_eq!(entries(&outside), [""; 0].map(PathBuf::from), "something was made outside");
    assert!(started > 0, "no start succeeded, so nothing was tried");
}

/// CVE-2026-41579, CVE-2026-47766: /dev itself changes into a link while the devices are made in it.
#[test]
fn devices_are_not_made_on_the_host() {
    let s = Sandbox::new("at-dev");
    let root = rootfs::busybox(&s);
    let outside = s.dir().join("outside");
    fs::create_dir_all(&outside).expect("outside");
    symlink(format!("../../../../../../../..{}", outside.display()), root.join("devlink")).expect("link");
    let dir = bundle(&s, "dev", "true", |spec| {
        // Without a mount of its own, /dev is the image's.
        let keep = |m: &Value| !m["destination"].as_str().expect("destination").starts_with("/dev");
        spec["mounts"].as_array_mut().expect("mounts").retain(keep);
    });
    let dir = dir.to_string_lossy();
    racing(&root.join("dev"), &root.join("devlink"), || {
        for _ in 0..ROUNDS {
            runtime(&s, ["run", "--bundle", &dir, "dev"]);
        }
    });
    assert_eq!(entries(&outside), [""; 0].map(PathBuf::from), "a node was made outside");
}

/// CVE-2025-31133, CVE-2025-52565: what is to be masked, and the image's /dev/null, change into links to files of the
/// host. The container may write to what it finds there, and must not reach the host's file.
#[test]
fn masks_that_are_raced_do_not_bind_the_hosts_files() {
    let s = Sandbox::new("at-masks");
    let root = rootfs::busybox(&s);
    let secret = s.dir().join("secret");
    fs::write(&secret, "secret\n").expect("secret");
    fs::write(root.join("masked"), "in the image\n").expect("masked");
    symlink(format!("../../../../../../../..{}", secret.display()), root.join("to-host")).expect("link");
    symlink(&secret, root.join("dev/null")).expect("link");
    symlink(&secret, root.join("dev/console")).expect("link");
    let script = "cat /masked; echo pwned > /masked; echo pwned > /to-host; echo pwned > /dev/console; true";
    let dir = bundle(&s, "mask", script, |spec| {
        spec["linux"]["maskedPaths"] = json!(["/masked", "/to-host"]);
        spec["linux"]["readonlyPaths"] = json!(["/to-host"]);
    });
    let dir = dir.to_string_lossy();
    racing(&root.join("masked"), &root.join("to-host"), || {
        for _ in 0..ROUNDS {
            let done = runtime(&s, ["run", "--bundle", &dir, "mask"]);
            assert!(!done.stdout.contains("secret"), "{done:?}");
        }
    });
    assert_eq!(fs::read_to_string(&secret).expect("secret"), "secret\n");
    let null = fs::metadata("/dev/null").expect("/dev/null");
    assert!(null.file_type().is_char_device(), "the host's /dev/null was replaced");
}

/// CVE-2019-16884, CVE-2025-52881: with another file system over /proc, writes to it must still reach the real one.
#[test]
fn writes_to_proc_reach_the_kernel_whatever_is_mounted_there() {
    let s = Sandbox::new("at-proc");
    let fake = s.dir().join("fake");
    fs::create_dir_all(fake.join("self")).expect("fake");
    fs::write(fake.join("self/oom_score_adj"), "fake").expect("fake");
    let dir = bundle(&s, "proc", "sleep 1000", |spec| {
        for mount in spec["mounts"].as_array_mut().expect("mounts") {
            if mount["destination"] == "/proc" {
                *mount = json!({ "destination": "/proc", "source": fake, "options": ["bind"] });
            }
        }
        spec["process"]["oomScoreAdj"] = 321.into();
        spec["linux"]["sysctl"] = json!({ "kernel.msgmax": "4321" });
        spec["linux"]["maskedPaths"] = json!([]);
        spec["linux"]["readonlyPaths"] = json!([]);
    });
    run_detached(&s, &dir, "proc");
    let text = runtime(&s, ["state", "proc"]);
    let pid = serde_json::from_str::<Value>(text.ok()).expect("state")["pid"].clone();
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("score");
    assert_eq!(score.trim(), "321");
    assert_eq!(fs::read_to_string(fake.join("self/oom_score_adj")).expect("fake"), "fake");
    let pid = pid.to_string();
    let inside = Command::new("nsenter").args(["-i", "-t", &pid, "sysctl", "-n", "kernel.msgmax"]).output();
    assert_eq!(String::from_utf8_lossy(&inside.expect("nsenter").stdout).trim(), "4321");
    runtime(&s, ["delete", "--force", "proc"]).ok();
}

/// Runs `rcon runtime run` of a bundle below another program, such as setpriv.
fn below(s: &Sandbox, program: &[&str], dir: &Path, id: &str) -> Done {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(rcon_binary()).args(["runtime", "--root", &state(s), "run", "--bundle"]);
    let output = command.arg(dir).arg(id).output().expect("the program is installed");
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// CVE-2022-29162, CVE-2022-24769 and CVE-2022-2989: inheritable capabilities and groups of the caller stay outside.
#[test]
fn capabilities_and_groups_of_the_caller_do_not_come_along() {
    let s = Sandbox::new("at-creds");
    let dir = bundle(&s, "creds", "grep -E 'CapInh|CapAmb|Groups' /proc/self/status", |_| {});
    let words = ["setpriv", "--groups", "1234,5678", "--inh-caps", "+kill,+chown", "--ambient-caps", "+kill"];
    let done = below(&s, &words, &dir, "creds");
    assert_eq!(
        done.ok().split_whitespace().collect::<Vec<_>>().join(" "),
        "Groups: CapInh: 0000000000000000 CapAmb: 0000000000000000"
    );
}

/// CVE-2024-21626: a directory of the host that the caller left open reaches neither the program nor an exec nor a hook.
#[test]
fn descriptors_of_the_caller_are_closed_everywhere() {
    let s = Sandbox::new("at-fds");
    let hook = "for f in /proc/self/fd/*; do readlink $f; done > ";
    let log = s.dir().join("hook-fds");
    let list = "for f in /proc/self/fd/*; do readlink $f; done; sleep 1000";
    let dir = bundle(&s, "fds", list, |spec| {
        let script = format!("{hook}{}; true", log.display());
        spec["hooks"]["createRuntime"] = json!([{ "path": "/bin/sh", "args": ["sh", "-c", script] }]);
    });
    let leaky = format!("exec 9</etc 11</; exec \"$@\" >{0}/out 2>{0}/err </dev/null", dir.display());
    let root = state(&s);
    let status = Command::new("bash")
        .args(["-c", &leaky, "bash"])
        .arg(rcon_binary())
        .args(["runtime", "--root", &root, "run", "-d", "--bundle"])
        .args([dir.as_os_str(), "fds".as_ref()])
        .status();
    assert!(status.expect("bash").success(), "{}", fs::read_to_string(dir.join("err")).expect("err"));
    let leaks = |text: &str| text.lines().any(|l| l == "/etc" || l == "/");
    let inside =
        wait_until(|| Some(fs::read_to_string(dir.join("out")).expect("out")).filter(|t| t.contains("null")));
    assert!(!leaks(&inside), "{inside}");
    assert!(!leaks(&fs::read_to_string(&log).expect("hook")), "the hook had it");
    let exec = "exec 9</etc 11</; exec \"$@\"";
    let output = Command::new("bash")
        .args(["-c", exec, "bash"])
        .arg(rcon_binary())
        .args(["runtime", "--root", &root, "exec", "--cwd", "/proc/self/fd/9", "fds", "true"])
        .output();
    assert!(!output.expect("bash").status.success(), "a working directory outside was entered");
    runtime(&s, ["delete", "--force", "fds"]).ok();
}

/// CVE-2024-9676, CVE-2026-47262 and CVE-2022-4122's kin: /etc/passwd that hangs, never ends or leads out.
#[test]
fn a_hostile_passwd_neither_hangs_nor_leads_out() {
    let s = Sandbox::new("at-passwd");
    let passwd = rootfs::busybox(&s).join("etc/passwd");
    let attack = |make: &dyn Fn()| {
        fs::remove_file(&passwd).expect("remove");
        make();
        let dir = bundle(&s, "pw", "echo $HOME", |spec| spec["process"]["env"] = json!(["PATH=/bin"]));
        below(&s, &["timeout", "10"], &dir, "pw")
    };
    let fifo = attack(&|| nix::unistd::mkfifo(&passwd, nix::sys::stat::Mode::S_IRWXU).expect("fifo"));
    assert_eq!(fifo.code, 1, "{fifo:?}");
    let device = attack(&|| {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        mknod(&passwd, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).expect("zero");
    });
    assert_eq!(device.code, 1, "{device:?}");
    let huge = attack(&|| fs::File::create(&passwd).expect("file").set_len(1 << 40).expect("length"));
    assert_eq!(huge.code, 1, "{huge:?}");
    fs::write(s.dir().join("passwd"), "root:x:0:0::/from/outside:/bin/sh\n").expect("outside");
    let link = format!("../../../../../../../..{}/passwd", s.dir().display());
    let outside = attack(&|| symlink(&link, &passwd).expect("link"));
    assert_eq!(outside.ok(), "/root");
}

/// CVE-2022-0492: no release agent is in reach, and the container's cgroups cannot be written to.
#[test]
fn the_release_agent_is_out_of_reach() {
    let s = Sandbox::new("at-agent");
    let script = "find /sys/fs/cgroup -name release_agent | wc -l; \
        for f in $(find /sys/fs/cgroup -name notify_on_release -o -name cgroup.procs); do \
        echo 1 2>/dev/null > $f && echo written $f; done; \
        mkdir /tmp/cg; mount -t cgroup -o rdma cgroup /tmp/cg 2>/dev/null && echo mounted; true";
    assert_eq!(run(&s, "agent", script, |_| {}).ok(), "0");
}

/// The caller's session keyring, with the secrets in it, is not the container's; `--no-new-keyring` says otherwise.
#[test]
fn the_keyring_of_the_session_is_left() {
    let s = Sandbox::new("at-keyring");
    let ask = "import ctypes; print(ctypes.CDLL(None).syscall(250, 0, -3, 0))";
    let dir = bundle(&s, "key", "", |spec| {
        spec["root"] = json!({ "path": "/", "readonly": true });
        spec["process"]["args"] = json!(["python3", "-c", ask]);
    });
    let outside = crate::support::sh(&format!("python3 -c '{ask}'"));
    let inside = runtime(&s, ["run", "--bundle", &dir.to_string_lossy(), "key"]);
    assert_ne!(inside.ok(), outside);
    let kept = runtime(&s, ["run", "--no-new-keyring", "--bundle", &dir.to_string_lossy(), "key"]);
    assert_eq!(kept.ok(), outside);
}

/// CVE-2023-25809: in a user namespace without a cgroup namespace the cgroups that the host's user owns are in sight, below
/// the host's /sys or by a mount of their own. What is mounted read-only cannot be written to.
#[test]
fn cgroups_of_the_user_are_read_only_without_a_cgroup_namespace() {
    let s = Sandbox::new("at-25809");
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let place = if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/pids" };
    let own = format!("{place}/rcon-test-25809-{}", std::process::id());
    fs::create_dir(&own).expect("a cgroup");
    std::os::unix::fs::chown(&own, Some(100_000), Some(100_000)).expect("the user's own");
    // Found by its name wherever the hierarchy is in sight; made for a moment where it can be.
    let script = "find /sys/fs/cgroup -maxdepth 4 -name 'rcon-test-25809-*' | while read -r dir; do \
        echo seen; mkdir $dir/evil 2>/dev/null && rmdir $dir/evil && echo written; done; true";
    let host_sys = json!({ "destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "ro"] });
    let cgroups =
        json!({ "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"] });
    let (mut seen, mut all) = (0, String::new());
    for (id, more) in [("sys", vec![host_sys.clone()]), ("both", vec![host_sys, cgroups])] {
        let done = run(&s, id, script, |spec| {
            spec["linux"]["namespaces"].as_array_mut().expect("list").retain(|n| n["type"] != "cgroup");
            spec["linux"]["namespaces"].as_array_mut().expect("list").push(json!({ "type": "user" }));
            for map in ["uidMappings", "gidMappings"] {
                spec["linux"][map] = json!([{ "containerID": 0, "hostID": 100_000, "size": 65536 }]);
            }
            let mounts = spec["mounts"].as_array_mut().expect("mounts");
            mounts.retain(|m| !m["destination"].as_str().expect("path").starts_with("/sys"));
            mounts.extend(more);
        });
        seen += done.ok().matches("seen").count();
        all.push_str(&done.stdout);
    }
    fs::remove_dir(&own).expect("nothing is left in it");
    assert!(seen > 0, "the attack found nothing to attack: {all}");
    assert!(!all.contains("written"), "{all}");
}
