//! mounts.conf: directories of the host whose content every new container gets, a distribution's subscriptions most of all.
//!
//! A line is `SOURCE:TARGET`, or one path for both. The file of `--default-mounts-file`; without the flag podman's two places, for
//! podman's users.

use std::path::Path;

use super::context::Context;
use super::error::{Error, Kind};
use crate::model::container::Subscription;

/// What the administrator says, and what the distribution does; the first that is there counts.
const USUAL: [&str; 2] = ["/etc/containers/mounts.conf", "/usr/share/containers/mounts.conf"];

/// What a new container gets. A source that is not there is left out.
///
/// # Errors
/// A file that was named and cannot be read; a line that is none.
pub(super) fn of(ctx: &Context) -> Result<Vec<Subscription>, Error> {
    let read = |path: &Path| {
        std::fs::read_to_string(path)
            .map_err(|e| Error::with_source(Kind::Invalid, format!("reading {}", path.display()), e))
    };
    let text = match &ctx.config.engine.default_mounts_file {
        Some(path) => read(path)?,
        None if ctx.podman => match USUAL.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => read(path)?,
            None => return Ok(Vec::new()),
        },
        None => return Ok(Vec::new()),
    };
    let all = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(parse);
    let there = |s: &Subscription| {
        let there = Path::new(&s.source).exists();
        if !there {
            tracing::warn!("mounts.conf: {} is not there", s.source);
        }
        there
    };
    Ok(all.collect::<Result<Vec<_>, _>>()?.into_iter().filter(there).collect())
}

fn parse(line: &str) -> Result<Subscription, Error> {
    let (source, target) = line.split_once(':').unwrap_or((line, line));
    if [source, target].iter().any(|path| !path.starts_with('/') || path.contains("/..")) {
        return Err(Error::new(Kind::Invalid, format!("mounts.conf: {line:?} is not SOURCE:TARGET")));
    }
    Ok(Subscription { source: source.to_owned(), target: target.trim_end_matches('/').to_owned() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn lines() {
        let parts = |line| super::parse(line).map(|s| (s.source, s.target)).ok();
        let some = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parts("/a:/b/"), some("/a", "/b"));
        assert_eq!(parts("/a"), some("/a", "/a"));
        for bad in ["a:/b", "/a:b", "/a:/b/../c", ":"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }
}
