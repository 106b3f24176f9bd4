//! Flags of `run` that have no file of their own: users that the image does not know, links, descriptors handed on,
//! systemd mode, startup checks.

use std::os::fd::AsRawFd as _;

use crate::support::{Sandbox, eventually, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

/// What a shell text prints in a new container with these flags.
fn shell(s: &Sandbox, flags: &[&str], script: &str) -> String {
    let mut all = vec!["run", "--rm"];
    all.extend_from_slice(flags);
    all.extend_from_slice(&["busybox", "sh", "-c", script]);
    s.rcon(all).ok().to_owned()
}

#[test]
fn users_that_the_image_does_not_know_get_entries() {
    let s = sandbox("opt-passwd");
    let tails = "tail -n1 /etc/passwd; tail -n1 /etc/group";
    let entry = shell(&s, &["-u", "1234:5678", "--passwd"], tails);
    assert_eq!(entry, "1234:*:1234:5678:container user:/:/bin/sh\n5678:x:5678:1234");
    assert!(!shell(&s, &["-u", "1234"], "cat /etc/passwd").contains("1234"));
    let own = shell(
        &s,
        &[
            "-u",
            "1234:99",
            "--passwd-entry",
            "$USERNAME-$UID-$GID-$NAME-$HOME",
            "--group-entry",
            "$GROUPNAME:g:$GID:$USERLIST",
            "-w",
            "/tmp",
        ],
        tails,
    );
    assert_eq!(own, "1234-1234-99-container user-/tmp\n99:g:99:1234");
    // A known user gets none, and the files are files: programs may replace them.
    let known =
        shell(&s, &["--passwd-entry", "x"], "tail -n1 /etc/passwd; mv /etc/passwd /etc/p && echo moved");
    assert!(!known.contains("\nx\n") && known.ends_with("moved"), "{known}");
    let host = shell(&s, &["--hostuser", "games", "--user", "games"], "id -u; grep games /etc/passwd");
    assert!(host.starts_with("5\ngames:*:5:60:"), "{host}");
    let none = s.rcon(["run", "--rm", "--hostuser", "nosuch", "busybox", "true"]);
    assert!(none.fails(125).contains("nosuch"), "{}", none.stderr);
    let read_only = shell(&s, &["--read-only", "--passwd", "-u", "1001"], "whoami");
    assert_eq!(read_only, "1001");
}

#[test]
fn links_tell_of_the_other_container() {
    let s = sandbox("opt-link");
    s.rcon(["run", "-d", "--name", "db", "-e", "FOO=bar", "--expose", "5432", "busybox", "sleep", "1000"])
        .ok();
    let ip = s.inspect("db", "{{.NetworkSettings.IPAddress}}");
    let env = shell(
        &s,
        &["--name", "web", "--link", "db:my-db"],
        "env; ping -c1 -W2 my-db >/dev/null && echo reached",
    );
    for wanted in [
        "MY_DB_NAME=/web/my-db",
        "MY_DB_ENV_FOO=bar",
        &format!("MY_DB_PORT_5432_TCP=tcp://{ip}:5432"),
        "MY_DB_PORT_5432_TCP_PROTO=tcp",
        "reached",
    ] {
        assert!(env.contains(wanted), "{wanted}\n{env}");
    }
    s.rcon(["run", "-d", "--name", "keeps", "--link", "db", "--restart=always", "busybox", "sleep", "1000"])
        .ok();
    s.rcon(["restart", "-t", "0", "keeps"]).ok();
    assert!(s.rcon(["exec", "keeps", "cat", "/etc/hosts"]).ok().contains(&ip), "after a restart too");
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["run", "-d", "--name", "other", "--network", "n1", "busybox", "sleep", "1000"]).ok();
    assert!(
        shell(&s, &["--network", "n1", "--link", "other:x"], "ping -c1 -W2 x; env")
            .contains("1 packets received")
    );
    let apart = s.rcon(["run", "--rm", "--link", "other", "busybox", "true"]);
    assert!(apart.fails(125).contains("no network has both"), "{}", apart.stderr);
    s.rcon(["stop", "-t", "0", "db"]).ok();
    let stopped = s.rcon(["run", "--rm", "--link", "db", "busybox", "true"]);
    assert!(stopped.fails(125).contains("non running container"), "{}", stopped.stderr);
}

