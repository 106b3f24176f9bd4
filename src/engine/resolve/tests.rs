//! Goldens of the resolution: wishes on one side, what they become on the other.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::*;
use crate::engine::error::Kind as ErrorKind;
use crate::model::image::ImageConfig;
use crate::model::lifecycle::RestartPolicy;
use crate::model::mount::{MountKind, MountRequest, MountSpec};
use crate::model::namespace::NsMode;
use crate::model::network::{Network, NetworkMode, NetworkModeSpec, Protocol, Subnet};
use crate::model::units::{ByteSize, NanoCpus};
use crate::model::volume::Volume;

struct Table;

const OTHER: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

impl World for Table {
    fn container(&self, name: &str) -> Result<Neighbour, Error> {
        if name != "other" && name != OTHER {
            return Err(Error::new(ErrorKind::NotFound, format!("No such container: {name}")));
        }
        let mount = MountRequest::parse_volume("data:/data").map_err(Error::from)?;
        let mut borrowed = super::mounts::tests_base(&mount);
        borrowed.name = Some("data".to_owned());
        Ok(Neighbour {
            id: OTHER.parse()?,
            name: "other".to_owned(),
            hostname: "otherhost".to_owned(),
            private_ipc: false,
            mounts: vec![borrowed],
            exposed: Vec::new(),
            env: vec!["A=1".to_owned(), "PATH=/bin".to_owned()],
            networks: vec!["bridge".to_owned()],
            host_network: false,
            joined: None,
        })
    }

    fn network(&self, name: &str) -> Result<Network, Error> {
        if !matches!(name, "bridge" | "net1") {
            return Err(Error::new(ErrorKind::NotFound, format!("network {name} not found")));
        }
        Ok(Network {
            id: "n".repeat(64),
            name: name.to_owned(),
            driver: "bridge".to_owned(),
            interface: "rcon0".to_owned(),
            subnets: vec![Subnet {
                address: [10, 88, 0, 0].into(),
                prefix: 16,
                gateway: Some([10, 88, 0, 1].into()),
                range: None,
                auxiliary: Vec::new(),
            }],
            ipv6: false,
            internal: false,
            attachable: false,
            dns_enabled: false,
            dns_servers: Vec::new(),
            routes: Vec::new(),
            options: Vec::new(),
            labels: Vec::new(),
            created: jiff::Timestamp::UNIX_EPOCH,
            file: None,
        })
    }

    fn volume(&self, name: &str) -> Result<Option<Volume>, Error> {
        Ok((name == "there").then(|| Volume {
            name: name.to_owned(),
            driver: "local".to_owned(),
            mountpoint: "/v/there/_data".to_owned(),
            created: jiff::Timestamp::UNIX_EPOCH,
            labels: Vec::new(),
            options: Vec::new(),
            anonymous: false,
        }))
    }

    fn volume_path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/v/{name}/_data"))
    }

    fn image(&self, name: &str) -> Result<Image, Error> {
        Err(Error::new(ErrorKind::NotFound, format!("No such image: {name}")))
    }

    fn secret(&self, name: &str) -> Result<(String, String), Error> {
        Ok(("s".repeat(25), name.to_owned()))
    }

    fn sub_ids(&self, _file: &str, user: &str) -> Result<Vec<(u32, u32)>, Error> {
        Ok(if user == "containers" { vec![(100_000, 200_000)] } else { Vec::new() })
    }

    fn mapped_ids(&self) -> Result<Vec<(u32, u32)>, Error> {
        Ok(vec![(100_000, 1024), (102_048, 65_536)])
    }

    fn highest_id(&self, _layers: &[crate::model::digest::ChainId]) -> u32 {
        1000
    }

    fn host_user(&self, name: &str) -> Result<Option<String>, Error> {
        Ok((name == "hans").then(|| "hans:x:1000:1000::/home/hans:/bin/sh".to_owned()))
    }

    fn free_port(&self, _ip: IpAddr, _protocol: Protocol) -> Option<u16> {
        Some(40_000)
    }

    fn path(&self, path: &Path) -> PathKind {
        if path.starts_with("/missing") { PathKind::Missing } else { PathKind::Directory }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        if pattern == "/etc/*.conf" { vec!["/etc/a.conf".into(), "/etc/b.conf".into()] } else { Vec::new() }
    }

    fn cwd(&self) -> PathBuf {
        PathBuf::from("/work")
    }

    fn random_name(&self) -> String {
        "f".repeat(64)
    }

    fn hostname(&self) -> String {
        "thehost".to_owned()
    }
}

