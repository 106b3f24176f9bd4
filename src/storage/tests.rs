//! The store as its callers use it.

use sha2::{Digest as _, Sha256};

use super::containers::{Desired, Stored};
use super::images::Document;
use super::layers::{self, Blob};
use super::testing::{Scratch, scratch, spec};
use super::unpack::Limits;
use super::volumes::NewVolume;
use super::*;
use crate::model::container::Phase;
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::storage::error::Kind;

fn store(name: &str) -> (Scratch, Store) {
    let dir = scratch(name);
    let store = Store::open(&dir.paths()).expect("open");
    (dir, store)
}

fn sha(bytes: &[u8]) -> Digest {
    Digest::sha256(Sha256::digest(bytes).into())
}

/// A tar with one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut header = ::tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).expect("append");
    builder.into_inner().expect("tar")
}

fn image(id: &str, name: &str, tars: &[Vec<u8>]) -> (Image, Vec<Document>) {
    let config = id.as_bytes().to_vec();
    let diff_ids: Vec<_> = tars.iter().map(|t| sha(t)).collect();
    let image = Image {
        id: sha(&config),
        manifest: sha(b"manifest"),
        index: None,
        names: vec![name.to_owned()],
        digests: vec![],
        created: None,
        os: "linux".into(),
        architecture: "amd64".into(),
        variant: String::new(),
        author: String::new(),
        comment: String::new(),
        config: Default::default(),
        layers: layers::chain_ids(&diff_ids),
        diff_ids,
        size: 0,
    };
    let document =
        Document { digest: image.id.clone(), media_type: "application/json".into(), bytes: config };
    (image, vec![document])
}

fn pull(store: &Store, image: &(Image, Vec<Document>), tars: &[Vec<u8>]) -> usize {
    let pull = store.begin_pull(layers::wanted(&image.0.diff_ids), &mut |_| {}).expect("begin");
    let mut staged = Vec::new();
    for wanted in pull.missing() {
        let tar = tars.iter().find(|t| sha(t) == wanted.diff_id).expect("a tar");
        let writer = pull.writer(wanted, &Limits::default()).expect("writer");
        staged.push(writer.unpack(tar.as_slice()).expect("unpack"));
    }
    let made = staged.len();
    let blobs = [Blob {
        digest: sha(b"blob"),
        diff_id: image.0.diff_ids[0].clone(),
        media_type: "t".into(),
        size: 1,
        source: "h/r".into(),
    }];
    pull.publish(store, staged, Some((&image.0, &image.1)), &blobs).expect("publish");
    made
}

#[test]
fn containers_by_name_and_id() {
    let (_dir, store) = store("containers");
    let one = spec(0x11, "one");
    store.insert_container(&one, &Stored::Created).expect("insert");
    let taken = store.insert_container(&spec(0x22, "one"), &Stored::Created).expect_err("taken");
    assert!(matches!(taken, Error::NameTaken { ref id, .. } if *id == one.id), "{taken}");
    assert!(!store.paths().container(&spec(0x22, "x").id).exists(), "the failed one left nothing");
    let mut near = spec(0x11, "near");
    near.id = format!("{}2", &one.id.as_str()[..63]).parse().expect("id");
    store.insert_container(&near, &Stored::Created).expect("insert");
    assert_eq!(store.find_container("one").expect("name").id, one.id);
    assert_eq!(store.find_container(one.id.as_str()).expect("id").name, "one");
    assert!(matches!(store.find_container("1111"), Err(Error::Ambiguous { .. })));
    assert!(matches!(store.find_container("nope"), Err(Error::NotFound { .. })));
    assert_eq!(store.spec(&one.id).expect("spec"), one);
    store.rename_container(&one.id, "uno").expect("rename");
    assert_eq!(store.spec(&one.id).expect("spec").name, "uno");
    assert!(matches!(store.rename_container(&near.id, "uno"), Err(Error::NameTaken { .. })));
    assert_eq!(store.list_containers().expect("list").len(), 2);
    store.set_desired(&one.id, Desired::Running).expect("desired");
    assert_eq!(store.container(&one.id).expect("get").desired, Desired::Running);
    store.remove_container(&one.id).expect("remove");
    assert!(!store.paths().container(&one.id).exists());
    assert!(matches!(store.remove_container(&one.id), Err(Error::NotFound { .. })));
    assert_eq!(store.find_container("1111").expect("unique now").id, near.id);
}

