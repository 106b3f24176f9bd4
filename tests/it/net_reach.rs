//! The network of containers on the real kernel, below the command line: who reaches whom, with which source
//! address, through which of the ways in; what is left behind. Hosts and containers are network namespaces.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns, unshare};
use rcon::model::id::ContainerId;
use rcon::model::network::{Network, PortMapping, Protocol, Subnet};
use rcon::net::{self, Applied, Attachment, Plan};

use crate::support::{Sandbox, sh};

const LAN_HOST: &str = "192.0.2.1";
const LAN_PEER: &str = "192.0.2.9";

/// A host in a LAN with another host (`lan`), and what is needed to play containers on it.
struct World {
    lan: OwnedFd,
    _sandbox: Sandbox,
}

fn thread_netns() -> OwnedFd {
    std::fs::File::open("/proc/thread-self/ns/net").expect("own namespace").into()
}

fn fresh_netns() -> OwnedFd {
    std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("unshare");
        thread_netns()
    })
    .join()
    .expect("thread")
}

/// Runs `work` in another network namespace.
fn inside<T: Send + 'static>(netns: &OwnedFd, work: impl FnOnce() -> T + Send + 'static) -> T {
    let netns = netns.try_clone().expect("dup");
    std::thread::spawn(move || {
        setns(&netns, CloneFlags::CLONE_NEWNET).expect("setns");
        work()
    })
    .join()
    .expect("the work inside did not panic")
}

impl World {
    fn new(name: &str) -> Self {
        let sandbox = Sandbox::new(name);
        let lan = fresh_netns();
        // The sandbox's host0/host1 pair: the far end becomes the other host's interface.
        let pid = std::process::id();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&lan);
        sh(&format!("ip link set host1 netns /proc/{pid}/fd/{fd}"));
        inside(&lan, || {
            sh(&format!(
                "ip link set lo up; ip link set host1 up; ip addr add {LAN_PEER}/24 dev host1; ip route add default via {LAN_HOST}"
            ));
        });
        Self { lan, _sandbox: sandbox }
    }
}

fn network(name: &str, bridge: &str, third: u8, internal: bool) -> Network {
    Network {
        id: format!("{third:02x}").repeat(32),
        name: name.to_owned(),
        driver: "bridge".to_owned(),
        interface: bridge.to_owned(),
        subnets: vec![Subnet {
            address: IpAddr::from([10, 88, third, 0]),
            prefix: 24,
            gateway: Some(IpAddr::from([10, 88, third, 1])),
            range: None,
            auxiliary: Vec::new(),
        }],
        ipv6: false,
        internal,
        attachable: false,
        dns_enabled: false,
        dns_servers: Vec::new(),
        routes: Vec::new(),
        options: Vec::new(),
        labels: Vec::new(),
        created: jiff::Timestamp::now(),
        file: None,
    }
}

/// A container: a namespace, and what set_up made of it.
struct Container {
    netns: OwnedFd,
    applied: Applied,
    #[expect(dead_code, reason = "shown by the debugger and in panics")]
    ip: Ipv4Addr,
}

fn id(n: u8) -> ContainerId {
    ContainerId::from_bytes([n; 32])
}

fn port(host_ip: &str, host: u16, container: u16, protocol: Protocol) -> PortMapping {
    let host_ip = host_ip.parse().expect("address");
    PortMapping { host_ip, host_port: host, host_last: 0, container_port: container, protocol }
}

fn start(n: u8, network: &Network, ports: &[PortMapping]) -> Container {
    let netns = fresh_netns();
    let IpAddr::V4(base) = network.subnets[0].address else { panic!("an IPv4 network") };
    let ip = Ipv4Addr::from_bits(base.to_bits() + u32::from(n));
    let id = id(n);
    let attachment = Attachment {
        network: network.clone(),
        interface: "eth0".to_owned(),
        host_interface: net::host_interface(&id, 0),
        ip: Some(ip),
        ip6: None,
        mac: None,
        aliases: Vec::new(),
    };
    let plan = Plan { container: &id, netns: netns.as_fd(), attachments: &[attachment], ports };
    let applied = net::set_up(&plan).expect("set up");
    Container { netns, applied, ip }
}

