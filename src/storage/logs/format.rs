//! Encoding and decoding of log records: docker's json-file and podman's k8s-file. No I/O.

use std::fmt::Write as _;
use std::io::Write as _;

use super::{Format, Line, Stream};

/// The time stamp of records that are written together, in each format's spelling.
pub(super) fn stamp(time: jiff::Timestamp) -> String {
    let mut text = String::with_capacity(32);
    // Nine digits always: texts then sort as times. Writing to a String cannot fail.
    let _ = write!(text, "{time:.9}");
    text
}

/// Appends one record to `out`. `text` is a line with its newline, or a part of a longer one without.
pub(super) fn encode(format: Format, stream: Stream, stamp: &str, text: &[u8], out: &mut Vec<u8>) {
    match format {
        Format::JsonFile => {
            out.extend_from_slice(b"{\"log\":\"");
            escape(text, out);
            // Writing to a Vec cannot fail.
            let _ = writeln!(out, "\",\"stream\":\"{}\",\"time\":\"{stamp}\"}}", stream.as_str());
        }
        Format::K8sFile => {
            let (tag, body) = match text.strip_suffix(b"\n") {
                Some(body) => ('F', body),
                None => ('P', text),
            };
            let at = stamp.strip_suffix('Z').unwrap_or(stamp);
            let _ = write!(out, "{at}+00:00 {} {tag} ", stream.as_str());
            out.extend_from_slice(body);
            out.push(b'\n');
        }
    }
}

/// JSON string escapes as docker's writer makes them: control bytes, quotes, `<>&`, U+2028/9, and U+FFFD for what is
/// not UTF-8.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

#[derive(serde::Deserialize)]
struct JsonRecord {
    log: String,
    #[serde(default)]
    stream: String,
    time: jiff::Timestamp,
}

/// Reads one record (without its newline). `None` where it is damaged, as the last one may be after a power cut.
pub(super) fn decode(format: Format, record: &[u8]) -> Option<Line> {
    match format {
        Format::JsonFile => {
            let r: JsonRecord = serde_json::from_slice(record).ok()?;
            Some(Line { time: r.time, stream: stream(&r.stream), bytes: r.log.into_bytes() })
        }
        Format::K8sFile => {
            let mut parts = record.splitn(4, |b| *b == b' ');
            let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
            let stream = stream(std::str::from_utf8(parts.next()?).ok()?);
            let whole = parts.next()? == b"F";
            let mut bytes = parts.next().unwrap_or_default().to_vec();
            if whole {
                bytes.push(b'\n');
            }
            Some(Line { time, stream, bytes })
        }
    }
}

/// Whether a record ends a line of the output; else the next record goes on with it.
pub(super) fn ends_line(format: Format, record: &[u8]) -> bool {
    match format {
        // Quotes in the text are escaped, so this is its end; a backslash that is itself escaped escapes nothing.
        Format::JsonFile => record
            .windows(4)
            .position(|w| w == br#"\n","#)
            .is_some_and(|at| record[..=at].iter().rev().take_while(|b| **b == b'\\').count() % 2 == 1),
        Format::K8sFile => record.splitn(4, |b| *b == b' ').nth(2) == Some(b"F"),
    }
}

fn stream(word: &str) -> Stream {
    if word == "stderr" { Stream::Stderr } else { Stream::Stdout }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(format: Format, text: &[u8]) -> (String, Line) {
        let time = "2026-11-21T13:00:00.5Z".parse().expect("a time");
        let mut out = Vec::new();
        encode(format, Stream::Stderr, &stamp(time), text, &mut out);
        let record = out.strip_suffix(b"\n").expect("one line").to_vec();
        let line = decode(format, &record).expect("decodes");
        assert_eq!((line.time, line.stream), (time, Stream::Stderr));
        (String::from_utf8(record).expect("utf-8"), line)
    }

    #[test]
    fn json_is_docker_s() {
        let (record, line) = round(Format::JsonFile, b"a \"b\"\\\t<\x01>\n");
        assert_eq!(
            record,
            r#"{"log":"a \"b\"\\\t\u003c\u0001\u003e\n","stream":"stderr","time":"2026-11-21T13:00:00.500000000Z"}"#
        );
        assert_eq!(line.bytes, b"a \"b\"\\\t<\x01>\n");
    }

    #[test]
    fn what_is_not_utf8_becomes_the_replacement() {
        let (_, line) = round(Format::JsonFile, b"x\xffy\n");
        assert_eq!(line.bytes, "x\u{fffd}y\n".as_bytes());
    }

    #[test]
    fn k8s_keeps_bytes_and_marks_parts() {
        let (record, line) = round(Format::K8sFile, b"part");
        assert_eq!(record, "2026-11-21T13:00:00.500000000+00:00 stderr P part");
        assert_eq!(line.bytes, b"part");
        let (record, line) = round(Format::K8sFile, b"whole line\n");
        assert_eq!(record, "2026-11-21T13:00:00.500000000+00:00 stderr F whole line");
        assert_eq!(line.bytes, b"whole line\n");
    }

    #[test]
    fn parts_do_not_end_a_line() {
        for format in [Format::JsonFile, Format::K8sFile] {
            let ends = |text: &[u8]| ends_line(format, round(format, text).0.as_bytes());
            assert!(ends(b"a \\n\", b\n") && ends(b"\n"), "{format:?}");
            assert!(!ends(b"a") && !ends(b"a\\n") && !ends(b"a\\n\","), "{format:?}");
        }
    }

    #[test]
    fn damage_is_told() {
        assert_eq!(decode(Format::JsonFile, b"{\"log\":\"x"), None);
        assert_eq!(decode(Format::JsonFile, b"\0\0\0"), None);
        assert_eq!(decode(Format::K8sFile, b"yesterday stdout F x"), None);
    }
}
