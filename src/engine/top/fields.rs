//! The columns: docker's (`ps -ef` and `-o` of ps) and podman's descriptors.

use super::process::{Host, Process, TICKS};
use crate::engine::error::{Error, Kind};
use crate::sys::caps;

/// A column: its key, its title, how its value is made.
pub(super) struct Field(&'static str, &'static str, fn(&Process, &Host) -> String);

impl Field {
    pub(super) fn title(&self) -> &'static str {
        self.1
    }

    pub(super) fn value(&self, process: &Process, host: &Host) -> String {
        (self.2)(process, host)
    }
}

/// What `ps -ef` shows; docker's default. Pids are the host's, as docker's.
const FULL: &[Field] = &[
    Field("uid", "UID", |p, h| h.user(p.uid.1)),
    Field("pid", "PID", |p, _| p.pid.to_string()),
    Field("ppid", "PPID", |p, _| p.ppid.to_string()),
    Field("c", "C", |p, h| format!("{:.0}", percent(p, h))),
    Field("stime", "STIME", started),
    Field("tty", "TTY", |p, _| terminal(p)),
    Field("time", "TIME", |p, _| clock(p.ticks / TICKS)),
    Field("cmd", "CMD", |p, _| p.args.clone()),
];

/// What `ps aux` shows.
const AUX: &[Field] = &[
    Field("user", "USER", |p, h| h.user(p.uid.1)),
    Field("pid", "PID", |p, _| p.pid.to_string()),
    Field("pcpu", "%CPU", |p, h| format!("{:.1}", percent(p, h))),
    Field("pmem", "%MEM", |p, h| format!("{:.1}", memory_percent(p, h))),
    Field("vsz", "VSZ", |p, _| (p.vsize / 1024).to_string()),
    Field("rss", "RSS", |p, _| (p.rss / 1024).to_string()),
    Field("tty", "TTY", |p, _| terminal(p)),
    Field("stat", "STAT", |p, _| p.state.to_string()),
    Field("start", "START", started),
    Field("time", "TIME", |p, _| clock(p.ticks / TICKS)),
    Field("cmd", "COMMAND", |p, _| p.args.clone()),
];

/// `pid` of `-o`.
const HOST_PID: Field = Field("pid", "PID", |p, _| p.pid.to_string());

/// podman's descriptors, and the same words in `-o` of ps.
const NAMED: &[Field] = &[
    Field("args", "COMMAND", |p, _| p.args.clone()),
    Field("command", "COMMAND", |p, _| p.args.clone()),
    Field("cmd", "CMD", |p, _| p.args.clone()),
    Field("comm", "COMMAND", |p, _| p.comm.clone()),
    Field("capamb", "AMBIENT CAPS", |p, _| capabilities(p, "CapAmb")),
    Field("capbnd", "BOUNDING CAPS", |p, _| capabilities(p, "CapBnd")),
    Field("capeff", "EFFECTIVE CAPS", |p, _| capabilities(p, "CapEff")),
    Field("capinh", "INHERITED CAPS", |p, _| capabilities(p, "CapInh")),
    Field("capprm", "PERMITTED CAPS", |p, _| capabilities(p, "CapPrm")),
    Field("c", "C", |p, h| format!("{:.0}", percent(p, h))),
    Field("etime", "ELAPSED", elapsed),
    Field("gid", "GID", |p, _| p.gid.1.to_string()),
    Field("group", "GROUP", |p, h| h.group(p.gid.1)),
    Field("groups", "GROUPS", |p, _| status(p, "Groups")),
    Field("hgroup", "HGROUP", |p, h| h.group(p.gid.1)),
    Field("hgid", "HGID", |p, _| p.gid.1.to_string()),
    Field("hgroups", "HGROUPS", |p, _| status(p, "Groups")),
    Field("hpid", "HPID", |p, _| p.pid.to_string()),
    Field("huid", "HUID", |p, _| p.uid.1.to_string()),
    Field("huser", "HUSER", |p, h| h.user(p.uid.1)),
    Field("nice", "NI", |p, _| p.nice.to_string()),
    Field("ni", "NI", |p, _| p.nice.to_string()),
    Field("pcpu", "%CPU", |p, h| format!("{:.3}", percent(p, h))),
    Field("pgid", "PGID", |p, _| p.pgid.to_string()),
    Field("pid", "PID", |p, _| p.inner_pid.to_string()),
    Field("pmem", "%MEM", |p, h| format!("{:.1}", memory_percent(p, h))),
    Field("ppid", "PPID", |p, _| p.inner_ppid.to_string()),
    Field("rgroup", "RGROUP", |p, h| h.group(p.gid.0)),
    Field("rss", "RSS", |p, _| (p.rss / 1024).to_string()),
    Field("ruser", "RUSER", |p, h| h.user(p.uid.0)),
    Field("seccomp", "SECCOMP", |p, _| seccomp(p)),
    Field("stat", "STAT", |p, _| p.state.to_string()),
    Field("state", "STATE", |p, _| p.state.to_string()),
    Field("stime", "STIME", started),
    Field("time", "TIME", |p, _| clock(p.ticks / TICKS)),
    Field("tty", "TTY", |p, _| terminal(p)),
    Field("tt", "TT", |p, _| terminal(p)),
    Field("uid", "UID", |p, _| p.uid.1.to_string()),
    Field("user", "USER", |p, h| h.user(p.uid.1)),
    Field("vsz", "VSZ", |p, _| (p.vsize / 1024).to_string()),
];

