//! `rename`: gives a container another name.

use super::context::Context;
use super::error::{Error, Kind};
use super::journal;
use super::view::Container;
use crate::model::id::check_name;
use crate::monitor::client;

/// Renames `name` to `new`.
///
/// # Errors
/// No such container, a bad name, or one that is taken.
pub fn rename(ctx: &Context, name: &str, new: &str) -> Result<(), Error> {
    let store = ctx.store()?;
    let container = Container::find(ctx, &store, name)?;
    let new = new.strip_prefix('/').unwrap_or(new);
    if new.is_empty() {
        return Err(Error::new(Kind::Invalid, "new name cannot be blank"));
    }
    check_name("container name", new).map_err(|_| {
        Error::new(
            Kind::Invalid,
            format!("Invalid container name ({new}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        )
    })?;
    if container.row.name == new {
        return Err(Error::new(Kind::Invalid, "Renaming a container with the same name as its current name"));
    }
    store.rename_container(container.id(), new)?;
    if container.alive() {
        // The record is right already; a monitor that dies at this moment has nothing to rename.
        client::renamed(&ctx.paths, container.id(), new).ok();
    }
    let mut row = container.row;
    let old = std::mem::replace(&mut row.name, new.to_owned());
    journal::container(ctx, "rename", &row, &[("oldName", format!("/{old}"))]);
    Ok(())
}
