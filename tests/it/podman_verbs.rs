//! Flags of podman's verbs that docker's have not, and docker's `rm --link`: each by what it does.

use super::podman_manner::podman;
use crate::support::{Sandbox, sh};

fn sandbox(name: &str) -> Sandbox {
    Sandbox::with_images(name, &["busybox"])
}

#[test]
fn a_prune_can_be_tried_first_or_take_leftovers_alone() {
    let s = sandbox("prune-flags");
    s.rcon(["volume", "create", "idle"]).ok();
    s.rcon(["create", "--name", "gone", "-v", "/anonymous", "-v", "used:/u", "busybox"]).ok();
    assert_eq!(s.rcon(["volume", "prune", "--dry-run"]).ok(), "", "a named one is not docker's to prune");
    assert_eq!(s.rcon(["volume", "prune", "--dry-run", "--all"]).ok(), "idle");
    assert_eq!(podman(&s, &["volume", "prune", "--dry-run"]).ok(), "idle");
    assert!(s.rcon(["volume", "ls", "-q"]).ok().contains("idle"), "nothing went");
    // Files of a container that has no record.
    let orphan = s.root().join("containers").join("ab".repeat(32));
    std::fs::create_dir_all(orphan.join("upper")).expect("an orphan");
    s.rcon(["system", "prune", "--external", "--all"]).fails(125);
    assert!(orphan.exists());
    podman(&s, &["system", "prune", "--external"]).ok();
    assert!(!orphan.exists(), "what nothing speaks of went");
    assert_eq!(s.rcon(["ps", "-aq"]).ok().lines().count(), 1, "what is known stays");
    s.rcon(["system", "prune", "-f", "--build"]).ok();
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
    s.rcon(["image", "prune", "-af", "--external", "--build-cache"]).ok();
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn a_cleanup_takes_the_image_too_and_leaves_sessions_alone() {
    let s = sandbox("cleanup-flags");
    s.rcon(["run", "-d", "--name", "c", "--network", "none", "busybox", "sleep", "1000"]).ok();
    s.rcon(["exec", "-d", "c", "sleep", "1000"]).ok();
    let session = s.inspect("c", "{{index .ExecIDs 0}}");
    let told = s.rcon(["container", "cleanup", "--exec", &session, "c"]);
    assert!(told.fails(1).contains("it is running"), "{}", told.stderr);
    assert_eq!(s.rcon(["container", "cleanup", "--exec", "ended", "c"]).ok(), "c");
    s.rcon(["container", "cleanup", "--exec", "ended", "--rmi", "c"]).fails(125);
    s.rcon(["stop", "-t", "0", "c"]).ok();
    s.rcon(["create", "--name", "other", "busybox"]).ok();
    s.rcon(["container", "cleanup", "--rm", "--rmi", "c"]).fails(1);
    assert!(!s.rcon(["images", "-q"]).ok().is_empty(), "another container needs it");
    s.rcon(["container", "cleanup", "--rm", "--rmi", "other"]).ok();
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn a_check_removes_what_cannot_be_healed_and_old_layers() {
    let s = sandbox("check-force");
    let tar = s.dir().join("one.tar");
    s.rcon(["create", "--name", "c", "busybox"]).ok();
    s.rcon(["export", "-o", tar.to_str().expect("text"), "c"]).ok();
    s.rcon(["import", tar.to_str().expect("text"), "own"]).ok();
    s.rcon(["create", "--name", "on-own", "own", "true"]).ok();
    let find = format!("ls -td {}/layers/*/ | head -1", s.root().display());
    std::fs::remove_dir_all(sh(&find).trim()).expect("the youngest layer, which nobody can give again");
    s.rcon(["system", "check", "--repair"]).fails(1);
    let done = s.rcon(["system", "check", "--force"]);
    assert!(done.ok().contains("removed container on-own, image "), "{}", done.stdout);
    assert_eq!(s.rcon(["ps", "-a", "--format", "{{.Names}}"]).ok(), "c");
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}}"]).ok(), "busybox");
    // A pull that died between its rename and its transaction.
    let layer = s.root().join("layers").join("ab".repeat(32));
    std::fs::create_dir_all(layer.join("diff")).expect("a layer");
    assert_eq!(s.rcon(["system", "check"]).ok(), "");
    assert_eq!(s.rcon(["system", "check", "-m", "24h"]).ok(), "");
    let old = format!("touch -d '2 days ago' {}", layer.display());
    sh(&old);
    let told = s.rcon(["system", "check", "-m", "24h"]);
    told.fails(1);
    assert!(told.stdout.contains("nothing uses it for 2 days"), "{}", told.stdout);
    s.rcon(["system", "check", "-m", "24h", "--repair"]).ok();
    assert!(!layer.exists());
    assert_eq!(s.rcon(["start", "-a", "c"]).code, 0, "what is used stays");
}

