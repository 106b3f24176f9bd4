//! The event journal: `<run>/events.log`, one JSON document per line, bounded by rotation to one older file.
//!
//! A file on tmpfs and not a table: the monitor writes events without opening the database, and an event costs
//! one short append.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Error, Result};
use super::file::to_json;
use super::logs::{wait_readable, watch_folder};
use super::paths::{Paths, ensure_private};
use crate::model::event::Event;

/// Size at which the journal is moved aside; with the older file some 10,000 events are kept.
const MAX_SIZE: u64 = 2 << 20;

/// Appends an event.
///
/// # Errors
/// What the kernel says.
pub fn append(paths: &Paths, event: &Event) -> Result<()> {
    append_all(paths, std::slice::from_ref(event))
}

/// Appends events that belong together.
///
/// # Errors
/// What the kernel says.
pub fn append_all(paths: &Paths, all: &[Event]) -> Result<()> {
    let path = paths.events();
    let mut line = Vec::new();
    for event in all {
        line.extend(to_json(&path, event)?);
        line.push(b'\n');
    }
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let mut file = match open() {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            ensure_private(&paths.run)?;
            open().map_err(|e| Error::io("open", &path, e))?
        }
        Err(e) => return Err(Error::io("open", &path, e)),
    };
    // O_APPEND and one write: lines of several writers do not mix.
    file.write_all(&line).map_err(|e| Error::io("write", &path, e))?;
    let size = file.metadata().map_err(|e| Error::io("look at", &path, e))?.len();
    if size > MAX_SIZE {
        rotate(&path, &file)?;
    }
    Ok(())
}

/// Moves the journal aside, unless another process has just done so.
fn rotate(path: &Path, file: &File) -> Result<()> {
    // The lock dies with the descriptor; whoever comes second finds another inode under the name.
    rustix::fs::flock(file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|e| Error::io("lock", path, e))?;
    let mine = file.metadata().map_err(|e| Error::io("look at", path, e))?.ino();
    if std::fs::metadata(path).is_ok_and(|m| m.ino() == mine) {
        std::fs::rename(path, older(path)).map_err(|e| Error::io("rotate", path, e))?;
    }
    Ok(())
}

fn older(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

/// Which events are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// From this time on.
    pub since: Option<jiff::Timestamp>,
    /// Until this time; a follower ends there.
    pub until: Option<jiff::Timestamp>,
    /// `key=value` filters as docker's: values of one key are alternatives, keys are all required. Keys:
    /// `container`, `image`, `volume`, `network`, `event`, `type`, `label`, `id`.
    pub terms: Vec<(String, String)>,
    /// Without what docker alone tells.
    pub podman: bool,
}

impl Filter {
    /// Whether the event is wanted.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        if self.since.is_some_and(|since| event.time < since)
            || self.until.is_some_and(|until| event.time > until)
            || self.podman && event.dockers
        {
            return false;
        }
        self.terms.iter().all(|(key, _)| {
            let mut alternatives = self.terms.iter().filter(|(k, _)| k == key);
            // All labels must fit, as docker's; of other keys one value.
            if key == "label" {
                alternatives.all(|(_, value)| label_fits(event, value))
            } else {
                alternatives.any(|(_, value)| fits(event, key, value))
            }
        })
    }
}

fn attribute<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
}

fn fits(event: &Event, key: &str, value: &str) -> bool {
    // `exec_create: sh` is filtered by `exec_create`.
    let action = event.action.split(':').next().unwrap_or(&event.action);
    match key {
        "event" => event.action == value || action == value,
        "type" => event.kind == value,
        "id" => event.id.starts_with(value),
        "container" | "volume" | "network" | "image" => {
            let own = event.kind == key
                && (event.id.starts_with(value)
                    || attribute(event, "name").is_some_and(|n| n == value || image_fits(n, value))
                    || image_fits(&event.id, value));
            // Networks and volumes tell of their containers, but are no events of these.
            own || (key == "image"
                && attribute(event, key).is_some_and(|a| a == value || image_fits(a, value)))
        }
        _ => false,
    }
}

/// `nginx` fits `nginx:latest` and `docker.io/library/nginx:latest`.
fn image_fits(name: &str, wanted: &str) -> bool {
    let without_tag = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(n, _)| n);
    [name, without_tag].iter().any(|n| *n == wanted || n.ends_with(&format!("/{wanted}")))
}

fn label_fits(event: &Event, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => attribute(event, name) == Some(value),
        None => attribute(event, wanted).is_some(),
    }
}

/// Reads the journal, and follows it across rotation.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    filter: Filter,
    file: Option<File>,
    inode: u64,
    /// Bytes read and not yet taken.
    buffer: Vec<u8>,
    watch: Option<OwnedFd>,
}

