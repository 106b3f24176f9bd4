//! The spec of a container, as data.

use super::*;
use crate::model::container::{LifecycleSpec, RootSpec};
use crate::model::lifecycle::{HealthAction, HealthLog, LogSpec, RestartPolicy};
use crate::model::mount::{MountKind, MountSpec};
use crate::model::namespace::{IdMap, IdMaps, NamespaceSpec, NsMode, UserNsMode};
use crate::model::network::{NetworkModeSpec, NetworkSpec};
use crate::model::process::{ProcessSpec, Rlimit};
use crate::model::resources::{DeviceValue, Resources};
use crate::model::security::{SeccompChoice, SecuritySpec};
use crate::model::units::{ByteSize, NanoCpus};
use crate::runtime::cgroup::Layout;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|w| (*w).to_owned()).collect()
}

fn spec() -> ContainerSpec {
    ContainerSpec {
        version: ContainerSpec::VERSION,
        id: "ab".repeat(32).parse().unwrap(),
        name: "c".into(),
        created: jiff::Timestamp::UNIX_EPOCH,
        root: RootSpec {
            image_name: "i".into(),
            image_id: None,
            layers: Vec::new(),
            directory: None,
            overlay: false,
            read_only: false,
            read_only_tmpfs: true,
            quota: None,
        },
        process: ProcessSpec {
            argv: words(&["sh", "-c", "true"]),
            env: words(&["PATH=/bin"]),
            cwd: "/".into(),
            capabilities: words(defaults::CAPABILITIES),
            umask: 0o22,
            ..ProcessSpec::default()
        },
        resources: Resources::default(),
        mounts: Vec::new(),
        shm_size: 64 << 20,
        shm_size_systemd: None,
        chroot_dirs: Vec::new(),
        rdt_class: None,
        devices: Vec::new(),
        cdi_dirs: Vec::new(),
        device_rules: Vec::new(),
        namespaces: NamespaceSpec {
            pid: NsMode::Private,
            ipc: NsMode::Private,
            uts: NsMode::Private,
            cgroup: NsMode::Private,
            user: UserNsMode::Host,
        },
        hostname: "h".into(),
        domainname: String::new(),
        network: NetworkSpec {
            mode: NetworkModeSpec::Bridge,
            attachments: Vec::new(),
            ports: Vec::new(),
            exposed: Vec::new(),
            dns: crate::model::network::DnsOptions::default(),
            links: Vec::new(),
            names: Vec::new(),
        },
        cgroup_parent: String::new(),
        cgroups: true,
        security: SecuritySpec {
            writable_cgroups: false,
            privileged: false,
            seccomp: SeccompChoice::Default,
            apparmor: Some("p".into()),
            selinux_label: None,
            masked_paths: words(defaults::MASKED_PATHS),
            readonly_paths: words(defaults::READONLY_PATHS),
            proc_opts: Vec::new(),
            as_typed: Vec::new(),
        },
        sysctls: Vec::new(),
        unasked_sysctls: Vec::new(),
        lifecycle: LifecycleSpec {
            auto_remove: false,
            remove_image: false,
            restart: RestartPolicy::default(),
            stop_signal: 15,
            stop_timeout: 10,
            timeout: 0,
            health: None,
            health_on_failure: HealthAction::default(),
            health_log: HealthLog::default(),
            log: LogSpec { driver: "none".into(), max_size: 0, max_file: 1, options: Vec::new() },
            no_events: false,
            sdnotify: None,
            pidfile: None,
            monitor_pidfile: None,
        },
        labels: Vec::new(),
        annotations: vec![("a".into(), "b".into())],
        timezone: None,
        secrets: Vec::new(),
        systemd: false,
        passwd: false,
        passwd_entry: None,
        group_entry: None,
        host_users: Vec::new(),
        requires: Vec::new(),
        runtime: None,
        personality: None,
        oci_config: false,
        subscriptions: Vec::new(),
        hooks: Vec::new(),
        options: crate::model::create::CreateOptions::default(),
    }
}

