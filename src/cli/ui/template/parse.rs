//! Tokens become a tree.

use serde_json::Value;

use super::lex::{Piece, Token};

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Text as it is.
    Text(String),
    /// `{{pipeline}}`: prints its value unless it sets a variable.
    Action(Pipeline),
    /// `{{if}}`, `{{with}}`, `{{range}}`.
    Block {
        /// Which of them.
        kind: Kind,
        /// Its condition or list.
        pipeline: Pipeline,
        /// What is done.
        body: Vec<Self>,
        /// What is done otherwise.
        otherwise: Vec<Self>,
    },
    /// `{{break}}`.
    Break,
    /// `{{continue}}`.
    Continue,
}

/// Kinds of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Leaves the dot alone.
    If,
    /// Makes the value the dot.
    With,
    /// Makes each element the dot.
    Range,
}

/// `$a, $b := command | command …`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pipeline {
    /// Variables that take the value.
    pub variables: Vec<String>,
    /// `=`: they exist already.
    pub assign: bool,
    /// The commands; each gets the value of the one before as its last argument.
    pub commands: Vec<Vec<Operand>>,
}

/// A word of a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// `.`, `.a.b`; where Go says that it stands: at its second part, if it has one.
    Field(Vec<String>, usize),
    /// `$x`, `$x.a`.
    Variable(String, Vec<String>),
    /// A constant.
    Literal(Value),
    /// `nil`.
    Nil,
    /// A function.
    Function(String),
    /// `(pipeline)`, `(pipeline).a`.
    Group(Pipeline, Vec<String>),
}

pub(super) fn parse(pieces: Vec<Piece>) -> Result<Vec<Node>, String> {
    let mut pieces = pieces.into_iter();
    let (nodes, end) = list(&mut pieces, 0)?;
    match end {
        None => Ok(nodes),
        Some(end) => Err(format!("unexpected {{{{{}}}}}", end.keyword)),
    }
}

/// What ended a list: `end` or `else` with what follows it.
struct End {
    keyword: &'static str,
    tokens: Vec<Token>,
}

fn list(pieces: &mut std::vec::IntoIter<Piece>, loops: usize) -> Result<(Vec<Node>, Option<End>), String> {
    let mut nodes = Vec::new();
    while let Some(piece) = pieces.next() {
        let mut tokens = match piece {
            Piece::Text(text) => {
                nodes.push(Node::Text(text));
                continue;
            }
            Piece::Action(tokens) => tokens,
        };
        let keyword = match tokens.first() {
            Some(Token::Word(word)) => word.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "end" => return Ok((nodes, Some(End { keyword: "end", tokens: Vec::new() }))),
            "else" => {
                tokens.remove(0);
                return Ok((nodes, Some(End { keyword: "else", tokens })));
            }
            "break" | "continue" if loops == 0 => {
                return Err(format!("{{{{{keyword}}}}} outside {{{{range}}}}"));
            }
            "break" => nodes.push(Node::Break),
            "continue" => nodes.push(Node::Continue),
            "if" | "with" | "range" => {
                tokens.remove(0);
                nodes.push(block(&keyword, tokens, pieces, loops)?);
            }
            "define" | "template" | "block" => {
                return Err(format!("{{{{{keyword}}}}} is not supported"));
            }
            _ => nodes.push(Node::Action(pipeline(tokens)?)),
        }
    }
    Ok((nodes, None))
}

fn block(
    keyword: &str,
    tokens: Vec<Token>,
    pieces: &mut std::vec::IntoIter<Piece>,
    loops: usize,
) -> Result<Node, String> {
    let (kind, loops) = match keyword {
        "if" => (Kind::If, loops),
        "with" => (Kind::With, loops),
        _ => (Kind::Range, loops + 1),
    };
    let pipeline = pipeline(tokens).map_err(|e| match e.as_str() {
        "missing value for command" => format!("missing value for {keyword}"),
        _ => e,
    })?;
    let (body, end) = list(pieces, loops)?;
    let end = end.ok_or("unexpected EOF: {{end}} is missing")?;
    let mut otherwise = Vec::new();
    if end.keyword == "else" {
        match end.tokens.first() {
            None => {
                let (nodes, end) = list(pieces, loops)?;
                if end.is_none_or(|e| e.keyword != "end") {
                    return Err("expected end after else".to_owned());
                }
                otherwise = nodes;
            }
            // `else if` and `else with` share the end of the whole.
            Some(Token::Word(word)) if word == "if" || word == "with" => {
                let word = word.clone();
                otherwise = vec![block(&word, end.tokens[1..].to_vec(), pieces, loops)?];
            }
            Some(_) => return Err("unexpected text after else".to_owned()),
        }
    }
    Ok(Node::Block { kind, pipeline, body, otherwise })
}

