//! `rcon inspect`, `rcon container inspect`, and what the other inspecting commands share.

use serde_json::Value;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::template::{Data, Template};
use crate::engine;

/// Flags of `inspect`.
#[derive(clap::Args)]
struct InspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Compute the sizes of a container
    #[arg(short, long)]
    size: bool,
    /// What it is: container, image, network, volume (default: the first that has the name)
    #[arg(short = 't', long = "type", value_name = "TYPE", value_parser = crate::cli::args::Suggested(&KINDS))]
    kind: Option<String>,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Show the command line that makes the container
    #[arg(long)]
    as_run: bool,
    /// Names or ids
    #[arg(value_name = "NAME", hide = true)]
    names: Vec<String>,
}

/// Flags of `container inspect`.
#[derive(clap::Args)]
struct ContainerInspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Compute the sizes
    #[arg(short, long)]
    size: bool,
    /// Take the container created last
    #[arg(short, long)]
    latest: bool,
    /// Show the command line that makes the container
    #[arg(long)]
    as_run: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", hide = true)]
    names: Vec<String>,
}

pub(super) const DEF: Def = def!(
    InspectArgs,
    run,
    Section::Everyday,
    ["inspect"],
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Show all that is known of containers, images, networks or volumes"
);
pub(super) const CONTAINER: Def = def!(
    ContainerInspectArgs,
    run_container,
    Section::Containers,
    ["container inspect"],
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Show all that is known of containers"
);

/// What `--type` may be.
const KINDS: [&str; 5] = ["all", "container", "image", "network", "volume"];

/// What podman has besides, and nothing here is.
const PODMANS: [&str; 2] = ["artifact", "pod"];

fn run(args: InspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let known = |kind: &&str| KINDS.contains(kind) || ctx.manner == Manner::Podman && PODMANS.contains(kind);
    if let Some(kind) = args.kind.as_deref().filter(|kind| !kind.is_empty() && !known(kind)) {
        // docker has parsed the flag before it looks at the value: its code is 1.
        let text = format!("{kind:?} is not a valid value for --type: want one of {}", KINDS.join(", "));
        return Err(Failure::new(text));
    }
    let engine = ctx.engine()?;
    let names = names(args.names, args.latest, ctx, "inspect")?;
    if args.as_run {
        return as_run(&names, ctx, ui);
    }
    let (size, kind) = (args.size, args.kind);
    let kind = if args.latest { Some("container") } else { kind.as_deref() };
    show(ui, args.format.as_deref(), &names, |name| find(engine, name, kind, size))
}

fn run_container(args: ContainerInspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    let names = names(args.names, args.latest, ctx, "container inspect")?;
    if args.as_run {
        return as_run(&names, ctx, ui);
    }
    show(ui, args.format.as_deref(), &names, |name| engine::inspect::container(engine, name, args.size))
}

fn names(mut names: Vec<String>, latest: bool, ctx: &Ctx, called: &str) -> Result<Vec<String>, Failure> {
    if latest && !names.is_empty() {
        return Err(Failure::usage("conflicting options: --latest and names"));
    }
    if latest {
        names.push(super::latest(ctx)?);
    }
    if names.is_empty() {
        return Err(Failure::new(format!("'rcon {called}' requires at least 1 argument")));
    }
    Ok(names)
}

fn as_run(names: &[String], ctx: &Ctx, ui: &mut Ui) -> Outcome {
    for name in names {
        let words = engine::inspect::as_run(ctx.engine()?, name)?;
        let words: Vec<String> = words.iter().map(|w| shell_word(w)).collect();
        ui.line(words.join(" "));
    }
    Ok(Exit::OK)
}

/// A word as a shell takes it back.
pub(super) fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Looks the name up as each kind of thing in docker's order.
fn find(ctx: &engine::Context, name: &str, kind: Option<&str>, size: bool) -> Result<Value, engine::Error> {
    type Look<'a> = (&'a str, &'a dyn Fn() -> Result<Value, engine::Error>);
    let all: [Look<'_>; 4] = [
        ("container", &|| engine::inspect::container(ctx, name, size)),
        ("image", &|| super::image_json(ctx, name)),
        ("network", &|| super::network_json(ctx, name)),
        ("volume", &|| engine::volumes::inspect(ctx, name)),
    ];
    for (what, look) in all {
        match kind {
            Some(k) if k != "all" && k != what => {}
            Some(k) if k == what => return look(),
            _ => match look() {
                Err(e) if e.kind() == engine::Kind::NotFound => {}
                result => return result,
            },
        }
    }
    if let Some(what) = kind.filter(|k| PODMANS.contains(k)) {
        return Err(engine::Error::new(engine::Kind::NotFound, format!("no such {what}: {name}")));
    }
    Err(engine::Error::new(engine::Kind::NotFound, format!("No such object: {name}")))
}

/// Prints the JSON of each name: a list of all, or one line each through a template. What is not found is told and
/// makes the exit code 1; the others are shown.
pub(super) fn show(
    ui: &mut Ui,
    format: Option<&str>,
    names: &[String],
    look: impl Fn(&str) -> Result<Value, engine::Error>,
) -> Outcome {
    let format = format.map(|text| if text.trim() == "json" { "json" } else { text });
    let template = match format {
        None | Some("" | "json") => None,
        Some(text) => {
            let text = text.replace("\\t", "\t").replace("\\n", "\n");
            let text = if ui.is_podman() { podman_names(&text) } else { text };
            Some(Template::parse(&text)?.podmans(ui.is_podman()))
        }
    };
    let mut found = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        match look(name) {
            Ok(mut value) => {
                // What failed is told in the words in which it was.
                if let Some(Value::String(error)) = value.pointer_mut("/State/Error") {
                    *error = ui.said(error);
                }
                found.push(value);
            }
            Err(e) => failures.push(Failure::from(e)),
        }
    }
    match (template, format) {
        (Some(template), _) => {
            for value in found {
                ui.line(template.execute(&Data::from(value))?);
            }
        }
        (None, Some("json")) => ui.line(Value::Array(found)),
        (None, _) => ui.line(indented(&Value::Array(found))),
    }
    for failure in &failures {
        ui.failure(failure);
    }
    Ok(if failures.is_empty() { Exit::OK } else { Exit::Failed })
}

/// Fields by the names that podman takes for them, too.
fn podman_names(text: &str) -> String {
    let mut text = text.to_owned();
    for (short, name) in [(".ImageID", ".Image"), (".Src", ".Source"), (".Dst", ".Destination")] {
        for after in ["}", " ", ")"] {
            text = text.replace(&format!("{short}{after}"), &format!("{name}{after}"));
        }
    }
    text
}

/// JSON with four spaces, as docker's.
pub(super) fn indented(value: &Value) -> String {
    use serde::Serialize as _;
    let mut out = Vec::new();
    let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, four);
    // Writing JSON into memory cannot fail.
    let _done = value.serialize(&mut writer);
    String::from_utf8_lossy(&out).into_owned()
}
