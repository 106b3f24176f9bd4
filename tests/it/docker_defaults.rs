//! What docker does unasked and podman does not: read-only all the way down, ports below 1024 and ping for everyone in a
//! network of the container's own, a volume's path that is taken from the root on; and cgroups that may be written.

use std::path::Path;

use crate::podman_manner::podman;
use crate::support::Sandbox;

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

/// A folder with a file system of its own below it.
fn tree(s: &Sandbox) -> String {
    let top = s.dir().join("top");
    std::fs::create_dir_all(top.join("below")).expect("folders");
    nix::mount::mount(
        Some("tmpfs"),
        &top.join("below"),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        None::<&Path>,
    )
    .expect("tmpfs");
    top.display().to_string()
}

#[test]
fn what_is_read_only_is_so_all_the_way_down() {
    let s = sandbox("dd-rro");
    let top = tree(&s);
    let (short, long) = (format!("{top}:/m:ro"), format!("type=bind,src={top},dst=/m,readonly"));
    let writable = format!("{long},bind-recursive=writable");
    let asked = format!("{long},bind-propagation=rprivate,bind-recursive=readonly");
    fn write<'a>(flags: &[&'a str]) -> Vec<&'a str> {
        [&["run", "--rm", "--network", "none"], flags, &["busybox", "touch", "/m/below/f"]].concat()
    }
    for (flags, docker, podmans) in [
        (["-v", short.as_str()], false, true),
        (["--mount", long.as_str()], false, true),
        (["--mount", writable.as_str()], true, true),
        (["--mount", asked.as_str()], false, false),
    ] {
        let words = write(&flags);
        assert_eq!(s.rcon(&words).code == 0, docker, "docker {flags:?}");
        assert_eq!(podman(&s, &words).code == 0, podmans, "podman {flags:?}");
        // Itself it is read-only for both.
        let itself =
            [&["run", "--rm", "--network", "none"], &flags[..], &["busybox", "touch", "/m/f"]].concat();
        assert!(s.rcon(&itself).fails(1).contains("Read-only"), "{flags:?}");
        podman(&s, &itself).fails(1);
    }
    s.rcon(["create", "--name", "own", "-v", &format!("{top}:/m"), "busybox"]).ok();
    s.rcon(write(&["--volumes-from", "own"])).ok();
    s.rcon(write(&["--volumes-from", "own:ro"])).fails(1);
    for (rest, why) in [
        ("bind-recursive=readonly", "requires 'readonly'"),
        ("readonly,bind-recursive=readonly", "requires 'bind-propagation=rprivate'"),
        ("bind-recursive=x", "want enabled, disabled, writable or readonly"),
    ] {
        let refused = s.rcon(["create", "--mount", &format!("type=bind,src={top},dst=/m,{rest}"), "busybox"]);
        assert!(refused.fails(125).contains(why), "{}", refused.stderr);
    }
    nix::mount::umount(&Path::new(&top).join("below")).expect("umount");
}

#[test]
fn low_ports_and_ping_are_everyones_in_a_network_of_ones_own() {
    let s = sandbox("dd-sysctl");
    let look = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range";
    let run = |flags: &[&str]| {
        s.rcon([&["run", "--rm"], flags, &["busybox", "sh", "-c", look]].concat()).ok().to_owned()
    };
    for flags in [&[][..], &["--network", "none"]] {
        assert_eq!(run(flags), "0\n0\t2147483647", "{flags:?}");
    }
    assert!(run(&["--sysctl", "net.ipv4.ip_unprivileged_port_start=80"]).starts_with("80\n0\t2"));
    assert!(run(&["--userns", "auto"]).starts_with("0\n"), "groups that are not mapped are not said");
    let hosts = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("procfs");
    assert!(run(&["--network", "host"]).starts_with(hosts.trim()));
    let podmans = podman(&s, &["run", "--rm", "busybox", "sh", "-c", look]);
    assert!(podmans.ok().starts_with("1024\n"), "{}", podmans.stdout);

    let serve = [
        "run",
        "-d",
        "--name",
        "web",
        "--user",
        "1000",
        "--cap-drop",
        "all",
        "busybox",
        "nc",
        "-l",
        "-p",
        "80",
    ];
    s.rcon(serve).ok();
    s.rcon(["exec", "web", "sh", "-c", "grep -q ':0050 .* 0A ' /proc/net/tcp /proc/net/tcp6"]).ok();
    assert_eq!(s.inspect("web", "{{json .HostConfig.Sysctls}}"), "null");
}

#[test]
fn a_volume_s_path_begins_at_the_root_and_cgroups_may_be_written_where_one_says_so() {
    let s = sandbox("dd-paths");
    for (given, there) in [("data", "/data"), ("./a/b", "/a/b")] {
        let seen = s.rcon([
            "run",
            "--rm",
            "-v",
            given,
            "busybox",
            "grep",
            "-c",
            &format!(" {there} "),
            "/proc/mounts",
        ]);
        assert_eq!(seen.ok(), "1", "{given}");
    }
    let relative = podman(&s, &["create", "-v", "data", "busybox"]);
    assert!(relative.fails(125).contains("must be"), "{}", relative.stderr);
    s.rcon(["create", "-v", "data:data", "busybox"]).fails(125);

    let make = "d=/sys/fs/cgroup; test -d $d/pids && d=$d/pids; mkdir $d/own && rmdir $d/own";
    let run = |flags: &[&str]| s.rcon([&["run", "--rm"], flags, &["busybox", "sh", "-c", make]].concat());
    run(&[]).fails(1);
    run(&["--security-opt", "writable-cgroups=false"]).fails(1);
    run(&["--cgroupns", "private", "--security-opt", "writable-cgroups=true"]).ok();
    let shared = run(&["--cgroupns", "host", "--security-opt", "writable-cgroups"]);
    assert!(shared.fails(125).contains("needs a cgroup namespace"), "{}", shared.stderr);

    let domain = s.rcon(["create", "--uts", "host", "--domainname", "example.org", "busybox"]);
    assert!(domain.fails(1).contains("domainname and the UTS mode"), "{}", domain.stderr);
}
