//! `system check`: what of the store is damaged, and its repair: layers and documents of images come again from the
//! registry they came from, a broken database is salvaged (`storage::repair`).

use std::time::Duration;

use crate::engine::images::{self, PullOptions, RmiOptions};
use crate::engine::rm::{self, RemoveOptions};
use crate::engine::select::Selection;
use crate::engine::{Context, Error, Kind, Progress};
use crate::model::digest::Digest;
use crate::model::id::ContainerId;
use crate::model::image::{Image, Platform};
use crate::model::units::human_duration;
use crate::storage::error::Kind as Thing;
use crate::storage::gc::Damage;
use crate::storage::repair::{self, Salvaged};
use crate::storage::{Store, Use};

/// How to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Only whether everything is there, not whether it is what it was.
    pub quick: bool,
    /// Repair what can be.
    pub repair: bool,
    /// With `repair`: what cannot be is removed, images and the containers that need them.
    pub force: bool,
    /// Layers that nothing uses are damage, too, when they are older.
    pub max_age: Option<Duration>,
}

/// Something damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, `layer sha256:…`.
    pub what: String,
    /// In which way.
    pub why: String,
    /// What became of it, with `repair`: how it was healed, or why it was not.
    pub repaired: Option<Result<String, String>>,
}

/// Checks, and repairs where that is asked for.
///
/// # Errors
/// The store cannot be opened and is not to be repaired, or not by us.
pub fn check(ctx: &Context, options: CheckOptions, progress: &dyn Progress) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let store = match open(ctx)? {
        Ok(store) => store,
        Err(why) if !options.repair => {
            findings.push(Finding { what: "database".into(), why, repaired: None });
            return Ok(findings);
        }
        Err(why) => {
            let salvaged = repair::salvage(&ctx.paths)?;
            let repaired = Some(Ok(told(&salvaged)));
            findings.push(Finding { what: "database".into(), why, repaired });
            ctx.store()?
        }
    };
    for damage in store.check(!options.quick)? {
        let repaired = options.repair.then(|| {
            let healed = heal(ctx, &store, &damage, progress);
            if options.force { healed.or_else(|why| remove(ctx, &store, &damage, why)) } else { healed }
        });
        let what = format!("{} {}", damage.kind, damage.key);
        findings.push(Finding { what, why: damage.why, repaired });
    }
    if let Some(age) = options.max_age {
        findings.extend(unused_layers(&store, age, options.repair)?);
    }
    if options.repair {
        findings.extend(missing_images(ctx, &store, progress)?);
    }
    Ok(findings)
}

/// The store, or what is wrong with its database.
fn open(ctx: &Context) -> Result<Result<Store, String>, Error> {
    let tried = Store::open(&ctx.paths).and_then(|store| Ok((store.check_database()?, store)));
    match tried {
        Ok((None, store)) => Ok(Ok(store)),
        Ok((Some(said), _)) => Ok(Err(said)),
        Err(e) if repair::is_broken_database(&e) => {
            Ok(Err(std::error::Error::source(&e).map_or_else(|| e.to_string(), ToString::to_string)))
        }
        Err(e) => Err(e.into()),
    }
}

fn told(s: &Salvaged) -> String {
    let mut text = format!("{} rows copied into a new one; the old one is {}", s.rows, s.kept.display());
    for (what, names) in [
        ("not whole", &s.damaged),
        ("containers taken up again", &s.containers),
        ("volumes taken up again", &s.volumes),
    ] {
        if !names.is_empty() {
            text += &format!("; {what}: {}", names.join(", "));
        }
    }
    text
}

fn heal(ctx: &Context, store: &Store, damage: &Damage, progress: &dyn Progress) -> Result<String, String> {
    let done = match damage.kind {
        Thing::Layer => layer(ctx, store, damage, progress),
        Thing::Image => {
            let id = damage.key.parse::<Digest>().map_err(|e| e.to_string())?;
            store.image(&id).map_err(Error::from).and_then(|image| fetch(ctx, store, &image, progress))
        }
        _ => Err(Error::new(Kind::Unsupported, "only images and their layers can be fetched again")),
    };
    done.map_err(|e| e.chain())
}

/// What is damaged for good goes, with what stands on it. `why` it could not be healed is the answer where it has to stay.
fn remove(ctx: &Context, store: &Store, damage: &Damage, why: String) -> Result<String, String> {
    let done = match damage.kind {
        Thing::Layer => damage.key.parse::<Digest>().map_err(Error::from).and_then(|chain| {
            let users = store.list_images()?.into_iter().filter(|i| i.layers.contains(&chain)).collect();
            let stands = |id: &ContainerId| store.spec(id).is_ok_and(|s| s.root.layers.contains(&chain));
            remove_all(ctx, store, users, &stands)
        }),
        Thing::Image => damage.key.parse::<Digest>().map_err(Error::from).and_then(|id| {
            let image = store.image(&id)?;
            remove_all(ctx, store, vec![image], &|_| false)
        }),
        Thing::Container => damage
            .key
            .parse::<ContainerId>()
            .map_err(Error::from)
            .and_then(|id| remove_all(ctx, store, Vec::new(), &|other| *other == id)),
        _ => return Err(why),
    };
    done.map_err(|e| e.chain())
}

