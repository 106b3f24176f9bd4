//! The commands: one file each, listed in [`ALL`].

mod archive;
mod attach;
mod checkpoint;
mod checkpoint_named;
mod commit;
mod completion;
mod container;
mod cp;
mod create;
mod diff;
mod each;
mod events;
mod exec;
mod export;
mod history;
mod image;
mod image_mount;
mod image_tree;
mod images;
mod info;
mod inspect;
mod kill;
mod login;
mod logs;
mod network;
mod pause;
mod podman_json;
mod port;
mod ps;
mod pull;
mod push;
mod rename;
mod restart;
mod rm;
mod rmi;
mod run;
mod runlabel;
pub mod runtime;
mod search;
mod secret;
mod start;
mod stats;
mod stop;
mod system;
mod tag;
mod top;
mod unpause;
mod update;
mod version;
mod volume;
mod wait;

use super::Ctx;
use super::def::Def;
use super::exit::{Exit, Failure, Manner, Outcome};
use super::ui::Ui;
use crate::engine;

/// Every command. The order is that of `rcon help` within a section.
pub static ALL: &[&Def] = &[
    // everyday
    &run::DEF,
    &exec::DEF,
    &ps::DEF,
    &logs::DEF,
    &start::DEF,
    &stop::DEF,
    &rm::DEF,
    &inspect::DEF,
    &cp::DEF,
    &port::DEF,
    &stats::DEF,
    &top::DEF,
    // containers
    &create::DEF,
    &attach::DEF,
    &commit::DEF,
    &diff::DEF,
    &diff::CONTAINER,
    &export::DEF,
    &kill::DEF,
    &pause::DEF,
    &unpause::DEF,
    &rename::DEF,
    &restart::DEF,
    &update::DEF,
    &wait::DEF,
    &container::INIT,
    &checkpoint::CHECKPOINT,
    &checkpoint::RESTORE,
    &checkpoint_named::CREATE,
    &checkpoint_named::LS,
    &checkpoint_named::RM,
    &container::MOUNT,
    &container::UNMOUNT,
    &container::HEALTH,
    &container::CLEANUP,
    &container::CLONE,
    &runlabel::DEF,
    &container::EXISTS,
    &inspect::CONTAINER,
    &container::PRUNE,
    // images
    &images::DEF,
    &history::DEF,
    &image::INSPECT,
    &image::EXISTS,
    &image::PRUNE,
    &diff::IMAGE,
    &image_mount::MOUNT,
    &image_mount::UNMOUNT,
    &image_tree::DEF,
    &pull::DEF,
    &push::DEF,
    &login::LOGIN,
    &login::LOGOUT,
    &search::DEF,
    &archive::SAVE,
    &archive::LOAD,
    &archive::IMPORT,
    &rmi::DEF,
    &tag::DEF,
    &tag::UNTAG,
    // networks
    &network::CREATE,
    &network::LS,
    &network::INSPECT,
    &network::RM,
    &network::PRUNE,
    &network::CONNECT,
    &network::DISCONNECT,
    &network::RELOAD,
    &network::UPDATE,
    &network::EXISTS,
    // volumes
    &volume::CREATE,
    &volume::LS,
    &volume::INSPECT,
    &volume::RM,
    &volume::PRUNE,
    &volume::EXISTS,
    &volume::MOUNT,
    &volume::UNMOUNT,
    &volume::RELOAD,
    &volume::EXPORT,
    &volume::IMPORT,
    // secrets
    &secret::CREATE,
    &secret::LS,
    &secret::INSPECT,
    &secret::RM,
    &secret::EXISTS,
    // system
    &info::DEF,
    &version::DEF,
    &events::DEF,
    &system::DF,
    &system::CHECK,
    &system::PRUNE,
    &system::RESET,
    &system::SERVICE,
    &completion::DEF,
    &completion::COMPLETE,
    &completion::GENERATE,
];

/// What the first words of a command line name.
pub enum Found {
    /// A command, spelt by the first `depth` words.
    Command {
        /// The command.
        def: &'static Def,
        /// Words of its name.
        depth: usize,
    },
    /// A group of commands (`volume`) whose next word is no command.
    Group {
        /// Words of the group.
        words: usize,
    },
    /// Neither.
    Nothing,
}

/// Looks up the longest command name that `words` begin with.
#[must_use]
pub fn find(words: &[String]) -> Found {
    let first = words.first().map_or("", String::as_str);
    if let Some(second) = words.get(1) {
        for def in ALL {
            if def.names.iter().any(|n| n.split_once(' ') == Some((first, second))) {
                return Found::Command { def, depth: 2 };
            }
        }
    }
    if let Some(def) = ALL.iter().find(|d| d.names.contains(&first)) {
        return Found::Command { def, depth: 1 };
    }
    let next_is_word = words.get(1).is_some_and(|w| !w.starts_with('-') && w != "help");
    if is_group(first) && !next_is_word { Found::Group { words: 1 } } else { Found::Nothing }
}

/// Whether `word` is the first of two-word commands.
#[must_use]
pub fn is_group(word: &str) -> bool {
    all_names().any(|n| n.split_once(' ').is_some_and(|(g, _)| g == word))
}

/// Every spelling of every command.
pub fn all_names() -> impl Iterator<Item = &'static str> {
    ALL.iter().filter(|d| !d.hidden).flat_map(|d| d.names.iter().copied())
}

/// A question was answered with no: podman does nothing then, and docker calls it a failure.
fn cancelled(ctx: &Ctx, what: &str) -> Outcome {
    match ctx.manner {
        Manner::Podman => Ok(Exit::OK),
        Manner::Docker => Err(Failure::new(format!("{what} has been cancelled"))),
    }
}

