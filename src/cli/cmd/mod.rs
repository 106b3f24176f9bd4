//! The commands: one file each, listed in [`ALL`].

pub mod runtime;
mod version;

use super::def::Def;

/// Every command. The order is that of `rcon help` within a section.
pub static ALL: &[&Def] = &[
    // everyday
    // containers
    // images
    // networks
    // volumes
    // system
    &version::DEF,
];

/// What the first words of a command line name.
pub enum Found {
    /// A command, spelt by the first `depth` words.
    Command {
        /// The command.
        def: &'static Def,
        /// Words of its name.
        depth: usize,
    },
    /// A group of commands (`volume`) whose next word is no command.
    Group {
        /// Words of the group.
        words: usize,
    },
    /// Neither.
    Nothing,
}

/// Looks up the longest command name that `words` begin with.
#[must_use]
pub fn find(words: &[String]) -> Found {
    let first = words.first().map_or("", String::as_str);
    if let Some(second) = words.get(1) {
        for def in ALL {
            if def.names.iter().any(|n| n.split_once(' ') == Some((first, second))) {
                return Found::Command { def, depth: 2 };
            }
        }
    }
    if let Some(def) = ALL.iter().find(|d| d.names.contains(&first)) {
        return Found::Command { def, depth: 1 };
    }
    let next_is_word = words.get(1).is_some_and(|w| !w.starts_with('-') && w != "help");
    if is_group(first) && !next_is_word { Found::Group { words: 1 } } else { Found::Nothing }
}

/// Whether `word` is the first of two-word commands.
#[must_use]
pub fn is_group(word: &str) -> bool {
    all_names().any(|n| n.split_once(' ').is_some_and(|(g, _)| g == word))
}

/// Every spelling of every command.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|d| !d.hidden).flat_map(|d| d.names.iter().copied())
}
