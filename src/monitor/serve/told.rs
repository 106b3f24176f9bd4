//! What the journal is told: events of the container, of its networks and of its volumes.

use super::Server;
use crate::model::container::AttachmentState;
use crate::model::event::Event;
use crate::storage::events;

type Attributes = Vec<(String, String)>;

impl Server {
    /// Writes an event of this container to the journal. A journal that cannot be written stops nobody.
    pub(super) fn event(&self, action: &str, more: &[(&str, String)]) {
        self.append(&[self.own_event(action, more)]);
    }

    /// What docker alone tells of this container.
    pub(super) fn dockers_event(&self, action: &str, more: &[(&str, String)]) {
        self.append(&[Event { dockers: true, ..self.own_event(action, more) }]);
    }

    /// A signal that is part of a stop: docker tells of each.
    pub(super) fn tell_signal(&self, signal: i32) {
        self.dockers_event("kill", &[("signal", signal.to_string())]);
    }

    /// The container runs: its networks and volumes are in use.
    pub(super) fn tell_start(&self) {
        let mut all = self.surroundings("connect", "mount");
        all.push(self.own_event(self.keep.began_as, &[]));
        self.append(&all);
    }

    /// The container has ended.
    pub(super) fn tell_end(&self, code: i32, seconds: u64) {
        let more = [("exitCode", code.to_string()), ("execDuration", seconds.to_string())];
        let mut all = vec![self.own_event("die", &more)];
        all.extend(self.surroundings("disconnect", "unmount"));
        self.append(&all);
    }

    fn own_event(&self, action: &str, more: &[(&str, String)]) -> Event {
        let mut attributes: Attributes =
            vec![("image".to_owned(), self.keep.image.clone()), ("name".to_owned(), self.keep.name.clone())];
        attributes.extend(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        attributes.extend(self.keep.labels.iter().cloned());
        Event::now("container", action, self.world.id.as_str(), attributes)
    }

    fn surroundings(&self, network: &str, volume: &str) -> Vec<Event> {
        let container = || ("container".to_owned(), self.world.id.as_str().to_owned());
        let connected = |state: &AttachmentState| {
            let kind = ("type".to_owned(), "bridge".to_owned());
            let attributes = vec![container(), ("name".to_owned(), state.network.clone()), kind];
            Event::now("network", network, &state.network_id, attributes)
        };
        let mounted = |(name, target, writable): &(String, String, bool)| {
            let mut attributes = vec![container(), ("driver".to_owned(), "local".to_owned())];
            if volume == "mount" {
                attributes.push(("destination".to_owned(), target.clone()));
                attributes.push(("propagation".to_owned(), String::new()));
                attributes.push(("read/write".to_owned(), writable.to_string()));
            }
            Event::now("volume", volume, name, attributes)
        };
        let networks = self.running.network.iter().map(connected);
        let all = networks.chain(self.keep.volumes.iter().map(mounted));
        all.map(|event| Event { dockers: true, ..event }).collect()
    }

    fn append(&self, all: &[Event]) {
        if self.keep.no_events {
            return;
        }
        if let Err(e) = events::append_all(&self.world.paths, all) {
            self.note(&format!("writing events: {e}"));
        }
    }
}
