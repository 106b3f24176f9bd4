//! What mounts.conf names: copies in the run directory, bound from there. The host's files stay as they are whatever the
//! container does; links are followed, for what they lead to is meant.

use std::io;
use std::path::Path;

use super::files::Files;
use super::{Start, on_host};
use crate::monitor::proto::Failure;

/// Deepest nesting that is followed: a link may lead back.
const DEPTH: usize = 16;

impl Start<'_> {
    pub(super) fn subscriptions(&self, out: &mut Files) -> Result<(), Failure> {
        let owner = on_host(self.world.ids.as_ref(), 0, 0);
        for (n, wish) in self.handoff.spec.subscriptions.iter().enumerate() {
            let step = || format!("copying {} of mounts.conf", wish.source);
            let copy = self.world.paths.run_container(&self.world.id).join(format!("subscription-{n}"));
            crate::storage::tree::remove(&copy).map_err(|e| Failure::internal(step(), &e))?;
            copy_tree(Path::new(&wish.source), &copy, owner, 0).map_err(|e| Failure::internal(step(), &e))?;
            out.push((copy, wish.target.clone(), false));
        }
        Ok(())
    }
}

/// Regular files and directories; what a link leads to that is not there is left out.
fn copy_tree(from: &Path, to: &Path, (uid, gid): (u32, u32), depth: usize) -> io::Result<()> {
    let Ok(meta) = std::fs::metadata(from) else { return Ok(()) };
    if meta.is_dir() && depth < DEPTH {
        std::fs::create_dir(to)?;
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            copy_tree(&entry.path(), &to.join(entry.file_name()), (uid, gid), depth + 1)?;
        }
    } else if meta.is_file() {
        std::fs::copy(from, to)?;
    } else {
        return Ok(());
    }
    std::os::unix::fs::chown(to, Some(uid), Some(gid))?;
    std::fs::set_permissions(to, meta.permissions())
}
