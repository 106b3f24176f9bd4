//! Comma-separated fields with double quotes, as `--mount` takes them.

use crate::model::ParseError;

/// Splits one record. A field that begins with `"` ends at the next lone `"`; `""` inside is one quote.
pub(super) fn fields(text: &str) -> Result<Vec<String>, ParseError> {
    let bad = || ParseError::new("mount", text, "a closing quote is missing");
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted).ok_or_else(bad)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None if tail.is_empty() => return Ok(fields),
            None => return Err(ParseError::new("mount", text, "text after a closing quote")),
        }
    }
}

/// The field up to its closing quote, and what follows that.
fn quoted_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        field.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fields;

    #[test]
    fn quotes_protect_commas() {
        assert_eq!(fields("a=1,b=2").as_deref(), Ok(&["a=1".to_owned(), "b=2".to_owned()][..]));
        assert_eq!(fields("\"a=1,2\",b").as_deref(), Ok(&["a=1,2".to_owned(), "b".to_owned()][..]));
        assert_eq!(fields("\"a=\"\"x\"\"\"").as_deref(), Ok(&["a=\"x\"".to_owned()][..]));
        assert!(fields("\"a").is_err());
        assert!(fields("\"a\"b").is_err());
    }
}
