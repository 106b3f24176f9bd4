//! The words of a mount's `options`: attributes of the mount, flags of the file system, propagation,
//! and parameters for the file system itself (pure).

use std::ffi::CString;

use crate::runtime::Error;
use crate::sys::mount::{Propagation, attr};

/// The options of one mount, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Attributes to set on the mount.
    pub set: u64,
    /// Attributes to clear on it.
    pub clear: u64,
    /// Attributes to set on it and on all below it.
    pub recursive_set: u64,
    /// Attributes to clear on it and on all below it.
    pub recursive_clear: u64,
    /// Propagation, and whether for all below too.
    pub propagation: Option<(Propagation, bool)>,
    /// A bind, and whether with all below.
    pub bind: Option<bool>,
    /// Change what is mounted there.
    pub remount: bool,
    /// Fill a tmpfs with what it covers.
    pub copy_up: bool,
    /// Shift the ids, recursively or not, with the maps given in the word itself (podman) if any.
    pub idmap: Option<IdMapWord>,
    /// Parameters of the file system: flags and `key=value`.
    pub data: Vec<(CString, Option<CString>)>,
    /// SELinux context of everything on it: not a word of the mount's, but of the whole document.
    pub label: Option<CString>,
}

/// `idmap`, `ridmap`, `idmap=uids=…;gids=…`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IdMapWord {
    /// For all mounts below too.
    pub recursive: bool,
    /// Text after `idmap=`.
    pub maps: String,
}

/// Words that set or clear an attribute; with `r` before them, recursively.
const ATTRIBUTES: &[(&str, bool, u64)] = &[
    ("ro", true, attr::RDONLY),
    ("rw", false, attr::RDONLY),
    ("nosuid", true, attr::NOSUID),
    ("suid", false, attr::NOSUID),
    ("nodev", true, attr::NODEV),
    ("dev", false, attr::NODEV),
    ("noexec", true, attr::NOEXEC),
    ("exec", false, attr::NOEXEC),
    ("nodiratime", true, attr::NODIRATIME),
    ("diratime", false, attr::NODIRATIME),
    ("nosymfollow", true, attr::NOSYMFOLLOW),
    ("symfollow", false, attr::NOSYMFOLLOW),
];

/// Words about access times, which exclude each other.
const TIMES: &[(&str, u64)] = &[
    ("noatime", attr::NOATIME),
    ("strictatime", attr::STRICTATIME),
    ("relatime", attr::RELATIME),
    ("atime", attr::RELATIME),
    // Without the flag the kernel does as with it.
    ("norelatime", attr::RELATIME),
    ("nostrictatime", attr::RELATIME),
];

/// Words that the kernel takes as flags of the file system itself.
const SUPER_FLAGS: &[&str] = &["sync", "dirsync", "lazytime", "mand", "silent", "iversion"];

/// Words that say what is so anyway.
const NOTHING: &[&str] = &["defaults", "async", "nolazytime", "nomand", "loud", "noiversion", "notmpcopyup"];

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("shared", Propagation::Shared),
    ("slave", Propagation::Slave),
    ("unbindable", Propagation::Unbindable),
];

impl Options {
    /// Takes the words apart; `field` names them in errors.
    pub(crate) fn parse(words: &[String], field: &str) -> Result<Self, Error> {
        let mut out = Self::default();
        for word in words {
            out.word(word, field)?;
        }
        Ok(out)
    }

