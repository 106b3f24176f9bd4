//! The process: what `run`, `create` and `exec` say of it ([`ProcessArgs`]), and what only the first process of
//! a container can be told ([`FirstProcessArgs`]).

use super::super::exit::Failure;
use super::{boolean, commas, env};
use crate::model::process::{ProcessOptions, Rlimit};

/// Flags of `run`, `create` and `exec`.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Set an environment variable; without value it is taken from the caller
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Keep stdin open even if not attached
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User (and group) to run as
    #[arg(short, long, value_name = "NAME|UID[:GROUP|GID]")]
    pub user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Give all capabilities and devices, and lift all protections
    #[arg(long)]
    pub privileged: bool,
}

/// Flags of `run` and `create` only.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Process")]
pub struct FirstProcessArgs {
    /// Replace the image's entrypoint; "" resets it
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Hand the caller's whole environment on
    #[arg(long)]
    pub env_host: bool,
    /// Set a variable from others: NAME=text with ${OTHER}
    #[arg(long, value_name = "NAME=TEXT")]
    pub env_merge: Vec<String>,
    /// Remove a variable of the image
    #[arg(long, value_name = "NAME")]
    pub unsetenv: Vec<String>,
    /// Remove all variables of the image
    #[arg(long)]
    pub unsetenv_all: bool,
    /// Additional groups
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    /// Limits of the process, for example nofile=1024:2048; host: those of the caller
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub ulimit: Vec<Rlimit>,
    /// File mode mask, octal
    #[arg(long, value_name = "MASK")]
    pub umask: Option<String>,
    /// Adjust the preference of the kernel to kill it (-1000 to 1000)
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub oom_score_adj: Option<i32>,
    /// Run a small init as pid 1 that forwards signals and reaps processes
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL", hide_possible_values = true)]
    pub init: Option<bool>,
    /// Init program on the host instead of the built-in one
    #[arg(long, value_name = "PATH")]
    pub init_path: Option<String>,
    /// Personality of the process: LINUX or LINUX32
    #[arg(long, value_name = "PERSONA")]
    pub personality: Option<String>,
    /// Time zone: a name, or "local"
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Add a user that the image lacks to the container's /etc/passwd
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    pub passwd: Option<bool>,
    /// Line to add to /etc/passwd
    #[arg(long, value_name = "LINE")]
    pub passwd_entry: Option<String>,
    /// Line to add to /etc/group
    #[arg(long, value_name = "LINE")]
    pub group_entry: Option<String>,
    /// Add a user of the host to /etc/passwd
    #[arg(long, value_name = "NAME")]
    pub hostuser: Vec<String>,
    /// Hand the caller's proxy variables on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = boolean, value_name = "BOOL")]
    pub http_proxy: Option<bool>,
}

impl ProcessArgs {
    /// The options for the command `args`.
    ///
    /// # Errors
    /// A variable or an environment file that does not parse.
    pub fn into_options(self, args: Vec<String>) -> Result<ProcessOptions, Failure> {
        let Self { env, env_file, interactive, tty, user, workdir, privileged } = self;
        let env = env::environment(&env_file, &env, &env::caller)?;
        Ok(ProcessOptions {
            args,
            env: env.set,
            unset_env: env.unset,
            user,
            workdir,
            tty,
            interactive,
            privileged,
            ..ProcessOptions::default()
        })
    }
}

impl FirstProcessArgs {
    /// Adds what concerns the process itself to `options`; the rest is taken by `create`.
    ///
    /// # Errors
    /// A mask that is not octal.
    pub(super) fn apply(&self, options: &mut ProcessOptions) -> Result<(), Failure> {
        options.entrypoint = self.entrypoint.as_deref().map(words);
        options.unset_env.extend(self.unsetenv.iter().cloned());
        options.unset_env_all = self.unsetenv_all;
        options.group_add = commas(self.group_add.clone());
        options.rlimits = self.ulimit.clone();
        options.oom_score_adj = self.oom_score_adj;
        options.init = self.init.or(self.init_path.as_ref().map(|_| true));
        options.umask = match &self.umask {
            None => None,
            Some(text) => match u32::from_str_radix(text, 8) {
                Ok(mask) if mask <= 0o777 => Some(mask),
                _ => {
                    return Err(Failure::usage(format!(
                        "invalid argument {text:?} for \"--umask\" flag: want an octal number up to 0777"
                    )));
                }
            },
        };
        for text in &self.env_merge {
            options.env_merge.push(super::strict_pair("env-merge", text)?);
        }
        if self.env_host {
            // Said by name wins over said as a whole.
            let named = std::mem::take(&mut options.env);
            options.env = super::unique_pairs(env::host().chain(named));
        }
        Ok(())
    }
}

/// A command as `--entrypoint` takes it: a JSON list, or one word.
fn words(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(list) => list,
        Err(_) => vec![text.to_owned()],
    }
}