impl Follower {
    /// Starts at the oldest event kept; with `from_end`, at the end.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(paths: &Paths, filter: Filter, from_end: bool) -> Result<Self> {
        let path = paths.events();
        let mut follower = Self { path, filter, file: None, inode: 0, buffer: Vec::new(), watch: None };
        if from_end {
            follower.enter(&follower.path.clone())?;
            if let Some(file) = &mut follower.file {
                file.seek(SeekFrom::End(0)).map_err(|e| Error::io("seek in", &follower.path, e))?;
            }
        } else {
            follower.enter(&older(&follower.path))?;
        }
        Ok(follower)
    }

    /// The next wanted event that is there already.
    ///
    /// # Errors
    /// What the kernel says.
    #[expect(clippy::should_implement_trait, reason = "None is not the end: a follower asks again")]
    pub fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=at).collect();
                // A line that does not parse was torn by a full disk: there is nothing to tell of it.
                if let Ok(event) = serde_json::from_slice::<Event>(&line)
                    && self.filter.wants(&event)
                {
                    return Ok(Some(event));
                }
            } else if !self.fill()? && !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Waits until there may be more, at most `timeout`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        let Some(watch) = &self.watch else {
            // What is written between the last look and the watch would be missed: look again first.
            if let Some(folder) = self.path.parent() {
                ensure_private(folder)?;
            }
            self.watch = Some(watch_folder(&self.path)?);
            return Ok(());
        };
        if wait_readable(watch, timeout).map_err(|e| Error::io("wait for", &self.path, e))? {
            let mut events = [0u8; 4096];
            // Only the fact counts, not what the events say.
            let _ = rustix::io::read(watch, &mut events);
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let mut block = [0u8; 16384];
        let n = file.read(&mut block).map_err(|e| Error::io("read", &self.path, e))?;
        self.buffer.extend_from_slice(&block[..n]);
        Ok(n > 0)
    }

    /// Goes on with the current file when the present one was moved aside or there was none.
    fn advance(&mut self) -> Result<bool> {
        let Ok(current) = std::fs::metadata(&self.path) else { return Ok(false) };
        if self.file.is_some() && current.ino() == self.inode {
            return Ok(false);
        }
        // What was appended to the old file between our last read and its rotation.
        if self.fill()? {
            return Ok(true);
        }
        self.enter(&self.path.clone())?;
        Ok(self.file.is_some())
    }

    fn enter(&mut self, path: &Path) -> Result<()> {
        match File::open(path) {
            Ok(file) => {
                self.inode = file.metadata().map_err(|e| Error::io("look at", path, e))?.ino();
                self.file = Some(file);
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io("open", path, e)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::scratch;
    use super::*;

    fn event(n: u32, action: &str) -> Event {
        Event {
            time: jiff::Timestamp::from_second(i64::from(n)).expect("in range"),
            kind: "container".to_owned(),
            action: action.to_owned(),
            id: format!("{n:064x}"),
            inspect: None,
            image: String::new(),
            dockers: false,
            attributes: vec![
                ("name".to_owned(), format!("c{n}")),
                ("image".to_owned(), "docker.io/library/nginx:latest".to_owned()),
                ("tier".to_owned(), "web".to_owned()),
            ],
        }
    }

    fn filter(terms: &[(&str, &str)]) -> Filter {
        let terms = terms.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Filter { terms, ..Filter::default() }
    }

    #[test]
    fn terms_are_docker_s() {
        let e = event(7, "start");
        for (terms, wanted) in [
            (&[("event", "start")][..], true),
            (&[("event", "stop"), ("event", "start")], true),
            (&[("event", "start"), ("type", "image")], false),
            (&[("container", "c7")], true),
            (&[("container", "c8")], false),
            (&[("image", "nginx")], true),
            (&[("image", "nginx:latest")], true),
            (&[("image", "inx")], false),
            (&[("label", "tier")], true),
            (&[("label", "tier=web"), ("label", "other")], false),
            (&[("no-such-key", "x")], false),
        ] {
            assert_eq!(filter(terms).wants(&e), wanted, "{terms:?}");
        }
        assert!(filter(&[("event", "exec_start")]).wants(&event(1, "exec_start: sh -c true")));
    }

    #[test]
    fn a_follower_reads_on_across_rotation() {
        let dir = scratch("events");
        let paths = dir.paths();
        append(&paths, &event(1, "create")).expect("appends");
        let mut f = Follower::open(&paths, Filter::default(), false).expect("opens");
        assert_eq!(f.next().expect("reads").map(|e| e.action), Some("create".to_owned()));
        assert_eq!(f.next().expect("reads"), None);
        std::fs::rename(paths.events(), older(&paths.events())).expect("rotates");
        append(&paths, &event(2, "start")).expect("appends");
        assert_eq!(f.next().expect("reads").map(|e| e.action), Some("start".to_owned()));
        let mut all = Follower::open(&paths, filter(&[("event", "create")]), false).expect("opens");
        assert_eq!(all.next().expect("reads").map(|e| e.id), Some(event(1, "").id));
        assert_eq!(all.next().expect("reads"), None);
        let mut late = Follower::open(&paths, Filter::default(), true).expect("opens");
        assert_eq!(late.next().expect("reads"), None);
        append(&paths, &event(3, "die")).expect("appends");
        assert_eq!(late.next().expect("reads").map(|e| e.action), Some("die".to_owned()));
    }

    #[test]
    fn the_journal_is_bounded() {
        let dir = scratch("eventsbound");
        let paths = dir.paths();
        let mut e = event(1, "start");
        e.attributes.push(("padding".to_owned(), "x".repeat(100_000)));
        for _ in 0..60 {
            append(&paths, &e).expect("appends");
        }
        let total: u64 = [paths.events(), older(&paths.events())]
            .iter()
            .map(|p| p.metadata().map_or(0, |m| m.len()))
            .sum();
        assert!(total < 2 * MAX_SIZE + 400_000, "{total}");
    }
}
