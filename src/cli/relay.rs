//! What `run`, `start -a`, `exec` and `attach` have in common: which streams, and from a live connection to an
//! exit code.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use super::exit::{Exit, Failure, Manner, Outcome};
use super::ui::Ui;
use crate::engine;
use crate::engine::attach::{Attached, RelayEnd, Streams};

/// `-a` values as (stdin, stdout, stderr); `None` if there are none.
pub(super) fn streams(names: &[String]) -> Result<Option<(bool, bool, bool)>, Failure> {
    let mut wanted = (false, false, false);
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => wanted.0 = true,
            "stdout" => wanted.1 = true,
            "stderr" => wanted.2 = true,
            _ => {
                return Err(Failure::usage(format!(
                    "invalid argument {name:?} for \"-a, --attach\" flag: valid streams are STDIN, STDOUT \
                     and STDERR"
                )));
            }
        }
    }
    Ok((!names.is_empty()).then_some(wanted))
}

/// Refuses `-it` without a terminal at stdin, as docker does; podman only warns.
pub(super) fn want_terminal(manner: Manner, ui: &mut Ui) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        return Ok(());
    }
    if manner == Manner::Podman {
        ui.warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
        return Ok(());
    }
    Err(Failure::new("the input device is not a TTY").hint("leave out -t, or run it in a terminal"))
}

/// The failure of a start: 125 unless the engine knows better (126, 127).
pub(super) fn start_failure(e: engine::Error) -> Failure {
    let code = e.exit_code().unwrap_or(125);
    Failure::from(e).code(code)
}

/// Rows and columns of the terminal at stdin, if it is one.
pub(super) fn terminal_size() -> Option<(u16, u16)> {
    rustix::termios::tcgetwinsize(std::io::stdin()).ok().map(|size| (size.ws_row, size.ws_col))
}

/// Calls `work` with this process's own streams.
pub(super) fn with_streams<T>(work: impl FnOnce(Streams<'_>) -> T) -> T {
    let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    work(Streams { stdin: stdin.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() })
}

/// The failure of an exec: as docker's, 1 unless the command itself could not be started.
pub(super) fn exec_failure(e: engine::Error) -> Failure {
    let code = e.exit_code().filter(|c| *c != 125).unwrap_or(1);
    Failure::from(e).code(code)
}

/// Relays what this command has started until the process ends; its exit code is ours.
pub(super) fn relay(attached: Attached, ui: &mut Ui) -> Outcome {
    Ok(follow(attached, ui)?.unwrap_or(Exit::OK))
}

/// The same of what another command has started: docker has an exit code and a word for who leaves it.
pub(super) fn relay_joined(attached: Attached, ui: &mut Ui) -> Outcome {
    match follow(attached, ui)? {
        Some(exit) => Ok(exit),
        None if ui.is_podman() => Ok(Exit::OK),
        None => {
            ui.note("read escape sequence");
            Ok(Exit::Code(1))
        }
    }
}

/// `None` where the user has detached.
fn follow(attached: Attached, ui: &mut Ui) -> Result<Option<Exit>, Failure> {
    for warning in &attached.warnings {
        ui.warn(warning);
    }
    ui.flush();
    match with_streams(|streams| attached.relay(streams)).map_err(start_failure)? {
        RelayEnd::Exited(code) => Ok(Some(Exit::Code(u8::try_from(code & 0xff).unwrap_or(u8::MAX)))),
        RelayEnd::Detached => Ok(None),
    }
}
