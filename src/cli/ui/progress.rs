//! The progress of a pull or push on stderr: one line per layer and a total, drawn anew on a terminal; docker's
//! plain lines in a pipe; nothing with `-q`.
//!
//! Events come from several threads. A terminal is drawn at most every [`PAUSE`], the last state always.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::exit::Manner;
use crate::engine::Progress;
use crate::engine::progress::LayerState;
use crate::model::digest::Digest;
use crate::model::reference::ImageRef;
use crate::model::units::human_size_fine;

/// Least time between two drawings.
const PAUSE: Duration = Duration::from_millis(80);

/// Shows a transfer.
pub struct PullProgress {
    quiet: bool,
    terminal: bool,
    podman: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    layers: Vec<Layer>,
    drawn: usize,
    last: Option<Instant>,
    started: Option<Instant>,
    /// The reference of the last "Pulling from".
    tried: Option<ImageRef>,
    /// docker's last lines, for the end.
    end: Vec<String>,
}

struct Layer {
    id: String,
    size: u64,
    state: LayerState,
}

impl PullProgress {
    /// A listener that says nothing if `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|t| t == "dumb");
        Self {
            quiet,
            terminal: std::io::stderr().is_terminal() && !dumb,
            podman: false,
            state: Mutex::new(State::default()),
        }
    }

    /// In podman's words, if the program is called so.
    #[must_use]
    pub fn speaking(self, manner: Manner) -> Self {
        Self { podman: manner == Manner::Podman, ..self }
    }

    /// Draws the last state and leaves the cursor below it. Says whether a pull has told its end.
    pub fn finish(&self) -> bool {
        let mut state = self.lock();
        if self.terminal && !self.quiet && state.drawn > 0 {
            draw(&mut state);
        }
        state.layers.clear();
        state.drawn = 0;
        let end = std::mem::take(&mut state.end);
        for line in end.iter().filter(|_| !self.quiet) {
            let _gone = writeln!(std::io::stderr(), "{line}");
        }
        !end.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while drawing spoils a picture, nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line above the layers.
    fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        let mut state = self.lock();
        erase(&mut state);
        let _gone = writeln!(std::io::stderr(), "{line}");
        if self.terminal && !state.layers.is_empty() {
            draw(&mut state);
        }
    }
}

impl Progress for PullProgress {
    fn missing(&self, name: &str) {
        if self.podman {
            return;
        }
        self.say(&format!("Unable to find image '{name}' locally"));
    }

    fn trying(&self, reference: &ImageRef, _location: &str) {
        // Mirrors are of interest only where they fail, and then a warning names them.
        if self.lock().tried.replace(reference.clone()).as_ref() == Some(reference) {
            return;
        }
        if self.podman {
            self.say(&format!("Trying to pull {reference}..."));
            return;
        }
        let shown = reference.tag.as_deref().map_or_else(
            || reference.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
            str::to_owned,
        );
        self.say(&format!("{shown}: Pulling from {}", reference.repository));
    }

    fn opened(&self) {
        if self.podman {
            self.say("Getting image source signatures");
        }
    }

    fn config(&self, id: &Digest) {
        if self.podman {
            self.say(&format!("Copying config {id}"));
            self.lock().end = vec!["Writing manifest to image destination".to_owned()];
        }
    }

    fn done(&self, reference: &ImageRef, digest: &Digest, up_to_date: bool) {
        let what = if up_to_date { "Image is up to date" } else { "Downloaded newer image" };
        if self.podman {
            return;
        }
        let lines = [format!("Digest: {digest}"), format!("Status: {what} for {}", reference.familiar())];
        self.lock().end = lines.into();
    }

    fn layers(&self, _reference: &ImageRef, layers: &[(Digest, u64)]) {
        if self.podman {
            self.say("Getting image source signatures");
        }
        let mut state = self.lock();
        state.started = Some(Instant::now());
        let made = layers.iter().map(|(digest, size)| Layer {
            id: short(digest),
            size: *size,
            state: LayerState::Pending,
        });
        state.layers = made.collect();
        if self.terminal && !self.quiet {
            draw(&mut state);
        }
    }

