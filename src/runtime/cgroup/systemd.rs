//! The systemd driver: the container's cgroup is a transient scope, made by systemd when the first process
//! is put into it, in the slice that was asked for.
//!
//! systemd keeps a scope's own limits by its properties: what we write to the files alone, it would undo when
//! it reloads. So the limits that it knows go both ways. Deeper than the scope itself it leaves everything
//! to us (`Delegate`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use oci_spec::runtime::LinuxResources;

use super::dbus::{Connection, Message, Value};
use super::properties::{self, Property};
use super::{Error, Unit, limits_v2};
use crate::sys::{cgroup as sys, idmap};

/// `slice:prefix:name` of a cgroups path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    slice: String,
    unit: String,
}

impl Scope {
    /// Recognises the form; `None` for a plain path.
    pub(super) fn parse(path: &str) -> Option<Result<Self, Error>> {
        if path.starts_with('/') {
            return None;
        }
        let parts: Vec<&str> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else { return None };
        let refuse = |why| Err(Error::Path { path: path.to_owned(), why });
        let default = if user().is_some() { "user.slice" } else { "system.slice" };
        let slice = if slice.is_empty() { default } else { slice };
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b));
        if !slice.ends_with(".slice") || !plain(slice) || slice_path(slice).is_none() {
            return Some(refuse("the first part is not the name of a slice"));
        }
        if name.is_empty() || !plain(prefix) || !plain(name) {
            return Some(refuse("the name has characters that a unit cannot have"));
        }
        // A name that is a slice already means that slice's kind of unit; anything else is a scope.
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        Some(Ok(Self { slice: slice.to_owned(), unit }))
    }

    /// The path below the root of the hierarchy, as systemd lays slices out.
    pub(super) fn relative(&self) -> String {
        let slices = slice_path(&self.slice).expect("checked when it was parsed");
        let parts = [control_group(), &slices, &self.unit];
        parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
    }
}

/// `a-b.slice` is `a.slice/a-b.slice`; the root slice is nothing. `None` for a malformed name.
fn slice_path(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let mut out = String::new();
    let mut prefix = String::new();
    for part in name.split('-') {
        if part.is_empty() || part.contains('/') {
            return None;
        }
        prefix = if prefix.is_empty() { part.to_owned() } else { format!("{prefix}-{part}") };
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(&prefix);
        out.push_str(".slice");
    }
    Some(out)
}

/// Whether systemd runs this machine.
pub(super) fn booted() -> bool {
    sys::is_dir(Path::new("/run/systemd/system"))
}

/// The user whose manager is ours, and its socket: without root, and as root of a user namespace that the user made for
/// that (podman's). One that is a machine of its own has its own manager.
fn user() -> Option<&'static (u32, PathBuf)> {
    static USER: OnceLock<Option<(u32, PathBuf)>> = OnceLock::new();
    let find = || {
        let uid = rustix::process::geteuid();
        let outside = idmap::user_above();
        let dir = match std::env::var_os("XDG_RUNTIME_DIR").filter(|d| !d.is_empty()) {
            Some(dir) => PathBuf::from(dir),
            None => format!("/run/user/{}", outside.unwrap_or(uid.as_raw())).into(),
        };
        let socket = dir.join("systemd/private");
        let ours = if uid.is_root() { outside.is_some() && socket.exists() } else { true };
        ours.then(|| (outside.unwrap_or(uid.as_raw()), socket))
    };
    USER.get_or_init(find).as_ref()
}

/// The cgroup below which a user's manager has its units; that of the machine has them at the top.
fn control_group() -> &'static str {
    static GROUP: OnceLock<String> = OnceLock::new();
    let ask = || {
        let what = "asking for its cgroup";
        let mut connection = connect(what)?;
        let serial = connection.ask("ControlGroup").map_err(|e| io_failed(what, &e))?;
        Ok::<_, Error>(answer(&mut connection, what, serial)?.pop().unwrap_or_default())
    };
    // Without an answer the start of the scope tells why.
    let find = || user().and_then(|_| ask().ok()).unwrap_or_default().trim_matches('/').to_owned();
    GROUP.get_or_init(find)
}

/// How long systemd is waited for to forget a scope that has ended.
const LAST_ONE: Duration = Duration::from_secs(10);

