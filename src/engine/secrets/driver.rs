//! Where the value of a secret is: in a file of the store, in a directory of files for gpg as `pass` keeps them, or
//! wherever commands of the caller's put it. The store has the row of each.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::MAX_VALUE;
use crate::engine::error::{Error, Kind};

/// A driver with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Driver {
    /// A file that only root reads, below the store's root; its options are only remembered.
    File,
    /// `ID.gpg`, encrypted for a key.
    Pass {
        /// Where the files are.
        root: PathBuf,
        /// Whom they are for.
        key: String,
        /// gpg's own directory.
        home: Option<String>,
    },
    /// Commands for /bin/sh, which find the id in `SECRET_ID`.
    Shell {
        /// Writes the value to stdout.
        lookup: String,
        /// Reads it from stdin.
        store: String,
        /// Removes it.
        delete: String,
    },
}

impl Driver {
    /// The driver of that name.
    ///
    /// # Errors
    /// There is none, or its options do not fit.
    pub(super) fn new(name: &str, options: &[(String, String)]) -> Result<Self, Error> {
        match name {
            "" | "file" => Ok(Self::File),
            "pass" => Ok(Self::pass(options)),
            "shell" => Self::shell(options),
            other => Err(Error::new(Kind::Unsupported, format!("secret driver {other:?} is not supported"))
                .hint("there are file (the default), pass and shell")),
        }
    }

    fn pass(options: &[(String, String)]) -> Self {
        let option = |key: &str| options.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let usual = [".password-store", ".local/share/gopass/stores/root"].map(|dir| home.join(dir));
        let root = option("root").map(PathBuf::from);
        let root = root.or_else(|| usual.iter().find(|dir| dir.is_dir()).cloned());
        let root = root.unwrap_or_else(|| usual[0].clone());
        // A directory's key is that of the nearest one above it.
        let key = option("key")
            .or_else(|| root.ancestors().find_map(|dir| std::fs::read_to_string(dir.join(".gpg-id")).ok()));
        let key = key.unwrap_or_default().trim().to_owned();
        Self::Pass { root, key, home: option("gpghomedir") }
    }

    fn shell(options: &[(String, String)]) -> Result<Self, Error> {
        const KEYS: [&str; 4] = ["delete", "list", "lookup", "store"];
        if let Some((key, _)) = options.iter().find(|(k, _)| !KEYS.contains(&k.as_str())) {
            return Err(Error::new(Kind::Invalid, format!("invalid shell driver option: {key:?}")));
        }
        let option = |key: &str| match options.iter().find(|(k, v)| k == key && !v.is_empty()) {
            Some((_, command)) => Ok(command.clone()),
            None => Err(Error::new(
                Kind::Invalid,
                "the shell driver needs all its commands: missing config value",
            )
            .hint("--driver-opts delete=COMMAND,list=COMMAND,lookup=COMMAND,store=COMMAND")),
        };
        // What lists is asked for by the form of the options; the store knows its secrets itself.
        option("list")?;
        Ok(Self::Shell { lookup: option("lookup")?, store: option("store")?, delete: option("delete")? })
    }

    /// Whether the store keeps the value itself.
    pub(super) fn is_file(&self) -> bool {
        *self == Self::File
    }

    /// Puts a value where it is to be.
    pub(super) fn store(&self, id: &str, value: &[u8]) -> Result<(), Error> {
        match self {
            Self::File => Ok(()),
            Self::Pass { root, key, .. } => {
                std::fs::create_dir_all(root).map_err(|e| trouble("making the directory of secrets", e))?;
                let mut command = self.gpg();
                command.args(["--encrypt", "-r", key, "-o"]).arg(file(root, id));
                run(command, "gpg", value).map(drop)
            }
            Self::Shell { store, .. } => run(shell(store, id), "the store command", value).map(drop),
        }
    }

    /// The value.
    pub(super) fn lookup(&self, id: &str) -> Result<Vec<u8>, Error> {
        match self {
            Self::File => Ok(Vec::new()),
            Self::Pass { root, .. } => {
                let mut command = self.gpg();
                command.arg("--decrypt").arg(file(root, id));
                run(command, "gpg", &[])
            }
            Self::Shell { lookup, .. } => run(shell(lookup, id), "the lookup command", &[]),
        }
    }

    /// Takes the value away; what is gone already is none of its trouble.
    pub(super) fn delete(&self, id: &str) -> Result<(), Error> {
        match self {
            Self::File => Ok(()),
            Self::Pass { root, .. } => match std::fs::remove_file(file(root, id)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(trouble("removing a secret", e)),
                _ => Ok(()),
            },
            Self::Shell { delete, .. } => run(shell(delete, id), "the delete command", &[]).map(drop),
        }
    }

    fn gpg(&self) -> Command {
        let mut command = Command::new("gpg");
        if let Self::Pass { home: Some(home), .. } = self {
            command.args(["--homedir", home]);
        }
        // It asks nothing: there may be nobody to answer.
        command.args(["--batch", "--quiet", "--trust-model", "always"]);
        command
    }
}

fn file(root: &Path, id: &str) -> PathBuf {
    root.join(format!("{id}.gpg"))
}

fn shell(text: &str, id: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", text]).env("SECRET_ID", id);
    command
}

fn trouble(what: &str, e: std::io::Error) -> Error {
    Error::with_source(Kind::Internal, what.to_owned(), e)
}

/// Runs a program with a value at its stdin; what it writes is the answer.
fn run(mut command: Command, what: &str, input: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |e| trouble(&format!("running {what}"), e);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // Each stream in a thread of its own: none waits for another that is full.
    let (answer, said) = std::thread::scope(|scope| {
        let said = scope.spawn(|| {
            let mut said = String::new();
            let _what_there_is = stderr.map(|e| e.take(4096).read_to_string(&mut said));
            said
        });
        scope.spawn(|| {
            // One that ends without reading is judged by its exit code.
            let _read = stdin.map(|mut s| s.write_all(input));
        });
        let most = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX);
        let mut answer = Vec::new();
        let read = stdout.map_or(Ok(0), |o| o.take(most).read_to_end(&mut answer));
        (read.map(|_| answer), said.join().unwrap_or_default())
    });
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        let said = said.trim();
        let why = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        return Err(Error::new(Kind::Internal, format!("{what} of the secret driver failed: {why}")));
    }
    answer.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn drivers_know_their_options() {
        assert_eq!(Driver::new("", &[]).expect("file"), Driver::File);
        assert!(Driver::new("vault", &[]).is_err());
        assert!(Driver::new("shell", &[]).is_err_and(|e| e.to_string().contains("missing config value")));
        assert!(
            Driver::new("shell", &options(&[("path", "/x")])).is_err_and(|e| e.to_string().contains("path"))
        );
        let Driver::Pass { root, key, home } =
            Driver::new("pass", &options(&[("root", "/r"), ("key", "k\n"), ("gpghomedir", "/g")]))
                .expect("pass")
        else {
            panic!("another driver")
        };
        assert_eq!((root, key.as_str(), home.as_deref()), ("/r".into(), "k", Some("/g")));
    }

    #[test]
    fn a_command_s_words_are_in_the_error() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no room >&2; exit 3"]);
        let e = run(command, "the store command", b"x").expect_err("it fails").to_string();
        assert!(e.contains("no room") && e.contains('3'), "{e}");
    }
}