    fn layer(&self, digest: &Digest, new: LayerState) {
        let id = short(digest);
        let mut state = self.lock();
        let was = match state.layers.iter_mut().find(|l| l.id == id) {
            Some(layer) => std::mem::replace(&mut layer.state, new.clone()),
            None => {
                state.layers.push(Layer { id: id.clone(), size: 0, state: new.clone() });
                LayerState::Pending
            }
        };
        if self.quiet {
            return;
        }
        let changed = std::mem::discriminant(&was) != std::mem::discriminant(&new);
        if self.terminal {
            let due = state.last.is_none_or(|at| at.elapsed() >= PAUSE);
            if changed || due {
                draw(&mut state);
            }
        } else if self.podman {
            let done = matches!(
                new,
                LayerState::Complete | LayerState::Exists | LayerState::Pushed | LayerState::Mounted { .. }
            );
            if changed && done {
                let _gone = writeln!(std::io::stderr(), "Copying blob {digest}");
            }
        } else if changed && let Some(word) = plain_word(&new) {
            let _gone = writeln!(std::io::stderr(), "{id}: {word}");
        }
    }

    fn warning(&self, message: &str) {
        self.say(&format!("WARNING: {message}"));
    }
}

/// The first twelve digits, as docker names layers.
fn short(digest: &Digest) -> String {
    let text = digest.to_string();
    let hex = text.split_once(':').map_or(text.as_str(), |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex).to_owned()
}

/// What a pipe is told: docker's words, and only where something is decided.
fn plain_word(state: &LayerState) -> Option<String> {
    Some(match state {
        LayerState::Pending => "Pulling fs layer".to_owned(),
        LayerState::WaitingForOther => "Waiting for another process that pulls it".to_owned(),
        LayerState::Retrying { after, reason } => {
            format!("Retrying in {} seconds: {reason}", after.as_secs().max(1))
        }
        LayerState::Downloaded => "Download complete".to_owned(),
        LayerState::Complete => "Pull complete".to_owned(),
        LayerState::Exists => "Already exists".to_owned(),
        LayerState::Pushed => "Pushed".to_owned(),
        LayerState::Mounted { from } => format!("Mounted from {from}"),
        _ => return None,
    })
}

fn word(state: &LayerState) -> String {
    match state {
        LayerState::Pending => "Waiting".to_owned(),
        LayerState::Downloading { .. } => "Downloading".to_owned(),
        LayerState::Uploading { .. } => "Pushing".to_owned(),
        LayerState::Downloaded => "Extracting".to_owned(),
        other => plain_word(other).unwrap_or_default(),
    }
}

/// Bytes so far and in all.
fn bytes(layer: &Layer) -> (u64, u64) {
    match layer.state {
        LayerState::Downloading { current, total } | LayerState::Uploading { current, total } => {
            (current, total.max(layer.size))
        }
        LayerState::Downloaded | LayerState::Complete | LayerState::Pushed => (layer.size, layer.size),
        LayerState::Exists | LayerState::Mounted { .. } => (0, 0),
        _ => (0, layer.size),
    }
}

/// Takes the drawing off the terminal.
fn erase(state: &mut State) {
    if state.drawn > 0 {
        let _gone = write!(std::io::stderr(), "\x1b[{}A\r\x1b[J", state.drawn);
        state.drawn = 0;
    }
}

fn draw(state: &mut State) {
    let (columns, rows) = terminal_size();
    let picture = picture(state, columns, rows);
    let mut out = String::new();
    if state.drawn > 0 {
        let _ = write!(out, "\x1b[{}A\r", state.drawn);
    }
    for line in &picture {
        let _ = writeln!(out, "\x1b[2K{line}");
    }
    // A shorter picture leaves no old lines behind.
    out.push_str("\x1b[J");
    let _gone = std::io::stderr().write_all(out.as_bytes());
    state.drawn = picture.len();
    state.last = Some(Instant::now());
}