/// Starts the scope with a process in it, and gives its path below the hierarchy. `is_empty` tells whether the cgroup of a
/// scope of that name has no process.
pub(super) fn start(
    scope: &Scope,
    pid: i32,
    unit: &Unit,
    limits: &LinuxResources,
    is_empty: impl Fn() -> bool,
) -> Result<String, Error> {
    let what = "starting the scope";
    let pid_value = u32::try_from(pid).map_err(|_| failed(what, "the process has no number"))?;
    let mut properties: Vec<Property> = vec![
        ("Description".into(), Value::Str(format!("rcon container {}", scope.unit))),
        ("Slice".into(), Value::Str(scope.slice.clone())),
        ("PIDs".into(), Value::U32s(vec![pid_value])),
        ("Delegate".into(), Value::Bool(true)),
        ("DefaultDependencies".into(), Value::Bool(false)),
    ];
    if !unit.stays {
        // Nothing is left behind of a scope that ended badly, even if nobody removes it.
        properties.push(("CollectMode".into(), Value::Str("inactive-or-failed".to_owned())));
    }
    let mut connection = connect(what)?;
    let limits = limit_properties(&mut connection, limits, what)?;
    if !limits.iter().any(|(name, _)| name == "TasksMax") {
        // systemd's default is a share of the machine's, which nobody asked for.
        properties.push(("TasksMax".into(), Value::U64(u64::MAX)));
    }
    properties.extend(limits);
    // Last: of two values of a property systemd takes the later one.
    properties.extend(unit.properties.iter().cloned());
    let arguments = [
        Value::Str(scope.unit.clone()),
        Value::Str("replace".to_owned()),
        Value::Properties(properties),
        Value::NoUnits,
    ];
    // Of the same name's last container systemd may not have heard the end, or it keeps it as failed.
    let deadline = Instant::now() + LAST_ONE;
    loop {
        match run_job(&mut connection, what, "StartTransientUnit", &arguments) {
            Err(Error::UnitExists { .. }) if is_empty() && Instant::now() < deadline => {
                forget(&scope.unit);
                std::thread::sleep(Duration::from_millis(10));
            }
            done => break done?,
        }
    }
    of_process(pid).map_or_else(|| Ok(scope.relative()), Ok)
}

/// Tells systemd of changed limits.
pub(super) fn update(unit: &str, limits: &LinuxResources) -> Result<(), Error> {
    let what = "changing the limits of the scope";
    let mut connection = connect(what)?;
    let properties = limit_properties(&mut connection, limits, what)?;
    if properties.is_empty() {
        return Ok(());
    }
    let arguments = [Value::Str(unit.to_owned()), Value::Bool(true), Value::Properties(properties)];
    let serial = connection.send("SetUnitProperties", &arguments).map_err(|e| io_failed(what, &e))?;
    answer(&mut connection, what, serial).map(drop)
}

/// Has systemd forget a scope that failed. One that is gone already is what is wanted, and one that is in the way of
/// nothing is not worth an error.
pub(super) fn forget(unit: &str) {
    let what = "forgetting the scope";
    let Ok(mut connection) = connect(what) else { return };
    if let Ok(serial) = connection.send("ResetFailedUnit", &[Value::Str(unit.to_owned())]) {
        drop(answer(&mut connection, what, serial));
    }
}

/// The name of the scope that a cgroup path ends in, if systemd made it.
pub(super) fn unit_of(relative: &str) -> Option<&str> {
    let (above, unit) = relative.rsplit_once('/')?;
    (unit.ends_with(".scope") && (above.ends_with(".slice") || above.ends_with(".service")) && booted())
        .then_some(unit)
}

fn connect(what: &'static str) -> Result<Connection, Error> {
    let (uid, socket) = match user() {
        Some((uid, socket)) => (*uid, socket.as_path()),
        None => (0, Path::new("/run/systemd/private")),
    };
    Connection::open(socket, uid)
        .map_err(|e| failed(what, &format!("connecting to {}: {e}", socket.display())))
}

fn failed(what: &'static str, why: &str) -> Error {
    Error::Systemd { what, why: why.to_owned() }
}

