//! Paths of entries: relative, without `.` and empty parts; `..` is refused.

use super::UnpackError;
use super::write::shown;

/// Longest name of the file systems that we write to.
const NAME_MAX: usize = 255;

/// The path as it will be beneath the root. A leading slash is taken off, as all extractors do; `..` is an attack or a
/// mistake.
pub(super) fn clean(path: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let mut clean = Vec::with_capacity(path.len());
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return Err(refused(path, "its path has .. in it")),
            part if part.len() > NAME_MAX => {
                return Err(refused(path, "a name in its path is longer than 255 bytes"));
            }
            part => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(part);
            }
        }
    }
    Ok(clean)
}

/// Directory and name; `None` for the root.
pub(super) fn split(clean: &[u8]) -> Option<(&[u8], &[u8])> {
    if clean.is_empty() {
        return None;
    }
    Some(match clean.iter().rposition(|&b| b == b'/') {
        Some(at) => (&clean[..at], &clean[at + 1..]),
        None => (&[], clean),
    })
}

fn refused(path: &[u8], why: &str) -> UnpackError {
    UnpackError::Refused { path: shown(path), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning() {
        assert_eq!(clean(b"./a//b/").expect("fine"), b"a/b");
        assert_eq!(clean(b"/etc/passwd").expect("fine"), b"etc/passwd");
        assert_eq!(clean(b"./").expect("fine"), b"");
        assert!(clean(b"a/../b").is_err());
        assert!(clean(&[b'x'; 300]).is_err());
        assert_eq!(split(b"a/b/c"), Some((&b"a/b"[..], &b"c"[..])));
        assert_eq!(split(b"a"), Some((&b""[..], &b"a"[..])));
        assert_eq!(split(b""), None);
    }
}
