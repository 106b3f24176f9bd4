//! Registries that ask who is there: TLS with an own CA, Basic, Bearer with a token service.

use super::support::{RegistryKind, Sandbox, fixtures};

fn auth_file(s: &Sandbox, name: &str, registry: &str, auth: &str) -> String {
    let path = s.dir().join(name);
    std::fs::write(&path, format!(r#"{{"auths": {{"{registry}": {{"auth": "{auth}"}}}}}}"#))
        .expect("auth file");
    path.display().to_string()
}

#[test]
fn a_ca_in_certs_d_is_believed_and_nothing_else() {
    let s = Sandbox::new("pull-tls");
    let registry = s.registry(RegistryKind::Tls);
    let image = format!("{registry}/busybox");
    let e = s.rcon(["pull", "--tls-verify=true", &image]);
    assert!(e.fails(1).contains("TLS error") && e.stderr.contains("certs.d"), "{}", e.stderr);
    s.rcon(["pull", "-q", "--tls-verify=false", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    // Loopback registries are insecure by default, as docker has it.
    s.rcon(["pull", "-q", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    let ca = fixtures().join("tls/ca.crt");
    let dir = s.dir().join("home/.config/containers/certs.d").join(&registry);
    std::fs::create_dir_all(&dir).expect("certs.d");
    std::fs::copy(&ca, dir.join("ca.crt")).expect("copy");
    s.rcon(["pull", "-q", "--tls-verify=true", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    let other = s.dir().join("certs");
    std::fs::create_dir(&other).expect("folder");
    let e = s.rcon(["pull", "--tls-verify=true", "--cert-dir", &other.display().to_string(), &image]);
    assert!(e.fails(1).contains("TLS error"), "{}", e.stderr);
    std::fs::copy(&ca, other.join("x.crt")).expect("copy");
    s.rcon(["pull", "-q", "--tls-verify=true", "--cert-dir", &other.display().to_string(), &image]).ok();
}

#[test]
fn plain_http_where_tls_is_demanded_is_named() {
    let s = Sandbox::new("pull-no-tls");
    let registry = s.registry(RegistryKind::Plain);
    let e = s.rcon(["pull", "--tls-verify=true", &format!("{registry}/busybox")]);
    assert!(e.fails(1).contains("does not speak TLS"), "{}", e.stderr);
    assert!(e.stderr.contains("hint: ") && e.stderr.contains("--tls-verify=false"), "{}", e.stderr);
}

#[test]
fn basic_authentication() {
    let s = Sandbox::new("pull-basic");
    let registry = s.registry(RegistryKind::Basic);
    let image = format!("{registry}/busybox");
    let e = s.rcon(["pull", &image]);
    assert!(e.fails(1).contains("authentication required"), "{}", e.stderr);
    assert!(e.stderr.contains(&format!("hint: run rcon login {registry}")), "{}", e.stderr);
    let e = s.rcon(["pull", "--creds", "tester:wrong", &image]);
    assert!(e.fails(1).contains("authentication required"), "{}", e.stderr);
    s.rcon(["pull", "-q", "--creds", "tester:secret", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    // dGVzdGVyOnNlY3JldA== is tester:secret
    let file = auth_file(&s, "auth.json", &registry, "dGVzdGVyOnNlY3JldA==");
    s.rcon(["pull", "-q", "--authfile", &file, &image]).ok();
    s.rcon(["rmi", &image]).ok();
    let mut command = s.command();
    command.env("REGISTRY_AUTH_FILE", &file).args(["pull", "-q", &image]);
    s.finish(command).ok();
    s.rcon(["rmi", &image]).ok();
    let docker = s.dir().join("home/.docker");
    std::fs::create_dir_all(&docker).expect("folder");
    std::fs::copy(&file, docker.join("config.json")).expect("copy");
    s.rcon(["pull", "-q", &image]).ok();
}

#[test]
fn a_credential_helper_is_asked() {
    use std::os::unix::fs::PermissionsExt as _;
    let s = Sandbox::new("pull-helper");
    let registry = s.registry(RegistryKind::Basic);
    let bin = s.dir().join("bin");
    std::fs::create_dir(&bin).expect("folder");
    let program = bin.join("docker-credential-test");
    std::fs::write(
        &program,
        "#!/bin/sh\n[ \"$1\" = get ] || exit 1\nread -r server\necho \"{\\\"ServerURL\\\":\\\"$server\\\",\\\"Username\\\":\\\"tester\\\",\\\"Secret\\\":\\\"secret\\\"}\"\n",
    )
    .expect("helper");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let docker = s.dir().join("home/.docker");
    std::fs::create_dir_all(&docker).expect("folder");
    let config = docker.join("config.json");
    std::fs::write(&config, format!(r#"{{"credHelpers": {{"{registry}": "test"}}}}"#)).expect("config");
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let pull = || {
        let mut command = s.command();
        command.env("PATH", &path).args(["pull", "-q", &format!("{registry}/busybox")]);
        s.finish(command)
    };
    pull().ok();
    std::fs::write(&config, r#"{"credsStore": "absent"}"#).expect("config");
    let e = pull();
    assert!(e.fails(1).contains("credential helper docker-credential-absent"), "{}", e.stderr);
}

#[test]
fn bearer_tokens_anonymous_and_with_credentials() {
    let s = Sandbox::new("pull-token");
    let registry = s.registry(RegistryKind::Token);
    let image = format!("{registry}/busybox");
    s.rcon(["pull", "-q", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    s.rcon(["pull", "-q", "--creds", "tester:secret", &image]).ok();
    s.rcon(["rmi", &image]).ok();
    let e = s.rcon(["pull", "--creds", "tester:wrong", &image]);
    assert!(e.fails(1).contains("incorrect username or password"), "{}", e.stderr);
    // An identity token is exchanged by OAuth2's POST.
    let path = s.dir().join("auth.json");
    std::fs::write(&path, format!(r#"{{"auths": {{"{registry}": {{"identitytoken": "identity"}}}}}}"#))
        .expect("auth");
    s.rcon(["pull", "-q", "--authfile", &path.display().to_string(), &image]).ok();
    let e = s.rcon(["pull", &format!("{registry}/private/x")]);
    assert!(e.fails(1).contains("hint: run rcon login"), "{}", e.stderr);
}