/// The lines: layers (those that are busy, if all have no room), then the total.
fn picture(state: &State, columns: usize, rows: usize) -> Vec<String> {
    let room = rows.saturating_sub(2).max(1);
    let finished = |l: &&Layer| {
        matches!(
            l.state,
            LayerState::Complete | LayerState::Exists | LayerState::Pushed | LayerState::Mounted { .. }
        )
    };
    let mut shown: Vec<&Layer> = state.layers.iter().collect();
    if shown.len() > room {
        shown.retain(|l| !finished(l));
        shown.truncate(room);
    }
    let mut lines: Vec<String> = shown.into_iter().map(|l| layer_line(l, columns)).collect();
    let (done, total) = state.layers.iter().map(bytes).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    if total > 0 {
        let ready = state.layers.iter().filter(finished).count();
        let seconds = state.started.map_or(0.0, |at| at.elapsed().as_secs_f64());
        let speed = if seconds > 0.2 { (done as f64 / seconds) as u64 } else { 0 };
        let line = format!(
            "{ready}/{} layers  {}/{}  {}/s",
            state.layers.len(),
            human_size_fine(done),
            human_size_fine(total),
            human_size_fine(speed)
        );
        lines.push(cut(line, columns));
    }
    lines
}

fn layer_line(layer: &Layer, columns: usize) -> String {
    let word = word(&layer.state);
    let mut line = format!("{}: {word}", layer.id);
    let busy = matches!(layer.state, LayerState::Downloading { .. } | LayerState::Uploading { .. });
    let (done, total) = bytes(layer);
    if busy && total > 0 {
        let numbers = format!("{}/{}", human_size_fine(done), human_size_fine(total));
        // 3 for the brackets and a space; a bar narrower than 10 says nothing.
        let width = columns.saturating_sub(line.len() + numbers.len() + 5).min(50);
        if width >= 10 {
            let share =
                usize::try_from(done.saturating_mul(width as u64) / total).unwrap_or(width).min(width);
            let head = if share < width { ">" } else { "" };
            let _ = write!(line, " [{}{head}{}]", "=".repeat(share), " ".repeat(width - share - head.len()));
        }
        let _ = write!(line, " {numbers}");
    }
    cut(line, columns)
}

fn cut(line: String, columns: usize) -> String {
    if line.chars().count() < columns { line } else { line.chars().take(columns.saturating_sub(1)).collect() }
}

fn terminal_size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(std::io::stderr()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (80, 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(layers: Vec<(&str, u64, LayerState)>) -> State {
        let layers =
            layers.into_iter().map(|(id, size, state)| Layer { id: id.to_owned(), size, state }).collect();
        State { layers, ..State::default() }
    }

    #[test]
    fn one_line_per_layer_and_a_total() {
        let s = state(vec![
            ("aaaaaaaaaaaa", 1000, LayerState::Complete),
            ("bbbbbbbbbbbb", 1000, LayerState::Downloading { current: 500, total: 1000 }),
        ]);
        let lines = picture(&s, 60, 24);
        assert_eq!(lines[0], "aaaaaaaaaaaa: Pull complete");
        assert_eq!(lines[1], "bbbbbbbbbbbb: Downloading [===========>          ] 500B/1kB");
        assert_eq!(lines[2], "1/2 layers  1.5kB/2kB  0B/s");
        assert!(lines.iter().all(|l| l.chars().count() < 60));
    }

    #[test]
    fn a_low_terminal_shows_the_busy_ones() {
        let layers = (0..10)
            .map(|n| ("x", 10, if n < 8 { LayerState::Complete } else { LayerState::Downloaded }))
            .collect();
        let lines = picture(&state(layers), 80, 6);
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], "x: Extracting");
    }
}
