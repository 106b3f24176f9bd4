//! The command line as scripts see it: what is on stdout, what on stderr, exit codes, files that flags write.

use crate::support::Sandbox;

#[test]
fn listings_templates_and_quiet_forms() {
    let s = Sandbox::with_images("cli-list", &["busybox"]);
    let id =
        s.rcon(["create", "--name", "c1", "--label", "a=1", "busybox", "echo", "one two"]).ok().to_owned();
    assert_eq!(id.len(), 64);
    let table = s.rcon(["ps", "-a"]).ok().to_owned();
    let title = table.lines().next().expect("a line of titles");
    let words: Vec<&str> = title.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect();
    assert_eq!(words, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), &id[..12]);
    assert_eq!(s.rcon(["ps", "-aq", "--no-trunc"]).ok(), id);
    assert_eq!(s.rcon(["ps", "-q"]).ok(), "");
    let format = "{{.Names}}|{{.State}}|{{.Command}}|{{.Label \"a\"}}";
    assert_eq!(s.rcon(["ps", "-a", "--format", format]).ok(), "c1|created|\"echo 'one two'\"|1");
    assert_eq!(
        s.rcon(["ps", "-a", "--format", "table {{.Names}}\\t{{.Image}}"]).ok(),
        "NAMES     IMAGE\nc1        busybox"
    );
    let unknown = s.rcon(["ps", "-a", "--format", "{{.Nope}}"]);
    assert!(unknown.fails(1).contains("known fields: "), "{}", unknown.stderr);
    assert_eq!(s.rcon(["inspect", "c1", "--format", "{{json .Config.Cmd}}"]).ok(), "[\"echo\",\"one two\"]");
    assert_eq!(s.rcon(["rm", "c1"]).ok(), "c1");
}

#[test]
fn exit_codes_are_dockers() {
    let s = Sandbox::with_images("cli-codes", &["busybox"]);
    for (args, code) in [
        (&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "exit 42"][..], 42),
        (&["run", "--rm", "--network", "none", "busybox", "nosuch"], 127),
        (&["run", "--rm", "--network", "none", "busybox", "/etc"], 126),
        (&["run", "--nosuch", "busybox"], 125),
        (&["run", "--pull", "never", "nosuchimage"], 125),
        (&["create", "--pull", "never", "nosuchimage"], 1),
        (&["ps", "--nosuch"], 125),
        (&["ps", "extra"], 1),
        (&["nosuch"], 1),
        (&["exec", "missing", "true"], 1),
        (&["rm", "missing"], 1),
        (&["rm", "-f", "missing"], 0),
        (&["stop", "missing"], 1),
        (&["inspect", "missing"], 1),
        (&["volume", "rm", "missing"], 1),
        (&["container", "exists", "missing"], 1),
    ] {
        let done = s.rcon(args.iter().copied());
        assert_eq!(done.code, code, "{args:?}: {}", done.stderr);
        if !matches!(code, 0 | 42) && args.get(1) != Some(&"exists") {
            assert!(done.stderr.contains("Error: "), "{args:?}: {}", done.stderr);
        }
    }
}

#[test]
fn mistakes_are_answered_with_what_was_meant() {
    let s = Sandbox::new("cli-hints");
    for (args, hint) in [
        (&["rnu"][..], "did you mean 'rcon run'?"),
        (&["volume", "creat"], "did you mean 'rcon volume create'?"),
        (&["run", "--read-onyl", "x"], "did you mean --read-only?"),
        (&["run", "--pod", "p", "x"], "--pod is not supported: pods are not there yet"),
        (&["-H", "tcp://x", "ps"], "--host is not supported"),
        (&["run", "-m", "lots", "x"], "invalid argument \"lots\" for \"--memory\" flag"),
        (&["run", "-p", "80:x", "x"], "invalid containerPort: x"),
        (&["ps", "--filter", "x"], "bad format of filter"),
    ] {
        let done = s.rcon(args.iter().copied());
        assert_ne!(done.code, 0, "{args:?}");
        assert!(done.stderr.contains(hint), "{args:?}: {}", done.stderr);
        assert!(done.stdout.is_empty(), "{args:?}: {}", done.stdout);
    }
}

#[test]
fn environment_files_labels_and_cidfile() {
    let s = Sandbox::with_images("cli-files", &["busybox"]);
    let dir = std::env::temp_dir().join(format!("rcon-cli-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("folder");
    let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
    std::fs::write(path("env"), "# c\nA=1\nB=two words\n\n").expect("file");
    std::fs::write(path("labels"), "x=from file\ny=2\n").expect("file");
    let shown = s.rcon([
        "run",
        "--network",
        "none",
        "--name",
        "f",
        "--env-file",
        &path("env"),
        "-e",
        "A=2",
        "--label-file",
        &path("labels"),
        "-l",
        "y=3",
        "--cidfile",
        &path("cid"),
        "busybox",
        "sh",
        "-c",
        "echo $A/$B",
    ]);
    assert_eq!(shown.ok(), "2/two words");
    let labels = s.rcon(["inspect", "f", "--format", "{{.Config.Labels.x}}|{{.Config.Labels.y}}"]);
    assert_eq!(labels.ok(), "from file|3");
    let id = s.rcon(["inspect", "f", "--format", "{{.Id}}"]).ok().to_owned();
    assert_eq!(std::fs::read_to_string(path("cid")).expect("the id"), id);
    let again = s.rcon(["run", "--network", "none", "--cidfile", &path("cid"), "busybox", "true"]);
    assert!(again.fails(125).contains("cid"), "{}", again.stderr);
    s.rcon(["rm", "f"]).ok();
    std::fs::remove_dir_all(&dir).expect("remove");
}

#[test]
fn completion_knows_what_is_there() {
    let s = Sandbox::with_images("cli-complete", &["busybox"]);
    s.rcon(["create", "--name", "findme", "busybox"]).ok();
    s.rcon(["volume", "create", "myvolume"]).ok();
    assert!(s.rcon(["__complete", "--", "rm", "find"]).ok().starts_with("findme"));
    assert_eq!(s.rcon(["__complete", "--", "volume", "rm", "my"]).ok(), "myvolume");
    assert!(s.rcon(["__complete", "--", "run", "busy"]).ok().starts_with("busybox"));
    s.rcon(["volume", "rm", "myvolume"]).ok();
    s.rcon(["rm", "findme"]).ok();
}
