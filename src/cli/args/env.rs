//! Environment and label files, and `-e`: docker's grammar.
//!
//! A line is `NAME=value` (the value is taken as it is, quotes and all) or `NAME` (the value comes from the
//! caller); blank lines and lines that begin with `#` are skipped.

use super::super::exit::Failure;
use super::unique_pairs;

/// Variables that a command line asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables with values, each once.
    pub set: Vec<(String, String)>,
    /// Named without value and unknown to the caller: taken out of the image's environment, as docker does.
    pub unset: Vec<String>,
}

/// Where values of `-e NAME` come from.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The caller's own environment.
pub(crate) fn caller(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Joins `--env-file` and `-e`, files first.
pub(crate) fn environment(
    files: &[String],
    texts: &[String],
    lookup: Lookup<'_>,
) -> Result<Environment, Failure> {
    let mut all = Environment::default();
    let mut set = Vec::new();
    for path in files {
        for line in read_lines(path)? {
            add(&mut all, &mut set, &line, lookup)?;
        }
    }
    for text in texts {
        add(&mut all, &mut set, text, lookup)?;
    }
    all.unset.retain(|name| !set.iter().any(|(n, _)| n == name));
    all.set = unique_pairs(set);
    Ok(all)
}

fn add(
    all: &mut Environment,
    set: &mut Vec<(String, String)>,
    text: &str,
    lookup: Lookup<'_>,
) -> Result<(), Failure> {
    match text.split_once('=') {
        Some(("", _)) => Err(Failure::usage(format!("invalid environment variable: {text}"))),
        Some((name, value)) => {
            set.push((name.to_owned(), value.to_owned()));
            Ok(())
        }
        None if text.is_empty() => Err(Failure::usage("invalid environment variable: it is empty")),
        // podman: every variable of the caller that begins so.
        None if text.ends_with('*') => {
            let prefix = &text[..text.len() - 1];
            set.extend(host().filter(|(name, _)| name.starts_with(prefix)));
            Ok(())
        }
        None => {
            match lookup(text) {
                Some(value) => set.push((text.to_owned(), value)),
                None => all.unset.push(text.to_owned()),
            }
            Ok(())
        }
    }
}

/// The caller's environment, for `--env-host`. What is no text cannot be handed on.
pub(crate) fn host() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)))
}

/// Joins `--label-file` and `-l`, files first; a label without `=` has an empty value.
pub(crate) fn labels(files: &[String], texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for path in files {
        all.extend(read_lines(path)?.iter().map(|l| super::pair(l)));
    }
    for text in texts {
        let (key, value) = super::pair(text);
        if key.is_empty() {
            return Err(Failure::usage(format!("invalid label {text:?}: the key is empty")));
        }
        all.push((key, value));
    }
    Ok(unique_pairs(all))
}

/// The lines of such a file that say something, names checked.
fn read_lines(path: &str) -> Result<Vec<String>, Failure> {
    let bytes = if path == "-" {
        let mut all = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut all).map(|_| all)
    } else {
        std::fs::read(path)
    }
    .map_err(|e| Failure::usage(format!("reading {path}: {e}")))?;
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{path}: it is not valid UTF-8")))?;
    parse_lines(&text).map_err(|why| Failure::usage(format!("poorly formatted file {path}: {why}")))
}

fn parse_lines(text: &str) -> Result<Vec<String>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line.trim_end(), None),
        };
        if name.is_empty() {
            return Err(format!("no variable name on line {}: '{line}'", number + 1));
        }
        if name.contains(char::is_whitespace) {
            return Err(format!("variable '{name}' contains whitespaces (line {})", number + 1));
        }
        lines.push(match value {
            Some(value) => format!("{name}={value}"),
            None => name.to_owned(),
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_values_win_and_unknown_names_are_unset() {
        let texts = ["A=1", "B", "A=2", "C", "D="].map(str::to_owned);
        let lookup = |name: &str| (name == "B").then(|| "caller".to_owned());
        let env = environment(&[], &texts, &lookup).expect("valid");
        let set: Vec<(&str, &str)> = env.set.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(set, [("A", "2"), ("B", "caller"), ("D", "")]);
        assert_eq!(env.unset, ["C"]);
        assert!(environment(&[], &["=x".to_owned()], &lookup).is_err());
    }

    #[test]
    fn files_are_dockers() {
        let lines = parse_lines("\u{feff}# comment\n\nA=1 # kept\n  B=\"x\"\nC\n");
        assert_eq!(lines.as_deref(), Ok(&["A=1 # kept", "B=\"x\"", "C"].map(str::to_owned)[..]));
        assert!(parse_lines("A B=1").is_err());
        assert!(parse_lines("=1").is_err());
    }
}
