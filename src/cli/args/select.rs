//! Which containers a command is about: names, `--all`, `--latest`, `--filter`, `--cidfile`, `--ignore`.

use super::super::exit::Failure;
use crate::engine::Selection;

/// `-l`, `--latest`: for the commands that know no other way to choose.
#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "Choice of containers")]
pub struct LatestArg {
    /// Take the container created last
    #[arg(short, long)]
    pub latest: bool,
}

/// All ways to choose containers.
#[derive(clap::Args, Debug, Default, Clone)]
#[command(next_help_heading = "Choice of containers")]
pub struct SelectArgs {
    /// Take all containers
    #[arg(short, long)]
    pub all: bool,
    /// Take the container created last
    #[arg(short, long)]
    pub latest: bool,
    /// Take those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// Read an id from a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Vec<String>,
}

/// Checks that something, and not too much, was chosen.
pub(crate) fn selection(
    names: Vec<String>,
    args: SelectArgs,
    ignore: bool,
    called: &str,
) -> Result<Selection, Failure> {
    let SelectArgs { all, latest, filter, cidfile } = args;
    if names.is_empty() && !all && !latest && filter.is_empty() && cidfile.is_empty() {
        return Err(Failure::new(format!("'rcon {called}' requires at least 1 argument"))
            .hint(format!("See 'rcon {called} --help' for more information")));
    }
    if !names.is_empty() && (all || latest) {
        let flag = if all { "--all" } else { "--latest" };
        return Err(Failure::usage(match (called, all) {
            // podman's words, for its own flag.
            ("start", true) => {
                "either start all containers or the container(s) provided in the arguments".to_owned()
            }
            _ => format!("conflicting options: {flag} and names of containers"),
        }));
    }
    if !names.is_empty() && !filter.is_empty() && called != "start" {
        return Err(Failure::usage("--filter takes no arguments"));
    }
    if !cidfile.is_empty() && (all || latest) {
        let text = "conflicting options: --all, --latest and --cidfile cannot be used together";
        return Err(Failure::usage(text));
    }
    if all && latest {
        return Err(Failure::usage("conflicting options: --all and --latest cannot be used together"));
    }
    Ok(Selection {
        names,
        all,
        latest,
        filters: filter,
        cidfiles: cidfile.into_iter().map(Into::into).collect(),
        ignore,
    })
}
