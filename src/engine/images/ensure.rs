//! The image of a new container: local, or pulled as its policy says.

use super::pull::{PullOptions, pull_files, pull_into, remote_digest};
use super::{By, Context, Error, Kind, Names, files, find_by, no_such_image};
use crate::image::Progress;
use crate::model::create::RegistryOptions;
use crate::model::image::{Image, Platform};
use crate::model::lifecycle::PullPolicy;
use crate::model::reference::ImageName;
use crate::model::transport::Place;
use crate::storage::Store;

/// The image that a new container wants.
#[derive(Debug, Clone, Copy)]
pub struct WantedImage<'a> {
    /// As typed.
    pub name: &'a str,
    /// `--platform`: a local image of another platform is not taken for it.
    pub platform: Option<&'a str>,
    /// `--pull`.
    pub policy: PullPolicy,
    /// Registry flags.
    pub registry: &'a RegistryOptions,
}

/// Finds the image and pulls it where the policy wants that.
///
/// # Errors
/// No such image and none to be had; with [`PullPolicy::Never`], no such local image.
pub fn ensure(
    ctx: &Context,
    store: &Store,
    wanted: &WantedImage<'_>,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let WantedImage { name, platform, policy, registry } = *wanted;
    let asked = platform.map(str::parse::<Platform>).transpose()?;
    let names = Names::of(ctx);
    let place = files::place(name)?;
    let name = match &place {
        Place::Files(from) => {
            let options =
                PullOptions { platform: platform.map(str::to_owned), registry: registry.clone(), policy };
            return Ok(pull_files(ctx, store, from, &options, progress)?.image);
        }
        Place::Store(name) => return Ok(find_by(&names, store, name)?.0),
        Place::Registry(name) | Place::Name(name) | Place::Unsupported(name) => name.as_str(),
    };
    let local = match find_by(&names, store, name) {
        Ok((image, By::Id)) => return Ok(image),
        Ok((image, By::Name(_))) => {
            Some(image).filter(|i| asked.as_ref().is_none_or(|p| super::serves(i, p)))
        }
        Err(e) if e.kind() == Kind::NotFound => None,
        Err(e) => return Err(e),
    };
    let options = PullOptions { platform: platform.map(str::to_owned), registry: registry.clone(), policy };
    let fetch = |progress| Ok(pull_into(ctx, store, &names, name, &options, progress)?.image);
    match (policy, local) {
        (PullPolicy::Missing | PullPolicy::Never, Some(image)) => Ok(image),
        (PullPolicy::Never, None) => {
            Err(no_such_image(name).hint("it is not in the store and --pull=never forbids to pull it"))
        }
        (PullPolicy::Newer, Some(image)) => match remote_digest(&names, name, &options) {
            Ok(d) if image.digests.iter().any(|n| n.ends_with(d.as_str())) => Ok(image),
            Ok(_) => fetch(progress),
            Err(e) => {
                progress.warning(&format!("using the local image: {}", e.chain()));
                Ok(image)
            }
        },
        (PullPolicy::Always, _) => fetch(progress),
        (PullPolicy::Missing | PullPolicy::Newer, None) => {
            // What is no name cannot be pulled; an id that nothing has is simply not there.
            if name.parse::<ImageName>().is_err() && !name.contains(['/', ':']) && name.len() == 64 {
                return Err(no_such_image(name));
            }
            progress.missing(&super::tagged(name));
            fetch(progress)
        }
    }
}
