//! `rcon cp`.

use std::io::IsTerminal as _;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::engine::cp::{self, CopyOptions, End};
use crate::model::units::human_size;

/// Flags of `cp`.
#[derive(clap::Args)]
struct CpArgs {
    /// Keep owner and group
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    archive: Option<bool>,
    /// Follow a symbolic link at the source
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Let a directory replace a file and the other way round
    #[arg(long)]
    overwrite: bool,
    /// podman's: pause the container meanwhile, which is not done
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean)]
    pause: Option<bool>,
    /// Do not tell what was copied
    #[arg(short, long)]
    quiet: bool,
    /// Source
    #[arg(required = true, value_name = "SOURCE", hide = true)]
    source: String,
    /// Destination
    #[arg(required = true, value_name = "DESTINATION", hide = true)]
    destination: String,
}

pub(super) const DEF: Def = def!(
    CpArgs,
    run,
    Section::Everyday,
    ["cp", "container cp"],
    "[OPTIONS] [CONTAINER:]SOURCE|- [CONTAINER:]DESTINATION|-",
    "Copy files between a container and the host"
);

fn run(args: CpArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.pause == Some(true) {
        let text = "--pause is not supported: a container goes on while files are copied; use rcon pause";
        return Err(Failure::usage(text));
    }
    let options = CopyOptions {
        archive: args.archive.unwrap_or(false),
        // podman always does.
        follow: args.follow_link || ctx.manner == Manner::Podman,
        overwrite: args.overwrite,
        below_workdir: ctx.manner == Manner::Podman,
    };
    let (from, to) = (end(&args.source), end(&args.destination));
    let engine = ctx.engine()?;
    match (&from, &to) {
        (End::Host(a), End::Container { name, path }) if a == "-" => {
            cp::unpack(engine, name, path, &mut std::io::stdin().lock(), &options)?;
        }
        (End::Container { name, path }, End::Host(b)) if b == "-" => {
            if std::io::stdout().is_terminal() {
                return Err(
                    Failure::new("refusing to write an archive to a terminal").hint("redirect the output")
                );
            }
            cp::pack(engine, name, path, &mut std::io::stdout(), &options)?;
        }
        (End::Host(_), End::Host(_)) => {
            return Err(Failure::new("must specify at least one container source")
                .hint("name the path in a container CONTAINER:PATH"));
        }
        _ => {
            let bytes = cp::cp(engine, &from, &to, &options)?;
            if !args.quiet && ui.stderr_is_terminal() {
                ui.note(format_args!("Successfully copied {} to {}", human_size(bytes), args.destination));
            }
        }
    }
    Ok(Exit::OK)
}

/// `CONTAINER:PATH` unless it is a host path: one that begins with `/` or `.`, or has no colon.
fn end(text: &str) -> End {
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with(['/', '.']) && !name.contains('/') => {
            End::Container { name: name.to_owned(), path: path.to_owned() }
        }
        _ => End::Host(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_path_may_hold_a_colon() {
        assert_eq!(end("c:/x"), End::Container { name: "c".to_owned(), path: "/x".to_owned() });
        assert_eq!(end("c:"), End::Container { name: "c".to_owned(), path: String::new() });
        for host in ["/a:b", "./a:b", "a", "-", "a/b:c"] {
            assert_eq!(end(host), End::Host(host.to_owned()), "{host}");
        }
    }
}
