//! The grammar of argv, exactly docker's (that of Go's pflag), applied to a clap tree.
//!
//! Differences from clap that scripts rely on: a flag's value may begin with `-`; booleans take
//! `--rm=false` and `-d=true`; a repeated flag's last value wins; with `flags_first` everything after the
//! first positional is left alone, so that `run IMAGE ls -l` needs no `--`. The result is a canonical list
//! (`--long=value … -- positionals`) that clap then turns into types. Errors carry docker's words.

use clap::{Arg, Command};

use super::exit::Failure;
use super::globals::Globals;
use super::suggest;

/// Result of [`parse`].
#[derive(Debug)]
pub enum Parsed {
    /// `--help` was given.
    Help,
    /// Arguments in canonical form.
    Args(Canonical),
}

/// Flags in order, then positionals.
#[derive(Debug, Default)]
pub struct Canonical {
    flags: Vec<(String, Option<String>)>,
    /// What is no flag and no value of one.
    pub positionals: Vec<String>,
}

impl Canonical {
    /// The words for clap, with a program name first.
    #[must_use]
    pub fn into_words(self) -> Vec<String> {
        let mut words = vec!["rcon".to_owned()];
        for (flag, value) in self.flags {
            words.push(match value {
                Some(v) => format!("{flag}={v}"),
                None => flag,
            });
        }
        words.push("--".to_owned());
        words.extend(self.positionals);
        words
    }
}

/// What is wrong with a list of arguments.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// `--foo` that no flag has.
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    /// `-z` that no flag has.
    #[error("unknown shorthand flag: '{0}' in -{1}")]
    UnknownShort(char, String),
    /// A flag at the end whose value is missing.
    #[error("flag needs an argument: {0}")]
    NeedsValue(String),
    /// `--rm=maybe`.
    #[error("invalid argument {value:?} for \"{flag}\" flag: want true or false")]
    NotBool {
        /// Flag as `help` shows it.
        flag: String,
        /// What was given.
        value: String,
    },
    /// `--=x`, `---x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// A global flag that is refused.
    #[error("{0}")]
    Global(String),
}

impl ArgvError {
    /// The error as shown for the command `called` with flags `tree`.
    #[must_use]
    pub fn into_failure(self, tree: &Command, called: &str) -> Failure {
        let see = format!("See 'rcon {called} --help' for more information");
        let near = match &self {
            Self::UnknownLong(name) => {
                if let Some(why) = super::args::refused::elsewhere(called, name) {
                    return Failure::usage(format!("--{name} is not supported: {why}")).hint(see);
                }
                suggest::nearest(name, tree.get_arguments().filter_map(Arg::get_long)).map(str::to_owned)
            }
            _ => None,
        };
        let hint = match near {
            Some(near) => format!("did you mean --{near}? {see}"),
            None => see,
        };
        Failure::usage(self.to_string()).hint(hint)
    }
}

/// Splits `args` into flags and positionals by the flags that `tree` (built) has. Flags that only the
/// program as a whole has go to `globals`.
///
/// # Errors
/// Says which argument is wrong, in docker's words.
pub fn parse(
    tree: &Command,
    args: Vec<String>,
    flags_first: bool,
    globals: &mut Globals,
) -> Result<Parsed, ArgvError> {
    let mut out = Canonical::default();
    let mut rest = args.into_iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        if let Some(long) = word.strip_prefix("--") {
            if long == "help" {
                return Ok(Parsed::Help);
            }
            take_long(tree, long, &mut rest, globals, &mut out)?;
        } else if word.len() > 1 && word.starts_with('-') {
            if word == "-h" && find_short(tree, 'h').is_none() {
                return Ok(Parsed::Help);
            }
            take_cluster(tree, &word[1..], &mut rest, &mut out)?;
        } else {
            out.positionals.push(word);
            if flags_first {
                break;
            }
        }
    }
    out.positionals.extend(rest);
    Ok(Parsed::Args(out))
}

