//! The part of the document that a monitor keeps in memory. What it needs later it reads again.

use crate::model::digest::Digest;
use crate::model::mount::MountKind;
use crate::monitor::proto::Handoff;

/// What is remembered of the container's document while it runs; the document itself is let go.
#[derive(Debug)]
pub(in crate::monitor) struct Keep {
    pub(in crate::monitor) name: String,
    pub(in crate::monitor) image: String,
    pub(in crate::monitor) labels: Vec<(String, String)>,
    pub(in crate::monitor) no_events: bool,
    pub(in crate::monitor) tty: bool,
    /// Standard input is closed when the client that started the container closes its own.
    pub(in crate::monitor) stdin_once: bool,
    pub(in crate::monitor) stop_signal: i32,
    pub(in crate::monitor) stop_timeout: i64,
    pub(in crate::monitor) timeout: u64,
    pub(in crate::monitor) auto_remove: bool,
    pub(in crate::monitor) anonymous: Vec<String>,
    /// Its volumes: name, target, and whether it may write there.
    pub(in crate::monitor) volumes: Vec<(String, String, bool)>,
    /// `--rmi`: the image goes with the container, unless others use it.
    pub(in crate::monitor) remove_image: Option<Digest>,
    pub(in crate::monitor) on_unhealthy: crate::model::lifecycle::HealthAction,
    /// Who started it deletes the record.
    pub(in crate::monitor) recorder: bool,
    /// The event of its beginning: `start` or `restore`.
    pub(in crate::monitor) began_as: &'static str,
}

impl Keep {
    pub(in crate::monitor) fn of(handoff: &Handoff) -> Self {
        let spec = &handoff.spec;
        let life = &spec.lifecycle;
        let named = spec.mounts.iter().filter(|m| m.kind == MountKind::Volume);
        let named = named.filter_map(|m| Some((m.name.clone()?, m)));
        let once = spec.process.interactive && handoff.attach.is_some_and(|a| a.stdin);
        Self {
            name: spec.name.clone(),
            image: match &spec.root.directory {
                Some(directory) if spec.root.image_name.is_empty() => directory.clone(),
                _ => spec.root.image_name.clone(),
            },
            labels: spec.labels.clone(),
            no_events: life.no_events,
            tty: spec.process.tty,
            stdin_once: once,
            stop_signal: life.stop_signal,
            stop_timeout: life.stop_timeout,
            timeout: life.timeout,
            auto_remove: life.auto_remove,
            anonymous: spec.mounts.iter().filter(|m| m.anonymous).filter_map(|m| m.name.clone()).collect(),
            volumes: named.map(|(name, m)| (name, m.target.clone(), !m.read_only)).collect(),
            remove_image: spec.root.image_id.clone().filter(|_| life.remove_image),
            on_unhealthy: life.health_on_failure,
            recorder: handoff.recorder && life.auto_remove,
            began_as: match &handoff.restore {
                Some(restore) if !restore.as_start => "restore",
                _ => "start",
            },
        }
    }
}
