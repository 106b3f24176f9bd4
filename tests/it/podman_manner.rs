//! What podman's users are used to and docker's users do not meet: the exit codes and copies of a program that is called
//! `podman`, containers.conf and its modules, flags of podman's own.

use std::process::Command;

use crate::support::{Done, Sandbox, eventually, rcon_binary, sh};

fn run(s: &Sandbox, flags: &[&str], command: &str) -> String {
    let all = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", command]].concat();
    s.rcon(all).ok().to_owned()
}

/// The same binary, called by another name.
pub(crate) fn called(s: &Sandbox, name: &str) -> Command {
    let link = s.dir().join(name);
    if !link.exists() {
        std::os::unix::fs::symlink(rcon_binary(), &link).expect("a link");
    }
    let mut command = Command::new(&link);
    command.envs(s.command().get_envs().filter_map(|(k, v)| Some((k, v?))));
    command
}

/// A command of rcon that is called `podman`.
pub(crate) fn podman(s: &Sandbox, args: &[&str]) -> Done {
    let mut command = called(s, "podman");
    command.args(args);
    s.finish(command)
}

#[test]
fn called_podman_it_fails_with_podman_s_exit_codes() {
    let s = Sandbox::with_images("manner", &["busybox"]);
    s.rcon(["run", "-d", "--network", "none", "--name", "up", "busybox", "sleep", "100"]).ok();
    let code = |name: &str, args: &[&str]| {
        let mut command = called(&s, name);
        command.args(args);
        s.finish(command).code
    };
    for (args, podman, docker) in [
        (&["inspect", "nobody"][..], 125, 1),
        (&["start", "nobody"], 125, 1),
        (&["nonsense"], 125, 1),
        (&["rm"], 125, 1),
        (&["rm", "nobody"], 1, 1),
        (&["rm", "up"], 2, 1),
        (&["rm", "nobody", "up"], 1, 1),
        (&["rmi", "nothing"], 1, 1),
        (&["rmi", "busybox"], 2, 1),
        (&["network", "rm", "nothing"], 1, 1),
        (&["volume", "rm", "nothing"], 1, 1),
        (&["container", "exists", "nobody"], 1, 1),
        (&["run", "--rm", "--network", "none", "busybox", "false"], 1, 1),
        (&["run", "--rm", "--network", "none", "busybox", "/missing"], 127, 127),
        (&["ps", "--bad"], 125, 125),
        (&["ps"], 0, 0),
    ] {
        assert_eq!(code("podman", args), podman, "podman {args:?}");
        assert_eq!(code("docker", args), docker, "docker {args:?}");
    }
}

#[test]
fn called_podman_it_copies_below_the_working_directory() {
    let s = Sandbox::with_images("manner-cp", &["busybox"]);
    let file = s.dir().join("file");
    std::fs::write(&file, "x").expect("a file");
    let path = file.to_str().expect("a path");
    podman(&s, &["create", "--name=missing", "-w=/work", "busybox"]).ok();
    podman(&s, &["cp", path, "missing:"]).fails(125);
    // The directory is not made, so it is one that the image has.
    podman(&s, &["create", "--name=c", "-w=/tmp", "busybox"]).ok();
    s.rcon(["start", "-a", "c"]).ok();
    for (name, target, lands) in
        [("podman", "c:one", "/tmp/one"), ("podman", "c:", "/tmp/file"), ("rcon2", "c:two", "/two")]
    {
        let mut command = called(&s, name);
        command.args(["cp", file.to_str().expect("a path"), target]);
        s.finish(command).ok();
        s.rcon(["cp", &format!("c:{lands}"), s.dir().join("back").to_str().expect("a path")]).ok();
    }
}

