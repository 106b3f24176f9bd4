//! `rcon secret …`.

use std::io::Read as _;

use serde_json::json;

use super::each::Each;
use crate::cli::Ctx;
use crate::cli::args::{boolean, env};
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::listing::{self, Layout, Style};
use crate::cli::ui::template::Data;
use crate::engine::secrets::{self, MAX_VALUE, Secret, SecretOptions};
use crate::model::units::human_duration;

/// Flags of `secret create`.
#[derive(clap::Args)]
struct CreateArgs {
    /// Driver: file, pass (files for gpg), shell (commands)
    #[arg(short, long, value_name = "NAME")]
    driver: Option<String>,
    /// Options of the driver: root, key, gpghomedir (pass); store, lookup, delete, list (shell)
    #[arg(long, value_name = "KEY=VALUE")]
    driver_opts: Vec<String>,
    /// The second argument is the name of a variable that holds the value
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = boolean,
          value_name = "BOOL")]
    env: Option<bool>,
    /// One of that name is no error, and stays as it is
    #[arg(long)]
    ignore: bool,
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Replace one of that name
    #[arg(long)]
    replace: bool,
    /// Name
    #[arg(required = true, value_name = "NAME", hide = true)]
    name: String,
    /// File, - for stdin, or variable
    #[arg(value_name = "FILE", hide = true)]
    source: Option<String>,
}

/// Flags of `secret ls`.
#[derive(clap::Args)]
struct LsArgs {
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template: json, table, table TEMPLATE, TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not print the titles
    #[arg(short, long)]
    noheading: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
}

/// Flags of `secret inspect`.
#[derive(clap::Args)]
struct InspectArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// As lines for people
    #[arg(long)]
    pretty: bool,
    /// With the value
    #[arg(long)]
    showsecret: bool,
    /// Secrets
    #[arg(required = true, value_name = "SECRET", hide = true)]
    names: Vec<String>,
}

/// Flags of `secret rm`.
#[derive(clap::Args)]
struct RmArgs {
    /// All secrets
    #[arg(short, long)]
    all: bool,
    /// What does not exist is no error
    #[arg(short, long)]
    ignore: bool,
    /// Secrets
    #[arg(value_name = "SECRET", hide = true)]
    names: Vec<String>,
}

/// A secret's name alone.
#[derive(clap::Args)]
struct NameArg {
    /// Secret
    #[arg(required = true, value_name = "SECRET", hide = true)]
    name: String,
}

pub(super) const CREATE: Def = def!(
    CreateArgs,
    create,
    Section::Secrets,
    ["secret create"],
    "[OPTIONS] NAME [FILE|-]",
    "Create a secret from a file or stdin"
);
pub(super) const LS: Def =
    def!(LsArgs, ls, Section::Secrets, ["secret ls", "secret list"], "[OPTIONS]", "List secrets");
pub(super) const INSPECT: Def = def!(
    InspectArgs,
    inspect,
    Section::Secrets,
    ["secret inspect"],
    "[OPTIONS] SECRET [SECRET...]",
    "Show all that is known of secrets"
);
pub(super) const RM: Def = def!(
    RmArgs,
    rm,
    Section::Secrets,
    ["secret rm", "secret remove"],
    "[OPTIONS] SECRET [SECRET...]",
    "Remove secrets"
);
pub(super) const EXISTS: Def = def!(
    NameArg,
    exists,
    Section::Secrets,
    ["secret exists"],
    "SECRET",
    "Tell by the exit code whether a secret exists"
);

const LAYOUT: Layout = Layout {
    titles: &[
        ("ID", "ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("CreatedAt", "CREATED"),
        ("UpdatedAt", "UPDATED"),
        ("Labels", "LABELS"),
    ],
    further: &[],
    columns: &["ID", "Name", "Driver", "CreatedAt", "UpdatedAt"],
};

fn create(args: CreateArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.ignore && args.replace && ctx.manner == Manner::Podman {
        return Err(Failure::usage("cannot use --ignore and --replace flags together"));
    }
    let value = if args.env == Some(true) {
        let name = args.source.unwrap_or_default();
        let value = std::env::var_os(&name).ok_or_else(|| {
            Failure::new(format!("cannot create a secret: the variable {name:?} is not set"))
        })?;
        std::os::unix::ffi::OsStringExt::into_vec(value)
    } else {
        read(args.source.as_deref())?
    };
    let options = SecretOptions {
        driver: args.driver,
        driver_options: options_of(&args.driver_opts)?,
        labels: env::labels(&[], &args.label)?,
        replace: args.replace,
        ignore: args.ignore,
    };
    ui.line(secrets::create(ctx.engine()?, &args.name, &value, &options)?.id);
    Ok(Exit::OK)
}

/// `KEY=VALUE`, several with commas between them, as podman splits them: a command with a comma stands in quotes.
fn options_of(all: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut options: Vec<(String, String)> = Vec::new();
    for text in all {
        for field in fields(text) {
            let (key, value) = field.split_once('=').ok_or_else(|| {
                Failure::usage(format!("invalid argument {text:?} for \"--driver-opts\" flag: {field} must be formatted as key=value"))
            })?;
            options.retain(|(k, _)| k != key);
            options.push((key.to_owned(), value.to_owned()));
        }
    }
    Ok(options)
}

/// The parts between commas; those within double quotes are text, as is all of what has one `=` only.
fn fields(text: &str) -> Vec<String> {
    if text.matches('=').count() == 1 {
        return vec![text.trim_matches('"').to_owned()];
    }
    let (mut all, mut quoted) = (vec![String::new()], false);
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            other => all.last_mut().expect("there is one from the start").push(other),
        }
    }
    all
}

