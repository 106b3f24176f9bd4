//! The tar format: ustar, GNU and PAX headers to [`Entry`]. A parser of our own, because the exact header bytes are
//! recorded and because each place where readers disagree (size in a PAX header, sizes of links, repeated
//! headers) is an attack; where they disagree we do as Go's archive/tar, which docker and podman use.

use super::source::{BLOCK, Source};
use super::{Limits, UnpackError, pax, sparse};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::storage) enum EntryKind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

/// One entry with everything that its headers say.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
    /// Bytes of content in the archive.
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: (i64, u32),
    pub(super) device: (u32, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a sparse file: its length, and where the pieces of content go.
    pub(super) sparse: Option<sparse::Map>,
}

/// What came before an entry to change it.
#[derive(Default)]
struct Pending {
    pax: Option<pax::Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

/// Reads the next entry; `None` at the end mark (or the end of the stream).
pub(super) fn next(source: &mut Source<'_>, limits: &Limits) -> Result<Option<Entry>, UnpackError> {
    let mut pending = Pending::default();
    loop {
        let at = source.at;
        let Some(block) = source.block()? else { return Ok(None) };
        if block.iter().all(|&b| b == 0) {
            // One zero block ends it for GNU tar, two for the standard; what follows is never an entry.
            return Ok(None);
        }
        let header = Header { block: &block, at };
        header.verify()?;
        match header.kind_byte() {
            b'x' => {
                let bytes = source.small(header.size()?, limits.pax, "bytes of extended header")?;
                pending.pax = Some(pax::parse(&bytes, at, limits)?);
            }
            b'g' => {
                // Global records change nothing for us, as in Go's reader; they carry comments in practice.
                source.small(header.size()?, limits.pax, "bytes of extended header")?;
            }
            b'L' => pending.long_name = Some(long_text(source, &header, limits)?),
            b'K' => pending.long_link = Some(long_text(source, &header, limits)?),
            b'V' => {
                source.small(header.size()?, limits.pax, "bytes of volume label")?;
            }
            _ => return header.entry(source, pending, limits).map(Some),
        }
    }
}

/// The content of a GNU long name header, without its NUL.
fn long_text(source: &mut Source<'_>, header: &Header<'_>, limits: &Limits) -> Result<Vec<u8>, UnpackError> {
    let mut text = source.small(header.size()?, limits.path + BLOCK, "bytes of path")?;
    let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

/// A header block that is being read.
pub(super) struct Header<'a> {
    pub(super) block: &'a [u8; BLOCK],
    pub(super) at: u64,
}

impl Header<'_> {
    fn format(&self, why: impl Into<String>) -> UnpackError {
        UnpackError::Format { at: self.at, why: why.into() }
    }

    /// The checksum, over unsigned bytes or (old writers) signed ones.
    fn verify(&self) -> Result<(), UnpackError> {
        let said = self.number(148, 8, "checksum")?;
        let plain = |i: usize| if (148..156).contains(&i) { b' ' } else { self.block[i] };
        let unsigned: i64 = (0..BLOCK).map(|i| i64::from(plain(i))).sum();
        let signed: i64 = (0..BLOCK).map(|i| i64::from(plain(i).cast_signed())).sum();
        if said == unsigned || said == signed {
            Ok(())
        } else {
            Err(self.format("the header's checksum is wrong"))
        }
    }

    fn kind_byte(&self) -> u8 {
        self.block[156]
    }

    fn is_gnu(&self) -> bool {
        &self.block[257..265] == b"ustar  \0"
    }

    fn is_ustar(&self) -> bool {
        &self.block[257..263] == b"ustar\0"
    }

    /// A text field: up to its NUL.
    fn text(&self, offset: usize, len: usize) -> &[u8] {
        let field = &self.block[offset..offset + len];
        &field[..field.iter().position(|&b| b == 0).unwrap_or(len)]
    }

    /// A number field: octal text, or base 256 when its first bit is set.
    pub(super) fn number(&self, offset: usize, len: usize, what: &str) -> Result<i64, UnpackError> {
        let field = &self.block[offset..offset + len];
        let parsed = if field[0] & 0x80 != 0 { base256(field) } else { octal(field) };
        parsed.ok_or_else(|| self.format(format!("the header's {what} is not a number")))
    }

    fn unsigned(&self, offset: usize, len: usize, what: &str) -> Result<u64, UnpackError> {
        u64::try_from(self.number(offset, len, what)?)
            .map_err(|_| self.format(format!("the header's {what} is negative")))
    }

    fn size(&self) -> Result<u64, UnpackError> {
        self.unsigned(124, 12, "size")
    }

    fn small_number(&self, offset: usize, len: usize, what: &str) -> Result<u32, UnpackError> {
        u32::try_from(self.number(offset, len, what)?)
            .map_err(|_| self.format(format!("the header's {what} is out of range")))
    }

