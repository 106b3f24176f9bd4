//! The layers of docs/architecture.md, held by reading the sources: who may use whom, and what has only one home.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Layer, and what it may use besides itself. The table of docs/architecture.md, "Layers".
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sys", &["model"]),
    ("storage", &["model", "sys"]),
    ("net", &["model", "sys"]),
    ("runtime", &["model", "sys"]),
    ("image", &["model", "storage"]),
    ("monitor", &["model", "sys", "storage", "net", "runtime"]),
    ("engine", &["model", "sys", "storage", "net", "runtime", "image", "monitor"]),
    ("cli", &["model", "engine"]),
];

/// Files that may cross a line, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("src/cli/cmd/runtime", "runtime", "`rcon runtime` is the front door of the OCI runtime itself"),
    ("src/cli/cmd/runtime", "sys", "`rcon runtime` hands descriptors to it"),
];

/// A text, where it may stand (path prefixes), and why nowhere else.
const HOMES: &[(&str, &[&str], &str)] = &[
    ("unsafe {", &["src/sys/"], "all unsafe code has one address"),
    ("unsafe fn", &["src/sys/"], "all unsafe code has one address"),
    ("println!(", &["src/cli/"], "only the command line prints"),
    ("eprintln!(", &["src/cli/"], "only the command line prints"),
    ("clap::", &["src/cli/"], "the engine knows no clap"),
    (
        "tokio::",
        &["src/image/registry/", "src/image/pull/", "src/image/push.rs", "src/api/"],
        "async lives where bytes come from and go to a registry",
    ),
    ("reqwest::", &["src/image/registry/", "src/api/"], "async lives at the registry and the API"),
    ("process::exit(", &["src/main.rs"], "only main exits"),
    ("std::mem::forget", &[], "descriptors are closed by their owner"),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(dir: &Path, out: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(dir).expect("readable folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).expect("utf-8 source");
                let root = Path::new(env!("CARGO_MANIFEST_DIR"));
                out.push((path.strip_prefix(root).expect("below the root").to_path_buf(), text));
            }
        }
    }
    let mut out = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut out);
    out
}

/// The code without comments and without its unit tests (`#[cfg(test)]` to the end, and files named tests.rs).
fn code(path: &Path, text: &str) -> String {
    if path.file_name().is_some_and(|n| n == "tests.rs")
        || path.components().any(|c| c.as_os_str() == "tests")
    {
        return String::new();
    }
    let mut out = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let test_module = line.trim() == "#[cfg(test)]"
            && lines
                .peek()
                .is_some_and(|next| next.trim_start().starts_with("mod ") && next.trim_end().ends_with('{'));
        if test_module {
            break;
        }
        out.push_str(line.split("//").next().unwrap_or(""));
        out.push('\n');
    }
    out
}

/// First segments of every `crate::…` path, group imports included.
fn used(code: &str) -> BTreeSet<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = true;
            for (i, c) in group.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => start = true,
                    c if start && depth == 0 && !c.is_whitespace() => {
                        out.insert(word(&group[i..]));
                        start = false;
                    }
                    _ => {}
                }
            }
        } else {
            out.insert(word(rest));
        }
    }
    out
}

#[test]
fn layers_point_one_way() {
    let layers: BTreeSet<&str> = EDGES.iter().map(|(l, _)| *l).collect();
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(layer) = path.components().nth(1).map(|c| c.as_os_str().to_string_lossy().into_owned())
        else {
            continue;
        };
        let Some((_, allowed)) = EDGES.iter().find(|(l, _)| *l == layer) else { continue };
        for target in used(&code(&path, &text)) {
            let known = layers.contains(target.as_str());
            let excepted =
                EXCEPTIONS.iter().any(|(p, t, _)| path.to_string_lossy().starts_with(p) && *t == target);
            if known && target != layer && !allowed.contains(&target.as_str()) && !excepted {
                wrong.push(format!("{}: {layer} uses {target}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that docs/architecture.md does not have:\n{}", wrong.join("\n"));
}

#[test]
fn every_layer_is_in_the_table() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("src") {
        let entry = entry.expect("entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            assert!(EDGES.iter().any(|(l, _)| *l == name), "src/{name} is not in the layer table");
        }
    }
}

#[test]
fn what_has_one_home_stays_there() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let shown = path.to_string_lossy().into_owned();
        let code = code(&path, &text);
        for (needle, homes, why) in HOMES {
            let preceded =
                |at: usize| code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
            if !homes.iter().any(|h| shown.starts_with(h))
                && code.match_indices(needle).any(|(at, _)| !preceded(at))
            {
                wrong.push(format!("{shown}: {needle} ({why})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_lives_in_it() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "files without an opening //! paragraph: {silent:?}");
}

#[test]
fn the_reader_of_imports_reads_groups() {
    let found = used("use crate::{model::{id, digest}, sys::fd, storage};\nlet x = crate::net::y();");
    let want = ["model", "net", "storage", "sys"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(want));
}