/// What a prune gave back, which podman does not tell.
fn reclaimed(ui: &mut Ui, ctx: &Ctx, bytes: u64) {
    if ctx.manner == Manner::Docker {
        ui.line(format_args!("Total reclaimed space: {}", crate::model::units::human_size(bytes)));
    }
}

/// podman tells of an image that was made here as of one that came from elsewhere.
fn copied(ui: &mut Ui, ctx: &Ctx, id: &crate::model::digest::Digest, quiet: bool) -> Result<(), Failure> {
    if quiet || ctx.manner == Manner::Docker {
        return Ok(());
    }
    let image = image_json(ctx.engine()?, id.as_str())?;
    ui.note("Getting image source signatures");
    for layer in image.pointer("/RootFS/Layers").and_then(serde_json::Value::as_array).into_iter().flatten() {
        ui.note(format_args!("Copying blob {}", layer.as_str().unwrap_or_default()));
    }
    ui.note(format_args!("Copying config {id}"));
    ui.note("Writing manifest to image destination");
    Ok(())
}

/// The id of the container that was created last, for `--latest`.
fn latest(ctx: &Ctx) -> Result<String, Failure> {
    let options = engine::ps::ListOptions { latest: true, all: true, ..Default::default() };
    let listed = engine::ps::ps(ctx.engine()?, &options)?;
    match listed.into_iter().next() {
        Some(c) => Ok(c.id.to_string()),
        None => Err(Failure::new("there is no container yet, so --latest names none")),
    }
}

/// The container that a command is about: its first word, or the latest.
fn name_or_latest(words: &mut Vec<String>, latest: bool, ctx: &Ctx, called: &str) -> Result<String, Failure> {
    if latest {
        return self::latest(ctx);
    }
    if words.is_empty() {
        return Err(Failure::new(format!("'rcon {called}' requires at least 1 argument"))
            .hint(format!("See 'rcon {called} --help' for more information")));
    }
    Ok(words.remove(0))
}

/// The id in a file that `--cidfile` wrote.
fn read_cidfile(path: &str) -> Result<String, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|e| Failure::new(format!("reading CIDFile {path}: {e}")))?;
    Ok(text.trim().to_owned())
}

/// A `--since` or `--until` in the caller's time zone.
fn time(text: &str) -> Result<jiff::Timestamp, Failure> {
    let zone = jiff::tz::TimeZone::system();
    // As docker, for whom it is no matter of parsing flags.
    crate::model::units::parse_timestamp(text, jiff::Timestamp::now(), &zone)
        .map_err(|e| Failure::new(e.to_string()))
}

/// An `--until`: to podman a duration is one ahead, to docker one ago.
fn until(text: &str, ctx: &Ctx) -> Result<jiff::Timestamp, Failure> {
    let ahead = ctx.manner == Manner::Podman && crate::model::units::parse_duration(text).is_ok();
    if ahead && !text.starts_with('-') { time(&format!("-{text}")) } else { time(text) }
}

/// Runs `write` with the file of `-o`, or with stdout if that is no terminal. A file that could not be filled is
/// taken away again.
fn to_output(
    path: Option<&str>,
    write: impl FnOnce(&mut dyn std::io::Write) -> Result<(), Failure>,
) -> Outcome {
    use std::io::{IsTerminal as _, Write as _};
    let Some(path) = path.filter(|p| *p != "-") else {
        let mut out = std::io::stdout();
        if out.is_terminal() {
            return Err(Failure::new("cowardly refusing to write an archive to a terminal")
                .hint("name a file with -o, or redirect the output"));
        }
        write(&mut out)?;
        return Ok(Exit::OK);
    };
    let fail = |e: std::io::Error| Failure::new(format!("writing {path}: {e}"));
    let mut file = std::io::BufWriter::with_capacity(1 << 16, std::fs::File::create(path).map_err(fail)?);
    let result = write(&mut file).and_then(|()| file.flush().map_err(fail));
    if let Err(failure) = result {
        // Half an archive helps nobody; that it could not be removed is less than the failure itself.
        let _gone = std::fs::remove_file(path);
        return Err(failure);
    }
    Ok(Exit::OK)
}

/// Runs `read` with a file, or with stdin.
fn from_input(
    path: Option<&str>,
    read: impl FnOnce(&mut dyn std::io::Read) -> Result<(), Failure>,
) -> Outcome {
    match path.filter(|p| *p != "-") {
        None => read(&mut std::io::stdin().lock())?,
        Some(path) => {
            let file = std::fs::File::open(path).map_err(|e| Failure::new(format!("opening {path}: {e}")))?;
            read(&mut std::io::BufReader::with_capacity(1 << 16, file))?;
        }
    }
    Ok(Exit::OK)
}

/// A title and what was removed, one a line, then an empty line; nothing for nothing.
fn show_list(ui: &mut Ui, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    ui.line(title);
    for item in items {
        ui.line(item);
    }
    ui.line("");
}

/// An image as `inspect` shows it.
fn image_json(ctx: &engine::Context, name: &str) -> Result<serde_json::Value, engine::Error> {
    engine::images::inspect(ctx, name)
}

/// A network as `inspect` shows it.
fn network_json(ctx: &engine::Context, name: &str) -> Result<serde_json::Value, engine::Error> {
    engine::networks::inspect(ctx, name)
}

/// The names of all networks, for completion.
pub(super) fn network_names(ctx: &engine::Context) -> Vec<String> {
    engine::networks::ls(ctx, &[]).unwrap_or_default().into_iter().map(|n| n.name).collect()
}
