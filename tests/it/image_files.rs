//! Images in files: `save`, `load`, `import` and the transports `docker-archive:`, `oci-archive:`, `oci:`, `dir:`, with
//! skopeo as the judge of what is written and the maker of what is read.

use std::io::Write as _;

use super::support::{RegistryKind, Sandbox, sh};

const REGISTRY: &str = "127.0.0.1:5000";

fn id(s: &Sandbox, name: &str) -> String {
    s.rcon(["image", "inspect", "--format", "{{.Id}}", name]).ok().to_owned()
}

#[test]
fn every_form_goes_out_and_comes_back_as_the_same_image() {
    let s = Sandbox::with_registry("files-forms");
    let image = format!("{REGISTRY}/special");
    s.rcon(["pull", "-q", &image]).ok();
    let want = id(&s, &image);
    let dir = s.dir().display().to_string();
    for (format, out, transport) in [
        ("docker-archive", "a.tar", "docker-archive"),
        ("oci-archive", "b.tar", "oci-archive"),
        ("oci-dir", "c", "oci"),
        ("docker-dir", "d", "dir"),
    ] {
        let path = format!("{dir}/{out}");
        s.rcon(["save", "--format", format, "-o", &path, &image]).ok();
        // skopeo checks every digest on the way.
        sh(&format!("skopeo copy -q {transport}:{path} dir:{dir}/copy-{out}"));
        s.rcon(["rmi", "-f", &want]).ok();
        let loaded = s.rcon(["load", "-i", &path]);
        loaded.ok();
        assert_eq!(id(&s, &want), want, "{format}");
        s.rcon(["rmi", "-f", &want]).ok();
        s.rcon(["pull", "-q", &format!("{transport}:{path}")]).ok();
        assert_eq!(id(&s, &want), want, "{format}");
        let name = if format == "docker-dir" { format!("localhost{path}") } else { image.clone() };
        assert_eq!(id(&s, &name), want, "{format}");
        if format == "docker-dir" {
            s.rcon(["tag", &name, &image]).ok();
        }
    }
}

#[test]
fn what_skopeo_writes_is_read_by_name() {
    let s = Sandbox::with_registry("files-skopeo");
    let dir = s.dir().display().to_string();
    let copy = |what: &str, to: &str| {
        sh(&format!("skopeo copy -q --src-tls-verify=false docker://{REGISTRY}/{what} {to}"));
    };
    copy("busybox", &format!("oci:{dir}/l:one"));
    copy("hello-world", &format!("oci:{dir}/l:two"));
    copy("busybox", &format!("docker-archive:{dir}/a.tar:foo:1"));
    copy("multi --all", &format!("dir:{dir}/m"));
    assert_eq!(s.rcon(["pull", "-q", &format!("oci:{dir}/l:two")]).ok(), "localhost/two:latest");
    assert_eq!(
        s.rcon(["pull", "-q", &format!("docker-archive:{dir}/a.tar:foo:1")]).ok(),
        "docker.io/library/foo:1"
    );
    assert_eq!(
        s.rcon(["pull", "-q", &format!("docker-archive:{dir}/a.tar:@0")]).ok(),
        "docker.io/library/foo:1"
    );
    s.rcon(["pull", "-q", "--platform", "linux/arm64", &format!("dir:{dir}/m")]).ok();
    assert_eq!(s.inspect(&format!("localhost{dir}/m"), "{{.Architecture}}"), "arm64");
    let e = s.rcon(["pull", &format!("oci:{dir}/l:three")]);
    assert!(e.fails(1).contains("it holds no image \"three\""), "{}", e.stderr);
    let e = s.rcon(["pull", "docker-daemon:busybox"]);
    assert!(e.fails(1).contains("docker save IMAGE | rcon load"), "{}", e.stderr);
    assert_eq!(
        s.rcon(["run", "--rm", "--network", "none", &format!("oci:{dir}/l:one"), "echo", "hi"]).ok(),
        "hi"
    );
}

#[test]
fn a_layout_whose_links_lead_out_of_it_gives_nothing() {
    let s = Sandbox::with_registry("files-links");
    let dir = s.dir().display().to_string();
    sh(&format!("skopeo copy -q --src-tls-verify=false docker://{REGISTRY}/busybox dir:{dir}/d"));
    sh(&format!(
        "cd {dir}; cp d/manifest.json outside; rm d/manifest.json; ln -s ../outside d/manifest.json"
    ));
    let e = s.rcon(["load", "-i", &format!("{dir}/d")]);
    assert!(e.fails(1).contains("neither manifest.json nor index.json"), "{}", e.stderr);
}

