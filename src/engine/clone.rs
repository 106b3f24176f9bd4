//! `container clone`: a new container made with the options of another.

use super::context::Context;
use super::create::{self, Created, SideFiles};
use super::error::{Error, Kind};
use super::progress::Progress;
use super::rm::{self, RemoveOptions};
use super::select::Selection;
use super::start;
use super::update::merge_resources;
use super::view::Container;
use crate::model::resources::Resources;
use crate::storage::Store;

/// How to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CloneOptions {
    /// Name of the clone; `NAME-clone`, `NAME-clone1` … by default.
    pub name: Option<String>,
    /// Another image.
    pub image: Option<String>,
    /// Limits that differ.
    pub resources: Resources,
    /// `--destroy`: remove the original.
    pub destroy: bool,
    /// `-f`: with `--destroy`, even if it runs.
    pub force: bool,
    /// `--run`: start the clone.
    pub run: bool,
}

/// Clones a container.
///
/// # Errors
/// As `create`.
pub fn clone(
    ctx: &Context,
    name: &str,
    options: &CloneOptions,
    progress: &dyn Progress,
) -> Result<Created, Error> {
    if options.force && !options.destroy {
        return Err(Error::new(Kind::Invalid, "--force only makes sense with --destroy"));
    }
    let store = ctx.store()?;
    let original = Container::find(ctx, &store, name)?;
    let mut wish = original.spec(&store)?.options;
    wish.name = Some(match &options.name {
        Some(name) => name.clone(),
        None => free_clone_name(&store, &original.row.name)?,
    });
    wish.replace = false;
    if let Some(image) = &options.image {
        wish.image.clone_from(image);
    }
    merge_resources(&mut wish.resources, &options.resources);
    if options.destroy {
        let remove = RemoveOptions { force: options.force, ..RemoveOptions::default() };
        let mut failed = None;
        rm::rm(ctx, &Selection::one(original.id().as_str()), &remove, &mut |done| {
            failed = done.result.err();
        })?;
        if let Some(e) = failed {
            return Err(e);
        }
    }
    let created = create::create(ctx, &wish, &SideFiles::default(), progress)?;
    if options.run {
        let clone = Container::find(ctx, &store, created.id.as_str())?;
        start::one(ctx, &store, &clone, None)?;
    }
    Ok(created)
}

/// `NAME-clone`, or `NAME-clone1` and so on; the clone of a clone is counted with its siblings.
fn free_clone_name(store: &Store, name: &str) -> Result<String, Error> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let base = if stem.ends_with("-clone") { stem.to_owned() } else { format!("{name}-clone") };
    let mut candidate = base.clone();
    for n in 1.. {
        match store.find_container(&candidate) {
            Ok(row) if row.name == candidate => candidate = format!("{base}{n}"),
            Ok(_) => break,
            Err(e) if e.is_not_found() => break,
            Err(e) => return Err(e.into()),
        }
    }
    Ok(candidate)
}
