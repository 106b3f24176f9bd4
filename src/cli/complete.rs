//! `rcon __complete WORDS…`: what may stand at the last of the words. The scripts in `completions/` only call it,
//! so that there is one definition of commands and flags for all shells.
//!
//! A candidate per line, its description behind a tab. A last line that begins with a colon tells the shell what
//! else to do: `:file` offers files too. Whatever goes wrong, the answer is that there are no candidates:
//! completion must never write an error into somebody's command line.

use std::fmt::Write as _;

use clap::{Arg, Command};

use super::cmd::{self, Found};
use super::def::Def;
use super::globals;
use crate::engine::{self, GlobalOptions};

/// The shells that there are scripts for, with the script's file name.
pub(super) const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "rcon.bash", include_str!("complete/rcon.bash")),
    ("zsh", "_rcon", include_str!("complete/rcon.zsh")),
    ("fish", "rcon.fish", include_str!("complete/rcon.fish")),
];

/// The answer for these words; the last one is being typed.
pub(super) fn answer(words: &[String]) -> String {
    let Some((current, before)) = words.split_last() else { return String::new() };
    let mut list = List { prefix: current.clone(), out: String::new(), files: false };
    complete(before, current, &mut list);
    if list.files {
        list.out.push_str(":file\n");
    }
    list.out
}

/// Whether docker's or podman's own completion script asks, which is there where we are called by their names: whether
/// it wants descriptions. Ours put `--` before the words.
pub(super) fn foreign(words: &[String]) -> Option<bool> {
    let ours = words.get(1).is_some_and(|word| word == "--");
    match words.first().map(String::as_str) {
        Some("__complete") if !ours => Some(true),
        Some("__completeNoDesc") => Some(false),
        _ => None,
    }
}

/// The answer in their form: candidates, then the directive for the shell behind a colon; and what is said on stderr.
pub(super) fn foreign_answer(words: &[String], described: bool) -> (String, &'static str) {
    let own = answer(words);
    let mut text = String::with_capacity(own.len() + 4);
    let (mut code, mut note) = (":4", "Completion ended with directive: ShellCompDirectiveNoFileComp");
    for line in own.lines() {
        if line == ":file" {
            (code, note) = (":0", "Completion ended with directive: ShellCompDirectiveDefault");
            continue;
        }
        let word = line.split('\t').next().unwrap_or_default();
        let _ = writeln!(text, "{}", if described { line } else { word });
    }
    let _ = writeln!(text, "{code}");
    (text, note)
}

/// Candidates that begin as what is typed.
struct List {
    prefix: String,
    out: String,
    files: bool,
}

impl List {
    fn add(&mut self, word: &str, about: &str) {
        if word.starts_with(&self.prefix) && !word.chars().any(char::is_control) {
            let about = about.lines().next().unwrap_or_default();
            let _ = match about {
                "" => writeln!(self.out, "{word}"),
                _ => writeln!(self.out, "{word}\t{about}"),
            };
        }
    }
}

fn complete(before: &[String], current: &str, list: &mut List) {
    let (options, skipped) = global_flags(before);
    let words = &before[skipped..];
    match cmd::find(words) {
        _ if words.is_empty() => {
            if current.starts_with('-') {
                globals::help_rows().iter().for_each(|(name, about)| list.add(&format!("--{name}"), about));
            }
            commands(None, list);
        }
        Found::Command { def, depth } => of_command(def, &words[depth..], current, &options, list),
        Found::Group { .. } if words.len() == 1 => commands(Some(&words[0]), list),
        _ if words[0] == "help" && words.len() == 1 => commands(None, list),
        _ => {}
    }
}

/// Global flags at the front: those that say where the store is, and how many words they are.
fn global_flags(words: &[String]) -> (GlobalOptions, usize) {
    let (parsed, rest) = globals::parse(words.to_vec()).unwrap_or_default();
    (parsed.to_engine(), words.len() - rest.len())
}

/// First words, or the second words of a group.
fn commands(group: Option<&str>, list: &mut List) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for def in cmd::ALL.iter().filter(|d| !d.hidden) {
        for name in def.names {
            match (group, name.split_once(' ')) {
                (Some(g), Some((first, second))) if g == first => seen.push((second, def.about)),
                (None, None) => seen.push((name, def.about)),
                (None, Some((first, _))) => seen.push((first, "")),
                _ => {}
            }
        }
    }
    // A word that is a command and a group keeps what it says about itself.
    seen.sort_by_key(|(name, about)| (*name, about.is_empty()));
    seen.dedup_by_key(|(name, _)| *name);
    for (name, about) in seen {
        list.add(name, about);
    }
}