/// Server threads keep the namespace alive: the interface has to go by name.
impl Drop for Container {
    fn drop(&mut self) {
        net::sweep(&self.applied.container).expect("sweep");
    }
}

impl Container {
    /// A TCP server on `port` that tells each client which address it came from.
    fn serve_tcp(&self, port: u16) {
        let netns = self.netns.try_clone().expect("dup");
        let (ready, up) = mpsc::channel();
        std::thread::spawn(move || {
            setns(&netns, CloneFlags::CLONE_NEWNET).expect("setns");
            let listener = TcpListener::bind(("0.0.0.0", port)).expect("bind");
            ready.send(()).expect("ready");
            for client in listener.incoming() {
                let mut client = client.expect("client");
                let peer = client.peer_addr().expect("peer").ip();
                client.write_all(peer.to_string().as_bytes()).ok();
            }
        });
        up.recv().expect("server is up");
    }

    fn serve_udp(&self, port: u16) {
        let netns = self.netns.try_clone().expect("dup");
        let (ready, up) = mpsc::channel();
        std::thread::spawn(move || {
            setns(&netns, CloneFlags::CLONE_NEWNET).expect("setns");
            let socket = UdpSocket::bind(("0.0.0.0", port)).expect("bind");
            ready.send(()).expect("ready");
            let mut buffer = [0; 64];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
                socket.send_to(peer.ip().to_string().as_bytes(), peer).ok();
            }
        });
        up.recv().expect("server is up");
    }
}

/// What the server saw as our address; `None`: no answer.
fn ask_tcp(to: &str) -> Option<String> {
    let to: SocketAddr = to.parse().expect("address");
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_millis(400)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

fn ask_udp(to: &str) -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
    ask_udp_from(&socket, to)
}

fn ask_udp_from(socket: &UdpSocket, to: &str) -> Option<String> {
    socket.set_read_timeout(Some(Duration::from_millis(400))).expect("timeout");
    socket.send_to(b"who am I", to).ok()?;
    let mut buffer = [0; 64];
    let (n, _) = socket.recv_from(&mut buffer).ok()?;
    Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
}

fn tcp_from(netns: &OwnedFd, to: &str) -> Option<String> {
    let to = to.to_owned();
    inside(netns, move || ask_tcp(&to))
}

fn udp_from(netns: &OwnedFd, to: &str) -> Option<String> {
    let to = to.to_owned();
    inside(netns, move || ask_udp(&to))
}

fn ours() -> String {
    sh("nft list table inet rcon 2>/dev/null || true")
}

#[test]
fn a_published_port_is_reached_by_every_way_in_and_the_source_is_kept() {
    reach("net-reach", "0");
}

#[test]
fn the_same_where_docker_has_switched_on_br_netfilter() {
    reach("net-reach-bridged", "1");
}

