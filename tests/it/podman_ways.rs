//! podman's ways that are no matter of words: containers.conf's namespaces, log files and pid files of one's own choice, changes of
//! an image, what its prune and its filters mean.

use crate::podman_manner::{called, podman};
use crate::support::{Sandbox, eventually};

#[test]
fn namespaces_and_hosts_are_as_containers_conf_says_unless_a_flag_does() {
    let s = Sandbox::with_images("conf-ns", &["busybox"]);
    let conf = s.dir().join("ns.conf");
    let text = "[containers]\npidns = \"host\"\nipcns = \"host\"\nutsns = \"host\"\ncgroupns = \"host\"\nnetns = \"none\"\nno_hosts = true\n";
    std::fs::write(&conf, text).expect("a file");
    let module = format!("--module={}", conf.display());
    let run = |flags: &[&str], command: &str| {
        let all = [&[module.as_str(), "run", "--rm"], flags, &["busybox", "sh", "-c", command]].concat();
        s.rcon(all).ok().to_owned()
    };
    for (kind, flag) in [("pid", "--pid"), ("ipc", "--ipc"), ("uts", "--uts"), ("cgroup", "--cgroupns")] {
        let host = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a namespace");
        let look = format!("readlink /proc/self/ns/{kind}");
        // The host's processes are numbered as the host has them only in its own pid namespace.
        assert_eq!(run(&[], &look), host.to_string_lossy(), "{kind}");
        assert_ne!(run(&[flag, "private"], &look), host.to_string_lossy(), "{kind}");
    }
    let eth0 = "ls -d /sys/class/net/eth0 2>/dev/null; true";
    assert_eq!(run(&[], eth0), "");
    assert_eq!(run(&["--network", "bridge"], eth0), "/sys/class/net/eth0");
    let hosts = "grep -c given /etc/hosts; true";
    assert_eq!(run(&["--no-hosts=false", "--add-host", "given:1.2.3.4"], hosts), "1");
    let refused = s.rcon([&module, "run", "--rm", "--add-host", "given:1.2.3.4", "busybox", "true"]);
    assert!(
        refused.fails(125).contains("--no-hosts and --add-host cannot be set together"),
        "{}",
        refused.stderr
    );
}

#[test]
fn logs_and_pids_go_into_files_of_one_s_own_choice() {
    let s = Sandbox::with_images("own-files", &["busybox"]);
    let log = s.dir().join("own.log");
    let opt = format!("path={}", log.display());
    let flags = ["--network", "none", "--log-driver", "k8s-file", "--log-opt", &opt];
    s.rcon([&["run", "--name", "c"][..], &flags, &["busybox", "echo", "said"]].concat()).ok();
    assert!(std::fs::read_to_string(&log).expect("the log").ends_with(" stdout F said\n"));
    assert_eq!(s.rcon(["logs", "c"]).ok(), "said");
    assert_eq!(s.rcon(["inspect", "-f", "{{.LogPath}}", "c"]).ok(), log.to_string_lossy());
    // The file is the caller's: it stays.
    s.rcon(["rm", "c"]).ok();
    assert!(log.exists());
    s.rcon(["create", "--log-driver", "k8s-file", "--log-opt", "path=here", "busybox"]).fails(1);
    s.rcon(["create", "--log-opt", "path=/x", "busybox"]).fails(1);

    let (pid, monitor) = (s.dir().join("pid"), s.dir().join("monitor"));
    let files =
        ["--pidfile", pid.to_str().expect("a path"), "--conmon-pidfile", monitor.to_str().expect("a path")];
    s.rcon(
        [&["create", "--name", "p", "--network", "none"][..], &files, &["busybox", "sleep", "1000"]].concat(),
    )
    .ok();
    assert!(!pid.exists() && !monitor.exists());
    s.rcon(["start", "p"]).ok();
    let number = s.rcon(["inspect", "-f", "{{.State.Pid}}", "p"]).ok().to_owned();
    assert_eq!(std::fs::read_to_string(&pid).expect("the pid"), number);
    assert!(std::fs::read_to_string(&monitor).expect("the pid").parse::<u32>().is_ok());
    assert_eq!(s.rcon(["inspect", "-f", "{{.PidFile}}", "p"]).ok(), pid.to_string_lossy());
}

