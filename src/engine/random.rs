//! Random ids.

use crate::model::id::ContainerId;

/// 32 random bytes as an id; also names anonymous volumes and exec sessions.
pub(crate) fn id() -> ContainerId {
    let mut bytes = [0_u8; 32];
    fill(&mut bytes);
    // docker never gives an id whose short form is a number: it would be taken for one on command lines and as a host name.
    while bytes[..6].iter().all(|b| b >> 4 < 10 && b & 15 < 10) {
        fill(&mut bytes);
    }
    ContainerId::from_bytes(bytes)
}

/// A random number.
pub(crate) fn number() -> u64 {
    let mut bytes = [0_u8; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

fn fill(mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        match rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty()) {
            Ok(n) => bytes = &mut bytes[n..],
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => unreachable!("getrandom without flags only fails when interrupted: {e}"),
        }
    }
}