#[test]
fn secrets_are_kept_by_commands_or_for_gpg() {
    let s = sandbox("secret-drivers");
    let store = s.dir().join("vault");
    std::fs::create_dir_all(&store).expect("a folder");
    let opts = format!(
        "store=cat > {0}/$SECRET_ID,lookup=cat {0}/$SECRET_ID,delete=rm {0}/$SECRET_ID,list=ls {0}",
        store.display()
    );
    let make = |args: &[&str], value: &str| {
        s.rcon_with_input([&["secret", "create"], args, &["-"]].concat(), value.as_bytes())
    };
    let id = make(&["-d", "shell", "--driver-opts", &opts, "sh"], "one").ok().to_owned();
    assert_eq!(std::fs::read_to_string(store.join(&id)).expect("kept there"), "one");
    assert!(!s.root().join("secrets").join(&id).exists(), "and not here");
    assert_eq!(s.rcon(["secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "sh"]).ok(), "one");
    assert_eq!(s.rcon(["secret", "inspect", "-f", "{{.SecretData}}", "sh"]).ok(), "");
    assert!(s.rcon(["secret", "inspect", "-f", "{{.Spec.Driver.Options}}", "sh"]).ok().contains("list:ls "));
    assert_eq!(s.rcon(["secret", "ls", "--format", "{{.Driver}}"]).ok(), "shell");
    let run = ["run", "--rm", "--network", "none", "--secret", "sh", "busybox", "cat", "/run/secrets/sh"];
    assert_eq!(s.rcon(run).ok(), "one");
    let new = make(&["-d", "shell", "--driver-opts", &opts, "--replace", "sh"], "two").ok().to_owned();
    assert!(!store.join(&id).exists() && store.join(&new).exists(), "the old value went");
    s.rcon(["secret", "rm", "sh"]).ok();
    assert_eq!(std::fs::read_dir(&store).expect("the folder").count(), 0);
    assert!(make(&["-d", "shell", "x"], "v").fails(1).contains("missing config value"));
    let bad = opts.replace("cat >", "echo full >&2; false; exit 1; cat >");
    let told = make(&["-d", "shell", "--driver-opts", &bad, "x"], "v");
    assert!(told.fails(1).contains("full"), "{}", told.stderr);
    assert_eq!(s.rcon(["secret", "ls", "-q"]).ok(), "", "what could not be kept is not there");
    // Options of the file driver are remembered.
    make(&["--driver-opts", "opt1=val", "plain"], "v").ok();
    assert_eq!(
        s.rcon(["secret", "inspect", "-f", "{{.Spec.Driver.Options}}", "plain"]).ok(),
        "map[opt1:val]"
    );
    if sh("command -v gpg || true").is_empty() {
        eprintln!("not tested: there is no gpg");
        return;
    }
    let home = s.dir().join("gpg");
    sh(&format!(
        "mkdir -m 700 {0}; gpg --homedir {0} --batch --quiet --passphrase '' --quick-gen-key me@here default default never 2>&1",
        home.display()
    ));
    let opts = format!("root={0}/pass,key=me@here,gpghomedir={0}", home.display());
    let id = make(&["-d", "pass", "--driver-opts", &opts, "gpg"], "three").ok().to_owned();
    let kept = std::fs::read(home.join(format!("pass/{id}.gpg"))).expect("a file");
    assert!(!kept.windows(5).any(|w| w == b"three"));
    assert_eq!(s.rcon(["secret", "inspect", "--showsecret", "-f", "{{.SecretData}}", "gpg"]).ok(), "three");
    s.rcon(["secret", "rm", "gpg"]).ok();
    assert!(!home.join(format!("pass/{id}.gpg")).exists());
    sh(&format!("gpgconf --homedir {} --kill all", home.display()));
}

#[test]
fn a_link_is_taken_back() {
    let s = sandbox("rm-link");
    let sleeper = |args: &[&str]| {
        s.rcon([&["run", "-d"], args, &["busybox", "sleep", "1000"]].concat()).ok();
    };
    sleeper(&["--name", "db"]);
    sleeper(&["--name", "web", "--link", "db:store", "--link", "db:other"]);
    let hosts = || s.rcon(["exec", "web", "cat", "/etc/hosts"]).ok().to_owned();
    assert!(hosts().contains("store"));
    s.rcon(["rm", "--link", "web/nothing"]).fails(1);
    assert!(s.rcon(["rm", "--link", "web"]).fails(1).contains("default link name"));
    assert_eq!(s.rcon(["rm", "--link", "/web/store"]).ok(), "/web/store");
    assert!(!hosts().contains("store") && hosts().contains("other"), "{}", hosts());
    assert_eq!(s.inspect("web", "{{json .HostConfig.Links}}"), r#"["/db:/web/other"]"#);
    s.rcon(["restart", "-t", "0", "web"]).ok();
    assert!(!s.rcon(["exec", "web", "env"]).ok().contains("STORE_"));
    assert_eq!(s.rcon(["ps", "-q"]).ok().lines().count(), 2, "the containers stay");
}

#[test]
fn layers_in_a_directory_are_packed() {
    let s = sandbox("save-compress");
    let dir = s.dir().join("saved");
    let path = dir.to_str().expect("text");
    s.rcon(["save", "--compress", "-o", path, "busybox"]).fails(125);
    s.rcon(["save", "--compress", "--format", "docker-dir", "-o", path, "busybox"]).ok();
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(dir.join("manifest.json")).expect("manifest")).expect("JSON");
    let layer = &manifest["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    let blob = dir.join(layer["digest"].as_str().expect("a digest").trim_start_matches("sha256:"));
    let bytes = std::fs::read(&blob).expect("the layer");
    assert_eq!(bytes[..2], [0x1f, 0x8b], "gzip");
    assert_eq!(layer["size"], bytes.len());
    let to = format!("dir:{}", s.dir().join("pushed").display());
    s.rcon(["push", "-q", "--compress", "busybox", &to]).ok();
    s.rcon(["rmi", "busybox"]).ok();
    s.rcon(["load", "-q", "-i", path]).ok();
    let pulled = s.rcon(["pull", "-q", &to]).ok().to_owned();
    assert_eq!(s.rcon(["run", "--rm", "--network", "none", pulled.trim(), "echo", "hi"]).ok(), "hi");
}

#[test]
fn podman_tells_states_and_stops_what_runs() {
    let s = sandbox("podman-states");
    let id = s.rcon(["create", "--name", "c", "--network", "none", "busybox"]).ok().to_owned();
    let told = podman(&s, &["pause", "c"]);
    assert!(told.fails(125).contains("\"created\" is not running, can't pause"), "{}", told.stderr);
    s.rcon(["run", "-d", "--name", "p", "--network", "none", "busybox", "sleep", "1000"]).ok();
    s.rcon(["pause", "p"]).ok();
    let told = podman(&s, &["stop", "-t", "0", "p"]);
    assert!(told.fails(125).contains("is running or paused, refusing to clean up"), "{}", told.stderr);
    assert_eq!(s.inspect("p", "{{.State.Status}}"), "paused");
    // All are those that have ended, too, and not those that are paused.
    assert_eq!(podman(&s, &["stop", "-a", "-t", "0"]).ok(), id);
    s.rcon(["unpause", "p"]).ok();
    podman(&s, &["stop", "--service", "-t", "0", "p"]).ok();
    assert_eq!(s.inspect("p", "{{.State.StoppedByUser}}"), "false");
    assert_eq!(podman(&s, &["stop", "-a", "--filter", &format!("id={}", &id[..5])]).ok(), id);
    s.rcon(["tag", "busybox", "second"]).ok();
    let image = s.inspect("c", "{{.Image}}");
    let told = podman(&s, &["rmi", image.trim_start_matches("sha256:")]);
    assert!(told.fails(125).contains("by ID with more than one tag (["), "{}", told.stderr);
    let told = podman(&s, &["ps", "-a", "--format", "{{.Size}}"]);
    told.ok();
    assert!(told.stderr.contains("Size format requires --size option"), "{}", told.stderr);
    let told = podman(&s, &["exec", "-w", "/missing", "c", "true"]);
    told.fails(125);
    s.rcon(["start", "p"]).ok();
    podman(&s, &["exec", "-w", "/missing", "p", "true"]).fails(127);
    let told = podman(&s, &["inspect", "--type", "pod", "c"]);
    assert!(told.fails(125).contains("no such pod \"c\""), "{}", told.stderr);
    s.rcon(["inspect", "--type", "pod", "c"]).fails(1);
    s.rcon(["create", "--name", "bad", "--network", "none", "busybox", "missing"]).ok();
    podman(&s, &["start", "bad"]).fails(125);
    let error = podman(&s, &["inspect", "-f", "{{.State.Error}}", "bad"]).ok().to_owned();
    assert!(error.contains("OCI runtime attempted to invoke a command that was not found"), "{error}");
    s.rcon(["create", "--name", "hc", "--health-cmd", "ls /", "--health-interval", "9s", "busybox"]).ok();
    let format = ["container", "inspect", "-f", "{{.Config.Healthcheck}}", "hc"];
    assert_eq!(podman(&s, &format).ok(), "{[CMD-SHELL ls /] 0s 5s 9s 30s 3}");
    assert_eq!(s.rcon(format).ok(), "{[CMD-SHELL ls /] 9s 30s 0s 5s 3}");
}

#[test]
fn podman_s_networks_need_no_name_and_know_short_ids() {
    let s = sandbox("podman-nets");
    assert_eq!(podman(&s, &["network", "create"]).ok(), "podman1");
    assert_eq!(podman(&s, &["network", "create"]).ok(), "podman2");
    s.rcon(["network", "create"]).fails(1);
    let told = podman(&s, &["network", "disconnect", "nothing", "nobody"]);
    assert!(told.fails(125).contains("no such container"), "{}", told.stderr);
    let id =
        s.rcon(["create", "--name", "c", "--network", "podman1", "busybox", "sleep", "1000"]).ok().to_owned();
    let aliases = "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}";
    assert_eq!(podman(&s, &["container", "inspect", "-f", aliases, "c"]).ok(), format!("[{}]", &id[..12]));
    assert_eq!(s.inspect("c", aliases), "[]");
    // What is only wished may be wished otherwise.
    s.rcon(["network", "connect", "podman1", "c"]).fails(1);
    podman(&s, &["network", "connect", "--alias", "other", "podman1", "c"]).ok();
    assert_eq!(s.inspect("c", aliases), "[other]");
    s.rcon(["start", "c"]).ok();
    let told = podman(&s, &["network", "connect", "podman1", "c"]);
    assert!(told.fails(125).contains(&format!("container {id} is already connected")), "{}", told.stderr);
    s.rcon(["network", "disconnect", "podman1", "c"]).ok();
    assert_eq!(s.inspect("c", "{{len .NetworkSettings.Networks}}"), "0");
    for (args, words) in [
        (
            &["--subnet", "10.11.12.0/24", "--gateway", "192.168.1.1"][..],
            "gateway 192.168.1.1 not in subnet 10.11.12.0/24",
        ),
        (&["--subnet", "10.11.12.0/24", "--ip-range", "10.11.12.3-10.11.12.999"], "range end ip"),
        (
            &["--subnet", "10.1.0.0/24", "--gateway", "10.1.0.1", "--gateway", "10.1.0.2"],
            "more gateways than subnets",
        ),
    ] {
        let told = podman(&s, &[&["network", "create"], args].concat());
        assert!(told.fails(125).contains(words), "{}", told.stderr);
    }
    s.rcon(["network", "prune", "-f", "--filter", "until=5000000000000"]).ok();
    assert_eq!(podman(&s, &["network", "ls", "-q"]).ok(), "podman", "all are older than that");
    // A network through which no default route leads: that of another one is taken, in whatever order they come.
    s.rcon(["network", "create", "-o", "no_default_route=1", "side"]).ok();
    s.rcon(["network", "create", "main"]).ok();
    assert_eq!(s.rcon(["network", "inspect", "-f", "{{.Options.no_default_route}}", "side"]).ok(), "true");
    let routes = |network: &str| {
        s.rcon(["run", "--rm", "--network", network, "busybox", "ip", "route"])
            .ok()
            .matches("default")
            .count()
    };
    assert_eq!((routes("side"), routes("main")), (0, 1));
    s.rcon([
        "run",
        "-d",
        "--name",
        "two",
        "--network",
        "side",
        "--network",
        "main",
        "busybox",
        "sleep",
        "1000",
    ])
    .ok();
    assert!(s.rcon(["exec", "two", "ip", "route"]).ok().contains("default via"), "the other's");
    s.rcon(["network", "disconnect", "main", "two"]).ok();
    assert!(!s.rcon(["exec", "two", "ip", "route"]).ok().contains("default"), "it does not lead out");
    s.rcon(["rm", "-f", "-t", "0", "two"]).ok();
    s.rcon(["volume", "create", "--label", "hello.world=x", "v"]).ok();
    assert_eq!(s.rcon(["volume", "ls", "-q", "--filter", "label=hello*"]).ok(), "v");
    assert_eq!(s.rcon(["volume", "ls", "-q", "--filter", "label=*word"]).ok(), "");
}

#[test]
fn a_commit_has_what_was_done_and_no_more() {
    let s = sandbox("commit-diff");
    s.rcon(["run", "--name", "c", "busybox", "sh", "-c", "touch /tmp/x; chmod 700 /var"]).ok();
    let wanted = "C /tmp\nA /tmp/x\nC /var";
    assert_eq!(s.rcon(["diff", "c"]).ok(), wanted);
    s.rcon(["commit", "-q", "c", "made"]).ok();
    assert_eq!(podman(&s, &["image", "diff", "made"]).ok(), wanted);
    let told = podman(&s, &["commit", "c", "again"]);
    told.ok();
    for line in [
        "Getting image source signatures",
        "Copying blob sha256:",
        "Copying config sha256:",
        "Writing manifest",
    ] {
        assert!(told.stderr.contains(line), "{}", told.stderr);
    }
    assert_eq!(podman(&s, &["commit", "-q", "c", "again"]).stderr, "");
    let tar = s.dir().join("two.tar");
    let tar = tar.to_str().expect("text");
    s.rcon(["save", "-o", tar, "made", "busybox"]).ok();
    s.rcon(["rm", "c"]).ok();
    s.rcon(["rmi", "-f", "made", "again", "busybox"]).ok();
    // podman pulls one image of an archive, by name or number.
    let from = format!("docker-archive:{tar}");
    let told = podman(&s, &["pull", "-q", &from]);
    assert!(told.fails(125).contains("expected 1 item, got 2"), "{}", told.stderr);
    let told = podman(&s, &["pull", "-q", &format!("{from}:@2")]);
    assert!(told.fails(125).contains("Invalid source index @2, only 2"), "{}", told.stderr);
    podman(&s, &["pull", "-q", &format!("{from}:@1")]).ok();
    let told = podman(&s, &["load", "-i", tar]);
    assert!(told.ok().contains("Loaded image: "), "{}", told.stdout);
    assert!(told.stderr.contains("Copying blob sha256:"), "{}", told.stderr);
    let digest = podman(&s, &["inspect", "-f", "{{.Digest}}", "busybox"]).ok().to_owned();
    let filter = format!("digest={}", &digest[..12]);
    assert_eq!(podman(&s, &["images", "-q", "--filter", &filter]).ok().lines().count(), 1);
}

#[test]
fn layers_go_packed_into_a_layout_and_are_shown_as_a_tree() {
    let s = sandbox("push-packed");
    let dir = s.dir().join("layout");
    let to = format!("oci:{}:x", dir.display());
    s.rcon(["push", "-q", "--compression-format", "zstd", "--compression-level", "40", "busybox", &to])
        .fails(1);
    s.rcon(["push", "-q", "--compression-format", "zstd", "busybox", &to]).ok();
    let magic = |start: &[u8]| {
        let blobs = std::fs::read_dir(dir.join("blobs/sha256")).expect("blobs").flatten();
        blobs.filter(|b| std::fs::read(b.path()).is_ok_and(|bytes| bytes.starts_with(start))).count()
    };
    assert_eq!((magic(&[0x28, 0xb5, 0x2f, 0xfd]), magic(&[0x1f, 0x8b])), (1, 0));
    let archive = format!("oci-archive:{}", s.dir().join("a.tar").display());
    let told = s.rcon(["push", "-q", "--compression-format", "zstd", "busybox", &archive]);
    assert!(told.fails(1).contains("not packed within an archive"), "{}", told.stderr);
    let told = s.rcon(["push", "--sign-by", "me", "busybox"]);
    assert!(told.fails(125).contains("--sign-by is not supported: images are not signed"), "{}", told.stderr);
    s.rcon(["run", "--name", "c", "--network", "none", "busybox", "touch", "/one"]).ok();
    s.rcon(["commit", "-q", "c", "one"]).ok();
    s.rcon(["rm", "c"]).ok();
    s.rcon(["rmi", "busybox"]).ok();
    let pulled = s.rcon(["pull", "-q", &to]).ok().to_owned();
    s.rcon(["run", "--rm", "--network", "none", &pulled, "true"]).ok();
    let tree = s.rcon(["image", "tree", "one"]).ok().to_owned();
    let layers: Vec<&str> = tree.lines().filter(|l| l.contains("ID: ") && l.contains("── ")).collect();
    assert_eq!(layers.len(), 2, "{tree}");
    assert!(layers[1].starts_with("└── ") && layers[1].ends_with("Top Layer of: [one:latest]"), "{tree}");
    let users = s.rcon(["image", "tree", "--whatrequires", &pulled]).ok().to_owned();
    assert!(users.contains("Top Layer of: [one:latest]"), "{users}");
    let conf = s.dir().join("names.conf");
    std::fs::write(&conf, "[containers]\ncontainer_name_as_hostname = true\n").expect("a file");
    let long = "n".repeat(100);
    let module = format!("--module={}", conf.display());
    let tags = s.dir().join("tags.conf");
    std::fs::write(&tags, "[containers]\nlog_tag = \"mine\"\n").expect("a file");
    let create = |name: &str, opt: &str| {
        let tags = format!("--module={}", tags.display());
        podman(&s, &[&tags, "create", "--name", name, "--log-driver", "journald", "--log-opt", opt, &pulled])
    };
    create("j", "max-size=10k").ok();
    create("k", "tag=theirs").ok();
    let tag = |name: &str| s.inspect(name, "{{.HostConfig.LogConfig.Config.tag}}");
    assert_eq!((tag("j"), tag("k")), ("mine".to_owned(), "theirs".to_owned()));
    let run = [&module, "run", "--rm", "--network", "none", "--name", &long, &pulled, "hostname"];
    assert_eq!(s.rcon(run).ok(), "n".repeat(64));
}