#[test]
fn modules_of_containers_conf_are_read_in_order() {
    let s = Sandbox::with_images("modules", &["busybox"]);
    let home = s.dir().join("home/.config/containers/containers.conf.modules");
    std::fs::create_dir_all(&home).expect("a folder");
    std::fs::write(home.join("one"), "[containers]\nenv = [\"A=1\", {append=true}]\n").expect("a file");
    let two = s.dir().join("two.conf");
    std::fs::write(&two, "[containers]\nenv = [\"B=2\"]\n").expect("a file");
    let two = format!("--module={}", two.display());
    let tail = ["run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo $A$B"];
    let all = [&["--module", "one", &two][..], &tail].concat();
    assert_eq!(s.rcon(all).ok(), "12");
    assert_eq!(s.rcon([&[two.as_str(), "--module=one"][..], &tail].concat()).ok(), "12");
    let told = s.rcon(["--module", "three", "ps"]).fails(1).to_owned();
    assert!(told.contains("three") && told.contains("containers.conf.modules"), "{told}");
    std::fs::write(home.join("four"), "[containers]\nenv_host = true\nprivileged = true\n").expect("a file");
    let mut command = s.command();
    command.env("CALLER", "me").args(["--module=four"]).args(&tail[..7]).arg("echo $CALLER; ls /dev/kmsg");
    assert_eq!(s.finish(command).ok(), "me\n/dev/kmsg");
}

#[test]
fn ports_are_published_where_containers_conf_says() {
    let s = Sandbox::with_images("hostips", &["busybox"]);
    let conf = s.dir().join("own.conf");
    std::fs::write(&conf, "[network]\ndefault_host_ips = [\"127.0.0.1\", \"192.0.2.1\"]\n").expect("a file");
    let module = format!("--module={}", conf.display());
    s.rcon([
        &module,
        "run",
        "-d",
        "--name",
        "c",
        "-p",
        "8081:80",
        "-p",
        "0.0.0.0:8082:81",
        "busybox",
        "sleep",
        "9",
    ])
    .ok();
    let mut ports: Vec<String> = s.rcon(["port", "c"]).ok().lines().map(str::to_owned).collect();
    ports.sort();
    assert_eq!(ports, ["80/tcp -> 127.0.0.1:8081", "80/tcp -> 192.0.2.1:8081", "81/tcp -> 0.0.0.0:8082"]);
}

#[test]
fn limits_of_the_caller_are_handed_on() {
    let s = Sandbox::with_images("ulimit-host", &["busybox"]);
    let mut command = Command::new("sh");
    command.envs(s.command().get_envs().filter_map(|(k, v)| Some((k, v?))));
    let binary = rcon_binary();
    let text = format!(
        "ulimit -n 1234; ulimit -Sc 77; exec {} run --rm --network none --ulimit host --ulimit nproc=99:99 busybox \
         sh -c 'ulimit -n; ulimit -Sc; ulimit -u'",
        binary.display()
    );
    command.args(["-c", &text]);
    assert_eq!(s.finish(command).ok(), "1234\n77\n99");
}

#[test]
fn systemd_containers_are_marked_and_see_no_consoles() {
    let s = Sandbox::with_images("sd", &["busybox"]);
    assert_eq!(run(&s, &["--systemd=always"], "stat -c %s /run/.containerenv"), "0");
    let consoles = "ls /dev | grep -c '^tty[0-9]'; true";
    let count = |flags: &[&str]| run(&s, flags, consoles).parse::<u32>().expect("a number");
    assert_eq!(count(&["--privileged", "--systemd=always"]), 0);
    if std::path::Path::new("/dev/tty1").exists() {
        assert!(count(&["--privileged"]) > 0);
    }
}

#[test]
fn force_takes_the_containers_of_a_volume_along_only_as_podman() {
    let s = Sandbox::with_images("rm-users", &["busybox"]);
    for (name, flags, gone) in
        [("rcon", &["-f"][..], false), ("rcon", &["-f", "-t", "0"], true), ("podman", &["-f"], true)]
    {
        s.rcon(["network", "create", "net"]).ok();
        s.rcon([
            "run",
            "-d",
            "--network",
            "net",
            "-v",
            "vol:/x",
            "--name",
            "user",
            "busybox",
            "sleep",
            "100",
        ])
        .ok();
        for (kind, what) in [("volume", "vol"), ("network", "net")] {
            let mut command = called(&s, name);
            command.args([kind, "rm"]).args(flags).arg(what);
            let done = s.finish(command);
            assert_eq!(done.code, i32::from(!gone), "{name} {kind} {flags:?}: {done:?}");
        }
        assert_eq!(s.rcon(["container", "exists", "user"]).code, i32::from(gone), "{name} {flags:?}");
        if !gone {
            s.rcon(["rm", "-f", "-t", "0", "user"]).ok();
            s.rcon(["volume", "rm", "vol"]).ok();
            s.rcon(["network", "rm", "net"]).ok();
        }
    }
}

