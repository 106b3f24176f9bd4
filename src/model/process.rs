//! The process of a container, an exec, a health check or a build step: argv, environment, user,
//! working directory, terminal, capabilities and rlimits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// What the caller said of the process. `None` and empty mean "not said".
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessOptions {
    /// Command and arguments after the image name; replaces the image's `Cmd`.
    pub args: Vec<String>,
    /// `--entrypoint`: `Some(vec![])` resets it (`--entrypoint ""`).
    pub entrypoint: Option<Vec<String>>,
    /// `-e`: `(name, Some(value))`; `(name, None)` takes the value from the caller's environment and
    /// is resolved by the front door. Later entries win.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--unsetenv-all`: start from an empty environment instead of the image's.
    pub unset_env_all: bool,
    /// `--env-merge NAME=text`: like `-e`, with `${OTHER}` replaced by what the image or an earlier `-e` sets.
    pub env_merge: Vec<(String, String)>,
    /// `-u`: `user[:group]`, names or numbers, as typed.
    pub user: Option<String>,
    /// `--group-add`: names or numbers; `keep-groups` is refused rootful.
    pub group_add: Vec<String>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`: keep stdin open.
    pub interactive: bool,
    /// `--cap-add`, upper case, with or without `CAP_`, or `ALL`.
    pub cap_add: Vec<String>,
    /// `--cap-drop`.
    pub cap_drop: Vec<String>,
    /// `--privileged`.
    pub privileged: bool,
    /// `--ulimit`.
    pub rlimits: Vec<Rlimit>,
    /// `--umask`, octal.
    pub umask: Option<u32>,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--init`: a small init as pid 1.
    pub init: Option<bool>,
    /// `--preserve-fds`: descriptors 3 to 2 + n go into the container.
    pub preserve_fds: u32,
    /// `--preserve-fd`: these descriptors go into the container, under the same numbers.
    pub preserve_fd: Vec<u32>,
}

/// The numbers that are handed on, sorted.
#[must_use]
pub fn preserved(count: u32, list: &[u32]) -> Vec<u32> {
    let mut all: Vec<u32> = (3..3_u32.saturating_add(count)).chain(list.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// One resource limit, `--ulimit nofile=1024:2048`. `u64::MAX` is "unlimited" (`-1`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `RLIMIT_…` in upper case, for example `RLIMIT_NOFILE`; [`Rlimit::HOST`] in a wish.
    pub kind: String,
    /// Soft limit.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
    /// Whether the caller asked for it: if not, it is clamped to what the host allows.
    #[serde(default)]
    pub asked: bool,
}

/// The process as it will be: image config and options merged.
///
/// User and groups stay text because names are looked up in the container's own `/etc/passwd` and
/// `/etc/group` at start, beneath its root.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSpec {
    /// Entrypoint (for `inspect`); `argv` is what runs.
    pub entrypoint: Vec<String>,
    /// Cmd (for `inspect`).
    pub cmd: Vec<String>,
    /// What is executed: entrypoint and cmd joined. Never empty.
    pub argv: Vec<String>,
    /// `NAME=value`, each name once, in order.
    pub env: Vec<String>,
    /// `user[:group]`, empty for root.
    pub user: String,
    /// Supplementary groups asked for.
    pub group_add: Vec<String>,
    /// Absolute working directory.
    pub cwd: String,
    /// Capabilities that a user other than root has nevertheless, and hands on to what it executes: those that were asked
    /// for by name, called podman.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ambient: Vec<String>,
    /// The working directory is not made: it must be there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cwd_must_exist: bool,
    /// A terminal is allocated.
    pub tty: bool,
    /// Stdin is kept open.
    pub interactive: bool,
    /// Capability set, upper case `CAP_…`, sorted.
    pub capabilities: Vec<String>,
    /// All limits, defaults written out.
    pub rlimits: Vec<Rlimit>,
    /// File mode mask.
    pub umask: u32,
    /// Badness adjustment, if any.
    pub oom_score_adj: Option<i32>,
    /// Run an init as pid 1.
    pub init: bool,
    /// The host's program that is the init; ours where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_path: Option<String>,
    /// `no_new_privs`.
    pub no_new_privileges: bool,
    /// Descriptors 3 to 2 + n are kept.
    pub preserve_fds: u32,
    /// Further descriptors that are kept.
    #[serde(default)]
    pub preserve_fd: Vec<u32>,
}

