//! Users and groups, looked up in the container's own `/etc/passwd` and `/etc/group` (rules R6, R8).
//!
//! The files are hostile: regular files only, no link leads out, bounded in size, and a
//! line that does not parse is skipped. A number is never looked up as a name.

use std::os::fd::AsFd;
use std::path::Path;

pub use super::oci::User;
use crate::sys::fd;
use crate::sys::root::Root;

/// A user or group that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such user in /etc/passwd.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// No such group in /etc/group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// A number beyond 31 bits.
    #[error("user or group id {0}: uids and gids must be in range 0-2147483647")]
    Range(String),
    /// The file cannot be used.
    #[error("reading {file} of the container")]
    File {
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// Why.
        #[source]
        source: crate::sys::Error,
    },
}

/// Largest file that is read: a real one has a few kilobytes.
const LIMIT: usize = 4 << 20;
/// Most supplementary groups (the kernel's NGROUPS_MAX).
const MOST_GROUPS: usize = 65536;

/// Looks up `user[:group]` (empty for root) and additional groups beneath a root directory.
///
/// The supplementary groups are those that list the user (only where no group was given), those asked
/// for, and the primary one.
///
/// # Errors
/// [`Error`].
pub fn lookup(root: impl AsFd, user: &str, group_add: &[String]) -> Result<User, Error> {
    let (user, group) = match user.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|g| !g.is_empty())),
        None => (user, None),
    };
    let files =
        Files { root: Root::new(fd::dup(root, 3).map_err(|source| Error::File { file: PASSWD, source })?) };
    let entry = find_user(&files, if user.is_empty() { "0" } else { user })?;
    let groups_file = files.read(GROUP)?;
    let gid = match group {
        Some(group) => find_group(&groups_file, group)?,
        None => entry.gid,
    };
    let mut groups = vec![gid];
    if group.is_none()
        && let Some(name) = &entry.name
    {
        groups.extend(memberships(&groups_file, name));
    }
    for extra in group_add {
        groups.push(find_group(&groups_file, extra)?);
    }
    let mut seen = std::collections::HashSet::new();
    groups.retain(|g| seen.insert(*g));
    groups.truncate(MOST_GROUPS);
    Ok(User { uid: entry.uid, gid, groups, home: entry.home })
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

struct Files {
    root: Root,
}

impl Files {
    /// The file's bytes; none where it does not exist.
    fn read(&self, file: &'static str) -> Result<Vec<u8>, Error> {
        let path = Path::new(file).strip_prefix("/").unwrap_or(Path::new(file));
        let read = self.root.read_regular(path, LIMIT);
        Ok(read.map_err(|source| Error::File { file, source })?.unwrap_or_default())
    }
}

struct Entry {
    name: Option<String>,
    uid: u32,
    gid: u32,
    home: String,
}

/// A number takes group and home from its entry if there is one; a name must have one.
fn find_user(files: &Files, wanted: &str) -> Result<Entry, Error> {
    let file = files.read(PASSWD)?;
    let number = number(wanted)?;
    for line in lines(&file) {
        let mut fields = line.split(':');
        let (Some(name), Some(_), Some(uid), Some(gid)) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let (Some(uid), Some(gid)) = (parse(uid), parse(gid)) else { continue };
        let matches = number.map_or(name == wanted, |n| n == uid);
        if matches && !name.is_empty() {
            let home = fields.nth(1).filter(|h| h.starts_with('/')).unwrap_or("/").to_owned();
            return Ok(Entry { name: Some(name.to_owned()), uid, gid, home });
        }
    }
    match number {
        Some(uid) => {
            Ok(Entry { name: None, uid, gid: 0, home: if uid == 0 { "/root" } else { "/" }.to_owned() })
        }
        None => Err(Error::NoUser(wanted.to_owned())),
    }
}

fn find_group(file: &[u8], wanted: &str) -> Result<u32, Error> {
    if wanted.is_empty() {
        return Err(Error::NoGroup(String::new()));
    }
    if let Some(gid) = number(wanted)? {
        return Ok(gid);
    }
    for line in lines(file) {
        let mut fields = line.split(':');
        if fields.next() == Some(wanted)
            && let Some(gid) = fields.nth(1).and_then(parse)
        {
            return Ok(gid);
        }
    }
    Err(Error::NoGroup(wanted.to_owned()))
}

