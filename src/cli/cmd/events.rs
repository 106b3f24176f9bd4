//! `rcon events`.

use serde_json::{Map, Value, json};

use crate::cli::Ctx;
use crate::cli::def::{Def, Section, def};
use crate::cli::exit::{Exit, Failure, Manner, Outcome};
use crate::cli::ui::Ui;
use crate::cli::ui::template::{Data, Template, TemplateError};
use crate::engine::events::EventsOptions;
use crate::model::event::Event;

/// Flags of `events`.
#[derive(clap::Args)]
struct EventsArgs {
    /// Show those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format with a Go template, or json
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Wait for further ones (default true)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    stream: Option<bool>,
    /// Do not cut ids
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::args::boolean, value_name = "BOOL")]
    no_trunc: Option<bool>,
}

pub(super) const DEF: Def = def!(
    EventsArgs,
    run,
    Section::System,
    ["events", "system events"],
    "[OPTIONS]",
    "Show what happens, as it happens"
);

fn run(args: EventsArgs, ctx: &Ctx, ui: &mut Ui) -> Outcome {
    let options = EventsOptions {
        since: args.since.as_deref().map(super::time).transpose()?,
        until: args.until.as_deref().map(|text| super::until(text, ctx)).transpose()?,
        filters: args.filter,
        stream: args.stream.unwrap_or(true),
    };
    let template = match args.format.as_deref() {
        None | Some("" | "json") => None,
        Some(text) => {
            let text = text.replace("\\t", "\t").replace("\\n", "\n");
            Some(Template::parse(&text).map_err(|e| bad_format(e, ctx.manner))?)
        }
    };
    if let (Some(since), Some(until)) = (options.since, options.until)
        && since > until
    {
        return Err(Failure::new(format!("`since` time ({since}) cannot be after `until` time ({until})")));
    }
    if let Some(template) = &template {
        known_fields(template).map_err(|e| bad_format(e, ctx.manner))?;
    }
    let podman = ctx.manner == Manner::Podman;
    let as_json = args.format.as_deref() == Some("json");
    let mut failure: Option<Failure> = None;
    crate::engine::events::events(ctx.engine()?, &options, &mut |event| {
        let event = if podman { as_podman(event) } else { event };
        match (&template, as_json) {
            (None, false) => ui.line(text(&event, args.no_trunc != Some(false), podman)),
            (None, true) => ui.line(value(&event)),
            (Some(template), _) => match template.execute(&data(&event)) {
                Ok(line) => ui.line(line),
                Err(e) => failure = Some(e.into()),
            },
        }
        ui.flush();
        failure.is_none() && !ui.closed()
    })?;
    failure.map_or(Ok(Exit::OK), Err)
}

/// docker has a sentence and an exit code of its own for a template of `events`.
fn bad_format(e: TemplateError, manner: Manner) -> Failure {
    let failure = Failure::from(e);
    match (manner, failure.message.strip_prefix("template parsing error: ")) {
        (Manner::Docker, Some(why)) => {
            let message = format!("Error parsing format: {why}");
            Failure { message, ..failure }.code(64)
        }
        _ => failure,
    }
}

/// A field that no event has is told of at once, not with the first event.
fn known_fields(template: &Template) -> Result<(), TemplateError> {
    let some = Event::now("", "", &"0".repeat(64), Vec::new());
    match template.execute(&data(&some)) {
        Err(e) if e.is_unknown_field() => Err(e),
        _ => Ok(()),
    }
}

/// podman's words for what happened, and to what.
fn as_podman(mut event: Event) -> Event {
    let word = match (event.kind.as_str(), event.action.as_str()) {
        ("container", "die") => "died",
        ("container", "exec_die") => "exec_died",
        ("container", action) if action.starts_with("exec_start: ") => "exec",
        ("image", "load") => "loadfromarchive",
        ("container" | "volume" | "network", "destroy") | ("image", "delete") => "remove",
        (_, same) => same,
    };
    event.action = word.to_owned();
    match (event.kind.as_str(), event.action.as_str()) {
        ("image", _) => {
            let id = if event.image.is_empty() { &event.id } else { &event.image };
            event.id = id.trim_start_matches("sha256:").to_owned();
        }
        ("network", "connect" | "disconnect") => {
            event.id = attribute(&event, "container");
            event.attributes.retain(|(name, _)| name != "type");
        }
        _ => {}
    }
    event
}

/// A line of text; `whole` ids are not cut.
fn text(event: &Event, whole: bool, podman: bool) -> String {
    let at = event.time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z");
    let id = if whole { event.id.as_str() } else { event.id.get(..12).unwrap_or(&event.id) };
    let start = format!("{at} {} {}", event.kind, event.action);
    match event.kind.as_str() {
        "image" if podman => format!("{start} {id} {}", attribute(event, "name")),
        "volume" if podman => format!("{start} {}", event.id),
        "secret" if podman => format!("{start} {id}"),
        _ => format!("{start} {id}{}", list(event, podman)),
    }
}

/// docker's attributes, sorted by name; podman's begin with image and name.
fn list(event: &Event, podman: bool) -> String {
    let mut attributes: Vec<String> = event.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let first = |a: &str| podman && (a.starts_with("image=") || a.starts_with("name="));
    match event.kind.as_str() {
        "network" => attributes.sort_unstable(),
        _ => attributes.sort_unstable_by(|a, b| (!first(a), a).cmp(&(!first(b), b))),
    }
    if attributes.is_empty() { String::new() } else { format!(" ({})", attributes.join(", ")) }
}

fn attribute(event: &Event, name: &str) -> String {
    event.attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone()).unwrap_or_default()
}

/// docker's JSON of an event.
fn value(event: &Event) -> Value {
    let attributes: Map<String, Value> =
        event.attributes.iter().map(|(k, v)| (k.clone(), Value::from(v.clone()))).collect();
    json!({
        "status": event.action,
        "id": event.id,
        "from": attribute(event, "image"),
        "Type": event.kind,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": attributes},
        "scope": "local",
        "time": event.time.as_second(),
        "timeNano": i64::try_from(event.time.as_nanosecond()).unwrap_or(i64::MAX),
    })
}

/// The JSON with docker's and podman's names for templates.
fn data(event: &Event) -> Data {
    let mut all = value(event);
    if let Value::Object(map) = &mut all {
        map.insert("Status".to_owned(), event.action.clone().into());
        map.insert("ID".to_owned(), event.id.clone().into());
        map.insert("Time".to_owned(), event.time.as_second().into());
        map.insert("TimeNano".to_owned(), map["timeNano"].clone());
        map.insert("Name".to_owned(), attribute(event, "name").into());
        map.insert("Image".to_owned(), attribute(event, "image").into());
        map.insert("From".to_owned(), attribute(event, "image").into());
        let code = attribute(event, "exitCode").parse::<i64>().map_or(Value::Null, Value::from);
        map.insert("ContainerExitCode".to_owned(), code);
        map.insert("HealthStatus".to_owned(), attribute(event, "health_status").into());
        map.insert("HealthFailingStreak".to_owned(), attribute(event, "health_failing_streak").into());
        map.insert("HealthLog".to_owned(), attribute(event, "health_log").into());
        let network = if event.kind == "network" { attribute(event, "name") } else { String::new() };
        map.insert("Network".to_owned(), network.into());
        map.insert("ContainerInspectData".to_owned(), event.inspect.clone().unwrap_or_default().into());
        let attributes = map["Actor"]["Attributes"].clone();
        map.insert("Attributes".to_owned(), attributes);
    }
    Data::from(all)
}