fn host() -> HostFacts {
    HostFacts {
        cgroups: Layout::Unified,
        rlimits: vec![("RLIMIT_NOFILE".into(), 4096)],
        raise_rlimits: false,
        capabilities: words(&defaults::ALL_CAPABILITIES),
        oom_score_adj: Some(100),
        cpus: 2,
        apparmor: false,
        selinux: false,
    }
}

fn facts() -> ResolvedFacts {
    ResolvedFacts {
        cgroup: "/rcon/x".into(),
        files: vec![("/run/x/hosts".into(), "/etc/hosts".into(), false)],
        ..ResolvedFacts::default()
    }
}

fn made(spec: &ContainerSpec) -> oci::Spec {
    build(spec, &host(), &facts()).unwrap()
}

fn targets(spec: &oci::Spec) -> Vec<String> {
    let mounts = spec.mounts().as_ref().unwrap();
    mounts.iter().map(|m| m.destination().to_string_lossy().into_owned()).collect()
}

fn options(spec: &oci::Spec, target: &str) -> Vec<String> {
    let mounts = spec.mounts().as_ref().unwrap();
    let mount = mounts.iter().find(|m| m.destination() == std::path::Path::new(target));
    mount.unwrap_or_else(|| panic!("no mount at {target}")).options().clone().unwrap()
}

fn mount(kind: MountKind, source: &str, target: &str) -> MountSpec {
    MountSpec {
        read_only_below: false,
        kind,
        name: None,
        source: source.into(),
        target: target.into(),
        read_only: false,
        recursive: true,
        propagation: "rprivate".into(),
        flags: Vec::new(),
        copy_up: false,
        give: false,
        anonymous: false,
        chown: false,
        overlay: None,
        idmap: None,
        layers: Vec::new(),
        subpath: None,
    }
}

#[test]
fn a_plain_container() {
    let out = made(&spec());
    let system = ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"];
    assert_eq!(targets(&out), [&system[..], &["/etc/hosts"]].concat());
    assert!(options(&out, "/sys").contains(&"ro".to_owned()));
    assert!(options(&out, "/sys/fs/cgroup").contains(&"ro".to_owned()));
    assert!(options(&out, "/dev/shm").contains(&"size=67108864".to_owned()));
    assert!(options(&out, "/dev/pts").contains(&"gid=5".to_owned()));
    assert_eq!(out.hostname().as_deref(), Some("h"));
    let linux = out.linux().as_ref().unwrap();
    assert_eq!(linux.cgroups_path().as_deref(), Some(std::path::Path::new("/rcon/x")));
    assert_eq!(linux.namespaces().as_ref().unwrap().len(), 6);
    let masked = linux.masked_paths().as_ref().unwrap();
    assert!(masked.iter().any(|p| p == "/sys/devices/system/cpu/cpu1/thermal_throttle"));
    assert!(masked.iter().all(|p| !p.contains('*')));
    let rules = linux.resources().as_ref().unwrap().devices().as_ref().unwrap();
    assert!(!rules[0].allow() && rules[0].typ() == Some(oci::LinuxDeviceType::A));
    let process = out.process().as_ref().unwrap();
    assert_eq!(process.env().as_ref().unwrap(), &["PATH=/bin", "HOME=/"]);
    // A profile that the kernel cannot enforce is not asked for.
    assert_eq!(process.apparmor_profile(), &None);
    // What the runtime spec's reader takes, it gives back.
    let text = serde_json::to_string(&out).unwrap();
    assert_eq!(serde_json::from_str::<oci::Spec>(&text).unwrap(), out);
}

