//! Compiled programs of the default policy, kept on tmpfs: one file for each set of capabilities, named by
//! all that decides about its content. Written beside and renamed; a damaged file is compiled anew.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::table;
use crate::runtime::defaults::ALL_CAPABILITIES;
use crate::sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

/// Bytes of an instruction: code, two jumps, operand; in the machine's order, since it stays here.
const SIZE: usize = 8;

/// The file for a set of capabilities.
pub(super) fn file(dir: &Path, capabilities: &[String]) -> PathBuf {
    let set = capabilities.iter().fold(0_u64, |set, c| {
        set | ALL_CAPABILITIES.iter().position(|known| known == c).map_or(0, |bit| 1 << bit)
    });
    let version = env!("CARGO_PKG_VERSION");
    dir.join(format!("seccomp-{version}.{}-{set:x}", table::REVISION))
}

/// Reads a program; `None` if there is none, or none that can be trusted.
pub(super) fn load(file: &Path) -> Option<Vec<Instruction>> {
    let mut opened =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(file).ok()?;
    let meta = opened.metadata().ok()?;
    let size = usize::try_from(meta.len()).ok()?;
    let ours = meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0;
    if !meta.is_file() || !ours || size == 0 || size % SIZE != 0 || size > MAX_INSTRUCTIONS * SIZE {
        return None;
    }
    let mut bytes = Vec::with_capacity(size);
    opened.read_to_end(&mut bytes).ok()?;
    if bytes.len() != size {
        return None;
    }
    let program = bytes.chunks_exact(SIZE).map(|b| Instruction {
        code: u16::from_ne_bytes([b[0], b[1]]),
        jt: b[2],
        jf: b[3],
        k: u32::from_ne_bytes([b[4], b[5], b[6], b[7]]),
    });
    Some(program.collect())
}

/// Writes a program. Failing is no loss: it is compiled again the next time.
pub(super) fn store(file: &Path, program: &[Instruction]) {
    let mut bytes = Vec::with_capacity(program.len() * SIZE);
    for i in program {
        bytes.extend_from_slice(&i.code.to_ne_bytes());
        bytes.extend_from_slice(&[i.jt, i.jf]);
        bytes.extend_from_slice(&i.k.to_ne_bytes());
    }
    let beside = file.with_extension(format!("{}.tmp", std::process::id()));
    let made: std::io::Result<File> =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let written = made.and_then(|mut f| f.write_all(&bytes)).and_then(|()| fs::rename(&beside, file));
    if let Err(error) = written {
        tracing::debug!(file = %file.display(), %error, "the seccomp program is not cached");
        // Whatever became of it: nothing may stay under that name.
        drop(fs::remove_file(&beside));
    }
}
