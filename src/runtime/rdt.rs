//! `linux.intelRdt`: a group of the resctrl file system that shares out cache and memory bandwidth, and watches them.
//!
//! The group is that of `closID`, which others may use too, or the container's own. What the container made for
//! itself goes with it: its own group, or its monitoring group in another's.

use std::io;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxIntelRdt;

use super::Error;
use crate::sys::{fd, mountinfo, process};

const PLACE: &str = "/sys/fs/resctrl";
const MAGIC: i64 = 0x0765_5821;

/// The groups of a container; dropped before they are kept, those that were made go again.
#[derive(Debug)]
pub(super) struct Groups {
    root: PathBuf,
    /// Each has the processes of the container.
    joined: Vec<PathBuf>,
    /// To be removed with the container, in this order.
    made: Vec<PathBuf>,
}

/// Where resctrl is mounted.
fn mounted() -> Option<PathBuf> {
    let place = Path::new(PLACE);
    if fd::open_path(place).and_then(fd::fs_magic).is_ok_and(|m| m == MAGIC) {
        return Some(place.to_owned());
    }
    let table = mountinfo::of(process::pid()).ok()?;
    table.into_iter().find(|mount| mount.kind == "resctrl").map(|mount| mount.place)
}

/// What the document asks for can be had here, before anything is made.
///
/// # Errors
/// [`Error::Spec`] that names the field.
pub(super) fn check(rdt: Option<&LinuxIntelRdt>) -> Result<Option<PathBuf>, Error> {
    let Some(rdt) = rdt else { return Ok(None) };
    let Some(root) = mounted() else {
        return Err(Error::spec(
            "linux.intelRdt",
            "Intel RDT is not enabled: no resctrl file system is mounted",
        ));
    };
    check_in(rdt, &root)?;
    Ok(Some(root))
}

fn check_in(rdt: &LinuxIntelRdt, root: &Path) -> Result<(), Error> {
    let refuse = |field: &str, why: &str| Err(Error::spec(format!("linux.intelRdt.{field}"), why));
    let clos = rdt.clos_id().as_deref().unwrap_or_default();
    // "/" is the group that everything is in by default.
    if matches!(clos, "." | "..") || clos.len() > 1 && clos.contains('/') || clos.contains('\0') {
        return refuse("closID", "it is not the name of a group");
    }
    let given = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    if given(rdt.l3_cache_schema()) && !root.join("info/L3").exists() {
        return refuse("l3CacheSchema", "this machine cannot share out its cache (Intel RDT/CAT)");
    }
    if given(rdt.mem_bw_schema()) && !root.join("info/MB").exists() {
        return refuse("memBwSchema", "this machine cannot share out its memory bandwidth (Intel RDT/MBA)");
    }
    Ok(())
}

/// The lines for the group's file: the two older fields, then those that are taken as they are.
fn schemata(rdt: &LinuxIntelRdt) -> String {
    let older = [rdt.l3_cache_schema(), rdt.mem_bw_schema()];
    let lines = older.into_iter().flatten().chain(rdt.schemata().iter().flatten());
    lines.filter(|l| !l.is_empty()).map(|l| format!("{l}\n")).collect()
}

/// Puts this process into the class that a document names, and so all that it starts from now on.
///
/// # Errors
/// [`Error::Spec`]: no resctrl file system, or no such class.
pub fn enter_class(rdt: Option<&LinuxIntelRdt>, id: &str) -> Result<(), Error> {
    // Of a named class nothing is made that would have to be removed.
    Groups::joined(check(rdt)?, rdt, id, std::process::id().cast_signed()).map(drop)
}

impl Groups {
    /// Those that a document asks for, with a process in them.
    ///
    /// # Errors
    /// As [`Groups::make`].
    pub(super) fn joined(
        root: Option<PathBuf>,
        rdt: Option<&LinuxIntelRdt>,
        id: &str,
        pid: i32,
    ) -> Result<Option<Self>, Error> {
        let (Some(root), Some(rdt)) = (root, rdt) else { return Ok(None) };
        let groups = Self::make(root, rdt, id)?;
        groups.join(pid)?;
        Ok(Some(groups))
    }

