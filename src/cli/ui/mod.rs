//! Everything that reaches a terminal: results on stdout, the rest on stderr.
//!
//! [`Ui`] is the only place of the program that prints. A reader that goes away (`rcon ps | head`) is no
//! error: output is dropped silently and long commands ask [`Ui::closed`].

pub mod listing;
pub mod ports;
pub mod progress;
pub mod table;
pub mod template;
pub mod words;
pub mod yaml;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

use crate::cli::exit::Failure;
use words::Words;

use crate::engine::stdio::{Answer, Question};

/// The user's terminal or pipes.
pub struct Ui {
    out: io::BufWriter<io::Stdout>,
    closed: bool,
    /// Errors are said in podman's words.
    words: Option<Words>,
    /// What the program is called in errors that quote a command: as it was called, if that is a name it goes by.
    name: &'static str,
}

impl Default for Ui {
    fn default() -> Self {
        Self::new()
    }
}

impl Ui {
    /// A `Ui` on the process's own stdout and stderr.
    #[must_use]
    pub fn new() -> Self {
        Self {
            out: io::BufWriter::with_capacity(8192, io::stdout()),
            closed: false,
            words: None,
            name: "rcon",
        }
    }

    /// The program was called by this name.
    pub fn called(&mut self, program: &OsStr) {
        let known = ["docker", "podman"];
        let name = Path::new(program).file_name();
        self.name = known.into_iter().find(|known| name == Some(OsStr::new(known))).unwrap_or("rcon");
    }

    /// `'rcon exec'` as the user would type it.
    fn as_called(&self, text: &str) -> String {
        text.replace("'rcon ", &format!("'{} ", self.name))
    }

    /// From now on errors are said in podman's words.
    pub fn say_as_podman(&mut self, words: Words) {
        self.words = Some(words);
    }

    /// A sentence as the program says it.
    #[must_use]
    pub fn said(&self, text: &str) -> String {
        self.words.as_ref().map_or_else(|| text.to_owned(), |words| words.say(text))
    }

    /// Whether the program is called podman.
    #[must_use]
    pub fn is_podman(&self) -> bool {
        self.words.is_some()
    }

    /// Whether stdout is a terminal.
    #[must_use]
    pub fn stdout_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether stderr is a terminal.
    #[must_use]
    pub fn stderr_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether nobody reads stdout any more.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// One line of result.
    pub fn line(&mut self, line: impl fmt::Display) {
        let result = writeln!(self.out, "{line}");
        self.note_closed(result);
    }

    /// Result text as it is.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Result bytes as they are (logs, archives).
    pub fn bytes(&mut self, bytes: &[u8]) {
        let result = self.out.write_all(bytes);
        self.note_closed(result);
    }

    /// Bytes for stderr (a container's error stream).
    pub fn error_bytes(&mut self, bytes: &[u8]) {
        self.flush();
        // Nobody to tell if stderr is gone.
        let _gone = io::stderr().write_all(bytes);
    }

    /// Sends what is buffered.
    pub fn flush(&mut self) {
        let result = self.out.flush();
        self.note_closed(result);
    }

    /// One line beside the result.
    pub fn note(&mut self, line: impl fmt::Display) {
        self.flush();
        // In one piece: stderr is not buffered, and others write there too.
        let _gone = io::stderr().write_all(format!("{line}\n").as_bytes());
    }

    /// A warning beside the result.
    pub fn warn(&mut self, line: impl fmt::Display) {
        match &self.words {
            // It says so by the sentence alone, or in its log.
            Some(words) => {
                let text = words.say(&line.to_string());
                match text.strip_prefix(words::LOGGED) {
                    None => self.note(text),
                    Some(text) if self.stderr_is_terminal() => self.note(format_args!("WARN[0000] {text}")),
                    Some(text) => self.note(super::log::as_podman("warning", text).trim_end()),
                }
            }
            None => self.note(format_args!("WARNING: {line}")),
        }
    }

    /// Asks a question that is answered by `y`, also by a pipe (`echo y | rcon system prune`).
    ///
    /// # Errors
    /// There is nobody to answer: the command wants `--force`. And an interrupted question: as with docker it says
    /// nothing and is no failure; podman, which catches no signal here, is ended by it.
    pub fn confirm(&mut self, question: &str) -> Result<bool, Failure> {
        self.flush();
        let asked = Question::begin(self.words.is_none())?;
        let _gone =
            write!(io::stderr(), "{}\nAre you sure you want to continue? [y/N] ", question.trim_end());
        match asked.answer() {
            Answer::Line(answer) => Ok(matches!(answer.trim(), "y" | "Y" | "yes")),
            Answer::Nobody => {
                self.note("");
                Err(Failure::new("nobody answered the question")
                    .hint("add --force (-f) to go ahead without asking"))
            }
            Answer::Interrupted => {
                self.note("");
                Err(Failure::new("").code(0))
            }
        }
    }

    /// An error: `Error: …` and its hint.
    pub fn failure(&mut self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        let color = std::env::var_os("NO_COLOR").is_none() && self.stderr_is_terminal();
        let (red, plain) = if color { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let said = self.words.as_ref().map(|words| words.say(&failure.message));
        let message = self.as_called(said.as_ref().unwrap_or(&failure.message));
        self.note(format_args!("{red}Error:{plain} {message}"));
        // podman gives none, and its scripts compare whole outputs.
        if let Some(hint) = failure.hint.as_ref().filter(|_| self.words.is_none()) {
            self.note(format_args!("hint: {}", self.as_called(hint)));
        }
    }

    fn note_closed(&mut self, result: io::Result<()>) {
        if result.is_err() {
            self.closed = true;
        }
    }
}