#[test]
fn capabilities_are_never_inheritable() {
    let caps = |out: &oci::Spec| out.process().as_ref().unwrap().capabilities().clone().unwrap();
    let root = caps(&made(&spec()));
    assert_eq!(root.bounding().as_ref().unwrap().len(), 14);
    assert_eq!(root.effective(), root.bounding());
    for set in [root.inheritable(), root.ambient()] {
        assert!(set.as_ref().unwrap().is_empty());
    }
    let user = User { uid: 1000, gid: 1000, groups: vec![1000, 5], home: "/home/u".into() };
    let out = build(&spec(), &host(), &ResolvedFacts { user, ..facts() }).unwrap();
    assert!(caps(&out).effective().as_ref().unwrap().is_empty());
    assert_eq!(caps(&out).bounding().as_ref().unwrap().len(), 14);
    let process = out.process().as_ref().unwrap();
    assert_eq!(process.user().additional_gids().as_ref().unwrap(), &[1000, 5]);
    assert!(process.env().as_ref().unwrap().contains(&"HOME=/home/u".to_owned()));
    // What was asked for by name a user has, and hands on; root has it without that.
    let mut asked = spec();
    asked.process.ambient = words(&["CAP_CHOWN", "CAP_SYS_TIME"]);
    let user = User { uid: 1000, ..User::default() };
    let out = caps(&build(&asked, &host(), &ResolvedFacts { user, ..facts() }).unwrap());
    for set in [out.effective(), out.permitted(), out.inheritable(), out.ambient()] {
        let names: Vec<String> = set.iter().flatten().map(ToString::to_string).collect();
        assert_eq!(names, ["CHOWN"]);
    }
    assert!(caps(&made(&asked)).ambient().as_ref().unwrap().is_empty());
    // What this host cannot give is left out.
    let few = HostFacts { capabilities: words(&["CAP_KILL"]), ..host() };
    assert_eq!(caps(&build(&spec(), &few, &facts()).unwrap()).bounding().as_ref().unwrap().len(), 1);
}

#[test]
fn limits_of_defaults_are_clamped_and_those_of_wishes_refused() {
    let with = |hard, asked, raise| {
        let mut s = spec();
        s.process.rlimits = vec![Rlimit { kind: "RLIMIT_NOFILE".into(), soft: hard, hard, asked }];
        build(&s, &HostFacts { raise_rlimits: raise, ..host() }, &facts())
            .map(|out| out.process().as_ref().unwrap().rlimits().as_ref().unwrap()[0].hard())
    };
    assert_eq!(with(1 << 20, false, false).unwrap(), 4096);
    assert_eq!(with(1024, true, false).unwrap(), 1024);
    assert_eq!(with(1 << 20, true, true).unwrap(), 1 << 20);
    assert!(matches!(with(1 << 20, true, false), Err(Error::Rlimit { top: 4096, .. })));
    let mut s = spec();
    s.process.rlimits = vec![Rlimit { kind: "RLIMIT_LUCK".into(), soft: 1, hard: 1, asked: true }];
    assert!(matches!(build(&s, &host(), &facts()), Err(Error::Unknown { .. })));
}

#[test]
fn mounts_of_the_user_come_by_depth_and_replace() {
    let mut s = spec();
    s.mounts = vec![
        mount(MountKind::Bind, "/b", "/a/b/c"),
        mount(MountKind::Volume, "/v", "/a"),
        mount(MountKind::Tmpfs, "", "/dev/shm"),
        mount(MountKind::Bind, "/my/hosts", "/etc/hosts"),
    ];
    s.mounts[1].read_only = true;
    s.mounts[1].flags = words(&["nosuid"]);
    s.mounts[2].flags = words(&["size=1m"]);
    let out = made(&s);
    let order = targets(&out);
    assert_eq!(order.iter().filter(|t| *t == "/etc/hosts" || *t == "/dev/shm").count(), 2);
    let at = |t: &str| order.iter().position(|o| o == t).unwrap();
    assert!(at("/a") < at("/a/b/c"));
    assert_eq!(options(&out, "/a"), ["rbind", "rprivate", "ro", "nosuid"]);
    assert_eq!(options(&out, "/dev/shm"), ["rw", "nosuid", "nodev", "noexec", "size=1m"]);
    s.mounts.push(mount(MountKind::Tmpfs, "", "/a"));
    assert!(matches!(build(&s, &host(), &facts()), Err(Error::DuplicateMount(t)) if t == "/a"));
}

