//! `--change`: the Dockerfile instructions that only touch the config.

use serde_json::{Map, Value, json};

use crate::engine::error::{Error, Kind};
use crate::engine::resolve::{env_merge, parse_exposed};

fn invalid(change: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, format!("invalid --change {change:?}: {why}"))
}

/// Applies instructions to an image's config, in their order.
pub(crate) fn apply_all(config: &mut Map<String, Value>, changes: &[String]) -> Result<(), Error> {
    let mut command = None;
    for change in changes {
        apply(config, change)?;
        match instruction(change).0.to_ascii_uppercase().as_str() {
            "CMD" => command = config.get("Cmd").cloned(),
            // As in a Dockerfile: it takes away the parent's Cmd, not one that was said here.
            "ENTRYPOINT" => {
                if let Some(own) = &command {
                    config.insert("Cmd".to_owned(), own.clone());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The word of an instruction and what follows it.
fn instruction(change: &str) -> (&str, &str) {
    let (word, rest) = change.trim().split_once([' ', '\t']).unwrap_or((change.trim(), ""));
    // podman also takes `CMD=…`.
    match word.split_once('=') {
        Some((w, _)) if KNOWN.contains(&w.to_ascii_uppercase().as_str()) => {
            change.trim().split_once('=').unwrap_or((word, rest))
        }
        _ => (word, rest.trim()),
    }
}

/// Applies one instruction to an image's config.
fn apply(config: &mut Map<String, Value>, change: &str) -> Result<(), Error> {
    let (word, rest) = instruction(change);
    let mut put = |key: &str, value: Value| {
        config.insert(key.to_owned(), value);
    };
    if rest.is_empty() {
        return Err(invalid(change, "it has no argument"));
    }
    match word.to_ascii_uppercase().as_str() {
        "CMD" => put("Cmd", command(rest).into()),
        "ENTRYPOINT" => {
            put("Entrypoint", command(rest).into());
            // As in a Dockerfile: a Cmd of the parent was meant for its entrypoint.
            put("Cmd", Value::Null);
        }
        "USER" => put("User", rest.into()),
        "WORKDIR" => put("WorkingDir", rest.into()),
        "HEALTHCHECK" => put("Healthcheck", health_check(change, rest)?),
        "STOPSIGNAL" => {
            crate::model::lifecycle::parse_signal(rest)?;
            put("StopSignal", rest.into());
        }
        "ENV" => env(config, change, rest)?,
        "LABEL" => {
            for (name, value) in pairs(change, rest)? {
                object(config, "Labels").insert(name, value.into());
            }
        }
        "EXPOSE" => {
            for word in rest.split_whitespace() {
                for port in parse_exposed(word)? {
                    object(config, "ExposedPorts")
                        .insert(format!("{}/{}", port.port, port.protocol), json!({}));
                }
            }
        }
        "VOLUME" => {
            for path in list(rest) {
                object(config, "Volumes").insert(path, json!({}));
            }
        }
        "ONBUILD" => match config.entry("OnBuild").or_insert_with(|| json!([])) {
            Value::Array(all) => all.push(rest.into()),
            other => *other = json!([rest]),
        },
        _ => return Err(invalid(change, &format!("use one of {}", KNOWN.join(", ")))),
    }
    Ok(())
}

const KNOWN: &[&str] = &[
    "CMD",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// `HEALTHCHECK [OPTIONS] CMD command` or `HEALTHCHECK NONE`.
fn health_check(change: &str, text: &str) -> Result<Value, Error> {
    let mut check = Map::new();
    let mut rest = text.trim();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, after) = option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let (name, value) = option.split_once('=').ok_or_else(|| invalid(change, "want --NAME=VALUE"))?;
        let key = match name {
            "interval" => "Interval",
            "timeout" => "Timeout",
            "start-period" => "StartPeriod",
            "start-interval" => "StartInterval",
            "retries" => "Retries",
            _ => return Err(invalid(change, &format!("unknown option --{name}"))),
        };
        let number = if key == "Retries" {
            let retries = value.parse::<u32>();
            retries.map_err(|_| invalid(change, "--retries wants a number"))?.into()
        } else {
            let length = crate::model::units::parse_duration(value)?;
            u64::try_from(length.as_nanos()).unwrap_or(u64::MAX).into()
        };
        check.insert(key.to_owned(), number);
        rest = after.trim_start();
    }
    let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let test: Vec<String> = match (word.to_ascii_uppercase().as_str(), after.trim()) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("CMD", after) if !after.is_empty() => match serde_json::from_str::<Vec<String>>(after) {
            Ok(words) => std::iter::once("CMD".to_owned()).chain(words).collect(),
            Err(_) => vec!["CMD-SHELL".to_owned(), after.to_owned()],
        },
        _ => return Err(invalid(change, "want CMD and a command, or NONE")),
    };
    check.insert("Test".to_owned(), test.into());
    Ok(Value::Object(check))
}

fn object<'a>(config: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = config.entry(key).or_insert_with(|| json!({}));
    if !slot.is_object() {
        *slot = json!({});
    }
    slot.as_object_mut().expect("made an object above")
}

/// The exec form `["a", "b"]`, else the shell form.
fn command(text: &str) -> Vec<String> {
    match serde_json::from_str::<Vec<String>>(text) {
        Ok(words) => words,
        Err(_) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()],
    }
}

fn list(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|_| text.split_whitespace().map(str::to_owned).collect())
}