#[test]
fn part_of_an_image_is_mounted() {
    let s = Sandbox::with_images("subpath", &["busybox", "debian"]);
    for path in ["/etc", "etc"] {
        let mount = format!("type=image,src=debian,dst=/m,subpath={path}");
        assert_eq!(run(&s, &["--mount", &mount], "ls /m/passwd"), "/m/passwd");
        assert_eq!(run(&s, &["--mount", &format!("{mount},rw")], "touch /m/new && ls /m/new"), "/m/new");
    }
}

#[test]
fn hosts_follow_the_networks() {
    let s = Sandbox::with_images("hosts-move", &["busybox"]);
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["network", "create", "n2"]).ok();
    s.rcon(["run", "-d", "--name", "c", "--network", "n1", "-h", "box", "busybox", "sleep", "100"]).ok();
    let address =
        |net: &str| s.inspect("c", &format!("{{{{(index .NetworkSettings.Networks \"{net}\").IPAddress}}}}"));
    let hosts = || s.rcon(["exec", "c", "cat", "/etc/hosts"]).ok().to_owned();
    let first = address("n1");
    assert!(hosts().contains(&format!("{first}\tbox c")), "{}", hosts());
    s.rcon(["network", "connect", "n2", "c"]).ok();
    let second = address("n2");
    assert!(hosts().contains(&format!("{second}\tbox c")), "{}", hosts());
    s.rcon(["network", "disconnect", "n1", "c"]).ok();
    assert!(!hosts().contains(&first) && hosts().contains(&second), "{}", hosts());
    // The last one, too: it has a namespace with nothing but loopback then, and may be attached again.
    s.rcon(["network", "disconnect", "n2", "c"]).ok();
    assert_eq!(s.rcon(["exec", "c", "ls", "/sys/class/net"]).ok(), "lo");
    s.rcon(["network", "connect", "n1", "c"]).ok();
    assert!(hosts().contains(&address("n1")), "{}", hosts());
    s.rcon(["network", "rm", "-f", "-t", "0", "n1", "n2"]).ok();
    s.rcon(["container", "inspect", "c"]).fails(1);
}