fn of_command(def: &Def, words: &[String], current: &str, options: &GlobalOptions, list: &mut List) {
    let mut tree = def.tree(def.names[0]);
    tree.build();
    let place = place(&tree, words, def.flags_first);
    match place {
        Place::Value(arg) => value(arg, options, list),
        Place::Positional(_) if current.starts_with("--") && current.contains('=') => {
            let (flag, typed) = current.split_once('=').unwrap_or((current, ""));
            let arg = tree.get_arguments().find(|a| a.get_long() == flag.strip_prefix("--"));
            // Shells differ in where they split at `=`, so the candidates are whole words.
            let mut inner = List { prefix: typed.to_owned(), out: String::new(), files: false };
            if let Some(arg) = arg {
                value(arg, options, &mut inner);
            }
            for line in inner.out.lines() {
                let _ = writeln!(list.out, "{flag}={line}");
            }
        }
        Place::Positional(_) if current.starts_with('-') => {
            for arg in tree.get_arguments().filter(|a| !a.is_hide_set()) {
                if let Some(long) = arg.get_long() {
                    list.add(
                        &format!("--{long}"),
                        &arg.get_help().map(ToString::to_string).unwrap_or_default(),
                    );
                }
            }
            list.add("--help", "Print help");
        }
        Place::Positional(n) => positional(def.names[0], n, options, list),
        Place::Free => list.files = true,
    }
}

/// Where the cursor is.
enum Place<'a> {
    /// At the value of a flag.
    Value(&'a Arg),
    /// At the n-th positional, or at a flag before it.
    Positional(usize),
    /// Among the arguments of the container's own command.
    Free,
}

fn place<'a>(tree: &'a Command, words: &[String], flags_first: bool) -> Place<'a> {
    let takes_value =
        |arg: &Arg| arg.get_action().takes_values() && arg.get_num_args().is_none_or(|n| n.min_values() > 0);
    let mut positionals = 0;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if flags_first && positionals > 0 {
            positionals += 1;
            continue;
        }
        let arg = if let Some(long) = word.strip_prefix("--") {
            (!long.contains('=')).then(|| tree.get_arguments().find(|a| a.get_long() == Some(long))).flatten()
        } else if word.len() > 1 && word.starts_with('-') {
            word.chars().last().and_then(|c| tree.get_arguments().find(|a| a.get_short() == Some(c)))
        } else {
            positionals += 1;
            continue;
        };
        if let Some(arg) = arg.filter(|a| takes_value(a))
            && words.next().is_none()
        {
            return Place::Value(arg);
        }
    }
    if flags_first && positionals > 1 { Place::Free } else { Place::Positional(positionals) }
}

