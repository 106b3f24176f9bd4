//! `rcon help`, `rcon --help`, `rcon GROUP --help` and the help of one command.

use std::fmt::Write as _;

use super::cmd;
use super::def::{Def, Section};
use super::exit::{Exit, Failure, Outcome};
use super::globals;
use super::suggest;
use super::ui::Ui;

/// `rcon help [WORDS]`.
pub(super) fn show(words: &[String], ui: &mut Ui) -> Outcome {
    if words.is_empty() {
        ui.text(&overview());
        return Ok(Exit::OK);
    }
    match cmd::find(words) {
        cmd::Found::Command { def, depth } => {
            let mut tree = def.tree(&words[..depth].join(" "));
            tree.build();
            ui.text(&of_command(&mut tree, def));
        }
        cmd::Found::Group { .. } => ui.text(&of_group(&words[0])),
        cmd::Found::Nothing => return Err(suggest::unknown_command(words)),
    }
    Ok(Exit::OK)
}

/// A group was called (`rcon volume`): its help, or the error for what follows.
pub(super) fn group_called(rest: &[String], words: usize, ui: &mut Ui) -> Outcome {
    match rest.get(words).map(String::as_str) {
        None | Some("--help" | "-h" | "help") => {
            ui.text(&of_group(&rest[0]));
            Ok(Exit::OK)
        }
        Some(flag) if flag.starts_with('-') => Err(Failure::usage(format!("unknown flag: {flag}"))
            .hint(format!("run 'rcon {} --help' for its commands", rest[0]))),
        Some(_) => Err(suggest::unknown_command(rest)),
    }
}

/// The help of one command; flags come in the sections of their groups.
pub(super) fn of_command(tree: &mut clap::Command, def: &Def) -> String {
    let mut out = tree.render_help().to_string();
    if def.names.len() > 1 {
        let names: Vec<String> = def.names.iter().map(|n| format!("rcon {n}")).collect();
        let _ = write!(out, "\nAliases:\n  {}\n", names.join(", "));
    }
    out
}

fn of_group(group: &str) -> String {
    let prefix = format!("{group} ");
    let mut rows: Vec<(&str, &str)> = cmd::ALL
        .iter()
        .filter(|d| !d.hidden)
        .filter_map(|d| d.names.iter().find_map(|n| n.strip_prefix(prefix.as_str())).map(|n| (n, d.about)))
        .collect();
    rows.sort_unstable();
    let mut out = format!("Usage: rcon {group} COMMAND\n\nCommands:\n");
    push_rows(&mut out, &rows);
    let _ = write!(out, "\nRun 'rcon {group} COMMAND --help' for more information on a command.\n");
    out
}

fn overview() -> String {
    let mut out = String::from(
        "rcon runs containers, without a daemon\n\nUsage: rcon [GLOBAL OPTIONS] COMMAND [OPTIONS] [ARG...]\n",
    );
    for (section, title) in Section::ALL {
        let rows: Vec<(&str, &str)> = cmd::ALL
            .iter()
            .filter(|d| !d.hidden && d.section == section)
            .map(|d| (d.names[0], d.about))
            .collect();
        if !rows.is_empty() {
            let _ = write!(out, "\n{title}:\n");
            push_rows(&mut out, &rows);
        }
    }
    out.push_str("\nGlobal options:\n");
    push_rows(&mut out, &globals::help_rows());
    out.push_str("\nRun 'rcon COMMAND --help' for more information on a command.\n");
    out
}

fn push_rows(out: &mut String, rows: &[(&str, &str)]) {
    let width = rows.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    for (name, about) in rows {
        let _ = writeln!(out, "  {name:width$}   {about}");
    }
}
