//! Details that podman's own tests look at: commit in other forms, exec that waits, hooks of the first format, archives that
//! are packed otherwise, what is defined by containers.conf, and answers of a program that is called `podman`.

use crate::podman_manner::podman;
use crate::support::{Sandbox, sh};

#[test]
fn commit_squashes_and_speaks_docker_s_language() {
    let s = Sandbox::with_images("details-commit", &["busybox"]);
    s.rcon(["run", "--network=none", "--name=c", "-v=vol:/data", "busybox", "touch", "/made"]).ok();
    let config = s.dir().join("config.json");
    std::fs::write(&config, r#"{"Labels":{"image":"green"},"User":"daemon"}"#).expect("a file");
    let config = format!("--config={}", config.display());
    s.rcon(["commit", "-q", "--squash", "--include-volumes", &config, "c", "squashed"]).ok();
    let layers = s.rcon(["image", "inspect", "squashed", "-f", "{{len .RootFS.Layers}} {{.Config.Volumes}}"]);
    assert_eq!(layers.ok(), "1 map[/data:{}]");
    let told = s.rcon(["image", "inspect", "squashed", "-f", "{{.Config.User}} {{.Config.Labels.image}}"]);
    assert_eq!(told.ok(), "daemon green");
    assert_eq!(
        s.rcon(["run", "--rm", "--network=none", "squashed", "ls", "/made", "/bin/sh"]).ok(),
        "/bin/sh\n/made"
    );
    s.rcon(["commit", "-q", "-f=docker", "-m=told", "c", "dockers"]).ok();
    let dir = s.dir().join("dockers");
    s.rcon(["save", "--format=docker-dir", "-o", dir.to_str().expect("a path"), "dockers"]).ok();
    let manifest = std::fs::read_to_string(dir.join("manifest.json")).expect("a manifest");
    assert!(
        manifest.contains("vnd.docker.distribution.manifest.v2") && !manifest.contains("vnd.oci"),
        "{manifest}"
    );
    assert_eq!(s.rcon(["run", "--rm", "--network=none", "dockers", "ls", "/made"]).ok(), "/made");
    let told =
        s.rcon(["commit", &format!("--config={}", dir.join("version").display()), "c"]).fails(1).to_owned();
    assert!(told.contains("--config"), "{told}");
}

#[test]
fn exec_waits_for_its_container() {
    let s = Sandbox::with_images("details-wait", &["busybox"]);
    let told = s.rcon(["exec", "--wait=1", "late", "true"]).fails(1).to_owned();
    assert!(told.contains("timed out waiting for container: late"), "{told}");
    let waiting = s
        .command()
        .args(["exec", "--wait=60", "--no-session", "late", "echo", "up"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    s.rcon(["run", "-d", "--network=none", "--name=late", "busybox", "sleep", "100"]).ok();
    let done = waiting.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "up\n");
    let told = s.rcon(["exec", "--latest", "--cidfile=/nothing", "true"]).fails(125).to_owned();
    assert!(told.contains("--latest and --cidfile"), "{told}");
}

#[test]
fn archives_packed_by_xz_and_bzip2_are_read() {
    let s = Sandbox::with_images("details-packed", &["busybox"]);
    let file = s.dir().join("image.tar");
    s.rcon(["save", "-o", file.to_str().expect("a path"), "busybox"]).ok();
    for pack in ["xz", "bzip2"] {
        let packed = s.dir().join(pack);
        sh(&format!("{pack} -1 < {} > {}", file.display(), packed.display()));
        s.rcon(["rmi", "busybox"]).ok();
        s.rcon(["load", "-q", "-i", packed.to_str().expect("a path")]).ok();
        assert_eq!(s.rcon(["run", "--rm", "--network=none", "busybox", "echo", pack]).ok(), pack);
        std::fs::write(&packed, &std::fs::read(&packed).expect("it is there")[..100_000]).expect("it is cut");
        s.rcon(["load", "-q", "-i", packed.to_str().expect("a path")]).fails(1);
    }
}

#[test]
fn hooks_of_the_first_format_run() {
    let s = Sandbox::with_images("details-hooks", &["busybox"]);
    let (dir, told) = (s.dir().join("hooks"), s.dir().join("told"));
    std::fs::create_dir(&dir).expect("a folder");
    let script = dir.join("hook.sh");
    std::fs::write(&script, format!("#!/bin/sh\ncat > {}\n", told.display())).expect("a file");
    sh(&format!("chmod 755 {}", script.display()));
    let text = format!(r#"{{"hook":"{}","cmd":["never",".*sh$"],"stage":["prestart"]}}"#, script.display());
    std::fs::write(dir.join("hook.json"), text).expect("a file");
    let option = format!("--hooks-dir={}", dir.display());
    s.rcon([&option, "run", "--rm", "--network=none", "busybox", "true"]).ok();
    assert!(!told.exists());
    podman(&s, &[&option, "run", "--rm", "--network=none", "busybox", "sh", "-c", "true"]).ok();
    let told = std::fs::read_to_string(told).expect("the hook ran");
    assert!(told.contains("ociVersion") && told.contains("io.container.manager"), "{told}");
}

#[test]
fn an_image_of_one_layer_is_known_to_be_mounted() {
    let s = Sandbox::with_images("details-mounted", &["busybox"]);
    let path = s.rcon(["image", "mount", "busybox"]).ok().to_owned();
    assert!(s.rcon(["image", "mount"]).ok().contains(&path));
    s.rcon(["image", "unmount", "busybox"]).ok();
    assert_eq!(s.rcon(["image", "mount"]).ok(), "");
}

#[test]
fn zones_logs_and_owners_are_those_that_were_asked_for() {
    let s = Sandbox::with_images("details-conf", &["busybox"]);
    let told = s.rcon(["create", "--tz=foo", "busybox"]).fails(1).to_owned();
    assert!(told.contains("invalid time zone \"foo\""), "{told}");
    let (conf, logs) = (s.dir().join("own.conf"), s.dir().join("logs"));
    std::fs::write(
        &conf,
        format!("[containers]\nlog_driver = \"k8s-file\"\nlog_path = \"{}\"\n", logs.display()),
    )
    .expect("a file");
    let module = format!("--module={}", conf.display());
    s.rcon([&module, "run", "--network=none", "--name=c", "busybox", "echo", "logged"]).ok();
    let id = s.rcon(["inspect", "c", "-f", "{{.Id}}"]).ok().to_owned();
    let log = logs.join(&id).join("ctr.log");
    assert!(std::fs::read_to_string(&log).expect("the log is there").contains("stdout F logged"));
    assert_eq!(s.rcon(["logs", "c"]).ok(), "logged");
    assert_eq!(s.rcon(["inspect", "c", "-f", "{{.LogPath}}"]).ok(), log.to_str().expect("a path"));
    s.rcon(["volume", "create", "-o", "o=uid=3000,gid=4000", "owned"]).ok();
    let told = podman(
        &s,
        &["volume", "inspect", "owned", "-f", "{{.UID}} {{.GID}} {{.Options.o}} {{.Options.UID}}"],
    );
    assert_eq!(told.ok(), "3000 4000 uid=3000,gid=4000 3000");
    s.rcon(["volume", "create", "-o", "type=tmpfs", "memory"]).ok();
    let told =
        s.rcon(["run", "--rm", "--network=none", "-v=memory:/m", "busybox", "grep", " /m ", "/proc/mounts"]);
    assert!(told.ok().contains("tmpfs"), "{told:?}");
}

#[test]
fn called_podman_it_answers_as_podman() {
    let s = Sandbox::with_images("details-manner", &["busybox"]);
    podman(
        &s,
        &["run", "-d", "--network=none", "--name=up", "--mount=type=tmpfs,dst=/t", "busybox", "sleep", "99"],
    )
    .ok();
    podman(&s, &["create", "--name=made", "-p=8084:80", "busybox"]).ok();
    let caps = podman(&s, &["exec", "up", "grep", "CapBnd", "/proc/self/status"]);
    assert_eq!(caps.ok(), "CapBnd:\t00000000800405fb");
    assert_eq!(
        podman(&s, &["top", "up", "capinh", "hgroups"]).ok().lines().next(),
        Some("INHERITED CAPS   HGROUPS")
    );
    assert!(podman(&s, &["top", "up", "capeff"]).ok().contains("FOWNER"));
    assert!(!podman(&s, &["exec", "up", "grep", " /t ", "/proc/mounts"]).ok().contains("noexec"));
    // Looked up first: what is there stays.
    podman(&s, &["rm", "nobody", "made"]).fails(1);
    podman(&s, &["container", "exists", "made"]).ok();
    let ports = "{{json .NetworkSettings.Ports}}";
    let published = r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8084"}]}"#;
    assert_eq!(podman(&s, &["inspect", "made", "-f", ports]).ok(), published);
    assert_eq!(s.rcon(["inspect", "made", "-f", ports]).ok(), "{}");
    let history = podman(&s, &["history", "--format=json", "busybox"]);
    assert!(history.ok().starts_with('['), "{history:?}");
    assert!(!s.rcon(["history", "--format=json", "busybox"]).ok().starts_with('['));
    for clone in ["made-clone", "made-clone1", "made-clone2"] {
        podman(&s, &["container", "clone", if clone.ends_with('2') { "made-clone" } else { "made" }]).ok();
        podman(&s, &["container", "exists", clone]).ok();
    }
    podman(&s, &["create", "-m=1000000b", "--cpus=500", "--network=none", "busybox"]).ok();
    podman(&s, &["info", "--format", "{{ json . }}"]).ok();
    let env = ["inspect", "up", "-f", "{{.Config.Env}}"];
    assert!(podman(&s, &env).ok().contains("HOME=/root"));
    assert!(!s.rcon(env).ok().contains("HOME="));
    let told = podman(&s, &["exec", "-w", "/missing", "up", "true"]);
    assert!(told.stderr.contains("OCI runtime attempted to invoke a command that was not found"), "{told:?}");
    let usage =
        s.rcon(["system", "df", "-v", "--format", "{{len .Images}} {{len .Containers}} {{len .Volumes}}"]);
    assert_eq!(usage.ok(), "1 6 0");
    podman(&s, &["system", "df", "-v", "--format=json"]).fails(125);
    let told = podman(&s, &["stop", "--cidfile=nothing", "--latest"]).fails(125).to_owned();
    assert!(told.contains("--all, --latest, and --cidfile cannot be used together"), "{told}");
}

#[test]
fn images_say_which_capabilities_and_system_calls_are_enough() {
    let s = Sandbox::with_images("details-labels", &["busybox"]);
    let caps = ["run", "--rm", "--network=none", "--label=io.containers.capabilities=setuid,setgid"];
    let show = ["busybox", "grep", "CapEff", "/proc/self/status"];
    assert_eq!(podman(&s, &[&caps[..], &show].concat()).ok(), "CapEff:\t00000000000000c0");
    assert_eq!(s.rcon([&caps[..], &show].concat()).ok(), "CapEff:\t00000000a80425fb");
    let beyond = ["run", "--rm", "--network=none", "--label=io.containers.capabilities=sys_admin"];
    let told = podman(&s, &[&beyond[..], &show].concat());
    assert_eq!(told.ok(), "CapEff:\t00000000800405fb");
    assert!(told.stderr.contains("CAP_SYS_ADMIN"), "{told:?}");
    s.rcon(["create", "--network=none", "--name=c", "busybox"]).ok();
    let profile = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#;
    let label = format!("LABEL io.containers.seccomp.profile='{profile}'");
    s.rcon(["commit", "-q", "-c", &label, "c", "strict"]).ok();
    let mkdir = ["--rm", "--network=none", "strict", "mkdir", "/new"];
    s.rcon([&["run"][..], &mkdir].concat()).ok();
    s.rcon([&["run", "--seccomp-policy=default"][..], &mkdir].concat()).ok();
    s.rcon([&["run", "--seccomp-policy=image"][..], &mkdir].concat()).fails(1);
    let told = s.rcon(["create", "--seccomp-policy=other", "busybox"]).fails(125).to_owned();
    assert!(told.contains("valid policies are"), "{told}");
    s.rcon(["commit", "-q", "-c", "LABEL io.containers.seccomp.profile=bogus", "c", "bogus"]).ok();
    let told = s.rcon(["create", "--seccomp-policy=image", "bogus"]).fails(1).to_owned();
    assert!(told.contains("decoding seccomp profile failed"), "{told}");
}

#[test]
fn health_checks_make_events_as_podman_s_do() {
    let s = Sandbox::with_images("details-health", &["busybox"]);
    let flags = ["--network=none", "--health-cmd=true", "--health-interval=1h", "busybox", "sleep", "99"];
    let conf = s.dir().join("own.conf");
    std::fs::write(&conf, "[engine]\nhealthcheck_events = false\n").expect("a file");
    let module = format!("--module={}", conf.display());
    podman(&s, &[&["run", "-d", "--name=each"][..], &flags].concat()).ok();
    podman(&s, &[&[module.as_str(), "run", "-d", "--name=never"][..], &flags].concat()).ok();
    s.rcon([&["run", "-d", "--name=changes"][..], &flags].concat()).ok();
    for name in ["each", "never", "changes"] {
        s.rcon(["healthcheck", "run", name]).ok();
        s.rcon(["healthcheck", "run", name]).ok();
    }
    let count = |name: &str| {
        let told = s.rcon(["events", "--since=1h", "--until=0s", &format!("--filter=container={name}")]);
        told.ok().lines().filter(|line| line.contains("health_status")).count()
    };
    assert!(count("each") >= 2, "one for each");
    assert_eq!((count("never"), count("changes")), (0, 1));
    let asked =
        ["run", "-d", "--name=asked", "--health-interval=disable", "--health-start-period=1h", flags[1]];
    s.rcon([&asked[..], &["--network=none", "busybox", "sleep", "99"]].concat()).ok();
    let told = "{{.Config.Healthcheck.Interval}} {{.State.Health.Status}}";
    assert_eq!(s.inspect("asked", told), "0s starting");
    s.rcon(["healthcheck", "run", "asked"]).ok();
    assert_eq!(s.inspect("asked", told), "0s healthy");
    podman(
        &s,
        &[
            "run",
            "-d",
            "--name=slow",
            "--network=none",
            "--health-cmd=sleep 99",
            "--health-timeout=1s",
            "--health-interval=1h",
            "busybox",
            "sleep",
            "99",
        ],
    )
    .ok();
    let told = podman(&s, &["healthcheck", "run", "slow"]).fails(125).to_owned();
    assert!(told.contains("healthcheck command exceeded timeout of 1s"), "{told}");
}

#[test]
fn containers_conf_names_hosts_and_leaves_cgroups_out() {
    let s = Sandbox::with_images("details-names", &["busybox"]);
    let conf = s.dir().join("own.conf");
    std::fs::write(&conf, "[containers]\ncontainer_name_as_hostname = true\ncgroups = \"disabled\"\n")
        .expect("a file");
    let module = format!("--module={}", conf.display());
    let run = [module.as_str(), "run", "--network=none", "--name=a_b", "busybox", "hostname"];
    assert_eq!(s.rcon(run).ok(), "ab");
    assert_eq!(s.rcon(["inspect", "a_b", "-f", "{{.HostConfig.Cgroups}}"]).ok(), "disabled");
    // To podman a duration is one ahead.
    assert_eq!(podman(&s, &["logs", "--until=10m", "a_b"]).ok(), "ab");
    assert_eq!(s.rcon(["logs", "--until=10m", "a_b"]).ok(), "");
    let told = podman(&s, &["image", "rm"]).fails(125).to_owned();
    assert!(told.contains("image name or ID must be specified"), "{told}");
}

#[test]
fn podman_s_users_find_what_they_know() {
    let s = Sandbox::with_images("details-known", &["busybox"]);
    let run = |args: &[&str]| podman(&s, &[&["run", "--rm", "--network=none"][..], args].concat());
    // A tmpfs has what the image has there, unless it shall not.
    assert!(run(&["--tmpfs=/etc", "busybox", "cat", "/etc/passwd"]).ok().contains("root:"));
    assert_eq!(run(&["--tmpfs=/etc:notmpcopyup", "busybox", "ls", "/etc/passwd"]).code, 1);
    // An id file is overwritten.
    let file = s.dir().join("id");
    std::fs::write(&file, "x".repeat(200)).expect("a file");
    let made =
        podman(&s, &["create", &format!("--cidfile={}", file.display()), "--name=c", "busybox", "top"]);
    assert_eq!(std::fs::read_to_string(&file).expect("a file"), made.ok());
    // Ports are told and left out where they belong to another.
    podman(&s, &["start", "c"]).ok();
    let done = podman(&s, &["run", "--rm", "-p=8080", "--network=container:c", "busybox", "echo", "up"]);
    assert_eq!(done.ok(), "up");
    assert!(done.stderr.starts_with("Port mappings have been discarded because \"container\""), "{done:?}");
    // A container that was made and could not be started.
    podman(&s, &["run", "-d", "--name=p", "-p=18080:80", "busybox", "top"]).ok();
    podman(&s, &["run", "--rm", "-p=18080:80", "busybox", "true"]).fails(126);
    let taken = podman(&s, &["run", "--rm", "-p=18080:80", "busybox", "true"]);
    assert!(taken.stderr.contains("address already in use"), "{taken:?}");
    podman(&s, &["rm", "-f", "-t=0", "p"]).ok();
    // Its parent is outside, so it has none.
    let top = podman(&s, &["top", "c", "pid,ppid"]);
    assert_eq!(top.ok().split_whitespace().collect::<Vec<_>>(), ["PID", "PPID", "1", "0"]);
    assert!(
        podman(&s, &["top", "c", "-eo", "pid,comm"]).ok().lines().any(|l| l.trim_start().starts_with("1 "))
    );
    // Whose network is used stays.
    podman(&s, &["create", "--name=user", "--network=container:c", "busybox", "top"]).ok();
    let kept = podman(&s, &["rm", "-f", "-t=0", "c"]);
    assert!(kept.fails(125).contains("has dependent containers which must be removed before it"), "{kept:?}");
    podman(&s, &["rm", "-f", "-t=0", "c", "user"]).ok();
    let info = podman(&s, &["info"]);
    for line in ["host:\n", "\n  arch: ", "\nstore:\n", "\n    capabilities: CAP_CHOWN,CAP_DAC_OVERRIDE,"] {
        assert!(info.stdout.contains(line) && info.stdout.starts_with("host:"), "{line:?}: {}", info.stdout);
    }
    let digests = podman(&s, &["image", "inspect", "busybox", "-f", "{{len .RepoDigests}}"]);
    assert_ne!(digests.ok(), "0");
}

#[test]
fn an_empty_environment_and_the_zone_of_the_image() {
    let s = Sandbox::with_images("details-zone", &["busybox"]);
    let done = s.rcon(["run", "--rm", "--network=none", "--unsetenv-all", "busybox", "/bin/env"]);
    let names: Vec<&str> = done.ok().lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    assert!(names.iter().all(|n| ["HOSTNAME", "HOME"].contains(n)), "{names:?}");
    assert!(
        s.rcon(["run", "--rm", "--network=none", "--tmpfs=/etc:tmpcopyup", "busybox", "cat", "/etc/passwd"])
            .ok()
            .contains("root:")
    );
    if !std::path::Path::new("/usr/share/zoneinfo/Europe/Berlin").exists() {
        eprintln!("skipped: the host has no time zones");
        return;
    }
    let zone = |image| {
        let script = "readlink /etc/localtime; cat /etc/localtime | head -c 4";
        s.rcon(["run", "--rm", "--network=none", "--tz=Europe/Berlin", image, "sh", "-c", script])
    };
    // The host's own is shown, or the image's is named.
    assert_eq!(zone("busybox").ok(), "TZif");
    let make = "cd /; mkdir -p usr/share/zoneinfo/Europe && echo OWN! >usr/share/zoneinfo/Europe/Berlin && ln -sf /nowhere /etc/localtime";
    s.rcon(["run", "--name=z", "--network=none", "busybox", "sh", "-c", make]).ok();
    s.rcon(["commit", "-q", "z", "zones"]).ok();
    assert_eq!(zone("zones").ok(), "../usr/share/zoneinfo/Europe/Berlin\nOWN!");
}
