//! Credential helpers: programs `docker-credential-NAME` that speak docker's protocol over stdin and stdout.
//!
//! `get` reads a server's address and answers `{"ServerURL", "Username", "Secret"}`; the user name `<token>`
//! says that the secret is an identity token. "credentials not found" on stdout is no error.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Credentials, Error};

/// A helper's answer is small.
const MAX_ANSWER: u64 = 1 << 20;

/// The words of a helper that knows nothing of the server, in all implementations of the protocol.
const NOT_FOUND: &str = "credentials not found in native keychain";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server_url: String,
    username: String,
    secret: String,
}

/// Asks for the credentials of `server`.
pub(super) fn get(name: &str, server: &str) -> Result<Option<Credentials>, Error> {
    let Some(answer) = call(name, "get", server.as_bytes())? else { return Ok(None) };
    let entry: Entry = serde_json::from_slice(&answer).map_err(|e| error(name, e.to_string()))?;
    if entry.username.is_empty() && entry.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(match entry.username.as_str() {
        "<token>" => Credentials::IdentityToken(entry.secret),
        _ => Credentials::Basic { username: entry.username, password: entry.secret },
    }))
}

/// Keeps a user name and secret.
pub(super) fn put(name: &str, server: &str, username: &str, secret: &str) -> Result<(), Error> {
    let entry =
        Entry { server_url: server.to_owned(), username: username.to_owned(), secret: secret.to_owned() };
    let document = serde_json::to_vec(&entry).map_err(|e| error(name, e.to_string()))?;
    call(name, "store", &document).map(|_| ())
}

/// Forgets a server; says whether the helper knew it.
pub(super) fn erase(name: &str, server: &str) -> Result<bool, Error> {
    Ok(call(name, "erase", server.as_bytes())?.is_some())
}

fn error(name: &str, why: impl Into<String>) -> Error {
    Error::Helper { program: format!("docker-credential-{name}"), why: why.into() }
}

/// Runs the helper; `None` when it says that it knows nothing.
fn call(name: &str, verb: &str, input: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    // The name comes from a file and becomes part of a program's: no paths, no options.
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        return Err(error(name, "not a helper's name"));
    }
    let program = format!("docker-credential-{name}");
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| error(name, format!("cannot run it: {e}")))?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    // A helper that ends without reading is judged by its answer and status.
    let sent = stdin.write_all(input);
    drop(stdin);
    let mut answer = Vec::new();
    let received = stdout.take(MAX_ANSWER).read_to_end(&mut answer);
    let status = child.wait().map_err(|e| error(name, e.to_string()))?;
    received.map_err(|e| error(name, e.to_string()))?;
    if status.success() {
        // One that knows what to do without reading all of it has done it.
        return match sent {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(error(name, e.to_string())),
            _ => Ok(Some(answer)),
        };
    }
    let words = String::from_utf8_lossy(&answer);
    let words = words.trim();
    if words.contains(NOT_FOUND) {
        return Ok(None);
    }
    Err(error(name, if words.is_empty() { status.to_string() } else { words.to_owned() }))
}
