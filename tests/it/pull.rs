//! `pull`, `images`, `image inspect`, `tag`, `rmi` on a registry that behaves.

use std::collections::BTreeSet;
use std::path::Path;

use super::support::{RegistryKind, Sandbox};

const REGISTRY: &str = "127.0.0.1:5000";

fn layers(sandbox: &Sandbox) -> BTreeSet<String> {
    let dir = sandbox.root().join("layers");
    let Ok(entries) = std::fs::read_dir(dir) else { return BTreeSet::new() };
    entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

fn empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut d| d.next().is_none())
}

#[test]
fn a_pulled_image_is_listed_and_removed_without_a_trace() {
    let s = Sandbox::with_registry("pull-rmi");
    assert_eq!(s.rcon(["pull", "-q", "busybox"]).ok(), "docker.io/library/busybox:latest");
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok(), "busybox:latest");
    let id = s.rcon(["images", "-q", "--no-trunc"]).ok().to_owned();
    assert_eq!(s.rcon(["image", "inspect", "--format", "{{.Id}}", "busybox"]).ok(), id);
    assert_eq!(s.rcon(["image", "inspect", "--format", "{{.Id}}", &id[7..19]]).ok(), id);
    assert_eq!(s.rcon(["inspect", "--format", "{{.Os}}/{{.Architecture}}", "busybox"]).ok(), "linux/amd64");
    assert_eq!(layers(&s).len(), 1);
    let again = s.rcon(["pull", "busybox"]);
    again.ok();
    assert!(again.stderr.starts_with("latest: Pulling from library/busybox\n"), "{}", again.stderr);
    assert!(again.stderr.contains("\nDigest: sha256:"), "{}", again.stderr);
    assert!(again.stderr.contains("Status: Image is up to date for busybox:latest"), "{}", again.stderr);
    let removed = s.rcon(["rmi", "busybox"]);
    assert!(removed.ok().starts_with("Untagged: busybox:latest\n"), "{}", removed.stdout);
    assert!(removed.stdout.contains(&format!("Deleted: {id}\n")), "{}", removed.stdout);
    let run = s.rcon(["run", "--rm", "--network", "none", "busybox", "true"]);
    run.ok();
    assert!(run.stderr.ends_with("\nStatus: Downloaded newer image for busybox:latest\n"), "{}", run.stderr);
    s.rcon(["rmi", "busybox"]).ok();
    assert!(layers(&s).is_empty());
    assert!(empty(&s.root().join("tmp")) && empty(&s.root().join("trash")));
    assert!(s.rcon(["rmi", "busybox"]).fails(1).contains("No such image: busybox:latest"));
    assert_eq!(s.rcon(["image", "exists", "busybox"]).code, 1);
}

#[test]
fn every_compression_and_media_type_gives_the_same_layers() {
    let s = Sandbox::with_registry("pull-forms");
    let mut seen = BTreeSet::new();
    for form in ["special", "special-zstd", "special-plain", "special-docker"] {
        s.rcon(["pull", "-q", &format!("{REGISTRY}/{form}")]).ok();
        seen.insert(
            s.rcon([
                "image",
                "inspect",
                "--format",
                "{{json .RootFS.Layers}}",
                &format!("{REGISTRY}/{form}"),
            ])
            .ok()
            .to_owned(),
        );
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

#[test]
fn many_layers_and_sparse_files_are_pulled() {
    let s = Sandbox::with_registry("pull-many");
    s.rcon(["pull", "-q", "layers"]).ok();
    assert!(layers(&s).len() > 100);
    s.rcon(["pull", "-q", "sparse"]).ok();
    // A second name of the same layers fetches none of them.
    let done = s.rcon(["pull", &format!("{REGISTRY}/layers")]);
    assert!(done.ok().ends_with("layers:latest"));
}

#[test]
fn the_platform_decides() {
    let s = Sandbox::with_registry("pull-platform");
    s.rcon(["pull", "-q", "multi"]).ok();
    assert_eq!(s.rcon(["image", "inspect", "--format", "{{.Architecture}}", "multi"]).ok(), "amd64");
    s.rcon(["pull", "-q", "--platform", "linux/arm64", "multi"]).ok();
    assert_eq!(s.rcon(["image", "inspect", "--format", "{{.Architecture}}", "multi"]).ok(), "arm64");
    let refused = s.rcon(["pull", "--platform", "linux/s390x", "multi"]);
    assert!(
        refused.fails(1).contains("no image for platform linux/s390x; there are: linux/amd64, linux/arm64"),
        "{}",
        refused.stderr
    );
    let refused = s.rcon(["pull", "--platform", "linux/arm64", "busybox"]);
    assert!(refused.fails(1).contains("there are: linux/amd64"), "{}", refused.stderr);
}

#[test]
fn names_move_and_images_stay_until_the_last_one_goes() {
    let s = Sandbox::with_registry("pull-tag");
    s.rcon(["pull", "-q", "busybox"]).ok();
    s.rcon(["tag", "busybox", "mine", "quay.io/team/app:2"]).ok();
    let mut names: Vec<String> =
        s.rcon(["images", "--format", "{{.Repository}}:{{.Tag}}"]).ok().lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["busybox:latest", "mine:latest", "quay.io/team/app:2"]);
    let id = s.rcon(["images", "-q"]).ok().to_owned();
    assert_eq!(id.len(), 12, "one image, one id: {id}");
    assert!(
        s.rcon(["rmi", &id])
            .fails(1)
            .contains("must be forced) - image is referenced in multiple repositories")
    );
    assert!(s.rcon(["rmi", "busybox"]).ok().starts_with("Untagged: busybox:latest"));
    assert_eq!(s.rcon(["rmi", "mine"]).ok(), "Untagged: mine:latest");
    assert!(
        s.rcon(["tag", "quay.io/team/app:2", "Bad/Name@x"]).fails(1).contains("invalid reference format")
    );
    s.rcon(["untag", "quay.io/team/app:2"]).ok();
    assert_eq!(s.rcon(["images", "--filter", "dangling=true", "-q"]).ok(), id);
    s.rcon(["image", "prune", "-f"]).ok();
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
    assert!(layers(&s).is_empty());
}

#[test]
fn a_digest_pins_and_filters_choose() {
    let s = Sandbox::with_registry("pull-digest");
    s.rcon(["pull", "-q", "busybox"]).ok();
    let digest = s.rcon(["images", "--digests", "--format", "{{.Digest}}"]).ok().to_owned();
    assert!(digest.starts_with("sha256:"));
    s.rcon(["rmi", "busybox"]).ok();
    assert_eq!(
        s.rcon(["pull", "-q", &format!("busybox@{digest}")]).ok(),
        format!("docker.io/library/busybox@{digest}")
    );
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}} {{.Tag}}"]).ok(), "busybox <none>");
    let wrong = format!("busybox@sha256:{}", "0".repeat(64));
    assert!(s.rcon(["pull", &wrong]).fails(1).contains("manifest unknown"));
    s.rcon(["pull", "-q", "hello-world"]).ok();
    let list =
        |filter: &str| s.rcon(["images", "--filter", filter, "--format", "{{.Repository}}"]).ok().to_owned();
    assert_eq!(list("reference=hello*"), "hello-world");
    assert_eq!(list("reference=busybox@*"), "busybox");
    assert_eq!(list("label=no=such"), "");
    assert_eq!(s.rcon(["images", "--format", "{{.Repository}}", "hello-world:latest"]).ok(), "hello-world");
    assert!(s.rcon(["images", "--filter", "nonsense=1"]).fails(1).contains("invalid filter 'nonsense'"));
}