/// The columns that were asked for.
pub(super) fn parse(words: &[String], podman: bool) -> Result<Vec<&'static Field>, Error> {
    let text = words.join(" ");
    match text.trim() {
        "" | "-ef" | "-e" | "ef" | "-Af" => return Ok(FULL.iter().collect()),
        "aux" | "-aux" | "axu" => return Ok(AUX.iter().collect()),
        _ => {}
    }
    let mut columns = Vec::new();
    // `-o pid,cmd`, `-eo pid -o user`: docker's way; their PID is the host's. Without -o: podman's descriptors.
    let mut options = false;
    let with_options = text.split_whitespace().any(|word| word.starts_with('-'));
    for word in text.split_whitespace() {
        let list = match word.strip_prefix('-') {
            // `ax -o args`: which processes, where all of the container are shown anyway.
            None if with_options && word.chars().all(|c| matches!(c, 'a' | 'e' | 'x')) => continue,
            None => word,
            Some(flag) => {
                options = true;
                match flag.split_once('o') {
                    Some((before, list)) if before.chars().all(|c| matches!(c, 'e' | 'a' | 'x' | 'A')) => {
                        list
                    }
                    _ => return Err(unknown(word)),
                }
            }
        };
        for key in list.split(',').filter(|k| !k.is_empty()) {
            // `pid=` asks ps for no title.
            let key = key.trim_end_matches('=').trim_start_matches('%').to_ascii_lowercase();
            let key = match key.as_str() {
                "cpu" => "pcpu",
                "mem" => "pmem",
                other => other,
            };
            // To ps, whose options these are, a pid is the host's; podman runs it in the container. Its title is PID.
            let found = match key {
                "pid" if options && !podman => Some(&HOST_PID),
                _ => NAMED.iter().find(|f| f.0 == key),
            };
            let missing = || match options {
                true => Error::new(Kind::Invalid, format!("unknown user-defined format specifier \"{key}\"")),
                false => unknown(key),
            };
            columns.push(found.ok_or_else(missing)?);
        }
    }
    Ok(columns)
}

fn unknown(word: &str) -> Error {
    let known: Vec<&str> = NAMED.iter().map(|f| f.0).collect();
    Error::new(Kind::Invalid, format!("unknown descriptor or option {word:?}"))
        .hint(format!("descriptors: {}; or aux, -ef, -o LIST", known.join(", ")))
}

fn status(p: &Process, key: &str) -> String {
    p.status.get(key).cloned().unwrap_or_default()
}

/// A set of capabilities as psgo says it: `full`, `none`, or names.
fn capabilities(p: &Process, key: &str) -> String {
    let Ok(set) = u64::from_str_radix(&status(p, key), 16) else { return String::new() };
    let last = caps::last();
    let names = (0..=last).filter(|n| set >> n & 1 == 1).map(caps::name);
    let names: Vec<String> = names.map(|name| name.trim_start_matches("CAP_").to_owned()).collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n == last as usize + 1 => "full".to_owned(),
        _ => names.join(","),
    }
}

fn seccomp(p: &Process) -> String {
    match status(p, "Seccomp").as_str() {
        "0" => "disabled",
        "1" => "strict",
        "2" => "filter",
        _ => "?",
    }
    .to_owned()
}

fn age(p: &Process, host: &Host) -> f64 {
    (host.uptime - p.start as f64 / TICKS as f64).max(0.0)
}

fn percent(p: &Process, host: &Host) -> f64 {
    let age = age(p, host);
    if age < 0.01 { 0.0 } else { p.ticks as f64 / TICKS as f64 * 100.0 / age }
}

fn memory_percent(p: &Process, host: &Host) -> f64 {
    if host.memory == 0 { 0.0 } else { p.rss as f64 * 100.0 / host.memory as f64 }
}

/// `HH:MM`, or the day for what started on another one.
fn started(p: &Process, host: &Host) -> String {
    let at = host.boot + i64::try_from(p.start / TICKS).unwrap_or(0);
    let Ok(at) = jiff::Timestamp::from_second(at) else { return "?".to_owned() };
    let zone = jiff::tz::TimeZone::system();
    let (at, now) = (at.to_zoned(zone.clone()), jiff::Timestamp::now().to_zoned(zone));
    if at.date() == now.date() {
        format!("{:02}:{:02}", at.hour(), at.minute())
    } else {
        at.strftime("%b%d").to_string()
    }
}

fn elapsed(p: &Process, host: &Host) -> String {
    let seconds = age(p, host);
    let duration = std::time::Duration::from_secs_f64(seconds);
    let whole = duration.as_secs();
    match (whole / 3600, whole % 3600 / 60) {
        (0, 0) => format!("{seconds:.3}s"),
        (0, m) => format!("{m}m{:.0}s", seconds % 60.0),
        (h, m) => format!("{h}h{m}m{:.0}s", seconds % 60.0),
    }
}

fn clock(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds % 3600 / 60, seconds % 60)
}

/// `pts/0`, `?` for none.
fn terminal(p: &Process) -> String {
    let number = u32::try_from(p.tty).unwrap_or(0);
    // Encoding of dev_t in /proc: minor in bits 0-7 and 20-31, major in 8-19.
    let (major, minor) = (number >> 8 & 0xfff, (number & 0xff) | (number >> 12 & 0xf_ff00));
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", (major - 136) * 256 + minor),
        4 => format!("tty{minor}"),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        parse(&words, false).expect("known").iter().map(|f| f.title()).collect()
    }

    #[test]
    fn columns_of_docker_and_podman() {
        assert_eq!(titles(&[]), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
        assert_eq!(titles(&["-o", "pid,cmd"]), ["PID", "CMD"]);
        assert_eq!(titles(&["-eo", "user"]), ["USER"]);
        assert_eq!(titles(&["pid", "user", "args"]), ["PID", "USER", "COMMAND"]);
        assert!(parse(&["nonsense".to_owned()], false).is_err());
    }
}
