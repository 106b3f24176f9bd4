//! Executes the tree over a value.

use serde_json::Value;

use super::parse::{Kind, Node, Operand, Pipeline};
use super::{Data, Place, TemplateError, funcs};

/// A value, or the lack of one (`<no value>`).
pub(super) type Val = Option<Value>;

/// One execution.
pub(super) struct Eval<'a> {
    data: &'a Data,
    titles: bool,
    podman: bool,
    variables: Vec<(String, Val)>,
    out: String,
}

/// How a list of nodes ended.
#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// Objects whose keys are the user's: a missing key is no mistake in the template.
const OPEN: [&str; 23] = [
    "Attributes",
    "Labels",
    "Annotations",
    "Ports",
    "Networks",
    "PortBindings",
    "ExposedPorts",
    "Volumes",
    "Options",
    "Sysctls",
    "Tmpfs",
    "StorageOpt",
    "Config",
    "DriverOpts",
    "GraphDriver",
    "Data",
    "Label",
    "labels",
    "Status",
    "UsageData",
    "Containers",
    "History",
    "Health",
];

/// How Go prints what is behind a field where the JSON alone does not tell: pointers and maps that are nil, durations.
fn typed_text(pipeline: &Pipeline, value: &Value, podman: bool) -> Option<String> {
    let [command] = pipeline.commands.as_slice() else { return None };
    let [Operand::Field(path, _) | Operand::Variable(_, path)] = command.as_slice() else { return None };
    let nil = || value.is_null();
    match path.last()?.as_str() {
        "Interval" | "Timeout" | "StartPeriod" | "StartInterval"
            if path.iter().rev().nth(1).is_some_and(|p| p == "Healthcheck" || p == "StartupHealthCheck") =>
        {
            Some(funcs::go_duration(value.as_u64()?))
        }
        "Healthcheck" if value.is_object() => Some(health_check(value, podman)),
        "Client" | "Health" | "Healthcheck" | "SizeRootFs" | "SizeRw" | "StopTimeout" | "Init"
        | "MemorySwappiness" | "PidsLimit" | "BindOptions" | "VolumeOptions" | "TmpfsOptions"
        | "IPAMConfig" => nil().then(|| "<nil>".to_owned()),
        "Labels" | "Options" | "Volumes" | "ExposedPorts" | "Sysctls" | "Tmpfs" | "DriverOpts"
        | "Annotations" | "StorageOpt" => nil().then(|| "map[]".to_owned()),
        _ => None,
    }
}

/// A health check as the structure that it is in Go; docker's and podman's have their fields in another order.
fn health_check(value: &Value, podman: bool) -> String {
    let fields = match podman {
        true => ["StartPeriod", "StartInterval", "Interval", "Timeout"],
        false => ["Interval", "Timeout", "StartPeriod", "StartInterval"],
    };
    let number = |key: &str| value.get(key).and_then(Value::as_u64).unwrap_or(0);
    let test = funcs::print(&value.get("Test").cloned());
    let durations = fields.map(|key| funcs::go_duration(number(key)));
    format!("{{{test} {} {}}}", durations.join(" "), number("Retries"))
}

impl<'a> Eval<'a> {
    pub(super) fn new(data: &'a Data, titles: bool) -> Self {
        Self { data, titles, podman: false, variables: Vec::new(), out: String::new() }
    }

    pub(super) fn podmans(self, podman: bool) -> Self {
        Self { podman, ..self }
    }

    pub(super) fn run(mut self, nodes: &[Node]) -> Result<String, TemplateError> {
        self.list(nodes, Some(&self.data.value))?;
        Ok(self.out)
    }

    fn list(&mut self, nodes: &[Node], dot: Option<&Value>) -> Result<Flow, TemplateError> {
        for node in nodes {
            match node {
                Node::Text(text) => self.out.push_str(text),
                Node::Break => return Ok(Flow::Break),
                Node::Continue => return Ok(Flow::Continue),
                Node::Action(pipeline) => {
                    let value = self.pipeline(pipeline, dot)?;
                    if pipeline.variables.is_empty() {
                        let typed = value.as_ref().and_then(|v| typed_text(pipeline, v, self.podman));
                        self.out.push_str(&typed.unwrap_or_else(|| funcs::print(&value)));
                    }
                }
                Node::Block { kind, pipeline, body, otherwise } => {
                    // Variables made inside end with the block.
                    let depth = self.variables.len();
                    let flow = self.block(*kind, pipeline, (body, otherwise), dot)?;
                    self.variables.truncate(depth);
                    if flow != Flow::Next {
                        return Ok(flow);
                    }
                }
            }
        }
        Ok(Flow::Next)
    }

