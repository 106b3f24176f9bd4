//! PAX extended headers: `LENGTH KEY=VALUE\n` records.

use super::{Limits, UnpackError};

/// What of an extended header matters to us.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: SparseRecords,
}

/// GNU's records about sparse files, formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub(super) major: Option<u64>,
    pub(super) minor: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: Option<u64>,
    pub(super) map: Option<Vec<u8>>,
    pub(super) blocks: Vec<u64>,
}

/// Where a SCHILY record keeps an xattr.
const XATTR: &[u8] = b"SCHILY.xattr.";

/// Parses the records of one header.
pub(super) fn parse(bytes: &[u8], at: u64, limits: &Limits) -> Result<Records, UnpackError> {
    let mut records = Records::default();
    let mut rest = bytes;
    let mut xattr_bytes = 0;
    while !rest.is_empty() {
        let (key, value, tail) =
            record(rest).ok_or_else(|| bad(at, "a record of an extended header is malformed"))?;
        rest = tail;
        if let Some(name) = key.strip_prefix(XATTR) {
            xattr_bytes += name.len() + value.len();
            if xattr_bytes > limits.xattrs {
                return Err(UnpackError::Limit {
                    what: "bytes of extended attributes",
                    limit: limits.xattrs as u64,
                });
            }
            if name.is_empty() || name.contains(&0) {
                return Err(bad(at, "an extended attribute has an impossible name"));
            }
            records.xattrs.push((name.to_vec(), value.to_vec()));
            continue;
        }
        take(&mut records, key, value).ok_or_else(|| {
            bad(
                at,
                &format!(
                    "the value of {:?} in an extended header is malformed",
                    String::from_utf8_lossy(key)
                ),
            )
        })?;
    }
    Ok(records)
}

/// Splits the first record off.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let blank = bytes.iter().take(20).position(|&b| b == b' ')?;
    let len = usize::try_from(decimal(&bytes[..blank])?).ok()?;
    if len <= blank + 1 || len > bytes.len() || bytes[len - 1] != b'\n' {
        return None;
    }
    let body = &bytes[blank + 1..len - 1];
    let equals = body.iter().position(|&b| b == b'=')?;
    Some((&body[..equals], &body[equals + 1..], &bytes[len..]))
}

/// Notes one record; `None` when its value makes no sense. An empty value takes an earlier one back.
fn take(records: &mut Records, key: &[u8], value: &[u8]) -> Option<()> {
    let set = !value.is_empty();
    let number = || if set { decimal(value).map(Some) } else { Some(None) };
    let id = || match number()? {
        Some(n) => u32::try_from(n).ok().map(Some),
        None => Some(None),
    };
    let text = || set.then(|| value.to_vec());
    let sparse = &mut records.sparse;
    match key {
        b"path" => records.path = text(),
        b"linkpath" => records.link = text(),
        b"size" => records.size = number()?,
        b"uid" => records.uid = id()?,
        b"gid" => records.gid = id()?,
        b"mtime" => records.mtime = if set { Some(time(value)?) } else { None },
        b"GNU.sparse.major" => sparse.major = number()?,
        b"GNU.sparse.minor" => sparse.minor = number()?,
        b"GNU.sparse.name" => sparse.name = text(),
        b"GNU.sparse.realsize" | b"GNU.sparse.size" => sparse.real_size = number()?,
        b"GNU.sparse.map" => sparse.map = text(),
        b"GNU.sparse.offset" | b"GNU.sparse.numbytes" => sparse.blocks.push(decimal(value)?),
        _ => {}
    }
    Some(())
}

pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    text.iter().try_fold(0_u64, |n, &b| n.checked_mul(10)?.checked_add(u64::from(b - b'0')))
}

/// Seconds with an optional fraction, maybe negative.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |&b| b == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let mut nanos = 0_u32;
    if let Some(fraction) = parts.next() {
        let mut unit = 100_000_000;
        for &b in fraction {
            if !b.is_ascii_digit() {
                return None;
            }
            nanos += u32::from(b - b'0') * unit;
            unit /= 10;
        }
    }
    Some(match (negative, nanos) {
        (false, _) => (seconds, nanos),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanos),
    })
}

fn bad(at: u64, why: &str) -> UnpackError {
    UnpackError::Format { at, why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_and_their_traps() {
        let limits = Limits::default();
        let ok = parse(b"12 path=a=b\n11 size=10\n", 0, &limits).expect("parses");
        assert_eq!(ok.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(ok.size, Some(10));
        for bad in [
            &b"6 a=\n"[..],
            b"99 path=a\n",
            b"0 a=b\n",
            b"x path=a\n",
            b"11 size=-1\n",
            b"10 path=ab",
            b"9 path=a",
        ] {
            assert!(parse(bad, 0, &limits).is_err(), "{bad:?}");
        }
        let gone = parse(b"11 size=10\n8 size=\n", 0, &limits).expect("parses");
        assert_eq!(gone.size, None);
    }

    #[test]
    fn times() {
        assert_eq!(time(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"3"), Some((3, 0)));
        assert_eq!(time(b"1.12345678999"), Some((1, 123_456_789)));
        assert_eq!(time(b"1.x"), None);
        assert_eq!(time(b""), None);
    }
}
