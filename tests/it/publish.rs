//! Published ports as `-p` spells them, and what containers.conf and the caller's environment say about every
//! container.

use crate::support::{Sandbox, sh};

#[test]
fn a_range_of_host_ports_gives_each_container_the_first_free_one() {
    let s = Sandbox::with_images("publish-range", &["busybox"]);
    for name in ["a", "b"] {
        s.rcon(["run", "-d", "--name", name, "-p", "18000-18002:80", "busybox", "sleep", "1000"]).ok();
    }
    assert_eq!(s.rcon(["port", "a"]).ok(), "80/tcp -> 0.0.0.0:18000");
    assert_eq!(s.rcon(["port", "b"]).ok(), "80/tcp -> 0.0.0.0:18001");
    let asked = s.inspect("a", "{{json .HostConfig.PortBindings}}");
    assert_eq!(asked, r#"{"80/tcp":[{"HostIp":"","HostPort":"18000-18002"}]}"#);
    // A port that is named is not given away by a range beside it.
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "-p",
        "18002-18005:80",
        "-p",
        "18002:81",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    assert_eq!(s.rcon(["port", "c"]).ok(), "80/tcp -> 0.0.0.0:18003\n81/tcp -> 0.0.0.0:18002");
    let full = s.rcon(["run", "--rm", "-p", "18000-18002:80", "busybox", "true"]);
    assert!(full.fails(125).contains("18002"), "{}", full.stderr);
    // Ranges of equal length are pairs; of different length they are an error.
    s.rcon(["run", "-d", "--name", "d", "-p", "19000-19001:80-81/udp", "busybox", "sleep", "1000"]).ok();
    assert_eq!(s.rcon(["port", "d"]).ok(), "80/udp -> 0.0.0.0:19000\n81/udp -> 0.0.0.0:19001");
    s.rcon(["run", "--rm", "-p", "19000-19005:80-81", "busybox", "true"]).fails(125);
}

#[test]
fn every_key_of_containers_conf_acts() {
    let s = Sandbox::with_images("conf-keys", &["busybox"]);
    let conf = s.dir().join("containers.conf");
    std::fs::write(
        &conf,
        "[containers]\nmounts = [\"type=tmpfs,destination=/conf,tmpfs-size=1m\"]\n\
         devices = [\"/dev/null:/dev/confnull:rw\"]\nvolumes = [\"/etc:/host-etc:ro\"]\n\
         [network]\ndefault_subnet = \"10.77.0.0/24\"\n",
    )
    .expect("containers.conf");
    let look = "df /conf | tail -1; ls -l /dev/confnull; ls /host-etc/hostname; ip -o addr show eth0";
    let mut command = s.command();
    command.env("CONTAINERS_CONF", &conf).args(["run", "--rm", "busybox", "sh", "-c", look]);
    let done = s.finish(command);
    let text = done.ok();
    assert!(text.contains("1024") && text.contains("/conf"), "{text}");
    assert!(text.contains("1,   3") && text.contains("/host-etc/hostname"), "{text}");
    assert!(text.contains("10.77.0.2/24"), "{text}");
    // A flag for the same place wins.
    let mut command = s.command();
    command.env("CONTAINERS_CONF", &conf);
    command.args(["run", "--rm", "-v", "/usr:/conf", "busybox", "ls", "/conf"]);
    assert!(s.finish(command).ok().contains("bin"));
}

#[test]
fn proxy_variables_are_handed_on_unless_told_otherwise() {
    let s = Sandbox::with_images("http-proxy", &["busybox"]);
    let env = |args: &[&str]| {
        let mut command = s.command();
        command.env("HTTPS_PROXY", "http://proxy:3128").env("no_proxy", "here");
        command.args(["run", "--rm"]).args(args).args(["busybox", "env"]);
        s.finish(command).ok().to_owned()
    };
    let given = env(&[]);
    assert!(given.contains("HTTPS_PROXY=http://proxy:3128") && given.contains("no_proxy=here"), "{given}");
    assert!(!env(&["--http-proxy=false"]).contains("PROXY"));
    assert!(env(&["-e", "HTTPS_PROXY=own"]).contains("HTTPS_PROXY=own"));
}

#[test]
fn detach_keys_come_from_containers_conf() {
    let s = Sandbox::with_images("conf-detach", &["busybox"]);
    let conf = s.dir().join("containers.conf");
    std::fs::write(&conf, "[engine]\ndetach_keys = \"ctrl-x\"\n").expect("containers.conf");
    s.rcon(["run", "-d", "-i", "-t", "--name", "c", "busybox", "sh"]).ok();
    // script(1) gives the client a terminal; ^X is typed into it, which ends attach with 1, as docker's.
    let binary = crate::support::rcon_binary();
    let text = format!(
        "(sleep 1; printf '\\030'; sleep 1) | CONTAINERS_CONF={} RCON_ROOT={} RCON_RUNROOT={} timeout 15 script -qec '{} attach c' /dev/null || [ $? = 1 ]",
        conf.display(),
        s.root().display(),
        s.run_root().display(),
        binary.display()
    );
    sh(&text);
    assert_eq!(s.inspect("c", "{{.State.Status}}"), "running");
}
