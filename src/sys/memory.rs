//! Giving memory back while a process waits: pages of the program that can be read again from its file, and
//! dead pages below the stack's top.
//!
//! A monitor lives as long as its container and mostly waits. What its start has touched (parsers, the database,
//! mounts) it will not need until the end, and a page that is not mapped is counted for nobody.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::error::{Context as _, Result};
use super::fd;

const PAGE: usize = 4096;
/// Bytes below the current stack pointer that are left alone: the red zone, and frames of calls made here.
const MARGIN: usize = PAGE;

/// Ranges that may be given back, looked up once.
#[derive(Debug)]
pub struct Reclaimable {
    program: Vec<(usize, usize)>,
    stack: Option<(usize, usize)>,
}

impl Reclaimable {
    /// Looks them up in /proc/self/smaps: the stack, and mappings of files that are not writable and in which
    /// no page is our own. (Pages that a dynamic loader relocated are in such mappings too, made read-only
    /// afterwards; what they hold is in no file.)
    pub fn find() -> Result<Self> {
        let file = fd::open(Path::new("/proc/self/smaps"), fd::OpenFlags::RDONLY, 0)?;
        let mut found = Self { program: Vec::new(), stack: None };
        let mut last = None;
        // By lines: the whole text would leave a hole in the heap.
        for line in BufReader::with_capacity(2 * PAGE, File::from(file)).lines() {
            let line = line.call("read", || "/proc/self/smaps".into())?;
            if let Some(own) = line.strip_prefix("Anonymous:") {
                if let Some(range) = last.take()
                    && own.trim() == "0 kB"
                {
                    found.program.push(range);
                }
                continue;
            }
            let Some((range, write, inode, name)) = parse(&line) else { continue };
            if name == "[stack]" {
                found.stack = Some(range);
            }
            last = (!write && inode != 0).then_some(range);
        }
        Ok(found)
    }

    /// Gives them back. They come again by themselves, page by page, when they are touched.
    pub fn release(&self) {
        for &(start, end) in &self.program {
            advise(start, end);
        }
        let here = std::hint::black_box([0_u8; 16]);
        let top = (here.as_ptr() as usize).saturating_sub(MARGIN) / PAGE * PAGE;
        if let Some((start, end)) = self.stack
            && start < top
            && top < end
        {
            advise(start, top);
        }
    }
}

fn parse(line: &str) -> Option<((usize, usize), bool, u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hex = |text| usize::from_str_radix(text, 16).ok();
    let write = words.next()?.as_bytes().get(1) == Some(&b'w');
    let inode = words.nth(2)?.parse().ok()?;
    Some(((hex(start)?, hex(end)?), write, inode, words.next().unwrap_or_default()))
}

fn advise(start: usize, end: usize) {
    // SAFETY: the range is either a mapping of a file that is not writable and has no page of our own, so that
    // its pages are read from the file again, or stack below every live frame, whose content nobody will read. Nothing that is alive changes.
    unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let line = "00401000-00f6d000 r-xp 00001000 fe:00 9977999    /usr/bin/rcon";
        assert_eq!(parse(line), Some(((0x40_1000, 0xf6_d000), false, 9_977_999, "/usr/bin/rcon")));
        let stack = "7ffc5c9ba000-7ffc5c9db000 rw-p 00000000 00:00 0   [stack]";
        assert_eq!(parse(stack), Some(((0x7ffc_5c9b_a000, 0x7ffc_5c9d_b000), true, 0, "[stack]")));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn the_program_goes_on() {
        let found = Reclaimable::find().unwrap();
        assert!(!found.program.is_empty());
        let kept = vec![7_u8; 100_000];
        found.release();
        assert!(kept.iter().all(|&b| b == 7));
        assert_eq!(parse("1-2 r--p 0 0:0 5"), Some(((1, 2), false, 5, "")));
    }
}
