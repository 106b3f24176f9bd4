//! bpf(2), as far as the device access of cgroup v2 needs it: load a program, attach it to a cgroup, ask
//! for those attached, detach.
//!
//! The program itself is made in `runtime::cgroup::devices`.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// One instruction of extended BPF, as the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low half, source in the high half.
    pub registers: u8,
    /// Jump or memory offset.
    pub offset: i16,
    /// Immediate operand.
    pub immediate: i32,
}

const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const PROG_DETACH: libc::c_int = 9;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const PROG_QUERY: libc::c_int = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
const REPLACE: u32 = 4;

#[repr(C)]
#[derive(Default)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

#[repr(C)]
#[derive(Default)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttr {
    target_fd: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    prog_cnt: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttr {
    id: u32,
    next_id: u32,
    open_flags: u32,
    padding: u32,
}

fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<libc::c_long> {
    let size = size_of::<T>();
    // SAFETY: `attr` is a plain structure of the size given, at most that of the kernel's union, whose
    // pointers (if any) the callers keep alive through the call; the kernel takes a shorter union as zero padded.
    let rc = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size) };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc) }
}

fn descriptor(number: libc::c_long) -> OwnedFd {
    let fd = i32::try_from(number).expect("a descriptor fits an int");
    // SAFETY: the kernel just made this descriptor for us, close-on-exec; nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw(fd: BorrowedFd<'_>) -> u32 {
    u32::try_from(fd.as_raw_fd()).expect("an open descriptor is not negative")
}

/// Loads a device program of cgroup v2; the verifier checks it.
///
/// # Errors
/// What bpf(2) says: EPERM without CAP_BPF or CAP_SYS_ADMIN, EINVAL or EACCES from the verifier.
pub fn load_device_program(program: &[Instruction]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attr = LoadAttr {
        prog_type: TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        insns: program.as_ptr() as u64,
        license: license.as_ptr() as u64,
        prog_name: *b"rcon_devices\0\0\0\0",
        ..LoadAttr::default()
    };
    bpf(PROG_LOAD, &mut attr).map(descriptor)
}

/// Makes a program the device program of a cgroup. All programs of a cgroup and its ancestors must
/// allow an access. Our earlier one, if it is the only one there, is replaced at once; others stay.
///
/// # Errors
/// What bpf(2) says.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let present = device_programs(cgroup)?;
    let mut attr = AttachAttr {
        target_fd: raw(cgroup),
        attach_bpf_fd: raw(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        attach_flags: ALLOW_MULTI,
        ..AttachAttr::default()
    };
    if let [only] = present.as_slice() {
        attr.attach_flags |= REPLACE;
        attr.replace_bpf_fd = raw(std::os::fd::AsFd::as_fd(only));
        bpf(PROG_ATTACH, &mut attr)?;
        return Ok(());
    }
    bpf(PROG_ATTACH, &mut attr)?;
    for old in &present {
        let mut attr = AttachAttr {
            target_fd: raw(cgroup),
            attach_bpf_fd: raw(std::os::fd::AsFd::as_fd(old)),
            attach_type: ATTACH_CGROUP_DEVICE,
            ..AttachAttr::default()
        };
        bpf(PROG_DETACH, &mut attr)?;
    }
    Ok(())
}

/// The device programs attached to a cgroup itself.
///
/// # Errors
/// What bpf(2) says.
pub fn device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    // The kernel allows 64 programs at one place.
    let mut ids = [0_u32; 64];
    let mut attr = QueryAttr {
        target_fd: raw(cgroup),
        attach_type: ATTACH_CGROUP_DEVICE,
        prog_ids: ids.as_mut_ptr() as u64,
        prog_cnt: 64,
        ..QueryAttr::default()
    };
    bpf(PROG_QUERY, &mut attr)?;
    let count = usize::try_from(attr.prog_cnt).unwrap_or_default().min(ids.len());
    ids[..count]
        .iter()
        .map(|id| bpf(PROG_GET_FD_BY_ID, &mut IdAttr { id: *id, ..IdAttr::default() }).map(descriptor))
        .collect()
}
