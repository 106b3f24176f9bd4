//! The store as its callers use it: containers, volumes, the database itself. Helpers for the files beside.

mod changes;
mod crash;
mod garbage;
mod images;
mod measure;
mod waiting;

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
    let pull = store.begin_pull(layers::wanted(&image.0.diff_ids), &mut |_, _| true).expect("begin");
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
