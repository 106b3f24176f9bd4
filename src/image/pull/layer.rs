//! The pipeline of one layer, two threads with bounded buffers between:
//!
//! ```text
//! transfer (async) → [chunks] → digest of the blob, decompression → [blocks] → diffID, unpacking
//! ```
//!
//! The compression is told by the first bytes, as docker does it: media types are wrong too often. A thread that
//! fails drops its end of the channel; its neighbours then stop as "cut" and only the first failure is reported.
//! When decompression or unpacking fails the rest of the blob is still hashed, because a wrong digest is the better
//! explanation.

use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::super::Error;
use super::super::registry::remote::Hasher;
use crate::model::digest::{DiffId, Digest};
use crate::storage;
use crate::storage::layers::{LayerWriter, StagedLayer};
use crate::storage::unpack::UnpackError;

/// Chunks (up to some 400 KB each) between transfer and decompression.
const CHUNKS: usize = 4;

/// Bytes of a chunk that is read from a file.
const CHUNK: usize = 256 << 10;

/// Bytes of a block between decompression and unpacking.
const BLOCK: usize = 128 << 10;

/// Blocks between decompression and unpacking.
const BLOCKS: usize = 4;

/// What the layer must be.
pub(crate) struct Expected {
    /// The layer in messages: its digest, or its file in an archive.
    pub(crate) name: String,
    /// Digest of the blob, where it is known and not that of the tar.
    pub(crate) blob: Option<Digest>,
    /// Digest of the tar in it, where it is known.
    pub(crate) diff_id: Option<DiffId>,
    /// Durable root, for the message of a full disk.
    pub(crate) root: PathBuf,
}

enum Piece {
    Bytes(Bytes),
    /// The blob is complete; a channel that closes without it was cut.
    End,
}

/// The end of the pipeline that takes the blob.
pub(crate) struct Input(mpsc::Sender<Piece>);

impl Input {
    /// Hands on bytes; `false` when the pipeline has stopped.
    pub(crate) async fn send(&self, bytes: Bytes) -> bool {
        self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }

    /// Hands on everything from `from`, from a thread of its own; `false` when the pipeline has stopped.
    pub(crate) fn feed(&self, mut from: impl Read) -> io::Result<bool> {
        loop {
            let mut chunk = vec![0; CHUNK];
            let n = match from.read(&mut chunk) {
                Ok(0) => return Ok(self.0.blocking_send(Piece::End).is_ok()),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            chunk.truncate(n);
            if self.0.blocking_send(Piece::Bytes(chunk.into())).is_err() {
                return Ok(false);
            }
        }
    }

    /// The blob is complete.
    pub(crate) async fn end(&self) {
        // A pipeline that stopped already reports why by itself.
        let _stopped = self.0.send(Piece::End).await;
    }
}

/// Why a thread stopped.
enum Stop {
    /// A neighbour did.
    Cut,
    Failed(Error),
}

/// The two threads at work.
pub(crate) struct Running {
    opened: oneshot::Receiver<Result<(), Stop>>,
    unpacked: oneshot::Receiver<Result<(StagedLayer, DiffId), Stop>>,
}

impl Running {
    /// The staged layer and the digest of its tar, checked against what was expected.
    pub(crate) async fn result(self) -> Result<(StagedLayer, DiffId), Error> {
        // A thread that ended without a word has panicked.
        let opened = self.opened.await.unwrap_or(Err(Stop::Cut));
        verdict(opened, self.unpacked.await.unwrap_or(Err(Stop::Cut)))
    }