fn image(config: ImageConfig) -> Image {
    let digest: crate::model::digest::Digest =
        format!("sha256:{}", "1".repeat(64)).parse().expect("a digest");
    Image {
        id: digest.clone(),
        manifest: digest.clone(),
        index: None,
        names: Vec::new(),
        digests: Vec::new(),
        created: None,
        os: "linux".to_owned(),
        architecture: "amd64".to_owned(),
        variant: String::new(),
        author: String::new(),
        comment: String::new(),
        config,
        diff_ids: vec![digest.clone()],
        layers: vec![digest],
        size: 1,
    }
}

fn nginx() -> ImageConfig {
    ImageConfig {
        env: vec!["PATH=/bin".to_owned(), "NGINX=1".to_owned()],
        entrypoint: vec!["/entry.sh".to_owned()],
        cmd: vec!["nginx".to_owned(), "-g".to_owned()],
        exposed_ports: vec!["80/tcp".to_owned(), "53/udp".to_owned()],
        volumes: vec!["/cache/".to_owned()],
        working_dir: "/srv".to_owned(),
        labels: vec![("a".to_owned(), "image".to_owned()), ("b".to_owned(), "image".to_owned())],
        stop_signal: "SIGQUIT".to_owned(),
        ..ImageConfig::default()
    }
}

fn all_capabilities() -> Vec<String> {
    crate::runtime::defaults::ALL_CAPABILITIES
        .iter()
        .filter(|c| **c != "CAP_SYS_RESOURCE")
        .map(|c| (*c).to_owned())
        .collect()
}

fn with(config: ImageConfig, wish: impl FnOnce(&mut CreateOptions)) -> Result<Resolved, Error> {
    let mut options = CreateOptions { image: "img".to_owned(), ..CreateOptions::default() };
    wish(&mut options);
    let image = image(config);
    resolve(&Inputs {
        options: &options,
        id: "a".repeat(64).parse().expect("an id"),
        name: "c1".to_owned(),
        now: jiff::Timestamp::UNIX_EPOCH,
        image: Some(&image),
        config: &Config::default(),
        host: &Host::fixed(2, all_capabilities()),
        world: &Table,
    })
}

fn ok(wish: impl FnOnce(&mut CreateOptions)) -> Resolved {
    with(nginx(), wish).expect("resolves")
}

