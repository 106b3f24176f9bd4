//! The log file of `--log`: one line a message, in runc's two formats.

use std::io::Write as _;

use super::args::{Global, LogFormat};

/// Writes an error to the log, if there is one.
pub(super) fn error(global: &Global, message: &str) {
    let Some(path) = &global.log else { return };
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let line = match global.log_format {
        LogFormat::Json => serde_json::json!({ "level": "error", "msg": message, "time": time }).to_string(),
        LogFormat::Text => format!("time=\"{time}\" level=error msg={message:?}"),
    };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // The message goes to stderr as well; a log that cannot be written hides nothing.
    let _unwritten = file.and_then(|mut f| writeln!(f, "{line}"));
}
