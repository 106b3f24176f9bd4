//! An HTTP proxy between rcon and a registry on loopback that spoils answers as it is told.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What to do to the answers whose request fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Close the connection after so many bytes of the body.
    Cut(usize),
    /// Another status, with `Retry-After: 0` or none.
    Status(u16, bool),
    /// Turn over one bit of the body at this offset.
    Flip(usize),
    /// Answer a request for a range with the whole.
    NoRanges,
    /// Say that the body ends after so many bytes, and end it.
    Short(usize),
    /// Pause in the body.
    Slow(Duration),
    /// Send the client to the same path on another port of loopback.
    Redirect(u16),
}

/// A rule: method, part of the path, what to do, how often.
struct Rule {
    path: String,
    fault: Fault,
    left: AtomicUsize,
}

/// A running proxy.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<String>>,
    stop: AtomicBool,
}

impl Proxy {
    /// Starts one before `upstream` (`host:port`).
    #[must_use]
    pub fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("address").port();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            rules: Mutex::default(),
            requests: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if server.stop.load(Ordering::Relaxed) {
                    return;
                }
                let server = Arc::clone(&server);
                std::thread::spawn(move || drop(client.map(|c| serve(c, &server))));
            }
        });
        Self { port, shared }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Spoils the next `times` answers to requests whose path holds `path`.
    pub fn spoil(&self, path: &str, fault: Fault, times: usize) {
        let rule = Rule { path: path.to_owned(), fault, left: AtomicUsize::new(times) };
        self.shared.rules.lock().expect("rules").push(rule);
    }

    /// Heads of all requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().expect("requests").clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// Reads up to the empty line; what was read beyond it is the second part.
fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = all.windows(4).position(|w| w == b"\r\n\r\n") {
            let rest = all.split_off(end + 4);
            return Some((String::from_utf8_lossy(&all).into_owned(), rest));
        }
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        all.extend_from_slice(&buffer[..n]);
    }
}

/// One request per connection.
fn serve(mut client: TcpStream, shared: &Shared) {
    let Some((mut request, body)) = head(&mut client) else { return };
    shared.requests.lock().expect("requests").push(request.clone());
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let fault = shared.rules.lock().expect("rules").iter().find_map(|r| {
        let fits = path.contains(&r.path);
        let take = |n: usize| n.checked_sub(1);
        (fits && r.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()).then_some(r.fault)
    });
    if let Some(Fault::Status(status, after)) = fault {
        let after = if after { "Retry-After: 0\r\n" } else { "" };
        let text =
            format!("HTTP/1.1 {status} Spoilt\r\n{after}Content-Length: 0\r\nConnection: close\r\n\r\n");
        drop(client.write_all(text.as_bytes()));
        return;
    }
    if let Some(Fault::Redirect(port)) = fault {
        let text = format!(
            "HTTP/1.1 307 Spoilt\r\nLocation: http://127.0.0.1:{port}{path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        drop(client.write_all(text.as_bytes()));
        return;
    }
    if fault == Some(Fault::NoRanges) {
        request = without(&request, "range:");
    }
    let Ok(mut upstream) = TcpStream::connect(&shared.upstream) else { return };
    let request = without(&request, "connection:").replacen("\r\n", "\r\nConnection: close\r\n", 1);
    drop(upstream.write_all(request.as_bytes()));
    drop(upstream.write_all(&body));
    let Some((answer, body)) = head(&mut upstream) else { return };
    let mut answer = without(&answer, "connection:").replacen("\r\n", "\r\nConnection: close\r\n", 1);
    let length = answer
        .lines()
        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    // Only bodies that are longer can be cut.
    let fault = fault
        .filter(|f| !matches!(f, Fault::Short(n) | Fault::Cut(n) if length.is_some_and(|l: usize| l <= *n)));
    if let Some(Fault::Short(n)) = fault {
        answer =
            without(&answer, "content-length:").replacen("\r\n", &format!("\r\nContent-Length: {n}\r\n"), 1);
    }
    drop(client.write_all(answer.as_bytes()));
    pass_on(body, &mut upstream, &mut client, fault);
    drop(client.shutdown(Shutdown::Both));
}

fn pass_on(mut chunk: Vec<u8>, upstream: &mut TcpStream, client: &mut TcpStream, fault: Option<Fault>) {
    let mut at = 0;
    let mut buffer = [0; 16384];
    loop {
        match fault {
            Some(Fault::Cut(n) | Fault::Short(n)) if at + chunk.len() >= n => {
                drop(client.write_all(&chunk[..n - at]));
                return;
            }
            Some(Fault::Flip(n)) if (at..at + chunk.len()).contains(&n) => chunk[n - at] ^= 1,
            Some(Fault::Slow(pause)) => std::thread::sleep(pause),
            _ => {}
        }
        if client.write_all(&chunk).is_err() {
            return;
        }
        at += chunk.len();
        match upstream.read(&mut buffer) {
            Ok(n) if n > 0 => chunk = buffer[..n].to_vec(),
            _ => return,
        }
    }
}

/// A head without the lines that begin so.
fn without(head: &str, name: &str) -> String {
    let lines = head.trim_end().split("\r\n").filter(|l| !l.to_ascii_lowercase().starts_with(name));
    lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n"
}