/// Groups that list a user.
fn memberships(file: &[u8], user: &str) -> Vec<u32> {
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let gid = fields.nth(2).and_then(parse)?;
        fields.next()?.split(',').any(|member| member == user).then_some(gid)
    };
    lines(file).filter_map(of_line).take(MOST_GROUPS).collect()
}

/// Lines that are text; others, comments and NIS entries match nothing.
fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|&b| b == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '+', '-']))
}

/// What consists of digits is a number, and must be a usable one; all else is a name.
fn number(text: &str) -> Result<Option<u32>, Error> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        if text.strip_prefix('-').is_some_and(|t| t.bytes().all(|b| b.is_ascii_digit())) {
            return Err(Error::Range(text.to_owned()));
        }
        return Ok(None);
    }
    parse(text).map(Some).ok_or_else(|| Error::Range(text.to_owned()))
}

/// Programs keep ids in signed numbers, too, so that runc and docker take half of what the kernel would.
fn parse(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&n| n <= i32::MAX.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn root(name: &str, passwd: &str, group: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rcon-user-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::write(dir.join("etc/passwd"), passwd).unwrap();
        std::fs::write(dir.join("etc/group"), group).unwrap();
        dir
    }

    fn find(dir: &Path, user: &str, add: &[&str]) -> Result<User, Error> {
        let add: Vec<String> = add.iter().map(|a| (*a).to_owned()).collect();
        lookup(fd::open_dir(dir).unwrap(), user, &add)
    }

    const PASSWD_TEXT: &str = "root:x:0:0:root:/root:/bin/sh\n\
        app:x:1000:1000::/home/app:/bin/sh\nbad line\n123:x:0:0::/:/bin/sh\nbig:x:4294967296:0::/:\n";
    const GROUP_TEXT: &str = "root:x:0:\nwheel:x:10:app,other\napp:x:1000:\nvideo:x:44:app\n";

    #[test]
    fn names_numbers_and_groups() {
        let dir = root("table", PASSWD_TEXT, GROUP_TEXT);
        for (user, uid, gid, groups, home) in [
            ("", 0, 0, vec![0], "/root"),
            ("app", 1000, 1000, vec![1000, 10, 44], "/home/app"),
            ("1000", 1000, 1000, vec![1000, 10, 44], "/home/app"),
            ("1000:44", 1000, 44, vec![44], "/home/app"),
            ("app:wheel", 1000, 10, vec![10], "/home/app"),
            ("77", 77, 0, vec![0], "/"),
            // A number is never a name, though passwd has a user of that name who is root.
            ("123", 123, 0, vec![0], "/"),
        ] {
            let found = find(&dir, user, &[]).unwrap();
            let want = User { uid, gid, groups, home: home.to_owned() };
            assert_eq!(found, want, "{user:?}");
        }
        assert_eq!(
            find(&dir, "app", &["audio"]).unwrap_err().to_string(),
            "unable to find group audio: no matching entries in group file"
        );
        assert_eq!(find(&dir, "0", &["7", "wheel"]).unwrap().groups, [0, 7, 10]);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_user_is_refused() {
        let dir = root("bad", PASSWD_TEXT, GROUP_TEXT);
        assert!(matches!(find(&dir, "nobody", &[]), Err(Error::NoUser(_))));
        for number in ["4294967295", "4294967296", "99999999999999999999", "-1"] {
            assert!(matches!(find(&dir, number, &[]), Err(Error::Range(_))), "{number}");
        }
        assert!(matches!(find(&dir, "big", &[]), Err(Error::NoUser(_))));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn links_stay_inside_and_a_fifo_is_no_file() {
        let dir = root("link", "", "");
        std::fs::remove_file(dir.join("etc/passwd")).unwrap();
        nix::unistd::mkfifo(&dir.join("etc/passwd"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(matches!(find(&dir, "app", &[]), Err(Error::File { .. })));
        std::fs::remove_file(dir.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/etc/real", dir.join("etc/passwd")).unwrap();
        std::fs::write(dir.join("etc/real"), PASSWD_TEXT).unwrap();
        assert_eq!(find(&dir, "app", &[]).unwrap().uid, 1000);
        std::fs::remove_file(dir.join("etc/passwd")).unwrap();
        std::os::unix::fs::symlink("/../../../../../../etc/passwd", dir.join("etc/passwd")).unwrap();
        assert!(find(&dir, "app", &[]).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
