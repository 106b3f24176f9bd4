//! `rcon version`.

use serde_json::Value;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::template::{Data, Template};

/// Flags of `version`.
#[derive(clap::Args)]
struct VersionArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

pub(super) const DEF: Def =
    def!(VersionArgs, run, Section::System, ["version"], "[OPTIONS]", "Show the version");

fn run(args: VersionArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let value = crate::engine::system::version(ctx.engine()?);
    match args.format.as_deref() {
        None | Some("") => ui.text(&text(&value)),
        Some("json") => ui.line(value),
        Some(template) => ui.line(Template::parse(template)?.execute(&Data::from(value))?),
    }
    Ok(Exit::OK)
}

/// docker's layout: a block for the client and one for the server, which are one program here.
fn text(value: &Value) -> String {
    let mut out = String::new();
    for (title, key) in [("Client: rcon", "Client"), ("Server: rcon (the same program)", "Server")] {
        let Some(Value::Object(fields)) = value.get(key) else { continue };
        out.push_str(&format!("{title}\n"));
        for (name, field) in fields {
            if field.is_object() || field.is_array() || field.is_null() {
                continue;
            }
            let text = field.as_str().map_or_else(|| field.to_string(), str::to_owned);
            out.push_str(&format!(" {:<18} {text}\n", format!("{}:", spaced(name))));
        }
    }
    out
}

/// `APIVersion` as "API version".
fn spaced(name: &str) -> String {
    match name {
        "ApiVersion" | "APIVersion" => "API version".to_owned(),
        "GitCommit" => "Git commit".to_owned(),
        "GoVersion" => "Go version".to_owned(),
        "BuildTime" => "Built".to_owned(),
        "OsArch" => "OS/Arch".to_owned(),
        "MinAPIVersion" => "Minimum API version".to_owned(),
        "KernelVersion" => "Kernel version".to_owned(),
        other => other.to_owned(),
    }
}