fn pipeline(tokens: Vec<Token>) -> Result<Pipeline, String> {
    let mut tokens = tokens.into_iter().peekable();
    let pipeline = pipeline_until(&mut tokens, false)?;
    if tokens.next().is_some() {
        return Err("unexpected \")\" in operand".to_owned());
    }
    Ok(pipeline)
}

type Tokens = std::iter::Peekable<std::vec::IntoIter<Token>>;

fn pipeline_until(tokens: &mut Tokens, grouped: bool) -> Result<Pipeline, String> {
    let mut pipeline = Pipeline::default();
    declaration(tokens, &mut pipeline)?;
    let mut command = Vec::new();
    loop {
        if tokens.peek() == Some(&Token::Close) && !grouped {
            break;
        }
        match tokens.next() {
            None if grouped => return Err("unclosed left paren".to_owned()),
            None | Some(Token::Close) => break,
            Some(Token::Pipe) => {
                if command.is_empty() {
                    return Err("missing value for command".to_owned());
                }
                pipeline.commands.push(std::mem::take(&mut command));
            }
            Some(token) => command.push(operand(token, tokens)?),
        }
    }
    if command.is_empty() {
        return Err("missing value for command".to_owned());
    }
    pipeline.commands.push(command);
    for later in &pipeline.commands[1..] {
        if matches!(later[0], Operand::Literal(_) | Operand::Nil) {
            return Err("non executable command in pipeline".to_owned());
        }
    }
    Ok(pipeline)
}

/// `$x :=`, `$x =`, `$i, $e :=` at the start of a pipeline.
fn declaration(tokens: &mut Tokens, pipeline: &mut Pipeline) -> Result<(), String> {
    let ahead: Vec<Token> = tokens.clone().take(4).collect();
    let (names, operator, length) = match ahead.as_slice() {
        [Token::Variable(a), op @ (Token::Declare | Token::Assign), ..] => (vec![a.clone()], op, 2),
        [Token::Variable(a), Token::Comma, Token::Variable(b), op @ (Token::Declare | Token::Assign)] => {
            (vec![a.clone(), b.clone()], op, 4)
        }
        [Token::Variable(_), Token::Comma, ..] => return Err("expected :=".to_owned()),
        _ => return Ok(()),
    };
    pipeline.assign = *operator == Token::Assign;
    pipeline.variables = names;
    for _ in 0..length {
        tokens.next();
    }
    Ok(())
}

fn operand(token: Token, tokens: &mut Tokens) -> Result<Operand, String> {
    Ok(match token {
        Token::Word(word) => match word.as_str() {
            "true" => Operand::Literal(Value::Bool(true)),
            "false" => Operand::Literal(Value::Bool(false)),
            "nil" => Operand::Nil,
            _ if super::funcs::known(&word) => Operand::Function(word),
            _ => return Err(format!("function {word:?} not defined")),
        },
        Token::Literal(value) => Operand::Literal(value),
        Token::Field(name, _, at) => {
            let mut path = if name.is_empty() { Vec::new() } else { vec![name] };
            let at = if let Some(Token::Field(_, false, second)) = tokens.peek() { *second } else { at };
            path.extend(fields(tokens));
            Operand::Field(path, at)
        }
        Token::Variable(name) => Operand::Variable(name, fields(tokens)),
        Token::Open => {
            let inner = pipeline_until(tokens, true)?;
            Operand::Group(inner, fields(tokens))
        }
        Token::Comma | Token::Declare | Token::Assign | Token::Pipe | Token::Close => {
            return Err(format!("unexpected {token:?} in operand"));
        }
    })
}

/// Fields that follow without a space.
fn fields(tokens: &mut Tokens) -> Vec<String> {
    let mut path = Vec::new();
    while let Some(Token::Field(_, false, _)) = tokens.peek() {
        if let Some(Token::Field(name, ..)) = tokens.next() {
            path.push(name);
        }
    }
    path
}
