//! Flags of `run` and `create` that podman has and docker has not: each is looked at where it has its effect.

use crate::podman_manner::podman;
use crate::support::{RegistryKind, Sandbox, sh};

fn shell(s: &Sandbox, flags: &[&str], script: &str) -> String {
    let mut all = vec!["run", "--rm", "--network=none"];
    all.extend_from_slice(flags);
    all.extend_from_slice(&["busybox", "sh", "-c", script]);
    s.rcon(all).ok().to_owned()
}

#[test]
fn the_engine_s_files_are_below_chroot_directories_too() {
    let s = Sandbox::with_images("cf-chroot", &["busybox"]);
    let files = "for f in hosts resolv.conf hostname; do cmp /etc/$f '/srv/a,b/'etc/$f && echo same; done";
    assert_eq!(shell(&s, &["--chrootdirs=/srv/a,b/", "--chrootdirs=/"], files), "same\nsame\nsame");
    let mark =
        shell(&s, &["--chrootdirs=/x", "--privileged", "--name=me"], "grep name= /x/run/.containerenv");
    assert_eq!(mark, "name=\"me\"");
    s.rcon(["create", "--name=c", "--chrootdirs=/x/./y", "busybox"]).ok();
    assert_eq!(s.inspect("c", "{{.Config.ChrootDirs}}"), "[/x/y]");
    let told = s.rcon(["create", "--chrootdirs=x", "busybox"]);
    assert!(told.fails(1).contains("must be absolute"), "{}", told.stderr);
}

#[test]
fn the_tmpfs_mounts_of_systemd_mode_are_limited() {
    let s = Sandbox::with_images("cf-systemd", &["busybox"]);
    let size = "df -k /run/lock /var/log/journal | awk 'NR > 1 { print $2 }'";
    assert_eq!(shell(&s, &["--systemd=always", "--shm-size-systemd=10m"], size), "10240\n10240");
    assert_ne!(shell(&s, &["--systemd=always", "--shm-size-systemd=0"], size), "10240\n10240");
}

#[test]
fn a_class_of_the_cache_is_kept_and_asked_for_at_the_start() {
    let s = Sandbox::with_images("cf-rdt", &["busybox"]);
    s.rcon(["create", "--name=c", "--network=none", "--rdt-class=COS1", "busybox", "true"]).ok();
    assert_eq!(s.inspect("c", "{{.HostConfig.IntelRdtClosID}}"), "COS1");
    // Neither this machine nor a builder's has such a class.
    let told = s.rcon(["start", "c"]).fails(1).to_owned();
    assert!(told.contains("linux.intelRdt"), "{told}");
}

#[test]
fn a_directory_that_is_only_read_can_be_the_root() {
    let s = Sandbox::with_images("cf-rootfs", &["busybox"]);
    let dir = s.dir().join("tree");
    std::fs::create_dir(&dir).expect("a folder");
    let (tar, root) = (s.dir().join("tree.tar"), dir.display().to_string());
    s.rcon(["create", "--name=from", "--network=none", "busybox"]).ok();
    s.rcon(["export", "-o", tar.to_str().expect("a path"), "from"]).ok();
    sh(&format!("tar xf {} -C {root}", tar.display()));
    let over = format!("{root}:O");
    let run = |flags: &[&str], root: &str, script: &str| {
        let mut all = vec!["run", "--network=none"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["--rootfs", root, "sh", "-c", script]);
        s.rcon(all).ok().to_owned()
    };
    assert_eq!(run(&["--name=o"], &over, "echo new > /made; echo >> /etc/passwd; cat /made"), "new");
    assert!(!dir.join("made").exists());
    // What it wrote is its own layer's, as with an image.
    let changes = s.rcon(["diff", "o"]).ok().to_owned();
    assert!(changes.contains("A /made") && changes.contains("C /etc/passwd"), "{changes}");
    let copied = s.dir().join("copied");
    s.rcon(["cp", "o:/made", copied.to_str().expect("a path")]).ok();
    assert_eq!(std::fs::read_to_string(copied).expect("a copy"), "new\n");
    assert_eq!(s.rcon(["start", "-a", "o"]).ok(), "new");
    // Its ids are shifted, on disk they are not.
    for flags in [&["--rm", "--uidmap=0:100000:5000"][..], &["--rm", "--userns=auto"][..]] {
        assert_eq!(run(flags, &over, "touch /x; stat -c %u /x /bin"), "0\n0", "{flags:?}");
    }
    assert_eq!(run(&["--rm", "--uidmap=0:100000:5000"], &format!("{root}:idmap"), "stat -c %u /bin"), "0");
    assert_eq!(run(&["--rm"], &root, "touch /made; id -u"), "0");
    assert!(dir.join("made").exists());
    let told = podman(&s, &["run", "--rm", "--rootfs", &format!("{root}:x"), "true"]);
    assert!(told.fails(125).contains(":O"), "{}", told.stderr);
    s.rcon(["rm", "o", "from"]).ok();
}

