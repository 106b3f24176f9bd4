//! Debian's docker-registry on loopback, one process per [`Registry`], ended when it is dropped.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{eventually, fixtures};

/// How the registry talks and whom it lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegistryKind {
    /// HTTP, everyone.
    Plain,
    /// HTTPS with the fixtures' CA.
    Tls,
    /// HTTP, user `tester`, password `secret`.
    Basic,
    /// HTTP with bearer tokens of a service on the next port.
    Token,
}

/// A running registry.
pub struct Registry {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Registry {
    /// Starts one, with the fixtures' store on its usual port, or with another store on another port.
    #[must_use]
    pub fn start(kind: RegistryKind, other: Option<(u16, &Path)>) -> Self {
        let (word, usual) = match kind {
            RegistryKind::Plain => ("plain", 5000),
            RegistryKind::Tls => ("tls", 5443),
            RegistryKind::Basic => ("basic", 5001),
            RegistryKind::Token => ("token", 5010),
        };
        let port = other.map_or(usual, |(port, _)| port);
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/registry.sh"));
        command.arg(word).arg(port.to_string()).arg(fixtures());
        if let Some((_, store)) = other {
            command.arg(store);
        }
        let log = std::env::temp_dir().join(format!("rcon-registry-{}-{port}.log", std::process::id()));
        let file = std::fs::File::create(&log).expect("log file");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let child = command.spawn().expect("registry.sh starts");
        eventually("the registry answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        if kind == RegistryKind::Token {
            eventually("the token service answers", || TcpStream::connect(("127.0.0.1", port + 1)).is_ok());
        }
        Self { child, port, log }
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What the registry and the token service wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).ok();
        drop(self.child.wait());
        drop(std::fs::remove_file(&self.log));
    }
}
