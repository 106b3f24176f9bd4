//! What fingers and scripts are used to from docker and podman and what their own suites ask for, each checked by its
//! effect: names, marks of a container, IPC that is not shared, copies, warnings of `stop`, the engine's own output.

use crate::support::{Sandbox, sh};

/// Runs one command in a fresh busybox container without a network.
fn run(s: &Sandbox, flags: &[&str], command: &str) -> String {
    let all = [&["run", "--rm", "--network", "none"], flags, &["busybox", "sh", "-c", command]].concat();
    s.rcon(all).ok().to_owned()
}

fn sleeper(s: &Sandbox, name: &str, flags: &[&str]) {
    let base = ["run", "-d", "--network", "none", "--stop-timeout", "1", "--name", name];
    s.rcon([&base, flags, &["busybox", "sleep", "100"]].concat()).ok();
}

#[test]
fn a_container_can_tell_that_it_is_one() {
    let s = Sandbox::with_images("marks", &["busybox"]);
    for flags in [&[][..], &["--read-only"], &["--tmpfs", "/run"], &["--tmpfs", "/run", "--init"]] {
        let seen = run(&s, &[flags, &["--tmpfs", "/tmp"]].concat(), "ls -d /.dockerenv; true");
        assert_eq!(seen, "/.dockerenv", "{flags:?}");
    }
    for flags in [&["--tmpfs", "/run"][..], &["--read-only"]] {
        assert_eq!(run(&s, flags, "stat -c %s /run/.containerenv"), "0", "{flags:?}");
    }
    let told = run(
        &s,
        &["--privileged", "--tmpfs", "/run", "--name", "told"],
        ". /run/.containerenv; echo $name $image $rootless",
    );
    assert_eq!(told, "told busybox 0");
    let bound = s.dir().join("bound");
    std::fs::create_dir(&bound).expect("a folder");
    let volume = format!("{}:/run", bound.display());
    assert_eq!(run(&s, &["-v", &volume], "ls -A /run"), "", "what the user brought stays as it is");
}

#[test]
fn names_may_be_given_as_they_are_shown() {
    let s = Sandbox::with_images("slash", &["busybox"]);
    s.rcon(["create", "--name", "/web", "busybox"]).ok();
    assert_eq!(s.rcon(["ps", "-aq", "--filter", "name=^/web$"]).ok().len(), 12);
    let id = s.inspect("web", "{{.Id}}");
    assert_eq!(s.rcon(["ps", "-aq", "--filter", &format!("id={}", id[..4].to_uppercase())]).ok().len(), 12);
    assert_eq!(s.inspect("web", "{{.ImageName}}"), "docker.io/library/busybox:latest");
    let digests = s.rcon(["inspect", "-f", "{{json .RepoDigests}}", "busybox"]).ok().to_owned();
    assert!(digests.contains(&s.inspect("web", "{{.ImageDigest}}")), "{digests}");
    s.rcon(["rm", "/web"]).ok();
    s.rcon(["create", "--name", "a/b", "busybox"]).fails(1);
}

#[test]
fn private_ipc_is_not_joined() {
    let s = Sandbox::with_images("ipc", &["busybox"]);
    for (name, mode) in [("mine", "private"), ("nobody", "none"), ("ours", "shareable")] {
        sleeper(&s, name, &["--ipc", mode]);
    }
    let join = |name: &str| {
        let ipc = format!("--ipc=container:{name}");
        s.rcon(["run", "--rm", "--network", "none", &ipc, "busybox", "readlink", "/proc/self/ns/ipc"])
    };
    for name in ["mine", "nobody"] {
        let told = join(name).fails(125).to_owned();
        assert!(told.contains("non-shareable IPC"), "{told}");
    }
    let ours = s.rcon(["exec", "ours", "readlink", "/proc/self/ns/ipc"]).ok().to_owned();
    assert_eq!(join("ours").ok(), ours);
    // The host's queues are there even where the host has not mounted them.
    let host = s.rcon([
        "run",
        "--rm",
        "--network",
        "none",
        "--ipc=host",
        "busybox",
        "stat",
        "-fc",
        "%T",
        "/dev/mqueue",
    ]);
    host.ok();
    s.rcon(["rm", "-f", "mine", "nobody", "ours"]).ok();
}

