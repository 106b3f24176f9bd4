//! Numbers of cgroup v1, which the OCI spec speaks, to those of v2; and two spellings that both share.

use oci_spec::runtime::LinuxRdma;

use super::Error;

/// CPU shares (2 to 262144, default 1024) to a weight (1 to 10000, default 100).
///
/// The curve goes through both ends and through the default, as that of crun and runc since 2025; the older
/// straight line gave a container with default shares 39 of 100. 0 means unset.
pub(super) fn cpu_weight(shares: u64) -> u64 {
    match shares {
        0 => 0,
        1 | 2 => 1,
        262_144.. => 10_000,
        _ => {
            #[expect(clippy::cast_precision_loss, reason = "shares are small here")]
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and 10000"
            )]
            let weight = 10_f64.powf(exponent).ceil() as u64;
            weight.clamp(1, 10_000)
        }
    }
}

/// A block I/O weight (10 to 1000) to one of v2's `io.weight` (1 to 10000).
pub(super) fn io_weight(weight: u16) -> u64 {
    let above = u64::from(weight.clamp(10, 1000)) - 10;
    1 + above * 9999 / 990
}

/// v1 limits the sum of memory and swap, v2 swap alone. `None` leaves it as it is; -1 is no limit.
pub(super) fn swap(memory: Option<i64>, both: Option<i64>) -> Result<Option<i64>, Error> {
    let refuse = |why| Err(Error::Unsupported { setting: "the limit of memory and swap".to_owned(), why });
    match (memory, both) {
        // "No limit" for memory alone means both, as v1 cannot have it otherwise.
        (Some(-1), None) => Ok(Some(-1)),
        (_, None | Some(0)) => Ok(None),
        (_, Some(-1)) => Ok(Some(-1)),
        (None | Some(0 | -1), Some(_)) => refuse("it needs a memory limit beside it"),
        (Some(memory), Some(both)) if both < memory => refuse("it is below the memory limit"),
        (Some(memory), Some(both)) => Ok(Some(both - memory)),
    }
}

/// A limit of processes: negative is none. 0 would let nothing start; runc takes it for 1.
pub(super) fn pids(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.max(1).to_string() }
}

/// `2MB`, `1GB`: checked, because it becomes part of a file's name.
pub(super) fn page_size(text: &str) -> Result<&str, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_uppercase());
    let unit = &text[digits.len()..];
    let good = !digits.is_empty()
        && digits.bytes().all(|b| b.is_ascii_digit())
        && matches!(unit, "KB" | "MB" | "GB" | "TB");
    if good {
        return Ok(text);
    }
    Err(Error::Unsupported {
        setting: format!("the huge page size {text:?}"),
        why: "it is written as in 2MB or 1GB",
    })
}

/// A line of `rdma.max`.
pub(super) fn rdma(device: &str, limit: &LinuxRdma) -> Result<String, Error> {
    if device.is_empty() || device.contains(char::is_whitespace) {
        let why = "it is not a device name";
        return Err(Error::Unsupported { setting: format!("the RDMA device {device:?}"), why });
    }
    let mut line = device.to_owned();
    if let Some(n) = limit.hca_handles() {
        line.push_str(&format!(" hca_handle={n}"));
    }
    if let Some(n) = limit.hca_objects() {
        line.push_str(&format!(" hca_object={n}"));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights() {
        for (shares, weight) in [(0, 0), (1, 1), (2, 1), (1024, 100), (262_144, 10_000), (1 << 40, 10_000)] {
            assert_eq!(cpu_weight(shares), weight, "{shares}");
        }
        let all: Vec<u64> = (2..262_145).step_by(97).map(cpu_weight).collect();
        assert!(all.is_sorted());
        for (blkio, io) in [(10, 1), (1000, 10_000), (500, 4950), (0, 1)] {
            assert_eq!(io_weight(blkio), io);
        }
    }

    #[test]
    fn swap_alone() {
        assert_eq!(swap(Some(64), Some(128)).unwrap(), Some(64));
        assert_eq!(swap(Some(64), Some(64)).unwrap(), Some(0));
        assert_eq!(swap(Some(64), Some(-1)).unwrap(), Some(-1));
        assert_eq!(swap(Some(64), None).unwrap(), None);
        assert_eq!(swap(Some(-1), None).unwrap(), Some(-1));
        assert_eq!(swap(None, Some(-1)).unwrap(), Some(-1));
        assert!(swap(Some(64), Some(32)).is_err());
        assert!(swap(None, Some(32)).is_err());
    }

    #[test]
    fn page_sizes() {
        for good in ["2MB", "1GB", "64KB"] {
            page_size(good).unwrap();
        }
        for bad in ["", "MB", "2mb", "2M", "../2MB", "2MB/", "x2MB"] {
            assert!(page_size(bad).is_err(), "{bad}");
        }
    }
}
