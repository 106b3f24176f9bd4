//! The table of mounts of a process (`/proc/PID/mountinfo`).

use std::path::{Path, PathBuf};

use super::{Result, fd};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `MAJOR:MINOR` of its file system.
    pub device: String,
    /// Where it is mounted, as the process sees it.
    pub place: PathBuf,
    /// Type of its file system.
    pub kind: String,
}

/// The mounts of a process, in the order of the table; lines that are not understood are left out.
pub fn of(pid: i32) -> Result<Vec<Entry>> {
    let text = fd::read_file(Path::new(&format!("/proc/{pid}/mountinfo")))?;
    Ok(String::from_utf8_lossy(&text).lines().filter_map(entry).collect())
}

fn entry(line: &str) -> Option<Entry> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let (device, place) = (left.next()?, left.nth(1)?);
    let kind = right.split(' ').next()?;
    Some(Entry { device: device.to_owned(), place: unescape(place), kind: kind.to_owned() })
}

/// The table writes space, tab, newline and backslash in octal.
#[must_use]
pub fn unescape(field: &str) -> PathBuf {
    let mut out = String::with_capacity(field.len());
    let mut rest = field;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4).and_then(|o| u8::from_str_radix(o, 8).ok());
        let Some(code) = code else {
            out.push('\\');
            rest = &rest[at + 1..];
            continue;
        };
        out.push(char::from(code));
        rest = &rest[at + 4..];
    }
    out.push_str(rest);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let found = entry(line).expect("an entry");
        assert_eq!((found.device.as_str(), found.kind.as_str()), ("98:0", "ext3"));
        assert_eq!(found.place, Path::new("/mnt 2"));
        assert_eq!(entry("36 35 98:0"), None);
    }
}
