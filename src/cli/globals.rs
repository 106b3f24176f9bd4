//! Flags of the program as a whole: accepted before the command word and, where the command has no flag of
//! that name, after it.
//!
//! They are parsed by hand from one small table, so that finding the command word costs nothing.

use std::path::PathBuf;

use super::argv::{ArgvError, go_bool};
use super::exit::Failure;
use super::suggest;
use crate::engine::GlobalOptions;

/// The global flags as given; `None` means "not said".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Globals {
    /// `--root`: where durable state lives.
    pub root: Option<String>,
    /// `--runroot`: where volatile state lives.
    pub runroot: Option<String>,
    /// `--log-level`.
    pub log_level: Option<String>,
    /// `-D`, `--debug`.
    pub debug: bool,
    /// `--config`: directory of docker's `config.json`.
    pub config: Option<String>,
    /// `--cgroup-manager`.
    pub cgroup_manager: Option<String>,
    /// `--runtime` before the command.
    pub runtime: Option<String>,
    /// `--tmpdir`.
    pub tmpdir: Option<String>,
    /// `--hooks-dir`.
    pub hooks_dirs: Vec<String>,
    /// `--cdi-spec-dir`.
    pub cdi_spec_dirs: Vec<String>,
    /// `--module`.
    pub modules: Vec<String>,
    /// `--storage-opt overlay.imagestore=`: further stores of images.
    pub image_stores: Vec<String>,
    /// `--network-config-dir`.
    pub network_config_dir: Option<String>,
    /// `--default-mounts-file`.
    pub default_mounts_file: Option<String>,
    /// `--events-backend`.
    pub events_backend: Option<String>,
    /// `--out`: file that gets what would go to stdout.
    pub out: Option<String>,
    /// `--noout`: nothing goes to stdout.
    pub noout: bool,
    /// `-v`, `--version`.
    pub version: bool,
    /// `--help`.
    pub help: bool,
}

