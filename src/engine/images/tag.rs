//! `tag`, `untag`.

use super::{By, Context, Error, Kind, Names, find_by};
use crate::engine::journal;
use crate::model::reference::ImageName;

/// Gives the image that `source` means further names. A short name is docker.io's, as with docker.
///
/// # Errors
/// No such image; a name that is none, or has a digest.
pub fn tag(ctx: &Context, source: &str, names: &[String]) -> Result<(), Error> {
    let store = ctx.store()?;
    let targets = names
        .iter()
        .map(|name| {
            let parsed: ImageName = name.parse().map_err(crate::image::Error::from)?;
            if parsed.digest().is_some() {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("refusing to create a tag with a digest reference: {name}"),
                ));
            }
            Ok(parsed.in_registry(ctx.own_registry()))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (image, _) = find_by(&Names::of(ctx), &store, source)?;
    for target in targets {
        store.tag_image(&image.id, &target.to_string())?;
        journal::named_image(ctx, "tag", image.id.as_str(), &ctx.shown(&target), &image.config.labels);
    }
    Ok(())
}

/// Takes names away from the image that `image` means: `names`, or all if there are none. The image stays.
///
/// # Errors
/// No such image; a name that it does not have.
pub fn untag(ctx: &Context, image: &str, names: &[String]) -> Result<(), Error> {
    let store = ctx.store()?;
    let resolver = Names::of(ctx);
    let (found, by) = find_by(&resolver, &store, image)?;
    let mut gone = Vec::new();
    for name in names {
        let there = find_by(&resolver, &store, name);
        match there.map_err(|e| if e.kind() == Kind::NotFound { not_known(name) } else { e })? {
            (other, By::Name(key)) if other.id == found.id => gone.push(key),
            _ => return Err(not_known(name)),
        }
    }
    match by {
        _ if !names.is_empty() => {}
        By::Name(key) if found.names.contains(&key) => gone.extend(found.names.clone()),
        By::Name(_) | By::Id => gone.extend(found.names.clone()),
    }
    for name in gone {
        store.untag_image(&name)?;
        journal::named_image(
            ctx,
            "untag",
            found.id.as_str(),
            &super::familiar(ctx, &name),
            &found.config.labels,
        );
    }
    Ok(())
}

fn not_known(name: &str) -> Error {
    Error::new(Kind::NotFound, format!("{name}: tag not known"))
}