/// What stands at a flag's value.
fn value(arg: &Arg, options: &GlobalOptions, list: &mut List) {
    for possible in arg.get_possible_values() {
        list.add(possible.get_name(), "");
    }
    let words: &[&str] = match arg.get_id().as_str() {
        "network" => {
            names(Kind::Network, options, list);
            &["none", "host", "bridge"]
        }
        "volumes_from" | "requires" | "link" => return names(Kind::Container, options, list),
        "volume" => {
            list.files = true;
            return names(Kind::Volume, options, list);
        }
        "restart" => &["no", "on-failure", "always", "unless-stopped"],
        "pull" => &["always", "missing", "never", "newer"],
        "log_driver" => &["json-file", "k8s-file", "journald", "none", "passthrough"],
        "format" => &["json", "table"],
        "pid" | "uts" | "cgroupns" => &["private", "host", "container:", "ns:"],
        "ipc" => &["private", "shareable", "none", "host", "container:", "ns:"],
        "userns" => &["host", "auto", "keep-id", "nomap", "container:", "ns:"],
        "signal" | "stop_signal" => &["HUP", "INT", "KILL", "QUIT", "STOP", "TERM", "USR1", "USR2"],
        "security_opt" => &[
            "no-new-privileges",
            "seccomp=",
            "seccomp=unconfined",
            "apparmor=",
            "label=",
            "mask=",
            "unmask=",
        ],
        "cap_add" | "cap_drop" => &["ALL", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYS_TIME"],
        "health_on_failure" => &["none", "kill", "restart", "stop"],
        "attach" => &["stdin", "stdout", "stderr"],
        "filter" => &["id=", "name=", "label=", "status=", "until=", "reference=", "dangling=", "network="],
        _ => {
            let place = arg.get_value_names().and_then(|n| n.first()).map_or("", |n| n.as_str());
            list.files = matches!(place, "FILE" | "DIR" | "PATH" | "NAME|PATH" | "HOST[:CONTAINER][:rwm]");
            return;
        }
    };
    for word in words {
        list.add(word, "");
    }
}

/// Things that have names.
#[derive(Clone, Copy)]
enum Kind {
    Container,
    Running,
    Image,
    Volume,
    Network,
    Secret,
}

/// What stands at the n-th positional of a command.
fn positional(command: &str, n: usize, options: &GlobalOptions, list: &mut List) {
    let kind = match command {
        "run" | "create" if n == 0 => Kind::Image,
        "exec" | "attach" | "top" | "port" | "pause" | "container pause" if n == 0 => Kind::Running,
        "stop" | "kill" | "restart" | "stats" | "unpause" | "healthcheck run" => Kind::Running,
        "start" | "rm" | "logs" | "wait" | "init" | "update" | "mount" | "unmount" => Kind::Container,
        "diff" | "export" | "commit" | "rename" if n == 0 => Kind::Container,
        "container inspect" | "container cleanup" | "container exists" | "container clone" => Kind::Container,
        "pull" | "push" | "rmi" | "tag" | "untag" | "history" | "save" => Kind::Image,
        "image inspect" | "image exists" | "image tree" | "image diff" => Kind::Image,
        "inspect" => {
            names(Kind::Container, options, list);
            names(Kind::Volume, options, list);
            names(Kind::Network, options, list);
            Kind::Image
        }
        "cp" => {
            list.files = true;
            let mut inner = List { prefix: list.prefix.clone(), out: String::new(), files: false };
            names(Kind::Container, options, &mut inner);
            for line in inner.out.lines() {
                let name = line.split('\t').next().unwrap_or(line);
                let _ = writeln!(list.out, "{name}:");
            }
            return;
        }
        "completion" => {
            SHELLS.iter().for_each(|(shell, ..)| list.add(shell, ""));
            return;
        }
        "load" | "import" => {
            list.files = true;
            return;
        }
        "volume create" | "network create" => return,
        "volume import" if n == 1 => {
            list.files = true;
            return;
        }
        "secret create" => {
            list.files = n == 1;
            return;
        }
        _ if command.starts_with("secret ") => Kind::Secret,
        _ if command.starts_with("volume ") => Kind::Volume,
        "network connect" | "network disconnect" if n == 1 => Kind::Container,
        _ if command.starts_with("network ") => Kind::Network,
        _ => return,
    };
    names(kind, options, list);
}

/// The names of things in the store.
fn names(kind: Kind, options: &GlobalOptions, list: &mut List) {
    // No store yet, no permission, a damaged file: nothing to offer, and this is no place to say so.
    let Ok(ctx) = engine::Context::load(options) else { return };
    match kind {
        Kind::Container | Kind::Running => {
            let all = matches!(kind, Kind::Container);
            let wish = engine::ps::ListOptions { all, ..Default::default() };
            for c in engine::ps::ps(&ctx, &wish).unwrap_or_default() {
                list.add(&c.name, &format!("{} ({})", c.image, c.status));
            }
        }
        Kind::Image => {
            for entry in
                engine::images::list(&ctx, &engine::images::ListOptions::default()).unwrap_or_default()
            {
                if let (Some(repository), Some(tag)) = (&entry.repository, &entry.tag) {
                    list.add(&format!("{repository}:{tag}"), "");
                }
            }
        }
        Kind::Volume => {
            for volume in engine::volumes::ls(&ctx, &[]).unwrap_or_default() {
                list.add(&volume.name, "");
            }
        }
        Kind::Secret => {
            for secret in engine::secrets::ls(&ctx, &[]).unwrap_or_default() {
                list.add(&secret.name, "");
            }
        }
        Kind::Network => {
            for name in cmd::network_names(&ctx) {
                list.add(&name, "");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    fn at(line: &[&str]) -> Vec<String> {
        let words: Vec<String> = line.iter().map(|w| (*w).to_owned()).collect();
        answer(&words).lines().map(|l| l.split('\t').next().unwrap_or(l).to_owned()).collect()
    }

    #[test]
    fn commands_groups_flags_and_values() {
        assert!(at(&["ru"]).contains(&"run".to_owned()));
        assert!(at(&["volu"]).contains(&"volume".to_owned()));
        assert!(at(&["volume", "cr"]).contains(&"create".to_owned()));
        assert_eq!(at(&["run", "--read-only-t"]), ["--read-only-tmpfs"]);
        assert_eq!(at(&["run", "--restart", "al"]), ["always"]);
        assert_eq!(at(&["run", "--restart=al"]), ["--restart=always"]);
        assert_eq!(at(&["ps", "--sort", "na"]), ["names"]);
        assert_eq!(at(&["completion", "z"]), ["zsh"]);
        assert_eq!(at(&["run", "busybox", "ls", ""]), [":file"]);
        assert_eq!(at(&["run", "--env-file", ""]), [":file"]);
        assert!(at(&["--ro"]).contains(&"--root".to_owned()));
        assert!(at(&["nonsense", "x"]).is_empty());
    }
}
