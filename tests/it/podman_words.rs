//! What a program that is called `podman` says: podman's sentences, podman's JSON, names of images in full.

use serde_json::Value;

use crate::podman_manner::called;
use crate::support::{Done, Sandbox};

fn podman(s: &Sandbox, args: &[&str]) -> Done {
    let mut command = called(s, "podman");
    command.args(args);
    s.finish(command)
}

fn json(s: &Sandbox, args: &[&str]) -> Value {
    serde_json::from_str(podman(s, args).ok()).expect("one JSON document")
}

#[test]
fn errors_are_said_in_podman_s_words_and_in_docker_s_otherwise() {
    let s = Sandbox::with_images("words", &["busybox"]);
    s.rcon(["run", "-d", "--name", "up", "--network", "none", "busybox", "sleep", "1000"]).ok();
    s.rcon(["create", "--name", "idle", "busybox"]).ok();
    for (args, code, said) in [
        (&["start", "nobody"][..], 125, "no container with name or ID \"nobody\" found: no such container"),
        (&["rm", "nobody"], 1, "no container with ID or name \"nobody\" found: no such container"),
        (&["rm", "up"], 2, "containers cannot be removed without force: container state improper"),
        (&["rmi", "nothing"], 1, "Error: nothing: image not known"),
        (&["rmi", "nothing:latest"], 1, "Error: nothing:latest: image not known"),
        (&["run", "--pull", "never", "nothing"], 125, "Error: nothing: image not known"),
        (&["volume", "rm", "none"], 1, "no volume with name \"none\" found: no such volume"),
        (
            &["network", "connect", "nonet", "up"],
            125,
            "unable to find network with name or ID nonet: network not found",
        ),
        (&["attach", "idle"], 125, "you can only attach to running containers"),
        (&["unpause", "idle"], 125, "is not paused, can't unpause: container state improper"),
        (&["nonsense"], 125, "unrecognized command `podman nonsense`"),
        (&["stop", "--filter", "name=x", "up"], 125, "--filter takes no arguments"),
        (&["logs", "-l", "up"], 125, "--latest and containers cannot be used together"),
        (
            &["create", "--health-cmd", "true", "--health-retries", "0", "busybox"],
            125,
            "healthcheck-retries must be greater than 0",
        ),
        (&["load", "-i", "/no/file"], 125, "/no/file: no such file or directory"),
    ] {
        let told = podman(&s, args);
        assert!(told.fails(code).contains(said), "podman {args:?}: {}", told.stderr);
    }
    assert!(s.rcon(["start", "nobody"]).fails(1).contains("No such container: nobody"));
    assert!(s.rcon(["rmi", "nothing"]).fails(1).contains("No such image: nothing:latest"));
}