#[test]
fn changes_of_an_image_are_shown_against_what_is_below() {
    let s = Sandbox::with_images("image-diff", &["busybox"]);
    s.rcon([
        "run",
        "--name",
        "a",
        "--network",
        "none",
        "busybox",
        "sh",
        "-c",
        "echo x >/etc/one; echo x >/etc/two",
    ])
    .ok();
    s.rcon(["commit", "a", "first"]).ok();
    s.rcon([
        "run",
        "--name",
        "b",
        "--network",
        "none",
        "first",
        "sh",
        "-c",
        "rm /etc/one /etc/group; echo y >/etc/two; echo z >/etc/three",
    ])
    .ok();
    s.rcon(["commit", "b", "second"]).ok();
    assert_eq!(s.rcon(["image", "diff", "first"]).ok(), "C /etc\nA /etc/one\nA /etc/two");
    let last = "C /etc\nD /etc/group\nD /etc/one\nA /etc/three\nC /etc/two";
    assert_eq!(s.rcon(["image", "diff", "second"]).ok(), last);
    assert_eq!(
        s.rcon(["image", "diff", "second", "busybox"]).ok(),
        "C /etc\nD /etc/group\nA /etc/three\nA /etc/two"
    );
    assert_eq!(s.rcon(["image", "diff", "first", "first"]).ok(), "");
    s.rcon(["image", "diff", "busybox", "first"]).fails(1);
    assert_eq!(podman(&s, &["diff", "second"]).ok(), last);
    s.rcon(["diff", "second"]).fails(1);
    podman(&s, &["container", "diff", "second"]).fails(125);
}

