//! What goes wrong, and what a user then sees: one clear line that names the thing, the right exit code, and nothing
//! left behind (each sandbox ends with the leak check).

use crate::support::{RegistryKind, Sandbox, sh};

/// The first line of stderr starts with the engine's word and names `thing`.
#[track_caller]
fn names(stderr: &str, thing: &str) {
    assert!(stderr.to_lowercase().contains(&thing.to_lowercase()), "{thing:?} is not named in: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn image_that_is_nowhere() {
    let s = Sandbox::with_registry("noimage");
    names(s.rcon(["run", "--rm", "no-such-image", "true"]).fails(125), "no-such-image");
    names(s.rcon(["pull", "busybox:no-such-tag"]).fails(1), "no-such-tag");
    names(s.rcon(["run", "--rm", "--pull", "never", "busybox", "true"]).fails(125), "busybox");
    names(s.rcon(["run", "--rm", "team/UPPER", "true"]).fails(125), "lowercase");
}

#[test]
fn registry_that_does_not_answer() {
    let s = Sandbox::new("down");
    names(s.rcon(["pull", "127.0.0.1:5999/busybox"]).fails(1), "127.0.0.1:5999");
}

#[test]
fn registry_that_wants_a_password() {
    let s = Sandbox::new("denied");
    let basic = s.registry(RegistryKind::Basic);
    let image = format!("{basic}/busybox");
    names(s.rcon(["pull", &image]).fails(1), &basic);
    s.rcon(["pull", "-q", "--creds", "tester:secret", &image]).ok();
}

#[test]
fn registry_with_an_unknown_certificate() {
    let s = Sandbox::new("tls");
    let tls = s.registry(RegistryKind::Tls);
    let image = format!("{tls}/busybox");
    names(s.rcon(["pull", "--tls-verify=true", &image]).fails(1), "certificate");
    let certs = s.dir().join("certs");
    std::fs::create_dir_all(&certs).expect("folder");
    std::fs::copy(crate::support::fixtures().join("tls/ca.crt"), certs.join("ca.crt")).expect("ca");
    s.rcon(["pull", "-q", "--tls-verify=true", "--cert-dir", &certs.display().to_string(), &image]).ok();
}

#[test]
fn command_that_cannot_run() {
    let s = Sandbox::with_images("cmd", &["busybox"]);
    names(s.rcon(["run", "--rm", "busybox", "no-such-program"]).fails(127), "no-such-program");
    names(s.rcon(["run", "--rm", "busybox", "/etc/passwd"]).fails(126), "/etc/passwd");
    names(s.rcon(["run", "--rm", "busybox", "/etc"]).fails(126), "/etc");
    names(s.rcon(["run", "-d", "--name", "d", "busybox", "no-such-program"]).fails(127), "no-such-program");
    assert_eq!(s.inspect("d", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
}

#[test]
fn unknown_user_and_missing_mount() {
    let s = Sandbox::with_images("user", &["busybox"]);
    names(s.rcon(["run", "--rm", "-u", "nosuchuser", "busybox", "true"]).fails(125), "nosuchuser");
    names(
        s.rcon(["run", "--rm", "--mount", "type=bind,source=/no/such/dir,target=/x", "busybox", "true"])
            .fails(125),
        "/no/such/dir",
    );
    names(
        s.rcon(["run", "--rm", "-v", "relative/path:/x:zz", "busybox", "true"]).fails(125),
        "relative/path",
    );
}

#[test]
fn names_and_ports_that_are_taken() {
    let s = Sandbox::with_images("taken", &["busybox"]);
    s.rcon(["run", "-d", "--name", "first", "-p", "18080:80", "busybox", "sleep", "1000"]).ok();
    names(s.rcon(["run", "-d", "--name", "first", "busybox", "true"]).fails(125), "first");
    let error = s.rcon(["run", "-d", "--name", "second", "-p", "18080:80", "busybox", "true"]);
    names(error.fails(125), "18080");
    names(&error.stderr, "first");
    assert_eq!(s.inspect("second", "{{.State.Status}}"), "created");
    let listener = std::net::TcpListener::bind("0.0.0.0:18081").expect("a host process");
    names(s.rcon(["run", "--rm", "-p", "18081:80", "busybox", "true"]).fails(125), "18081");
    drop(listener);
    s.rcon(["run", "--rm", "-p", "18081:80", "busybox", "true"]).ok();
}

#[test]
fn full_disk() {
    let s = Sandbox::with_registry("full");
    let root = s.root();
    std::fs::create_dir_all(&root).expect("root");
    sh(&format!("mount -t tmpfs -o size=12m tmpfs {}", root.display()));
    names(s.rcon(["pull", "debian"]).fails(1), "no space left");
    assert_eq!(s.rcon(["images", "-q"]).ok(), "", "nothing half-made is visible");
    s.rcon(["pull", "-q", "busybox"]).ok();
    s.rcon(["run", "--rm", "busybox", "true"]).ok();
    let done = s.rcon(["run", "--name", "fill", "busybox", "dd", "if=/dev/zero", "of=/fill", "bs=1M"]);
    assert_ne!(done.code, 0, "{done:?}");
    s.rcon(["rm", "fill"]).ok();
    s.rcon(["run", "--rm", "busybox", "true"]).ok();
    s.rcon(["rmi", "busybox"]).ok();
    sh(&format!("umount {}", root.display()));
}

#[test]
fn words_that_do_not_exist() {
    let s = Sandbox::new("words");
    names(s.rcon(["rum"]).fails(1), "run");
    names(s.rcon(["run", "--no-such-flag", "busybox"]).fails(125), "--no-such-flag");
    names(s.rcon(["run"]).fails(1), "argument");
    names(s.rcon(["start", "nothing"]).fails(1), "nothing");
    names(s.rcon(["rm", "nothing"]).fails(1), "nothing");
    names(s.rcon(["volume", "rm", "nothing"]).fails(1), "nothing");
    names(s.rcon(["run", "--memory", "lots", "busybox"]).fails(125), "lots");
    names(s.rcon(["run", "-p", "80:80:80:80", "busybox"]).fails(125), "80:80:80:80");
}