fn take_long(
    tree: &Command,
    text: &str,
    rest: &mut impl Iterator<Item = String>,
    globals: &mut Globals,
    out: &mut Canonical,
) -> Result<(), ArgvError> {
    let (name, value) = match text.split_once('=') {
        Some((n, v)) => (n, Some(v.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || name.starts_with('-') {
        return Err(ArgvError::Syntax(format!("--{text}")));
    }
    match find_long(tree, name) {
        Some(arg) => push(arg, value, rest, &format!("--{name}"), out),
        None if globals.knows(name) => globals.set_long(name, value, rest),
        None => Err(ArgvError::UnknownLong(name.to_owned())),
    }
}

fn take_cluster(
    tree: &Command,
    cluster: &str,
    rest: &mut impl Iterator<Item = String>,
    out: &mut Canonical,
) -> Result<(), ArgvError> {
    let chars = cluster.char_indices();
    for (at, c) in chars {
        let arg = find_short(tree, c).ok_or_else(|| ArgvError::UnknownShort(c, cluster.to_owned()))?;
        let tail = &cluster[at + c.len_utf8()..];
        let shown = format!("'{c}' in -{cluster}");
        if let Some(value) = tail.strip_prefix('=') {
            return push(arg, Some(value.to_owned()), rest, &shown, out);
        }
        if needs_value(arg) {
            let value = (!tail.is_empty()).then(|| tail.to_owned());
            return push(arg, value, rest, &shown, out);
        }
        push(arg, None, rest, &shown, out)?;
    }
    Ok(())
}

/// Adds one flag, fetching its value from `rest` where it needs one.
fn push(
    arg: &Arg,
    value: Option<String>,
    rest: &mut impl Iterator<Item = String>,
    shown: &str,
    out: &mut Canonical,
) -> Result<(), ArgvError> {
    let name = canonical_name(arg);
    if !arg.get_action().takes_values() {
        let on = match value {
            None => true,
            Some(v) => go_bool(&v).ok_or_else(|| ArgvError::NotBool { flag: spelled(arg), value: v })?,
        };
        out.flags.retain(|(n, _)| *n != name);
        if on {
            out.flags.push((name, None));
        }
        return Ok(());
    }
    let value = match value {
        Some(v) => Some(v),
        None if needs_value(arg) => Some(rest.next().ok_or_else(|| ArgvError::NeedsValue(shown.to_owned()))?),
        None => None,
    };
    out.flags.push((name, value));
    Ok(())
}

/// `--long`, or `-s` where there is no long form.
fn canonical_name(arg: &Arg) -> String {
    match (arg.get_long(), arg.get_short()) {
        (Some(long), _) => format!("--{long}"),
        (None, Some(short)) => format!("-{short}"),
        (None, None) => String::new(),
    }
}

/// `-m, --memory`, as docker's errors name a flag.
fn spelled(arg: &Arg) -> String {
    match (arg.get_short(), arg.get_long()) {
        (Some(s), Some(l)) => format!("-{s}, --{l}"),
        _ => canonical_name(arg),
    }
}

fn needs_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|n| n.min_values() > 0)
}

fn find_long<'a>(tree: &'a Command, name: &str) -> Option<&'a Arg> {
    tree.get_arguments()
        .find(|a| a.get_long() == Some(name) || a.get_all_aliases().is_some_and(|all| all.contains(&name)))
}

fn find_short(tree: &Command, name: char) -> Option<&Arg> {
    tree.get_arguments().find(|a| {
        a.get_short() == Some(name) || a.get_all_short_aliases().is_some_and(|all| all.contains(&name))
    })
}

/// Go's `strconv.ParseBool`.
#[must_use]
pub fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// Refuses a wrong number of positionals, in docker's words and with its exit code 1.
///
/// # Errors
/// Says how many the command wants.
pub fn check_count(tree: &Command, args: &Canonical, called: &str) -> Result<(), Failure> {
    let (mut min, mut max) = (0_usize, Some(0_usize));
    for p in tree.get_positionals() {
        let range = p.get_num_args().unwrap_or_else(|| 1.into());
        if p.is_required_set() {
            min += range.min_values().max(1);
        }
        max = match (max, range.max_values()) {
            (Some(sum), n) if n < 1000 => Some(sum + n),
            _ => None,
        };
    }
    let given = args.positionals.len();
    if given >= min && max.is_none_or(|m| given <= m) {
        return Ok(());
    }
    let plural = |n: usize| if n == 1 { "argument" } else { "arguments" };
    let want = match max {
        Some(0) => "accepts no arguments".to_owned(),
        Some(m) if m == min => format!("requires {m} {}", plural(m)),
        Some(m) if given > m => format!("requires at most {m} {}", plural(m)),
        _ => format!("requires at least {min} {}", plural(min)),
    };
    Err(Failure::new(format!("'rcon {called}' {want}"))
        .hint(format!("See 'rcon {called} --help' for more information")))
}

/// A value that a flag's type refused. Flags and counts were checked before, so this is what is left.
#[must_use]
pub fn clap_failure(e: &clap::Error, called: &str) -> Failure {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match e.get(kind) {
        Some(ContextValue::String(s)) => Some(s.clone()),
        Some(ContextValue::Strings(s)) => Some(s.join(", ")),
        _ => None,
    };
    let see = format!("See 'rcon {called} --help' for more information");
    let flag = text(ContextKind::InvalidArg).unwrap_or_default();
    let flag = flag.split(['=', ' ', '<', '[']).next().unwrap_or_default().to_owned();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let message = match e.kind() {
        ErrorKind::InvalidValue => match text(ContextKind::ValidValue) {
            Some(valid) => format!("invalid argument {value:?} for \"{flag}\" flag: want one of {valid}"),
            None => format!("invalid argument {value:?} for \"{flag}\" flag"),
        },
        ErrorKind::ValueValidation => {
            let source = std::error::Error::source(e);
            // The flag and the value are named already.
            let why = match source.and_then(|s| s.downcast_ref::<crate::model::ParseError>()) {
                Some(parse) => parse.why.clone(),
                None => source.map(ToString::to_string).unwrap_or_default(),
            };
            format!("invalid argument {value:?} for \"{flag}\" flag: {why}")
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            format!("conflicting options: {flag} and {other}")
        }
        _ => e.to_string().trim_start_matches("error: ").lines().next().unwrap_or_default().to_owned(),
    };
    Failure::usage(message).hint(see)
}