#[test]
fn a_lost_monitor_shows_as_exited() {
    let (dir, store) = store("phase");
    let one = spec(0x11, "one");
    let run = volatile::RunDir::acquire(&dir.paths(), &one.id).expect("run");
    store.insert_container(&one, &Stored::started_now().expect("boot id")).expect("insert");
    let summary = store.container(&one.id).expect("get");
    assert_eq!(store.phase(&summary).expect("phase"), Phase::Created, "starting");
    drop(run);
    let Phase::Exited(exited) = store.phase(&summary).expect("phase") else { panic!("exited") };
    assert_eq!((exited.code, exited.error.as_str()), (137, "monitor lost"));
    let before = Stored::Started { boot: "another".into(), at: jiff::Timestamp::now() };
    store.set_stored(&one.id, &before).expect("set");
    let summary = store.container(&one.id).expect("get");
    let Phase::Exited(exited) = store.phase(&summary).expect("phase") else { panic!("exited") };
    assert_eq!(exited.error, "host restarted");
}

#[test]
fn images_share_layers_and_give_them_back() {
    let (_dir, store) = store("images");
    let (base, top) = (tar("base", b"1"), tar("top", b"22"));
    let a = image("a", "docker.io/library/a:1", std::slice::from_ref(&base));
    let b = image("b", "docker.io/library/b:1", &[base.clone(), top.clone()]);
    assert_eq!(pull(&store, &a, std::slice::from_ref(&base)), 1);
    assert_eq!(pull(&store, &b, &[base.clone(), top.clone()]), 1, "the base is there already");
    let found = store.find_image("docker.io/library/b:1").expect("by name");
    assert_eq!((found.id.clone(), found.size), (b.0.id.clone(), 3));
    assert_eq!(store.find_image(&b.0.id.hex()[..6]).expect("by prefix").id, b.0.id);
    assert_eq!(store.document(&b.0.id).expect("read").expect("there").bytes, b"b");
    assert_eq!(store.image_children(&a.0.id).expect("children"), vec![b.0.id.clone()]);
    let top_chain = &b.0.layers[1];
    assert_eq!(std::fs::read(store.paths().layer_diff(top_chain).join("top")).expect("read"), b"22");
    let mut again = Vec::new();
    store.layer_tar(top_chain, &mut again).expect("tar");
    assert_eq!(again, top);
    let mut with_image = spec(0x33, "uses");
    with_image.root.image_id = Some(b.0.id.clone());
    with_image.root.layers = b.0.layers.clone();
    store.insert_container(&with_image, &Stored::Created).expect("insert");
    assert!(store.paths().upper(&with_image.id).is_dir());
    let used = store.remove_image(&b.0.id).expect_err("in use");
    assert!(
        matches!(used, Error::InUse { kind: Kind::Image, ref containers, .. } if containers[0].1 == "uses"),
        "{used}"
    );
    store.remove_container(&with_image.id).expect("remove");
    let removed = store.remove_image(&a.0.id).expect("remove a");
    assert!(removed.layers.is_empty(), "b still needs it");
    let removed = store.remove_image(&b.0.id).expect("remove b");
    assert_eq!(removed.layers.len(), 2);
    assert!(store.list_layers().expect("list").is_empty());
    assert!(!store.paths().layer(top_chain).exists());
    assert!(store.document(&b.0.id).expect("read").is_none());
    assert!(store.blobs_of(&b.0.diff_ids[0]).expect("blobs").is_empty());
}

#[test]
fn tags_move() {
    let (_dir, store) = store("tags");
    let layer = tar("x", b"1");
    let (a, b) = (
        image("a", "h/r:1", std::slice::from_ref(&layer)),
        image("b", "h/r:2", std::slice::from_ref(&layer)),
    );
    pull(&store, &a, std::slice::from_ref(&layer));
    pull(&store, &b, std::slice::from_ref(&layer));
    store.add_image_digest(&a.0.id, "h/r@sha256:00").expect("digest");
    assert_eq!(store.tag_image(&b.0.id, "h/r:1").expect("tag"), Some(a.0.id.clone()));
    assert!(store.image(&a.0.id).expect("a").names.is_empty(), "dangling");
    assert_eq!(store.image(&b.0.id).expect("b").names, ["h/r:1", "h/r:2"]);
    store.tag_image(&a.0.id, "h/r:3").expect("tag");
    assert_eq!(store.untag_image("h/r:3").expect("untag"), a.0.id);
    assert!(store.image(&a.0.id).expect("a").digests.is_empty(), "the repository's last name went");
    assert!(matches!(store.untag_image("h/r:3"), Err(Error::NotFound { .. })));
}

