//! `rcon info`.

use serde_json::{Map, Value};

use super::podman_json;
use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::template::{Data, Template};
use crate::cli::ui::yaml;

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
    match args.format.as_deref().map(str::trim) {
        None | Some("") if ctx.manner == Manner::Podman => ui.text(&yaml::document(&podmans(&value))),
        None | Some("") => ui.text(&text(&value)),
        Some(format) if podman_json::means_all(ctx, format) => ui.line(value),
        Some(template) => ui.line(Template::parse(template)?.execute(&Data::from(value))?),
    }
    Ok(Exit::OK)
}

/// The parts that podman's `info` has.
fn podmans(value: &Value) -> Value {
    let parts = ["host", "plugins", "registries", "store", "version"];
    parts.into_iter().map(|part| (part.to_owned(), value[part].clone())).collect::<Map<_, _>>().into()
}

/// docker's layout. What only podman's users ask for is in the templates and in json.
fn text(value: &Value) -> String {
    let mut out = String::from("Client: rcon\n");
    for (name, key) in [("Version", "Version"), ("Context", "Context"), ("Debug Mode", "Debug")] {
        fact(&mut out, 1, name, &value["ClientInfo"][key]);
    }
    out.push_str("\nServer: rcon (the same program)\n");
    fact(&mut out, 1, "Containers", &value["Containers"]);
    for (name, key) in
        [("Running", "ContainersRunning"), ("Paused", "ContainersPaused"), ("Stopped", "ContainersStopped")]
    {
        fact(&mut out, 2, name, &value[key]);
    }
    fact(&mut out, 1, "Images", &value["Images"]);
    fact(&mut out, 1, "Server Version", &value["ServerVersion"]);
    fact(&mut out, 1, "Storage Driver", &value["Driver"]);
    for pair in value["DriverStatus"].as_array().into_iter().flatten() {
        fact(&mut out, 2, pair[0].as_str().unwrap_or_default(), &pair[1]);
    }
    for (name, key) in [
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    ] {
        fact(&mut out, 1, name, &value[key]);
    }
    out.push_str(" Plugins:\n");
    for kind in ["Volume", "Network", "Log"] {
        fact(&mut out, 2, kind, &value["Plugins"][kind]);
    }
    fact(&mut out, 1, "Swarm", &value["Swarm"]["LocalNodeState"]);
    let runtimes: Vec<&str> =
        value["Runtimes"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    fact(&mut out, 1, "Runtimes", &runtimes.join(" ").into());
    fact(&mut out, 1, "Default Runtime", &value["DefaultRuntime"]);
    fact(&mut out, 1, "Init Binary", &value["InitBinary"]);
    out.push_str(" Security Options:\n");
    for option in value["SecurityOptions"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        security(&mut out, option);
    }
    host(&mut out, value);
    for warning in value["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        out.push_str(&format!("{warning}\n"));
    }
    out
}

fn host(out: &mut String, value: &Value) {
    let memory = value["MemTotal"].as_f64().map(|bytes| format!("{:.2}GiB", bytes / f64::from(1 << 30)));
    for (name, fact_value) in [
        ("Kernel Version", value["KernelVersion"].clone()),
        ("Operating System", value["OperatingSystem"].clone()),
        ("OSType", value["OSType"].clone()),
        ("Architecture", value["Architecture"].clone()),
        ("CPUs", value["NCPU"].clone()),
        ("Total Memory", memory.into()),
        ("Name", value["Name"].clone()),
        ("ID", value["ID"].clone()),
        ("Docker Root Dir", value["DockerRootDir"].clone()),
        ("Debug Mode", value["Debug"].clone()),
        ("HTTP Proxy", value["HttpProxy"].clone()),
        ("HTTPS Proxy", value["HttpsProxy"].clone()),
        ("No Proxy", value["NoProxy"].clone()),
        ("Experimental", value["ExperimentalBuild"].clone()),
    ] {
        fact(out, 1, name, &fact_value);
    }
    out.push_str(" Insecure Registries:\n");
    for range in value["RegistryConfig"]["InsecureRegistryCIDRs"].as_array().into_iter().flatten() {
        out.push_str(&format!("  {}\n", range.as_str().unwrap_or_default()));
    }
    fact(out, 1, "Live Restore Enabled", &value["LiveRestoreEnabled"]);
}

/// `name=seccomp,profile=builtin` as a name with what belongs to it below.
fn security(out: &mut String, option: &str) {
    for word in option.split(',') {
        match word.split_once('=') {
            Some(("name", name)) => out.push_str(&format!("  {name}\n")),
            Some((key, text)) => {
                let (first, rest) = key.split_at(key.len().min(1));
                out.push_str(&format!("   {}{rest}: {text}\n", first.to_uppercase()));
            }
            None => out.push_str(&format!("  {word}\n")),
        }
    }
}

/// One line; nothing for what is empty.
fn fact(out: &mut String, depth: usize, name: &str, value: &Value) {
    let text = match value {
        Value::Null => return,
        Value::String(s) => s.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    if !text.is_empty() {
        out.push_str(&format!("{}{name}: {text}\n", " ".repeat(depth)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_fact_as_docker_has_it() {
        let value = serde_json::json!({
            "Containers": 3, "ContainersRunning": 2, "ContainersPaused": 0, "ContainersStopped": 1,
            "Driver": "overlay2", "DriverStatus": [["Supports d_type", "true"]], "MemTotal": 25_276_502_016_u64,
            "Plugins": {"Network": ["bridge", "host"]}, "Runtimes": {"rcon": {}}, "HttpProxy": "",
            "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        });
        let text = text(&value);
        for line in [
            " Containers: 3\n  Running: 2\n  Paused: 0\n  Stopped: 1\n",
            " Storage Driver: overlay2\n  Supports d_type: true\n",
            "  Network: bridge host\n",
            " Runtimes: rcon\n",
            "  seccomp\n   Profile: builtin\n  cgroupns\n",
            " Total Memory: 23.54GiB\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(!text.contains("Proxy"), "{text}");
    }
}
