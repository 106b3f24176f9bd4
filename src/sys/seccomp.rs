//! seccomp(2): loading a filter, asking which actions the kernel knows.
//!
//! Programs are made in `runtime::seccomp`. [`load`] allocates nothing and is meant for the child side of a clone.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// One instruction of classic BPF, as the kernel's `struct sock_filter`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions skipped if a test holds.
    pub jt: u8,
    /// Instructions skipped if it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

/// Synchronise all threads.
pub const FLAG_TSYNC: u32 = 1 << 0;
/// Log actions other than allow.
pub const FLAG_LOG: u32 = 1 << 1;
/// No speculative store bypass mitigation for the filtered.
pub const FLAG_SPEC_ALLOW: u32 = 1 << 2;
/// Return a descriptor on which notify actions are answered.
pub const FLAG_NEW_LISTENER: u32 = 1 << 3;
/// With TSYNC: ESRCH instead of a thread id.
pub const FLAG_TSYNC_ESRCH: u32 = 1 << 4;
/// A notified call waits killably only, once received.
pub const FLAG_WAIT_KILLABLE_RECV: u32 = 1 << 5;

const SET_MODE_FILTER: libc::c_ulong = 1;
const GET_ACTION_AVAIL: libc::c_ulong = 2;

/// Longest program that the kernel takes.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Loads a filter for the calling thread, for ever. Needs no_new_privs or CAP_SYS_ADMIN. With
/// [`FLAG_NEW_LISTENER`] the listener is returned, close-on-exec.
///
/// # Errors
/// What seccomp(2) says; EINVAL too for an empty program or one beyond [`MAX_INSTRUCTIONS`].
pub fn load(program: &[Instruction], flags: u32) -> io::Result<Option<OwnedFd>> {
    let Ok(len) = u16::try_from(program.len()) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    let fprog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: `fprog` and the program outlive the call, which only reads them; `Instruction` has the
    // layout of `struct sock_filter`.
    let rc = unsafe {
        libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, libc::c_ulong::from(flags), &raw const fprog)
    };
    if rc < 0 {
        return Err(io::Error::last_os_error());
    }
    if flags & FLAG_NEW_LISTENER == 0 {
        return Ok(None);
    }
    let fd = i32::try_from(rc).expect("a descriptor fits an int");
    // SAFETY: with NEW_LISTENER the kernel returns a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Whether the kernel knows a filter action (SECCOMP_RET_…).
#[must_use]
pub fn knows_action(action: u32) -> bool {
    // SAFETY: the kernel reads four bytes from `action`, which lives through the call.
    unsafe { libc::syscall(libc::SYS_seccomp, GET_ACTION_AVAIL, 0 as libc::c_ulong, &raw const action) == 0 }
}

/// Whether the kernel knows a flag of [`load`]. It looks at the flags before it looks for the program.
#[must_use]
pub fn knows_flag(flag: u32) -> bool {
    // This one means something with a listener only.
    let flags = if flag == FLAG_WAIT_KILLABLE_RECV { flag | FLAG_NEW_LISTENER } else { flag };
    // SAFETY: no program is given, so that nothing can be loaded.
    let r = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SET_MODE_FILTER,
            libc::c_ulong::from(flags),
            std::ptr::null::<libc::sock_fprog>(),
        )
    };
    r == -1 && super::error::errno() == libc::EFAULT
}
