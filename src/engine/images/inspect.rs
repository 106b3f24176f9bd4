//! `image inspect`: docker's JSON shape with podman's additions (`Digest`, `Labels`, `ManifestType`, `History`, …).

use serde_json::{Map, Value, json};

use super::{Context, Error, familiar, find};
use crate::image::{config, manifest};
use crate::model::digest::Digest;
use crate::model::image::Image;
use crate::storage::Store;

/// The document of an image.
///
/// # Errors
/// No such image, or one whose documents are damaged.
pub fn inspect(ctx: &Context, name: &str) -> Result<Value, Error> {
    let store = ctx.store()?;
    let image = find(ctx, &store, name)?;
    document(ctx, &store, &image)
}

fn document(ctx: &Context, store: &Store, image: &Image) -> Result<Value, Error> {
    let raw: Value = match store.document(&image.id)? {
        Some(d) => serde_json::from_slice(&d.bytes).unwrap_or_default(),
        None => Value::Null,
    };
    let manifest = store.document(&image.manifest)?;
    let history = match store.document(&image.id)? {
        Some(d) => config::parse(&d.bytes, &format!("image config {}", image.id))?.history,
        None => Vec::new(),
    };
    let history: Vec<Value> = history
        .iter()
        .map(|h| {
            let mut entry = Map::new();
            if let Some(t) = h.created {
                entry.insert("created".into(), json!(t.to_string()));
            }
            for (key, text) in [("created_by", &h.created_by), ("author", &h.author), ("comment", &h.comment)]
            {
                if !text.is_empty() {
                    entry.insert(key.into(), json!(text));
                }
            }
            if h.empty_layer {
                entry.insert("empty_layer".into(), json!(true));
            }
            Value::Object(entry)
        })
        .collect();
    let labels = labels(image);
    let digest = image.digests.first().and_then(|d| d.rsplit_once('@')).map_or("", |(_, d)| d);
    let digest = if digest.is_empty() { image.manifest.as_str() } else { digest };
    let media_type = manifest.as_ref().map_or(manifest::OCI_MANIFEST, |m| m.media_type.as_str());
    let id = if ctx.podman { image.id.hex() } else { image.id.as_str() };
    let mut all = json!({
        "Id": id,
        "Digest": digest,
        "RepoTags": image.names.iter().map(|n| familiar(ctx, n)).collect::<Vec<_>>(),
        "RepoDigests": repo_digests(ctx, image),
        "Parent": "",
        "Comment": image.comment,
        "Created": image.created.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string()),
        "DockerVersion": raw.get("docker_version").and_then(Value::as_str).unwrap_or(""),
        "Author": image.author,
        "Config": config_of(image),
        "Version": raw.get("docker_version").and_then(Value::as_str).unwrap_or(""),
        "Architecture": image.architecture,
        "Variant": image.variant,
        "Os": image.os,
        "Size": image.size,
        "VirtualSize": image.size,
        "GraphDriver": { "Name": "overlay", "Data": graph(store, image) },
        "RootFS": { "Type": "layers", "Layers": image.diff_ids },
        "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
        "Labels": labels,
        "Annotations": annotations(manifest.as_ref().map(|m| m.bytes.as_slice())),
        "ManifestType": media_type,
        "User": image.config.user,
        "History": history,
        "NamesHistory": image.names,
    });
    // podman has it beside the config, too.
    if ctx.podman && !all["Config"]["Healthcheck"].is_null() {
        all["Healthcheck"] = all["Config"]["Healthcheck"].clone();
    }
    Ok(all)
}

fn labels(image: &Image) -> Value {
    if image.config.labels.is_empty() {
        return Value::Null;
    }
    Value::Object(image.config.labels.iter().map(|(k, v)| (k.clone(), json!(v))).collect())
}

fn annotations(manifest: Option<&[u8]>) -> Value {
    manifest
        .and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
        .and_then(|v| v.get("annotations").cloned())
        .unwrap_or_else(|| json!({}))
}

/// docker's `Config`: what the image says, absent keys left out as docker's newer releases do.
fn config_of(image: &Image) -> Value {
    let c = &image.config;
    let mut out = Map::new();
    let mut text = |key: &str, value: &str| {
        if !value.is_empty() {
            out.insert(key.to_owned(), json!(value));
        }
    };
    text("User", &c.user);
    text("WorkingDir", &c.working_dir);
    text("StopSignal", &c.stop_signal);
    for (key, list) in [
        ("Env", &c.env),
        ("Cmd", &c.cmd),
        ("Entrypoint", &c.entrypoint),
        ("Shell", &c.shell),
        ("OnBuild", &c.on_build),
    ] {
        if !list.is_empty() {
            out.insert(key.to_owned(), json!(list));
        }
    }
    for (key, list) in [("ExposedPorts", &c.exposed_ports), ("Volumes", &c.volumes)] {
        if !list.is_empty() {
            let set: Map<String, Value> = list.iter().map(|k| (k.clone(), json!({}))).collect();
            out.insert(key.to_owned(), Value::Object(set));
        }
    }
    if !c.labels.is_empty() {
        out.insert("Labels".to_owned(), labels(image));
    }
    if let Some(h) = &c.healthcheck {
        let mut check = Map::new();
        check.insert("Test".to_owned(), json!(h.test));
        for (key, n) in [
            ("Interval", h.interval),
            ("Timeout", h.timeout),
            ("StartPeriod", h.start_period),
            ("StartInterval", h.start_interval),
            ("Retries", u64::from(h.retries)),
        ] {
            if n != 0 {
                check.insert(key.to_owned(), json!(n));
            }
        }
        out.insert("Healthcheck".to_owned(), Value::Object(check));
    }
    Value::Object(out)
}

/// docker's overlay2 words: the topmost layer is "upper", the rest "lower".
fn graph(store: &Store, image: &Image) -> Value {
    let path = |chain: &Digest| store.paths().layer_diff(chain).display().to_string();
    let mut stack: Vec<String> = image.layers.iter().rev().map(path).collect();
    if stack.is_empty() {
        return json!({});
    }
    let upper = stack.remove(0);
    let mut data = Map::new();
    if !stack.is_empty() {
        data.insert("LowerDir".to_owned(), json!(stack.join(":")));
    }
    data.insert("UpperDir".to_owned(), json!(upper));
    Value::Object(data)
}

/// Names by digest. Podman has them for an image that came from no registry too.
fn repo_digests(ctx: &Context, image: &Image) -> Vec<String> {
    if !ctx.podman || !image.digests.is_empty() {
        return image.digests.iter().map(|n| familiar(ctx, n)).collect();
    }
    let mut all: Vec<String> = Vec::new();
    for name in image.names.iter().map(|n| familiar(ctx, n)) {
        let repository =
            name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(&*name, |(r, _)| r);
        let by_digest = format!("{repository}@{}", image.manifest);
        if !all.contains(&by_digest) {
            all.push(by_digest);
        }
    }
    all
}