    /// Makes what has to be made, and shares out.
    ///
    /// # Errors
    /// [`Error::Spec`] with the kernel's own word on it.
    fn make(root: PathBuf, rdt: &LinuxIntelRdt, id: &str) -> Result<Self, Error> {
        let named = rdt.clos_id().as_deref().filter(|c| !c.is_empty());
        let mut own = root.clone();
        own.push(named.unwrap_or(id).trim_matches('/'));
        let lines = schemata(rdt);
        let mut groups = Self { root, joined: vec![own.clone()], made: Vec::new() };
        match (named, lines.is_empty()) {
            (Some(_), true) if !own.is_dir() => {
                return Err(Error::spec(
                    "linux.intelRdt.closID",
                    "there is no such group, and nothing that it would share out",
                ));
            }
            (Some(_), _) => drop(groups.make_one(&own)?),
            (None, _) => {
                if groups.make_one(&own)? {
                    groups.made.push(own.clone());
                }
            }
        }
        if !lines.is_empty() {
            groups.write(&own.join("schemata"), &lines)?;
        }
        if rdt.enable_monitoring() == &Some(true) {
            let watched = own.join("mon_groups").join(id);
            if groups.make_one(&watched)? {
                groups.made.insert(0, watched.clone());
            }
            groups.joined.push(watched);
        }
        Ok(groups)
    }

    /// Puts a process with one thread in.
    ///
    /// # Errors
    /// As [`Groups::make`].
    fn join(&self, pid: i32) -> Result<(), Error> {
        self.joined.iter().try_for_each(|group| self.write(&group.join("tasks"), &pid.to_string()))
    }

    /// Those to join and those to remove, for the container's record.
    pub(super) fn keep(mut self) -> Kept {
        Kept { joined: std::mem::take(&mut self.joined), made: std::mem::take(&mut self.made) }
    }

    /// Whether it was not there before.
    fn make_one(&self, dir: &Path) -> Result<bool, Error> {
        match std::fs::create_dir(dir) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(self.failed(&format!("making {}", dir.display()), &e)),
        }
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), Error> {
        std::fs::write(file, text)
            .map_err(|e| self.failed(&format!("writing {:?} to {}", text.trim(), file.display()), &e))
    }

    /// The number says little; the kernel keeps the sentence in a file.
    fn failed(&self, doing: &str, error: &io::Error) -> Error {
        let said = fd::read_file(&self.root.join("info/last_cmd_status")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let said = if said.is_empty() || said == "ok" { String::new() } else { format!(": {said}") };
        Error::spec("linux.intelRdt", format!("{doing}: {error}{said}"))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        remove(&self.made);
    }
}

/// What a container's record has of its groups.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Kept {
    joined: Vec<PathBuf>,
    made: Vec<PathBuf>,
}

impl Kept {
    /// Moves us in, and with us what we start from now on.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub(super) fn enter(&self) -> Result<(), Error> {
        for group in &self.joined {
            let file = group.join("tasks");
            std::fs::write(&file, std::process::id().to_string())
                .map_err(|e| crate::sys::Error::from_io("write", file.display().to_string(), &e))?;
        }
        Ok(())
    }

    /// Shares out anew: in the group that the container is in, or in one that is made for its threads now.
    ///
    /// # Errors
    /// [`Error::Spec`] with the kernel's own word on it.
    pub(super) fn share(
        &mut self,
        root: PathBuf,
        rdt: &LinuxIntelRdt,
        id: &str,
        threads: &[i32],
    ) -> Result<(), Error> {
        if let Some(own) = self.joined.first() {
            let groups = Groups { root, joined: Vec::new(), made: Vec::new() };
            return groups.write(&own.join("schemata"), &schemata(rdt));
        }
        let groups = Groups::make(root, rdt, id)?;
        threads.iter().try_for_each(|&thread| match groups.join(thread) {
            Err(_) if !Path::new(&format!("/proc/{thread}")).exists() => Ok(()),
            joined => joined,
        })?;
        *self = groups.keep();
        Ok(())
    }

    /// Removes what was made for the container. The kernel moves who is in a group to that above.
    pub(super) fn remove(&self) {
        remove(&self.made);
    }
}