#[test]
fn volumes_in_use_stay() {
    let (_dir, store) = store("volumes");
    let named = NewVolume { name: Some("data".into()), ..NewVolume::default() };
    let volume = store.create_volume(&named).expect("create");
    assert!(std::path::Path::new(&volume.mountpoint).is_dir());
    assert!(matches!(store.create_volume(&named), Err(Error::Exists { .. })));
    assert_eq!(store.ensure_volume(&named).expect("ensure"), volume);
    let anonymous = store.create_volume(&NewVolume::default()).expect("anonymous");
    let mut user = spec(0x44, "user");
    user.mounts.push(
        serde_json::from_value(serde_json::json!({
            "kind": "volume", "name": "data", "source": volume.mountpoint, "target": "/data",
            "read_only": false, "recursive": true, "propagation": "rprivate", "flags": [],
        }))
        .expect("mount"),
    );
    store.insert_container(&user, &Stored::Created).expect("insert");
    assert!(matches!(store.remove_volume("data"), Err(Error::InUse { .. })));
    assert_eq!(store.prune_volumes(true, &|_| true).expect("prune").0, vec![anonymous.name]);
    store.remove_container(&user.id).expect("remove");
    store.remove_volume("data").expect("remove");
    assert!(!std::path::Path::new(&volume.mountpoint).exists());
    let gone = store.insert_container(&user, &Stored::Created).expect_err("volume is gone");
    assert!(matches!(gone, Error::GoneMeanwhile { kind: Kind::Volume, .. }));
}

#[test]
fn a_newer_database_is_refused_untouched() {
    let (dir, first) = store("newer");
    first.conn.execute_batch("PRAGMA user_version=999").expect("set");
    drop(first);
    assert!(matches!(Store::open(&dir.paths()), Err(Error::NewerSchema { found: 999, .. })));
}

#[test]
fn many_writers_at_once() {
    let (dir, _store) = store("writers");
    let paths = dir.paths();
    std::thread::scope(|scope| {
        for t in 0..8_u8 {
            let paths = &paths;
            scope.spawn(move || {
                for n in 0..10_u8 {
                    let store = Store::open(paths).expect("open");
                    let one = spec(t * 16 + n + 1, &format!("c{t}-{n}"));
                    store.insert_container(&one, &Stored::Created).expect("insert");
                }
            });
        }
    });
    let store = Store::open(&paths).expect("open");
    assert_eq!(store.list_containers().expect("list").len(), 80);
}

#[test]
fn the_second_puller_waits_and_finds_the_layer() {
    let (dir, store) = store("pullers");
    let layer = tar("x", b"1");
    let wanted = image("a", "h/r:1", std::slice::from_ref(&layer));
    let first = store.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_| {}).expect("begin");
    let paths = dir.paths();
    let diff_ids = wanted.0.diff_ids.clone();
    let waiter = std::thread::spawn(move || {
        let store = Store::open(&paths).expect("open");
        let mut waited = 0;
        let second = store.begin_pull(layers::wanted(&diff_ids), &mut |_| waited += 1).expect("begin");
        (waited, second.missing().len())
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    let writer = first.writer(&first.missing()[0].clone(), &Limits::default()).expect("writer");
    let staged = writer.unpack(layer.as_slice()).expect("unpack");
    first.publish(&store, vec![staged], Some((&wanted.0, &wanted.1)), &[]).expect("publish");
    assert_eq!(waiter.join().expect("thread"), (1, 0), "waited once, then found it");
    assert_eq!(std::fs::read_dir(store.paths().tmp()).expect("tmp").count(), 0);
}

#[test]
fn a_pull_that_is_given_up_leaves_nothing() {
    let (_dir, store) = store("givenup");
    let layer = tar("x", b"1");
    let wanted = image("a", "h/r:1", std::slice::from_ref(&layer));
    let pull = store.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_| {}).expect("begin");
    let writer = pull.writer(&pull.missing()[0].clone(), &Limits::default()).expect("writer");
    drop(writer.unpack(layer.as_slice()).expect("unpack"));
    let mut broken = layer;
    broken[0] ^= 1;
    let writer = pull.writer(&pull.missing()[0].clone(), &Limits::default()).expect("writer");
    assert!(matches!(writer.unpack(broken.as_slice()), Err(Error::Layer { .. })));
    assert_eq!(std::fs::read_dir(store.paths().tmp()).expect("tmp").count(), 0);
    assert!(store.list_layers().expect("list").is_empty());
}