fn reach(name: &str, bridged: &str) {
    let world = World::new(name);
    let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    if std::fs::write(switch, bridged).is_err() {
        eprintln!("{switch} is not there: only the way without br_netfilter is tested");
    }
    let net0 = network("bridge", "rcon0", 0, false);
    let ports = [port("0.0.0.0", 8080, 80, Protocol::Tcp), port("0.0.0.0", 8081, 81, Protocol::Udp)];
    let web = start(2, &net0, &ports);
    let other = start(3, &net0, &[]);
    web.serve_tcp(80);
    web.serve_udp(81);
    let gateway = Some("10.88.0.1".to_owned());
    type Ask = fn(&OwnedFd, &str) -> Option<String>;
    let protocols: [(Ask, u16, u16); 2] = [(tcp_from, 8080, 80), (udp_from, 8081, 81)];
    for (ask, host, inner) in protocols {
        let here = thread_netns();
        assert_eq!(ask(&here, &format!("127.0.0.1:{host}")), gateway, "loopback {host}");
        assert_eq!(ask(&here, &format!("{LAN_HOST}:{host}")).as_deref(), Some(LAN_HOST), "own address");
        assert_eq!(ask(&here, &format!("10.88.0.1:{host}")), gateway, "gateway address");
        assert_eq!(ask(&here, &format!("10.88.0.2:{inner}")), gateway, "container address");
        let lan = ask(&world.lan, &format!("{LAN_HOST}:{host}"));
        assert_eq!(lan.as_deref(), Some(LAN_PEER), "another host, source kept");
        assert_eq!(ask(&other.netns, &format!("10.88.0.2:{inner}")).as_deref(), Some("10.88.0.3"));
        assert_eq!(ask(&other.netns, &format!("{LAN_HOST}:{host}")), gateway, "hairpin {host}");
        assert_eq!(ask(&web.netns, &format!("{LAN_HOST}:{host}")), gateway, "itself {host}");
    }
    // Not published, not reachable from outside even with a route to the container.
    assert_eq!(tcp_from(&world.lan, "10.88.0.2:80"), None);
    // The way out: masqueraded.
    let (ready, up) = mpsc::channel();
    let lan = world.lan.try_clone().expect("dup");
    std::thread::spawn(move || {
        setns(&lan, CloneFlags::CLONE_NEWNET).expect("setns");
        let listener = TcpListener::bind((LAN_PEER, 7000)).expect("bind");
        ready.send(()).expect("ready");
        let (mut client, peer) = listener.accept().expect("client");
        client.write_all(peer.ip().to_string().as_bytes()).ok();
    });
    up.recv().expect("server is up");
    assert_eq!(tcp_from(&web.netns, &format!("{LAN_PEER}:7000")).as_deref(), Some(LAN_HOST));
    net::tear_down(&web.applied).expect("tear down");
    net::tear_down(&other.applied).expect("tear down");
    assert!(!ours().contains("rcon 0202"), "{}", ours());
    assert_eq!(ask_tcp("127.0.0.1:8080"), None);
}

#[test]
fn a_port_published_on_loopback_is_not_reached_from_the_lan() {
    let world = World::new("net-loopback");
    let net0 = network("bridge", "rcon0", 0, false);
    let web = start(2, &net0, &[port("127.0.0.1", 8080, 80, Protocol::Tcp)]);
    let evil = start(3, &net0, &[]);
    web.serve_tcp(80);
    assert_eq!(ask_tcp("127.0.0.1:8080").as_deref(), Some("10.88.0.1"));
    assert_eq!(tcp_from(&world.lan, "192.0.2.1:8080"), None);
    assert_eq!(tcp_from(&world.lan, "10.88.0.2:80"), None, "by a route to the container");
    // A neighbour that sends packets for 127.0.0.1 over the wire; and a container that does.
    let host_only = TcpListener::bind("127.0.0.1:7777").expect("a service of the host");
    for (netns, device, gateway) in [(&world.lan, "host1", LAN_HOST), (&evil.netns, "eth0", "10.88.0.1")] {
        let seen = inside(netns, move || {
            sh(&format!(
                "echo 1 >/proc/sys/net/ipv4/conf/{device}/route_localnet
                ip addr flush dev lo; ip route flush table local
                ip route add local $(ip -4 -o addr show dev {device} | sed 's,.* inet \\([0-9.]*\\)/.*,\\1,') dev {device} table local
                ip route add 127.0.0.1 via {gateway} dev {device}"
            ));
            (ask_tcp("127.0.0.1:8080"), ask_tcp("127.0.0.1:7777"))
        });
        assert_eq!(seen, (None, None), "from {device}");
    }
    drop(host_only);
    net::tear_down(&web.applied).expect("tear down");
}

