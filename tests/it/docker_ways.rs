//! What docker's own tests look at and no other file of ours does: links by name, whose mounts win, copies through
//! links, the client's `config.json`, shapes of `inspect`.

use std::fs;

use crate::support::{Sandbox, eventually};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

#[test]
fn a_link_on_ones_own_network_follows_the_container() {
    let s = sandbox("dw-links");
    s.rcon(["network", "create", "n1"]).ok();
    // Neither has to be there yet.
    s.sleeper(&["--name", "second", "--network", "n1", "--link", "first:foo", "--link", "third:bar"]);
    let resolves = |name: &str| s.rcon(["exec", "second", "ping", "-c", "1", "-W", "2", name]).code == 0;
    assert!(!resolves("foo"));
    s.sleeper(&["--name", "first", "--network", "n1"]);
    assert!(resolves("foo") && resolves("first"));
    // Another container takes its address meanwhile.
    s.rcon(["stop", "-t", "0", "first"]).ok();
    s.sleeper(&["--name", "other", "--network", "n1"]);
    s.rcon(["start", "first"]).ok();
    assert!(resolves("foo"));
    s.rcon(["network", "create", "n2"]).ok();
    s.rcon(["network", "connect", "n2", "other"]).ok();
    s.rcon(["network", "connect", "--link", "other:by2", "n2", "second"]).ok();
    assert!(resolves("by2") && resolves("foo"));
    s.rcon(["restart", "-t", "0", "second"]).ok();
    assert!(resolves("by2"));
    let links = s.inspect("second", "{{.HostConfig.Links}}");
    assert_eq!(links, "[/first:/second/foo /third:/second/bar /other:/second/by2]");
}

#[test]
fn links_of_the_default_network_know_the_host_name_and_look_through_shared_networks() {
    let s = sandbox("dw-oldlinks");
    s.sleeper(&["--name", "db", "-h", "fred"]);
    s.sleeper(&["--name", "beside", "--network", "container:db"]);
    s.rcon(["run", "--rm", "--link", "beside:x", "busybox", "ping", "-c", "1", "fred"]).ok();
    for (flags, why) in [
        (["--link", "bogus:x"].as_slice(), "could not get container for bogus"),
        (&["--network", "host", "--link", "db:x"], "links are only supported for user-defined networks"),
        (&["--network", "container:nobody", "--link", "db:x"], "links are only supported for user-defined"),
        (&["--network", "container:nobody", "--dns", "1.1.1.1"], "dns and the network mode"),
        (&["--network", "container:nobody", "-h", "x"], "hostname and the network mode"),
        (&["--name", "me", "--network", "container:me"], "cannot join own network namespace"),
        (&["--network-alias", "x"], "network-scoped aliases are only supported for user-defined networks"),
        (&["--mac-address", "92:d0:c6:0a:29"], "is not a valid mac address"),
        (&["-u", "2147483648"], "uids and gids must be in range"),
    ] {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "true"]);
        let done = s.rcon(all);
        assert!(done.fails(125).contains(why), "{flags:?}: {}", done.stderr);
    }
    let warned = s.rcon(["run", "--rm", "--dns", "127.0.0.1", "busybox", "true"]);
    assert!(warned.stderr.contains("Localhost DNS setting (--dns=127.0.0.1)"), "{}", warned.stderr);
}