/// What a global flag does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Takes a value and is stored.
    Value,
    /// Is on or off.
    Switch,
    /// Takes a value and is refused with this reason.
    Refused(&'static str),
    /// Is on or off and is refused when on.
    RefusedSwitch(&'static str),
}

const REMOTE: &str = "rcon has no daemon and talks to none: it works on this machine only";

/// Long name, short name, kind, help line.
const TABLE: &[(&str, Option<char>, Kind, &str)] = &[
    ("root", None, Kind::Value, "Directory of images, containers and volumes (default /var/lib/rcon)"),
    ("runroot", None, Kind::Value, "Directory of volatile state (default /run/rcon)"),
    ("log-level", Some('l'), Kind::Value, "trace, debug, info, warn, error (default warn)"),
    ("debug", Some('D'), Kind::Switch, "Same as --log-level debug"),
    ("config", None, Kind::Value, "Directory of docker's config.json with credentials"),
    ("cgroup-manager", None, Kind::Value, "cgroupfs or systemd"),
    ("runtime", None, Kind::Value, "Default OCI runtime of new containers"),
    ("storage-driver", None, Kind::Value, "Only overlay"),
    ("cdi-spec-dir", None, Kind::Value, "Directory of CDI device specifications (may be repeated)"),
    ("hooks-dir", None, Kind::Value, "Directory of OCI hooks (may be repeated)"),
    ("module", None, Kind::Value, "A further containers.conf, by path or name (may be repeated)"),
    ("tmpdir", None, Kind::Value, "Directory for temporary files"),
    ("out", None, Kind::Value, "Write what would go to stdout into a file"),
    ("noout", None, Kind::Switch, "Write nothing to stdout"),
    ("events-backend", None, Kind::Value, "file, or none: no events are kept"),
    ("network-backend", None, Kind::Value, "Only netavark: the kind of networks that rcon makes"),
    ("db-backend", None, Kind::Value, "Only sqlite"),
    (
        "network-config-dir",
        None,
        Kind::Value,
        "Directory of network definitions to take up (netavark's JSON)",
    ),
    (
        "default-mounts-file",
        None,
        Kind::Value,
        "File of directories whose copies every new container gets (mounts.conf)",
    ),
    // podman's older word for it.
    ("cni-config-dir", None, Kind::Value, ""),
    (
        "storage-opt",
        None,
        Kind::Value,
        "overlay.imagestore=DIR: a further --root whose images are used (may be repeated)",
    ),
    // podman's scripts give its path; there is nothing to choose, as with --disable-content-trust.
    ("conmon", None, Kind::Value, ""),
    ("version", Some('v'), Kind::Switch, "Print the version"),
    ("help", None, Kind::Switch, "Print help"),
    ("context", Some('c'), Kind::Refused(REMOTE), ""),
    ("connection", None, Kind::Refused(REMOTE), ""),
    ("host", Some('H'), Kind::Refused(REMOTE), ""),
    ("url", None, Kind::Refused(REMOTE), ""),
    ("identity", None, Kind::Refused(REMOTE), ""),
    ("remote", Some('r'), Kind::RefusedSwitch(REMOTE), ""),
    ("tls", None, Kind::RefusedSwitch(REMOTE), ""),
    ("tlsverify", None, Kind::RefusedSwitch(REMOTE), ""),
    ("network-cmd-path", None, Kind::Refused("networks are made without a helper program"), ""),
    ("runtime-flag", None, Kind::Refused("containers run by the runtime that is part of rcon"), ""),
    (
        "imagestore",
        None,
        Kind::Refused(
            "images are kept below --root; --storage-opt overlay.imagestore=DIR adds those of another",
        ),
        "",
    ),
    ("volumepath", None, Kind::Refused("volumes are kept below --root"), ""),
    ("transient-store", None, Kind::RefusedSwitch("a --root on a tmpfs is transient"), ""),
    (
        "syslog",
        None,
        Kind::RefusedSwitch("rcon logs to stderr; the monitor's troubles go to its run directory"),
        "",
    ),
    ("ssh", None, Kind::Refused(REMOTE), ""),
    ("tls-ca", None, Kind::Refused(REMOTE), ""),
    ("tls-cert", None, Kind::Refused(REMOTE), ""),
    ("tls-key", None, Kind::Refused(REMOTE), ""),
];

/// Takes global flags off the front of `args`.
///
/// # Errors
/// An unknown or refused flag, or one without its value.
pub fn parse(args: Vec<String>) -> Result<(Globals, Vec<String>), Failure> {
    let mut globals = Globals::default();
    let mut rest = args.into_iter().peekable();
    while let Some(word) = rest.next_if(|w| w.len() > 1 && w.starts_with('-')) {
        if word == "--" {
            break;
        }
        globals.take(&word, &mut rest).map_err(failure)?;
    }
    Ok((globals, rest.collect()))
}

fn failure(e: ArgvError) -> Failure {
    let near = match &e {
        ArgvError::UnknownLong(name) => suggest::nearest(name, TABLE.iter().map(|row| row.0)),
        _ => None,
    };
    let see = "run 'rcon --help' for the global options";
    Failure::usage(e.to_string()).hint(match near {
        Some(near) => format!("did you mean --{near}? {see}"),
        None => see.to_owned(),
    })
}

impl Globals {
    /// The part that the engine wants.
    #[must_use]
    pub fn to_engine(&self) -> GlobalOptions {
        let path = |p: &Option<String>| p.as_ref().map(PathBuf::from);
        let paths = |p: &[String]| p.iter().map(PathBuf::from).collect();
        GlobalOptions {
            root: path(&self.root),
            runroot: path(&self.runroot),
            config: None,
            cgroup_manager: self.cgroup_manager.clone(),
            storage_driver: None,
            runtime: self.runtime.clone(),
            cdi_spec_dirs: paths(&self.cdi_spec_dirs),
            hooks_dirs: paths(&self.hooks_dirs),
            modules: self.modules.clone(),
            image_stores: paths(&self.image_stores),
            network_config_dir: path(&self.network_config_dir),
            default_mounts_file: path(&self.default_mounts_file),
            events_backend: self.events_backend.clone(),
            podman: false,
        }
    }

    /// Whether there is a global flag of that long name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        TABLE.iter().any(|row| row.0 == name)
    }

    fn take(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), ArgvError> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) = match long.split_once('=') {
                Some((n, v)) => (n, Some(v.to_owned())),
                None => (long, None),
            };
            if !self.knows(name) {
                return Err(ArgvError::UnknownLong(name.to_owned()));
            }
            return self.set_long(name, value, rest);
        }
        let mut chars = word[1..].chars();
        let first = chars.next().unwrap_or('-');
        if first == 'h' && word.len() == 2 {
            self.help = true;
            return Ok(());
        }
        let row = TABLE
            .iter()
            .find(|row| row.1 == Some(first))
            .ok_or_else(|| ArgvError::UnknownShort(first, word[1..].to_owned()))?;
        let tail = chars.as_str();
        let tail = tail.strip_prefix('=').unwrap_or(tail);
        self.set_long(row.0, (!tail.is_empty()).then(|| tail.to_owned()), rest)
    }

    /// Sets the flag `name` (one that [`Globals::knows`]).
    ///
    /// # Errors
    /// The value is missing or wrong, or the flag is refused.
    pub fn set_long(
        &mut self,
        name: &str,
        value: Option<String>,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), ArgvError> {
        let Some(row) = TABLE.iter().find(|row| row.0 == name) else {
            return Err(ArgvError::UnknownLong(name.to_owned()));
        };
        match row.2 {
            Kind::Switch => {
                let on = bool_of(name, value)?;
                self.set_switch(name, on);
                Ok(())
            }
            Kind::RefusedSwitch(why) => match bool_of(name, value)? {
                true => Err(ArgvError::Global(format!("--{name} is not supported: {why}"))),
                false => Ok(()),
            },
            Kind::Refused(why) => Err(ArgvError::Global(format!("--{name} is not supported: {why}"))),
            Kind::Value => {
                let value = value
                    .or_else(|| rest.next())
                    .ok_or_else(|| ArgvError::NeedsValue(format!("--{name}")))?;
                self.set_value(name, value)
            }
        }
    }

    fn set_switch(&mut self, name: &str, on: bool) {
        match name {
            "debug" => self.debug = on,
            "version" => self.version = on,
            "noout" => self.noout = on,
            _ => self.help = on,
        }
    }

    fn set_value(&mut self, name: &str, value: String) -> Result<(), ArgvError> {
        let slot = match name {
            "root" => &mut self.root,
            "runroot" => &mut self.runroot,
            "config" => &mut self.config,
            "runtime" => &mut self.runtime,
            "tmpdir" => &mut self.tmpdir,
            "out" => &mut self.out,
            "network-config-dir" | "cni-config-dir" => &mut self.network_config_dir,
            "default-mounts-file" => &mut self.default_mounts_file,
            "events-backend" => {
                check(name, &value, &["file", "none"])?;
                &mut self.events_backend
            }
            "network-backend" => return check(name, &value, &["netavark"]),
            "db-backend" => return check(name, &value, &["", "sqlite"]),
            "conmon" => return Ok(()),
            "storage-opt" => return self.storage_option(&value),
            "cdi-spec-dir" => return push(&mut self.cdi_spec_dirs, value),
            "module" => return push(&mut self.modules, value),
            "hooks-dir" => return push(&mut self.hooks_dirs, value),
            "log-level" => {
                let value = value.to_lowercase();
                check(
                    name,
                    &value,
                    &["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"],
                )?;
                self.log_level = Some(value);
                return Ok(());
            }
            "cgroup-manager" => {
                check(name, &value, &["cgroupfs", "systemd"])?;
                &mut self.cgroup_manager
            }
            _ => {
                // storage-driver: there is one, so its name is all there is to say.
                return check(name, &value, &["overlay", "overlay2"]);
            }
        };
        *slot = Some(value);
        Ok(())
    }
}

