//! Unpacking against GNU tar, and against hostile archives.

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use super::*;
use crate::storage::recipe;
use crate::storage::testing::scratch;
use crate::storage::tree::open_dir;

/// A header block made by hand.
struct Block {
    bytes: [u8; 512],
}

impl Block {
    fn new(name: &[u8], kind: u8, size: u64) -> Self {
        let mut bytes = [0; 512];
        bytes[..name.len()].copy_from_slice(name);
        bytes[100..107].copy_from_slice(b"0000755");
        bytes[108..115].copy_from_slice(b"0000000");
        bytes[116..123].copy_from_slice(b"0000000");
        bytes[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        bytes[136..147].copy_from_slice(b"00000000001");
        bytes[156] = kind;
        bytes[257..265].copy_from_slice(b"ustar\x0000");
        Self { bytes }
    }

    fn link(mut self, target: &[u8]) -> Self {
        self.bytes[157..157 + target.len()].copy_from_slice(target);
        self
    }

    fn done(mut self) -> Vec<u8> {
        self.bytes[148..156].copy_from_slice(b"        ");
        let sum: u32 = self.bytes.iter().map(|&b| u32::from(b)).sum();
        self.bytes[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.bytes.to_vec()
    }
}

fn file(name: &[u8], content: &[u8]) -> Vec<u8> {
    with_content(Block::new(name, b'0', content.len() as u64).done(), content)
}

fn with_content(mut header: Vec<u8>, content: &[u8]) -> Vec<u8> {
    header.extend_from_slice(content);
    header.resize(header.len().div_ceil(512) * 512, 0);
    header
}

fn dir(name: &[u8]) -> Vec<u8> {
    Block::new(name, b'5', 0).done()
}

fn symlink(name: &[u8], target: &[u8]) -> Vec<u8> {
    Block::new(name, b'2', 0).link(target).done()
}

fn hardlink(name: &[u8], target: &[u8]) -> Vec<u8> {
    Block::new(name, b'1', 0).link(target).done()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut len = rest + 1;
        while len != rest + len.to_string().len() {
            len += 1;
        }
        body.extend_from_slice(format!("{len} {key}=").as_bytes());
        body.extend_from_slice(value);
        body.push(b'\n');
    }
    with_content(Block::new(b"PaxHeader", b'x', body.len() as u64).done(), &body)
}

/// Unpacks into `dir`/diff with whiteouts, as a layer.
fn layer(dir: &Path, parts: &[Vec<u8>]) -> Result<Unpacked, UnpackError> {
    let mut archive = parts.concat();
    archive.resize(archive.len() + 1024, 0);
    let diff = dir.join("diff");
    fs::create_dir_all(&diff).expect("mkdir");
    let root = open_dir(rustix::fs::CWD, &diff).expect("open");
    let options = Options { whiteouts: true, ..Options::default() };
    let mut recorder =
        Recorder::new(fs::File::create(dir.join("recipe")).expect("create"), dir.join(recipe::KEPT))
            .expect("recorder");
    let done = unpack_recorded(&mut archive.as_slice(), root.as_fd(), &options, Some(&mut recorder))?;
    // Where something was replaced, paths may have meant one file in several ways: such a recipe is tried first.
    let sure = !recorder.has_kept();
    if recorder.finish().expect("recipe") && sure {
        let mut again = Vec::new();
        recipe::rebuild(&dir.join("recipe"), root.as_fd(), &mut again).expect("rebuild");
        assert_eq!(again, archive, "the recipe gives the archive back");
    }
    Ok(done)
}

fn refused(parts: &[Vec<u8>]) {
    let scratch = scratch("hostile");
    let outside = scratch.path().join("outside");
    fs::write(&outside, "mine").expect("write");
    let before = fs::metadata(&outside).expect("stat");
    let result = layer(scratch.path(), parts);
    assert!(result.is_err(), "must be refused: {result:?}");
    let after = fs::metadata(&outside).expect("still there");
    assert_eq!((before.mode(), before.nlink(), before.mtime()), (after.mode(), after.nlink(), after.mtime()));
    assert_eq!(fs::read_to_string(&outside).expect("read"), "mine");
}

#[test]
fn dotdot_is_refused() {
    refused(&[file(b"../outside", b"x")]);
    refused(&[file(b"a/../../outside", b"x")]);
    refused(&[hardlink(b"a", b"../outside")]);
    refused(&[pax(&[("path", b"../outside")]), file(b"fine", b"x")]);
    refused(&[pax(&[("linkpath", b"../../outside")]), hardlink(b"fine", b"fine2")]);
}

#[test]
fn links_do_not_lead_out() {
    let dir = scratch("links");
    let target = dir.path().join("diff/x");
    // An absolute link and one with .. are followed beneath the root only.
    let parts = [
        symlink(b"abs", b"/x"),
        symlink(b"rel", b"../../../x"),
        self::dir(b"x"),
        file(b"abs/one", b"1"),
        file(b"rel/two", b"2"),
    ];
    layer(dir.path(), &parts).expect("unpacks");
    assert_eq!(fs::read_to_string(target.join("one")).expect("read"), "1");
    assert_eq!(fs::read_to_string(target.join("two")).expect("read"), "2");
    // To a place that is not in the archive: nothing is made there.
    refused(&[symlink(b"out", b"/outside"), file(b"out/x", b"x")]);
    refused(&[symlink(b"out", b"/proc/self/root"), file(b"out/x", b"x")]);
}

#[test]
fn entries_replace_links_and_do_not_write_through_them() {
    let dir = scratch("replace");
    let outside = dir.path().join("outside");
    fs::write(&outside, "mine").expect("write");
    let parts = [
        symlink(b"a", outside.as_os_str().as_encoded_bytes()),
        file(b"a", b"new"),
        hardlink(b"b", b"a"),
        file(b"b", b"other"),
    ];
    layer(dir.path(), &parts).expect("unpacks");
    assert_eq!(fs::read_to_string(&outside).expect("read"), "mine");
    assert_eq!(fs::read_to_string(dir.path().join("diff/a")).expect("read"), "new");
    assert_eq!(fs::read_to_string(dir.path().join("diff/b")).expect("read"), "other");
}

#[test]
fn hardlink_to_a_link_is_a_link() {
    let dir = scratch("hardlink");
    layer(dir.path(), &[symlink(b"l", b"/etc/passwd"), hardlink(b"h", b"l")]).expect("unpacks");
    assert!(fs::symlink_metadata(dir.path().join("diff/h")).expect("stat").file_type().is_symlink());
    refused(&[symlink(b"l", b"/"), hardlink(b"h", b"l/outside")]);
    refused(&[hardlink(b"h", b"nothing")]);
}

#[test]
fn file_and_directory_change_places() {
    let dir = scratch("places");
    let parts = [file(b"a", b"1"), self::dir(b"a"), file(b"a/b", b"2"), file(b"c/d", b"3"), file(b"c", b"4")];
    layer(dir.path(), &parts).expect("unpacks");
    assert_eq!(fs::read_to_string(dir.path().join("diff/a/b")).expect("read"), "2");
    assert_eq!(fs::read_to_string(dir.path().join("diff/c")).expect("read"), "4");
}

#[test]
fn a_file_is_no_parent() {
    refused(&[file(b"a", b"1"), file(b"a/b", b"2")]);
}

#[test]
fn pax_size_wins() {
    // ustar says 0, PAX says 1024: the two blocks are content, not entries (tokio-tar's CVE-2025-62518).
    let smuggled = [file(b"smuggled", b""), file(b"smuggled2", b"")].concat();
    let mut parts = vec![pax(&[("size", b"1024")]), Block::new(b"outer", b'0', 0).done()];
    parts.push(smuggled.clone());
    let dir = scratch("desync");
    layer(dir.path(), &parts).expect("unpacks");
    assert_eq!(fs::read(dir.path().join("diff/outer")).expect("read"), smuggled);
    assert!(!dir.path().join("diff/smuggled").exists());
}

#[test]
fn links_have_no_content() {
    // A size in the header of a link is not followed by content, for us as for Go.
    let mut link = Block::new(b"l", b'2', 0).link(b"x");
    link.bytes[124..135].copy_from_slice(b"00000001000");
    let dir = scratch("linksize");
    layer(dir.path(), &[link.done(), file(b"after", b"1")]).expect("unpacks");
    assert!(dir.path().join("diff/after").exists());
}

#[test]
fn limits() {
    refused(&[pax(&[("size", b"99999999999999999999")]), file(b"a", b"")]);
    refused(&[pax(&[("size", b"-1")]), file(b"a", b"")]);
    refused(&[Block::new(b"PaxHeader", b'x', 1 << 32).done()]);
    refused(&[pax(&[("path", &[b'x'; 5000])]), file(b"a", b"")]);
    refused(&[pax(&[("SCHILY.xattr.user.x", &[b'x'; 300 << 10])]), file(b"a", b"")]);
    refused(&[file(&[b'a'; 99], b""), b"garbage".repeat(100)]);
    let mut truncated = file(b"a", &[1; 2000]);
    truncated.truncate(1000);
    let dir = scratch("short");
    let root = open_dir(rustix::fs::CWD, dir.path()).expect("open");
    assert!(unpack(truncated.as_slice(), root.as_fd(), &Options::default()).is_err());
    let few = Limits { entries: 1, ..Limits::default() };
    let options = Options { limits: few, ..Options::default() };
    let two = [file(b"x", b""), file(b"y", b"")].concat();
    assert!(matches!(unpack(two.as_slice(), root.as_fd(), &options), Err(UnpackError::Limit { .. })));
}

#[test]
fn sparse_maps_are_checked() {
    let bad = |map: &[u8]| {
        refused(&[pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", b"100")]), file(b"s", b"0123456789")]);
    };
    bad(b"0,5,3,5");
    bad(b"0,5,200,5");
    bad(b"0,5,18446744073709551615,5");
    bad(b"0,5");
    bad(b"0,5,10");
    let dir = scratch("sparse");
    let good =
        [pax(&[("GNU.sparse.map", b"5,5,20,5"), ("GNU.sparse.size", b"100")]), file(b"s", b"0123456789")];
    layer(dir.path(), &good).expect("unpacks");
    let content = fs::read(dir.path().join("diff/s")).expect("read");
    assert_eq!((content.len(), &content[5..10], &content[20..25]), (100, &b"01234"[..], &b"56789"[..]));
}

#[test]
fn whiteouts() {
    let dir = scratch("whiteouts");
    let parts = [
        self::dir(b"d"),
        file(b"d/.wh..wh..opq", b""),
        file(b".wh.gone", b""),
        file(b"stays", b"1"),
        file(b".wh.stays", b""),
        file(b".wh.back", b""),
        self::dir(b"back"),
        file(b".wh..wh.plnk/x", b""),
        self::dir(b"e"),
        file(b".wh.e", b""),
    ];
    layer(dir.path(), &parts).expect("unpacks");
    let diff = dir.path().join("diff");
    let gone = fs::symlink_metadata(diff.join("gone")).expect("whiteout");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(fs::read_to_string(diff.join("stays")).expect("read"), "1");
    for opaque in ["d", "back", "e"] {
        let fd = open_dir(rustix::fs::CWD, diff.join(opaque)).expect("open");
        let mut value = [0; 4];
        let n = rustix::fs::fgetxattr(&fd, "trusted.overlay.opaque", &mut value[..]).expect("opaque");
        assert_eq!(&value[..n], b"y");
    }
    assert!(!diff.join(".wh..wh.plnk").exists());
    refused(&[file(b".wh...", b"")]);
}

#[test]
fn overlay_attributes_are_not_taken() {
    let dir = scratch("xattrs");
    let parts = [
        pax(&[("SCHILY.xattr.trusted.overlay.redirect", b"/etc"), ("SCHILY.xattr.user.fine", b"1")]),
        self::dir(b"d"),
    ];
    layer(dir.path(), &parts).expect("unpacks");
    let fd = open_dir(rustix::fs::CWD, dir.path().join("diff/d")).expect("open");
    let mut value = [0; 16];
    assert!(rustix::fs::fgetxattr(&fd, "trusted.overlay.redirect", &mut value[..]).is_err());
}

#[test]
fn a_root_that_its_owner_may_not_write_stays_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = scratch("narrowroot");
    let mut root = Block::new(b"./", b'5', 0);
    root.bytes[100..107].copy_from_slice(b"0000555");
    layer(dir.path(), &[root.done(), file(b"./f", b"x")]).expect("unpacks");
    let mode = |name: &str| fs::metadata(dir.path().join(name)).expect("there").permissions().mode() & 0o7777;
    assert_eq!((mode("diff"), mode("diff/f")), (0o555, 0o755));
}

#[test]
fn deep_names() {
    let dir = scratch("deepnames");
    let name = [&b"d"[..]; 100].join(&b"/"[..]);
    let mut deep = vec![];
    for _ in 0..6 {
        deep.extend_from_slice(&name);
        deep.push(b'/');
    }
    deep.extend_from_slice(b"f");
    layer(dir.path(), &[pax(&[("path", &deep)]), file(b"x", b"1")]).expect("unpacks");
}

/// Everything that a listing of metadata shows, to compare two trees.
fn listing(dir: &Path) -> String {
    let out = Command::new("sh")
        .arg("-c")
        .arg("find . -mindepth 1 -printf '%p %y %m %U %G %s %T@ %n %l\\n' | LC_ALL=C sort; find . -type f | LC_ALL=C sort | xargs -d '\\n' sha256sum")
        .current_dir(dir)
        .output()
        .expect("find");
    // Sizes of directories are the file system's own.
    let text = String::from_utf8_lossy(&out.stdout);
    text.lines()
        .map(|l| if l.contains(" d ") { l.rsplitn(5, ' ').nth(4).unwrap_or(l) } else { l })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn as_gnu_tar() {
    let dir = scratch("gnu");
    let script = "
        mkdir -p src/sub/deep src/empty && cd src
        echo one > one; echo two > sub/two; ln one sub/hard; ln -s ../one sub/soft; ln -s /abs/none dangling
        mkfifo fifo; mknod dev c 1 3; chmod 4755 one; chmod 1777 empty; chown 1000:1001 sub/two; chown -h 12:13 dangling
        truncate -s 3M sparse; printf x | dd of=sparse bs=1 seek=1000000 conv=notrunc 2>/dev/null
        head -c 1000000 /dev/urandom > sub/deep/big; touch -d '2001-02-03 04:05:06.789' one sub/two sub
        n=$(printf 'n%.0s' $(seq 120)); echo long > sub/$n; ln -s $n sub/longlink$n; chown 3000000:3000001 sub/deep
        chmod 555 sub/deep";
    assert!(Command::new("sh").arg("-c").arg(script).current_dir(dir.path()).status().expect("sh").success());
    for format in [
        "gnu",
        "pax",
        "posix --sparse --sparse-version=1.0",
        "posix --sparse --sparse-version=0.1",
        "posix --sparse --sparse-version=0.0",
        "gnu --sparse",
    ] {
        let ours = dir.path().join("ours");
        let theirs = dir.path().join("theirs");
        for d in [&ours, &theirs] {
            let _ = fs::remove_dir_all(d);
            fs::create_dir(d).expect("mkdir");
        }
        let make = format!(
            "tar --format={format} -cf a.tar -C src . && tar -xpf a.tar -C theirs --numeric-owner --same-owner"
        );
        assert!(
            Command::new("sh").arg("-c").arg(make).current_dir(dir.path()).status().expect("tar").success()
        );
        let root = open_dir(rustix::fs::CWD, &ours).expect("open");
        let recipe_path = dir.path().join("recipe");
        let mut recorder =
            Recorder::new(fs::File::create(&recipe_path).expect("create"), dir.path().join(recipe::KEPT))
                .expect("recorder");
        let mut archive = fs::File::open(dir.path().join("a.tar")).expect("open");
        unpack_recorded(&mut archive, root.as_fd(), &Options::default(), Some(&mut recorder))
            .expect("unpacks");
        assert_eq!(listing(&ours), listing(&theirs), "{format}");
        assert!(recorder.finish().expect("recipe"));
        let mut again = Vec::new();
        recipe::rebuild(&recipe_path, root.as_fd(), &mut again).expect("rebuild");
        assert!(again == fs::read(dir.path().join("a.tar")).expect("read"), "{format}: exact archive");
        let _ = fs::set_permissions(ours.join("sub/deep"), fs::Permissions::from_mode(0o755));
    }
}

#[test]
fn what_is_in_it_twice_is_kept_for_the_archive() {
    let scratch = scratch("twice");
    let place = scratch.path();
    let deep = [b"deep/".as_slice(), &[b'x'; 3000]].concat();
    let parts = [
        dir(b"d"),
        file(b"d/f", b"first content"),
        hardlink(b"other", b"d/f"),
        file(b"d/f", b"second"),
        file(b"d/f", b"the third one"),
        dir(b"gone"),
        file(b"gone/f", &deep),
        symlink(b"gone", b"d"),
        file(b"end", b"end"),
    ];
    layer(place, &parts).expect("unpacks");
    assert_eq!(fs::read(place.join("diff/d/f")).expect("the last one"), b"the third one");
    assert_eq!(fs::read(place.join("diff/other")).expect("the first one"), b"first content");
    let mut archive = parts.concat();
    archive.resize(archive.len() + 1024, 0);
    let root = open_dir(rustix::fs::CWD, place.join("diff")).expect("open");
    let mut again = Vec::new();
    recipe::rebuild(&place.join("recipe"), root.as_fd(), &mut again).expect("rebuild");
    assert!(again == archive, "byte for byte");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 200, ..Default::default() })]

    /// Bytes flipped anywhere in a valid archive: an error or entries, never a panic, never a file outside.
    #[test]
    fn damaged_archives(flips in proptest::collection::vec((0_usize..4096, proptest::num::u8::ANY), 1..8)) {
        let dir = scratch("fuzz");
        let mut archive = [pax(&[("path", b"a/b"), ("size", b"3")]), file(b"x", b"abc"), symlink(b"l", b"/a"), file(b"l/c", b"1")].concat();
        for (at, value) in flips {
            let at = at % archive.len();
            archive[at] = value;
        }
        let root = open_dir(rustix::fs::CWD, dir.path()).expect("open");
        let limits = Limits { bytes: 1 << 20, ..Limits::default() };
        let _ = unpack(archive.as_slice(), root.as_fd(), &Options { limits, whiteouts: true, ..Options::default() });
    }
}