#[test]
fn networks_are_isolated_and_internal_ones_have_no_way_out() {
    let world = World::new("net-isolation");
    let (one, two) = (network("one", "br-one", 1, false), network("two", "br-two", 2, false));
    let inner = network("inner", "br-inner", 3, true);
    let a = start(2, &one, &[port("0.0.0.0", 8080, 80, Protocol::Tcp)]);
    let b = start(3, &two, &[]);
    let c = start(4, &inner, &[port("0.0.0.0", 8082, 80, Protocol::Tcp)]);
    let d = start(5, &inner, &[]);
    for x in [&a, &b, &c] {
        x.serve_tcp(80);
    }
    assert_eq!(tcp_from(&b.netns, "10.88.1.2:80"), None, "another network");
    assert!(tcp_from(&b.netns, "192.0.2.1:8080").is_some(), "a published port of another network");
    assert_eq!(tcp_from(&d.netns, "10.88.3.4:80").as_deref(), Some("10.88.3.5"), "the same internal network");
    assert_eq!(tcp_from(&world.lan, "192.0.2.1:8082"), None, "into an internal network");
    assert!(ask_tcp("127.0.0.1:8082").is_some(), "the host itself reaches it");
    inside(&d.netns, || sh("ip route add default via 10.88.3.1"));
    assert_eq!(tcp_from(&d.netns, "192.0.2.1:8080"), None, "out of an internal network");
    assert_eq!(tcp_from(&d.netns, "10.88.1.2:80"), None, "from internal to another");
    assert_eq!(tcp_from(&a.netns, "10.88.3.4:80"), None, "from another into internal");
    for x in [&a, &b, &c, &d] {
        net::tear_down(&x.applied).expect("tear down");
    }
    for n in [&one, &two, &inner] {
        net::remove_network(n).expect("remove");
    }
    assert!(!ours().contains("br-"), "{}", ours());
    assert!(!sh("ip -o link").contains("br-one"));
}

#[test]
fn a_flushed_firewall_is_noticed_and_put_back() {
    let _world = World::new("net-flush");
    let net0 = network("bridge", "rcon0", 0, false);
    let web = start(2, &net0, &[port("0.0.0.0", 8080, 80, Protocol::Tcp)]);
    web.serve_tcp(80);
    let mut watcher = net::Watcher::new().expect("subscribe");
    assert!(!watcher.changed());
    let second = start(3, &net0, &[port("0.0.0.0", 8083, 80, Protocol::Tcp)]);
    assert!(!watcher.changed(), "another container's elements are no reason to work");
    sh("nft flush ruleset");
    assert_eq!(ask_tcp("127.0.0.1:8080"), None);
    assert!(watcher.changed());
    net::ensure(&web.applied).expect("ensure");
    net::ensure(&second.applied).expect("ensure");
    assert!(ask_tcp("127.0.0.1:8080").is_some());
    // The administrator's chain survives.
    sh("nft add rule inet rcon rcon-user oifname rcon0 tcp dport 80 drop");
    net::ensure(&web.applied).expect("ensure");
    assert!(ours().contains("tcp dport 80 drop"));
    // Only our rules flushed: the elements are there, the rules are not.
    sh("nft flush chain inet rcon rcon-user; nft delete table inet rcon");
    net::ensure(&web.applied).expect("ensure");
    assert!(ask_tcp("127.0.0.1:8080").is_some());
    net::tear_down(&web.applied).expect("tear down");
    net::tear_down(&second.applied).expect("tear down is at ease with what is gone");
}

#[test]
fn a_sweep_removes_by_tag_what_the_dead_left() {
    let _world = World::new("net-sweep");
    let net0 = network("bridge", "rcon0", 0, false);
    let ports = [port("0.0.0.0", 8080, 80, Protocol::Tcp), port("127.0.0.1", 53, 53, Protocol::Udp)];
    let web = start(2, &net0, &ports);
    let other = start(3, &net0, &[port("0.0.0.0", 8083, 80, Protocol::Tcp)]);
    assert_eq!(net::sweep(&id(2)).expect("sweep"), 3);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(net::sweep(&id(2)).expect("sweep"), 0);
    let text = ours();
    assert!(!text.contains("rcon 0202") && text.contains("rcon 0303"), "{text}");
    assert!(!sh("ip -o link").contains("rv0202"));
    drop(web);
    // The port of a dead container whose element was left is given to the next one.
    let again = start(4, &net0, &[port("0.0.0.0", 8083, 80, Protocol::Tcp)]);
    assert!(ours().contains("10.88.0.4 . 80"), "{}", ours());
    net::tear_down(&again.applied).expect("tear down");
    net::tear_down(&other.applied).expect("tear down");
}