fn refusal(what: &'static str, name: &str, text: String) -> Error {
    let why = if text.is_empty() { name.to_owned() } else { text };
    match name {
        "org.freedesktop.systemd1.UnitExists" => Error::UnitExists { what, why },
        _ => Error::Systemd { what, why },
    }
}

fn io_failed(what: &'static str, error: &io::Error) -> Error {
    failed(what, &error.to_string())
}

/// Waits for the answer to a call.
fn answer(connection: &mut Connection, what: &'static str, serial: u32) -> Result<Vec<String>, Error> {
    loop {
        match connection.receive().map_err(|e| io_failed(what, &e))? {
            Message::Return { serial: s, strings } if s == serial => return Ok(strings),
            Message::Error { serial: s, name, text } if s == serial => {
                return Err(refusal(what, &name, text));
            }
            Message::Return { .. } | Message::Error { .. } | Message::Signal { .. } | Message::Other => {}
        }
    }
}

/// Makes a call that starts a job and waits for the job's end. Its end may be told before the answer.
fn run_job(
    connection: &mut Connection,
    what: &'static str,
    member: &str,
    arguments: &[Value],
) -> Result<(), Error> {
    let serial = connection.send(member, arguments).map_err(|e| io_failed(what, &e))?;
    let mut job: Option<String> = None;
    let mut ended: Vec<(String, String)> = Vec::new();
    loop {
        match connection.receive().map_err(|e| io_failed(what, &e))? {
            Message::Return { serial: s, mut strings } if s == serial => job = strings.pop(),
            Message::Error { serial: s, name, text } if s == serial => {
                return Err(refusal(what, &name, text));
            }
            Message::Signal { member, strings } if member == "JobRemoved" => {
                if let (Some(path), Some(result)) = (strings.first(), strings.last()) {
                    ended.push((path.clone(), result.clone()));
                }
            }
            Message::Return { .. } | Message::Error { .. } | Message::Signal { .. } | Message::Other => {}
        }
        let done = job.as_ref().and_then(|job| ended.iter().find(|(path, _)| path == job));
        match done {
            None => {}
            Some((_, result)) if result == "done" => return Ok(()),
            Some((_, result)) => return Err(failed(what, &format!("its job ended as {result:?}"))),
        }
    }
}

/// The cgroup of a process on v2, without the slash at its start.
pub(super) fn of_process(pid: i32) -> Option<String> {
    let text = sys::read(Path::new(&format!("/proc/{pid}/cgroup"))).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("0::/"))?;
    (!line.is_empty()).then(|| line.to_owned())
}

/// Limits as systemd's properties.
fn limit_properties(
    connection: &mut Connection,
    limits: &LinuxResources,
    what: &'static str,
) -> Result<Vec<Property>, Error> {
    let settings = limits_v2::settings(limits)?;
    let version = if properties::need_version(&settings) { version(connection, what)? } else { 0 };
    Ok(properties::of(&settings, version))
}

/// `257 (257.9-1~deb13u1)` and the like.
fn version(connection: &mut Connection, what: &'static str) -> Result<u32, Error> {
    let serial = connection.ask("Version").map_err(|e| io_failed(what, &e))?;
    let text = answer(connection, what, serial)?.pop().unwrap_or_default();
    let digits: String =
        text.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().map_err(|_| failed(what, &format!("{text:?} is no version")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        let path = |text: &str| Scope::parse(text).map(|s| s.map(|s| s.relative()));
        assert!(path("/rcon/x").is_none());
        assert!(path("rcon/x").is_none());
        for (text, relative) in [
            ("machine.slice:rcon:x", "machine.slice/rcon-x.scope"),
            ("a-b-c.slice:rcon:x", "a.slice/a-b.slice/a-b-c.slice/rcon-x.scope"),
            (":rcon:x", "system.slice/rcon-x.scope"),
            ("-.slice:rcon:x", "rcon-x.scope"),
            ("user.slice::x", "user.slice/x.scope"),
        ] {
            assert_eq!(path(text).unwrap().unwrap(), relative);
        }
        for bad in
            ["x:rcon:y", "a--b.slice:r:x", "-a.slice:r:x", "a/b.slice:r:x", "a.slice:r:", "a.slice:r:../x"]
        {
            assert!(path(bad).unwrap().is_err(), "{bad}");
        }
    }
}
