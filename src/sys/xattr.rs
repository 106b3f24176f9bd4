//! Extended attributes by descriptor, links included.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use super::error::{Context, Result};
use super::fd;

/// Sets an attribute of what a descriptor (not `O_PATH`) is open on.
pub fn set(file: impl AsFd, name: &CStr, value: &[u8]) -> Result<()> {
    rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty())
        .call("fsetxattr", || format!("{name:?}"))
}

/// Sets an attribute through an `O_PATH` handle (a link itself too).
pub fn set_path(handle: impl AsFd, name: &CStr, value: &[u8]) -> Result<()> {
    // The magic link leads to the very inode that the handle holds; nothing is looked up again.
    rustix::fs::setxattr(fd::proc_path(handle), name, value, rustix::fs::XattrFlags::empty())
        .call("setxattr", || format!("{name:?}"))
}

/// An attribute's value; `None` where it is absent or the file system has none.
pub fn get(file: impl AsFd, name: &CStr) -> Result<Option<Vec<u8>>> {
    let mut value = vec![0_u8; 256];
    loop {
        match rustix::fs::fgetxattr(&file, name, &mut value[..]) {
            Ok(n) => {
                value.truncate(n);
                return Ok(Some(value));
            }
            Err(rustix::io::Errno::RANGE) if value.len() < 65536 => value.resize(65536, 0),
            Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => return Ok(None),
            Err(e) => return Err(e).call("fgetxattr", || format!("{name:?}")),
        }
    }
}

/// Names of all attributes; empty where the file system has none.
pub fn list(file: impl AsFd) -> Result<Vec<CString>> {
    let mut names = vec![0_u8; 65536];
    match rustix::fs::flistxattr(file, &mut names[..]) {
        Ok(n) => names.truncate(n),
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(e) => return Err(e).call("flistxattr", String::new),
    }
    Ok(names.split(|&b| b == 0).filter(|n| !n.is_empty()).filter_map(|n| CString::new(n).ok()).collect())
}

/// Removes an attribute; one that is not there is no error.
pub fn remove(file: impl AsFd, name: &CStr) -> Result<()> {
    match rustix::fs::fremovexattr(file, name) {
        Err(rustix::io::Errno::NODATA) => Ok(()),
        other => other.call("fremovexattr", || format!("{name:?}")),
    }
}