#[test]
fn what_is_not_there_is_said_in_one_line() {
    let s = Sandbox::with_registry("pull-absent");
    let e = s.rcon(["pull", "busybox:nosuchtag"]);
    assert!(e.fails(1).contains("Error: pulling busybox:nosuchtag: "), "{}", e.stderr);
    assert!(e.stderr.contains("manifest unknown"), "{}", e.stderr);
    let e = s.rcon(["pull", &format!("{REGISTRY}/nosuchrepo")]);
    assert!(e.fails(1).contains("no such image"), "{}", e.stderr);
    let e = s.rcon(["pull", "127.0.0.1:9/x"]);
    assert!(
        e.fails(1).contains("127.0.0.1:9: cannot reach the registry: Connection refused"),
        "{}",
        e.stderr
    );
    let e = s.rcon(["pull", "Nginx"]);
    assert!(e.fails(1).contains("must be lowercase"), "{}", e.stderr);
    let e = s.rcon(["pull", "nosuchhost.invalid/x"]);
    assert!(e.fails(1).contains("nosuchhost.invalid: cannot reach the registry"), "{}", e.stderr);
    let e = s.rcon(["run", "--rm", "--pull=never", "busybox", "true"]);
    assert!(e.fails(125).contains("No such image: busybox:latest"), "{}", e.stderr);
    assert!(layers(&s).is_empty() && empty(&s.root().join("tmp")));
}

#[test]
fn mirrors_search_lists_aliases_and_blocks_are_heeded() {
    let s = Sandbox::new("pull-conf");
    let registry = s.registry(RegistryKind::Plain);
    let conf = s.dir().join("registries.conf");
    std::fs::write(
        &conf,
        format!(
            r#"
unqualified-search-registries = ["127.0.0.1:9", "{registry}"]
[aliases]
"hello" = "{registry}/hello-world"
[[registry]]
prefix = "mirrored.example/team"
location = "127.0.0.1:9"
[[registry.mirror]]
location = "127.0.0.1:9/absent"
[[registry.mirror]]
location = "{registry}"
insecure = true
[[registry]]
prefix = "evil.example"
blocked = true
"#
        ),
    )
    .expect("registries.conf");
    assert_eq!(s.rcon(["pull", "-q", "busybox"]).ok(), format!("{registry}/busybox:latest"));
    assert_eq!(s.rcon(["pull", "-q", "hello"]).ok(), format!("{registry}/hello-world:latest"));
    assert_eq!(
        s.rcon(["pull", "-q", "mirrored.example/team/special"]).ok(),
        "mirrored.example/team/special:latest"
    );
    let e = s.rcon(["pull", "evil.example/x"]);
    assert!(e.fails(1).contains("registry blocked") && e.stderr.contains("registries.conf"), "{}", e.stderr);
    let e = s.rcon(["pull", "nosuch"]);
    assert!(e.fails(1).contains("not found in any registry"), "{}", e.stderr);
}
