//! Which devices a cgroup may use: the rules of the spec, worked out to one list, then written to the
//! files of v1 or turned into a BPF program for v2.
//!
//! Rules are taken in order with the meaning they have on v1: a list begins with nothing allowed, `a` sets
//! everything, the others add or take away exceptions. Every container may use the nodes that the runtime
//! makes for it ([`DEFAULT_RULES`]); without any rule nothing else is allowed.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};

use super::Error;
use crate::runtime::devices::{DEFAULT_RULES, Kind, valid_access};
use crate::sys::bpf::Instruction;

const MKNOD: u8 = 1;
const READ: u8 = 2;
const WRITE: u8 = 4;
const ALL: u8 = MKNOD | READ | WRITE;

/// The device access of a cgroup, worked out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    /// What holds where no exception matches.
    pub(super) allow: bool,
    /// Exceptions to it.
    pub(super) exceptions: Vec<Exception>,
}

/// Devices for which the opposite holds. `None` is any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exception {
    kind: Kind,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
}

impl Access {
    /// Works out the rules of a spec, with the default ones behind them.
    pub(super) fn of(rules: &[LinuxDeviceCgroup]) -> Result<Self, Error> {
        let mut out = Self { allow: false, exceptions: Vec::new() };
        for rule in rules {
            out.take(rule)?;
        }
        if !out.allow {
            for (kind, major, minor, access) in DEFAULT_RULES {
                let kind = kind.expect("every default rule has a kind");
                out.add(Exception { kind, major: *major, minor: *minor, access: bits(access) });
            }
        }
        Ok(out)
    }

    fn take(&mut self, rule: &LinuxDeviceCgroup) -> Result<(), Error> {
        let refuse = |why| Error::Unsupported { setting: format!("the device rule \"{rule}\""), why };
        let letters = rule.access().as_deref().filter(|a| !a.is_empty()).unwrap_or("rwm");
        if !valid_access(letters) {
            return Err(refuse("the access is made of r, w, m, each once"));
        }
        let number = |n: Option<i64>| match n {
            None | Some(-1) => Ok(None),
            Some(n) => u32::try_from(n).map(Some).map_err(|_| refuse("numbers are not negative")),
        };
        let (major, minor, access) = (number(rule.major())?, number(rule.minor())?, bits(letters));
        let kinds: &[Kind] = match rule.typ().unwrap_or_default() {
            LinuxDeviceType::A if major.is_none() && minor.is_none() && access == ALL => {
                self.allow = rule.allow();
                self.exceptions.clear();
                return Ok(());
            }
            // The kernel would take any rule of type "a" for "all devices", however it is narrowed.
            LinuxDeviceType::A => &[Kind::Char, Kind::Block],
            LinuxDeviceType::C | LinuxDeviceType::U => &[Kind::Char],
            LinuxDeviceType::B => &[Kind::Block],
            LinuxDeviceType::P => return Err(refuse("a pipe is no device")),
        };
        for kind in kinds {
            let exception = Exception { kind: *kind, major, minor, access };
            if rule.allow() == self.allow {
                self.remove(exception).map_err(refuse)?;
            } else {
                self.add(exception);
            }
        }
        Ok(())
    }

    fn add(&mut self, new: Exception) {
        let same = self.exceptions.iter_mut().find(|e| e.covers_same(&new));
        match same {
            Some(e) => e.access |= new.access,
            None => self.exceptions.push(new),
        }
    }

