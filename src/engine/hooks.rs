//! OCI hooks from directories (`--hooks-dir`, `hooks_dir` of containers.conf): which of them a new container gets. The
//! format is podman's `oci-hooks(5)`: one JSON file each, with conditions on annotations, command and bind mounts. Files
//! without a version are in its first form, 0.1.0, where one condition that holds is enough.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regex_automata::meta::Regex;
use serde::Deserialize;

use super::error::{Error, Kind};
use crate::model::container::{ContainerSpec, Hook};
use crate::model::mount::MountKind;

/// Where packages and administrators put hooks; what is in the later one wins by file name.
const DEFAULTS: &[&str] = &["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];

const STAGES: &[&str] =
    &["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

#[derive(Debug, Deserialize)]
struct File {
    version: String,
    hook: Program,
    when: When,
    stages: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Program {
    path: PathBuf,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: Vec<String>,
    timeout: Option<i64>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct When {
    always: Option<bool>,
    annotations: BTreeMap<String, String>,
    commands: Vec<String>,
    has_bind_mounts: Option<bool>,
    #[serde(skip)]
    any: bool,
}

/// Version 0.1.0.
#[derive(Debug, Deserialize)]
struct OldFile {
    hook: PathBuf,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default, alias = "stage")]
    stages: OneOrMany,
    #[serde(default, alias = "cmd")]
    cmds: OneOrMany,
    #[serde(default, alias = "annotation")]
    annotations: OneOrMany,
    hasbindmounts: Option<bool>,
}

/// A text, or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<OneOrMany> for Vec<String> {
    fn from(some: OneOrMany) -> Self {
        match some {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(all) => all,
        }
    }
}

impl From<OldFile> for File {
    fn from(old: OldFile) -> Self {
        let path = old.hook.display().to_string();
        let args = std::iter::once(path).chain(old.arguments).collect();
        // Their patterns are for values, whatever the key.
        let annotations: Vec<String> = old.annotations.into();
        let annotations = match annotations.len() {
            0 => BTreeMap::new(),
            _ => BTreeMap::from([(".*".to_owned(), annotations.join("|"))]),
        };
        Self {
            version: "1.0.0".to_owned(),
            hook: Program { path: old.hook, args, env: Vec::new(), timeout: None },
            when: When {
                always: None,
                annotations,
                commands: old.cmds.into(),
                has_bind_mounts: old.hasbindmounts,
                any: true,
            },
            stages: old.stages.into(),
        }
    }
}

fn parse(text: &str) -> Result<File, serde_json::Error> {
    let document: serde_json::Value = serde_json::from_str(text)?;
    match document.get("version").and_then(serde_json::Value::as_str) {
        None | Some("0.1.0") => serde_json::from_value::<OldFile>(document).map(File::from),
        Some(_) => serde_json::from_value(document),
    }
}

/// The hooks of a container, in the order of their file names. `dirs` replaces the usual directories.
///
/// # Errors
/// A file that does not parse, or a named directory that cannot be read: a hook that is silently left out may be what
/// keeps a host safe.
pub(super) fn of(spec: &ContainerSpec, dirs: &[PathBuf]) -> Result<Vec<Hook>, Error> {
    let usual: Vec<PathBuf> = DEFAULTS.iter().map(PathBuf::from).collect();
    let named = !dirs.is_empty();
    let mut files = BTreeMap::new();
    for dir in if named { dirs } else { &usual } {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) if !named && e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => {
                let what = format!("reading the hooks directory {}", dir.display());
                return Err(Error::with_source(Kind::Invalid, what, e));
            }
        };
        for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json"))
        {
            files.insert(path.file_name().map(ToOwned::to_owned), path);
        }
    }
    let mut all = Vec::new();
    for path in files.values() {
        let text = std::fs::read_to_string(path).map_err(|e| bad(path, e))?;
        let file = parse(&text).map_err(|e| bad(path, e))?;
        all.extend(chosen(file, spec).map_err(|why| bad(path, why))?);
    }
    Ok(all)
}

fn bad(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(Kind::Invalid, format!("hook {}: {why}", path.display()))
}

/// One hook for each of its stages, if its conditions hold.
fn chosen(file: File, spec: &ContainerSpec) -> Result<Vec<Hook>, String> {
    if file.version != "1.0.0" {
        return Err(format!("version {:?} is not known: want 1.0.0", file.version));
    }
    if let Some(stage) = file.stages.iter().find(|s| !STAGES.contains(&s.as_str())) {
        return Err(format!("unknown stage {stage:?}: want one of {}", STAGES.join(", ")));
    }
    if !file.hook.path.is_absolute() {
        return Err("the path of the program is not absolute".to_owned());
    }
    if !file.when.fits(spec)? {
        return Ok(Vec::new());
    }
    let hook = |stage: String| Hook {
        stage,
        path: file.hook.path.display().to_string(),
        args: file.hook.args.clone(),
        env: file.hook.env.clone(),
        timeout: file.hook.timeout,
    };
    Ok(file.stages.into_iter().map(hook).collect())
}

impl When {
    /// Every condition that is stated must hold, or any in the old form; a file that states none fits nothing.
    fn fits(&self, spec: &ContainerSpec) -> Result<bool, String> {
        let regex = |text: &String| Regex::new(text).map_err(|e| format!("pattern {text:?}: {e}"));
        let mut holds = Vec::new();
        holds.extend(self.always);
        if let Some(wanted) = self.has_bind_mounts {
            holds.push(!wanted || spec.mounts.iter().any(|m| m.kind == MountKind::Bind));
        }
        for (key, value) in &self.annotations {
            let (key, value) = (regex(key)?, regex(value)?);
            let fits = |(k, v): &(String, String)| key.is_match(k.as_str()) && value.is_match(v.as_str());
            holds.push(spec.annotations.iter().any(fits));
        }
        if !self.commands.is_empty() {
            let command = spec.process.argv.first().cloned().unwrap_or_default();
            let mut fits = false;
            for pattern in &self.commands {
                fits |= regex(pattern)?.is_match(command.as_str());
            }
            holds.push(fits);
        }
        Ok(match self.any {
            true => holds.contains(&true),
            false => !holds.is_empty() && !holds.contains(&false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_first_version_are_read() {
        let file = parse(
            r#"{"hook":"/bin/h","arguments":["a"],"stage":"prestart","cmd":[".*"],"annotations":["x"]}"#,
        )
        .expect("it parses");
        assert_eq!(file.hook.args, ["/bin/h", "a"]);
        assert_eq!(file.stages, ["prestart"]);
        assert!(file.when.any && file.when.annotations.contains_key(".*"));
        let file =
            parse(r#"{"version":"1.0.0","hook":{"path":"/h"},"when":{"always":true},"stages":["prestart"]}"#);
        assert!(!file.expect("it parses").when.any);
    }
}
