//! `rcon info`.

use serde_json::Value;

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::template::{Data, Template};

/// Flags of `info`.
#[derive(clap::Args)]
struct InfoArgs {
    /// Format with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

pub(super) const DEF: Def = def!(
    InfoArgs,
    run,
    Section::System,
    ["info", "system info"],
    "[OPTIONS]",
    "Show facts about rcon and the host"
);

fn run(args: InfoArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let value = crate::engine::system::info(ctx.engine()?)?;
    match args.format.as_deref() {
        None | Some("") => {
            let mut out = String::new();
            lines(&mut out, &value, 0);
            ui.text(&out);
        }
        Some("json") => ui.line(value),
        Some(template) => ui.line(Template::parse(template)?.execute(&Data::from(value))?),
    }
    Ok(Exit::OK)
}

/// One fact per line, what belongs together indented, empty ones left out.
fn lines(out: &mut String, value: &Value, depth: usize) {
    let indent = " ".repeat(depth);
    let Value::Object(map) = value else { return };
    for (name, field) in map {
        match field {
            Value::Null => {}
            Value::Object(inner) if inner.is_empty() => {}
            Value::Object(_) => {
                out.push_str(&format!("{indent}{name}:\n"));
                lines(out, field, depth + 1);
            }
            Value::Array(list) => {
                let words: Vec<String> =
                    list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
                if !words.is_empty() {
                    out.push_str(&format!("{indent}{name}: {}\n", words.join(" ")));
                }
            }
            Value::String(s) => out.push_str(&format!("{indent}{name}: {s}\n")),
            other => out.push_str(&format!("{indent}{name}: {other}\n")),
        }
    }
}