    fn remove(&mut self, gone: Exception) -> Result<(), &'static str> {
        for e in &mut self.exceptions {
            let inside = |outer: Option<u32>, inner: Option<u32>| inner.is_none() || outer == inner;
            if e.kind == gone.kind && inside(e.major, gone.major) && inside(e.minor, gone.minor) {
                e.access &= !gone.access;
            }
        }
        self.exceptions.retain(|e| e.access != 0);
        let overlaps = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
        let hole = self.exceptions.iter().any(|e| {
            e.kind == gone.kind
                && e.access & gone.access != 0
                && overlaps(e.major, gone.major)
                && overlaps(e.minor, gone.minor)
        });
        if hole {
            Err("an earlier rule covers more devices than it; say the narrower rules alone")
        } else {
            Ok(())
        }
    }

    /// Lines for `devices.allow` (or `devices.deny` where all is allowed) of v1.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.exceptions.iter().map(|e| {
            let number = |n: Option<u32>| n.map_or_else(|| "*".to_owned(), |n| n.to_string());
            let kind = if e.kind == Kind::Block { 'b' } else { 'c' };
            let mut line = format!("{kind} {}:{} ", number(e.major), number(e.minor));
            for (bit, letter) in [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')] {
                if e.access & bit != 0 {
                    line.push(letter);
                }
            }
            line
        })
    }

    /// The program for v2: returns 1 where access is allowed.
    pub(super) fn program(&self) -> Vec<Instruction> {
        let mut out = Vec::with_capacity(8 + self.exceptions.len() * 8);
        // struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor; each 32 bits.
        out.extend([
            load(R_KIND, 0),
            mov(R_ACCESS, R_KIND),
            op(AND_IMM, R_KIND, 0, 0xffff),
            op(RSH_IMM, R_ACCESS, 0, 16),
            load(R_MAJOR, 4),
            load(R_MINOR, 8),
        ]);
        for e in &self.exceptions {
            self.block(e, &mut out);
        }
        out.extend([op(MOV_IMM, R_RESULT, 0, i32::from(self.allow)), op(EXIT, 0, 0, 0)]);
        out
    }

    /// Tests for one exception; each that fails jumps behind the block.
    fn block(&self, e: &Exception, out: &mut Vec<Instruction>) {
        let start = out.len();
        out.push(op(JNE_IMM, R_KIND, 0, if e.kind == Kind::Block { 1 } else { 2 }));
        if e.access != ALL {
            out.push(mov(R_SCRATCH, R_ACCESS));
            out.push(op(AND_IMM, R_SCRATCH, 0, i32::from(e.access)));
            // An allowed exception must cover all that is asked; a denied one bites if it covers any of it.
            out.push(if self.allow {
                op(JEQ_IMM, R_SCRATCH, 0, 0)
            } else {
                op(JNE_REG, R_SCRATCH, R_ACCESS, 0)
            });
        }
        for (register, number) in [(R_MAJOR, e.major), (R_MINOR, e.minor)] {
            if let Some(n) = number {
                out.push(op(JNE_IMM, register, 0, i32::try_from(n).unwrap_or(i32::MAX)));
            }
        }
        out.extend([op(MOV_IMM, R_RESULT, 0, i32::from(!self.allow)), op(EXIT, 0, 0, 0)]);
        let end = out.len();
        for (at, i) in out.iter_mut().enumerate().skip(start) {
            if matches!(i.code, JNE_IMM | JEQ_IMM | JNE_REG) {
                i.offset = i16::try_from(end - at - 1).expect("a block has at most nine instructions");
            }
        }
    }
}

impl Exception {
    fn covers_same(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }
}

fn bits(letters: &str) -> u8 {
    letters.bytes().fold(0, |set, l| {
        set | match l {
            b'r' => READ,
            b'w' => WRITE,
            _ => MKNOD,
        }
    })
}

const R_RESULT: u8 = 0;
/// The context at the start, free once it was read.
const R_SCRATCH: u8 = 1;
const R_KIND: u8 = 2;
const R_ACCESS: u8 = 3;
const R_MAJOR: u8 = 4;
const R_MINOR: u8 = 5;

const LOAD_WORD: u8 = 0x61;
const MOV_REG: u8 = 0xbf;
const MOV_IMM: u8 = 0xb7;
const AND_IMM: u8 = 0x57;
const RSH_IMM: u8 = 0x77;
const JEQ_IMM: u8 = 0x15;
const JNE_IMM: u8 = 0x55;
const JNE_REG: u8 = 0x5d;
const EXIT: u8 = 0x95;

fn op(code: u8, destination: u8, source: u8, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset: 0, immediate }
}

fn mov(destination: u8, source: u8) -> Instruction {
    op(MOV_REG, destination, source, 0)
}

fn load(destination: u8, offset: i16) -> Instruction {
    Instruction { offset, ..op(LOAD_WORD, destination, 1, 0) }
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
