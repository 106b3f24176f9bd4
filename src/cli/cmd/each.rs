//! The loop that commands about several containers share: each success is echoed as it was typed, each failure
//! is told, and any failure makes the exit code 1.

use std::fmt;

use crate::cli::exit::{Exit, Failure};
use crate::cli::ui::Ui;
use crate::engine::Done;

/// Collects outcomes; `report` is what the engine calls.
pub(super) struct Each<'a> {
    ui: &'a mut Ui,
    exit: Exit,
}

impl<'a> Each<'a> {
    pub(super) fn new(ui: &'a mut Ui) -> Self {
        Self { ui, exit: Exit::OK }
    }

    /// Echoes what was typed, or tells the failure.
    pub(super) fn echo<T>(&mut self, done: Done<T>) {
        self.show(done, |given, _| given.to_owned());
    }

    /// Prints what `text` makes of a success (nothing for an empty text), or tells the failure.
    pub(super) fn show<T, S: fmt::Display>(&mut self, done: Done<T>, text: impl FnOnce(&str, &T) -> S) {
        match done.result {
            Ok(value) => {
                let text = text(&done.given, &value).to_string();
                if !text.is_empty() {
                    self.ui.line(text);
                    self.ui.flush();
                }
            }
            Err(e) => self.fail(&Failure::from(e)),
        }
    }

    /// As [`Each::echo`], for what is removed: whether it was missing or in use is part of podman's exit code.
    pub(super) fn removed<T>(&mut self, done: Done<T>) {
        let Err(e) = done.result else { return self.echo(done) };
        let exit = self.exit.removal(e.kind());
        self.fail(&Failure::from(e));
        self.exit = exit;
    }

    /// A line beside the results.
    pub(super) fn line(&mut self, line: impl fmt::Display) {
        self.ui.line(line);
    }

    /// A warning beside the result.
    pub(super) fn warn(&mut self, line: impl fmt::Display) {
        self.ui.warn(line);
    }

    /// Tells a failure and remembers the exit code.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.ui.failure(failure);
        self.exit = Exit::failed(failure.code);
    }

    /// The exit code of the whole.
    pub(super) fn exit(self) -> Exit {
        self.exit
    }
}
