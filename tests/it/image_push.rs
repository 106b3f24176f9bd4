//! `push`, `login`, `logout`, `search`: registries of every kind, with skopeo as the judge of what arrived.

use super::support::{RegistryKind, Sandbox, sh};

fn raw(image: &str) -> String {
    sh(&format!("skopeo inspect --raw --tls-verify=false docker://{image}"))
}

#[test]
fn only_what_is_missing_is_sent_and_blobs_are_linked_from_other_repositories() {
    let s = Sandbox::with_images("push-blobs", &["busybox"]);
    let to = s.empty_registry(RegistryKind::Plain, 5002);
    let first = s.rcon(["push", "busybox", &format!("{to}/a/b:1")]);
    assert!(first.stdout.starts_with(&format!("The push refers to repository [{to}/a/b]\n")), "{first:?}");
    assert!(first.stderr.contains(": Pushed"), "{}", first.stderr);
    let last = first.ok().lines().last().expect("a last line");
    let digest =
        last.strip_prefix("1: digest: ").and_then(|l| l.split(' ').next()).expect("digest").to_owned();
    let again = s.rcon(["push", "busybox", &format!("{to}/a/b:2")]);
    assert!(again.stderr.contains(": Already exists") && again.ok().contains(&digest), "{}", again.stderr);
    let linked = s.rcon(["push", "busybox", &format!("{to}/c:1")]);
    assert!(
        linked.stderr.contains(": Mounted from a/b") && linked.ok().contains(&digest),
        "{}",
        linked.stderr
    );
    assert_eq!(s.rcon(["push", "-q", "busybox", &format!("{to}/c:2")]).ok(), format!("{to}/c:2"));
    // What comes back is the same image.
    let id = s.rcon(["images", "-q", "--no-trunc", "busybox"]).ok().to_owned();
    s.rcon(["rmi", "-f", &id]).ok();
    s.rcon(["pull", "-q", &format!("{to}/c:1")]).ok();
    assert_eq!(s.rcon(["image", "inspect", "--format", "{{.Id}}", &format!("{to}/c:1")]).ok(), id);
    let e = s.rcon(["push", "nosuch"]);
    assert!(e.fails(1).contains("An image does not exist locally with the tag: nosuch"), "{}", e.stderr);
    s.rcon(["tag", &id, &format!("{to}/d:x"), &format!("{to}/d:y")]).ok();
    s.rcon(["push", "-a", &format!("{to}/d")]).ok();
    assert!(raw(&format!("{to}/d:x")) == raw(&format!("{to}/d:y")));
}

#[test]
fn packings_and_manifests_fit_each_other() {
    let s = Sandbox::with_images("push-forms", &["busybox"]);
    let to = s.empty_registry(RegistryKind::Plain, 5002);
    let push = |flags: &[&str], tag: &str| {
        let image = format!("{to}/x:{tag}");
        s.rcon([&["push", "-q"], flags, &["busybox", &image]].concat()).ok();
        sh(&format!(
            "skopeo copy -q --src-tls-verify=false docker://{image} dir:{}/{tag}",
            s.dir().display()
        ));
        raw(&image)
    };
    assert!(push(&["--compression-format", "zstd", "--force-compression"], "zstd").contains("tar+zstd"));
    let docker = push(&["--format", "v2s2"], "docker");
    assert!(docker.contains("docker.distribution.manifest.v2") && docker.contains("tar.gzip"), "{docker}");
    assert!(
        push(&["--format", "oci", "--compression-format", "gzip", "--force-compression"], "oci")
            .contains("tar+gzip")
    );
    let e = s.rcon([
        "push",
        "--format",
        "v2s2",
        "--compression-format",
        "zstd",
        "busybox",
        &format!("{to}/x:no"),
    ]);
    assert!(e.fails(1).contains("docker's manifests know no zstd"), "{}", e.stderr);
}

