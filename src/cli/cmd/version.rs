//! `rcon version`.

use serde_json::Value;

use super::podman_json;
use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Manner, Outcome};
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
    let mut value = crate::engine::system::version(ctx.engine()?);
    if ctx.manner == Manner::Podman {
        // podman's client is all there is, and its fields need no `Client`.
        let client = value["Client"].clone();
        for (key, field) in client.as_object().into_iter().flatten() {
            value[key.as_str()] = field.clone();
        }
    }
    match args.format.as_deref().map(str::trim) {
        None | Some("") if ctx.manner == Manner::Podman => ui.text(&podman_text(&value["Client"])),
        None | Some("") => ui.text(&text(&value)),
        Some(format) if podman_json::means_all(ctx, format) => ui.line(value),
        Some(template) => ui.line(Template::parse(template)?.execute(&Data::from(value))?),
    }
    Ok(Exit::OK)
}

/// podman's layout.
fn podman_text(client: &Value) -> String {
    let line = |(title, key): &(&str, &str)| {
        let text = client[*key].as_str().filter(|t| !t.is_empty())?;
        Some(format!("{title:<13}{text}\n"))
    };
    let lines = [
        ("Version:", "Version"),
        ("API Version:", "Version"),
        ("Built:", "BuildTime"),
        ("OS/Arch:", "OsArch"),
    ];
    let head = String::from("Client:       rcon, called podman\n");
    lines.iter().filter_map(line).fold(head, |all, line| all + &line)
}

/// docker's layout: a block for the client and one for the server, which are one program here.
fn text(value: &Value) -> String {
    let mut out = String::new();
    block(&mut out, "Client: rcon", &value["Client"], 1);
    out.push_str("\nServer: rcon (the same program)\n");
    block(&mut out, " Engine:", &value["Server"], 2);
    out
}

fn block(out: &mut String, title: &str, value: &Value, depth: usize) {
    out.push_str(&format!("{title}\n"));
    let indent = " ".repeat(depth);
    let api = match value["MinAPIVersion"].as_str() {
        None => value["APIVersion"].as_str().unwrap_or_default().to_owned(),
        Some(least) => {
            format!("{} (minimum version {least})", value["APIVersion"].as_str().unwrap_or_default())
        }
    };
    let fields = [
        ("Version:", value["Version"].as_str()),
        ("API version:", Some(api.as_str())),
        ("Git commit:", value["GitCommit"].as_str()),
        ("Built:", value["BuildTime"].as_str()),
        ("OS/Arch:", value["OsArch"].as_str()),
        ("Kernel version:", value["KernelVersion"].as_str()),
        ("Context:", value["Context"].as_str()),
    ];
    for (name, text) in fields {
        if let Some(text) = text.filter(|t| !t.is_empty()) {
            out.push_str(&format!("{indent}{name:<19}{text}\n"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_each_without_empty_fields() {
        let value = serde_json::json!({
            "Client": {"Version": "1.0", "APIVersion": "1.47", "GitCommit": "", "OsArch": "linux/amd64", "Context": "default"},
            "Server": {"Version": "1.0", "APIVersion": "1.47", "MinAPIVersion": "1.24", "OsArch": "linux/amd64"},
        });
        let expected = "\
Client: rcon
 Version:           1.0
 API version:       1.47
 OS/Arch:           linux/amd64
 Context:           default

Server: rcon (the same program)
 Engine:
  Version:           1.0
  API version:       1.47 (minimum version 1.24)
  OS/Arch:           linux/amd64
";
        assert_eq!(text(&value), expected);
    }
}
