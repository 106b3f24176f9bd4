//! `wait`: blocks until containers are in a state.

use std::time::Duration;

use super::context::Context;
use super::error::{Error, Kind};
use super::many;
use super::select::{Done, Selection, targets};
use super::view::Container;
use crate::model::container::Phase;
use crate::model::id::ContainerId;
use crate::monitor::client;
use crate::monitor::proto::WaitFor;
use crate::storage::Store;

/// How often a state is looked at that no monitor can announce.
const POLL: Duration = Duration::from_millis(50);

/// What is waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// `--condition`: docker's `not-running` (default), `next-exit`, `removed`; podman's states (`running`,
    /// `stopped`, `exited`, `healthy`, …), several allowed.
    pub conditions: Vec<String>,
    /// `--exit-first-match`: the first container that matches ends the wait.
    pub first: bool,
}

/// Waits for each container and reports its exit code (-1 for a state that is no end).
///
/// # Errors
/// An unknown condition; what concerns one container goes to `report`.
pub fn wait(
    ctx: &Context,
    which: &Selection,
    options: &WaitOptions,
    report: &mut dyn FnMut(Done<i32>),
) -> Result<(), Error> {
    let conditions = conditions(&options.conditions)?;
    let store = ctx.store()?;
    let found = targets(ctx, &store, which, Container::alive)?;
    if options.first {
        return first(ctx, &store, found, &conditions, report);
    }
    let mut items = Vec::new();
    for target in found {
        match target.found {
            Ok(c) => items.push((target.given, c.id().clone())),
            Err(e) => report(Done { given: target.given, result: Err(e) }),
        }
    }
    // Each thread has a store of its own: a database handle stays in its thread.
    let order: Vec<String> = items.iter().map(|(given, _)| given.clone()).collect();
    let mut done: Vec<Option<Done<i32>>> = Vec::new();
    done.resize_with(order.len(), || None);
    let mut next = 0;
    many::each(items, |id| one(ctx, &id, &conditions), &mut |outcome| {
        // docker reports in the order of the arguments.
        if let Some(at) = order.iter().enumerate().position(|(i, g)| *g == outcome.given && done[i].is_none())
        {
            done[at] = Some(outcome);
        }
        while let Some(outcome) = done.get_mut(next).and_then(Option::take) {
            report(outcome);
            next += 1;
        }
    });
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Monitor(WaitFor),
    State(String),
}

fn conditions(texts: &[String]) -> Result<Vec<Condition>, Error> {
    if texts.is_empty() {
        return Ok(vec![Condition::Monitor(WaitFor::NotRunning)]);
    }
    let parse = |text: &String| {
        match text.as_str() {
        "" | "not-running" | "stopped" | "exited" => Ok(Condition::Monitor(WaitFor::NotRunning)),
        "next-exit" => Ok(Condition::Monitor(WaitFor::NextExit)),
        "removed" => Ok(Condition::Monitor(WaitFor::Removed)),
        "healthy" | "unhealthy" | "running" | "paused" | "created" | "configured" | "initialized" | "removing"
        | "restarting" => Ok(Condition::State(text.clone())),
        other => Err(Error::new(Kind::Invalid, format!("invalid condition: {other:?}")).hint(
            "conditions: not-running, next-exit, removed, running, paused, created, restarting, healthy, unhealthy",
        )),
    }
    };
    texts.iter().map(parse).collect()
}

fn one(ctx: &Context, id: &ContainerId, conditions: &[Condition]) -> Result<i32, Error> {
    if let [Condition::Monitor(what)] = conditions {
        return for_end(ctx, id, *what);
    }
    let store = ctx.store()?;
    loop {
        if let Some(code) = matching(ctx, &store, id, conditions)? {
            return Ok(code);
        }
        std::thread::sleep(POLL);
    }
}

/// Waits for an end through the monitor, which knows it at once.
fn for_end(ctx: &Context, id: &ContainerId, what: WaitFor) -> Result<i32, Error> {
    let store = ctx.store()?;
    let mut last = 0;
    loop {
        let container = match Container::find(ctx, &store, id.as_str()) {
            Ok(container) => container,
            Err(e) if e.kind() == Kind::NotFound => return Ok(last),
            Err(e) => return Err(e),
        };
        if matches!(container.phase, Phase::Initialized(_)) {
            // Its monitor waits itself, for the start.
            std::thread::sleep(POLL);
            continue;
        }
        if !container.alive() {
            last = code(&container.phase);
            match what {
                WaitFor::Removed | WaitFor::NextExit => {
                    std::thread::sleep(POLL);
                    continue;
                }
                _ => return Ok(last),
            }
        }
        // An error here is a monitor that just ended: the next look tells how.
        if let Ok(Some(exited)) = client::wait(&ctx.paths, id, what) {
            return Ok(exited.code);
        }
    }
}

fn matching(
    ctx: &Context,
    store: &Store,
    id: &ContainerId,
    conditions: &[Condition],
) -> Result<Option<i32>, Error> {
    let container = match Container::find(ctx, store, id.as_str()) {
        Ok(container) => container,
        Err(e) if e.kind() == Kind::NotFound => return Ok(Some(0)),
        Err(e) => return Err(e),
    };
    let hit = conditions.iter().any(|condition| match condition {
        Condition::Monitor(WaitFor::Removed) => false,
        Condition::Monitor(_) => container.phase.running().is_none(),
        Condition::State(word) => match word.as_str() {
            "healthy" | "unhealthy" => {
                super::filter::health_word(&container.phase, container.row.has_health) == word
            }
            "configured" | "initialized" => container.phase.status() == "created",
            _ => container.phase.status() == word,
        },
    });
    Ok(hit.then(|| code(&container.phase)))
}

fn code(phase: &Phase) -> i32 {
    match phase {
        Phase::Exited(e) | Phase::Restarting(e) => e.code,
        Phase::Failed { code, .. } => *code,
        Phase::Initialized(_) | Phase::Running(_) | Phase::Paused(_) | Phase::Removing => -1,
        Phase::Created => 0,
    }
}

fn first(
    ctx: &Context,
    store: &Store,
    found: Vec<super::select::Target>,
    conditions: &[Condition],
    report: &mut dyn FnMut(Done<i32>),
) -> Result<(), Error> {
    let mut ids = Vec::new();
    for target in found {
        ids.push((target.given, target.found?.id().clone()));
    }
    loop {
        for (given, id) in &ids {
            if let Some(code) = matching(ctx, store, id, conditions)? {
                report(Done { given: given.clone(), result: Ok(code) });
                return Ok(());
            }
        }
        std::thread::sleep(POLL);
    }
}