#[test]
fn small_words_of_podman_are_understood() {
    let s = Sandbox::with_images("small", &["busybox"]);
    let rule = ["--device-cgroup-rule", "a 7 rmw"];
    assert_eq!(run(&s, &rule, "echo ok"), "ok");
    let done = s.rcon(["run", "--rm", "--network", "none", "--kernel-memory", "9m", "busybox", "true"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("--kernel-memory has no effect"), "{}", done.stderr);
    s.rcon(["create", "--name", "other", "busybox"]).ok();
    let done = s.rcon(["run", "--rmi", "--network", "none", "busybox", "true"]);
    assert!(done.stderr.contains("image is in use by a container"), "{}", done.stderr);
    s.rcon(["rm", "other"]).ok();
    assert_eq!(s.rcon(["run", "--rmi", "--network", "none", "busybox", "true"]).stderr, "");
    s.rcon(["pull", "-q", "busybox"]).ok();
    s.rcon(["run", "-d", "--network", "none", "--name", "deaf", "busybox", "sleep", "100"]).ok();
    let told = s.rcon(["restart", "-t", "1", "deaf"]);
    assert!(told.stderr.contains("resorting to SIGKILL"), "{}", told.stderr);
    for filter in ["id=^[0-9a-f]{64}$", "name=^de[a-c]f$", "name=e.f"] {
        assert_eq!(s.rcon(["ps", "--format", "{{.Names}}", "--filter", filter]).ok(), "deaf", "{filter}");
    }
    s.rcon(["volume", "create", "data-1"]).ok();
    s.rcon(["volume", "create", "data-x"]).ok();
    assert_eq!(s.rcon(["volume", "ls", "-q", "--filter", "name=^data-[0-9]$"]).ok(), "data-1");
    s.rcon(["volume", "rm", "data-1", "data-x"]).ok();
}

#[test]
fn a_startup_check_is_shown_and_goes_with_its_check() {
    let s = Sandbox::with_images("startup-shown", &["busybox"]);
    let checks =
        ["--health-cmd", "true", "--health-startup-cmd", "test -e /up", "--health-startup-success", "2"];
    s.rcon(
        [&["create", "--name", "c", "--network", "none"], &checks[..], &["busybox", "sleep", "9"]].concat(),
    )
    .ok();
    let shown =
        s.inspect("c", "{{.Config.StartupHealthCheck.Test}} {{.Config.StartupHealthCheck.Successes}}");
    assert_eq!(shown, "[CMD-SHELL test -e /up] 2");
    s.rcon(["update", "--no-healthcheck", "c"]).ok();
    let config = s.inspect("c", "{{json .Config}}");
    assert!(
        !config.contains("StartupHealthCheck") && config.contains(r#""Healthcheck":{"Test":["NONE"]}"#),
        "{config}"
    );
}

#[test]
fn results_of_health_checks_go_where_they_are_wanted() {
    let s = Sandbox::with_images("healthlog", &["busybox"]);
    let logs = s.dir().join("health");
    std::fs::create_dir(&logs).expect("a folder");
    let base = ["run", "-d", "--network", "none", "--stop-timeout", "0", "--health-interval", "1h"];
    let start = |name: &str, flags: &[&str]| {
        let all = [&base, &["--name", name][..], flags, &["busybox", "sleep", "100"]].concat();
        s.rcon(all).ok().to_owned()
    };
    let directory = logs.to_str().expect("a path");
    let counted = ["--health-max-log-count", "2", "--health-max-log-size", "4"];
    let id = start(
        "file",
        &[&["--health-cmd", "echo hello", "--health-log-destination", directory][..], &counted].concat(),
    );
    for _ in 0..4 {
        s.rcon(["healthcheck", "run", "file"]).ok();
    }
    let text = std::fs::read_to_string(logs.join(format!("{id}-healthcheck.log"))).expect("the log");
    assert_eq!(text.matches("\"Output\":\"hell\"").count(), 2, "{text}");
    let shown = "{{.Config.HealthLogDestination}} {{.Config.HealthMaxLogCount}} {{.Config.HealthMaxLogSize}} \
                 {{len .State.Health.Log}}";
    assert_eq!(s.inspect("file", shown), format!("{directory} 2 4 2"));
    start("event", &["--health-cmd", "echo hello-event", "--health-log-destination", "events_logger"]);
    s.rcon(["healthcheck", "run", "event"]).ok();
    let events = s.rcon(["events", "--since", "1m", "--stream=false", "--filter", "container=event"]);
    assert!(events.ok().contains("health_log=hello-event"), "{}", events.stdout);
    let bad = [
        "run",
        "--network",
        "none",
        "--health-cmd",
        "true",
        "--health-log-destination",
        "/no/where",
        "busybox",
    ];
    assert!(s.rcon(bad).fails(125).contains("no such directory"));
    // An update of the check needs no restart.
    let pid = s.inspect("event", "{{.State.Pid}}");
    s.rcon(["update", "--health-cmd", "echo new", "--health-log-destination", directory, "event"]).ok();
    s.rcon(["healthcheck", "run", "event"]).ok();
    assert_eq!(
        s.inspect("event", "{{.State.Pid}} {{(index .State.Health.Log 1).Output}}"),
        format!("{pid} new")
    );
    let id = s.inspect("event", "{{.Id}}");
    assert!(logs.join(format!("{id}-healthcheck.log")).exists());
    s.rcon(["update", "--no-healthcheck", "event"]).ok();
    s.rcon(["healthcheck", "run", "event"]).fails(1);
    assert_eq!(s.inspect("event", "{{.State.Pid}}"), pid);
}

#[test]
fn a_health_check_may_write_more_than_a_pipe_holds() {
    let s = Sandbox::with_images("healthlong", &["busybox"]);
    let check = ["--health-cmd", "head -c 500000 /dev/zero | tr '\\0' x", "--health-timeout", "10s"];
    let base = ["run", "-d", "--network", "none", "--name", "c", "--health-interval", "1h"];
    s.rcon([&base[..], &check, &["busybox", "sleep", "100"]].concat()).ok();
    s.rcon(["healthcheck", "run", "c"]).ok();
    assert_eq!(
        s.inspect("c", "{{.State.Health.Status}} {{len (index .State.Health.Log 0).Output}}"),
        "healthy 4096"
    );
}

#[test]
fn events_have_podman_s_fields() {
    let s = Sandbox::with_images("eventfields", &["busybox"]);
    let conf = s.dir().join("own.conf");
    std::fs::write(&conf, "[engine]\nevents_container_create_inspect_data = true\n").expect("a file");
    s.rcon(["create", "--name", "plain", "busybox"]).ok();
    s.rcon([&format!("--module={}", conf.display()), "create", "--name", "told", "busybox"]).ok();
    s.rcon(["run", "--rm", "--network", "none", "--name", "ends", "busybox", "sh", "-c", "exit 3"]).fails(3);
    let field = |container: &str, event: &str, format: &str| {
        let (container, event) = (format!("container={container}"), format!("event={event}"));
        let base = ["events", "--since", "1m", "--stream=false", "--filter", &container, "--filter", &event];
        s.rcon([&base[..], &["--format", format]].concat()).ok().to_owned()
    };
    assert_eq!(field("plain", "create", "{{.ContainerInspectData}}"), "");
    let told: serde_json::Value =
        serde_json::from_str(&field("told", "create", "{{.ContainerInspectData}}")).expect("JSON");
    assert_eq!((&told["Name"], told["SizeRootFs"].is_number()), (&"/told".into(), true));
    assert!(!field("told", "create", "{{json .}}").contains("HostConfig\":"));
    assert_eq!(field("ends", "died", "{{.ContainerExitCode}} {{.Attributes.image}}"), "3 busybox");
}

#[test]
fn what_a_health_check_brings_about_is_done_when_it_ends() {
    let s = Sandbox::with_images("healthsync", &["busybox"]);
    let start = |name: &str, action: &str| {
        let check = ["--health-cmd", "test ! -e /bad", "--health-retries", "1", "--health-interval", "1h"];
        let own = ["--name", name, "--health-on-failure", action];
        let base = ["run", "-d", "--network", "none", "--stop-timeout", "1"];
        s.rcon(
            [&base[..], &own, &check, &["busybox", "sh", "-c", "rm -f /bad; touch /ready; exec sleep 100"]]
                .concat(),
        )
        .ok();
        // Not before the container itself has taken it away.
        eventually("it has begun", || s.rcon(["exec", name, "test", "-e", "/ready"]).code == 0);
        s.rcon(["exec", name, "touch", "/bad"]).ok();
        s.rcon(["healthcheck", "run", name]).fails(1);
    };
    start("none", "none");
    assert_eq!(s.inspect("none", "{{.State.Status}}"), "running");
    for action in ["kill", "stop"] {
        start(action, action);
        assert_eq!(s.inspect(action, "{{.State.Status}}"), "exited");
    }
    start("restart", "restart");
    assert_eq!(s.inspect("restart", "{{.State.Status}} {{.State.Health.FailingStreak}}"), "running 0");
}

#[test]
fn a_restart_in_a_user_namespace_finds_its_network_again() {
    let s = Sandbox::with_images("usernsagain", &["busybox"]);
    s.rcon(["network", "create", "--subnet", "10.77.3.0/29", "small"]).ok();
    let maps = ["--uidmap", "0:100000:1000", "--gidmap", "0:100000:1000"];
    let base = ["run", "-d", "--name", "c", "--network", "small", "--restart", "on-failure:3"];
    s.rcon([&base[..], &maps, &["busybox", "sh", "-c", "ip -o -4 addr show dev eth0; false"]].concat()).ok();
    eventually("all restarts are used up", || s.inspect("c", "{{.State.Status}}") == "exited");
    assert_eq!(s.inspect("c", "{{.RestartCount}} {{.State.ExitCode}} {{.State.Error}}"), "3 1 ");
    assert_eq!(s.rcon(["logs", "c"]).ok().matches("10.77.3.").count() / 2, 4);
    s.rcon(["rm", "c"]).ok();
    s.rcon(["network", "rm", "small"]).ok();
}

#[test]
fn published_ports_come_back_with_the_network() {
    let s = Sandbox::with_images("portsback", &["busybox"]);
    s.rcon(["network", "create", "net1"]).ok();
    let serve = "echo hi >/index.txt; exec httpd -f -h / -p 80";
    let base = ["run", "-d", "--name", "c", "-p", "8085:80", "--network", "net1"];
    s.rcon([&base[..], &["busybox", "sh", "-c", serve]].concat()).ok();
    let fetch = || sh("curl -s --max-time 3 http://127.0.0.1:8085/index.txt || echo gone");
    eventually("the server answers", || fetch() == "hi");
    s.rcon(["network", "disconnect", "net1", "c"]).ok();
    assert_eq!(fetch(), "gone");
    s.rcon(["network", "connect", "net1", "c"]).ok();
    assert_eq!(fetch(), "hi");
    s.rcon(["rm", "-f", "c"]).ok();
    assert_eq!(s.rcon(["network", "rm", "-f", "net1"]).ok(), "net1");
    assert_eq!(s.rcon(["network", "rm", "-f", "net1"]).ok(), "");
}

#[test]
fn small_words_of_podman_are_answered() {
    let s = Sandbox::with_images("answers", &["busybox"]);
    assert_eq!(s.rcon(["wait", "--ignore", "nobody"]).ok(), "-1");
    s.rcon([
        "create",
        "--name",
        "c",
        "--no-healthcheck",
        "-p",
        "0.0.0.0:8086:80",
        "-p",
        "8087:81",
        "busybox",
    ])
    .ok();
    assert_eq!(s.inspect("c", "{{.Config.Healthcheck.Test}}"), "[NONE]");
    let ports = s.inspect("c", "{{json .HostConfig.PortBindings}}");
    assert!(ports.contains(r#""HostIp":"0.0.0.0","HostPort":"8086""#), "{ports}");
    assert!(ports.contains(r#""HostIp":"","HostPort":"8087""#), "{ports}");
    s.rcon(["create", "--name", "plain", "busybox"]).ok();
    let told = s.rcon(["update", "--health-interval", "3s", "plain"]).fails(1).to_owned();
    assert!(told.contains("healthcheck command is not set"), "{told}");
    let conf = s.dir().join("own.conf");
    let module = format!("--module={}", conf.display());
    for (ip, want) in [("192.0.2.77", 1), ("none", 0)] {
        std::fs::write(&conf, format!("[containers]\nhost_containers_internal_ip = \"{ip}\"\n"))
            .expect("a file");
        let hosts = s.rcon([&module, "run", "--rm", "busybox", "cat", "/etc/hosts"]).ok().to_owned();
        assert_eq!(hosts.matches("host.containers.internal").count(), want, "{hosts}");
        assert_eq!(hosts.contains("192.0.2.77\thost.containers.internal"), want == 1, "{hosts}");
    }
}

#[test]
fn a_copy_goes_through_a_link_to_nothing() {
    let s = Sandbox::with_images("cplink", &["busybox"]);
    let links = "mkdir /d; ln -s /made /d/abs; ln -s ../rel /d/rel; exec sleep 100";
    s.rcon(["run", "-d", "--name", "c", "--network", "none", "busybox", "sh", "-c", links]).ok();
    eventually("the links are there", || s.rcon(["exec", "c", "readlink", "/d/rel"]).code == 0);
    let file = s.dir().join("file");
    std::fs::write(&file, "x").expect("a file");
    let file = file.to_str().expect("a path");
    for (to, lands) in [("c:/d/abs", "/made"), ("c:/d/rel", "/rel")] {
        s.rcon(["cp", file, to]).ok();
        assert_eq!(s.rcon(["exec", "c", "cat", lands]).ok(), "x");
        s.rcon(["exec", "c", "test", "-L", &to[2..]]).ok();
    }
    assert!(!std::path::Path::new("/made").exists());
}

#[test]
fn an_init_of_the_host_s_runs_first() {
    let s = Sandbox::with_images("initpath", &["busybox"]);
    // A program for the container's own libc: a shell script says who started it.
    let init = s.dir().join("own-init");
    std::fs::write(&init, "#!/bin/sh\necho init $$ with $1; shift; exec \"$@\"\n").expect("a file");
    sh(&format!("chmod 755 {}", init.display()));
    let flag = ["--init-path", init.to_str().expect("a path")];
    for more in [&[][..], &["--read-only"], &["--tmpfs", "/run"]] {
        assert_eq!(
            run(&s, &[&flag, more].concat(), "echo command $$"),
            "init 1 with --\ncommand 1",
            "{more:?}"
        );
    }
    assert_eq!(run(&s, &[&flag[..], &["--init=false"]].concat(), "echo command"), "command");
    s.rcon(["run", "--rm", "--init-path", "/no/where", "busybox", "true"]).fails(125);
}

#[test]
fn a_writable_layer_is_limited_where_the_file_system_can() {
    let s = Sandbox::with_images("quota", &["busybox"]);
    // The tests live on tmpfs, which has no projects.
    let told = s.rcon(["create", "--name", "c", "--storage-opt", "size=64m", "busybox"]).fails(1).to_owned();
    assert!(told.contains("has no quotas of projects") && told.contains("prjquota"), "{told}");
    s.rcon(["container", "inspect", "c"]).fails(1);
    assert!(s.rcon(["create", "--storage-opt", "colour=red", "busybox"]).fails(1).contains("colour"));
}

#[test]
fn an_empty_name_is_no_name() {
    let s = Sandbox::with_images("noname", &["busybox"]);
    let id = s.rcon(["create", "--name=", "busybox"]).ok().to_owned();
    assert!(s.inspect(&id, "{{.Name}}").contains('_'));
    assert!(["v1", "v2"].contains(&s.rcon(["info", "--format", "{{.Host.CgroupsVersion}}"]).ok()));
}

#[test]
fn completion_scripts_of_docker_and_podman_are_answered() {
    let s = Sandbox::with_images("cobra", &["busybox"]);
    s.rcon(["create", "--name", "findme", "busybox"]).ok();
    let done = s.rcon(["__completeNoDesc", "rm", "find"]);
    assert_eq!(done.ok(), "findme\n:4");
    assert!(done.stderr.contains("ShellCompDirectiveNoFileComp"), "{}", done.stderr);
    assert!(s.rcon(["__complete", "volume", "ins"]).ok().starts_with("inspect\t"));
    assert!(s.rcon(["__completeNoDesc", "run", "--ent"]).ok().contains("--entrypoint\n"));
}

#[test]
fn times_of_a_check_are_durations_in_templates_and_numbers_in_json() {
    let s = Sandbox::with_images("durations", &["busybox"]);
    let check = ["--health-cmd", "true", "--health-interval", "90s", "--health-timeout", "1500ms"];
    s.rcon([&["create", "--name", "c"], &check[..], &["busybox"]].concat()).ok();
    let shown = "{{.Config.Healthcheck.Interval}} {{.Config.Healthcheck.Timeout}} {{json .Config.Healthcheck.Interval}}";
    assert_eq!(s.inspect("c", shown), "1m30s 1.5s 90000000000");
    assert!(s.rcon(["--syslog", "ps"]).fails(125).contains("--syslog is not supported"));
}

#[test]
fn what_a_start_and_an_environment_lack_is_told() {
    let s = Sandbox::with_images("startcodes", &["busybox"]);
    s.rcon(["create", "--name", "bad", "--network", "none", "busybox", "/no/such"]).ok();
    for start in [&["start", "bad"][..], &["start", "-a", "bad"]] {
        assert!(s.rcon(start).fails(1).contains("/no/such"));
    }
    let env = run(&s, &["-t", "--unsetenv-all"], "/bin/env");
    assert!(!env.contains("PATH=/usr") && !env.contains("TERM="), "{env}");
    let bad = ["run", "--rm", "--authfile", "/no/file", "busybox", "true"];
    assert!(s.rcon(bad).fails(125).contains("credential file is not accessible: /no/file"));
}
