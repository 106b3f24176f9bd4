//! The definition of a command: its names, its section in `help`, its flags and what it does.
//!
//! A file of `cmd/` holds `struct XArgs` (clap derive), `fn run(args, ctx, ui)` and
//! `pub(super) const DEF: Def = def!(XArgs, run, …)`; `cmd/mod.rs` lists it. Nothing of clap is built until
//! the command is called.

use super::Ctx;
use super::exit::Outcome;
use super::ui::Ui;

/// Part of the listing that `rcon help` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// run, ps, exec, logs …
    Everyday,
    /// The rest of a container's life.
    Containers,
    /// Images.
    Images,
    /// Networks.
    Networks,
    /// Volumes.
    Volumes,
    /// Secrets.
    Secrets,
    /// info, version, events, system …
    System,
}

impl Section {
    /// Headings in order.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Everyday, "Everyday"),
        (Self::Containers, "Containers"),
        (Self::Images, "Images"),
        (Self::Networks, "Networks"),
        (Self::Volumes, "Volumes"),
        (Self::Secrets, "Secrets"),
        (Self::System, "System"),
    ];
}

/// One command.
pub struct Def {
    /// Every spelling, the one that `help` lists first: `["ps", "container ls", "container list"]`.
    pub names: &'static [&'static str],
    /// Section of `rcon help`.
    pub section: Section,
    /// Arguments as `help` shows them: `"[OPTIONS] CONTAINER [CONTAINER...]"`.
    pub usage: &'static str,
    /// One line, no period.
    pub about: &'static str,
    /// Not listed in `help`.
    pub hidden: bool,
    /// Flags end at the first positional (`run`, `create`, `exec`).
    pub flags_first: bool,
    /// Adds the flags to a tree.
    pub define: fn(clap::Command) -> clap::Command,
    /// Does it.
    pub run: fn(&clap::ArgMatches, &Ctx, &mut Ui) -> Outcome,
}

impl Def {
    /// The clap tree of this command, called by the spelling `called`.
    #[must_use]
    pub fn tree(&self, called: &str) -> clap::Command {
        let tree = clap::Command::new("rcon")
            .bin_name(format!("rcon {called}"))
            .display_name(format!("rcon-{}", called.replace(' ', "-")))
            .disable_help_flag(true)
            .disable_version_flag(true)
            .args_override_self(true)
            .hide_possible_values(true)
            .override_usage(format!("rcon {called} {}", self.usage));
        // After `define`, which would set the comment of the struct.
        let tree = (self.define)(tree).about(self.about).long_about(None);
        // Every --filter has the same form; a wrong one is an error of the flag, as in docker.
        tree.mut_args(|arg| match arg.get_id() == "filter" {
            true if called != "search" => arg.value_parser(super::args::filter),
            true => arg,
            false => arg,
        })
    }
}

/// Makes the [`Def`] of a command out of its clap struct and its function.
///
/// ```ignore
/// pub(super) const DEF: Def = def!(RmArgs, run, Section::Everyday, ["rm", "container rm"],
///     "[OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers");
/// // a further `flags_first` or `hidden` at the end sets that field
/// ```
macro_rules! def {
    ($args:ty, $run:path, $section:expr, [$($name:literal),+], $usage:literal, $about:literal $(, $set:ident)*) => {{
        #[allow(unused_mut)]
        let mut def = $crate::cli::def::Def {
            names: &[$($name),+],
            section: $section,
            usage: $usage,
            about: $about,
            hidden: false,
            flags_first: false,
            define: <$args as clap::Args>::augment_args,
            run: |matches, ctx, ui| $run(<$args as clap::FromArgMatches>::from_arg_matches(matches)?, ctx, ui),
        };
        $(def.$set = true;)*
        def
    }};
}
pub(crate) use def;

#[cfg(test)]
mod tests {
    use crate::cli::cmd;

    /// clap checks a tree when it is built: flags that clash are found here, not by a user.
    #[test]
    fn every_tree_is_sound() {
        for def in cmd::ALL {
            let mut tree = def.tree(def.names[0]);
            tree.build();
            tree.clone().debug_assert();
            assert!(!def.about.ends_with('.'), "{}", def.names[0]);
            for arg in tree.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(arg.is_hide_set() || !help.is_empty(), "{} {}", def.names[0], arg.get_id());
            }
        }
    }

    #[test]
    fn no_two_commands_have_the_same_name() {
        let mut all: Vec<&str> = cmd::ALL.iter().flat_map(|d| d.names.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
