//! The committed man pages, completions and command reference are what the definitions of the flags say now.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

fn files(root: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for dir in ["docs/man", "docs/reference", "completions"] {
        for entry in fs::read_dir(root.join(dir)).into_iter().flatten() {
            let path = entry.expect("entry").path();
            let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
            out.insert(name, fs::read_to_string(&path).expect("utf-8"));
        }
    }
    out
}

#[test]
fn generated_files_are_fresh() {
    let dir = std::env::temp_dir().join(format!("rcon-reference-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("folder");
    let status =
        Command::new(env!("CARGO_BIN_EXE_rcon")).arg("__generate").arg(&dir).status().expect("rcon starts");
    assert!(status.success(), "rcon __generate: {status}");
    let made = files(&dir);
    let here = files(Path::new(env!("CARGO_MANIFEST_DIR")));
    fs::remove_dir_all(&dir).expect("remove");
    assert!(made.len() > 10, "only {} files were generated", made.len());
    let stale: Vec<_> =
        made.iter().filter(|(name, text)| here.get(*name) != Some(*text)).map(|(n, _)| n).collect();
    let orphans: Vec<_> = here.keys().filter(|name| !made.contains_key(*name)).collect();
    assert!(
        stale.is_empty() && orphans.is_empty(),
        "run `make generate`; stale: {stale:?}, no longer made: {orphans:?}"
    );
}