    fn word(&mut self, word: &str, field: &str) -> Result<(), Error> {
        if word.is_empty() || NOTHING.contains(&word) || self.special(word) || self.attribute(word) {
            return Ok(());
        }
        if let Some(propagation) = propagation(word) {
            self.propagation = Some(propagation);
            return Ok(());
        }
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_matches('"'))),
            None => (word, None),
        };
        let c = |text: &str| {
            CString::new(text).map_err(|_| Error::spec(field, format!("NUL byte in option {word:?}")))
        };
        self.data.push((c(key)?, value.map(c).transpose()?));
        Ok(())
    }

    fn special(&mut self, word: &str) -> bool {
        match word {
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(IdMapWord::default()),
            "ridmap" => self.idmap = Some(IdMapWord { recursive: true, maps: String::new() }),
            _ => match word.strip_prefix("idmap=") {
                Some(maps) => self.idmap = Some(IdMapWord { recursive: false, maps: maps.to_owned() }),
                None if SUPER_FLAGS.contains(&word) => {
                    self.data.extend(CString::new(word).ok().map(|w| (w, None)));
                }
                None => return false,
            },
        }
        true
    }

    fn attribute(&mut self, word: &str) -> bool {
        if let Some(&(_, on, bit)) = ATTRIBUTES.iter().find(|(w, ..)| *w == word) {
            change(&mut self.set, &mut self.clear, on, bit);
        } else if let Some(&(_, bit)) = TIMES.iter().find(|(w, _)| *w == word) {
            time(&mut self.set, &mut self.clear, bit);
        } else if let Some(rest) = word.strip_prefix('r') {
            let (set, clear) = (&mut self.recursive_set, &mut self.recursive_clear);
            if let Some(&(_, on, bit)) = ATTRIBUTES.iter().find(|(w, ..)| *w == rest) {
                change(set, clear, on, bit);
            } else if let Some(&(_, bit)) = TIMES.iter().find(|(w, _)| *w == rest) {
                time(set, clear, bit);
            } else {
                return false;
            }
        } else {
            return false;
        }
        true
    }

    /// Whether the mount itself becomes read-only.
    pub(crate) fn read_only(&self) -> bool {
        self.set & attr::RDONLY != 0
    }
}

fn change(set: &mut u64, clear: &mut u64, on: bool, bit: u64) {
    if on {
        *set |= bit;
        *clear &= !bit;
    } else {
        *set &= !bit;
        *clear |= bit;
    }
}

/// The kernel wants the whole field cleared to set one of its values.
fn time(set: &mut u64, clear: &mut u64, bit: u64) {
    *set = *set & !attr::ATIME_MASK | bit;
    *clear |= attr::ATIME_MASK;
}

/// `rslave` as (slave, recursive).
pub(crate) fn propagation(word: &str) -> Option<(Propagation, bool)> {
    let find = |w: &str| PROPAGATIONS.iter().find(|(name, _)| *name == w).map(|&(_, p)| p);
    find(word).map(|p| (p, false)).or_else(|| word.strip_prefix('r').and_then(find).map(|p| (p, true)))
}

/// Every word that is understood, for `features`.
pub(crate) fn words() -> Vec<String> {
    let mut out: Vec<String> =
        ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"].map(Into::into).into();
    let plain = ATTRIBUTES.iter().map(|(w, ..)| *w).chain(TIMES.iter().map(|(w, _)| *w));
    for word in plain.chain(PROPAGATIONS.iter().map(|(w, _)| *w)) {
        out.push(word.to_owned());
        out.push(format!("r{word}"));
    }
    out.extend(SUPER_FLAGS.iter().chain(NOTHING).map(|w| (*w).to_owned()));
    out.sort();
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        Options::parse(&words, "mounts[0].options").unwrap()
    }

    #[test]
    fn words_become_bits() {
        let o = parse(&["rbind", "ro", "nosuid", "rslave", "rnoexec"]);
        assert_eq!(o.set, attr::RDONLY | attr::NOSUID);
        assert_eq!(o.recursive_set, attr::NOEXEC);
        assert_eq!(o.bind, Some(true));
        assert_eq!(o.propagation, Some((Propagation::Slave, true)));
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parse(&["ro", "rw"]).set, 0);
        assert_eq!(parse(&["noatime", "strictatime"]).set, attr::STRICTATIME);
        assert_eq!(parse(&["relatime"]).clear, attr::ATIME_MASK);
        assert_eq!(parse(&["bind", "rbind"]).bind, Some(true));
    }

    #[test]
    fn the_rest_goes_to_the_file_system() {
        let o = parse(&["mode=755", "newinstance", "context=\"a:b\"", "sync"]);
        let shown: Vec<_> = o
            .data
            .iter()
            .map(|(k, v)| (k.to_str().unwrap(), v.as_ref().map(|v| v.to_str().unwrap())))
            .collect();
        assert_eq!(
            shown,
            [("mode", Some("755")), ("newinstance", None), ("context", Some("a:b")), ("sync", None)]
        );
    }

    #[test]
    fn relatime_alone_is_no_recursive_word() {
        // "relatime" begins with r, and "elatime" is no word.
        assert_eq!(parse(&["relatime"]).recursive_clear, 0);
        assert_eq!(parse(&["rrelatime"]).recursive_clear, attr::ATIME_MASK);
    }
}