#[test]
fn copies_keep_owners_and_kinds() {
    let s = Sandbox::with_images("cpkeep", &["busybox"]);
    sleeper(&s, "c", &[]);
    let dir = s.dir().join("cp");
    let at = |name: &str| dir.join(name).display().to_string();
    std::fs::create_dir(&dir).expect("a folder");
    sh(&format!(
        "cd {0}; echo x >f; chown 1042:1043 f; mkdir d; echo z >clash; tar czf f.tgz f",
        dir.display()
    ));
    let exec = |script: &str| s.rcon(["exec", "c", "sh", "-c", script]).ok().to_owned();

    s.rcon(["cp", &at("f"), "c:/tmp/"]).ok();
    assert_eq!(exec("stat -c %u:%g /tmp/f"), "1042:1043");
    let packed = std::fs::read(at("f.tgz")).expect("the archive");
    s.rcon_with_input(["cp", "-", "c:/root"], &packed).ok();
    assert_eq!(exec("stat -c %u:%g /root/f"), "1042:1043");
    s.rcon(["cp", "c:/tmp/f", &at("back")]).ok();
    assert_eq!(sh(&format!("stat -c %u:%g {}", at("back"))).trim(), "0:0");

    exec("mkdir /tmp/clash; echo q >/tmp/d");
    s.rcon(["cp", &at("clash"), "c:/tmp"]).fails(1);
    s.rcon(["cp", &at("d"), "c:/tmp"]).fails(1);
    assert_eq!(exec("test -d /tmp/clash && cat /tmp/d"), "q");
    s.rcon(["cp", "--overwrite", &at("clash"), "c:/tmp"]).ok();
    assert_eq!(exec("cat /tmp/clash"), "z");
    s.rcon(["rm", "-f", "c"]).ok();
}

#[test]
fn stop_says_when_it_had_to_kill() {
    let s = Sandbox::with_images("stopkill", &["busybox"]);
    sleeper(&s, "c", &[]);
    let done = s.rcon(["stop", "-t", "1", "c"]);
    assert_eq!(done.ok(), "c");
    let warning = "StopSignal SIGTERM failed to stop container c in 1 seconds, resorting to SIGKILL";
    assert!(done.stderr.contains(warning), "{done:?}");
    assert_eq!(s.inspect("c", "{{.State.StoppedByUser}}"), "true");
    s.rcon(["start", "c"]).ok();
    assert_eq!(s.rcon(["stop", "-t", "0", "c"]).stderr, "");
    s.rcon(["rm", "c"]).ok();
    sleeper(&s, "c", &["--rm"]);
    assert!(s.rcon(["stop", "-t", "1", "c"]).stderr.contains(warning), "also of one that removes itself");
    let told = s.rcon(["start", "--filter", "restart-policy=fake", "--all"]).fails(1).to_owned();
    assert!(told.contains("fake invalid restart policy"), "{told}");
    let told = s.rcon(["create", "--health-on-failure=kill", "busybox"]).fails(1).to_owned();
    assert!(told.contains("cannot set on-failure action to kill without a health check"), "{told}");
}

#[test]
fn output_can_be_sent_elsewhere() {
    let s = Sandbox::with_images("noout", &["busybox"]);
    assert_eq!(s.rcon(["--noout", "create", "--name", "c", "busybox"]).ok(), "");
    let file = s.dir().join("out");
    let out = file.display().to_string();
    assert_eq!(s.rcon(["--out", &out, "run", "--rm", "--network", "none", "busybox", "echo", "hi"]).ok(), "");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "hi\n");
    let id = s.rcon(["run", "-a", "stdin", "--network", "none", "--name", "d", "busybox", "echo", "hi"]);
    assert_eq!(id.ok(), s.inspect("d", "{{.Id}}"));
    s.rcon(["--events-backend", "journald", "info"]).fails(125);
    s.rcon(["rm", "c", "d"]).ok();
}