fn env(config: &mut Map<String, Value>, change: &str, text: &str) -> Result<(), Error> {
    let old = config.get("Env").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut all: Vec<String> = old.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
    let new: Vec<String> = pairs(change, text)?.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    env_merge(&mut all, new.iter().map(String::as_str));
    config.insert("Env".to_owned(), all.into());
    Ok(())
}

/// `A=b C="d e"`, or the old form `A b c`.
fn pairs(change: &str, text: &str) -> Result<Vec<(String, String)>, Error> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if !first.contains('=') {
        let (name, value) =
            text.split_once(char::is_whitespace).ok_or_else(|| invalid(change, "want NAME=VALUE"))?;
        return Ok(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    words(text)
        .into_iter()
        .map(|word| {
            let (name, value) = word.split_once('=').ok_or_else(|| invalid(change, "want NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Splits at blanks outside of quotes; a backslash keeps the next character.
pub(in crate::engine) fn words(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', q) if q != Some('\'') => word.get_or_insert_default().extend(characters.next()),
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => {
                word.get_or_insert_default();
                quote = Some(c);
            }
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(changes: &[&str]) -> Value {
        let mut config = Map::new();
        config.insert("Env".to_owned(), json!(["A=1", "B=2"]));
        let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
        apply_all(&mut config, &changes).expect("known");
        Value::Object(config)
    }

    #[test]
    fn instructions_change_the_config() {
        let all = changed(&[
            "ENV A=x C=\"d e\"",
            "CMD [\"nginx\", \"-g\"]",
            "EXPOSE 80 53/udp",
            "LABEL a=b",
            "WORKDIR /srv",
            "ENV OLD form of it",
            "VOLUME /data",
        ]);
        assert_eq!(all["Env"], json!(["A=x", "B=2", "C=d e", "OLD=form of it"]));
        assert_eq!(all["Cmd"], json!(["nginx", "-g"]));
        assert_eq!(all["ExposedPorts"], json!({ "80/tcp": {}, "53/udp": {} }));
        assert_eq!(all["Labels"], json!({ "a": "b" }));
        assert_eq!(all["Volumes"], json!({ "/data": {} }));
        let shell = changed(&["ENTRYPOINT echo hi"]);
        assert_eq!(shell["Entrypoint"], json!(["/bin/sh", "-c", "echo hi"]));
        let both = changed(&["CMD=[\"x\"]", "ENTRYPOINT [\"e\"]"]);
        assert_eq!((&both["Cmd"], &both["Entrypoint"]), (&json!(["x"]), &json!(["e"])));
        assert_eq!(changed(&["ENTRYPOINT [\"e\"]"])["Cmd"], Value::Null);
    }

    #[test]
    fn health_checks_are_dockers() {
        let check = changed(&["HEALTHCHECK --interval=1s --timeout=30s --retries=5 \t CMD cat /status"]);
        let want = json!({
            "Interval": 1_000_000_000_u64, "Timeout": 30_000_000_000_u64, "Retries": 5,
            "Test": ["CMD-SHELL", "cat /status"],
        });
        assert_eq!(check["Healthcheck"], want);
        assert_eq!(changed(&["HEALTHCHECK NONE"])["Healthcheck"], json!({ "Test": ["NONE"] }));
        let words = changed(&["HEALTHCHECK CMD [\"a\", \"b\"]"]);
        assert_eq!(words["Healthcheck"]["Test"], json!(["CMD", "a", "b"]));
        for bad in ["HEALTHCHECK", "HEALTHCHECK CMD", "HEALTHCHECK --x=1 CMD a", "HEALTHCHECK sleep"] {
            assert!(apply(&mut Map::new(), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_config_instruction_is_refused() {
        assert!(apply(&mut Map::new(), "RUN true").is_err());
        assert!(apply(&mut Map::new(), "CMD").is_err());
        assert!(apply(&mut Map::new(), "STOPSIGNAL NOPE").is_err());
    }
}
