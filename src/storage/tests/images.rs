//! Images, names, and pulls side by side.

use super::*;

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
fn the_second_puller_waits_and_finds_the_layer() {
    let (dir, store) = store("pullers");
    let layer = tar("x", b"1");
    let wanted = image("a", "h/r:1", std::slice::from_ref(&layer));
    let first = store.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_, _| true).expect("begin");
    let paths = dir.paths();
    let diff_ids = wanted.0.diff_ids.clone();
    let (tell, told) = std::sync::mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let store = Store::open(&paths).expect("open");
        let mut waited = 0;
        let mut on_wait = |_: &Digest, first: bool| {
            if first {
                waited += 1;
                tell.send(()).expect("the other side lives");
            }
            true
        };
        let second = store.begin_pull(layers::wanted(&diff_ids), &mut on_wait).expect("begin");
        (waited, second.missing().len())
    });
    told.recv().expect("it waits");
    let writer = first.writer(&first.missing()[0].clone(), &Limits::default()).expect("writer");
    let staged = writer.unpack(layer.as_slice()).expect("unpack");
    first.publish(&store, vec![staged], Some((&wanted.0, &wanted.1)), &[]).expect("publish");
    assert_eq!(waiter.join().expect("thread"), (1, 0), "waited once, then found it");
    assert_eq!(std::fs::read_dir(store.paths().tmp()).expect("tmp").count(), 0);
}

#[test]
fn who_waits_for_a_layer_can_give_up() {
    let (dir, store) = store("impatient");
    let wanted = image("a", "h/r:1", &[tar("x", b"1")]);
    let _first = store.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_, _| true).expect("begin");
    let other = Store::open(&dir.paths()).expect("open");
    let mut asked = 0;
    let refused = other.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_, _| {
        asked += 1;
        asked < 3
    });
    assert!(matches!(refused, Err(Error::Interrupted)));
    assert_eq!(asked, 3);
}

#[test]
fn a_pull_that_is_given_up_leaves_nothing() {
    let (_dir, store) = store("givenup");
    let layer = tar("x", b"1");
    let wanted = image("a", "h/r:1", std::slice::from_ref(&layer));
    let pull = store.begin_pull(layers::wanted(&wanted.0.diff_ids), &mut |_, _| true).expect("begin");
    let writer = pull.writer(&pull.missing()[0].clone(), &Limits::default()).expect("writer");
    drop(writer.unpack(layer.as_slice()).expect("unpack"));
    let mut broken = layer;
    broken[0] ^= 1;
    let writer = pull.writer(&pull.missing()[0].clone(), &Limits::default()).expect("writer");
    assert!(matches!(writer.unpack(broken.as_slice()), Err(Error::Layer { .. })));
    assert_eq!(std::fs::read_dir(store.paths().tmp()).expect("tmp").count(), 0);
    assert!(store.list_layers().expect("list").is_empty());
}