/// The value, one byte more than is allowed at most: a device that never ends is no secret.
fn read(path: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let most = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX) + 1;
    let source = path.unwrap_or("-");
    let fail = |e: std::io::Error| Failure::new(format!("reading the secret from {source}: {e}"));
    match path.filter(|p| *p != "-") {
        None => std::io::stdin().lock().take(most).read_to_end(&mut value),
        Some(path) => std::fs::File::open(path).map_err(fail)?.take(most).read_to_end(&mut value),
    }
    .map_err(fail)?;
    Ok(value)
}

fn ls(args: LsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let all = secrets::ls(ctx.engine()?, &args.filter)?;
    if args.quiet && args.format.is_none() {
        for secret in &all {
            ui.line(&secret.id);
        }
        return Ok(Exit::OK);
    }
    if super::podman_json::is_wanted(ctx, args.format.as_deref()) {
        super::podman_json::show(ui, all.iter().map(|s| row(s).value).collect());
        return Ok(Exit::OK);
    }
    let rows: Vec<Data> = all.iter().map(row).collect();
    let style = Style { format: args.format.as_deref(), no_heading: args.noheading };
    listing::show(ui, &LAYOUT, style, &rows)?;
    Ok(Exit::OK)
}

fn row(s: &Secret) -> Data {
    let value = json!({
        "ID": s.id,
        "Name": s.name,
        "Driver": s.driver,
        "CreatedAt": ago(s.created),
        "UpdatedAt": ago(s.updated),
        "Labels": listing::labels_text(&s.labels),
    });
    Data { value, lookups: listing::label_lookup(&s.labels) }
}

fn ago(then: jiff::Timestamp) -> String {
    let seconds = jiff::Timestamp::now().duration_since(then).as_secs().try_into().unwrap_or(0);
    format!("{} ago", human_duration(std::time::Duration::from_secs(seconds)))
}

fn inspect(args: InspectArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let engine = ctx.engine()?;
    let get = |name: &str| secrets::inspect(engine, name, args.showsecret);
    if !args.pretty {
        return super::inspect::show(ui, args.format.as_deref(), &args.names, get);
    }
    if args.format.is_some() {
        return Err(Failure::usage(
            "conflicting options: --format is incompatible with human friendly format",
        ));
    }
    for name in &args.names {
        let s = get(name)?;
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        ui.line(format_args!("ID:              {}", text(&s["ID"])));
        ui.line(format_args!("Name:            {}", text(&s["Spec"]["Name"])));
        if let Some(labels) = s["Spec"]["Labels"].as_object().filter(|l| !l.is_empty()) {
            ui.line("Labels:");
            for (key, value) in labels {
                ui.line(format_args!(" - {key}={}", text(value)));
            }
        }
        ui.line(format_args!("Driver:          {}", text(&s["Spec"]["Driver"]["Name"])));
        ui.line(format_args!("Created at:      {}", text(&s["CreatedAt"])));
        ui.line(format_args!("Updated at:      {}", text(&s["UpdatedAt"])));
        if args.showsecret {
            ui.line(format_args!("Secret:          {}", text(&s["SecretData"])));
        }
    }
    Ok(Exit::OK)
}

fn rm(args: RmArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    if args.names.is_empty() && !args.all {
        return Err(Failure::new("'rcon secret rm' requires at least 1 argument"));
    }
    let mut each = Each::new(ui);
    secrets::rm(ctx.engine()?, &args.names, args.all, args.ignore, &mut |done| {
        each.show(done, |_, id| id.clone());
    })?;
    Ok(each.exit())
}

fn exists(args: NameArg, ctx: &Ctx, _ui: &mut Ui) -> Outcome {
    Ok(if secrets::exists(ctx.engine()?, &args.name)? { Exit::OK } else { Exit::NO })
}
