//! Writing events: what the engine itself did (create, start failures, kill, rename, destroy); the monitor
//! writes what it sees (start, die, oom, health, exec).

use super::context::Context;
use crate::model::event::Event;
use crate::model::image::Image;
use crate::storage::container_rows::Summary;

/// Notes that something happened to a container. A journal that cannot be written is no reason to fail a
/// verb that has done its work.
pub(crate) fn container(ctx: &Context, action: &str, row: &Summary, extra: &[(&str, String)]) {
    append(ctx, &of_container(action, row, extra));
}

/// The same, of what docker alone tells.
pub(crate) fn dockers_container(ctx: &Context, action: &str, row: &Summary, extra: &[(&str, String)]) {
    append(ctx, &Event { dockers: true, ..of_container(action, row, extra) });
}

fn of_container(action: &str, row: &Summary, extra: &[(&str, String)]) -> Event {
    let mut attributes =
        vec![("image".to_owned(), row.image_name.clone()), ("name".to_owned(), row.name.clone())];
    attributes.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    attributes.extend(row.labels.iter().cloned());
    Event::now("container", action, row.id.as_str(), attributes)
}

/// Notes that unused things of a kind were removed, which docker tells of once more as a whole.
pub(crate) fn pruned(ctx: &Context, kind: &str, reclaimed: u64) {
    let attributes = vec![("reclaimed".to_owned(), reclaimed.to_string())];
    append(ctx, &Event { dockers: true, ..Event::now(kind, "prune", "", attributes) });
}

/// Notes that a container was made; with all that is known of it, where containers.conf asks for that.
pub(crate) fn created(ctx: &Context, row: &Summary) {
    if !ctx.config.engine.events_inspect_data {
        return container(ctx, "create", row, &[]);
    }
    let inspect = super::inspect::container(ctx, row.id.as_str(), true).ok().map(|all| all.to_string());
    append(ctx, &Event { inspect, ..of_container("create", row, &[]) });
}

/// Notes that something happened to a volume.
pub(crate) fn volume(ctx: &Context, action: &str, name: &str) {
    note(ctx, "volume", action, name, vec![("driver".to_owned(), "local".to_owned())]);
}

/// Notes that something happened to a secret.
pub(crate) fn secret(ctx: &Context, action: &str, id: &str, name: &str) {
    note(ctx, "secret", action, id, vec![("name".to_owned(), name.to_owned())]);
}

/// Notes that something happened to an image that has only its id.
pub(crate) fn image(ctx: &Context, action: &str, id: &str, labels: &[(String, String)]) {
    named_image(ctx, action, id, id, labels);
}

/// Notes that an image came from, or went to, where it is called by a reference.
pub(crate) fn moved_image(ctx: &Context, action: &str, reference: &str, image: &Image) {
    let mut attributes = vec![("name".to_owned(), reference.to_owned())];
    attributes.extend(image.config.labels.iter().cloned());
    let event = Event::now("image", action, reference, attributes);
    append(ctx, &Event { image: image.id.to_string(), ..event });
}

/// Notes that an image got or lost a name.
pub(crate) fn named_image(ctx: &Context, action: &str, id: &str, name: &str, labels: &[(String, String)]) {
    let mut attributes = vec![("name".to_owned(), name.to_owned())];
    attributes.extend(labels.iter().cloned());
    note(ctx, "image", action, id, attributes);
}

/// Notes that something happened to a network.
pub(crate) fn network(
    ctx: &Context,
    action: &str,
    network: &crate::model::network::Network,
    extra: &[(&str, String)],
) {
    let mut attributes =
        vec![("name".to_owned(), network.name.clone()), ("type".to_owned(), network.driver.clone())];
    attributes.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
    note(ctx, "network", action, &network.id, attributes);
}

fn note(ctx: &Context, kind: &str, action: &str, id: &str, attributes: Vec<(String, String)>) {
    append(ctx, &Event::now(kind, action, id, attributes));
}

fn append(ctx: &Context, event: &Event) {
    if ctx.config.engine.no_events {
        return;
    }
    if let Err(e) = crate::storage::events::append(&ctx.paths, event) {
        tracing::warn!(error = %e, "the event journal cannot be written");
    }
}