#[test]
fn login_is_kept_used_and_forgotten() {
    let s = Sandbox::with_images("push-login", &["busybox"]);
    let to = s.empty_registry(RegistryKind::Basic, 5003);
    let image = format!("{to}/a:1");
    let file = s.dir().join("auth.json").display().to_string();
    let auth = ["--authfile", file.as_str()];
    let e = s.rcon(["push", "busybox", &image]);
    assert!(e.fails(1).contains(&format!("hint: run rcon login {to}")), "{}", e.stderr);
    let e = s.rcon([&["login", "-u", "tester", "-p", "wrong"], &auth[..], &[&to]].concat());
    assert!(
        e.fails(1)
            .contains(&format!("logging into \"{to}\": login attempt failed with status: 401 Unauthorized")),
        "{}",
        e.stderr
    );
    s.rcon([&["login", "--get-login"], &auth[..], &[&to]].concat()).fails(1);
    std::fs::write(&file, r#"{"auths": {"other.example": {"auth": "YTpi"}}, "credHelpers": {}}"#)
        .expect("file");
    let login = [&["login", "-u", "tester", "--password-stdin"], &auth[..], &[&to]].concat();
    assert!(s.rcon_with_input(&login, b"secret\n").ok().contains("Login Succeeded!"));
    let kept = std::fs::read_to_string(&file).expect("file");
    assert!(kept.contains("other.example") && kept.contains("credHelpers") && kept.contains(&to), "{kept}");
    assert_eq!(sh(&format!("stat -c %a {file}")), "600");
    assert_eq!(s.rcon([&["login", "--get-login"], &auth[..], &[&to]].concat()).ok(), "tester");
    // Credentials that are there are tried before any is asked for.
    assert!(s.rcon([&["login"], &auth[..], &[&to]].concat()).ok().contains("Login Succeeded!"));
    s.rcon([&["push", "-q"], &auth[..], &["busybox", &image]].concat()).ok();
    s.rcon(["push", "-q", "--creds", "tester:secret", "busybox", &image]).ok();
    // skopeo reads what we wrote, and we what it wrote.
    sh(&format!("skopeo inspect --tls-verify=false --authfile {file} docker://{image} >/dev/null"));
    s.rcon([&["logout"], &auth[..], &[&to]].concat()).ok();
    assert!(s.rcon([&["logout"], &auth[..], &[&to]].concat()).ok().starts_with("Not logged in to"));
    sh(&format!("skopeo login --tls-verify=false --authfile {file} -u tester -p secret {to} >/dev/null"));
    s.rcon([&["pull", "-q"], &auth[..], &[&image]].concat()).ok();
    s.rcon([&["logout", "-a"], &auth[..]].concat()).ok();
    s.rcon([&["login", "--get-login"], &auth[..], &["other.example"]].concat()).fails(1);
}

#[test]
fn a_secret_can_be_the_password() {
    let s = Sandbox::new("push-secret");
    let to = s.empty_registry(RegistryKind::Basic, 5003);
    let file = s.dir().join("auth.json").display().to_string();
    s.rcon_with_input(["secret", "create", "tester", "-"], b"secret").ok();
    let done = s.rcon(["login", "--authfile", &file, "--secret", "tester", &to]);
    assert!(done.ok().contains("Login Succeeded!"), "{}", done.stderr);
    let e = s.rcon(["login", "--authfile", &file, "--secret", "tester", "-p", "x", &to]);
    assert!(e.fails(125).contains("--secret cannot be used with"), "{}", e.stderr);
    s.rcon(["secret", "rm", "tester"]).ok();
}

#[test]
fn a_credential_helper_keeps_what_it_is_given() {
    let s = Sandbox::new("push-helper");
    let to = s.empty_registry(RegistryKind::Basic, 5003);
    let dir = s.dir().display().to_string();
    let helper = format!("{dir}/docker-credential-box");
    std::fs::write(
        &helper,
        format!(
            "#!/bin/sh\ncase $1 in\nstore) cat > {dir}/kept;;\nget) [ -e {dir}/kept ] && cat {dir}/kept || {{ echo credentials not found in native keychain; exit 1; }};;\nerase) rm -f {dir}/kept;;\nesac\n"
        ),
    )
    .expect("helper");
    sh(&format!("chmod 755 {helper}"));
    let file = format!("{dir}/auth.json");
    std::fs::write(&file, format!(r#"{{"credHelpers": {{"{to}": "box"}}}}"#)).expect("file");
    let rcon = |args: &[&str]| {
        let mut command = s.command();
        command.args(args).env("PATH", format!("{dir}:/usr/bin:/bin:/usr/sbin:/sbin"));
        s.finish(command)
    };
    rcon(&["login", "--authfile", &file, "-u", "tester", "-p", "secret", &to]).ok();
    assert!(!std::fs::read_to_string(&file).expect("file").contains("secret"));
    assert!(std::fs::read_to_string(format!("{dir}/kept")).expect("kept").contains("secret"));
    assert_eq!(rcon(&["login", "--authfile", &file, "--get-login", &to]).ok(), "tester");
    rcon(&["logout", "--authfile", &file, &to]).ok();
    assert!(!std::path::Path::new(&format!("{dir}/kept")).exists());
}

#[test]
fn tls_and_tokens() {
    let s = Sandbox::with_images("push-kinds", &["busybox"]);
    let tls = s.empty_registry(RegistryKind::Tls, 5444);
    let ca = super::support::fixtures().join("tls").display().to_string();
    let e = s.rcon(["push", "--tls-verify=true", "busybox", &format!("{tls}/a")]);
    assert!(e.fails(1).contains("TLS error"), "{}", e.stderr);
    s.rcon(["push", "-q", "--tls-verify=true", "--cert-dir", &ca, "busybox", &format!("{tls}/a")]).ok();
    let token = s.empty_registry(RegistryKind::Token, 5020);
    s.rcon(["push", "busybox", &format!("{token}/a")]).fails(1);
    s.rcon(["push", "-q", "--creds", "tester:secret", "busybox", &format!("{token}/a")]).ok();
    s.rcon(["push", "-q", "--creds", "tester:secret", "busybox", &format!("{token}/b")]).ok();
}

#[test]
fn the_catalogue_is_searched() {
    let s = Sandbox::with_registry("push-search");
    let found = s.rcon(["search", "--format", "{{.Name}}", "127.0.0.1:5000/library/busy"]);
    assert_eq!(found.ok(), "127.0.0.1:5000/library/busybox");
    assert_eq!(
        s.rcon(["search", "--limit", "2", "--format", "{{.Name}}", "127.0.0.1:5000/"]).ok().lines().count(),
        2
    );
    let tags = s.rcon(["search", "--list-tags", "--format", "{{.Tag}}", "127.0.0.1:5000/busybox"]);
    assert!(tags.ok().lines().any(|l| l == "1.36"), "{}", tags.stdout);
}
