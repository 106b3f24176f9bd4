//! Go templates over JSON values: the part of `text/template` that scripts use with docker's `--format`.
//!
//! Text, fields and nested fields, variables, pipelines, `if`/`else if`/`with`/`range` with `else`, `break` and
//! `continue`, comments, trimming, the built-in functions and docker's own (`json`, `join`, `split`, `lower`,
//! `upper`, `title`, `truncate`, `pad`). Not here: `define` and `template`, which need more than one
//! template.
//!
//! Values are JSON, so there are no Go types: a field that is missing in an object with fixed keys is an error
//! that lists the known ones; in an object whose keys are the user's (labels, ports, networks …) it is
//! `<no value>`. A field is found in another case too (`.ID`, `.Id`), because docker's types and docker's JSON
//! differ in that.

mod eval;
mod funcs;
mod lex;
mod parse;
mod printf;

use serde_json::{Map, Value};

use eval::Eval;

/// Where in a template something is wrong, in the form of Go: `:1:2: executing "" at <.x>: `.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// The words that are meant; none where the place is not known.
    words: String,
    /// Byte of the template at first, then of its line.
    at: usize,
    /// Line, from 1 on.
    line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.words.is_empty() {
            true => Ok(()),
            false => write!(f, ":{}:{}: executing \"\" at <{}>: ", self.line, self.at, self.words),
        }
    }
}

/// What is wrong with a template, or with its use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It does not parse.
    #[error("template parsing error: template: :1: {0}")]
    Parse(String),
    /// It asks for what is not there.
    #[error("template parsing error: template: {place}{message}")]
    Run {
        /// Where.
        place: Place,
        /// What.
        message: String,
        /// Fields that are there.
        known: Vec<String>,
    },
}

impl TemplateError {
    /// Whether it is about a field that there is not.
    #[must_use]
    pub fn is_unknown_field(&self) -> bool {
        matches!(self, Self::Run { known, .. } if !known.is_empty())
    }

    fn run(message: impl Into<String>) -> Self {
        Self::Run { place: Place::default(), message: message.into(), known: Vec::new() }
    }

    /// Says which words are meant, and where they begin, if that was not said.
    fn at(mut self, words: String, at: usize) -> Self {
        if let Self::Run { place, .. } = &mut self
            && place.words.is_empty()
        {
            *place = Place { words, at, line: 1 };
        }
        self
    }

    /// Counts the place in lines of the template.
    fn in_lines(mut self, text: &str) -> Self {
        if let Self::Run { place, .. } = &mut self {
            let before = text.get(..place.at).unwrap_or_default();
            place.line = 1 + before.matches('\n').count();
            place.at -= before.rfind('\n').map_or(0, |newline| newline + 1);
        }
        self
    }
}

impl From<TemplateError> for crate::cli::exit::Failure {
    fn from(e: TemplateError) -> Self {
        let failure = Self::new(e.to_string());
        match e {
            TemplateError::Run { known, .. } if !known.is_empty() => {
                failure.hint(format!("known fields: {}", known.join(", ")))
            }
            _ => failure,
        }
    }
}

/// A parsed template.
#[derive(Debug, Clone)]
pub struct Template {
    text: String,
    podman: bool,
    nodes: Vec<parse::Node>,
}

/// What a template is executed on.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// The value of `.`.
    pub value: Value,
    /// Tables that are asked with an argument: `.Label "key"`.
    pub lookups: Map<String, Value>,
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Self { value, lookups: Map::new() }
    }
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// Says what is not understood.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let nodes =
            parse::parse(lex::lex(text).map_err(TemplateError::Parse)?).map_err(TemplateError::Parse)?;
        Ok(Self { text: text.to_owned(), podman: false, nodes })
    }

    /// Whose order of fields a structure has that is printed whole.
    #[must_use]
    pub fn podmans(self, podman: bool) -> Self {
        Self { podman, ..self }
    }

    /// The text for one value.
    ///
    /// # Errors
    /// A field that is not there, or a function used wrongly.
    pub fn execute(&self, data: &Data) -> Result<String, TemplateError> {
        Eval::new(data, false).podmans(self.podman).run(&self.nodes).map_err(|e| e.in_lines(&self.text))
    }

    /// The text for a line of titles: functions hand their argument on as it is.
    ///
    /// # Errors
    /// As [`Template::execute`].
    pub fn execute_titles(&self, data: &Data) -> Result<String, TemplateError> {
        Eval::new(data, true).run(&self.nodes).map_err(|e| e.in_lines(&self.text))
    }
}

#[cfg(test)]
mod tests;