/// An upper directory as overlayfs leaves it after some changes over a two-layer image.
fn changed_upper(dir: &std::path::Path) -> (Vec<std::path::PathBuf>, std::path::PathBuf) {
    let script = "
        mkdir -p low/etc low/opq/sub upper work m
        echo a > low/etc/a; echo b > low/etc/b; echo c > low/opq/c; echo d > low/opq/sub/d; echo k > low/keep
        mount -t overlay overlay -o lowerdir=low,upperdir=upper,workdir=work m
        echo changed > m/etc/a; rm m/etc/b; rm -r m/opq; mkdir m/opq; echo new > m/opq/new
        ln m/opq/new m/hard; ln -s /x m/link; mkfifo m/fifo; setfattr -n user.k -v v m/hard 2>/dev/null || true
        touch m/$(printf 'y%.0s' $(seq 150)); chown 3000000:5 m/etc/a; truncate -s 100000 m/holes
        umount m";
    assert!(
        std::process::Command::new("sh")
            .arg("-ec")
            .arg(script)
            .current_dir(dir)
            .status()
            .expect("sh")
            .success()
    );
    (vec![dir.join("low")], dir.join("upper"))
}

#[test]
fn changes_of_a_container() {
    let dir = scratch("changes");
    let (lowers, upper) = changed_upper(dir.path());
    let upper = std::fs::File::open(upper).expect("open");
    let changes = diff::changes(std::os::fd::AsFd::as_fd(&upper), &lowers).expect("changes");
    let shown: Vec<String> = changes
        .iter()
        .map(|c| {
            format!(
                "{} {}",
                match c.kind {
                    diff::ChangeKind::Added => 'A',
                    diff::ChangeKind::Modified => 'C',
                    diff::ChangeKind::Deleted => 'D',
                },
                c.path.display()
            )
        })
        .filter(|l| !l.contains("yyy"))
        .collect();
    let want = [
        "C /etc",
        "C /etc/a",
        "D /etc/b",
        "A /fifo",
        "A /hard",
        "A /holes",
        "A /link",
        "C /opq",
        "D /opq/c",
        "A /opq/new",
        "D /opq/sub",
    ];
    assert_eq!(shown, want);
}