impl ProcessSpec {
    /// Where an init of the host's is in the container.
    pub const INIT: &str = "/run/podman-init";

    /// What is executed: with an init of the host's that one, with the command behind it.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let mut all = self.argv.clone();
        if self.init && self.init_path.is_some() {
            all.splice(0..0, [Self::INIT.to_owned(), "--".to_owned()]);
        }
        all
    }

    /// Numbers of the descriptors that the starter hands on.
    #[must_use]
    pub fn preserved(&self) -> Vec<u32> {
        preserved(self.preserve_fds, &self.preserve_fd)
    }
}

impl Rlimit {
    /// `--ulimit host`: all limits as the caller has them.
    pub const HOST: &str = "host";
}

/// Names of limits as `--ulimit` takes them.
pub const RLIMITS: [&str; 16] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
    "as",
];

impl FromStr for Rlimit {
    type Err = ParseError;

    /// `NAME=SOFT[:HARD]`; -1 and `unlimited` are no limit. Or `host`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |why: String| ParseError::new("ulimit", text, why);
        if text == Self::HOST {
            return Ok(Self { kind: text.to_owned(), soft: 0, hard: 0, asked: true });
        }
        let (name, limits) =
            text.split_once('=').ok_or_else(|| bad("want NAME=SOFT[:HARD] or host".to_owned()))?;
        let lower = name.to_ascii_lowercase();
        let name = lower.strip_prefix("rlimit_").unwrap_or(&lower);
        if !RLIMITS.contains(&name) {
            return Err(bad(format!("there is no limit {name:?}: want one of {}", RLIMITS.join(", "))));
        }
        let value = |v: &str| match v {
            "-1" | "unlimited" => Ok(u64::MAX),
            _ => v.parse::<u64>().map_err(|_| bad(format!("{v:?} is no whole number"))),
        };
        let (soft, hard) = match limits.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(limits)?, value(limits)?),
        };
        if soft > hard {
            return Err(bad("the soft limit must not exceed the hard limit".to_owned()));
        }
        Ok(Self { kind: format!("RLIMIT_{}", name.to_ascii_uppercase()), soft, hard, asked: true })
    }
}

impl fmt::Display for Rlimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == Self::HOST {
            return f.write_str(Self::HOST);
        }
        let name = self.kind.strip_prefix("RLIMIT_").unwrap_or(&self.kind).to_ascii_lowercase();
        let value = |v: u64| if v == u64::MAX { "-1".to_owned() } else { v.to_string() };
        write!(f, "{name}={}:{}", value(self.soft), value(self.hard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ulimits() {
        let parse = |t: &str| t.parse::<Rlimit>().map(|r| (r.kind, r.soft, r.hard));
        assert_eq!(parse("nofile=1024:2048"), Ok(("RLIMIT_NOFILE".to_owned(), 1024, 2048)));
        assert_eq!(parse("nproc=10"), Ok(("RLIMIT_NPROC".to_owned(), 10, 10)));
        assert_eq!(parse("core=-1"), Ok(("RLIMIT_CORE".to_owned(), u64::MAX, u64::MAX)));
        for text in ["nofile", "foo=1", "nofile=a", "nofile=3:2", "nofile=1:2:3", "nofile=-2"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!("core=0:-1".parse::<Rlimit>().map(|r| r.to_string()), Ok("core=0:-1".to_owned()));
    }
}