    /// The same for a caller outside the network loop.
    pub(crate) fn wait(self) -> Result<(StagedLayer, DiffId), Error> {
        let opened = self.opened.blocking_recv().unwrap_or(Err(Stop::Cut));
        verdict(opened, self.unpacked.blocking_recv().unwrap_or(Err(Stop::Cut)))
    }
}

fn verdict(
    opened: Result<(), Stop>,
    unpacked: Result<(StagedLayer, DiffId), Stop>,
) -> Result<(StagedLayer, DiffId), Error> {
    match (opened, unpacked) {
        (Ok(()), Ok(done)) => Ok(done),
        (Err(Stop::Failed(e)), _) | (_, Err(Stop::Failed(e))) => Err(e),
        _ => Err(Error::Interrupted),
    }
}

/// Starts the two threads.
pub(crate) fn start<'s>(
    threads: &'s Scope<'s, '_>,
    expected: Expected,
    writer: LayerWriter,
) -> (Input, Running) {
    let (input, chunks) = mpsc::channel(CHUNKS);
    let (blocks_in, blocks_out) = sync_channel(BLOCKS);
    let (spent_in, spent_out) = sync_channel(BLOCKS + 2);
    let (opened_in, opened) = oneshot::channel();
    let (unpacked_in, unpacked) = oneshot::channel();
    let Expected { name, blob, diff_id, root } = expected;
    let layer = name.clone();
    threads.spawn(move || {
        let result = open(BlobReader::new(chunks, blob.as_ref()), &layer, blob, &blocks_in, &spent_out);
        // The end of the blocks must be seen before the result is waited for.
        drop(blocks_in);
        let _nobody_waits = opened_in.send(result);
    });
    threads.spawn(move || {
        let reader = BlockReader::new(blocks_out, spent_in);
        let _nobody_waits = unpacked_in.send(unpack(reader, writer, &name, diff_id, &root));
    });
    (Input(input), Running { opened, unpacked })
}

/// First thread: blob → blocks.
fn open(
    mut blob: BlobReader,
    layer: &str,
    expected: Option<Digest>,
    blocks: &SyncSender<Block>,
    spent: &Receiver<Vec<u8>>,
) -> Result<(), Stop> {
    let copied = match decompress(&mut blob, blocks, spent) {
        // Unpacking stopped: the digest may say why.
        Ok(false) => Err(Stop::Cut),
        Ok(true) => Ok(()),
        Err(source) => Err(Stop::Failed(Error::CorruptLayer { layer: layer.to_owned(), source })),
    };
    if !blob.drain() {
        return Err(Stop::Cut);
    }
    if let (Some(hasher), Some(expected)) = (blob.hasher, expected) {
        let actual = hasher.finish();
        if actual != expected {
            let what = format!("layer {layer}");
            return Err(Stop::Failed(Error::DigestMismatch { what, expected, actual }));
        }
    }
    copied?;
    // A block without bytes is the end; a channel that closes without it was cut.
    blocks.send(Vec::new()).map_err(|_| Stop::Cut)
}

type Block = Vec<u8>;

/// Decompresses into blocks; `false` when nobody takes them any more.
fn decompress(
    blob: &mut BlobReader,
    blocks: &SyncSender<Block>,
    spent: &Receiver<Vec<u8>>,
) -> io::Result<bool> {
    match compression(blob.peek()?) {
        Compression::Gzip => copy(flate2::bufread::MultiGzDecoder::new(blob), blocks, spent),
        Compression::Zstd => copy(zstd::stream::read::Decoder::with_buffer(blob)?, blocks, spent),
        Compression::None => copy(blob, blocks, spent),
        // No registry form of an image has these; archives are unpacked before.
        Compression::Bzip2 | Compression::Xz => {
            Err(io::Error::other("a layer is packed by gzip or zstd, or not at all"))
        }
    }
}

/// How a stream is packed.
pub(crate) enum Compression {
    /// A plain tar, or nothing that we know.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
    /// bzip2, of whole archives.
    Bzip2,
    /// xz, of whole archives.
    Xz,
}

/// Tells the compression by a stream's first bytes.
pub(crate) fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A frame, or a skippable frame as zstd:chunked has it.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', ..] => Compression::Xz,
        _ => Compression::None,
    }
}

