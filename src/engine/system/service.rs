//! `system install-service`: the one unit by which containers with a restart policy come back after a reboot.

use std::path::{Path, PathBuf};

use super::super::error::{Error, Kind};

/// Its name.
pub const UNIT: &str = "rcon.service";
/// Where units of the administrator are.
pub const DIRECTORY: &str = "/etc/systemd/system";

/// The unit's text; `program` is the path of rcon, `globals` the flags that find the store.
#[must_use]
pub fn unit(program: &Path, globals: &[String]) -> String {
    let words: Vec<String> = std::iter::once(program.display().to_string())
        .chain(globals.iter().cloned())
        .map(|w| quoted(&w))
        .collect();
    let rcon = words.join(" ");
    format!(
        "# Made by `rcon system install-service`.\n\
         [Unit]\n\
         Description=Containers of rcon with a restart policy\n\
         Wants=network-online.target\n\
         After=network-online.target local-fs.target\n\n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         Delegate=yes\n\
         # The monitors end with their containers, which ExecStop stops.\n\
         KillMode=none\n\
         ExecStart={rcon} start --all --filter restart-policy=always --filter restart-policy=unless-stopped\n\
         ExecStop={rcon} stop --all --shutdown\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

/// A word as unit files take it.
fn quoted(word: &str) -> String {
    let word = word.replace('%', "%%").replace('$', "$$");
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./=%$:@+,".contains(&b));
    if plain { word } else { format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// Writes the unit and enables it; returns the paths made.
///
/// # Errors
/// A directory that cannot be written.
pub fn install(directory: &Path, text: &str) -> Result<Vec<PathBuf>, Error> {
    let unit = directory.join(UNIT);
    let wants = directory.join("multi-user.target.wants");
    let link = wants.join(UNIT);
    let failed = |path: &Path, e: std::io::Error| {
        Error::with_source(Kind::Denied, format!("writing {}", path.display()), e)
    };
    std::fs::create_dir_all(&wants).map_err(|e| failed(&wants, e))?;
    let new = directory.join(format!(".{UNIT}.new"));
    std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &unit)).map_err(|e| failed(&unit, e))?;
    match std::os::unix::fs::symlink(&unit, &link) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(failed(&link, e)),
        _ => Ok(vec![unit, link]),
    }
}

/// Takes the unit away again; one that is not there is no error.
///
/// # Errors
/// A file that cannot be removed.
pub fn remove(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    for path in [directory.join("multi-user.target.wants").join(UNIT), directory.join(UNIT)] {
        match std::fs::remove_file(&path) {
            Ok(()) => removed.push(path),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => {
                return Err(Error::with_source(Kind::Denied, format!("removing {}", path.display()), e));
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_unit() {
        let text = unit(Path::new("/usr/local/bin/rcon"), &["--root".to_owned(), "/my data/100%".to_owned()]);
        assert!(
            text.contains("ExecStart=/usr/local/bin/rcon --root \"/my data/100%%\" start --all"),
            "{text}"
        );
        assert!(text.contains("WantedBy=multi-user.target"), "{text}");
    }
}