#[test]
fn images_have_their_names_in_full() {
    let s = Sandbox::with_images("full-names", &["busybox"]);
    podman(&s, &["tag", "busybox", "mine"]).ok();
    let names = podman(&s, &["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().to_owned();
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["docker.io/library/busybox:latest", "localhost/mine:latest"]);
    let id = podman(&s, &["image", "inspect", "-f", "{{.Id}}", "mine"]).ok().to_owned();
    assert_eq!(id.len(), 64);
    // The end of a name is enough, as podman has it; docker has it not.
    podman(&s, &["tag", "mine", "127.0.0.1:9/team/far:1"]).ok();
    assert_eq!(podman(&s, &["image", "inspect", "-f", "{{.Id}}", "far:1"]).ok(), id);
    assert_eq!(podman(&s, &["run", "--rm", "--network", "none", "far:1", "echo", "x"]).ok(), "x");
    s.rcon(["image", "inspect", "far:1"]).fails(1);
    assert_eq!(podman(&s, &["rmi", "far:1"]).ok(), "Untagged: 127.0.0.1:9/team/far:1");
    s.rcon(["create", "--name", "c", "busybox"]).ok();
    assert_eq!(podman(&s, &["commit", "-q", "c", "made"]).ok().len(), 64);
    podman(&s, &["image", "exists", "localhost/made"]).ok();
    let images = json(&s, &["images", "--format", "json"]);
    let all = images.as_array().expect("a list");
    assert_eq!(all.len(), 2, "one for each image, not for each name");
    let busybox = all.iter().find(|i| i["Id"] == id.as_str()).expect("the image");
    assert_eq!(
        busybox["Names"],
        serde_json::json!(["docker.io/library/busybox:latest", "localhost/mine:latest"])
    );
    assert!(busybox["Created"].is_i64() && busybox["Size"].is_u64(), "{busybox}");
}

#[test]
fn json_has_podman_s_shape() {
    let s = Sandbox::with_images("shapes", &["busybox"]);
    assert_eq!(json(&s, &["ps", "-a", "--format", "json"]), serde_json::json!([]));
    podman(&s, &["run", "-d", "--name", "c", "--label", "a=b", "-v", "vol:/v", "busybox", "sleep", "1000"])
        .ok();
    let listed = json(&s, &["ps", "--format", " json"]);
    let c = &listed[0];
    assert_eq!(c["Names"], serde_json::json!(["c"]));
    assert_eq!(c["Command"], serde_json::json!(["sleep", "1000"]));
    assert_eq!(c["Networks"], serde_json::json!(["podman"]));
    assert_eq!(c["Labels"], serde_json::json!({ "a": "b" }));
    assert_eq!(c["Mounts"], serde_json::json!(["/v"]));
    assert!(c["Created"].is_i64() && c["Id"].as_str().is_some_and(|id| id.len() == 64), "{c}");
    assert_eq!(podman(&s, &["ps", "--format", "{{.Command}} {{.Networks}}"]).ok(), "sleep 1000 podman");
    assert_eq!(
        podman(&s, &["inspect", "-f", "{{.Name}} {{.NetworkSettings.Networks.podman.Gateway}}", "c"])
            .ok()
            .split(' ')
            .next(),
        Some("c")
    );
    assert!(s.rcon(["ps", "--format", "json"]).ok().starts_with("{\"Command\":\"\\\"sleep 1000\\\"\""));
    let networks = json(&s, &["network", "ls", "--format", "json"]);
    assert_eq!(networks.as_array().map(Vec::len), Some(1), "{networks}");
    assert_eq!(networks[0]["name"], "podman");
    assert_eq!(
        podman(&s, &["network", "create", "--subnet", "10.99.3.0/24", "--ip-range", "10.99.3.128/25", "net"])
            .ok(),
        "net"
    );
    let net = json(&s, &["network", "inspect", "net"]);
    assert_eq!(net[0]["subnets"][0]["subnet"], "10.99.3.0/24");
    assert!(net[0]["subnets"][0]["lease_range"]["start_ip"].is_string(), "{net}");
    podman(&s, &["network", "connect", "net", "c"]).ok();
    let net = json(&s, &["network", "inspect", "net"]);
    let id = s.inspect("c", "{{.Id}}");
    assert_eq!(net[0]["containers"][&id]["name"], "c", "{net}");
    assert!(net[0]["containers"][&id]["interfaces"]["eth1"]["subnets"][0]["ipnet"].is_string(), "{net}");
    let volumes = json(&s, &["volume", "ls", "--format", "json"]);
    assert_eq!(volumes[0]["Name"], "vol");
    assert!(volumes[0]["Mountpoint"].is_string() && volumes[0]["Labels"].is_object(), "{volumes}");
    assert_eq!(json(&s, &["secret", "ls", "--format", "json"]), serde_json::json!([]));
    // Paused ones are shown with --all alone, as podman has it.
    podman(&s, &["pause", "c"]).ok();
    assert_eq!(podman(&s, &["ps", "-q"]).ok(), "");
    assert_eq!(s.rcon(["ps", "-q"]).ok().len(), 12);
}

#[test]
fn lists_are_narrowed_by_command_and_by_what_a_boot_starts() {
    let s = Sandbox::with_images("filters", &["busybox"]);
    s.rcon(["run", "-d", "--name", "a", "--network", "none", "--restart", "always", "busybox", "top", "-b"])
        .ok();
    s.rcon(["create", "--name", "b", "--restart", "always", "busybox", "sleep", "1"]).ok();
    let names =
        |filter: &str| s.rcon(["ps", "-a", "--filter", filter, "--format", "{{.Names}}"]).ok().to_owned();
    assert_eq!(names("command=top"), "a");
    assert_eq!(names("command=^s"), "b");
    assert_eq!(names("should-start-on-boot=true"), "a");
    assert_eq!(names("should-start-on-boot=false"), "b");
    s.rcon(["ps", "--filter", "should-start-on-boot=x"]).fails(1);
}

#[test]
fn a_prune_takes_initialized_containers_and_secrets_have_events() {
    let s = Sandbox::with_images("prune-init", &["busybox"]);
    s.rcon(["create", "--name", "c", "--network", "none", "busybox", "true"]).ok();
    s.rcon(["init", "c"]).ok();
    s.rcon(["container", "prune", "-f"]).ok();
    assert_eq!(s.rcon(["ps", "-aq"]).ok(), "");
    s.rcon_with_input(["secret", "create", "db", "-"], b"x").ok();
    s.rcon(["secret", "rm", "db"]).ok();
    let events = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "type=secret",
        "--format",
        "{{.Type}} {{.Action}}",
    ];
    assert_eq!(s.rcon(events).ok(), "secret create\nsecret remove");
}
