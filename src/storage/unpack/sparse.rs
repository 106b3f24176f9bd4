//! Maps of sparse files, in GNU's four forms, bounded (an unbounded map was CVE-2025-58183).

use super::UnpackError;
use super::pax::{SparseRecords, decimal};
use super::source::{BLOCK, Source};
use super::tar::Header;

/// Most pieces of one file.
const MOST_PIECES: usize = 256 * 1024;

/// Where content goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Map {
    /// Length of the file.
    pub(super) length: u64,
    /// Offset and length of each piece.
    pub(super) pieces: Vec<(u64, u64)>,
}

impl Map {
    /// Pieces in order, not over each other, inside the file, and together as long as the content.
    pub(super) fn check(&self, content: u64, at: u64) -> Result<(), UnpackError> {
        let mut end = 0_u64;
        let mut sum = 0_u64;
        for &(offset, len) in &self.pieces {
            let piece_end = offset.checked_add(len).filter(|&e| offset >= end && e <= self.length);
            end = piece_end
                .ok_or_else(|| bad(at, "the pieces of a sparse file overlap or lie outside of it"))?;
            sum += len;
        }
        if sum == content {
            Ok(())
        } else {
            Err(bad(at, "the pieces of a sparse file do not add up to its content"))
        }
    }
}

/// The old GNU form: four pieces in the header, 21 in each block that follows.
pub(super) fn old_gnu(header: &Header<'_>, source: &mut Source<'_>) -> Result<Map, UnpackError> {
    let length = unsigned(header, 483)?;
    let mut pieces = Vec::new();
    let mut more = header.block[482] != 0;
    take_pieces(header, 386, 4, &mut pieces)?;
    while more {
        let at = source.at;
        let block = source.block()?.ok_or_else(|| bad(at, "it ends in the map of a sparse file"))?;
        let extension = Header { block: &block, at };
        take_pieces(&extension, 0, 21, &mut pieces)?;
        more = block[504] != 0;
    }
    Ok(Map { length, pieces })
}

fn take_pieces(
    header: &Header<'_>,
    from: usize,
    count: usize,
    pieces: &mut Vec<(u64, u64)>,
) -> Result<(), UnpackError> {
    for n in 0..count {
        let offset = from + n * 24;
        if header.block[offset] == 0 {
            break;
        }
        push(pieces, (unsigned(header, offset)?, unsigned(header, offset + 12)?))?;
    }
    Ok(())
}

fn unsigned(header: &Header<'_>, offset: usize) -> Result<u64, UnpackError> {
    let value = header.number(offset, 12, "sparse map")?;
    u64::try_from(value).map_err(|_| bad(header.at, "a number in the map of a sparse file is negative"))
}

fn push(pieces: &mut Vec<(u64, u64)>, piece: (u64, u64)) -> Result<(), UnpackError> {
    if pieces.len() == MOST_PIECES {
        return Err(UnpackError::Limit { what: "pieces of a sparse file", limit: MOST_PIECES as u64 });
    }
    pieces.push(piece);
    Ok(())
}

/// The PAX forms; `size` shrinks by the map that form 1.0 keeps before the content.
pub(super) fn from_pax(
    records: &SparseRecords,
    size: &mut u64,
    source: &mut Source<'_>,
    at: u64,
) -> Result<Option<Map>, UnpackError> {
    let numbers = if (records.major, records.minor) == (Some(1), Some(0)) {
        map_in_content(size, source, at)?
    } else if let Some(map) = &records.map {
        let numbers: Option<Vec<u64>> = map.split(|&b| b == b',').map(decimal).collect();
        numbers.ok_or_else(|| bad(at, "the map of a sparse file is malformed"))?
    } else if records.blocks.is_empty() {
        return Ok(None);
    } else {
        records.blocks.clone()
    };
    let Some(length) = records.real_size else { return Err(bad(at, "a sparse file has no length")) };
    if numbers.len() % 2 != 0 {
        return Err(bad(at, "the map of a sparse file is malformed"));
    }
    let mut pieces = Vec::new();
    for pair in numbers.chunks_exact(2) {
        push(&mut pieces, (pair[0], pair[1]))?;
    }
    Ok(Some(Map { length, pieces }))
}

/// Form 1.0: count, then pairs, one decimal number per line, padded to a block.
fn map_in_content(size: &mut u64, source: &mut Source<'_>, at: u64) -> Result<Vec<u64>, UnpackError> {
    let mut numbers = Vec::new();
    let mut line = Vec::new();
    let mut wanted = None;
    while wanted.is_none_or(|n| numbers.len() < n) {
        *size =
            size.checked_sub(BLOCK as u64).ok_or_else(|| bad(at, "the map of a sparse file is cut off"))?;
        let block = source.block()?.ok_or_else(|| bad(at, "it ends in the map of a sparse file"))?;
        for &b in &block {
            if b != b'\n' {
                line.push(b);
                if line.len() > 20 {
                    return Err(bad(at, "the map of a sparse file is malformed"));
                }
                continue;
            }
            let number = decimal(&line).ok_or_else(|| bad(at, "the map of a sparse file is malformed"))?;
            line.clear();
            match wanted {
                None if number > MOST_PIECES as u64 => {
                    return Err(UnpackError::Limit {
                        what: "pieces of a sparse file",
                        limit: MOST_PIECES as u64,
                    });
                }
                None => wanted = Some(usize::try_from(number).unwrap_or(0) * 2),
                Some(_) => numbers.push(number),
            }
            if wanted == Some(numbers.len()) {
                break;
            }
        }
    }
    Ok(numbers)
}

fn bad(at: u64, why: &str) -> UnpackError {
    UnpackError::Format { at, why: why.to_owned() }
}
