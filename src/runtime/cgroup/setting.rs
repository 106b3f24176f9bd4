//! One value for one file of a cgroup. Which they are for given limits is decided purely
//! (`limits_v1`, `limits_v2`); here they are written.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use super::Error;
use crate::sys::cgroup as sys;

/// A value for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// Controller that has the file.
    pub(super) controller: &'static str,
    /// What the user would call it, for errors.
    pub(super) what: &'static str,
    /// File.
    pub(super) file: Cow<'static, str>,
    /// Value.
    pub(super) value: String,
    /// Another file and value, tried where the first file does not exist.
    pub(super) or: Option<(&'static str, String)>,
    /// Nothing is lost where the file does not exist (no swap, hence no limit of swap).
    pub(super) optional: bool,
}

impl Setting {
    pub(super) fn new(
        controller: &'static str,
        what: &'static str,
        file: impl Into<Cow<'static, str>>,
        value: impl ToString,
    ) -> Self {
        let value = value.to_string();
        Self { controller, what, file: file.into(), value, or: None, optional: false }
    }

    pub(super) fn or(mut self, file: &'static str, value: impl ToString) -> Self {
        self.or = Some((file, value.to_string()));
        self
    }

    pub(super) fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Writes it in a directory.
    pub(super) fn write(&self, at: &Path) -> Result<(), Error> {
        let missing = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
        let first = sys::write(&at.join(&*self.file), self.value.as_bytes());
        let Err(source) = first else { return Ok(()) };
        if !missing(&source) {
            return Err(self.refused(at, &self.file, &self.value, source));
        }
        if let Some((file, value)) = &self.or {
            return match sys::write(&at.join(file), value.as_bytes()) {
                Ok(()) => Ok(()),
                Err(e) if missing(&e) => self.absent(),
                Err(e) => Err(self.refused(at, file, value, e)),
            };
        }
        self.absent()
    }

    fn absent(&self) -> Result<(), Error> {
        if self.optional {
            return Ok(());
        }
        Err(Error::NoFile { setting: self.what, file: self.file.clone().into_owned() })
    }

    fn refused(&self, at: &Path, file: &str, value: &str, source: io::Error) -> Error {
        Error::Write { path: at.join(file), value: value.to_owned(), source }
    }
}
