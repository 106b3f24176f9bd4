//! Where requests go: redirects, proxies, and that credentials do not go with them (rule R11).

use super::support::proxy::{Fault, Proxy};
use super::support::{RegistryKind, Sandbox};

fn authorized(proxy: &Proxy) -> usize {
    proxy.requests().iter().filter(|r| r.to_ascii_lowercase().contains("\nauthorization:")).count()
}

fn port(proxy: &Proxy) -> u16 {
    proxy.address().rsplit(':').next().expect("port").parse().expect("a number")
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let s = Sandbox::new("route-redirect");
    let plain = s.registry(RegistryKind::Plain);
    let basic = s.registry(RegistryKind::Basic);
    let (front, other) = (Proxy::start(&basic), Proxy::start(&plain));
    front.spoil("/blobs/", Fault::Redirect(port(&other)), 100);
    let image = format!("{}/busybox", front.address());
    s.rcon(["pull", "-q", "--creds", "tester:secret", &image]).ok();
    assert!(authorized(&front) > 0);
    assert!(other.requests().len() >= 2, "config and layer came from there");
    assert_eq!(authorized(&other), 0);
}

#[test]
fn who_we_were_redirected_to_may_not_ask_who_we_are() {
    let s = Sandbox::new("route-asks");
    let basic = s.registry(RegistryKind::Basic);
    let (front, other) = (Proxy::start(&basic), Proxy::start(&basic));
    front.spoil("/blobs/", Fault::Redirect(port(&other)), 100);
    let e = s.rcon([
        "pull",
        "-q",
        "--retry",
        "0",
        "--creds",
        "tester:secret",
        &format!("{}/busybox", front.address()),
    ]);
    e.fails(1);
    assert!(!other.requests().is_empty());
    assert_eq!(authorized(&other), 0);
}

#[test]
fn proxies_of_the_environment_are_used_but_not_for_this_machine() {
    let s = Sandbox::new("route-proxy");
    let plain = s.registry(RegistryKind::Plain);
    let proxy = Proxy::start(&plain);
    let pull = |image: &str, set: &[(&str, &str)]| {
        let mut command = s.command();
        command.args(["pull", "-q", "--retry", "0", "--tls-verify=false", image]);
        command.envs(set.iter().copied());
        s.finish(command)
    };
    let address = format!("http://{}", proxy.address());
    for name in ["HTTP_PROXY", "http_proxy"] {
        pull("registry.test:5000/busybox", &[(name, &address)]).ok();
        s.rcon(["rmi", "registry.test:5000/busybox"]).ok();
    }
    assert!(proxy.requests().iter().any(|r| r.contains("registry.test:5000")), "{:?}", proxy.requests());
    let e = pull("registry.test:5000/busybox", &[("HTTP_PROXY", &address), ("NO_PROXY", "registry.test")]);
    assert!(e.fails(1).contains("registry.test:5000: cannot reach the registry"), "{}", e.stderr);
    // A proxy that does not exist does not matter for loopback.
    pull(&format!("{plain}/busybox"), &[("HTTP_PROXY", "http://127.0.0.1:1")]).ok();
    let e = pull(
        "registry.test/busybox",
        &[("HTTPS_PROXY", "http://127.0.0.1:1"), ("HTTP_PROXY", "http://127.0.0.1:1")],
    );
    e.fails(1);
}
