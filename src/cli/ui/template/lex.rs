//! Text and actions: splits a template at `{{` and `}}`, trims, and cuts actions into tokens.

use serde_json::Value;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text as it is.
    Text(String),
    /// The tokens between `{{` and `}}`.
    Action(Vec<Token>),
}

/// A token of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A function, keyword, `true`, `false` or `nil`.
    Word(String),
    /// `.name`; an empty name is the dot itself. The flag tells that a space (or the start) is before it, the number where
    /// in the template it stands.
    Field(String, bool, usize),
    /// `$name`.
    Variable(String),
    /// A number or quoted text.
    Literal(Value),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `:=`
    Declare,
    /// `=`
    Assign,
}

pub(super) fn lex(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim_next = false;
    loop {
        let at = rest.find("{{");
        let mut plain = &rest[..at.unwrap_or(rest.len())];
        if trim_next {
            plain = plain.trim_start();
        }
        let Some(at) = at else {
            push_text(&mut pieces, plain);
            return Ok(pieces);
        };
        let mut inner = &rest[at + 2..];
        if let Some(trimmed) = inner.strip_prefix('-').filter(|t| t.starts_with(char::is_whitespace)) {
            plain = plain.trim_end();
            inner = trimmed;
        }
        push_text(&mut pieces, plain);
        let comment = inner.trim_start();
        let begin = text.len() - inner.len();
        let (body, tail) = if let Some(comment) = comment.strip_prefix("/*") {
            let end = comment.find("*/").ok_or("unclosed comment")?;
            let after = comment[end + 2..].trim_start_matches(' ');
            let (after, trim) = match after.strip_prefix("-}}") {
                Some(a) => (a, true),
                None => (after.strip_prefix("}}").ok_or("comment ends before closing delimiter")?, false),
            };
            trim_next = trim;
            rest = after;
            continue;
        } else {
            let end = action_end(inner)?;
            (&inner[..end], &inner[end + 2..])
        };
        let (body, trim) = match body.strip_suffix('-').filter(|b| b.ends_with(char::is_whitespace)) {
            Some(body) => (body, true),
            None => (body, false),
        };
        trim_next = trim;
        pieces.push(Piece::Action(tokens(body, begin)?));
        rest = tail;
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// Where the `}}` of an action is; those inside quotes do not count.
fn action_end(text: &str) -> Result<usize, String> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Ok(at),
            (None, q @ (b'"' | b'`' | b'\'')) => quote = Some(q),
            (Some(q), b'\\') if q != b'`' => at += 1,
            (Some(q), b) if q == b => quote = None,
            _ => {}
        }
        at += 1;
    }
    Err(if quote.is_some() { "unterminated quoted string".into() } else { "unclosed action".into() })
}

fn tokens(text: &str, begin: usize) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut spaced = true;
    while let Some(c) = rest.chars().next() {
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
            spaced = true;
            continue;
        }
        let at = begin + text.len() - rest.len();
        let (token, tail) = token(c, rest, spaced, at)?;
        tokens.push(token);
        rest = tail;
        spaced = false;
    }
    Ok(tokens)
}

fn token(c: char, rest: &str, spaced: bool, at: usize) -> Result<(Token, &str), String> {
    let word_end = |s: &str| s.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(s.len());
    let after = &rest[c.len_utf8()..];
    let digit_follows = after.starts_with(|c: char| c.is_ascii_digit());
    Ok(match c {
        '|' => (Token::Pipe, after),
        '(' => (Token::Open, after),
        ')' => (Token::Close, after),
        ',' => (Token::Comma, after),
        '=' => (Token::Assign, after),
        ':' if after.starts_with('=') => (Token::Declare, &after[1..]),
        '"' | '`' | '\'' => quoted(c, after)?,
        '.' if !digit_follows => {
            let end = word_end(after);
            (Token::Field(after[..end].to_owned(), spaced, at), &after[end..])
        }
        '$' => {
            let end = word_end(after);
            (Token::Variable(after[..end].to_owned()), &after[end..])
        }
        _ if c.is_ascii_digit() || (matches!(c, '-' | '+' | '.') && !after.is_empty()) => number(rest)?,
        _ if c.is_alphabetic() || c == '_' => {
            let end = word_end(rest);
            (Token::Word(rest[..end].to_owned()), &rest[end..])
        }
        _ => return Err(format!("unexpected {c:?} in command")),
    })
}

fn number(rest: &str) -> Result<(Token, &str), String> {
    let end = rest[1..]
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_')
        .map_or(rest.len(), |at| at + 1);
    let (text, tail) = rest.split_at(end);
    let plain = text.replace('_', "");
    let value = if let Ok(n) = plain.parse::<i64>() {
        Value::from(n)
    } else if let Some(n) = plain.strip_prefix("0x").and_then(|h| i64::from_str_radix(h, 16).ok()) {
        Value::from(n)
    } else if let Ok(f) = plain.parse::<f64>() {
        Value::from(f)
    } else {
        return Err(format!("bad number syntax: {text:?}"));
    };
    Ok((Token::Literal(value), tail))
}

fn quoted(quote: char, text: &str) -> Result<(Token, &str), String> {
    if quote == '`' {
        let end = text.find('`').ok_or("unterminated raw quoted string")?;
        return Ok((Token::Literal(text[..end].into()), &text[end + 1..]));
    }
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => {
                let tail = &text[at + 1..];
                // A character constant is a number in Go.
                let value = match (quote, out.chars().next()) {
                    ('\'', Some(c)) => Value::from(u32::from(c)),
                    _ => Value::from(out),
                };
                return Ok((Token::Literal(value), tail));
            }
            '\\' => {
                let (_, escaped) = chars.next().ok_or("unterminated quoted string")?;
                out.push(match escaped {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'a' => '\u{7}',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'v' => '\u{b}',
                    'x' => hex(&mut chars, 2)?,
                    'u' => hex(&mut chars, 4)?,
                    '\\' | '"' | '\'' => escaped,
                    other => return Err(format!("unknown escape \\{other}")),
                });
            }
            _ => out.push(c),
        }
    }
    Err("unterminated quoted string".to_owned())
}

fn hex(chars: &mut std::str::CharIndices<'_>, digits: usize) -> Result<char, String> {
    let text: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
    u32::from_str_radix(&text, 16)
        .ok()
        .filter(|_| text.len() == digits)
        .and_then(char::from_u32)
        .ok_or_else(|| format!("bad escape: {text:?}"))
}