#[test]
fn logs_of_several_are_told_apart() {
    let s = Sandbox::with_images("logsmany", &["busybox"]);
    for name in ["a", "b"] {
        s.rcon([
            "run",
            "--network",
            "none",
            "--name",
            name,
            "--log-opt",
            "max-size=1.5m",
            "busybox",
            "echo",
            name,
        ])
        .ok();
    }
    let id = |name: &str| s.inspect(name, "{{.Id}}")[..12].to_owned();
    assert_eq!(s.rcon(["logs", "a", "b"]).ok(), format!("{} a\n{} b", id("a"), id("b")));
    assert_eq!(s.rcon(["logs", "--names", "a", "b"]).ok(), "a a\nb b");
    assert_eq!(s.rcon(["logs", "a"]).ok(), "a");
    // Log sizes are counted in thousands, alone of all sizes.
    assert_eq!(s.inspect("a", "{{.HostConfig.LogConfig.Size}}"), "1.5MB");
    assert_eq!(s.inspect("a", "{{.HostConfig.LogConfig.Path}}"), s.inspect("a", "{{.LogPath}}"));
    s.rcon(["rm", "a", "b"]).ok();
}

#[test]
fn flags_win_over_the_configuration() {
    let s = Sandbox::with_images("conf", &["busybox"]);
    let file = s.dir().join("containers.conf");
    std::fs::write(&file, "[containers]\nread_only = true\noom_score_adj = 7\n").expect("a file");
    let with = |flags: &[&str]| {
        let mut command = s.command();
        command.env("CONTAINERS_CONF_OVERRIDE", &file).args(["run", "--rm", "--network", "none"]);
        command.args(flags).args(["busybox", "sh", "-c", "touch /x; cat /proc/self/oom_score_adj"]);
        s.finish(command)
    };
    assert!(with(&[]).stderr.contains("Read-only"), "{:?}", with(&[]));
    let free = with(&["--read-only=false"]);
    assert_eq!((free.ok(), free.stderr.as_str()), ("7", ""));
}

#[test]
fn init_reaps_and_hands_on_signals_and_codes() {
    let s = Sandbox::with_images("init", &["busybox"]);
    // An orphan is reaped: no zombie of it is left.
    let script = "(sh -c 'sleep 0.1 & exit 0'); sleep 0.5; ps -o stat | grep -c '^Z'; true";
    assert_eq!(run(&s, &["--init"], script), "0");
    let end = |command: &[&str]| {
        s.rcon([&["run", "--rm", "--network", "none", "--init", "busybox"], command].concat()).code
    };
    assert_eq!((end(&["sh", "-c", "exit 7"]), end(&["nosuch"])), (7, 127));
    sleeper(&s, "c", &["--init"]);
    s.rcon(["stop", "-t", "5", "c"]).ok();
    assert_eq!(s.inspect("c", "{{.State.ExitCode}}"), "143", "sleep heeds the signal when it is not pid 1");
    s.rcon(["rm", "c"]).ok();
}

