//! The documents of a committed image: its parent's config with the container's settings and one more history
//! entry, and an OCI manifest.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::CommitOptions;
use super::changes;
use crate::engine::error::{Error, Kind};
use crate::engine::inspect;
use crate::image::manifest::{self, Form};
use crate::model::container::ContainerSpec;
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::model::mount::MountKind;
use crate::storage::Store;
use crate::storage::images::Document;
use crate::storage::layers::Layer;

/// The form of `-f`.
pub(super) fn form(word: Option<&str>) -> Result<Form, Error> {
    match word {
        None | Some("" | "oci") => Ok(Form::Oci),
        Some("docker") => Ok(Form::Docker),
        Some(other) => {
            Err(Error::new(Kind::Invalid, format!("unknown image format {other:?}: use oci or docker")))
        }
    }
}

/// A stored document of JSON.
pub(crate) fn document(media_type: &str, value: &Value) -> Result<Document, Error> {
    let bytes = serde_json::to_vec(value)
        .map_err(|e| Error::with_source(Kind::Internal, "writing the new image's documents", e))?;
    let digest = Digest::sha256(Sha256::digest(&bytes).into());
    Ok(Document { digest, media_type: media_type.to_owned(), bytes })
}

fn stored(store: &Store, digest: &Digest, what: &str) -> Result<Value, Error> {
    let found = store.document(digest)?.ok_or_else(|| {
        Error::new(
            Kind::Internal,
            format!("the {what} {digest} of the container's image is not in the store"),
        )
    })?;
    serde_json::from_slice(&found.bytes)
        .map_err(|e| Error::with_source(Kind::Internal, format!("the {what} {digest} does not parse"), e))
}

/// The new config, but for the list of layers.
pub(super) fn config(
    store: &Store,
    parent: &Image,
    spec: &ContainerSpec,
    options: &CommitOptions,
) -> Result<Value, Error> {
    let mut config = stored(store, &parent.id, "config")?;
    let now = jiff::Timestamp::now().to_string();
    let mut own = match config.get("config") {
        Some(Value::Object(own)) => own.clone(),
        _ => Map::new(),
    };
    settings(spec, &mut own);
    if options.include_volumes {
        let volumes = spec.mounts.iter().filter(|m| matches!(m.kind, MountKind::Volume | MountKind::Bind));
        let volumes: Map<String, Value> = volumes.map(|m| (m.target.clone(), json!({}))).collect();
        put_over(&mut own, "Volumes", Value::Object(volumes));
    }
    for (key, value) in options.config.iter().flatten() {
        put_over(&mut own, key, value.clone());
    }
    changes::apply_all(&mut own, &options.changes)?;
    config["config"] = Value::Object(own);
    config["created"] = now.clone().into();
    if let Some(author) = &options.author {
        config["author"] = author.clone().into();
    }
    let mut entry = json!({ "created": now, "created_by": spec.process.argv.join(" ") });
    if let Some(author) = &options.author {
        entry["author"] = author.clone().into();
    }
    if let Some(message) = &options.message {
        entry["comment"] = message.clone().into();
        config["comment"] = message.clone().into();
    }
    match config.get_mut("history") {
        // One layer, so one step.
        _ if options.squash => config["history"] = json!([entry]),
        Some(Value::Array(history)) => history.push(entry),
        _ => config["history"] = json!([entry]),
    }
    // What docker's old builder left of its own container is not true of the new image.
    if let Value::Object(all) = &mut config {
        all.remove("container");
        all.remove("container_config");
    }
    Ok(config)
}

/// A value over what was there: maps are joined, everything else is replaced.
fn put_over(own: &mut Map<String, Value>, key: &str, value: Value) {
    match (own.get_mut(key), value) {
        (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
        (_, value) => {
            own.insert(key.to_owned(), value);
        }
    }
}

/// The container's settings over the image's, as docker's commit does.
fn settings(spec: &ContainerSpec, own: &mut Map<String, Value>) {
    let shown = inspect::config(spec);
    for key in ["User", "Env", "Cmd", "Entrypoint", "WorkingDir", "Labels", "ExposedPorts", "Healthcheck"] {
        match shown.get(key) {
            None | Some(Value::Null) => {
                own.remove(key);
            }
            Some(value) => {
                own.insert(key.to_owned(), value.clone());
            }
        }
    }
    if spec.options.lifecycle.stop_signal.is_some() {
        own.insert("StopSignal".to_owned(), shown["StopSignal"].clone());
    }
}

/// The manifest: the parent's layers as they were pulled, and the new one uncompressed (it is compressed when it is
/// pushed).
pub(super) fn manifest(
    store: &Store,
    parent: Option<&Image>,
    config: &Document,
    layer: &Layer,
    form: Form,
) -> Result<Document, Error> {
    let mut layers = parent.map_or(Ok(Vec::new()), |parent| parent_layers(store, parent, form))?;
    layers.push(json!({ "mediaType": form.layer(""), "digest": layer.diff_id, "size": layer.tar_size }));
    let value = json!({
        "schemaVersion": 2,
        "mediaType": form.manifest(),
        "config": { "mediaType": config.media_type, "digest": config.digest, "size": config.bytes.len() },
        "layers": layers,
    });
    document(form.manifest(), &value)
}

fn parent_layers(store: &Store, parent: &Image, form: Form) -> Result<Vec<Value>, Error> {
    let manifest = stored(store, &parent.manifest, "manifest")?;
    let Some(list) = manifest.get("layers").and_then(Value::as_array) else {
        return Err(Error::new(Kind::Internal, format!("the manifest {} has no layers", parent.manifest)));
    };
    let convert = |layer: &Value| {
        let mut layer = layer.clone();
        let media_type = layer.get("mediaType").and_then(Value::as_str).unwrap_or_default();
        // The same bytes by another name; one manifest speaks one language.
        let packing = [manifest::OCI_LAYER, manifest::DOCKER_LAYER]
            .iter()
            .find_map(|kind| media_type.strip_prefix(kind));
        if let Some(packing) = packing {
            layer["mediaType"] = form.layer(packing.trim_start_matches(['+', '.'])).into();
        }
        layer
    };
    Ok(list.iter().map(convert).collect())
}