#[test]
fn a_push_into_files_keeps_what_is_there() {
    let s = Sandbox::with_registry("files-push");
    s.rcon(["pull", "-q", "busybox"]).ok();
    let dir = s.dir().display().to_string();
    s.rcon(["push", "-q", "busybox", &format!("oci:{dir}/l:one")]).ok();
    s.rcon(["push", "-q", "busybox", &format!("oci:{dir}/l:two")]).ok();
    for tag in ["one", "two"] {
        sh(&format!("skopeo inspect oci:{dir}/l:{tag} >/dev/null"));
    }
    let digests = s.dir().join("digest");
    let file = digests.display().to_string();
    s.rcon(["push", "--digestfile", &file, "busybox", &format!("dir:{dir}/d")]).ok();
    let digest = std::fs::read_to_string(digests).expect("the digest");
    assert_eq!(sh(&format!("echo sha256:$(sha256sum {dir}/d/manifest.json | cut -d' ' -f1)")), digest.trim());
    s.rcon(["push", "-q", "busybox", &format!("docker-archive:{dir}/a.tar:x/y:2")]).ok();
    let e = s.rcon(["push", "-q", "busybox", &format!("docker-archive:{dir}/a.tar")]);
    assert!(e.fails(1).contains("cannot be changed"), "{}", e.stderr);
    assert_eq!(s.rcon(["load", "-i", &format!("{dir}/a.tar")]).ok(), "Loaded image: x/y:2");
}

#[test]
fn a_loaded_docker_archive_can_be_pushed_and_pulled_by_others() {
    let s = Sandbox::with_registry("files-sizes");
    let target = s.empty_registry(RegistryKind::Plain, 5002);
    let dir = s.dir().display().to_string();
    sh(&format!(
        "skopeo copy -q --src-tls-verify=false docker://{REGISTRY}/debian docker-archive:{dir}/a.tar:deb:1"
    ));
    s.rcon(["load", "-i", &format!("{dir}/a.tar")]).ok();
    let to = format!("{target}/deb:1");
    s.rcon(["push", "-q", "deb:1", &to]).ok();
    sh(&format!("skopeo copy -q --src-tls-verify=false docker://{to} dir:{dir}/back"));
    let raw = sh(&format!("skopeo inspect --raw --tls-verify=false docker://{to}"));
    assert!(!raw.contains("\"size\":0"), "{raw}");
}

#[test]
fn several_images_packed_streams_and_nonsense() {
    let s = Sandbox::with_images("files-many", &["busybox", "hello-world"]);
    s.rcon(["tag", "busybox", "other:2"]).ok();
    let dir = s.dir().display().to_string();
    let path = format!("{dir}/all.tar");
    s.rcon(["save", "-m", "-o", &path, "busybox", "other:2", "hello-world"]).ok();
    s.rcon(["rmi", "-f", "busybox", "other:2", "hello-world"]).ok();
    for packer in ["gzip -c", "zstd -qc", "cat"] {
        if packer.starts_with("zstd") && std::process::Command::new("zstd").arg("-V").output().is_err() {
            continue;
        }
        let packed = std::process::Command::new("sh").args(["-c", &format!("{packer} < {path}")]).output();
        let done = s.rcon_with_input(["load"], &packed.expect("packs").stdout);
        let mut lines: Vec<&str> = done.ok().lines().collect();
        lines.sort_unstable();
        let want =
            ["Loaded image: busybox:latest", "Loaded image: hello-world:latest", "Loaded image: other:2"];
        assert_eq!(lines, want, "{packer}");
        s.rcon(["rmi", "-f", "busybox", "other:2", "hello-world"]).ok();
    }
    let bad = s.dir().join("bad");
    std::fs::File::create(&bad).expect("file").write_all(&[7; 5000]).expect("write");
    let e = s.rcon(["load", "-i", &bad.display().to_string()]);
    assert!(e.fails(1).contains("payload does not match any of the supported image formats"), "{}", e.stderr);
    let whole = std::fs::read(&path).expect("archive");
    std::fs::write(&bad, &whole[..whole.len() / 2]).expect("write");
    s.rcon(["load", "-i", &bad.display().to_string()]).fails(1);
    assert_eq!(s.rcon(["images", "-q"]).ok(), "");
}

#[test]
fn a_layer_that_holds_an_entry_twice_is_saved_as_it_came() {
    let s = Sandbox::with_images("twice", &["busybox"]);
    let dir = s.dir().display().to_string();
    sh(&format!(
        "cd {dir}; mkdir d; echo first > d/f; tar -cf l.tar d; echo second content > d/f; tar -rf l.tar d/f
         rm -r d; ln -s /etc d; tar -rf l.tar d"
    ));
    let tar = format!("{dir}/l.tar");
    let id = s.rcon(["import", &tar, "twice:1"]).ok().to_owned();
    let saved = format!("{dir}/saved.tar");
    s.rcon(["save", "-o", &saved, "twice:1"]).ok();
    s.rcon(["rmi", "twice:1"]).ok();
    s.rcon(["load", "-i", &saved]).ok();
    assert_eq!(s.rcon(["image", "inspect", "-f", "{{.Id}}", "twice:1"]).ok(), id);
    // What was loaded is whole, too.
    s.rcon(["save", "-o", &format!("{dir}/again.tar"), "twice:1"]).ok();
    let to = s.empty_registry(RegistryKind::Plain, 5002);
    s.rcon(["push", "-q", "twice:1", &format!("{to}/twice:1")]).ok();
    s.rcon(["rmi", "-f", &id]).ok();
    s.rcon(["pull", "-q", &format!("{to}/twice:1")]).ok();
    assert_eq!(s.rcon(["image", "inspect", "-f", "{{.Id}}", &format!("{to}/twice:1")]).ok(), id);
}
