//! What a container changed: listing, and commit.

use super::*;

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
    let pull =
        store.begin_pull(layers::wanted(std::slice::from_ref(&chain)), &mut |_, _| true).expect("begin");
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
