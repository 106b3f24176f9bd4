//! A container's changes as a new layer (commit, build): the upper directory becomes a tar that is hashed, and the
//! tar a staged layer, in one pass.

use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use sha2::{Digest as _, Sha256};

use super::db::Store;
use super::diff::{self, TarOptions};
use super::error::{Error, Result};
use super::layers::{LayerWriter, StagedLayer, Wanted, chain_after};
use super::unpack::{Limits, UnpackError};
use crate::model::digest::{ChainId, Digest};

/// Pieces that may wait between the thread that makes the archive and the one that unpacks it.
const QUEUE: usize = 16;

/// Size of a piece.
const PIECE: usize = 256 * 1024;

impl Store {
    /// Makes a staged layer of `upper`. Its key follows from what is in it; to make it visible, begin a pull of the
    /// new image's layers and publish it there if it is among the missing ones.
    ///
    /// # Errors
    /// What the kernel says about reading or writing.
    pub fn stage_diff(
        &self,
        upper: BorrowedFd<'_>,
        options: &TarOptions,
        parent: Option<&ChainId>,
    ) -> Result<StagedLayer> {
        // The key is not known before the end; until then the layer has a name that no layer has.
        let unknown = Digest::sha256([0; 32]);
        let wanted = Wanted { chain: unknown.clone(), diff_id: unknown, parent: parent.cloned() };
        let writer = LayerWriter::new(&self.paths, wanted, Limits::unbounded())?;
        let (sender, receiver) = sync_channel(QUEUE);
        let (made, archived) = std::thread::scope(|scope| {
            let archiver = scope.spawn(move || {
                let mut out = Pieces { sender, piece: Vec::with_capacity(PIECE), hash: Sha256::new() };
                let written = diff::write_tar(upper, options, &mut out)?;
                let hash = out.finish().map_err(|e| Error::io("pass on", "the archive of a layer", e))?;
                Ok::<_, Error>((written, Digest::sha256(hash)))
            });
            let made = writer.unpack(Arrivals { receiver, piece: Vec::new(), at: 0 });
            (made, archiver.join().expect("the archiver does not panic"))
        });
        // When both fail, the unpacking side has the cause: the archiver only met a closed queue. When the archiver
        // fails alone, what was unpacked is the beginning of an archive, and is dropped.
        let mut staged = match (made, archived.as_ref()) {
            (Err(Error::Layer { source: UnpackError::Format { .. }, .. }), Err(_)) | (Ok(_), Err(_)) => {
                return Err(archived.expect_err("matched above"));
            }
            (made, _) => made?,
        };
        let (_, diff_id) = archived?;
        staged.set_wanted(Wanted { chain: chain_after(parent, &diff_id), diff_id, parent: parent.cloned() });
        Ok(staged)
    }
}

/// Collects small writes, hashes them, and sends them on.
struct Pieces {
    sender: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    hash: Sha256,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        self.hash.update(&piece);
        self.sender.send(piece).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }

    fn finish(mut self) -> io::Result<[u8; 32]> {
        self.send()?;
        Ok(self.hash.finalize().into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.piece.len() + bytes.len() > PIECE && !self.piece.is_empty() {
            self.send()?;
        }
        self.piece.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The other end of [`Pieces`].
struct Arrivals {
    receiver: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Arrivals {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let n = buffer.len().min(self.piece.len() - self.at);
        buffer[..n].copy_from_slice(&self.piece[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