#[test]
fn descriptors_of_the_caller_arrive_under_their_numbers() {
    let s = sandbox("opt-fds");
    let binary = crate::support::rcon_binary();
    let call = |words: &str| {
        let mut command = std::process::Command::new("bash");
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", &format!("{} {words}", binary.display())]);
        command.env("RCON_ROOT", s.root()).env("RCON_RUNROOT", s.run_root());
        s.finish(command)
    };
    let two = call("run --rm --preserve-fds=2 busybox sh -c 'cat <&3; cat <&4' 3<<<three 4<<<four");
    assert_eq!(two.ok(), "three\nfour");
    let named = call(
        "run --rm --preserve-fd=9,40 busybox sh -c 'ls /proc/self/fd; cat <&9; cat <&40' 9<<<nine 40<<<forty",
    );
    let lines: Vec<&str> = named.ok().lines().collect();
    assert!(lines.ends_with(&["nine", "forty"]), "{lines:?}");
    let two_digits = lines.iter().filter(|l| l.parse::<u32>().is_ok_and(|n| n > 9));
    assert_eq!(two_digits.collect::<Vec<_>>(), [&"40"], "numbers between stay free: {lines:?}");
    s.rcon(["run", "-d", "--name", "c", "busybox", "sleep", "1000"]).ok();
    assert_eq!(call("exec --preserve-fds=1 c cat /proc/self/fd/3 3<<<more").ok(), "more");
    assert_eq!(call("exec --preserve-fd=7 c sh -c 'cat <&7' 7<<<seven").ok(), "seven");
    let missing = call("run --rm --preserve-fds=1 busybox true 3<&-");
    assert!(missing.fails(125).contains("file descriptor 3 is not available"), "{}", missing.stderr);
    let file = std::fs::File::open("/dev/null").expect("null");
    assert!(file.as_raw_fd() >= 3);
}

#[test]
fn systemd_mode_prepares_for_systemd() {
    let s = sandbox("opt-systemd");
    let look = "for d in /run /run/lock /tmp /var/log/journal; do grep -q \" $d tmpfs\" /proc/mounts || echo no $d; done; \
                echo $container; grep -c ' /sys/fs/cgroup.* cgroup2\\? rw' /proc/mounts; true";
    let always = shell(&s, &["--systemd=always"], look);
    let lines: Vec<&str> = always.lines().collect();
    assert_eq!(lines[0], "oci", "{always}");
    assert_ne!(lines[1], "0", "the cgroup is writable");
    // true, the default, looks at the command.
    assert!(shell(&s, &[], look).contains("no /run"));
    s.rcon(["create", "--name", "init", "busybox", "/sbin/init"]).ok();
    assert_eq!(s.inspect("init", "{{.Config.SystemdMode}} {{.Config.StopSignal}}"), "true SIGRTMIN+3");
    s.rcon(["create", "--name", "off", "--systemd=false", "busybox", "/sbin/init"]).ok();
    assert_eq!(s.inspect("off", "{{.Config.SystemdMode}} {{.Config.StopSignal}}"), "false SIGTERM");
    s.rcon(["create", "--systemd=maybe", "busybox"]).fails(125);
}