    /// The name field with ustar's (or star's) prefix.
    fn path(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let prefix = if self.is_ustar() {
            let is_star = &self.block[508..512] == b"tar\0";
            self.text(345, if is_star { 131 } else { 155 })
        } else {
            &[]
        };
        if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
    }

    fn kind(&self, path: &[u8]) -> Result<EntryKind, UnpackError> {
        Ok(match self.kind_byte() {
            // Before ustar a directory was a file whose name ends in a slash.
            0 | b'0' if path.ends_with(b"/") => EntryKind::Directory,
            0 | b'0' | b'7' | b'S' => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Symlink,
            b'3' => EntryKind::Char,
            b'4' => EntryKind::Block,
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            other => {
                return Err(self.format(format!("entries of type {:?} are not known", char::from(other))));
            }
        })
    }

    fn entry(
        &self,
        source: &mut Source<'_>,
        pending: Pending,
        limits: &Limits,
    ) -> Result<Entry, UnpackError> {
        let mut pax = pending.pax.unwrap_or_default();
        let sparse_name = pax.sparse.name.take();
        let path = pending.long_name.or(sparse_name).or(pax.path.take()).unwrap_or_else(|| self.path());
        let link = pending.long_link.or(pax.link.take()).unwrap_or_else(|| self.text(157, 100).to_vec());
        let kind = self.kind(&path)?;
        // The PAX size wins (the reader that took the other one could be made to see other entries); and only
        // files have content, whatever the header of a link says.
        let mut size = match pax.size {
            Some(size) => size,
            None => self.size()?,
        };
        if kind != EntryKind::File {
            size = 0;
        }
        let (uid, gid) = self.owner(&pax)?;
        let mtime = match pax.mtime {
            Some(time) => time,
            None => (self.number(136, 12, "time")?, 0),
        };
        let device = match kind {
            EntryKind::Char | EntryKind::Block => {
                (self.small_number(329, 8, "device")?, self.small_number(337, 8, "device")?)
            }
            _ => (0, 0),
        };
        let mut entry = Entry {
            kind,
            path,
            link,
            size,
            mode: u32::try_from(self.number(100, 8, "mode")? & 0o7777).unwrap_or(0),
            uid,
            gid,
            mtime,
            device,
            xattrs: std::mem::take(&mut pax.xattrs),
            sparse: None,
        };
        if kind == EntryKind::File {
            entry.sparse = if self.kind_byte() == b'S' && self.is_gnu() {
                Some(sparse::old_gnu(self, source)?)
            } else {
                sparse::from_pax(&pax.sparse, &mut entry.size, source, self.at)?
            };
            if let Some(map) = &entry.sparse {
                map.check(entry.size, self.at)?;
            }
        }
        for (what, text) in [("path", &entry.path), ("link target", &entry.link)] {
            if text.len() > limits.path || text.contains(&0) {
                return Err(self.format(format!("the {what} of an entry is too long, or has a NUL in it")));
            }
        }
        Ok(entry)
    }

    fn owner(&self, pax: &pax::Records) -> Result<(u32, u32), UnpackError> {
        let uid = match pax.uid {
            Some(id) => id,
            None => self.small_number(108, 8, "uid")?,
        };
        let gid = match pax.gid {
            Some(id) => id,
            None => self.small_number(116, 8, "gid")?,
        };
        Ok((uid, gid))
    }
}

/// Octal digits, blanks and NULs around them; an empty field is zero.
fn octal(field: &[u8]) -> Option<i64> {
    let digits = field.split(|&b| b == 0).next().unwrap_or_default();
    let digits = digits.trim_ascii();
    let mut value: i64 = 0;
    for &b in digits {
        if !(b'0'..=b'7').contains(&b) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(b - b'0'))?;
    }
    Some(value)
}

/// Base 256, big endian, two's complement below the marking bit.
fn base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i64 = if negative { -1 } else { 0 };
    for (i, &b) in field.iter().enumerate() {
        let b = match (i, negative) {
            (0, true) => b | 0x80,
            (0, false) => b & 0x7f,
            _ => b,
        };
        // Eight bits more must not push out anything but sign.
        if !(-(1_i64 << 55)..1 << 55).contains(&value) {
            return None;
        }
        value = (value << 8) | i64::from(b);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(octal(b"0000644\0"), Some(0o644));
        assert_eq!(octal(b"  644 \0\0"), Some(0o644));
        assert_eq!(octal(b"\0\0\0\0"), Some(0));
        assert_eq!(octal(b"12x\0"), None);
        assert_eq!(octal(b"777777777777"), Some(0o777_777_777_777));
        assert_eq!(base256(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(base256(&[0xff; 12]), Some(-1));
        assert_eq!(base256(&[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