#[test]
fn whose_mount_wins() {
    let s = sandbox("dw-mounts");
    s.rcon(["run", "--name", "a", "-v", "/d", "busybox", "sh", "-c", "echo a > /d/f"]).ok();
    s.rcon(["run", "--name", "b", "-v", "/d", "busybox", "sh", "-c", "echo b > /d/f"]).ok();
    s.rcon(["run", "--name", "ro", "-v", "only:/r:ro", "busybox", "true"]).ok();
    let cat = |flags: &[&str], script: &str| {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "sh", "-c", script]);
        s.rcon(all)
    };
    // An anonymous volume gives way; the last of several containers counts.
    assert_eq!(cat(&["--volumes-from", "a", "-v", "/d"], "cat /d/f").ok(), "a");
    assert_eq!(cat(&["--volumes-from", "a", "--volumes-from", "b"], "cat /d/f").ok(), "b");
    // What the owner may only read, a borrower may not write.
    assert_ne!(cat(&["--volumes-from", "ro:rw"], "touch /r/x").code, 0);
    for (flags, why) in [
        (["--volumes-from", "a:bar"].as_slice(), "invalid mode: bar"),
        (&["-v", "/tmp:/x", "--mount", "type=volume,target=/x"], "Duplicate mount point: /x"),
        (&["--mount", "type=volume,target=/x", "--mount", "type=volume,target=/x"], "Duplicate mount point"),
        (&["-v", "vol:/x:shared"], "invalid mount config"),
        (&["-v", "/tmp:/x:nocopy"], "invalid mode"),
        (&["-v", "/proc//sys"], "inside /proc"),
        (&["-v", "/tmp:/proc/self"], "inside /proc"),
    ] {
        let done = cat(flags, "true");
        assert!(done.fails(125).contains(why), "{flags:?}: {}", done.stderr);
    }
    assert_eq!(cat(&["-v", "/tmp:/x", "-v", "/tmp:/x"], "echo once").ok(), "once");
    fs::write(s.dir().join("cpuinfo"), "ours\n").expect("cpuinfo");
    let file = format!("{}:/proc/cpuinfo", s.dir().join("cpuinfo").display());
    assert_eq!(cat(&["-v", &file], "cat /proc/cpuinfo").ok(), "ours");
    // The engine's own files are no way to write where the root is read-only.
    for file in ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"] {
        let done = cat(&["--read-only"], &format!("echo x >> {file}"));
        assert!(done.stderr.contains("Read-only file system"), "{file}: {}", done.stderr);
    }
    assert_eq!(cat(&["-e", "HOME="], "echo $HOME").ok(), "/root");
}

#[test]
fn cp_goes_through_links_and_knows_mounts() {
    let s = sandbox("dw-cp");
    let host = s.dir().join("host");
    fs::create_dir_all(host.join("dir")).expect("dir");
    fs::write(host.join("file"), "content\n").expect("file");
    fs::write(host.join("target"), "old\n").expect("target");
    std::os::unix::fs::symlink("target", host.join("link")).expect("link");
    std::os::unix::fs::symlink("made", host.join("dangling")).expect("link");
    let bind = format!("{}:/b", host.display());
    let one = format!("{}:/one", host.join("file").display());
    s.rcon(["run", "--name", "c", "-v", &bind, "-v", &one, "-v", "/vol", "busybox", "touch", "/vol/x"]).ok();
    let path = |name: &str| host.join(name).display().to_string();
    let read = |name: &str| fs::read_to_string(host.join(name)).expect("readable");
    // Into the container and out of it: the link stays, its target gets the content.
    s.rcon(["cp", &path("file"), "c:/b/link"]).ok();
    assert_eq!((read("target").as_str(), fs::read_link(host.join("link")).is_ok()), ("content\n", true));
    s.rcon(["cp", &path("file"), "c:/b/dangling"]).ok();
    assert_eq!(read("made"), "content\n");
    fs::write(host.join("target"), "old\n").expect("target");
    s.rcon(["cp", "c:/b/file", &path("link")]).ok();
    assert_eq!((read("target").as_str(), fs::read_link(host.join("link")).is_ok()), ("content\n", true));
    // A volume, and a file that is mounted, of a container that does not run.
    s.rcon(["cp", "c:/vol", &path("dir")]).ok();
    assert!(host.join("dir/vol/x").exists());
    s.rcon(["cp", "c:/one", &path("dir")]).ok();
    assert_eq!(read("dir/one"), "content\n");
    for (to, why) in [("c:/nodir/", "no such directory"), ("c:/one/", "not a directory")] {
        let done = s.rcon(["cp", &path("file"), to]);
        assert!(done.fails(1).contains(why), "{}", done.stderr);
    }
    let onto = s.rcon(["cp", &path("dir"), "c:/b/file"]);
    assert!(onto.fails(1).contains("cannot copy directory"), "{}", onto.stderr);
    s.rcon(["create", "--name", "ro", "--read-only", "-v", "v:/v:ro", "-v", "w:/w", "busybox", "true"]).ok();
    for (to, why) in [("ro:/x", "rootfs is marked read-only"), ("ro:/v/x", "volume is marked read-only")] {
        let done = s.rcon(["cp", &path("file"), to]);
        assert!(done.fails(1).contains(why), "{}", done.stderr);
    }
    s.rcon(["cp", &path("file"), "ro:/w/x"]).ok();
}