#[test]
fn a_mount_at_dev_brings_its_own_content() {
    let mut s = spec();
    s.mounts = vec![mount(MountKind::Bind, "/dev", "/dev")];
    assert!(!targets(&made(&s)).iter().any(|t| t.starts_with("/dev/")));
}

#[test]
fn prepared_sources() {
    let mut s = spec();
    s.mounts = vec![mount(MountKind::Image, "", "/i")];
    assert!(matches!(build(&s, &host(), &facts()), Err(Error::Unprepared(t)) if t == "/i"));
    let ready = ResolvedFacts { sources: vec![("/i".into(), "/proc/self/fd/9".into())], ..facts() };
    let out = build(&s, &host(), &ready).unwrap();
    let mounts = out.mounts().as_ref().unwrap();
    let image = mounts.iter().find(|m| m.destination() == std::path::Path::new("/i")).unwrap();
    let source = image.source().as_deref();
    assert_eq!(source, Some(std::path::Path::new("/proc/self/fd/9")));
}

#[test]
fn read_only_roots() {
    let mut s = spec();
    s.root.read_only = true;
    let out = made(&s);
    assert!(["/tmp", "/var/tmp", "/run"].iter().all(|t| targets(&out).iter().any(|o| o == t)));
    assert!(!options(&out, "/dev").contains(&"ro".to_owned()));
    s.root.read_only_tmpfs = false;
    let out = made(&s);
    assert!(!targets(&out).iter().any(|t| t == "/tmp"));
    assert!(options(&out, "/dev/shm").contains(&"ro".to_owned()));
    assert_eq!(out.root().as_ref().unwrap().readonly(), Some(true));
}

#[test]
fn privileged() {
    let mut s = spec();
    s.security.privileged = true;
    let null = devices::lookup(&crate::model::security::DeviceRequest {
        host: "/dev/null".into(),
        container: "/dev/n".into(),
        permissions: "rwm".into(),
    });
    let out = build(&s, &host(), &ResolvedFacts { devices: null.unwrap(), ..facts() }).unwrap();
    assert!(options(&out, "/sys").contains(&"rw".to_owned()));
    assert!(options(&out, "/sys/fs/cgroup").contains(&"rw".to_owned()));
    let linux = out.linux().as_ref().unwrap();
    let rules = linux.resources().as_ref().unwrap().devices().as_ref().unwrap();
    assert!(rules.len() == 1 && rules[0].allow());
    assert_eq!(linux.devices().as_ref().unwrap()[0].path(), std::path::Path::new("/dev/n"));
}

#[test]
fn namespaces_of_others_must_be_looked_up() {
    let mut s = spec();
    s.namespaces.pid = NsMode::Container("x".into());
    s.namespaces.ipc = NsMode::Host;
    s.namespaces.uts = NsMode::Host;
    s.network.mode = NetworkModeSpec::Host;
    assert!(matches!(build(&s, &host(), &facts()), Err(Error::Join("pid"))));
    let mut f = facts();
    f.join.pid = Some("/proc/7/ns/pid".into());
    let out = build(&s, &host(), &f).unwrap();
    let namespaces = out.linux().as_ref().unwrap().namespaces().clone().unwrap();
    let kinds: Vec<_> = namespaces.iter().map(|n| n.typ()).collect();
    use oci::LinuxNamespaceType as T;
    assert_eq!(kinds, [T::Mount, T::Pid, T::Cgroup]);
    assert_eq!(namespaces[1].path().as_deref(), Some(std::path::Path::new("/proc/7/ns/pid")));
    // The host's name is not ours to set.
    assert_eq!(out.hostname(), &None);
    assert!(options(&out, "/dev/shm").contains(&"bind".to_owned()));
}

#[test]
fn user_namespaces() {
    let mut s = spec();
    let map = vec![IdMap { inside: 0, outside: 100_000, count: 4 }];
    s.namespaces.user = UserNsMode::Mapped(IdMaps { uids: map.clone(), gids: map });
    let out = made(&s);
    // Group 5 is not mapped: devpts could not be mounted with it.
    assert!(!options(&out, "/dev/pts").contains(&"gid=5".to_owned()));
    let linux = out.linux().as_ref().unwrap();
    assert_eq!(linux.uid_mappings().as_ref().unwrap()[0].host_id(), 100_000);
    assert_eq!(linux.namespaces().as_ref().unwrap()[0].typ(), oci::LinuxNamespaceType::User);
}