    fn block(
        &mut self,
        kind: Kind,
        pipeline: &Pipeline,
        (body, otherwise): (&[Node], &[Node]),
        dot: Option<&Value>,
    ) -> Result<Flow, TemplateError> {
        if kind == Kind::Range {
            return self.range(pipeline, (body, otherwise), dot);
        }
        let value = self.pipeline(pipeline, dot)?;
        match (funcs::truth(&value), kind) {
            (true, Kind::With) => self.list(body, value.as_ref()),
            (true, _) => self.list(body, dot),
            (false, _) => self.list(otherwise, dot),
        }
    }

    fn range(
        &mut self,
        pipeline: &Pipeline,
        (body, otherwise): (&[Node], &[Node]),
        dot: Option<&Value>,
    ) -> Result<Flow, TemplateError> {
        let plain = Pipeline { variables: Vec::new(), ..pipeline.clone() };
        let items = items(self.pipeline(&plain, dot)?)?;
        if items.is_empty() {
            return self.list(otherwise, dot);
        }
        for (key, item) in items {
            let depth = self.variables.len();
            match pipeline.variables.as_slice() {
                [] => {}
                [one] => self.set(one, Some(item.clone()), pipeline.assign)?,
                [index, one, ..] => {
                    self.set(index, Some(key), pipeline.assign)?;
                    self.set(one, Some(item.clone()), pipeline.assign)?;
                }
            }
            let flow = self.list(body, Some(&item))?;
            self.variables.truncate(depth);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn set(&mut self, name: &str, value: Val, assign: bool) -> Result<(), TemplateError> {
        if !assign {
            self.variables.push((name.to_owned(), value));
            return Ok(());
        }
        match self.variables.iter_mut().rev().find(|(n, _)| n == name) {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => Err(TemplateError::Parse(format!("undefined variable \"${name}\""))),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: Option<&Value>) -> Result<Val, TemplateError> {
        let mut value: Option<Val> = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, value, dot)?);
        }
        let value = value.unwrap_or_default();
        if let [name] = pipeline.variables.as_slice() {
            self.set(name, value.clone(), pipeline.assign)?;
        }
        Ok(value)
    }

    /// One command; `last` is the value of the command before it.
    fn command(
        &mut self,
        words: &[Operand],
        last: Option<Val>,
        dot: Option<&Value>,
    ) -> Result<Val, TemplateError> {
        let (head, tail) = words.split_first().ok_or_else(|| TemplateError::run("empty command"))?;
        if let Operand::Function(name) = head {
            // `and` and `or` stop at the first argument that decides.
            if matches!(name.as_str(), "and" | "or") {
                return self.decide(name == "or", tail, last, dot);
            }
            let mut args = tail.iter().map(|w| self.operand(w, dot)).collect::<Result<Vec<_>, _>>()?;
            args.extend(last);
            if self.titles && funcs::formats(name) {
                return Ok(args.into_iter().rfind(Option::is_some).flatten());
            }
            return funcs::call(name, args);
        }
        if tail.is_empty() && last.is_none() {
            return self.operand(head, dot);
        }
        // A field with an argument is a table that is asked: `.Label "x"`.
        if let Operand::Field(path, _) = head
            && let [name] = path.as_slice()
            && let Some(table) = self.data.lookups.get(name)
        {
            let mut args = tail.iter().map(|w| self.operand(w, dot)).collect::<Result<Vec<_>, _>>()?;
            args.extend(last);
            if self.titles {
                return Ok(args.into_iter().next().flatten());
            }
            let key = args.first().map(funcs::print).unwrap_or_default();
            return Ok(Some(table.get(&key).cloned().unwrap_or_else(|| Value::from(""))));
        }
        Err(TemplateError::run(format!("can't give argument to non-function {}", spell(head))))
    }