fn remove(made: &[PathBuf]) {
    for dir in made {
        if let Err(e) = std::fs::remove_dir(dir)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("linux.intelRdt: removing {}: {e}", dir.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> LinuxIntelRdt {
        serde_json::from_str(text).unwrap()
    }

    /// What looks like the file system, without a kernel behind it.
    fn tree(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("rcon-rdt-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        for inner in ["info/L3", "mon_groups", "shared/mon_groups"] {
            std::fs::create_dir_all(dir.join(inner)).unwrap();
        }
        std::fs::write(dir.join("info/last_cmd_status"), "ok\n").unwrap();
        dir
    }

    fn read(file: &Path) -> String {
        std::fs::read_to_string(file).unwrap()
    }

    #[test]
    fn fields_that_the_machine_has_not_are_named() {
        let root = tree("check");
        for (text, field) in [
            (r#"{"closID":".."}"#, "closID"),
            (r#"{"closID":"a/b"}"#, "closID"),
            (r#"{"memBwSchema":"MB:0=20"}"#, "memBwSchema"),
        ] {
            let refused = check_in(&of(text), &root).unwrap_err().to_string();
            assert!(refused.starts_with(&format!("linux.intelRdt.{field}: ")), "{refused}");
        }
        for fine in
            [r#"{"closID":"/"}"#, r#"{"l3CacheSchema":"L3:0=f"}"#, r#"{"schemata":["MB:0=20"]}"#, "{}"]
        {
            check_in(&of(fine), &root).unwrap();
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn an_own_group_is_made_and_removed() {
        let root = tree("own");
        let rdt = of(r#"{"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=20","schemata":["L2:0=1"]}"#);
        let groups = Groups::make(root.clone(), &rdt, "c").unwrap();
        groups.join(7).unwrap();
        assert_eq!(read(&root.join("c/schemata")), "L3:0=f\nMB:0=20\nL2:0=1\n");
        assert_eq!(read(&root.join("c/tasks")), "7");
        let kept = groups.keep();
        kept.enter().unwrap();
        assert_eq!(read(&root.join("c/tasks")), std::process::id().to_string());
        // Files of a real group are the kernel's and go with it.
        for file in ["schemata", "tasks"] {
            std::fs::remove_file(root.join("c").join(file)).unwrap();
        }
        kept.remove();
        assert!(!root.join("c").exists());
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn anothers_group_is_joined_and_stays() {
        let root = tree("other");
        let rdt = of(r#"{"closID":"shared","enableMonitoring":true}"#);
        let groups = Groups::make(root.clone(), &rdt, "c").unwrap();
        let watched = root.join("shared/mon_groups/c");
        assert!(watched.is_dir());
        // A start that fails undoes what it made.
        drop(groups);
        assert!(!watched.exists() && root.join("shared").is_dir());
        let missing = Groups::make(root.clone(), &of(r#"{"closID":"nobodys"}"#), "c").unwrap_err();
        assert!(missing.to_string().contains("there is no such group"), "{missing}");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn an_update_shares_out_in_the_group_or_makes_one() {
        let root = tree("update");
        let mut kept = Kept::default();
        let own = std::process::id().cast_signed();
        kept.share(root.clone(), &of(r#"{"l3CacheSchema":"L3:0=3"}"#), "c", &[own, i32::MAX]).unwrap();
        assert_eq!(read(&root.join("c/schemata")), "L3:0=3\n");
        assert!(!kept.made.is_empty() && kept.joined == [root.join("c")]);
        kept.share(root.clone(), &of(r#"{"memBwSchema":"MB:0=50"}"#), "c", &[]).unwrap();
        assert_eq!(read(&root.join("c/schemata")), "MB:0=50\n");
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn the_kernels_word_is_in_the_error() {
        let root = tree("word");
        std::fs::write(root.join("info/last_cmd_status"), "mask f0000 has non-consecutive 1-bits\n").unwrap();
        std::fs::create_dir_all(root.join("shared/schemata")).unwrap();
        let rdt = of(r#"{"closID":"shared","l3CacheSchema":"L3:0=f0f"}"#);
        let failed = Groups::make(root.clone(), &rdt, "c").unwrap_err().to_string();
        assert!(
            failed.starts_with("linux.intelRdt: ") && failed.ends_with("non-consecutive 1-bits"),
            "{failed}"
        );
        std::fs::remove_dir_all(&root).unwrap();
    }
}
