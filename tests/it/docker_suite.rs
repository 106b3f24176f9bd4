//! What docker's own suites (moby's integration-cli, the e2e tests of docker/cli) ask for and other files of ours do not:
//! containers with `--rm` that are restarted, a kill between two starts, prompts that are interrupted, sizes, words and
//! exit codes.

use std::process::Stdio;

use crate::support::{Sandbox, eventually};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

#[test]
fn a_container_with_rm_is_restarted_and_goes_when_it_ends() {
    let s = sandbox("ds-restart");
    s.sleeper(&["--rm", "--name", "c"]);
    s.rcon(["exec", "c", "touch", "/kept"]).ok();
    for _ in 0..2 {
        s.rcon(["restart", "-t", "0", "c"]).ok();
        assert_eq!(s.inspect("c", "{{.State.Running}} {{.HostConfig.AutoRemove}}"), "true true");
        s.rcon(["exec", "c", "ls", "/kept"]).ok();
    }
    s.rcon(["kill", "c"]).ok();
    eventually("it is removed", || s.rcon(["ps", "-aq"]).stdout.is_empty());
}

#[test]
fn a_kill_between_two_starts_ends_the_restarts() {
    let s = sandbox("ds-kill");
    s.rcon(["run", "-d", "--name", "c", "--restart", "always", "busybox", "false"]).ok();
    eventually("it waits for its next start", || s.inspect("c", "{{.State.Restarting}}") == "true");
    // Whichever moment it comes at: the process of an attempt, or the waiting for the next.
    s.rcon(["kill", "c"]).ok();
    eventually("it rests", || s.inspect("c", "{{.State.Status}}") == "exited");
    let done = s.rcon(["kill", "c"]);
    assert!(done.fails(1).contains("is not running"), "{}", done.stderr);
}

