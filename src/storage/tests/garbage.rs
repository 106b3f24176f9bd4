//! Sweeping, checking and measuring.

use super::*;

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
