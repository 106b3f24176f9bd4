//! Users that the image does not know: entries in the container's /etc/passwd and /etc/group, written into its own
//! layer before it starts, so that programs there may go on editing these files.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::OFlags;

use super::Start;
use crate::monitor::proto::Failure;
use crate::runtime::user::User;
use crate::sys::fd;
use crate::sys::root::Root;

const PASSWD: &str = "etc/passwd";
const GROUP: &str = "etc/group";
/// Largest such file that is edited.
const LARGEST: usize = 1 << 20;

impl Start<'_> {
    /// `--hostuser`: users of the host, before the container's user is looked up.
    pub(super) fn host_users(&self, root: &OwnedFd) -> Result<(), Failure> {
        for line in &self.handoff.spec.host_users {
            let name = line.split(':').next().unwrap_or_default().to_owned();
            let known = move |text: &str| text.lines().any(|l| l.split(':').next() == Some(name.as_str()));
            let mut fields: Vec<&str> = line.split(':').collect();
            if let Some(password) = fields.get_mut(1) {
                *password = "*";
            }
            self.add(root, PASSWD, &fields.join(":"), &known)?;
        }
        Ok(())
    }

    /// An entry for a numeric user and group that the image lacks, so that programs find a name and a home.
    pub(super) fn passwd(&self, root: &OwnedFd, user: &User) -> Result<(), Failure> {
        let spec = &self.handoff.spec;
        // A directory of the host is not ours to edit.
        if !spec.passwd || spec.root.is_lent() {
            return Ok(());
        }
        let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
        let home = if spec.process.cwd.is_empty() { "/" } else { &spec.process.cwd };
        if user.uid != 0 {
            let template =
                spec.passwd_entry.as_deref().unwrap_or("$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh");
            let entry = template
                .replace("$USERNAME", &uid)
                .replace("$UID", &uid)
                .replace("$GID", &gid)
                .replace("$NAME", "container user")
                .replace("$HOME", home);
            self.add(root, PASSWD, &entry, &|text| has_number(text, &uid))?;
        }
        if user.gid != 0 {
            let template = spec.group_entry.as_deref().unwrap_or("$GROUPNAME:x:$GID:$USERLIST");
            let users = if user.uid == 0 { "" } else { &uid };
            let entry =
                template.replace("$GROUPNAME", &gid).replace("$GID", &gid).replace("$USERLIST", users);
            self.add(root, GROUP, &entry, &|text| has_number(text, &gid))?;
        }
        Ok(())
    }

    fn read(&self, root: &OwnedFd, file: &str) -> Result<Option<String>, Failure> {
        let image = Root::new(fd::dup(root, 3).map_err(|e| failed(file, &e))?);
        let bytes = image.read_regular(Path::new(file), LARGEST).map_err(|e| failed(file, &e))?;
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    }

    /// Appends a line unless the file is not there or `known` finds that it needs none.
    fn add(
        &self,
        root: &OwnedFd,
        file: &str,
        line: &str,
        known: &dyn Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        let Some(text) = self.read(root, file)? else { return Ok(()) };
        if line.is_empty() || known(&text) {
            return Ok(());
        }
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let image = Root::new(fd::dup(root, 3).map_err(|e| failed(file, &e))?);
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NONBLOCK;
        let open = image.open(Path::new(file), flags);
        open.and_then(|f| fd::write_all(&f, format!("{gap}{line}\n").as_bytes()))
            .map_err(|e| failed(file, &e))
    }
}

/// Whether the third field of a line is this number.
fn has_number(text: &str, number: &str) -> bool {
    text.lines().any(|line| line.split(':').nth(2) == Some(number))
}

fn failed(file: &str, error: &crate::sys::Error) -> Failure {
    Failure::internal(format!("adding to the container's /{file}"), error)
}