impl Globals {
    fn storage_option(&mut self, text: &str) -> Result<(), ArgvError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match key.strip_prefix("overlay.").unwrap_or(key) {
            "imagestore" | "additionalimagestore" if value.starts_with('/') => {
                self.image_stores.push(value.to_owned());
                Ok(())
            }
            "imagestore" | "additionalimagestore" => {
                Err(ArgvError::Global(format!("--storage-opt {key} wants an absolute path, not {value:?}")))
            }
            _ => Err(ArgvError::Global(format!(
                "--storage-opt {key} is not supported: of the store's options rcon has overlay.imagestore"
            ))),
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it ends the branch of a match whose others can fail")]
fn push(list: &mut Vec<String>, value: String) -> Result<(), ArgvError> {
    list.push(value);
    Ok(())
}

fn bool_of(name: &str, value: Option<String>) -> Result<bool, ArgvError> {
    match value {
        None => Ok(true),
        Some(v) => go_bool(&v).ok_or_else(|| ArgvError::NotBool { flag: format!("--{name}"), value: v }),
    }
}

fn check(name: &str, value: &str, known: &[&str]) -> Result<(), ArgvError> {
    if known.contains(&value) {
        return Ok(());
    }
    let known = known.join(", ");
    Err(ArgvError::Global(format!("invalid argument {value:?} for \"--{name}\" flag: want one of {known}")))
}

/// Rows for `rcon help`.
#[must_use]
pub fn help_rows() -> Vec<(&'static str, &'static str)> {
    TABLE.iter().filter(|row| !row.3.is_empty()).map(|row| (row.0, row.3)).collect()
}