fn copy(mut from: impl Read, blocks: &SyncSender<Block>, spent: &Receiver<Vec<u8>>) -> io::Result<bool> {
    loop {
        let mut block = spent.try_recv().unwrap_or_default();
        block.resize(BLOCK, 0);
        let mut filled = 0;
        while filled < BLOCK {
            match from.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if filled == 0 {
            return Ok(true);
        }
        block.truncate(filled);
        if blocks.send(block).is_err() {
            return Ok(false);
        }
        if filled < BLOCK {
            return Ok(true);
        }
    }
}

/// Second thread: blocks → files.
fn unpack(
    mut tar: BlockReader,
    writer: LayerWriter,
    layer: &str,
    expected: Option<DiffId>,
    root: &Path,
) -> Result<(StagedLayer, DiffId), Stop> {
    let staged = writer.unpack(&mut tar);
    // Padding after the archive's end belongs to the diffID.
    let drained = match &staged {
        Ok(_) => io::copy(&mut tar, &mut io::sink()).is_ok(),
        Err(_) => false,
    };
    if tar.cut {
        return Err(Stop::Cut);
    }
    let staged = staged.map_err(|e| Stop::Failed(explain(e, layer, root)))?;
    if !drained {
        return Err(Stop::Cut);
    }
    let actual = Digest::sha256(tar.hasher.finalize().into());
    if let Some(expected) = expected
        && actual != expected
    {
        let what = format!("the archive in layer {layer}");
        return Err(Stop::Failed(Error::DigestMismatch { what, expected, actual }));
    }
    Ok((staged, actual))
}

/// What a failure of the store means for the pull.
pub(crate) fn explain(e: storage::Error, layer: &str, root: &Path) -> Error {
    if is_full(&e) {
        return Error::DiskFull { what: format!("unpacking layer {layer}"), path: root.to_owned() };
    }
    match e {
        storage::Error::Layer { source: e @ UnpackError::Format { .. }, .. }
        | storage::Error::Unpack(e @ UnpackError::Format { .. }) => {
            Error::CorruptLayer { layer: layer.to_owned(), source: io::Error::other(e) }
        }
        e => Error::Storage(e),
    }
}

/// Whether the cause of an error is a full disk or quota.
pub(crate) fn is_full(e: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(e);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return true;
        }
        next = e.source();
    }
    false
}

/// Reads the chunks of a blob and hashes them.
struct BlobReader {
    chunks: mpsc::Receiver<Piece>,
    current: Bytes,
    hasher: Option<Hasher>,
    ended: bool,
    cut: bool,
}

impl BlobReader {
    fn new(chunks: mpsc::Receiver<Piece>, digest: Option<&Digest>) -> Self {
        Self { chunks, current: Bytes::new(), hasher: digest.map(Hasher::new), ended: false, cut: false }
    }

    /// The next chunk, hashed; empty at the end.
    fn next(&mut self) -> io::Result<Bytes> {
        if self.ended {
            return Ok(Bytes::new());
        }
        match self.chunks.blocking_recv() {
            Some(Piece::Bytes(b)) => {
                if let Some(h) = &mut self.hasher {
                    h.update(&b);
                }
                Ok(b)
            }
            Some(Piece::End) => {
                self.ended = true;
                Ok(Bytes::new())
            }
            None => {
                self.cut = true;
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the transfer was broken off"))
            }
        }
    }

    /// The first bytes, at least four unless there are fewer.
    fn peek(&mut self) -> io::Result<&[u8]> {
        while self.current.len() < 4 && !self.ended {
            let more = self.next()?;
            if self.current.is_empty() {
                self.current = more;
            } else {
                self.current = [&self.current[..], &more[..]].concat().into();
            }
        }
        Ok(&self.current)
    }

    /// Takes the rest, for the digest's sake; `false` when there was none because the transfer broke.
    fn drain(&mut self) -> bool {
        while !self.ended {
            if self.cut || self.next().is_err() {
                return false;
            }
        }
        true
    }
}

impl BufRead for BlobReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() && !self.ended {
            self.current = self.next()?;
        }
        Ok(&self.current)
    }

    fn consume(&mut self, n: usize) {
        self.current.advance(n);
    }
}

impl Read for BlobReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(out.len());
        out[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}

/// Reads the blocks of a tar and hashes them.
struct BlockReader {
    blocks: Receiver<Block>,
    spent: SyncSender<Vec<u8>>,
    current: Block,
    at: usize,
    hasher: Sha256,
    ended: bool,
    cut: bool,
}

impl BlockReader {
    fn new(blocks: Receiver<Block>, spent: SyncSender<Vec<u8>>) -> Self {
        Self { blocks, spent, current: Vec::new(), at: 0, hasher: Sha256::new(), ended: false, cut: false }
    }
}

impl Read for BlockReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() && !self.ended {
            // A full pool of spent blocks needs no more.
            let _full = self.spent.try_send(std::mem::take(&mut self.current));
            self.at = 0;
            match self.blocks.recv() {
                Ok(block) if block.is_empty() => self.ended = true,
                Ok(block) => {
                    self.hasher.update(&block);
                    self.current = block;
                }
                Err(_) => {
                    self.cut = true;
                    return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "decompression stopped"));
                }
            }
        }
        let n = out.len().min(self.current.len() - self.at);
        out[..n].copy_from_slice(&self.current[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}
