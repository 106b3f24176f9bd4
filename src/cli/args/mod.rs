//! Groups of flags that mirror `model`: each is a `clap::Args` struct with one `into_options` (or
//! `apply`), flattened into the commands that share it. No command declares a shared flag itself.

pub mod create;
pub mod env;
pub mod health;
pub mod image;
pub mod life;
pub mod mounts;
pub mod network;
pub mod process;
pub mod refused;
pub mod resources;
pub mod security;
pub mod select;

use super::argv::go_bool;
use super::exit::Failure;

/// Value parser of booleans that are on by default or may be left unsaid: `--flag`, `--flag=false`.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    go_bool(text).ok_or_else(|| "want true or false".to_owned())
}

/// Value parser of a flag whose values are known and offered by the completion, but looked at later: docker's exit code
/// for a wrong one is then that of a failed command, not that of a flag that does not parse.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suggested(pub &'static [&'static str]);

impl clap::builder::TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<String, clap::Error> {
        clap::builder::StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(clap::builder::PossibleValue::new)))
    }
}

/// Value parser of `--filter`: `KEY=VALUE`. Which keys there are is the engine's matter.
pub(crate) fn filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if !key.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("bad format of filter (expected name=value)".to_owned()),
    }
}

/// Splits `KEY=VALUE`; without `=` the value is empty.
pub(crate) fn pair(text: &str) -> (String, String) {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

/// Splits `KEY=VALUE` where both parts are needed.
pub(crate) fn strict_pair(flag: &str, text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Failure::usage(format!("invalid argument {text:?} for \"--{flag}\" flag: want KEY=VALUE"))),
    }
}

/// Pairs of a repeated flag, each key once, the last value wins, in the order of first use.
pub(crate) fn unique_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for (key, value) in pairs {
        match all.iter_mut().find(|(k, _)| *k == key) {
            Some(slot) => slot.1 = value,
            None => all.push((key, value)),
        }
    }
    all
}

/// Flattens values that may be lists themselves (`--cap-add A,B`).
pub(crate) fn commas(values: Vec<String>) -> Vec<String> {
    values.iter().flat_map(|v| v.split(',')).filter(|v| !v.is_empty()).map(str::to_owned).collect()
}