#[test]
fn a_commit_gives_the_same_tree() {
    let (dir, store) = store("commit");
    let (lowers, upper) = changed_upper(dir.path());
    let upper = std::fs::File::open(upper).expect("open");
    let options = diff::TarOptions { whiteouts: true, ..diff::TarOptions::default() };
    let staged = store.stage_diff(std::os::fd::AsFd::as_fd(&upper), &options, None).expect("stage");
    let listing = |top: &std::path::Path| {
        let options = overlay::Options::default();
        let mount = overlay::mount_readonly(&[top.to_owned(), lowers[0].clone()], options).expect("mount");
        let path = crate::sys::fd::proc_path(&mount);
        let out = std::process::Command::new("sh")
            .arg("-c")
            .arg("find . -mindepth 1 ! -type d -printf '%p %y %m %U %G %s %n %l %T@\\n' | sed 's/[.][0-9]*$//' | LC_ALL=C sort; find . -type d -printf '%p %m %U\\n' | LC_ALL=C sort; find . -type f | LC_ALL=C sort | xargs cat | sha256sum")
            .current_dir(path)
            .output()
            .expect("find");
        String::from_utf8(out.stdout).expect("text")
    };
    assert_eq!(listing(&staged.diff()), listing(&dir.path().join("upper")));
    let chain = staged.layer().chain.clone();
    assert_eq!(chain, staged.layer().diff_id);
    let pull = store.begin_pull(layers::wanted(std::slice::from_ref(&chain)), &mut |_| {}).expect("begin");
    assert_eq!(pull.missing().len(), 1);
    pull.publish(&store, vec![staged], None, &[]).expect("publish");
    let mut again = Vec::new();
    store.layer_tar(&chain, &mut again).expect("tar");
    assert_eq!(sha(&again), chain, "the recipe of a committed layer");
    let mut entries = std::process::Command::new("tar")
        .args(["-tf", "-"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tar");
    std::io::Write::write_all(&mut entries.stdin.take().expect("stdin"), &again).expect("write");
    let listed = String::from_utf8(entries.wait_with_output().expect("tar").stdout).expect("text");
    for name in ["etc/.wh.b", "opq/.wh..wh..opq", "opq/new", "holes"] {
        assert!(listed.lines().any(|l| l == name), "{name} in {listed}");
    }
}

#[test]
fn sweeping_takes_garbage_only() {
    let (dir, store) = store("sweep");
    let layer = tar("x", b"1");
    let kept = image("a", "h/r:1", std::slice::from_ref(&layer));
    pull(&store, &kept, std::slice::from_ref(&layer));
    store.insert_container(&spec(1, "kept"), &Stored::Created).expect("insert");
    let paths = dir.paths();
    // What a kill -9 leaves: staging, a container without a row, a layer without a row, trash, a run directory.
    std::fs::create_dir_all(paths.tmp().join("layer-dead/diff/etc")).expect("mkdir");
    std::fs::create_dir_all(paths.trash().join("dead")).expect("mkdir");
    std::fs::create_dir_all(paths.container(&spec(2, "x").id)).expect("mkdir");
    let orphan = sha(b"orphan");
    std::fs::create_dir_all(paths.layer_diff(&orphan)).expect("mkdir");
    drop(volatile::RunDir::acquire(&paths, &spec(3, "x").id).expect("run"));
    let living = pull::Staging::new(&paths, "layer").expect("staging");
    let swept = store.sweep().expect("sweep");
    assert_eq!((swept.staging, swept.orphans, swept.layers.len()), (2, 3, 0), "{swept:?}");
    assert!(living.path.exists(), "its maker lives");
    assert!(paths.container(&spec(1, "kept").id).exists());
    assert!(!paths.layer(&orphan).exists());
    drop(living);
    assert_eq!(store.sweep().expect("again"), gc::Swept::default());
    assert_eq!(
        store.check(true).expect("check"),
        vec![gc::Damage {
            kind: Kind::Image,
            key: kept.0.id.to_string(),
            why: format!("its document {} is missing", kept.0.manifest)
        }]
    );
    std::fs::write(paths.layer_diff(&kept.0.layers[0]).join("x"), "2").expect("tamper");
    let damage = store.check(true).expect("check");
    assert!(damage.iter().any(|d| d.kind == Kind::Layer && d.why.contains("changed")), "{damage:?}");
}

#[test]
fn usage_is_what_du_says() {
    let (dir, store) = store("df");
    let layers = [tar("x", &[7; 300_000]), tar("y", &[8; 100_000])];
    pull(&store, &image("a", "h/r:1", &layers[..1]), &layers);
    pull(&store, &image("b", "h/r:2", &layers), &layers);
    store.insert_container(&spec(1, "c"), &Stored::Created).expect("insert");
    let volume =
        store.create_volume(&NewVolume { name: Some("v".into()), ..NewVolume::default() }).expect("volume");
    std::fs::write(std::path::Path::new(&volume.mountpoint).join("f"), vec![1; 200_000]).expect("write");
    store.usage().expect("first, writes its measures");
    let usage = store.usage().expect("usage");
    let du = tree::disk_usage(&dir.paths().root).expect("du");
    let off = du.abs_diff(usage.total());
    assert!(off * 100 <= du * 5, "{off} of {du} bytes are not told of");
    let (a, b) = (
        usage.images.iter().find(|i| i.unique == 0).expect("a"),
        usage.images.iter().find(|i| i.unique > 0).expect("b"),
    );
    assert_eq!(a.shared, b.shared);
    assert!(b.unique >= 100_000 && b.unique < 150_000);
}