#[test]
fn a_prune_of_volumes_and_filters_mean_what_podman_means() {
    let s = Sandbox::with_images("podman-prune", &["busybox"]);
    podman(&s, &["volume", "create", "v"]).ok();
    assert!(podman(&s, &["volume", "create", "v"]).fails(125).contains("volume with name v already exists"));
    podman(&s, &["volume", "create", "--ignore", "v"]).ok();
    s.rcon(["volume", "create", "v"]).ok();
    s.rcon(["volume", "prune", "-f"]).ok();
    s.rcon(["volume", "inspect", "v"]).ok();
    podman(&s, &["volume", "create", "w"]).ok();
    assert_eq!(podman(&s, &["volume", "ls", "-q", "--filter", "after=v"]).ok(), "w");
    let pruned = podman(&s, &["volume", "prune", "-f"]);
    assert!(pruned.ok().contains('v') && !pruned.stdout.contains("reclaimed"), "{}", pruned.stdout);
    assert_eq!(podman(&s, &["volume", "ls", "-q"]).ok(), "");
    s.rcon(["run", "-d", "--name", "a", "--network", "none", "busybox", "sleep", "1000"]).ok();
    s.rcon(["create", "--name", "b", "--network", "container:a", "-v", "/tmp:/mnt", "busybox"]).ok();
    let names = |filter: &str| {
        podman(&s, &["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]).ok().to_owned()
    };
    assert_eq!(names("network=container:a"), "b");
    assert_eq!(names("volume=/tmp:/mnt"), "b");
    assert_eq!(names("ancestor=usybo"), "b\na");
    assert_eq!(s.rcon(["ps", "-aq", "--filter", "ancestor=usybo"]).ok(), "");
    podman(&s, &["pause", "a"]).ok();
    assert_eq!(podman(&s, &["ps", "-a", "--filter", "name=a", "--format", "{{.Status}}"]).ok(), "Paused");
}

#[test]
fn a_pull_is_told_in_podman_s_words() {
    let s = Sandbox::with_registry("podman-pull");
    let pulled = podman(&s, &["pull", "busybox"]);
    assert_eq!(pulled.ok().len(), 64, "the id");
    let said: Vec<&str> = pulled.stderr.lines().collect();
    assert_eq!(said[0], "Trying to pull docker.io/library/busybox:latest...");
    assert_eq!(said[1], "Getting image source signatures");
    assert!(said[2].starts_with("Copying blob sha256:"), "{}", pulled.stderr);
    assert_eq!(said.last(), Some(&"Writing manifest to image destination"));
    assert_eq!(podman(&s, &["pull", "-q", "busybox"]).stderr, "");
}

#[test]
fn images_are_mounted_on_the_host_until_they_go() {
    let s = Sandbox::with_images("image-mount", &["busybox"]);
    let path = s.rcon(["image", "mount", "busybox"]).ok().to_owned();
    let file = std::path::Path::new(&path).join("bin/busybox");
    assert!(file.exists());
    assert!(std::fs::write(std::path::Path::new(&path).join("new"), "x").is_err(), "it is read-only");
    assert_eq!(s.rcon(["image", "mount", "busybox"]).ok(), path, "once is enough");
    assert_eq!(s.rcon(["image", "mount"]).ok(), format!("busybox:latest {path}"));
    let told: serde_json::Value =
        serde_json::from_str(podman(&s, &["image", "mount", "--format", "json"]).ok()).expect("JSON");
    assert_eq!(told[0]["Repositories"][0], "docker.io/library/busybox:latest");
    assert_eq!(told[0]["mountpoint"], path.as_str());
    assert_eq!(podman(&s, &["image", "umount", "busybox"]).ok().len(), 64);
    assert!(!file.exists());
    assert_eq!(s.rcon(["image", "unmount", "busybox"]).ok(), "");
    s.rcon(["image", "unmount"]).fails(1);
    s.rcon(["image", "mount", "nothing"]).fails(1);
    s.rcon(["image", "mount", "--all"]).ok();
    assert!(file.exists());
    s.rcon(["rmi", "busybox"]).ok();
    assert!(!std::path::Path::new(&path).exists(), "its mount goes with the image");
}

#[test]
fn what_podman_adds_and_leaves_out_is_as_podman_has_it() {
    let s = Sandbox::with_images("podman-adds", &["busybox"]);
    let kind = ["run", "--rm", "--network", "none", "busybox", "sh", "-c", "echo $container"];
    assert_eq!(podman(&s, &kind).ok(), "podman");
    assert_eq!(s.rcon(kind).ok(), "");
    // Scripts compare whole outputs: there are no hints.
    let told = podman(&s, &["run", "--pull", "never", "nothing"]);
    assert_eq!(told.fails(125).trim_end(), "Error: nothing: image not known");
    podman(&s, &["untag", "busybox", "other"]).fails(125);
    assert!(podman(&s, &["untag", "busybox", "other"]).stderr.contains("Error: other: tag not known"));
    podman(
        &s,
        &[
            "run",
            "-d",
            "--name",
            "c",
            "--network",
            "none",
            "--ulimit",
            "core=-1:-1",
            "busybox",
            "sleep",
            "1000",
        ],
    )
    .ok();
    let limits =
        podman(&s, &["inspect", "-f", "{{range .HostConfig.Ulimits}}{{.Name}} {{.Soft}} {{end}}", "c"]);
    assert!(limits.ok().contains("RLIMIT_CORE -1"), "{}", limits.stdout);
    assert_eq!(podman(&s, &["exec", "-d", "c", "true"]).ok().len(), 64);
    assert_eq!(s.rcon(["exec", "-d", "c", "true"]).ok(), "");
    let id = s.rcon(["inspect", "-f", "{{.Id}}", "c"]).ok().to_owned();
    let kept = format!(
        "cannot remove container {id} as it is running - running or paused containers cannot be removed"
    );
    assert!(podman(&s, &["rm", "c"]).fails(2).contains(&kept));
    assert!(podman(&s, &["top", "c"]).ok().starts_with("USER "));
    let taken = podman(&s, &["create", "--name", "c", "busybox"]);
    assert!(taken.fails(125).contains("the container name \"c\" is already in use by"), "{}", taken.stderr);
    podman(&s, &["network", "create", "--subnet", "10.99.7.9/24", "net"]).ok();
    assert!(podman(&s, &["network", "inspect", "net"]).ok().contains("10.99.7.0/24"));
    s.rcon(["network", "create", "--subnet", "10.99.8.9/24", "net2"]).fails(1);
    let warned = podman(&s, &["run", "--rm", "--network", "none", "-p", "80:80", "busybox", "true"]);
    warned.ok();
    let words =
        "Port mappings have been discarded because \"none\" network namespace mode does not support them";
    assert!(warned.stderr.contains(words), "{}", warned.stderr);
}

#[test]
fn without_ipv6_hosts_has_no_line_of_it() {
    let s = Sandbox::with_images("hosts-ipv6", &["busybox"]);
    let look = ["busybox", "grep", "-c", "^[0-9a-f]*:", "/etc/hosts"];
    let off = "net.ipv6.conf.all.disable_ipv6=1";
    if std::path::Path::new("/proc/net/if_inet6").exists() {
        s.rcon([&["run", "--rm", "--network", "none"][..], &look].concat()).ok();
        s.rcon([&["run", "--rm", "--network", "none", "--sysctl", off][..], &look].concat()).fails(1);
    } else {
        s.rcon([&["run", "--rm", "--network", "none"][..], &look].concat()).fails(1);
    }
}

#[test]
fn an_empty_part_of_a_volume_is_filled_as_podman_does() {
    let s = Sandbox::with_images("subpath-fill", &["busybox"]);
    s.rcon(["run", "--rm", "--network", "none", "-v", "v:/v", "busybox", "mkdir", "/v/one", "/v/two"]).ok();
    let run = |part: &str| {
        let mount = format!("type=volume,src=v,dst=/etc,volume-subpath={part}");
        ["run", "--rm", "--network", "none", "--mount", &mount, "busybox", "ls", "/etc/group"]
            .map(str::to_owned)
    };
    s.rcon(run("one")).fails(1);
    let args = run("two");
    podman(&s, &args.each_ref().map(String::as_str)).ok();
    s.rcon(run("two")).ok();
}

#[test]
fn events_questions_and_terminals_are_podman_s() {
    let s = Sandbox::with_images("podman-ends", &["busybox"]);
    podman(&s, &["run", "--name", "c", "--network", "none", "busybox", "true"]).ok();
    podman(&s, &["rm", "c"]).ok();
    podman(&s, &["volume", "create", "v"]).ok();
    let mut command = called(&s, "podman");
    command.args(["volume", "prune"]).stdin(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().expect("it starts");
    std::io::Write::write_all(child.stdin.as_mut().expect("a pipe"), b"n\n").expect("it reads");
    assert!(child.wait().expect("it ends").success(), "no is an answer");
    podman(&s, &["volume", "inspect", "v"]).ok();
    podman(&s, &["volume", "create", "--uid", "7", "--gid", "8", "other1"]).ok();
    podman(&s, &["volume", "create", "other2"]).ok();
    assert_eq!(podman(&s, &["volume", "inspect", "-f", "{{.UID}}:{{.GID}}", "other1"]).ok(), "7:8");
    assert!(
        podman(&s, &["volume", "rm", "other"]).fails(125).contains("more than one result for volume name")
    );
    podman(&s, &["volume", "rm", "other1"]).ok();
    podman(&s, &["volume", "rm", "oth"]).ok();
    s.rcon(["volume", "create", "vv"]).ok();
    s.rcon(["volume", "rm", "vv"]).ok();
    podman(&s, &["volume", "rm", "v"]).ok();
    assert_eq!(podman(&s, &["volume", "rm", "-f", "v"]).ok(), "");
    assert_eq!(s.rcon(["volume", "rm", "-f", "v"]).ok(), "v");
    let look = ["events", "--since", "1h", "--until", "0s", "--format", "{{.Type}} {{.Action}}"];
    let told = podman(&s, &look).ok().to_owned();
    for words in ["container died", "container remove", "volume remove"] {
        assert!(told.lines().any(|line| line == words), "{words}: {told}");
    }
    assert!(s.rcon(look).ok().contains("container die\n"));
    let died = podman(&s, &["events", "--since", "1h", "--until", "0s", "--filter", "event=died"]);
    assert!(died.ok().contains(" (image=busybox, name=c, "), "{}", died.stdout);
    let asked = podman(&s, &["run", "--rm", "-it", "--network", "none", "busybox", "echo", "x"]);
    assert!(
        asked.ok().starts_with('x') && asked.stderr.contains("The input device is not a TTY"),
        "{}",
        asked.stderr
    );
    podman(&s, &["create", "--name", "i", "busybox"]).ok();
    let up = podman(&s, &["run", "-d", "--name", "up", "--network", "none", "busybox", "sleep", "1000"])
        .ok()
        .to_owned();
    podman(&s, &["container", "cleanup", "up"]).ok();
    assert!(podman(&s, &["init", "--all"]).ok().contains(&up));
    podman(&s, &["rm", "-f", "-t", "0", "up"]).ok();
    assert_eq!(podman(&s, &["inspect", "-f", "{{.HostConfig.IpcMode}}", "i"]).ok(), "shareable");
}

#[test]
fn copies_events_and_volumes_have_podman_s_rules() {
    let s = Sandbox::with_images("pw-copies", &["busybox"]);
    let own = podman(&s, &["run", "-d", "--name", "c", "-v", "vol:/etc", "busybox", "sleep", "1000"]);
    own.ok();
    // A link at the end of the source is followed; docker copies it.
    s.rcon(["exec", "c", "sh", "-c", "echo there >/tmp/file; ln -s file /tmp/link"]).ok();
    let out = s.dir().join("out");
    let (followed, kept) = (out.join("followed"), out.join("kept"));
    std::fs::create_dir(&out).expect("folder");
    podman(&s, &["cp", "c:/tmp/link", &followed.to_string_lossy()]).ok();
    s.rcon(["cp", "c:/tmp/link", &kept.to_string_lossy()]).ok();
    let is_link = |path: &std::path::Path| path.symlink_metadata().expect("a copy").is_symlink();
    assert!(!is_link(&followed) && is_link(&kept));
    let device = podman(&s, &["cp", "c:/tmp/file", "/dev/null"]);
    assert!(device.fails(125).contains("must be a directory or a regular file"), "{}", device.stderr);
    let archive = s.rcon_with_input(["cp", "-", "c:/tmp/file"], b"");
    assert!(archive.fails(1).contains("extraction point is not a directory"), "{}", archive.stderr);
    // Nobody waits for the code of a detached command's.
    podman(&s, &["exec", "-d", "c", "missing"]).fails(125);
    s.rcon(["exec", "-d", "c", "missing"]).fails(127);

    let empty =
        |name: &str| podman(&s, &["volume", "inspect", "--format", "{{.NeedsCopyUp}}", name]).ok().to_owned();
    podman(&s, &["volume", "create", "other"]).ok();
    assert_eq!((&*empty("vol"), &*empty("other")), ("false", "true"));

    s.rcon(["tag", "busybox", "here:1"]).ok();
    let id = s.inspect("here:1", "{{.Id}}");
    let all =
        ["events", "--since", "1m", "--stream=false", "--filter", "type=image", "--filter", "event=tag"];
    let told = podman(&s, &all);
    assert!(
        told.ok().ends_with(&format!(" image tag {} here:1", id.trim_start_matches("sha256:"))),
        "{}",
        told.stdout
    );
    let pulled = podman(&s, &["events", "--since", "1h", "--stream=false", "--filter", "event=pull"]);
    assert!(
        pulled.ok().contains(&format!(" image pull {} ", id.trim_start_matches("sha256:"))),
        "{}",
        pulled.stdout
    );
    let volumes = podman(&s, &["events", "--since", "1m", "--stream=false", "--filter", "volume=other"]);
    assert!(volumes.ok().ends_with(" volume create other"), "{}", volumes.stdout);
    let none = podman(&s, &["--events-backend", "none", "events"]);
    assert!(none.fails(125).contains("cannot read events with the \"none\" backend"), "{}", none.stderr);
    let since = podman(&s, &["events", "--since", "the dawn"]);
    assert!(since.fails(125).contains("failed to parse event filters"), "{}", since.stderr);
}

#[test]
fn who_was_asked_to_stop_is_stopping() {
    let s = Sandbox::with_images("pw-stopping", &["busybox"]);
    let deaf = "trap 'touch /asked' TERM; while ! test -e /go; do sleep 0.05; done";
    s.rcon(["run", "-d", "--name", "c", "--network", "none", "busybox", "sh", "-c", deaf]).ok();
    let mut stop = s.command();
    let mut stop =
        stop.args(["stop", "-t", "60", "c"]).stdout(std::process::Stdio::null()).spawn().expect("rcon");
    eventually("it is asked", || s.rcon(["exec", "c", "test", "-e", "/asked"]).code == 0);
    let state = ["inspect", "--format", "{{.State.Status}}", "c"];
    assert_eq!(podman(&s, &state).ok(), "stopping");
    assert_eq!(s.rcon(state).ok(), "running");
    let listed = podman(&s, &["ps", "--filter", "status=stopping", "--format", "{{.Names}} {{.State}}"]);
    assert_eq!(listed.ok(), "c stopping");
    s.rcon(["exec", "c", "touch", "/go"]).ok();
    assert!(stop.wait().expect("rcon ends").success());
    assert_eq!(podman(&s, &state).ok(), "exited");
}
