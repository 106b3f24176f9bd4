//! What goes wrong, and what a user then sees: one clear line that names the thing, the right exit code, and nothing
//! left behind (each sandbox ends with the leak check).

use crate::support::{RegistryKind, Sandbox, eventually, sh};

/// stderr names `thing`.
#[track_caller]
fn names(stderr: &str, thing: &str) {
    assert!(stderr.to_lowercase().contains(&thing.to_lowercase()), "{thing:?} is not named in: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// One line that names `thing`, and one that helps: the last two of stderr.
#[track_caller]
fn helps(stderr: &str, thing: &str) {
    names(stderr, thing);
    let lines: Vec<_> = stderr.lines().collect();
    let [.., error, hint] = lines.as_slice() else { panic!("no hint: {stderr}") };
    assert!(error.starts_with("Error: ") && hint.starts_with("hint: "), "{stderr}");
}

#[test]
fn image_that_is_nowhere() {
    let s = Sandbox::with_registry("noimage");
    helps(s.rcon(["run", "--rm", "no-such-image", "true"]).fails(125), "no-such-image");
    helps(s.rcon(["pull", "busybox:no-such-tag"]).fails(1), "no-such-tag");
    helps(s.rcon(["run", "--rm", "--pull", "never", "busybox", "true"]).fails(125), "busybox");
    names(s.rcon(["run", "--rm", "team/UPPER", "true"]).fails(125), "lowercase");
}

#[test]
fn registry_that_does_not_answer() {
    let s = Sandbox::new("down");
    helps(s.rcon(["pull", "127.0.0.1:5999/busybox"]).fails(1), "127.0.0.1:5999");
}

#[test]
fn registry_that_wants_a_password() {
    let s = Sandbox::new("denied");
    let basic = s.registry(RegistryKind::Basic);
    let image = format!("{basic}/busybox");
    helps(s.rcon(["pull", &image]).fails(1), &basic);
    s.rcon(["pull", "-q", "--creds", "tester:secret", &image]).ok();
}

#[test]
fn registry_with_an_unknown_certificate() {
    let s = Sandbox::new("tls");
    let tls = s.registry(RegistryKind::Tls);
    let image = format!("{tls}/busybox");
    helps(s.rcon(["pull", "--tls-verify=true", &image]).fails(1), "certificate");
    let certs = s.dir().join("certs");
    std::fs::create_dir_all(&certs).expect("folder");
    std::fs::copy(crate::support::fixtures().join("tls/ca.crt"), certs.join("ca.crt")).expect("ca");
    s.rcon(["pull", "-q", "--tls-verify=true", "--cert-dir", &certs.display().to_string(), &image]).ok();
}

#[test]
fn command_that_cannot_run() {
    let s = Sandbox::with_images("cmd", &["busybox"]);
    helps(s.rcon(["run", "--rm", "busybox", "no-such-program"]).fails(127), "no-such-program");
    helps(s.rcon(["run", "--rm", "busybox", "/etc/passwd"]).fails(126), "/etc/passwd");
    helps(s.rcon(["run", "--rm", "busybox", "/etc"]).fails(126), "/etc");
    helps(s.rcon(["run", "-d", "--name", "d", "busybox", "no-such-program"]).fails(127), "no-such-program");
    assert_eq!(s.inspect("d", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
}

#[test]
fn unknown_user_and_missing_mount() {
    let s = Sandbox::with_images("user", &["busybox"]);
    helps(s.rcon(["run", "--rm", "-u", "nosuchuser", "busybox", "true"]).fails(125), "nosuchuser");
    helps(
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
    helps(s.rcon(["run", "-d", "--name", "first", "busybox", "true"]).fails(125), "first");
    let error = s.rcon(["run", "-d", "--name", "second", "-p", "18080:80", "busybox", "true"]);
    helps(error.fails(125), "18080");
    names(&error.stderr, "first");
    assert_eq!(s.inspect("second", "{{.State.Status}}"), "created");
    let listener = std::net::TcpListener::bind("0.0.0.0:18081").expect("a host process");
    helps(s.rcon(["run", "--rm", "-p", "18081:80", "busybox", "true"]).fails(125), "18081");
    drop(listener);
    s.rcon(["run", "--rm", "-p", "18081:80", "busybox", "true"]).ok();
}

#[test]
fn full_disk() {
    let s = Sandbox::with_registry("full");
    let root = s.root();
    std::fs::create_dir_all(&root).expect("root");
    sh(&format!("mount -t tmpfs -o size=12m tmpfs {}", root.display()));
    helps(s.rcon(["pull", "debian"]).fails(1), "no space left");
    assert_eq!(s.rcon(["images", "-q"]).ok(), "", "nothing half-made is visible");
    s.rcon(["pull", "-q", "busybox"]).ok();
    s.rcon(["run", "--rm", "busybox", "true"]).ok();
    let done = s.rcon(["run", "--name", "fill", "busybox", "dd", "if=/dev/zero", "of=/fill", "bs=1M"]);
    assert_ne!(done.code, 0, "{done:?}");
    s.rcon(["rm", "fill"]).ok();
    s.rcon(["run", "--rm", "busybox", "true"]).ok();
    s.rcon(["rmi", "busybox"]).ok();
    // A monitor that has just told of the end may be there for a moment.
    eventually("nobody is there any more", || {
        std::process::Command::new("umount").arg("-q").arg(&root).status().expect("umount").success()
    });
}

/// An image in a folder, whose one layer's blob is `layer`, and whose descriptor says the truth about it.
fn image_with_layer(s: &Sandbox, name: &str, layer: &str) -> String {
    let dir = s.dir().join(name);
    sh(&format!(
        "mkdir -p {dir}/blobs/sha256; cd {dir}
        put() {{ d=$(sha256sum $1 | cut -c1-64); z=$(stat -c %s $1); mv $1 blobs/sha256/$d; }}
        desc() {{ printf '{{\"mediaType\":\"application/vnd.oci.image.%s\",\"digest\":\"sha256:%s\",\"size\":%s}}' $1 $d $z; }}
        {layer}; put blob; layer=$(desc layer.v1.tar+gzip)
        printf '{{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{{}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:%s\"]}}}}' $d >blob
        put blob; config=$(desc config.v1+json)
        printf '{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":%s,\"layers\":[%s]}}' $config $layer >blob
        put blob; printf '{{\"schemaVersion\":2,\"manifests\":[%s]}}' $(desc manifest.v1+json) >index.json
        printf '{{\"imageLayoutVersion\":\"1.0.0\"}}' >oci-layout",
        dir = dir.display()
    ));
    format!("oci:{}", dir.display())
}

#[test]
fn corrupt_layer() {
    let s = Sandbox::new("corrupt");
    let image = image_with_layer(&s, "garbage", "head -c 3000 /dev/zero | tr '\\0' x >blob");
    helps(s.rcon(["pull", &image]).fails(1), "corrupt");
    let cut = image_with_layer(&s, "cut", "head -c 100000 /dev/urandom | gzip | head -c 50000 >blob");
    helps(s.rcon(["pull", &cut]).fails(1), "corrupt");
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn no_permission() {
    use std::os::unix::process::CommandExt as _;
    let s = Sandbox::with_images("noperm", &["busybox"]);
    for args in [&["ps"][..], &["run", "--rm", "busybox", "true"], &["volume", "create", "v"]] {
        // The folder of a build may be closed to others.
        let copy = s.run_root().join("rcon");
        std::fs::copy(crate::support::rcon_binary(), &copy).expect("a copy");
        let mut command = std::process::Command::new(copy);
        command.env_clear().envs(s.command().get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.args(args).uid(1000).gid(1000);
        let done = s.finish(command);
        assert_ne!(done.code, 0);
        helps(&done.stderr, "permission denied");
    }
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
