//! Anonymous files in memory, sealed when whole.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, SeekFrom};

use super::error::{Context, Error, Result};
use super::fd;

/// A memory file with this content that nobody can change any more; its offset is 0.
pub fn sealed(name: &str, content: &[u8]) -> Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = rustix::fs::memfd_create(name, flags).call("memfd_create", || name.to_owned())?;
    fd::write_all(&file, content)?;
    seal(&file)?;
    rustix::fs::seek(&file, SeekFrom::Start(0)).call("lseek", || name.to_owned())?;
    Ok(file)
}

/// Forbids every further change of a memory file.
pub fn seal(file: impl AsFd) -> Result<()> {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(file, seals).call("fcntl", || "F_ADD_SEALS".into())
}

/// Reads a memory file from its start, after checking that it is sealed (so that what was read
/// stays true). At most `limit` bytes.
pub fn read_sealed(file: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let seals = rustix::fs::fcntl_get_seals(&file).call("fcntl", || "F_GET_SEALS".into())?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW) {
        return Err(Error::new("fcntl", "memory file is not sealed", libc::EPERM));
    }
    let len = usize::try_from(fd::stat(&file)?.st_size).unwrap_or(usize::MAX);
    if len > limit {
        return Err(Error::new("read", format!("more than {limit} bytes"), libc::EFBIG));
    }
    let mut out = vec![0; len];
    let mut at = 0;
    while at < len {
        let n = rustix::io::pread(&file, &mut out[at..], at as u64).call("pread", || "memory file".into())?;
        if n == 0 {
            return Err(Error::new("pread", "memory file ends early", libc::EIO));
        }
        at += n;
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_means_unchangeable() {
        let file = sealed("t", b"abc").unwrap();
        assert_eq!(read_sealed(&file, 10).unwrap(), b"abc");
        assert!(fd::write(&file, b"x").unwrap_err().is(libc::EPERM));
        assert!(read_sealed(&file, 2).unwrap_err().is(libc::EFBIG));
    }
}
