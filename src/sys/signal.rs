//! Signals: numbers and names, masks, resetting dispositions before an exec.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow};

use super::error::{Context, Error, Result, check};

/// Blocks these signals for this thread and returns what was blocked before.
pub fn block(signals: &[i32]) -> Result<SigSet> {
    let set = set_of(signals)?;
    let mut old = SigSet::empty();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut old))
        .call("sigprocmask", || format!("SIG_BLOCK, {signals:?}"))?;
    Ok(old)
}

/// Blocks every signal and returns what was blocked before.
pub fn block_all() -> Result<SigSet> {
    let mut old = SigSet::empty();
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut old))
        .call("sigprocmask", || "SIG_SETMASK, all".into())?;
    Ok(old)
}

/// Sets the mask to what [`block`] returned.
pub fn restore(mask: &SigSet) -> Result<()> {
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)
        .call("sigprocmask", || "SIG_SETMASK".into())
}

/// Unblocks everything.
pub fn unblock_all() -> Result<()> {
    restore(&SigSet::empty())
}

/// Ignores a signal.
pub fn ignore(signal: i32) -> Result<()> {
    dispose(signal, libc::SIG_IGN)
}

/// Gives a signal its default action.
pub fn default_action(signal: i32) -> Result<()> {
    dispose(signal, libc::SIG_DFL)
}

/// The state that a new program expects: SIGPIPE as by default (Rust ignores it), nothing blocked.
/// Handlers need no reset, exec does that; what our caller had ignored is reset too.
pub fn reset_for_exec(ignored: &[i32]) -> Result<()> {
    for &signal in ignored {
        default_action(signal)?;
    }
    unblock_all()
}

fn dispose(signal: i32, handler: libc::sighandler_t) -> Result<()> {
    // SAFETY: neither SIG_IGN nor SIG_DFL runs code of ours.
    if unsafe { libc::signal(signal, handler) } == libc::SIG_ERR {
        return Err(Error::last("signal", format!("{signal}")));
    }
    Ok(())
}

/// The first signal that a [`Catch`] has seen; 0 for none.
static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(signal: libc::c_int) {
    // Only an atomic is touched: nothing else is safe in a handler.
    let _first = CAUGHT.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
}

/// While it lives, signals are noted instead of ending the process. Each is caught once: the second of its kind
/// ends the process as ever. A signal that our caller has ignored (`nohup`) stays ignored. One at a time.
#[derive(Debug)]
pub struct Catch {
    before: Vec<(i32, libc::sigaction)>,
}

impl Catch {
    /// Begins to note these signals.
    pub fn new(signals: &[i32]) -> Result<Self> {
        CAUGHT.store(0, Ordering::Relaxed);
        let mut catch = Self { before: Vec::new() };
        for &signal in signals {
            // SAFETY: a sigaction of zeroes is a valid one (default action, nothing masked).
            let (mut new, mut old) = unsafe { std::mem::zeroed::<(libc::sigaction, libc::sigaction)>() };
            new.sa_sigaction = note as *const () as libc::sighandler_t;
            // No SA_RESTART: a read that waits must come back and look.
            new.sa_flags = libc::SA_RESETHAND;
            // SAFETY: both are whole structures of ours, and the handler only stores to an atomic.
            check(unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut old) }, "sigaction", || {
                format!("{signal}")
            })?;
            if old.sa_sigaction == libc::SIG_IGN {
                continue;
            }
            // SAFETY: new is a whole structure of ours, and the handler only stores to an atomic.
            let set = unsafe { libc::sigaction(signal, &raw const new, std::ptr::null_mut()) };
            check(set, "sigaction", || format!("{signal}"))?;
            catch.before.push((signal, old));
        }
        Ok(catch)
    }

    /// The first that came, if one did.
    #[must_use]
    pub fn caught(&self) -> Option<i32> {
        Some(CAUGHT.load(Ordering::Relaxed)).filter(|n| *n != 0)
    }
}