#[test]
fn hooks_of_directories_run_at_each_start_and_end() {
    let s = Sandbox::with_images("hooks", &["busybox"]);
    let dir = s.dir().join("hooks.d");
    std::fs::create_dir(&dir).expect("a folder");
    let log = dir.join("log");
    let at = dir.display();
    let script = format!("#!/bin/sh\ncat >/dev/null\necho $1 >>{}\n", log.display());
    std::fs::write(dir.join("hook.sh"), script).expect("a script");
    sh(&format!("chmod +x {at}/hook.sh"));
    let hook = |file: &str, when: &str, word: &str, stages: &str| {
        let json = format!(
            r#"{{"version": "1.0.0", "when": {when}, "stages": [{stages}],
                "hook": {{"path": "{at}/hook.sh", "args": ["hook.sh", "{word}"]}}}}"#
        );
        std::fs::write(dir.join(file), json).expect("a hook");
    };
    hook("1.json", r#"{"always": true}"#, "before", r#""prestart""#);
    hook("2.json", r#"{"always": true}"#, "after", r#""poststop""#);
    hook("3.json", r#"{"annotations": {"^gpu$": "yes"}}"#, "gpu", r#""createRuntime", "poststart""#);
    hook("4.json", r#"{"commands": ["/nosuch$"]}"#, "never", r#""prestart""#);
    let flag = format!("--hooks-dir={at}");
    let said = || std::fs::read_to_string(&log).unwrap_or_default().replace('\n', " ");

    s.rcon([flag.as_str(), "run", "--rm", "--network", "none", "--annotation", "gpu=yes", "busybox", "true"])
        .ok();
    assert_eq!(said(), "before gpu gpu after ");
    std::fs::remove_file(&log).expect("the log");
    s.rcon([
        flag.as_str(),
        "run",
        "-d",
        "--name",
        "c",
        "--network",
        "none",
        "--restart=on-failure:1",
        "busybox",
        "false",
    ])
    .ok();
    s.rcon(["wait", "c"]).ok();
    crate::support::eventually("it has run twice", || said() == "before after before after ");
    s.rcon(["rm", "-f", "c"]).ok();
    std::fs::write(dir.join("5.json"), "{").expect("a broken hook");
    let told = s.rcon([flag.as_str(), "create", "busybox"]).fails(1).to_owned();
    assert!(told.contains("5.json"), "{told}");
}

#[test]
fn a_time_limit_has_a_code_of_its_own() {
    let s = Sandbox::with_images("timelimit", &["busybox"]);
    let done =
        s.rcon(["run", "--network", "none", "--name", "c", "--timeout", "1", "busybox", "sleep", "60"]);
    assert_eq!(done.code, 255, "{done:?}");
    assert_eq!(s.inspect("c", "{{.State.Status}} {{.State.ExitCode}}"), "exited -1");
    s.rcon(["rm", "c"]).ok();
}

#[test]
fn mounts_by_pattern_and_in_memory() {
    let s = Sandbox::with_images("mountsby", &["busybox"]);
    let dir = s.dir().join("g");
    let at = dir.display();
    sh(&format!("mkdir {at}; touch {at}/v1a {at}/v1b {at}/v2"));
    let glob = format!("type=glob,src={at}/v1*,ro");
    assert_eq!(run(&s, &["--mount", &glob], &format!("ls {at}")), "v1a\nv1b");
    let seen = run(&s, &["--mount", "type=tmpfs,dst=/m,noswap"], "grep ' /m ' /proc/mounts");
    assert!(seen.contains("noswap"), "{seen}");
    let image = "type=image,src=busybox,dst=/i,readwrite=true";
    assert_eq!(run(&s, &["--mount", image], "echo x >/i/new; cat /i/new"), "x");
    let host = ["run", "--rm", "--network=host", "busybox", "grep", "host.containers.internal", "/etc/hosts"];
    assert!(s.rcon(host).ok().starts_with("127.0.0.1"));
}

#[test]
fn templates_may_ask_for_what_is_not_there() {
    let s = Sandbox::with_images("optional", &["busybox"]);
    s.rcon(["create", "--name", "c", "-l", "a=b", "--stop-signal", "INT", "busybox"]).ok();
    assert_eq!(s.inspect("c", "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"), "none");
    assert_eq!(s.inspect("c", "{{json .State.Health}} {{json .Config.ExposedPorts}}"), "null null");
    s.rcon(["inspect", "-f", "{{.State.Helth}}", "c"]).fails(1);
    assert_eq!(s.inspect("c", "{{.Config.StopSignal}}"), "INT");
    s.rcon([
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "d",
        "--health-cmd",
        "true",
        "busybox",
        "sleep",
        "50",
    ])
    .ok();
    s.rcon(["create", "--name", "m", "-v", "v:/v", "-v", "/tmp:/b", "busybox"]).ok();
    let all = s.inspect("m", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}};{{end}}");
    assert!(all.contains("bind  /b;") && all.contains("volume v /v;"), "{all}");
    s.rcon(["rm", "m"]).ok();
    s.rcon(["volume", "rm", "v"]).ok();
    // podman's older word
    assert_eq!(s.inspect("d", "{{.State.Healthcheck.FailingStreak}}"), "0");
    s.rcon(["rm", "-f", "c", "d"]).ok();
}

#[test]
fn tmpfs_is_mounted_with_care() {
    let s = Sandbox::with_images("tmpfscare", &["busybox"]);
    let flags = |mount: &[&str]| run(&s, mount, "grep ' /t ' /proc/mounts | cut -d' ' -f4");
    for mount in [&["--tmpfs", "/t"][..], &["--mount", "type=tmpfs,dst=/t"]] {
        let seen = flags(mount);
        assert!(["nosuid", "nodev", "noexec"].iter().all(|f| seen.contains(f)), "{seen}");
    }
    let seen = flags(&["--tmpfs", "/t:exec"]);
    assert!(seen.contains("nosuid") && !seen.contains("noexec"), "{seen}");
    // The same mount said twice is one.
    let at = format!("{}:/t", s.dir().display());
    assert_eq!(run(&s, &["-v", &at, "-v", &at], "echo one"), "one");
}

#[test]
fn details_of_logs_are_what_was_named() {
    let s = Sandbox::with_images("details", &["busybox"]);
    let base =
        ["run", "--network", "none", "--name", "c", "-l", "team=a b", "-e", "STAGE=x", "-e", "OTHER=y"];
    let opts = ["--log-opt", "labels=team", "--log-opt", "env-regex=^STA", "busybox", "echo", "hi"];
    s.rcon(base.iter().chain(&opts).copied()).ok();
    assert_eq!(s.rcon(["logs", "--details", "c"]).ok(), "STAGE=x,team=a+b hi");
    assert_eq!(s.rcon(["logs", "c"]).ok(), "hi");
    s.rcon(["rm", "c"]).ok();
}

#[test]
fn an_exec_that_cannot_start_says_so_by_its_code() {
    let s = Sandbox::with_images("execcode", &["busybox"]);
    s.rcon(["run", "-d", "--name", "c", "-p", "127.0.0.1::80", "--expose", "81", "busybox", "sleep", "50"])
        .ok();
    s.rcon(["exec", "-u", "nosuch", "c", "id"]).fails(126);
    s.rcon(["exec", "-w", "/nosuch", "c", "id"]).fails(126);
    s.rcon(["exec", "c", "nosuch"]).fails(127);
    s.rcon(["exec", "nosuch", "true"]).fails(1);
    assert_eq!(s.rcon(["top", "c", "-o", "pid"]).ok().lines().next(), Some("PID"));
    assert_eq!(s.rcon(["ps", "-q", "--filter", "publish=80"]).ok(), "", "it is another port on the host");
    assert_eq!(s.rcon(["ps", "-q", "--filter", "expose=81"]).ok().len(), 12);
    s.rcon(["rm", "-f", "c"]).ok();
}

#[test]
fn flags_that_exclude_each_other_are_both_named() {
    let s = Sandbox::new("exclude");
    for (one, other) in [
        ("--cpu-period=1", "--cpus=2"),
        ("--cpu-quota=1", "--cpus=2"),
        ("--no-hosts", "--add-host=foo:1.1.1.1"),
    ] {
        let told = s.rcon(["create", other, one, "busybox"]).fails(125).to_owned();
        let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        let want = format!("{} and {} cannot be set together", name(one), name(other));
        assert!(told.contains(&want), "{told}");
    }
}
