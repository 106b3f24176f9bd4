//! `--network` and its relatives in depth: both address families, fixed addresses, several networks, shared namespaces,
//! name servers, hosts entries, routes.

use std::net::UdpSocket;

use crate::support::{Sandbox, eventually, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

fn start(s: &Sandbox, name: &str, flags: &[&str], command: &[&str]) {
    let mut all = vec!["run", "-d", "--name", name];
    all.extend_from_slice(flags);
    all.push("busybox");
    all.extend_from_slice(command);
    s.rcon(all).ok();
}

/// What a shell text prints in a new container with these flags.
fn shell(s: &Sandbox, flags: &[&str], script: &str) -> String {
    let mut all = vec!["run", "--rm"];
    all.extend_from_slice(flags);
    all.extend_from_slice(&["busybox", "sh", "-c", script]);
    s.rcon(all).ok().to_owned()
}

const SLEEP: &[&str] = &["sleep", "1000"];
/// Answers each connection to port 80 with "hello".
const SERVE: &[&str] = &["sh", "-c", "while true; do echo hello | nc -l -p 80 >/dev/null 2>&1; done"];

/// A name server of this sandbox that answers every question about an IPv4 address with one.
fn name_server(address: &str, answer: [u8; 4]) {
    let socket = UdpSocket::bind(address).expect("bind");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let question = &buffer[..n];
            if n < 16 {
                continue;
            }
            let mut out = question[..2].to_vec();
            let is_a = question[n.saturating_sub(16)..].windows(4).any(|w| w == [0, 1, 0, 1]);
            out.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            // The question ends with its type and class; what follows (EDNS) is left out.
            let end = 12 + question[12..].iter().position(|b| *b == 0).unwrap_or(0) + 5;
            out.extend(&question[12..end]);
            if is_a {
                out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
                out.extend(answer);
            }
            drop(socket.send_to(&out, from));
        }
    });
}