/// The error's text of a wish that must fail.
fn fails(wish: impl FnOnce(&mut CreateOptions)) -> String {
    with(nginx(), wish).expect_err("must be refused").to_string()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn defaults_are_written_out() {
    let spec = ok(|_| {}).spec;
    assert_eq!(spec.hostname, "aaaaaaaaaaaa");
    assert_eq!(spec.process.argv, words("/entry.sh nginx -g"));
    assert_eq!(spec.process.env, words("PATH=/bin HOSTNAME=aaaaaaaaaaaa NGINX=1"));
    assert_eq!(spec.process.cwd, "/srv");
    assert_eq!(spec.process.capabilities.len(), 14);
    assert_eq!(spec.lifecycle.stop_signal, 3);
    assert_eq!(spec.lifecycle.stop_timeout, 10);
    assert_eq!(spec.lifecycle.log.driver, "json-file");
    assert_eq!(spec.shm_size, 64 << 20);
    assert_eq!(spec.network.mode, NetworkModeSpec::Bridge);
    assert_eq!(spec.network.attachments[0].interface, "eth0");
    assert!(spec.security.masked_paths.iter().any(|p| p == "/proc/kcore"));
}

#[test]
fn commands_follow_dockers_rules() {
    type Case = (&'static str, Option<Vec<String>>, Vec<String>, &'static str);
    let cases: [Case; 5] = [
        ("image alone", None, vec![], "/entry.sh nginx -g"),
        ("args replace cmd", None, words("sh -c"), "/entry.sh sh -c"),
        ("entrypoint drops cmd", Some(words("/bin/sh")), vec![], "/bin/sh"),
        ("entrypoint with args", Some(words("/bin/sh")), words("-c ls"), "/bin/sh -c ls"),
        ("empty entrypoint", Some(vec![String::new()]), words("ls"), "ls"),
    ];
    for (name, entrypoint, args, want) in cases {
        let spec = ok(|o| {
            o.process.entrypoint = entrypoint;
            o.process.args = args;
        })
        .spec;
        assert_eq!(spec.process.argv, words(want), "{name}");
    }
    let e = with(ImageConfig::default(), |_| {}).expect_err("nothing to run");
    assert_eq!(e.to_string(), "no command specified");
}

#[test]
fn environment_is_merged_in_place() {
    let spec = ok(|o| {
        o.process.tty = true;
        o.process.env = vec![("NGINX".into(), "2".into()), ("B".into(), "x=y".into())];
        o.process.unset_env = words("PATH");
    })
    .spec;
    assert_eq!(spec.process.env, words("HOSTNAME=aaaaaaaaaaaa TERM=xterm NGINX=2 B=x=y"));
}

#[test]
fn ports_are_expanded_and_checked() {
    let ports = |texts: &[&str], all: bool| {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        with(nginx(), move |o| {
            o.network.publish = texts.iter().map(|t| t.parse().expect("a port")).collect();
            o.network.publish_all = all;
        })
        .map(|r| r.spec.network.ports.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let shown = |texts: &[&str], all| {
        let with = with(nginx(), |o| {
            o.network.publish = texts.iter().map(|t| t.parse().expect("a port")).collect();
            o.network.publish_all = all;
        });
        let ports = with.expect("resolves").spec.network.ports;
        ports.iter().map(|p| (p.host_port, p.container_port)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&["8080:80"], false), [(8080, 80)]);
    assert_eq!(shown(&["8000-8002:80-82"], false), [(8000, 80), (8001, 81), (8002, 82)]);
    assert_eq!(shown(&["80"], false), [(0, 80)]);
    assert_eq!(shown(&["8080:80"], true), [(8080, 80), (0, 53)]);
    assert_eq!(shown(&[], true), [(0, 53), (0, 80)]);
    assert!(ports(&["8080:80", "8080:81"], false).is_err());
    assert!(ports(&["8080:80", "127.0.0.1:8080:81"], false).is_err());
    assert!(ports(&["127.0.0.1:8080:80", "127.0.0.2:8080:81"], false).is_ok());
}

#[test]
fn host_network_discards_ports_and_takes_the_hosts_name() {
    let r = ok(|o| {
        o.network.mode = Some(NetworkMode::Host);
        o.network.publish = vec!["8080:80".parse().expect("a port")];
    });
    assert_eq!(r.warnings, ["Published ports are discarded when using host network mode"]);
    assert!(r.spec.network.ports.is_empty());
    assert_eq!(r.spec.hostname, "thehost");
}

#[test]
fn joining_a_container_excludes_what_would_contradict_it() {
    let join = || Some(NetworkMode::Container("other".to_owned()));
    let spec = ok(|o| o.network.mode = join()).spec;
    assert_eq!(spec.network.mode, NetworkModeSpec::Container(OTHER.parse().expect("an id")));
    assert_eq!(spec.hostname, "otherhost");
    let text = fails(|o| {
        o.network.mode = join();
        o.network.publish = vec!["80:80".parse().expect("a port")];
    });
    assert_eq!(text, "conflicting options: port publishing and the container type network mode");
    let text = fails(|o| {
        o.network.mode = join();
        o.hostname = Some("x".to_owned());
    });
    assert_eq!(text, "conflicting options: hostname and the network mode");
    let spec = ok(|o| o.namespaces.pid = Some(NsMode::Container("other".to_owned()))).spec;
    assert_eq!(spec.namespaces.pid, NsMode::Container(OTHER.to_owned()));
}

fn mounts_of(texts: &[&str]) -> Result<Resolved, Error> {
    let requests = texts.iter().map(|t| match t.strip_prefix("--mount ") {
        Some(long) => long.parse::<MountRequest>(),
        None => MountRequest::parse_volume(t),
    });
    let requests: Vec<MountRequest> = requests.collect::<Result<_, _>>()?;
    with(nginx(), |o| o.mounts = requests)
}

fn find<'a>(r: &'a Resolved, target: &str) -> &'a MountSpec {
    r.spec.mounts.iter().find(|m| m.target == target).expect("the mount")
}

#[test]
fn mounts_become_host_paths() {
    let r = mounts_of(&["/src/:/dst/a/../b:ro", "vol:/vol", "/anon", "there:/t"]).expect("resolves");
    let bind = find(&r, "/dst/b");
    assert_eq!((bind.kind, bind.source.as_str(), bind.read_only), (MountKind::Bind, "/src", true));
    assert_eq!(bind.propagation, "rprivate");
    let volume = find(&r, "/vol");
    assert_eq!((volume.name.as_deref(), volume.source.as_str()), (Some("vol"), "/v/vol/_data"));
    assert!(find(&r, "/anon").anonymous);
    assert!(find(&r, "/cache").anonymous, "the image's volume");
    let made: Vec<bool> = r.volumes.iter().map(|v| v.anonymous).collect();
    assert_eq!(made, [false, true], "vol and the anonymous one; `there` exists");
    // The image's /cache has the same random name in this table and is not made twice.
}

#[test]
fn parents_are_mounted_before_children() {
    let r = mounts_of(&["/x:/a/b/c", "/y:/a", "/z:/a/b"]).expect("resolves");
    let order: Vec<&str> = r.spec.mounts.iter().map(|m| m.target.as_str()).collect();
    assert_eq!(order, ["/a", "/cache", "/a/b", "/a/b/c"]);
}

#[test]
fn bad_mounts_are_named() {
    let text = |texts: &[&str]| mounts_of(texts).expect_err("refused").to_string();
    assert_eq!(text(&["/a:/x", "/b:/x/"]), "Duplicate mount point: /x");
    assert_eq!(
        text(&["--mount type=bind,source=/missing/dir,target=/x"]),
        "invalid mount config for type \"bind\": bind source path does not exist: /missing/dir"
    );
    let r = mounts_of(&["/missing/dir:/x"]).expect("-v makes it");
    assert_eq!(r.directories, ["/missing/dir"]);
}

#[test]
fn volumes_from_take_over_mounts_but_not_ownership() {
    let r = ok(|o| o.volumes_from = vec!["other:ro".to_owned()]);
    let mount = find(&r, "/data");
    assert!(mount.read_only && !mount.anonymous);
    assert!(fails(|o| o.volumes_from = vec!["nobody".to_owned()]).contains("No such container"));
}

#[test]
fn capabilities_follow_dockers_rules() {
    let caps = |add: &[&str], drop: &[&str], privileged| {
        let list = |l: &[&str]| l.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>();
        with(nginx(), |o| {
            o.process.cap_add = list(add);
            o.process.cap_drop = list(drop);
            o.process.privileged = privileged;
        })
        .map(|r| r.spec.process.capabilities)
    };
    assert_eq!(caps(&["NET_ADMIN"], &["all"], false).expect("resolves"), ["CAP_NET_ADMIN"]);
    assert_eq!(caps(&[], &["ALL"], false).expect("resolves").len(), 0);
    assert_eq!(caps(&["ALL"], &["SYS_ADMIN"], false).expect("resolves").len(), 39);
    assert_eq!(caps(&[], &[], true).expect("resolves").len(), 40);
    assert_eq!(caps(&["sys_time"], &["cap_chown"], false).expect("resolves").len(), 14);
    assert!(caps(&["NONSENSE"], &[], false).is_err());
    let e = caps(&["SYS_RESOURCE"], &[], false).expect_err("beyond us");
    assert_eq!(e.kind(), ErrorKind::Unsupported);
}

#[test]
fn limits_are_checked_in_dockers_words() {
    let text = |change: fn(&mut crate::model::resources::Resources)| fails(|o| change(&mut o.resources));
    assert_eq!(text(|r| r.memory = Some(ByteSize(1 << 20))), "Minimum memory limit allowed is 6MB");
    assert_eq!(
        text(|r| {
            r.memory = Some(ByteSize(64 << 20));
            r.memory_swap = Some(32 << 20);
        }),
        "Minimum memoryswap limit should be larger than memory limit, see usage"
    );
    assert_eq!(
        text(|r| r.memory_swap = Some(32 << 20)),
        "You should always set the Memory limit when using Memoryswap limit, see usage"
    );
    assert_eq!(
        text(|r| r.nano_cpus = Some(NanoCpus(3_000_000_000))),
        "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"
    );
    assert_eq!(
        text(|r| {
            r.nano_cpus = Some(NanoCpus(500_000_000));
            r.cpu_period = Some(100_000);
        }),
        "Conflicting options: Nano CPUs and CPU Period cannot both be set"
    );
    assert_eq!(
        text(|r| r.cpuset_cpus = Some("0,7".to_owned())),
        "Requested CPUs are not available - requested 0,7, available: 0-1"
    );
    let spec = ok(|o| o.resources.memory = Some(ByteSize(64 << 20))).spec;
    assert_eq!(spec.resources.memory_swap, Some(128 << 20), "docker's default: twice the memory");
}

#[test]
fn lifecycle_rules() {
    let text = fails(|o| {
        o.lifecycle.auto_remove = true;
        o.lifecycle.restart = Some(RestartPolicy::Always);
    });
    assert_eq!(text, "conflicting options: cannot specify both --restart and --rm");
    assert_eq!(
        fails(|o| o.lifecycle.log_driver = Some("foo".to_owned())),
        "logger: no log driver named 'foo' is registered"
    );
    let log = |k: &str, v: &str| {
        let (k, v) = (k.to_owned(), v.to_owned());
        with(nginx(), |o| o.lifecycle.log_opts = vec![(k, v)]).map(|r| r.spec.lifecycle.log)
    };
    assert_eq!(log("max-size", "1m").expect("resolves").max_size, 1_000_000);
    assert_eq!(log("max-size", "1.5m").expect("resolves").max_size, 1_500_000);
    assert_eq!(log("max-file", "7").expect("resolves").max_file, 7);
    assert!(log("max-file", "0").is_err());
    assert_eq!(
        log("nope", "1").expect_err("refused").to_string(),
        "unknown log opt 'nope' for json-file log driver"
    );
}

#[test]
fn sysctls_need_their_namespace() {
    let sysctl = |key: &str, host: bool| {
        let key = key.to_owned();
        with(nginx(), |o| {
            o.sysctls = vec![(key, "1".to_owned())];
            if host {
                o.network.mode = Some(NetworkMode::Host);
                o.namespaces.ipc = Some(NsMode::Host);
            }
        })
    };
    assert!(sysctl("net.ipv4.ip_forward", false).is_ok());
    assert!(sysctl("net.ipv4.ip_forward", true).is_err());
    assert!(sysctl("kernel.shmmax", false).is_ok());
    assert!(sysctl("kernel.shmmax", true).is_err());
    assert!(sysctl("vm.swappiness", false).is_err());
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    type Wish = fn(&mut CreateOptions);
    let mapped = |text: &str| Some(crate::model::namespace::UserNsMode::Other(text.to_owned()));
    assert!(with(nginx(), |o| o.namespaces.user = mapped("nomap")).is_err());
    let cases: [(&str, Wish); 1] = [("--runtime kata", |o| o.runtime = Some("kata".to_owned()))];
    for (flag, wish) in cases {
        let e = with(nginx(), wish).expect_err(flag);
        assert_eq!(e.kind(), ErrorKind::Unsupported, "{flag}");
        assert!(e.to_string().starts_with(flag), "{e}");
    }
}

#[test]
fn the_writable_layer_has_limits() {
    let quota = |key: &str, value: &str| {
        let pair = (key.to_owned(), value.to_owned());
        with(nginx(), |o| o.storage_opts = vec![pair]).map(|r| r.spec.root.quota.expect("a quota"))
    };
    assert_eq!(quota("size", "1g").expect("a size").size, Some(1 << 30));
    assert_eq!(quota("inodes", "100").expect("inodes").inodes, Some(100));
    for (key, value) in [("size", "x"), ("inodes", "-1"), ("dm.basesize", "1g")] {
        assert_eq!(quota(key, value).expect_err("refused").kind(), ErrorKind::Invalid, "{key}={value}");
    }
}

#[test]
fn automatic_ids_are_those_that_nobody_has() {
    use crate::model::namespace::{IdMap, UserNsMode};
    let spec = ok(|o| o.namespaces.user = Some(UserNsMode::Other("auto:size=500".to_owned()))).spec;
    let UserNsMode::Mapped(maps) = spec.namespaces.user else { panic!("not mapped") };
    assert_eq!(maps.uids, [IdMap { inside: 0, outside: 101_024, count: 500 }]);
    assert_eq!(maps.uids, maps.gids);
    let links = ok(|o| o.network.links = vec!["other:db".to_owned()]).spec.network.links;
    assert_eq!((links[0].alias.as_str(), links[0].env.as_slice()), ("db", &["A=1".to_owned()][..]));
}

#[test]
fn labels_of_the_caller_win() {
    let spec = ok(|o| o.labels = vec![("b".to_owned(), "own".to_owned())]).spec;
    let want = [("a".to_owned(), "image".to_owned()), ("b".to_owned(), "own".to_owned())];
    assert_eq!(spec.labels, want);
}
