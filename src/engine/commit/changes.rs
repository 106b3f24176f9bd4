//! `--change`: the Dockerfile instructions that only touch the config.

use serde_json::{Map, Value, json};

use crate::engine::error::{Error, Kind};
use crate::engine::resolve::{env_merge, parse_exposed};

fn invalid(change: &str, why: &str) -> Error {
    Error::new(Kind::Invalid, format!("invalid --change {change:?}: {why}"))
}

/// Applies one instruction to an image's config.
pub(crate) fn apply(config: &mut Map<String, Value>, change: &str) -> Result<(), Error> {
    let (word, rest) = change.trim().split_once([' ', '\t']).unwrap_or((change.trim(), ""));
    // podman also takes `CMD=…`.
    let (word, rest) = match word.split_once('=') {
        Some((w, r)) if KNOWN.contains(&w.to_ascii_uppercase().as_str()) => (w, r),
        _ => (word, rest.trim()),
    };
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

const KNOWN: &[&str] =
    &["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];

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
fn words(text: &str) -> Vec<String> {
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
        for change in changes {
            apply(&mut config, change).expect("known");
        }
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
    }

    #[test]
    fn what_is_no_config_instruction_is_refused() {
        assert!(apply(&mut Map::new(), "RUN true").is_err());
        assert!(apply(&mut Map::new(), "CMD").is_err());
        assert!(apply(&mut Map::new(), "STOPSIGNAL NOPE").is_err());
    }
}
