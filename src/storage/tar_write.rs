//! Writing tar: ustar headers, PAX records where a value does not fit. Reproducible: whole seconds, no user
//! names, no device or inode numbers.

use std::io::{self, Write};

use super::unpack::EntryKind;

/// Size of a tar block.
const BLOCK: u64 = 512;

/// What goes into a header.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) kind: EntryKind,
    pub(super) path: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) device: (u32, u32),
    pub(super) xattrs: &'a [(std::ffi::CString, Vec<u8>)],
}

/// A tar being written.
pub(super) struct TarWriter<'a> {
    out: &'a mut dyn Write,
    /// Bytes written.
    pub(super) written: u64,
}

impl<'a> TarWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, written: 0 }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes a header with the extended header that it needs, if any.
    pub(super) fn head(&mut self, head: &Head<'_>) -> io::Result<()> {
        let records = pax_records(head);
        if !records.is_empty() {
            let extended = Head {
                kind: EntryKind::File,
                path: b"PaxHeaders/x",
                link: b"",
                size: records.len() as u64,
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: 0,
                device: (0, 0),
                xattrs: &[],
            };
            self.put(&block(&extended, b'x'))?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.put(&block(head, type_byte(head.kind)))
    }

    /// Writes a piece of file content.
    pub(super) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(bytes)
    }

    /// Fills the last block of content of `size` bytes.
    pub(super) fn pad(&mut self, size: u64) -> io::Result<()> {
        const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
        let over = (size % BLOCK) as usize;
        if over == 0 { Ok(()) } else { self.put(&ZEROS[over..]) }
    }

    /// Writes the end mark; returns the length of the archive.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.put(&[0; 2 * BLOCK as usize])?;
        self.out.flush()?;
        Ok(self.written)
    }
}

fn type_byte(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::Char => b'3',
        EntryKind::Block => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

/// Largest number that `digits` octal digits hold.
const fn octal_max(digits: u32) -> u64 {
    (1 << (3 * digits)) - 1
}

fn fits_name(text: &[u8]) -> bool {
    text.len() <= 100 && text.is_ascii()
}

/// Everything that the ustar header cannot hold.
fn pax_records(head: &Head<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if !fits_name(head.path) {
        record(&mut out, b"path", head.path);
    }
    if !fits_name(head.link) {
        record(&mut out, b"linkpath", head.link);
    }
    if head.size > octal_max(11) {
        record(&mut out, b"size", head.size.to_string().as_bytes());
    }
    if u64::from(head.uid) > octal_max(7) {
        record(&mut out, b"uid", head.uid.to_string().as_bytes());
    }
    if u64::from(head.gid) > octal_max(7) {
        record(&mut out, b"gid", head.gid.to_string().as_bytes());
    }
    if head.mtime < 0 || head.mtime.unsigned_abs() > octal_max(11) {
        record(&mut out, b"mtime", head.mtime.to_string().as_bytes());
    }
    for (name, value) in head.xattrs {
        record(&mut out, &[b"SCHILY.xattr.", name.to_bytes()].concat(), value);
    }
    out
}

/// One record; its length counts its own digits.
fn record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut len = rest + 1;
    while len != rest + len.to_string().len() {
        len += 1;
    }
    out.extend_from_slice(len.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn block(head: &Head<'_>, kind: u8) -> [u8; BLOCK as usize] {
    let mut b = [0; BLOCK as usize];
    let text = |b: &mut [u8; BLOCK as usize], at: usize, text: &[u8]| {
        let n = text.len().min(100);
        b[at..at + n].copy_from_slice(&text[..n]);
    };
    // A value that does not fit is in the extended header; here it is cut or zero.
    let octal = |b: &mut [u8; BLOCK as usize], at: usize, digits: usize, value: u64| {
        let value = if value > octal_max(digits as u32) { 0 } else { value };
        b[at..at + digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
    };
    text(&mut b, 0, head.path);
    octal(&mut b, 100, 7, u64::from(head.mode));
    octal(&mut b, 108, 7, u64::from(head.uid));
    octal(&mut b, 116, 7, u64::from(head.gid));
    octal(&mut b, 124, 11, head.size);
    octal(&mut b, 136, 11, u64::try_from(head.mtime).unwrap_or(0));
    b[156] = kind;
    text(&mut b, 157, head.link);
    b[257..265].copy_from_slice(b"ustar\x0000");
    octal(&mut b, 329, 7, u64::from(head.device.0));
    octal(&mut b, 337, 7, u64::from(head.device.1));
    b[148..156].copy_from_slice(b"        ");
    let sum: u64 = b.iter().map(|&x| u64::from(x)).sum();
    b[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
    b[154] = 0;
    b
}