#[test]
fn a_firewall_that_drops_by_default_lets_our_containers_through() {
    let world = World::new("net-foreign");
    sh("iptables-nft -P FORWARD DROP");
    let net0 = network("bridge", "rcon0", 0, false);
    let web = start(2, &net0, &[port("0.0.0.0", 8080, 80, Protocol::Tcp)]);
    web.serve_tcp(80);
    assert_eq!(tcp_from(&world.lan, "192.0.2.1:8080").as_deref(), Some(LAN_PEER));
    let rules = sh("iptables-nft -S FORWARD");
    assert_eq!(rules.matches("rcon0 -m comment").count(), 2, "{rules}");
    assert_eq!(tcp_from(&world.lan, "10.88.0.2:80"), None);
    net::ensure(&web.applied).expect("ensure");
    assert_eq!(sh("iptables-nft -S FORWARD"), rules, "not added twice");
    net::tear_down(&web.applied).expect("tear down");
    net::remove_network(&net0).expect("remove");
    let rules = sh("iptables-nft -S FORWARD");
    assert!(!rules.contains("rcon0"), "{rules}");
}

#[test]
fn a_udp_client_that_keeps_sending_finds_the_new_container() {
    let world = World::new("net-udp");
    let net0 = network("bridge", "rcon0", 0, false);
    let ports = [port("0.0.0.0", 8081, 81, Protocol::Udp)];
    let client = inside(&world.lan, || UdpSocket::bind((LAN_PEER, 40000)).expect("bind"));
    let first = start(2, &net0, &ports);
    first.serve_udp(81);
    assert_eq!(ask_udp_from(&client, "192.0.2.1:8081").as_deref(), Some(LAN_PEER));
    net::tear_down(&first.applied).expect("tear down");
    // Untranslated while nothing is there, which makes a flow of its own.
    assert_eq!(ask_udp_from(&client, "192.0.2.1:8081"), None);
    let second = start(3, &net0, &ports);
    second.serve_udp(81);
    assert_eq!(ask_udp_from(&client, "192.0.2.1:8081").as_deref(), Some(LAN_PEER));
    net::tear_down(&second.applied).expect("tear down");
}

#[test]
#[ignore = "measures, for `--ignored --nocapture`"]
fn time_of_a_set_up() {
    let _world = World::new("net-speed");
    let net0 = network("bridge", "rcon0", 0, false);
    drop(start(2, &net0, &[port("0.0.0.0", 8080, 80, Protocol::Tcp)]));
    for (what, ports) in [("plain", &[][..]), ("published", &[port("0.0.0.0", 8081, 80, Protocol::Tcp)][..])]
    {
        let mut times: Vec<Duration> = Vec::new();
        let mut downs: Vec<Duration> = Vec::new();
        for n in 3..60 {
            let netns = fresh_netns();
            let id = id(n);
            let attachment = Attachment {
                network: net0.clone(),
                interface: "eth0".to_owned(),
                host_interface: net::host_interface(&id, 0),
                ip: Some(Ipv4Addr::new(10, 88, 0, n)),
                ip6: None,
                mac: None,
                aliases: Vec::new(),
            };
            let plan = Plan { container: &id, netns: netns.as_fd(), attachments: &[attachment], ports };
            let start = Instant::now();
            let applied = net::set_up(&plan).expect("set up");
            times.push(start.elapsed());
            let start = Instant::now();
            net::tear_down(&applied).expect("tear down");
            downs.push(start.elapsed());
        }
        times.sort();
        downs.sort();
        let (mid, least) = (times[times.len() / 2], times[0]);
        println!("{what}: set_up {mid:?} (least {least:?}), tear_down {:?}", downs[downs.len() / 2]);
    }
}