#[test]
fn a_network_with_ipv6_reaches_and_is_reached() {
    let s = sandbox("net6");
    s.rcon(["network", "create", "--ipv6", "--subnet", "fd00:7::/64", "six"]).ok();
    let both = s.rcon(["network", "inspect", "-f", "{{range .Subnets}}{{.Subnet}} {{end}}", "six"]);
    assert!(both.ok().contains("fd00:7::/64") && both.stdout.contains('.'), "both families: {}", both.stdout);
    start(&s, "a", &["--network", "six", "--ip6", "fd00:7::77", "-p", "[::1]:18080:80"], SERVE);
    assert_eq!(s.inspect("a", "{{.NetworkSettings.Networks.six.GlobalIPv6Address}}"), "fd00:7::77");
    assert_eq!(s.rcon(["port", "a"]).ok(), "80/tcp -> [::1]:18080");
    let ping = shell(&s, &["--network", "six"], "ping -6 -c1 -W2 fd00:7::77; nslookup -type=aaaa a");
    assert!(ping.contains("1 packets received") && ping.contains("fd00:7::77"), "{ping}");
    eventually("it answers on [::1]", || {
        sh("timeout 2 bash -c 'exec 3<>/dev/tcp/::1/18080; head -n1 <&3' 2>/dev/null || true")
            .contains("hello")
    });
    let outside = s.rcon(["run", "--rm", "--network", "six", "--ip6", "fd00:8::1", "busybox", "true"]);
    assert!(outside.fails(125).contains("fd00:8::1"), "{}", outside.stderr);
    // A container without IPv6 is reached too, over what it has.
    start(&s, "b", &["-p", "[::1]:18081:80"], SERVE);
    eventually("it answers on [::1]", || {
        sh("timeout 2 bash -c 'exec 3<>/dev/tcp/::1/18081; head -n1 <&3' 2>/dev/null || true")
            .contains("hello")
    });
    // A port of every address is had by IPv6, too; who carries it is started for the first that comes so.
    start(&s, "every", &["-p", "18083:80"], SERVE);
    let carriers =
        || sh("pgrep --ns $$ --nslist net -c rcon-relay || true").trim().parse::<u32>().expect("a number");
    let before = carriers();
    let ask = |at: &str| {
        sh(&format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{at}/18083; head -n1 <&3' 2>/dev/null || true"))
    };
    eventually("it answers on 127.0.0.1", || !ask("127.0.0.1").is_empty());
    assert_eq!(carriers(), before);
    eventually("it answers on [::1]", || !ask("::1").is_empty());
    assert_eq!(carriers(), before + 1);
    // Over a change of its networks, and over a restart.
    s.rcon(["network", "connect", "six", "every"]).ok();
    s.rcon(["network", "disconnect", "bridge", "every"]).ok();
    eventually("it answers on [::1] still", || !ask("::1").is_empty());
    s.rcon(["restart", "-t", "0", "every"]).ok();
    eventually("it answers on [::1] again", || !ask("::1").is_empty());
    s.rcon(["rm", "-f", "-t", "0", "every"]).ok();
    eventually("nobody carries it any more", || carriers() == before);
    let udp = s.rcon(["run", "--rm", "-p", "[::1]:18082:80/udp", "busybox", "true"]);
    assert!(udp.fails(125).contains("[::1]"), "{}", udp.stderr);
    s.rcon(["stop", "-t", "0", "a"]).ok();
    assert!(!sh("ss -ltn").contains("18080"), "the relay ends with its container");
}

#[test]
fn addresses_names_and_interfaces_as_asked() {
    let s = sandbox("netflags");
    s.rcon(["network", "create", "--subnet", "10.61.0.0/24", "n1"]).ok();
    s.rcon(["network", "create", "--subnet", "10.62.0.0/24", "n2"]).ok();
    start(
        &s,
        "a",
        &[
            "--network",
            "n1:ip=10.61.0.9,mac=02:00:00:00:00:09,alias=www,interface_name=front",
            "--network",
            "n2",
        ],
        SLEEP,
    );
    let all = s.rcon(["exec", "a", "ip", "addr"]).ok().to_owned();
    for wanted in ["front", "10.61.0.9/24", "02:00:00:00:00:09", "10.62.0."] {
        assert!(all.contains(wanted), "{wanted}\n{all}");
    }
    start(
        &s,
        "b",
        &[
            "--network",
            "n1",
            "--ip",
            "10.61.0.7",
            "--mac-address",
            "02:00:00:00:00:07",
            "--network-alias",
            "api",
            "--network-alias",
            "rest",
        ],
        SLEEP,
    );
    for name in ["a", "www", "b", "api", "rest"] {
        assert!(
            shell(&s, &["--network", "n1"], &format!("ping -c1 -W2 {name}")).contains("1 packets received")
        );
    }
    assert!(s.rcon(["exec", "b", "ip", "link"]).ok().contains("02:00:00:00:00:07"));
    // The alias is n1's alone.
    let other = s.rcon(["run", "--rm", "--network", "n2", "busybox", "nslookup", "www"]);
    assert!(!other.stdout.contains("10.61.0.9"), "{}", other.stdout);
    s.rcon(["rename", "b", "renamed"]).ok();
    assert!(shell(&s, &["--network", "n1"], "ping -c1 -W2 renamed").contains("10.61.0.7"));
    let old = s.rcon(["run", "--rm", "--network", "n1", "busybox", "nslookup", "b"]);
    assert!(!old.stdout.contains("10.61.0.7"), "{}", old.stdout);
    for wrong in [
        &["--network", "n1", "--ip", "10.99.0.1"][..],
        &["--network", "n1", "--network", "n1"],
        &["--network", "nosuch"],
        &["--network", "n1", "--mac-address", "01:00:00:00:00:01"],
    ] {
        let mut args = vec!["run", "--rm"];
        args.extend_from_slice(wrong);
        args.extend_from_slice(&["busybox", "true"]);
        s.rcon(args).fails(125);
    }
}

#[test]
fn namespaces_are_shared_by_container_and_path() {
    let s = sandbox("netshare");
    start(&s, "a", &["--hostname", "alpha"], SERVE);
    let look = "hostname; cat /etc/hosts | grep -c alpha; nc -w2 127.0.0.1 80";
    let joined = shell(&s, &["--network", "container:a"], look);
    assert!(joined.starts_with("alpha\n1\n") && joined.ends_with("hello"), "{joined}");
    let path = format!("ns:/proc/{}/ns/net", s.inspect("a", "{{.State.Pid}}"));
    assert_eq!(shell(&s, &["--network", &path], "nc -w2 127.0.0.1 80"), "hello");
    let none = shell(&s, &["--network", "none"], "ip -o link | wc -l; ip -o addr show lo | wc -l");
    assert!(none.starts_with("1\n"), "{none}");
    assert!(shell(&s, &["--network", "host"], "ip -o link").contains("host0"));
    let conflict = s.rcon(["run", "--rm", "--network", "container:a", "-p", "80", "busybox", "true"]);
    assert!(conflict.fails(125).contains("port publishing"), "{}", conflict.stderr);
}

#[test]
fn name_servers_and_hosts_as_asked() {
    let s = sandbox("netdns");
    let conf = shell(
        &s,
        &["--dns", "192.0.2.53", "--dns-search", "lab.test", "--dns-option", "ndots:3"],
        "cat /etc/resolv.conf",
    );
    for wanted in ["nameserver 192.0.2.53", "search lab.test", "options ndots:3"] {
        assert!(conf.contains(wanted), "{wanted}\n{conf}");
    }
    let hosts = shell(
        &s,
        &["--add-host", "one:10.1.1.1", "--add-host", "up:host-gateway"],
        "cat /etc/hosts; ip route",
    );
    let gateway =
        hosts.lines().find_map(|l| l.strip_prefix("default via ")).and_then(|l| l.split(' ').next());
    let gateway = gateway.expect("a default route");
    assert!(hosts.contains("10.1.1.1\tone") && hosts.contains(&format!("{gateway}\tup")), "{hosts}");
    // A server that only the host reaches, on its loopback: the responder asks it from there.
    name_server("127.0.0.53:53", [203, 0, 113, 5]);
    name_server("127.0.0.54:53", [203, 0, 113, 6]);
    s.rcon(["network", "create", "n1"]).ok();
    let text =
        shell(&s, &["--network", "n1", "--dns", "127.0.0.53"], "nslookup example.test; cat /etc/resolv.conf");
    assert!(text.contains("203.0.113.5") && text.contains("nameserver 127.0.0.11"), "{text}");
    // The network's own servers, changed while a container runs.
    s.rcon(["network", "create", "--dns", "127.0.0.53", "n2"]).ok();
    start(&s, "c", &["--network", "n2"], SLEEP);
    let ask = |name: &str| s.rcon(["exec", "c", "nslookup", "-type=a", name]).stdout;
    assert!(ask("one.test").contains("203.0.113.5"));
    assert_eq!(
        s.rcon(["network", "update", "--dns-drop", "127.0.0.53", "--dns-add", "127.0.0.54", "n2"]).ok(),
        "n2"
    );
    assert!(ask("two.test").contains("203.0.113.6"));
    let shown = s.rcon(["network", "inspect", "-f", "{{index .NetworkDNSServers 0}}", "n2"]);
    assert_eq!(shown.ok(), "127.0.0.54");
    s.rcon(["network", "update", "--dns-drop", "10.0.0.1", "n2"]).fails(1);
    s.rcon(["network", "update", "--dns-add", "10.0.0.1", "bridge"]).fails(1);
}

#[test]
fn routes_of_a_network_are_its_containers() {
    let s = sandbox("netroute");
    s.rcon(["network", "create", "--subnet", "10.63.0.0/24", "--route", "10.200.0.0/16,10.63.0.5,50", "n1"])
        .ok();
    let routes = shell(&s, &["--network", "n1"], "ip route");
    assert!(routes.contains("10.200.0.0/16 via 10.63.0.5 dev eth0  metric 50"), "{routes}");
    for wrong in ["10.200.0.0/16", "10.200.0.0/16,fd00::1", "10.200.0.1/16,10.63.0.5", "x,y"] {
        s.rcon(["network", "create", "--route", wrong, "n2"]).fails(1);
    }
}