#[test]
fn the_health_check_waits_for_the_startup_check() {
    let s = sandbox("opt-startup");
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "--health-cmd",
        "true",
        "--health-interval",
        "1s",
        "--health-startup-cmd",
        "test -e /up",
        "--health-startup-interval",
        "100ms",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let status = |s: &Sandbox| s.inspect("c", "{{.State.Health.Status}}");
    eventually("startup checks run", || s.inspect("c", "{{len .State.Health.Log}}") != "0");
    assert_eq!(status(&s), "starting");
    s.rcon(["exec", "c", "touch", "/up"]).ok();
    eventually("it is healthy", || status(&s) == "healthy");
    s.rcon([
        "run",
        "-d",
        "--name",
        "never",
        "--health-cmd",
        "true",
        "--health-startup-cmd",
        "false",
        "--health-startup-interval",
        "100ms",
        "--health-startup-retries",
        "2",
        "--stop-timeout",
        "0",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    eventually("it is restarted", || s.inspect("never", "{{.RestartCount}}") != "0");
    let alone = s.rcon(["create", "--health-startup-cmd", "true", "busybox"]);
    assert!(alone.fails(1).contains("--health-cmd"), "{}", alone.stderr);
}

#[test]
fn devices_of_vendors_come_from_cdi_specifications() {
    let s = sandbox("opt-cdi");
    let dir = s.dir().join("cdi");
    std::fs::create_dir(&dir).expect("folder");
    std::fs::write(
        dir.join("nvidia.yaml"),
        "---\ncdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n- name: \"0\"\n  containerEdits:\n    deviceNodes:\n    \
         - path: /dev/gpu0\n      hostPath: /dev/null\n- name: all\n  containerEdits:\n    deviceNodes:\n    \
         - path: /dev/gpu0\n      hostPath: /dev/null\n    - path: /dev/gpu1\n      hostPath: /dev/zero\n\
         containerEdits:\n  env:\n  - GPU_DRIVER=here\n  mounts:\n  - hostPath: /etc\n    containerPath: /vendor\n    \
         options:\n    - ro\n",
    )
    .expect("specification");
    std::fs::write(
        dir.join("other.json"),
        r#"{"cdiVersion":"0.6.0","kind":"v.com/net","devices":[{"name":"a","containerEdits":{"env":["NET=a"],
            "hooks":[{"hookName":"createRuntime","path":"/bin/sh","args":["sh","-c","echo $ROOT > /dev/null"]}],
            "additionalGids":[77]}}]}"#,
    )
    .expect("specification");
    let conf = s.dir().join("cdi.conf");
    std::fs::write(&conf, format!("[engine]\ncdi_spec_dirs = [\"{}\"]\n", dir.display())).expect("conf");
    let run = |flags: &[&str], script: &str| {
        let mut command = s.command();
        command.env("CONTAINERS_CONF", &conf).args(["run", "--rm"]).args(flags);
        command.args(["busybox", "sh", "-c", script]);
        s.finish(command)
    };
    let look = "ls /dev/gpu*; echo $GPU_DRIVER; ls -d /vendor/hostname; echo x > /dev/gpu0 && echo writes";
    let one = run(&["--device", "nvidia.com/gpu=0"], look);
    assert_eq!(one.ok(), "/dev/gpu0\nhere\n/vendor/hostname\nwrites");
    let all = run(&["--gpus", "all"], look);
    assert_eq!(all.ok(), "/dev/gpu0\n/dev/gpu1\nhere\n/vendor/hostname\nwrites");
    assert_eq!(run(&["--gpus", "device=0"], "ls /dev/gpu*").ok(), "/dev/gpu0");
    let both =
        run(&["--device", "v.com/net=a", "--device", "/dev/null:/dev/n"], "echo $NET; id -G; ls /dev/n");
    assert_eq!(both.ok(), "a\n0 10 77\n/dev/n");
    let unknown = run(&["--device", "v.com/net=b"], "true");
    assert!(unknown.fails(125).contains("unresolvable CDI device v.com/net=b"), "{}", unknown.stderr);
}

#[test]
fn whoever_notices_a_lost_monitor_applies_the_restart_policy() {
    let s = sandbox("opt-lost");
    for (name, policy) in [("comes", "always"), ("stays", "no"), ("stopped", "unless-stopped")] {
        s.rcon(["run", "-d", "--name", name, "--restart", policy, "busybox", "sleep", "1000"]).ok();
    }
    s.rcon(["stop", "-t", "0", "stopped"]).ok();
    let monitors = |name: &str| s.inspect(name, "{{.State.ConmonPid}}");
    let pids = [monitors("comes"), monitors("stays")];
    for pid in &pids {
        assert_ne!(pid, "0");
        sh(&format!("kill -9 {pid}"));
    }
    eventually("it runs again", || {
        s.rcon(["ps", "--format", "{{.Names}}"]).ok() == "comes" && monitors("comes") != pids[0]
    });
    assert_eq!(s.inspect("stays", "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    assert_eq!(s.inspect("stopped", "{{.State.Status}}"), "exited");
    assert_eq!(s.rcon(["exec", "comes", "echo", "works"]).ok(), "works");
}

#[test]
fn as_run_follows_an_update_and_what_was_drawn_at_the_creation_stays() {
    let s = sandbox("opt-asrun");
    s.rcon_with_input(["secret", "create", "key", "-"], b"k").ok();
    s.rcon([
        "run",
        "-d",
        "--name",
        "c",
        "-p",
        "18090:80",
        "--label",
        "x=1",
        "--secret",
        "key",
        "--userns=auto",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    let map = s.rcon(["exec", "c", "cat", "/proc/self/uid_map"]).ok().to_owned();
    s.rcon(["secret", "rm", "key"]).ok();
    s.rcon([
        "update",
        "--publish-rm",
        "80",
        "--publish-add",
        "18091:81",
        "--label-rm",
        "x",
        "-m",
        "64m",
        "c",
    ])
    .ok();
    let line = s.rcon(["inspect", "--as-run", "c"]).ok().to_owned();
    assert!(
        line.ends_with("run -d --name c --secret key --userns=auto -p 18091:81 -m 64m busybox sleep 1000"),
        "{line}"
    );
    assert_eq!(s.rcon(["exec", "c", "cat", "/proc/self/uid_map"]).ok(), map);
    assert_eq!(s.rcon(["exec", "c", "cat", "/run/secrets/key"]).ok(), "k");
    assert_eq!(s.rcon(["port", "c"]).ok(), "81/tcp -> 0.0.0.0:18091");
}
