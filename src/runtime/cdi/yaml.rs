//! As much of YAML as CDI specifications are written in: block mappings and sequences, plain and quoted scalars, `[]`
//! and `{}`. Anchors, tags, several documents and multi-line scalars are refused by name.

use serde_json::{Map, Value};

/// A line that says something: how far it is indented, its text without comment, its number.
struct Line<'a> {
    indent: usize,
    text: &'a str,
    number: usize,
}

/// Reads a text; the error names the line.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut lines = Vec::new();
    for (number, raw) in text.lines().enumerate() {
        let bare = without_comment(raw).trim_end();
        let body = bare.trim_start_matches(' ');
        if body.is_empty() || (number == 0 || lines.is_empty()) && body == "---" {
            continue;
        }
        if body.starts_with('\t') {
            return Err(format!("line {}: a tab is no indentation", number + 1));
        }
        lines.push(Line { indent: bare.len() - body.len(), text: body, number: number + 1 });
    }
    let mut reader = Reader { lines: &lines, at: 0 };
    let Some(first) = reader.peek() else { return Ok(Value::Null) };
    let value = reader.block(first.indent, 0)?;
    match reader.peek() {
        None => Ok(value),
        Some(line) => Err(format!("line {}: {:?} was not expected here", line.number, line.text)),
    }
}

/// A `#` begins a comment at the start of a line or after a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before == ' ' => return &line[..at],
            (None, '"' | '\'') if matches!(before, ' ' | '[' | '{' | ',' | ':') => quote = Some(c),
            (Some(q), c) if c == q && before != '\\' => quote = None,
            _ => {}
        }
        before = c;
    }
    line
}

struct Reader<'a> {
    lines: &'a [Line<'a>],
    at: usize,
}

/// Deepest nesting.
const DEEPEST: usize = 32;

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<&'a Line<'a>> {
        self.lines.get(self.at)
    }

    /// What stands at this indentation: a sequence, a mapping or a scalar.
    fn block(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let Some(line) = self.peek() else { return Ok(Value::Null) };
        if depth > DEEPEST {
            return Err(format!("line {}: nested too deeply", line.number));
        }
        if line.text == "-" || line.text.starts_with("- ") {
            return self.sequence(indent, depth);
        }
        if key_of(line.text).is_some() {
            return self.mapping(indent, None, depth);
        }
        self.at += 1;
        scalar(line.text, line.number)
    }

    fn sequence(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        let mut items = Vec::new();
        while let Some(line) = self.peek() {
            if line.indent != indent || !(line.text == "-" || line.text.starts_with("- ")) {
                break;
            }
            self.at += 1;
            let rest = line.text[1..].trim_start();
            let inner = indent + (line.text.len() - rest.len());
            items.push(if rest.is_empty() {
                self.nested(indent + 1, depth)?
            } else if let (Some(_), false) = (key_of(rest), rest.starts_with(['"', '\'', '{', '['])) {
                self.mapping(inner, Some((rest, line.number)), depth + 1)?
            } else {
                scalar(rest, line.number)?
            });
        }
        Ok(Value::Array(items))
    }

    /// A mapping; its first line may stand behind a dash.
    fn mapping(
        &mut self,
        indent: usize,
        first: Option<(&'a str, usize)>,
        depth: usize,
    ) -> Result<Value, String> {
        let mut map = Map::new();
        let mut given = first;
        loop {
            let (text, number) = match given.take() {
                Some(pair) => pair,
                None => match self.peek() {
                    Some(line) if line.indent == indent && !line.text.starts_with("- ") => {
                        self.at += 1;
                        (line.text, line.number)
                    }
                    _ => return Ok(Value::Object(map)),
                },
            };
            let (key, rest) = key_of(text).ok_or_else(|| format!("line {number}: want KEY: VALUE"))?;
            let value = if rest.is_empty() { self.below(indent, depth)? } else { scalar(rest, number)? };
            let key = scalar(key, number)?;
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            map.insert(key, value);
        }
    }

    /// The value of a key whose line ends: deeper, or a sequence at the key's own indentation.
    fn below(&mut self, indent: usize, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some(line) if line.indent == indent && (line.text == "-" || line.text.starts_with("- ")) => {
                self.sequence(indent, depth + 1)
            }
            _ => self.nested(indent + 1, depth),
        }
    }

    fn nested(&mut self, least: usize, depth: usize) -> Result<Value, String> {
        match self.peek() {
            Some(line) if line.indent >= least => self.block(line.indent, depth + 1),
            _ => Ok(Value::Null),
        }
    }
}

/// Splits `key: rest` or `key:`.
fn key_of(text: &str) -> Option<(&str, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let end = text[1..].find(quote)? + 2;
        let rest = text[end..].strip_prefix(':')?;
        return (rest.is_empty() || rest.starts_with(' ')).then(|| (&text[..end], rest.trim_start()));
    }
    let at = text.find(": ").or_else(|| text.ends_with(':').then(|| text.len() - 1))?;
    Some((&text[..at], text[at + 1..].trim_start()))
}

fn scalar(text: &str, number: usize) -> Result<Value, String> {
    let bad = |why: &str| Err(format!("line {number}: {why}"));
    match text.chars().next() {
        Some('"' | '[' | '{') => match serde_json::from_str(text) {
            Ok(value) => Ok(value),
            Err(e) => bad(&format!("{text} is not understood: {e}")),
        },
        Some('\'') => match text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
            Some(inner) => Ok(Value::String(inner.replace("''", "'"))),
            None => bad("a quote is not closed"),
        },
        Some('&' | '*' | '!' | '|' | '>' | '%' | '@' | '`') => {
            bad("anchors, tags and multi-line texts are not supported; write the specification as JSON")
        }
        _ => Ok(match text {
            "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => text.parse::<i64>().map_or_else(|_| Value::String(text.to_owned()), Value::from),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;

    #[test]
    fn what_generators_write() {
        let text = "---\ncdiVersion: 0.5.0  # comment\nkind: \"v.com/gpu\"\ndevices:\n- name: \"0\"\n  containerEdits:\n    \
                    deviceNodes:\n    - path: /dev/x\n      major: 5\n      fileMode: 438\n  \n- name: all\n  \
                    containerEdits: {}\ncontainerEdits:\n  env:\n  - A=b: c\n  - 'it''s'\n  hooks:\n    - hookName: \
                    createContainer\n      args:\n        - a\n        - --b\n        - x::/y\n";
        let wanted = json!({
            "cdiVersion": "0.5.0", "kind": "v.com/gpu",
            "devices": [
                {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/x", "major": 5, "fileMode": 438}]}},
                {"name": "all", "containerEdits": {}},
            ],
            "containerEdits": {
                "env": [{"A=b": "c"}, "it's"],
                "hooks": [{"hookName": "createContainer", "args": ["a", "--b", "x::/y"]}],
            },
        });
        assert_eq!(parse(text), Ok(wanted));
        assert_eq!(parse("a: [\"x\", 1]\nb:\nc: ~"), Ok(json!({"a": ["x", 1], "b": null, "c": null})));
        for wrong in ["a: &x b", "a: |\n  text", "\tb: c", "a: 'x", "a\nb: c"] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