#[test]
fn an_interrupted_question_is_no_failure() {
    let s = sandbox("ds-prompt");
    for what in ["container", "image", "network", "volume", "system"] {
        let mut command = s.command();
        command.args([what, "prune"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rcon starts");
        let stdin = child.stdin.take();
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        while !said.contains("[y/N] ") {
            let mut part = [0; 256];
            let n = std::io::Read::read(&mut stderr, &mut part).expect("the question");
            assert!(n > 0, "{what}: {said}");
            said.push_str(&String::from_utf8_lossy(&part[..n]));
        }
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("SIGINT");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{what}");
        drop(stdin);
    }
}

#[test]
fn a_linked_container_tells_execs_of_the_other_one_too() {
    let s = sandbox("ds-link");
    s.sleeper(&["--name", "db"]);
    s.sleeper(&["--name", "web", "--link", "db:store", "-e", "STORE_NAME=mine"]);
    s.sleeper(&["--name", "app", "--link", "db:store"]);
    let env = |name: &str| s.rcon(["exec", name, "env"]).ok().to_owned();
    assert!(env("app").contains("STORE_NAME=/app/store"), "{}", env("app"));
    assert!(env("web").contains("STORE_NAME=mine"), "what the caller said stays");
}

#[test]
fn a_working_directory_is_there_before_the_first_start() {
    let s = sandbox("ds-workdir");
    s.rcon(["create", "--name", "c", "-w", "/home/foo/bar", "busybox", "pwd"]).ok();
    let to = s.dir().join("bar").display().to_string();
    s.rcon(["cp", "c:/home/foo/bar", &to]).ok();
    assert!(s.dir().join("bar").is_dir());
    assert_eq!(s.rcon(["start", "-a", "c"]).ok(), "/home/foo/bar");
    // What cannot be one is told by the start.
    s.rcon(["create", "--name", "d", "-w", "/bin/busybox", "busybox", "pwd"]).ok();
    s.rcon(["start", "d"]).fails(1);
}

#[test]
fn sizes_are_those_of_the_files() {
    let s = sandbox("ds-size");
    s.sleeper(&["--name", "c"]);
    let size = || s.rcon(["ps", "-s", "--format", "{{.Size}}"]).ok().to_owned();
    assert!(size().starts_with("0B (virtual "), "{}", size());
    s.rcon(["exec", "c", "sh", "-c", "mkdir /d; echo 1 >/d/f; ln /d/f /d/g"]).ok();
    assert!(size().starts_with("2B (virtual "), "{}", size());
}

#[test]
fn images_without_layers_of_their_own_are_told_apart_by_their_history() {
    let s = sandbox("ds-ancestor");
    s.rcon(["create", "--name", "base", "busybox"]).ok();
    for name in ["one", "two"] {
        s.rcon(["commit", "-c", &format!("LABEL is={name}"), "base", name]).ok();
        s.rcon(["create", "--name", name, name]).ok();
    }
    s.rcon(["commit", "one", "child"]).ok();
    s.rcon(["create", "--name", "child", "child"]).ok();
    let names = |image: &str| {
        let filter = format!("ancestor={image}");
        s.rcon(["ps", "-a", "--format", "{{.Names}}", "--filter", &filter]).stdout
    };
    assert_eq!(names("one"), "child\none\n");
    assert_eq!(names("two"), "two\n");
    assert_eq!(names("busybox"), "child\ntwo\none\nbase\n");
}

#[test]
fn a_port_is_published_on_the_address_of_a_bridge_that_is_not_there_yet() {
    let s = sandbox("ds-gateway");
    s.rcon(["network", "create", "--subnet", "10.99.0.0/24", "--gateway", "10.99.0.1", "n"]).ok();
    let serve = ["busybox", "nc", "-l", "-p", "80", "-e", "echo", "here"];
    let flags = ["run", "-d", "--name", "c", "--network", "n", "-p", "10.99.0.1:8080:80"];
    s.rcon(flags.iter().chain(&serve)).ok();
    assert_eq!(s.rcon(["port", "c"]).ok(), "80/tcp -> 10.99.0.1:8080");
    let ask = ["run", "--rm", "--network", "n", "busybox", "nc", "-w", "2", "10.99.0.1", "8080"];
    eventually("it answers", || s.rcon(ask).stdout == "here\n");
    let foreign = s.rcon(["run", "--rm", "--network", "n", "-p", "10.98.0.1:8080:80", "busybox", "true"]);
    assert!(foreign.fails(125).contains("no address of this host"), "{}", foreign.stderr);
}

#[test]
fn a_container_of_no_network_gets_none_and_one_that_lost_its_last_does() {
    let s = sandbox("ds-none");
    s.rcon(["network", "create", "n"]).ok();
    s.sleeper(&["--name", "lonely", "--network", "none"]);
    let refused = s.rcon(["network", "connect", "n", "lonely"]);
    assert!(refused.fails(1).contains("in private (none) mode"), "{}", refused.stderr);
    s.sleeper(&["--name", "c"]);
    s.rcon(["network", "disconnect", "bridge", "c"]).ok();
    s.rcon(["network", "connect", "n", "c"]).ok();
    assert_eq!(s.inspect("c", "{{range $k, $v := .NetworkSettings.Networks}}{{$k}} {{end}}"), "n ");
    let host = s.rcon(["network", "connect", "host", "c"]);
    let want = "cannot connect container to host network - container must be created in host network mode";
    assert!(host.fails(1).contains(want), "{}", host.stderr);
}

#[test]
fn codes_and_words() {
    let s = sandbox("ds-words");
    s.rcon(["run", "--name", "c", "busybox", "sh", "-c", "echo 1; echo 2"]).ok();
    s.rcon(["volume", "create", "v"]).ok();
    for (args, code, why) in [
        (["inspect", "nosuch"].as_slice(), 1, "No such object: nosuch"),
        (&["inspect", "--type=foobar", "c"], 1, "\"foobar\" is not a valid value for --type"),
        (
            &["events", "--format", "{{bad .}}"],
            64,
            "Error parsing format: template: :1: function \"bad\" not defined",
        ),
        (&["events", "--format", "{{.Bad}}"], 64, "Error parsing format: "),
        (
            &["ps", "--format", "{{bad .}}"],
            1,
            "template parsing error: template: :1: function \"bad\" not defined",
        ),
        (&["run", "--detach-keys", "ctrl-A", "busybox"], 1, "invalid detach keys"),
        (
            &["run", "--network", "host", "--mac-address", "92:d0:c6:0a:29:33", "busybox"],
            125,
            "mac-address and the network mode",
        ),
        (
            &["run", "--network", "none", "--ip", "10.0.0.1", "busybox"],
            125,
            "user specified IP address is supported on user defined networks only",
        ),
        (
            &["run", "--network", "host", "--link", "c", "busybox"],
            125,
            "host type networking can't be used with links",
        ),
        (&["run", "--ip", "bogus", "busybox"], 125, "invalid IPv4 address"),
        (&["run", "--ip6", "::ffff:10.0.0.1", "busybox"], 125, "invalid IPv6 address"),
        (&["run", "--platform", "foo", "busybox"], 125, "invalid platform \"foo\""),
        (&["create", "--restart", "on-failure:-1", "busybox"], 125, "maximum retry count cannot be negative"),
        (
            &["run", "--network-alias", "x", "busybox"],
            125,
            "alias is supported only for containers in user defined networks",
        ),
        (&["run", "--network", "host", "--network-alias", "x", "busybox"], 125, "in user defined networks"),
        (&["network", "connect", "--alias", "x", "host", "c"], 1, "only supported for user-defined networks"),
        (&["search", "--limit", "101", "127.0.0.1:1/x"], 1, "outside the range of [1, 100]"),
        (
            &["run", "--sysctl", "kernel.foo=1", "busybox"],
            125,
            "invalid argument \"kernel.foo=1\" for \"--sysctl\" flag",
        ),
        (
            &["run", "--mount", "type=volume,src=v,dst=/v,volume-subpath=/etc", "busybox"],
            125,
            "subpath must be a relative path within the volume",
        ),
        (
            &["run", "--mount", "type=volume,src=v,dst=/v,volume-subpath=no", "busybox"],
            127,
            "cannot access path ",
        ),
    ] {
        let done = s.rcon(args);
        assert!(done.fails(code).contains(why), "{args:?}: {}", done.stderr);
    }
    s.sleeper(&["--name", "up", "-v", "v:/v:ro"]);
    let twice = s.rcon(["network", "connect", "bridge", "up"]);
    let want = "endpoint with name up already exists in network bridge";
    assert!(twice.fails(1).contains(want), "{}", twice.stderr);
    let mounted = ["events", "--since", "0", "--until", "0s", "--filter", "event=mount"];
    let format = ["--format", "{{index .Actor.Attributes \"read/write\"}} {{.Actor.Attributes.destination}}"];
    assert_eq!(s.rcon(mounted.iter().chain(&format)).ok(), "false /v");
    assert_eq!(s.inspect("up", "{{json .HostConfig.BlkioDeviceReadBps}}"), "[]");
    assert_eq!(s.rcon(["logs", "--tail", "random", "c"]).ok(), "1\n2", "docker takes any word for all");
}

#[test]
fn a_restart_keeps_the_addresses_that_others_know() {
    let s = sandbox("ds-address");
    s.rcon(["network", "create", "n"]).ok();
    s.sleeper(&["--name", "db"]);
    s.rcon(["network", "connect", "n", "db"]).ok();
    s.sleeper(&["--name", "app", "--link", "db"]);
    let addresses =
        || s.inspect("db", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}} {{end}}");
    let before = addresses();
    s.rcon(["restart", "-t", "0", "db"]).ok();
    assert_eq!(addresses(), before);
    s.rcon(["exec", "app", "ping", "-c", "1", "-W", "2", "db"]).ok();
    // Who stops it gives them up: others may have them.
    s.rcon(["stop", "-t", "0", "db"]).ok();
    s.rcon(["start", "db"]).ok();
    assert_ne!(addresses(), before);
}

#[test]
fn networks_with_addresses_that_are_not_for_containers_and_without_ipv4() {
    let s = sandbox("ds-aux");
    let aux = ["--aux-address", "router=10.77.0.2", "--aux-address", "nas=10.77.0.4", "--attachable"];
    s.rcon(["network", "create", "--subnet", "10.77.0.0/29"].iter().chain(&aux).chain(&["n"])).ok();
    assert_eq!(
        s.rcon([
            "network",
            "inspect",
            "-f",
            "{{json (index .IPAM.Config 0).AuxiliaryAddresses}} {{.Attachable}}",
            "n"
        ])
        .ok(),
        r#"{"router":"10.77.0.2","nas":"10.77.0.4"} true"#
    );
    for (name, ip) in [("a", "10.77.0.3"), ("b", "10.77.0.5")] {
        s.sleeper(&["--name", name, "--network", "n"]);
        assert_eq!(s.inspect(name, "{{.NetworkSettings.Networks.n.IPAddress}}"), ip);
    }
    let taken = s.rcon(["run", "--rm", "--network", "n", "--ip", "10.77.0.4", "busybox", "true"]);
    assert!(taken.fails(125).contains("an auxiliary address of 10.77.0.0/29"), "{}", taken.stderr);
    s.rcon(["network", "create", "--ipv4=false", "--ipv6", "six"]).ok();
    let shape =
        s.rcon(["network", "inspect", "-f", "{{.EnableIPv4}} {{.EnableIPv6}} {{len .IPAM.Config}}", "six"]);
    assert_eq!(shape.ok(), "false true 1");
    s.sleeper(&["--name", "c"]);
    let named = "com.docker.network.endpoint.ifname=mine0";
    s.rcon(["network", "connect", "--driver-opt", named, "six", "c"]).ok();
    s.rcon(["exec", "c", "ip", "link", "show", "mine0"]).ok();
}

#[test]
fn flags_of_docker_that_are_refused_say_why() {
    let s = sandbox("ds-refused");
    for (args, code, why) in [
        (
            ["network", "create", "--ingress", "n"].as_slice(),
            125,
            "--ingress is not supported: there is no swarm",
        ),
        (&["network", "create", "--ipam-opt", "a=b", "n"], 125, "--ipam-opt is not supported"),
        (&["network", "create", "--scope", "swarm", "n"], 1, "there is no swarm"),
        (&["network", "create", "--ipv4=false", "n"], 1, "IPv4 or IPv6 must be enabled"),
        (&["network", "connect", "--gw-priority", "1", "n", "c"], 125, "--gw-priority is not supported"),
        (&["volume", "create", "--scope", "multi", "v"], 125, "--scope is not supported"),
        (&["images", "--tree"], 125, "--tree is not supported"),
        (&["image", "rm", "--platform", "linux/arm64", "busybox"], 125, "--platform is not supported"),
        (
            &["history", "--platform", "linux/arm64", "busybox"],
            1,
            "does not provide the specified platform (linux/arm64)",
        ),
        (&["save", "--platform", "linux/arm64", "busybox"], 1, "does not provide the specified platform"),
        (
            &["image", "inspect", "--platform", "linux/arm64", "busybox"],
            1,
            "does not provide the specified platform",
        ),
    ] {
        let done = s.rcon(args);
        assert!(done.fails(code).contains(why), "{args:?}: {}", done.stderr);
    }
    s.rcon(["history", "-q", "--platform", "linux/amd64", "busybox"]).ok();
}

#[test]
fn errors_quote_the_command_as_it_was_called() {
    let s = sandbox("ds-called");
    let mut command = super::podman_manner::called(&s, "docker");
    command.args(["exec", "top"]);
    let done = s.finish(command);
    assert!(done.fails(1).contains("See 'docker exec --help'"), "{}", done.stderr);
    assert!(s.rcon(["exec", "top"]).fails(1).contains("See 'rcon exec --help'"));
}