    fn decide(
        &mut self,
        stop_at: bool,
        words: &[Operand],
        last: Option<Val>,
        dot: Option<&Value>,
    ) -> Result<Val, TemplateError> {
        let mut value = None;
        for word in words {
            value = self.operand(word, dot)?;
            if funcs::truth(&value) == stop_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// `.Labels.key`: docker's `.Labels` is a text, podman's a map; both work.
    fn label(&self, path: &[String], dot: Option<&Value>) -> Option<Value> {
        let [labels, key @ ..] = path else { return None };
        let is_text = dot.is_some_and(|d| d.get("Labels").is_some_and(Value::is_string));
        if labels != "Labels" || key.is_empty() || !is_text {
            return None;
        }
        let key = key.join(".");
        if self.titles {
            return Some(Value::from(key));
        }
        let known = self.data.lookups.get("Label").and_then(|table| table.get(&key)).cloned();
        Some(known.unwrap_or_else(|| Value::from("<no value>")))
    }

    fn operand(&mut self, word: &Operand, dot: Option<&Value>) -> Result<Val, TemplateError> {
        match word {
            Operand::Literal(value) => Ok(Some(value.clone())),
            Operand::Nil => Ok(None),
            Operand::Function(name) => funcs::call(name, Vec::new()),
            Operand::Field(path, at) => match self.label(path, dot) {
                Some(label) => Ok(Some(label)),
                None => walk(dot, path).map_err(|e| e.at(spell(word), *at)),
            },
            Operand::Variable(name, path) => match self.variables.iter().rev().find(|(n, _)| n == name) {
                Some((_, value)) => walk(value.as_ref(), path),
                // `$` alone is the whole.
                None if name.is_empty() => walk(Some(&self.data.value), path),
                None => Err(TemplateError::Parse(format!("undefined variable \"${name}\""))),
            },
            Operand::Group(inner, path) => {
                let value = self.pipeline(inner, dot)?;
                walk(value.as_ref(), path)
            }
        }
    }
}

fn spell(word: &Operand) -> String {
    match word {
        Operand::Field(path, _) => format!(".{}", path.join(".")),
        Operand::Variable(name, path) => format!("${name}.{}", path.join(".")),
        Operand::Literal(value) => value.to_string(),
        Operand::Nil => "nil".to_owned(),
        Operand::Function(name) => name.clone(),
        Operand::Group(..) => "(…)".to_owned(),
    }
}

/// Fields that docker leaves out of its JSON where there is nothing to tell: templates ask for them all the same
/// (`{{if .State.Health}}`), so they are null rather than unknown.
const OPTIONAL: &[&str] = &[
    "BindOptions",
    "ExposedPorts",
    "Health",
    "Healthcheck",
    "MacAddress",
    "Mounts",
    "NetworkDisabled",
    "Shell",
    "SizeRootFs",
    "SizeRw",
    "StopTimeout",
    "TmpfsOptions",
    "VolumeOptions",
];

/// Goes down `path` from `value`; only what is found is copied.
fn walk(value: Option<&Value>, path: &[String]) -> Result<Val, TemplateError> {
    let mut value = value;
    let mut open = false;
    for name in path {
        value = match value {
            None => return Ok(None),
            Some(Value::Null) => {
                return Err(TemplateError::run(format!("nil pointer evaluating .{name}")));
            }
            Some(Value::Object(map)) => match map.get(name) {
                Some(found) => Some(found),
                None => match map.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)) {
                    Some((_, found)) => Some(found),
                    None if open => None,
                    // A mount has a name only if it is a volume.
                    None if name == "Name" && map.contains_key("Destination") => {
                        static NO_NAME: Value = Value::String(String::new());
                        Some(&NO_NAME)
                    }
                    None if OPTIONAL.contains(&name.as_str()) => {
                        // podman's older word for the same.
                        let other = if name == "Healthcheck" { map.get("Health") } else { None };
                        Some(other.unwrap_or(&Value::Null))
                    }
                    None => {
                        return Err(TemplateError::Run {
                            place: Place::default(),
                            message: format!("can't evaluate field {name}"),
                            known: map.keys().cloned().collect(),
                        });
                    }
                },
            },
            Some(other) => {
                return Err(TemplateError::run(format!(
                    "can't evaluate field {name} in {}",
                    funcs::type_name(other)
                )));
            }
        };
        open = OPEN.contains(&name.as_str());
    }
    Ok(value.cloned())
}

/// What `range` goes through: keys or indices with elements.
fn items(value: Val) -> Result<Vec<(Value, Value)>, TemplateError> {
    Ok(match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.into_iter().enumerate().map(|(i, v)| (Value::from(i), v)).collect(),
        Some(Value::Object(map)) => {
            let mut all: Vec<(String, Value)> = map.into_iter().collect();
            all.sort_by(|a, b| a.0.cmp(&b.0));
            all.into_iter().map(|(k, v)| (Value::from(k), v)).collect()
        }
        Some(Value::Number(n)) if n.is_u64() => {
            (0..n.as_u64().unwrap_or(0)).map(|i| (Value::from(i), Value::from(i))).collect()
        }
        Some(other) => {
            return Err(TemplateError::run(format!(
                "range can't iterate over {}",
                funcs::print(&Some(other))
            )));
        }
    })
}