/// Removes images, the containers of these, and those that `stands` names.
fn remove_all(
    ctx: &Context,
    store: &Store,
    images: Vec<Image>,
    stands: &dyn Fn(&ContainerId) -> bool,
) -> Result<String, Error> {
    let mut gone = Vec::new();
    for container in store.list_containers()? {
        let of_image = images.iter().any(|i| container.image_id.as_ref() == Some(&i.id));
        if !of_image && !stands(&container.id) {
            continue;
        }
        let options =
            RemoveOptions { force: true, timeout: Some(0), depend: true, ..RemoveOptions::default() };
        let mut failed = None;
        rm::rm(ctx, &Selection::one(container.id.as_str()), &options, &mut |done| {
            failed = done.result.err();
        })?;
        // Without its spec the usual way is barred: its record is all there is of it.
        if let Some(e) = failed {
            if store.spec(&container.id).is_ok() || store.phase(&container)?.running().is_some() {
                return Err(e);
            }
            rm::remove_record(ctx, store, &container, false)?;
        }
        gone.push(format!("container {}", container.name));
    }
    for image in images {
        images::rmi(ctx, image.id.as_str(), RmiOptions { force: true })?;
        gone.push(format!("image {}", image.id.short()));
    }
    Ok(format!("removed {}", gone.join(", ")))
}

/// Layers that neither an image nor a container needs; a repair is their removal.
fn unused_layers(store: &Store, age: Duration, repair: bool) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for (chain, old) in store.unused_layers()?.into_iter().filter(|(_, old)| *old > age) {
        let repaired = repair.then(|| Ok("removed".to_owned()));
        let why = format!("nothing uses it for {}", human_duration(old));
        findings.push(Finding { what: format!("layer {chain}"), why, repaired });
    }
    if repair && !findings.is_empty() {
        store.sweep()?;
    }
    Ok(findings)
}

/// Sets a layer aside and has it made anew by a pull of an image with it.
fn layer(ctx: &Context, store: &Store, damage: &Damage, progress: &dyn Progress) -> Result<String, Error> {
    let chain: Digest = damage.key.parse()?;
    let users: Vec<Image> = store.list_images()?.into_iter().filter(|i| i.layers.contains(&chain)).collect();
    if users.is_empty() {
        return Err(Error::new(Kind::NotFound, "no image with this layer is known"));
    }
    for container in store.list_containers()? {
        let on_it = store.spec(&container.id).is_ok_and(|s| s.root.layers.contains(&chain));
        if on_it && store.phase(&container)?.running().is_some() {
            let why = format!("container {} runs on it; stop it first", container.name);
            return Err(Error::new(Kind::State, why));
        }
    }
    let aside = store.set_aside_layer(&chain)?;
    let mut last = None;
    for image in &users {
        match fetch(ctx, store, image, progress) {
            Ok(from) => return Ok(from),
            Err(e) => last = Some(e),
        }
    }
    if let Some(aside) = aside {
        aside.back()?;
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::NotFound, "no image with this layer is known")))
}

/// Pulls an image again, by its digests first: they mean exactly this one.
fn fetch(ctx: &Context, store: &Store, image: &Image, progress: &dyn Progress) -> Result<String, Error> {
    let platform = Platform::new(&image.os, &image.architecture, &image.variant).to_string();
    let options = PullOptions { platform: Some(platform), ..PullOptions::default() };
    let mut last = None;
    for name in image.digests.iter().chain(&image.names) {
        match images::pull_again(ctx, store, name, &options, progress) {
            Ok(id) if id == image.id => return Ok(format!("fetched again from {name}")),
            Ok(id) => {
                let why = format!("{name} is another image now ({})", id.short());
                last = Some(Error::new(Kind::Conflict, why));
            }
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| {
        Error::new(Kind::NotFound, format!("image {} has no name it could be fetched by", image.id.short()))
    }))
}

/// Images that containers stand on and that are lost with their rows.
fn missing_images(ctx: &Context, store: &Store, progress: &dyn Progress) -> Result<Vec<Finding>, Error> {
    let mut findings: Vec<Finding> = Vec::new();
    for container in store.list_containers()? {
        let Some(id) = &container.image_id else { continue };
        let what = format!("image {id}");
        let used = !store.containers_using(Use::Image(id)).map_or(true, |u| u.is_empty());
        if store.image(id).is_ok() || findings.iter().any(|f| f.what == what) {
            continue;
        }
        let pulled = images::pull_again(ctx, store, &container.image_name, &PullOptions::default(), progress);
        let repaired = match pulled {
            Ok(found) if found == *id => Ok(format!("fetched again from {}", container.image_name)),
            Ok(_) => Err(format!("{} is another image now", container.image_name)),
            Err(e) => Err(e.chain()),
        };
        let why = if used { "a container uses it and it is not known" } else { "it is not known any more" };
        findings.push(Finding { what, why: why.into(), repaired: Some(repaired) });
    }
    Ok(findings)
}