#[test]
fn the_clients_config_file_is_heeded() {
    let s = sandbox("dw-config");
    let config = s.dir().join("config");
    fs::create_dir_all(&config).expect("config folder");
    let text = r#"{"psFormat": "{{.Names}} mine", "volumesFormat": "{{.Name}} v", "networksFormat": "{{.Name}} n",
        "imagesFormat": "{{.Repository}} i", "pruneFilters": ["label=go"], "detachKeys": "x"}"#;
    fs::write(config.join("config.json"), text).expect("config.json");
    let config = config.display().to_string();
    s.rcon(["create", "--name", "a", "--label", "go", "busybox"]).ok();
    s.rcon(["create", "--name", "b", "busybox"]).ok();
    s.rcon(["volume", "create", "vol"]).ok();
    let ours = |args: &[&str]| s.rcon(["--config", config.as_str()].iter().chain(args)).ok().to_owned();
    assert_eq!(ours(&["ps", "-a"]), "b mine\na mine");
    assert_eq!(ours(&["ps", "-a", "--format", "{{.Names}}"]), "b\na");
    assert_eq!(ours(&["ps", "-aq"]).len(), 25);
    assert_eq!(ours(&["volume", "ls"]), "vol v");
    assert!(ours(&["network", "ls"]).contains("bridge n\n"));
    assert_eq!(ours(&["images"]), "busybox i");
    ours(&["container", "prune", "-f"]);
    assert_eq!(s.rcon(["ps", "-a", "--format", "{{.Names}}"]).ok(), "b");
}