#[test]
fn sysctls_stay_in_their_namespace() {
    let with = |key: &str, change: fn(&mut ContainerSpec)| {
        let mut s = spec();
        s.sysctls = vec![(key.into(), "1".into())];
        change(&mut s);
        build(&s, &host(), &facts()).is_ok()
    };
    let same = |_: &mut ContainerSpec| {};
    for good in ["net.ipv4.ip_forward", "net/ipv4/ip_forward", "kernel.shmmax", "fs.mqueue.msg_max"] {
        assert!(with(good, same), "{good}");
    }
    for bad in
        ["kernel.core_pattern", "vm.swappiness", "net..x", "kernel.shmmax+x", "", "user.max_pid_namespaces"]
    {
        assert!(!with(bad, same), "{bad}");
    }
    assert!(!with("net.ipv4.ip_forward", |s| s.network.mode = NetworkModeSpec::Host));
    assert!(!with("kernel.shmmax", |s| s.namespaces.ipc = NsMode::Host));
    assert!(!with("kernel.domainname", |s| s.namespaces.uts = NsMode::Host));
}

#[test]
fn limits_in_the_ocis_words() {
    let limits = Resources {
        memory: Some(ByteSize(64 << 20)),
        memory_swap: Some(-1),
        nano_cpus: Some(NanoCpus(500_000_000)),
        pids_limit: Some(0),
        blkio_weight: Some(300),
        read_bps: vec![DeviceValue { path: "/dev/sda".into(), value: 1000 }],
        unified: vec![("memory.high".into(), "1".into())],
        ..Resources::default()
    };
    assert!(matches!(resources(&limits, &Vec::new()), Err(Error::Block(d)) if d == "/dev/sda"));
    let out = resources(&limits, &vec![("/dev/sda".into(), 8, 0)]).unwrap();
    let memory = out.memory().unwrap();
    assert_eq!((memory.limit(), memory.swap()), (Some(64 << 20), Some(-1)));
    let cpu = out.cpu().clone().unwrap();
    assert_eq!((cpu.quota(), cpu.period()), (Some(50_000), Some(100_000)));
    assert_eq!(out.pids().unwrap().limit(), -1);
    let block = out.block_io().clone().unwrap();
    let read = block.throttle_read_bps_device().as_ref().unwrap()[0];
    assert_eq!((read.major(), read.minor(), read.rate()), (8, 0, 1000));
    assert_eq!(out.unified().as_ref().unwrap()["memory.high"], "1");
    // A share too small for the kernel becomes the smallest that it takes.
    let tiny = Resources { nano_cpus: Some(NanoCpus(1_000_000)), ..Resources::default() };
    assert_eq!(resources(&tiny, &Vec::new()).unwrap().cpu().clone().unwrap().quota(), Some(1000));
    assert_eq!(resources(&Resources::default(), &Vec::new()).unwrap(), oci::LinuxResources::default());
}

#[test]
fn propagation_needs_a_root_that_lets_it_through() {
    let with = |word: &str| {
        let mut s = spec();
        s.mounts = vec![mount(MountKind::Bind, "/a", "/a")];
        s.mounts[0].propagation = word.into();
        made(&s).linux().as_ref().unwrap().rootfs_propagation().clone()
    };
    assert_eq!(with("rprivate"), None);
    assert_eq!(with("rshared").as_deref(), Some("shared"));
    assert_eq!(with("slave").as_deref(), Some("rslave"));
}

#[test]
fn personalities() {
    let mut s = spec();
    s.personality = Some("LINUX32".into());
    assert!(made(&s).linux().as_ref().unwrap().personality().is_some());
    s.personality = Some("BSD".into());
    assert!(matches!(build(&s, &host(), &facts()), Err(Error::Unknown { .. })));
}
