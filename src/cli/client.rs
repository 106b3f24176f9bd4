//! What docker's `config.json` says about the command line: formats of listings, keys that detach, filters of prune.
//! Its credentials are `image::auth`'s matter. A file that does not parse says nothing here: a pull tells of it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Ctx;
use super::exit::Failure;

/// The keys that are heeded.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    detach_keys: Option<String>,
    ps_format: Option<String>,
    images_format: Option<String>,
    volumes_format: Option<String>,
    networks_format: Option<String>,
    stats_format: Option<String>,
    prune_filters: Vec<String>,
}

/// A listing that may have a format of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    /// `ps`.
    Ps,
    /// `images`.
    Images,
    /// `volume ls`.
    Volumes,
    /// `network ls`.
    Networks,
    /// `stats`.
    Stats,
}

/// Where the file is: `--config`, `DOCKER_CONFIG`, or below the home directory.
fn path(given: Option<&str>) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let dir = given.map(PathBuf::from);
    let dir =
        dir.or_else(|| variable("DOCKER_CONFIG")).or_else(|| Some(variable("HOME")?.join(".docker")))?;
    Some(dir.join("config.json"))
}

fn read(path: Option<&Path>) -> File {
    let text = path.and_then(|p| std::fs::read(p).ok()).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

fn load(ctx: &Ctx) -> File {
    read(path(ctx.globals.config.as_deref()).as_deref())
}

/// The format of a listing: as given, else the file's; `-q` shows ids unless a format is given.
#[must_use]
pub(super) fn format(ctx: &Ctx, listing: Listing, given: Option<String>, quiet: bool) -> Option<String> {
    if given.is_some() || quiet {
        return given;
    }
    let file = load(ctx);
    let own = match listing {
        Listing::Ps => file.ps_format,
        Listing::Images => file.images_format,
        Listing::Volumes => file.volumes_format,
        Listing::Networks => file.networks_format,
        Listing::Stats => file.stats_format,
    };
    own.filter(|f| !f.is_empty())
}

/// Keys that detach: as given, else the file's, else those of containers.conf.
///
/// # Errors
/// A configuration that cannot be read.
pub(super) fn detach_keys(ctx: &Ctx, given: Option<String>) -> Result<Option<String>, Failure> {
    let given = given.or_else(|| load(ctx).detach_keys.filter(|k| !k.is_empty()));
    Ok(ctx.engine()?.detach_keys(given))
}

/// Filters of a prune: as given, and the file's unless the command line says the contrary.
#[must_use]
pub(super) fn prune_filters(ctx: &Ctx, given: Vec<String>) -> Vec<String> {
    join(given, load(ctx).prune_filters)
}

fn join(given: Vec<String>, own: Vec<String>) -> Vec<String> {
    let contrary = |text: &str| match text.split_once('=') {
        Some(("label", value)) => format!("label!={value}"),
        Some(("label!", value)) => format!("label={value}"),
        _ => String::new(),
    };
    let fits: Vec<String> =
        own.into_iter().filter(|f| !given.contains(f) && !given.contains(&contrary(f))).collect();
    given.into_iter().chain(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let list = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        assert_eq!(join(list(&["label!=a"]), list(&["label=a", "label=b"])), ["label!=a", "label=b"]);
        assert_eq!(join(Vec::new(), list(&["label=a"])), ["label=a"]);
        assert!(read(None).ps_format.is_none());
    }
}