impl Drop for Catch {
    fn drop(&mut self) {
        for (signal, old) in &self.before {
            // SAFETY: old was filled in by sigaction; setting back what was set cannot fail.
            let _same = unsafe { libc::sigaction(*signal, &raw const *old, std::ptr::null_mut()) };
        }
    }
}

/// Sends a signal to a process by pid: only where no pidfd can be had (a process group by a
/// negative pid, our own children).
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    check(unsafe { libc::kill(pid, signal) }, "kill", || format!("{pid}, {signal}")).map(drop)
}

/// A set of signals, real-time ones too (which the `nix` type for one signal lacks).
pub(crate) fn set_of(signals: &[i32]) -> Result<SigSet> {
    let mut raw = *SigSet::empty().as_ref();
    for &n in signals {
        // SAFETY: raw is a whole set that we own; a wrong number is EINVAL.
        check(unsafe { libc::sigaddset(&raw mut raw, n) }, "sigaddset", || format!("{n}"))?;
    }
    // SAFETY: raw began as an empty set and was changed only by sigaddset.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(raw) })
}

/// The highest signal number.
#[must_use]
pub fn max() -> i32 {
    libc::SIGRTMAX()
}

/// `SIGTERM`, `TERM`, `term` or `15` as a number; `RTMIN+3` too. `None` where it is no signal.
#[must_use]
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(n) = text.parse::<i32>() {
        return (0..=max()).contains(&n).then_some(n);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(rest) = name.strip_prefix("RTMIN") {
        let n = libc::SIGRTMIN() + if rest.is_empty() { 0 } else { rest.strip_prefix('+')?.parse().ok()? };
        return (n <= max()).then_some(n);
    }
    if let Some(rest) = name.strip_prefix("RTMAX") {
        let n = libc::SIGRTMAX() - if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
        return (n >= libc::SIGRTMIN()).then_some(n);
    }
    let name = match name {
        "CLD" => "CHLD",
        "POLL" => "IO",
        "IOT" => "ABRT",
        other => other,
    };
    format!("SIG{name}").parse::<nix::sys::signal::Signal>().ok().map(|s| s as i32)
}

/// `SIGTERM` for 15; real-time ones as `SIGRTMIN+3`.
#[must_use]
pub fn name(signal: i32) -> String {
    if let Ok(s) = nix::sys::signal::Signal::try_from(signal) {
        return s.as_str().to_owned();
    }
    let least = libc::SIGRTMIN();
    if (least..=max()).contains(&signal) {
        format!("SIGRTMIN+{}", signal - least)
    } else {
        signal.to_string()
    }
}

/// An error for a text that is no signal.
#[must_use]
pub fn unknown(text: &str) -> Error {
    Error::new("signal", text, libc::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caught_signal_is_noted_and_the_old_action_comes_back() {
        let action = || {
            // SAFETY: a sigaction of zeroes is a valid one.
            let mut old = unsafe { std::mem::zeroed::<libc::sigaction>() };
            // SAFETY: old is a whole structure of ours.
            assert_eq!(unsafe { libc::sigaction(libc::SIGUSR2, std::ptr::null(), &raw mut old) }, 0);
            old.sa_sigaction
        };
        let before = action();
        let catch = Catch::new(&[libc::SIGUSR2]).expect("catch");
        assert_eq!(catch.caught(), None);
        // SAFETY: the signal is caught.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert_eq!(catch.caught(), Some(libc::SIGUSR2));
        assert_eq!(action(), libc::SIG_DFL, "the second one would end the process");
        drop(catch);
        assert_eq!(action(), before);
    }

    #[test]
    fn names_and_numbers() {
        for (text, n) in [
            ("TERM", Some(15)),
            ("sigkill", Some(9)),
            ("1", Some(1)),
            ("SIGRTMIN+3", Some(libc::SIGRTMIN() + 3)),
            ("nope", None),
            ("-1", None),
        ] {
            assert_eq!(parse(text), n, "{text}");
        }
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(libc::SIGRTMIN() + 3), "SIGRTMIN+3");
    }
}
