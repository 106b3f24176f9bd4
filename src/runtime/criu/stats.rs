//! criu's statistics: two small files, `stats-dump` and `stats-restore`, of one protocol-buffers message each.

use std::path::Path;

use super::rpc::{Value, fields};

/// File of a checkpoint.
pub const DUMP: &str = "stats-dump";
/// File of a restore.
pub const RESTORE: &str = "stats-restore";

/// Numbers by criu's names for them, times in microseconds; in the order of its messages.
pub type Statistics = Vec<(&'static str, u64)>;

const DUMPED: [&str; 7] =
    ["freezing_time", "frozen_time", "memdump_time", "memwrite_time", "pages_scanned", "", "pages_written"];

const RESTORED: [&str; 5] =
    ["pages_compared", "pages_skipped_cow", "forking_time", "restore_time", "pages_restored"];

/// Reads a file; one that is not there, or not understood, has no numbers.
#[must_use]
pub fn read(path: &Path) -> Statistics {
    std::fs::read(path).map(|bytes| parse(&bytes)).unwrap_or_default()
}

/// Two magic numbers and a length, of four bytes each, then the message: field 1 is that of a dump, field 2 that of a
/// restore, and in each the numbers are fields 1, 2, …
fn parse(bytes: &[u8]) -> Statistics {
    let mut out = Statistics::new();
    for (key, value) in fields(bytes.get(12..).unwrap_or_default()) {
        let Value::Bytes(inside) = value else { continue };
        let names: &[&'static str] = if key == 1 { &DUMPED } else { &RESTORED };
        for (key, value) in fields(inside) {
            let at = usize::try_from(key).unwrap_or(usize::MAX).wrapping_sub(1);
            if let (Value::Number(number), Some(name)) = (value, names.get(at).filter(|n| !n.is_empty())) {
                out.push((name, number));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_names() {
        let mut file = vec![0; 12];
        file.extend([0x0a, 7, 0x08, 0xac, 0x02, 0x10, 5, 0x38, 9]);
        assert_eq!(parse(&file), [("freezing_time", 300), ("frozen_time", 5), ("pages_written", 9)]);
        assert_eq!(parse(&file[..15]), []);
        assert_eq!(parse(b"x"), []);
    }
}