#[test]
fn listings_and_inspect_have_dockers_shapes() {
    let s = sandbox("dw-shapes");
    s.rcon(["tag", "busybox", "busybox:moving"]).ok();
    s.sleeper(&["--name", "c", "--network", "none", "--tmpfs", "/t:size=1m,mode=1770", "-v", "vol:/v"]);
    s.rcon([
        "create",
        "--name",
        "d",
        "-v",
        "/tmp:/x:z,ro",
        "--mount",
        "type=tmpfs,target=/m",
        "busybox:moving",
    ])
    .ok();
    assert_eq!(s.inspect("c", "{{json .HostConfig.Tmpfs}}"), r#"{"/t":"size=1m,mode=1770"}"#);
    assert_eq!(s.inspect("c", "{{range .Mounts}}{{.Destination}} {{.Mode}};{{end}}"), "/v z;");
    assert_eq!(s.inspect("d", "{{.HostConfig.Binds}}"), "[/tmp:/x:z,ro]");
    assert_eq!(s.inspect("d", "{{range .HostConfig.Mounts}}{{.Type}} {{.Target}}{{end}}"), "tmpfs /m");
    assert_eq!(
        s.inspect("d", "{{.SizeRw}} {{.Config.StopTimeout}} {{.HostConfig.CapAdd}}"),
        "<nil> <nil> []"
    );
    let names = |filter: &str| s.rcon(["ps", "-a", "--format", "{{.Names}}", "--filter", filter]).stdout;
    assert_eq!(names("network=none"), "c\n");
    let image = |name: &str| {
        s.rcon(["ps", "-a", "--format", "{{.Image}}", "--filter", &format!("name={name}")]).ok().to_owned()
    };
    assert_eq!(image("d"), "busybox:moving");
    s.rcon(["commit", "c", "other"]).ok();
    s.rcon(["tag", "other", "busybox:moving"]).ok();
    assert_eq!(image("d"), s.inspect("d", "{{slice .Image 7 19}}"));
    assert_eq!(image("c"), "busybox");
}

#[test]
fn a_network_goes_though_stopped_containers_name_it() {
    let s = sandbox("dw-netrm");
    s.rcon(["network", "create", "n1"]).ok();
    s.sleeper(&["--name", "c", "--network", "n1"]);
    let used = s.rcon(["network", "rm", "n1"]);
    assert!(used.fails(1).contains("has active endpoints"), "{}", used.stderr);
    s.rcon(["stop", "-t", "0", "c"]).ok();
    s.rcon(["network", "rm", "n1"]).ok();
    assert!(s.rcon(["start", "c"]).stderr.contains("n1"));
    s.rcon(["network", "disconnect", "-f", "n1", "c"]).ok();
    s.rcon(["network", "create", "n2", "-o", "com.docker.network.bridge.host_binding_ipv4=127.0.0.1"]).ok();
    s.rcon(["network", "connect", "n2", "c"]).ok();
    s.rcon(["start", "c"]).ok();
    s.sleeper(&["--name", "p", "--network", "n2", "-p", "8080:80"]);
    eventually("the port is published", || s.rcon(["port", "p"]).stdout.contains("127.0.0.1:8080"));
    for (args, why) in [
        (["connect", "host", "c"], "cannot connect container to host network"),
        (["disconnect", "host", "c"], "cannot disconnect container from host network"),
    ] {
        let done = s.rcon(["network"].iter().chain(&args));
        assert!(done.fails(1).contains(why), "{}", done.stderr);
    }
    let alias = s.rcon(["network", "connect", "--alias", "x", "bridge", "c"]);
    assert!(alias.fails(1).contains("only supported for user-defined"), "{}", alias.stderr);
}

/// `TYPE ACTION ID-OR-NAME` of the events that a filter lets through.
fn events(s: &Sandbox, filter: &str) -> Vec<String> {
    let format = "{{.Type}} {{.Action}} {{.Actor.Attributes.name}}";
    let done = s.rcon(["events", "--since", "0", "--until", "0s", "--filter", filter, "--format", format]);
    done.ok().lines().map(str::to_owned).collect()
}

#[test]
fn events_tell_of_networks_volumes_names_and_copies() {
    let s = sandbox("dw-events");
    s.rcon(["network", "create", "n1"]).ok();
    s.rcon(["run", "-d", "--name", "c", "--network", "n1", "-v", "vol:/v", "busybox", "sleep", "1000"]).ok();
    // Its start is there as soon as anyone knows of it.
    assert_eq!(events(&s, "container=c"), ["container create c", "container start c"]);
    s.rcon(["cp", "c:/etc/passwd", "-"]).ok();
    s.rcon(["rm", "-f", "-t", "0", "c"]).ok();
    assert!(events(&s, "container=c").contains(&"container archive-path c".to_owned()));
    let of = |kind: &str| {
        events(&s, kind).iter().map(|e| e.split(' ').nth(1).unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    eventually("the end is told of", || of("network=n1").len() == 3);
    assert_eq!(of("network=n1"), ["create", "connect", "disconnect"]);
    assert_eq!(of("volume=vol"), ["create", "mount", "unmount"]);
    s.rcon(["tag", "busybox", "other"]).ok();
    s.rcon(["rmi", "other"]).ok();
    assert_eq!(events(&s, "image=other"), ["image tag other:latest", "image untag other:latest"]);
    let future = s.rcon(["events", "--since", "2099-01-01T00:00:00Z", "--until", "2098-01-01T00:00:00Z"]);
    assert!(future.fails(1).contains("cannot be after `until`"), "{}", future.stderr);
    let field = s.rcon(["events", "--format", "{{.badField}}"]);
    assert!(field.fails(64).contains("can't evaluate field"), "{}", field.stderr);
}

/// docker tells of each signal of a stop and of each prune; podman of neither, and it has words of its own.
#[test]
fn signals_and_prunes_are_events_of_docker_alone() {
    let s = sandbox("dw-signals");
    s.sleeper(&["--name", "c", "--init", "-v", "vol:/v"]);
    s.rcon(["exec", "c", "true"]).ok();
    s.rcon(["restart", "-t", "10", "c"]).ok();
    s.rcon(["commit", "-p", "c", "img:1"]).ok();
    s.rcon(["kill", "-s", "KILL", "c"]).ok();
    s.rcon(["container", "prune", "-f"]).ok();
    let life = [
        "create",
        "start",
        "exec_create",
        "exec_start",
        "exec_die",
        "kill",
        "die",
        "stop",
        "start",
        "restart",
        "pause",
        "unpause",
        "commit",
        "kill",
        "die",
        "destroy",
    ];
    let word = |e: &String| e.split(' ').nth(1).expect("an action").trim_end_matches(':').to_owned();
    assert_eq!(events(&s, "container=c").iter().map(word).collect::<Vec<_>>(), life);
    let signals = ["--filter", "event=kill", "--format", "{{.Actor.Attributes.signal}}"];
    let all = ["events", "--since", "0", "--until", "0s"];
    assert_eq!(s.rcon([&all[..], &signals].concat()).ok(), "15\n9");
    assert_eq!(events(&s, "image=img:1"), ["image tag img:1"]);
    let prunes = ["--filter", "event=prune", "--format", "{{.Type}} {{.Actor.Attributes.reclaimed}}"];
    assert!(s.rcon([&all[..], &prunes].concat()).ok().starts_with("container "));

    let podmans = |more: &[&str]| crate::podman_manner::podman(&s, &[&all[..], more].concat());
    let told = podmans(&["--filter", "container=c", "--format", "{{.Status}}"]);
    let life = [
        "create",
        "start",
        "exec",
        "exec_died",
        "died",
        "start",
        "restart",
        "pause",
        "unpause",
        "commit",
        "kill",
        "died",
        "remove",
    ];
    assert_eq!(told.ok().lines().collect::<Vec<_>>(), life);
    assert_eq!(podmans(&["--filter", "event=exec_died"]).ok().lines().count(), 1);
    assert_eq!(podmans(&["--filter", "volume=vol", "--format", "{{.Status}}"]).ok(), "create");
}

#[test]
fn terminals_are_asked_for_where_there_is_none() {
    let s = sandbox("dw-tty");
    s.rcon(["run", "-dit", "--name", "c", "busybox", "cat"]).ok();
    let attach = s.rcon(["attach", "c"]);
    assert!(attach.fails(1).contains("the input device is not a TTY"), "{}", attach.stderr);
    assert_eq!(s.rcon(["exec", "c", "sh", "-c", "echo \"<$TERM>\""]).ok(), "<>");
    assert_eq!(s.rcon(["exec", "-e", "TERM=x", "c", "sh", "-c", "echo $TERM"]).ok(), "x");
    s.rcon(["pause", "c"]).ok();
    let paused = s.rcon(["exec", "c", "true"]);
    assert!(paused.stderr.contains("is paused, unpause the container before exec"), "{}", paused.stderr);
    s.rcon(["unpause", "c"]).ok();
}

#[test]
fn commits_of_the_just_ended_and_their_changes() {
    let s = sandbox("dw-commit");
    for n in 0..8 {
        // It ends while the commit begins.
        let id = s.rcon(["run", "-d", "busybox", "true"]).ok().to_owned();
        s.rcon(["commit", &id, &format!("racing:{n}")]).ok();
    }
    let changes = [
        "CMD [\"cat\", \"/etc/group\"]",
        "ENTRYPOINT [\"/bin/env\"]",
        "EXPOSE 8080",
        "VOLUME /data",
        "HEALTHCHECK --interval=2s CMD true",
    ];
    let flags: Vec<&str> = changes.iter().flat_map(|c| ["-c", c]).collect();
    s.rcon(["create", "--name", "c", "busybox"]).ok();
    let words = ["commit", "-a", "Some One", "-m", "a message", "--pause=false"];
    s.rcon(words.iter().chain(&flags).chain(&["c", "made"])).ok();
    let shown = |template: &str| s.rcon(["image", "inspect", "-f", template, "made"]).ok().to_owned();
    assert_eq!(shown("{{.Config.Cmd}}{{.Config.Entrypoint}}"), "[cat /etc/group][/bin/env]");
    assert_eq!(shown("{{.Config.ExposedPorts}} {{.Config.Volumes}}"), "map[8080/tcp:{}] map[/data:{}]");
    assert_eq!(shown("{{.Author}}|{{.Comment}}"), "Some One|a message");
    assert_eq!(shown("{{json .Config.Healthcheck.Test}}"), r#"["CMD-SHELL","true"]"#);
    let tar = s.dir().join("root.tar").display().to_string();
    s.rcon(["export", "-o", &tar, "c"]).ok();
    let import = ["import", "-m", "from a file", "-c", "CMD [\"echo\", \"imported\"]", &tar, "flat:1"];
    s.rcon(import).ok();
    assert_eq!(s.rcon(["run", "--rm", "flat:1"]).ok(), "imported");
    assert!(s.rcon(["history", "--format", "{{.Comment}}", "flat:1"]).ok().contains("from a file"));
    // A container of an image that is built on another has that one for an ancestor, too.
    s.rcon(["create", "--name", "built", "made"]).ok();
    let names = |image: &str| {
        let filter = format!("ancestor={image}");
        s.rcon(["ps", "-a", "--format", "{{.Names}}", "--filter", &filter]).stdout
    };
    assert_eq!(names("made"), "built\n");
    assert!(names("busybox").starts_with("built\nc\n"), "{}", names("busybox"));
}

#[test]
fn words_that_scripts_look_for() {
    let s = sandbox("dw-words");
    s.sleeper(&["-p", "8080:80"]);
    let dir = s.dir().display().to_string();
    for (flags, why) in [
        (["-p", "8080:80"].as_slice(), "port is already allocated"),
        (&["--expose", "80000"], "invalid range format for --expose"),
        (&["--cpu-period", "-3"], "CPU cfs period can not be less than 1ms"),
        (&["--memory-swappiness", "101"], "Valid memory swappiness range is 0-100"),
        (&["--device", dir.as_str()], "not a device node"),
        (&["-w", "/bin/busybox"], "is not a directory"),
        (&["--network", "container"], "invalid container format container:<name|id>"),
    ] {
        let mut all = vec!["run", "--rm"];
        all.extend_from_slice(flags);
        all.extend_from_slice(&["busybox", "true"]);
        let done = s.rcon(all);
        assert!(done.fails(125).contains(why), "{flags:?}: {}", done.stderr);
    }
    s.rcon(["create", "--name", "c", "busybox"]).ok();
    for (args, code, why) in [
        (["create", "-v", ":/volume", "busybox"].as_slice(), 125, "empty section between colons"),
        (&["create", "-v", "", "busybox"], 125, "invalid empty volume spec"),
        (&["rename", "c", ""], 1, "new name cannot be blank"),
        (&["rename", "", "d"], 1, "invalid container name or ID: value is empty"),
        (&["rmi", " "], 1, "image name cannot be blank"),
        (&["push", "127.0.0.1:5000/nothing"], 1, "An image does not exist locally with the tag"),
    ] {
        let done = s.rcon(args);
        assert!(done.fails(code).contains(why), "{args:?}: {}", done.stderr);
    }
    // Tags of one repository go together, but for a container that uses the image.
    s.rcon(["commit", "c", "made"]).ok();
    s.rcon(["tag", "made", "made:2"]).ok();
    let id = s.rcon(["images", "-q", "made:2"]).ok().to_owned();
    s.rcon(["run", "-d", "--name", "user", "made", "sleep", "1000"]).ok();
    let used = s.rcon(["rmi", &id]);
    assert!(used.fails(1).contains("image is being used by running container"), "{}", used.stderr);
    s.rcon(["rm", "-f", "-t", "0", "user"]).ok();
    s.rcon(["rmi", &id]).ok();
    let shared = ["run", "--rm", "--tmpfs", "/t:shared", "busybox", "grep", " /t ", "/proc/self/mountinfo"];
    assert!(s.rcon(shared).ok().contains("shared:"));
    assert!(s.rcon(["logout", "127.0.0.1:1"]).ok().starts_with("Not logged in to 127.0.0.1:1"));
}
