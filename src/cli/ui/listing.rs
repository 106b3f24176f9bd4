//! Listings: the same rows as docker's table, as JSON lines (podman's are one list), or through a template.

use serde_json::{Map, Value};

use super::Ui;
use super::table::Table;
use super::template::{Data, Template, TemplateError};
use crate::cli::exit::Failure;

/// A kind of listing: which fields there are and which make the table.
pub struct Layout {
    /// Every field of docker's with the title of its column, in docker's order; `--format json` shows these.
    pub titles: &'static [(&'static str, &'static str)],
    /// Further fields, podman's mostly, that templates may ask for.
    pub further: &'static [&'static str],
    /// Fields of the table that is shown without `--format`.
    pub columns: &'static [&'static str],
}

/// How the rows are to be shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style<'a> {
    /// `--format`.
    pub format: Option<&'a str>,
    /// `--noheading`.
    pub no_heading: bool,
}

impl Style<'_> {
    /// Whether it is the plain table, which shows the layout's columns and nothing else.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        matches!(self.format.unwrap_or("").trim_matches(' '), "" | "table")
    }
}

/// Prints rows in the given style.
///
/// # Errors
/// A template that does not parse, or asks for what is not there.
pub fn show(ui: &mut Ui, layout: &Layout, style: Style<'_>, rows: &[Data]) -> Result<(), Failure> {
    show_each(ui, layout, style, rows.iter().cloned())
}

/// [`show`] for many rows: each is made, shown and dropped before the next.
///
/// # Errors
/// As [`show`].
pub fn show_each(
    ui: &mut Ui,
    layout: &Layout,
    style: Style<'_>,
    mut rows: impl Iterator<Item = Data>,
) -> Result<(), Failure> {
    if style.is_plain() {
        plain(ui, layout, style.no_heading, rows);
        return Ok(());
    }
    let format = style.format.unwrap_or("").trim_matches(' ');
    if format == "json" && ui.is_podman() {
        let all: Value = rows.map(|row| json(layout, &row)).collect();
        ui.line(format_args!("{all:#}"));
        return Ok(());
    }
    if format == "json" {
        rows.for_each(|row| ui.line(json(layout, &row)));
        return Ok(());
    }
    // docker takes \t and \n as typed in single quotes of a shell.
    let format = format.replace("\\t", "\t").replace("\\n", "\n");
    if let Some(columns) = format.strip_prefix("table ") {
        let columns = columns.trim();
        // podman parts the columns of a table at blanks, too.
        let columns = if ui.is_podman() { columns.replace(' ', "\t") } else { columns.to_owned() };
        return table(ui, layout, &columns, style.no_heading, rows);
    }
    let template = Template::parse(&format)?;
    let Some(first) = rows.next() else { return check_fields(layout, &template) };
    for row in std::iter::once(first).chain(rows) {
        ui.line(template.execute(&row)?);
    }
    Ok(())
}

/// The table without a template: the layout's columns.
fn plain(ui: &mut Ui, layout: &Layout, no_heading: bool, rows: impl Iterator<Item = Data>) {
    let mut table = Table::default();
    let cell = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if !no_heading {
        let titles = titles(layout);
        table.row(layout.columns.iter().map(|c| cell(&titles[*c])));
    }
    for row in rows {
        let cells: Vec<String> = layout.columns.iter().map(|c| cell(&row.value[*c])).collect();
        // A cell of several lines would break the table.
        for line in cells.join("\t").split('\n') {
            table.row(line.split('\t'));
        }
    }
    ui.text(&table.render());
}

/// A template with a field that there is not is wrong even when there is no row to find it out on.
fn check_fields(layout: &Layout, template: &Template) -> Result<(), Failure> {
    let blank = Data { value: titles(layout), lookups: lookups(None) };
    match template.execute_titles(&blank) {
        Err(e @ TemplateError::Run { .. }) if e.is_unknown_field() => Err(e.into()),
        _ => Ok(()),
    }
}

fn json(layout: &Layout, row: &Data) -> Value {
    let Value::Object(all) = &row.value else { return row.value.clone() };
    let kept: Map<String, Value> = layout
        .titles
        .iter()
        .filter_map(|(field, _)| all.get(*field).map(|v| ((*field).to_owned(), v.clone())))
        .collect();
    Value::Object(kept)
}

fn table(
    ui: &mut Ui,
    layout: &Layout,
    columns: &str,
    no_heading: bool,
    rows: impl Iterator<Item = Data>,
) -> Result<(), Failure> {
    let template = Template::parse(columns)?;
    let mut table = Table::default();
    let mut rows = rows.peekable();
    if !no_heading {
        let data = Data { value: titles(layout), lookups: lookups(rows.peek()) };
        table.row(template.execute_titles(&data)?.split('\t'));
    }
    for row in rows {
        // A cell of several lines would break the table.
        for line in template.execute(&row)?.split('\n') {
            table.row(line.split('\t'));
        }
    }
    ui.text(&table.render());
    Ok(())
}

/// Titles of all fields: docker's, and for the others the field's name in capitals.
fn titles(layout: &Layout) -> Value {
    let mut all = Map::new();
    for (field, title) in layout.titles {
        all.insert((*field).to_owned(), (*title).into());
    }
    for field in layout.further {
        all.insert((*field).to_owned(), field.to_uppercase().into());
    }
    Value::Object(all)
}

fn lookups(first: Option<&Data>) -> Map<String, Value> {
    match first {
        Some(row) => row.lookups.clone(),
        None => Map::from_iter([("Label".to_owned(), Value::Object(Map::new()))]),
    }
}

/// `key=value,key=value`, sorted, as docker's `.Labels`.
#[must_use]
pub fn labels_text(labels: &[(String, String)]) -> String {
    let mut all: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    all.sort_unstable();
    all.join(",")
}

/// The lookup for `.Label "key"`.
#[must_use]
pub fn label_lookup(labels: &[(String, String)]) -> Map<String, Value> {
    let table: Map<String, Value> = labels.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    Map::from_iter([("Label".to_owned(), Value::Object(table))])
}

/// Cuts `text` to `most` characters, the last one an ellipsis.
#[must_use]
pub fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most - 1).collect();
    cut.push('…');
    cut
}

/// Text from an image or a container for a terminal: control characters made visible, so that no name, label or
/// command can move the cursor (rule R9).
#[must_use]
pub fn tame(text: &str) -> String {
    if !text.chars().any(|c| c.is_control()) {
        return text.to_owned();
    }
    let show = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::{ellipsis, tame};

    #[test]
    fn long_texts_are_cut_and_controls_are_shown() {
        assert_eq!(ellipsis("/docker-entrypoint.sh nginx", 20), "/docker-entrypoint.…");
        assert_eq!(ellipsis("short", 20), "short");
        assert_eq!(tame("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
    }
}