#[test]
fn what_mounts_conf_names_is_copied_into_each_container() {
    let s = Sandbox::with_images("cf-subscriptions", &["busybox"]);
    let (dir, conf) = (s.dir().join("secrets"), s.dir().join("mounts.conf"));
    std::fs::create_dir_all(dir.join("in")).expect("a folder");
    std::fs::write(dir.join("in/key"), "told").expect("a file");
    sh(&format!("ln -s in {0}/link; ln -s /no/where {0}/broken; chmod 640 {0}/in/key", dir.display()));
    std::fs::write(&conf, format!("# ours\n{}:/run/secrets\n/no/such/dir\n", dir.display())).expect("a file");
    let flag = format!("--default-mounts-file={}", conf.display());
    let run = |flags: &[&str], script: &str| {
        let mut all = vec![flag.as_str(), "run", "--rm", "--network=none"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "sh", "-c", script]);
        s.rcon(all).ok().to_owned()
    };
    let look =
        "cat /run/secrets/link/key; stat -c ' %u %a' /run/secrets/in/key; echo x > /run/secrets/in/key";
    assert_eq!(run(&[], look), "told 0 640");
    assert_eq!(run(&["--userns=auto"], look), "told 0 640");
    assert_eq!(run(&["--tmpfs=/run/secrets"], "ls /run/secrets"), "");
    // The host's own stay as they were.
    assert_eq!(std::fs::read_to_string(dir.join("in/key")).expect("a file"), "told");
    let told = s.rcon(["--default-mounts-file=/no/such/file", "run", "--rm", "busybox", "true"]);
    assert!(told.fails(125).contains("/no/such/file"), "{}", told.stderr);
}

#[test]
fn a_signature_policy_decides_what_comes_in() {
    let s = Sandbox::new("cf-policy");
    let host = s.registry(RegistryKind::Plain);
    let (file, image) = (s.dir().join("policy.json"), format!("{host}/library/busybox"));
    let flag = format!("--signature-policy={}", file.display());
    let accept = r#"[{"type":"insecureAcceptAnything"}]"#;
    let signed = r#"[{"type":"signedBy","keyType":"GPGKeys","keyPath":"/k"}]"#;
    let reject = r#"[{"type":"reject"}]"#;
    for (default, own, why) in [
        (reject, accept, None),
        (accept, reject, Some("rejected by the signature policy")),
        (accept, signed, Some("wants a signature, which rcon cannot check")),
    ] {
        let text = format!(r#"{{"default":{default},"transports":{{"docker":{{"{host}/library":{own}}}}}}}"#);
        std::fs::write(&file, text).expect("a policy");
        let done = s.rcon(["run", "--rm", "--pull=always", "--network=none", &flag, &image, "true"]);
        match why {
            None => assert_eq!(done.code, 0, "{}", done.stderr),
            Some(why) => assert!(done.fails(125).contains(why), "{}", done.stderr),
        }
        assert_eq!(s.rcon(["pull", "-q", &flag, &image]).code, i32::from(why.is_some()));
    }
    let done = podman(&s, &["create", "--pull=always", "--signature-policy=/no/such/file", &image]);
    assert!(done.fails(125).contains("open /no/such/file: no such file or directory"), "{}", done.stderr);
}

#[test]
fn a_seccomp_profile_that_forbids_every_command_says_so() {
    let s = Sandbox::with_images("cf-seccomp", &["busybox"]);
    let file = s.dir().join("none.json");
    std::fs::write(&file, r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#).expect("a profile");
    let flag = format!("--security-opt=seccomp={}", file.display());
    let run = ["run", "--rm", "--network=none", &flag, "busybox", "true"];
    assert!(s.rcon(run).fails(125).contains("forbids execve"));
    assert!(podman(&s, &run).fails(126).contains("forbids execve"));
}

#[test]
fn flags_for_windows_are_looked_at_and_without_effect() {
    let s = Sandbox::with_images("cf-windows", &["busybox"]);
    let flags = [
        "--cpu-count=2",
        "--cpu-percent=50",
        "--io-maxbandwidth=1m",
        "--io-maxiops=9",
        "--isolation=default",
    ];
    assert_eq!(shell(&s, &flags, "echo runs"), "runs");
    for bad in ["--cpu-count=x", "--cpu-percent=1.5", "--io-maxbandwidth=3q", "--io-maxiops=-1"] {
        let done = s.rcon(["create", bad, "busybox"]);
        assert!(done.fails(125).contains("invalid argument"), "{bad}: {}", done.stderr);
    }
    let done = s.rcon(["create", "--isolation=hyperv", "busybox"]);
    assert!(done.fails(125).contains("for Windows only"), "{}", done.stderr);
}
