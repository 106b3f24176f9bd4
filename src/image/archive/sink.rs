//! Where a saved image is written to: a tar, or a directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use super::{Error, io as failed};

/// Writes the content of one file.
pub(super) type Content<'a> = dyn FnMut(&mut dyn Write) -> Result<(), Error> + 'a;

/// Takes files, each name once.
pub(super) trait Sink {
    /// Writes a file of `size` bytes, unless it has that name already.
    fn file(&mut self, name: &str, size: u64, content: &mut Content<'_>) -> Result<(), Error>;

    /// Nothing more comes.
    fn end(&mut self) -> Result<(), Error>;
}

impl dyn Sink + '_ {
    /// Writes a file whose bytes are at hand.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.file(name, bytes.len() as u64, &mut |out| {
            out.write_all(bytes).map_err(failed("writing the archive"))
        })
    }
}

/// A tar.
pub(super) struct TarSink<'a> {
    out: &'a mut dyn Write,
    written: BTreeSet<String>,
}

impl<'a> TarSink<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, written: BTreeSet::new() }
    }
}

impl Sink for TarSink<'_> {
    fn file(&mut self, name: &str, size: u64, content: &mut Content<'_>) -> Result<(), Error> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let mut h = tar::Header::new_ustar();
        let named = h.set_path(name);
        h.set_size(size);
        h.set_mode(0o644);
        h.set_entry_type(tar::EntryType::Regular);
        h.set_cksum();
        named.and_then(|()| self.out.write_all(h.as_bytes())).map_err(failed("writing the archive"))?;
        content(self.out)?;
        let rest = usize::try_from((512 - size % 512) % 512).unwrap_or(0);
        self.out.write_all(&[0; 512][..rest]).map_err(failed("writing the archive"))
    }

    fn end(&mut self) -> Result<(), Error> {
        self.out.write_all(&[0; 1024]).and_then(|()| self.out.flush()).map_err(failed("writing the archive"))
    }
}

/// A directory of the user's, made if it is not there.
pub(super) struct DirSink {
    dir: PathBuf,
    written: BTreeSet<String>,
}

impl DirSink {
    pub(super) fn new(dir: PathBuf) -> Result<Self, Error> {
        std::fs::create_dir_all(&dir).map_err(failed(format!("making {}", dir.display())))?;
        Ok(Self { dir, written: BTreeSet::new() })
    }
}

impl Sink for DirSink {
    fn file(&mut self, name: &str, _size: u64, content: &mut Content<'_>) -> Result<(), Error> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self.dir.join(name);
        let what = || format!("writing {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed(what()))?;
        }
        // Beside it first: a reader, or an earlier image with the same blob, never sees half a file.
        let part = path.with_extension("part");
        let file = File::create(&part).map_err(failed(what()))?;
        let mut out = BufWriter::with_capacity(128 << 10, file);
        let done = content(&mut out)
            .and_then(|()| out.flush().map_err(failed(what())))
            .and_then(|()| std::fs::rename(&part, &path).map_err(failed(what())));
        if done.is_err() {
            // The failure itself says more.
            let _gone = std::fs::remove_file(&part);
        }
        done
    }

    fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// Hashes and counts what passes through.
pub(super) struct Checked<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) hasher: sha2::Sha256,
    pub(super) size: u64,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        sha2::Digest::update(&mut self.hasher, &bytes[..n]);
        self.size += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
