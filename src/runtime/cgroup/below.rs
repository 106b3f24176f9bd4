//! cgroups below a container's, for `exec --cgroup`: `PATH`, or `CONTROLLER[,CONTROLLER]:PATH` on v1.

use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use super::{Cgroup, Error, sys};
use crate::sys::fd::{self, OpenFlags};

/// Where to, relative to a container's cgroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Below {
    /// Controllers (none: all of them) and the path.
    places: Vec<(Vec<String>, String)>,
}

impl Below {
    /// Takes the words of the flag.
    ///
    /// # Errors
    /// [`Error::Path`] for one that leads out of the container's cgroup.
    pub fn parse(words: &[String]) -> Result<Self, Error> {
        let mut places = Vec::with_capacity(words.len());
        for word in words {
            let (controllers, path) = word.split_once(':').unwrap_or(("", word));
            if Path::new(path).components().any(|c| c == Component::ParentDir) {
                return Err(Error::Path { path: word.clone(), why: "bad sub cgroup path, it leads out" });
            }
            let controllers = controllers.split(',').filter(|c| !c.is_empty()).map(str::to_owned).collect();
            places.push((controllers, path.trim_matches('/').to_owned()));
        }
        Ok(Self { places })
    }

    /// Whether it is the container's own cgroup.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.places.iter().all(|(controllers, path)| path.is_empty() && controllers.is_empty())
    }

    /// Whether nothing was asked for, not even the container's own.
    #[must_use]
    pub fn is_unset(&self) -> bool {
        self.places.is_empty()
    }

    fn path_for(&self, controllers: &[&str]) -> &str {
        let named = |(names, _): &&(Vec<String>, String)| {
            names.is_empty() || names.iter().any(|n| controllers.contains(&&**n))
        };
        self.places.iter().rev().find(named).map_or("", |(_, path)| path)
    }
}

impl Cgroup {
    /// The directory on v2 to be born in.
    ///
    /// # Errors
    /// [`Error::Attach`] where it does not exist.
    pub fn target_below(&self, below: &Below) -> Result<Option<OwnedFd>, Error> {
        let Some(dir) = self.v2_dir() else { return Ok(None) };
        if let Some((names, _)) = below.places.iter().find(|(names, _)| !names.is_empty()) {
            return Err(unknown(names.join(",")));
        }
        let path = dir.join(below.path_for(&[]));
        let opened = fd::open(&path, OpenFlags::PATH | OpenFlags::DIRECTORY, 0);
        opened.map(Some).map_err(|source| Error::Attach { pid: 0, path, source: source.into() })
    }

    /// The directory on v2 of a process that is in it or below.
    #[must_use]
    pub fn place_of(&self, pid: i32) -> Option<OwnedFd> {
        let mount = self.hierarchies.v2.as_deref().filter(|_| self.is_unified())?;
        let place = super::systemd::of_process(pid)?;
        let inner = place.strip_prefix(self.relative())?;
        (inner.is_empty() || inner.starts_with('/')).then_some(())?;
        fd::open(&mount.join(&place), OpenFlags::PATH | OpenFlags::DIRECTORY, 0).ok()
    }

    /// The files by which a process joins on v1, as [`Cgroup::join_files`]. A place that no controller was named for
    /// need not be there on all hierarchies; where it is not, the process joins the container's own.
    ///
    /// # Errors
    /// [`Error::Attach`] where a place does not exist.
    pub fn join_files_below(&self, below: &Below) -> Result<Vec<OwnedFd>, Error> {
        let all = &self.hierarchies.v1;
        let known = |name: &String| all.iter().any(|h| h.controllers.contains(&&**name));
        if let Some(name) = below.places.iter().flat_map(|(names, _)| names).find(|n| !known(n)) {
            return Err(unknown(name.clone()));
        }
        let own = |h: &super::hierarchy::Hierarchy| h.mount.join(self.relative());
        let place = |h| own(h).join(below.path_for(&h.controllers));
        let somewhere = below.places.iter().all(|(names, _)| names.is_empty())
            && all.iter().any(|h| sys::is_dir(&own(h)) && sys::is_dir(&place(h)));
        let mut out = Vec::with_capacity(all.len());
        for hierarchy in all {
            let own = own(hierarchy);
            if !sys::is_dir(&own) {
                continue;
            }
            let wanted = place(hierarchy);
            let path = if somewhere && !sys::is_dir(&wanted) { own } else { wanted }.join("tasks");
            let opened = fd::open(&path, OpenFlags::WRONLY, 0);
            out.push(opened.map_err(|source| Error::Attach { pid: 0, path, source: source.into() })?);
        }
        Ok(out)
    }
}

fn unknown(name: String) -> Error {
    Error::Unsupported { setting: format!("unknown controller {name}"), why: "no hierarchy here has it" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_controllers_or_all() {
        let parse = |words: &[&str]| Below::parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        let below = parse(&["memory:m", "cpu,cpuacct:/c/"]).unwrap();
        assert_eq!(below.path_for(&["cpu", "cpuacct"]), "c");
        assert_eq!(below.path_for(&["pids"]), "");
        assert_eq!(parse(&["sub"]).unwrap().path_for(&["pids"]), "sub");
        assert!(parse(&["/"]).unwrap().is_own());
        for out in ["..", "a/../../b", "pids:../x"] {
            assert!(parse(&[out]).unwrap_err().to_string().contains("bad sub cgroup path"), "{out}");
        }
    }
}
