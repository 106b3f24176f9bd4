//! state, list, ps, events.

use std::time::Duration;

use serde_json::json;

use crate::cli::exit::{Exit, Failure, Outcome};
use crate::runtime::cgroup::{Cgroup, Stats};
use crate::runtime::manage::{members, query as asking};
use crate::sys::{event, process};

use super::args::{Events, Format, Id, List, Ps};
use super::{Ctx, failure, life};

pub(super) fn state(args: &Id, ctx: &mut Ctx<'_>) -> Outcome {
    let container = ctx.store.open(&args.id).map_err(|e| failure("", &e))?;
    let document = asking::document(&container).map_err(|e| failure("", &e))?;
    ctx.ui.line(format_args!("{document:#}"));
    Ok(Exit::OK)
}

pub(super) fn list(args: &List, ctx: &mut Ctx<'_>) -> Outcome {
    if ctx.global.names_root() {
        ctx.store.check().map_err(|e| failure("", &e))?;
    }
    let all = asking::all(&ctx.store);
    if args.quiet {
        for one in &all {
            ctx.ui.line(&one.state.id);
        }
        return Ok(Exit::OK);
    }
    if args.format == Format::Json {
        let documents: Vec<_> = all.iter().filter_map(|c| asking::document(c).ok()).collect();
        let text = if documents.is_empty() { json!(null) } else { json!(documents) };
        ctx.ui.line(text);
        return Ok(Exit::OK);
    }
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    for one in &all {
        let status = match one.status() {
            Ok(status) => status,
            Err(e) => {
                tracing::warn!("container {}: {e}", one.state.id);
                continue;
            }
        };
        rows.push([
            one.state.id.clone(),
            one.pid(status).to_string(),
            status.word().to_owned(),
            one.state.bundle.display().to_string(),
            one.state.created.to_string(),
            asking::user_name(one.state.owner),
        ]);
    }
    let width = |i: usize| rows.iter().map(|r| r[i].len()).max().unwrap_or(0).max(11) + 1;
    let widths: Vec<usize> = (0..6).map(width).collect();
    for row in &rows {
        let line: String = row.iter().zip(&widths).map(|(cell, w)| format!("{cell:w$}")).collect();
        ctx.ui.line(line.trim_end());
    }
    Ok(Exit::OK)
}

pub(super) fn ps(args: &Ps, ctx: &mut Ctx<'_>) -> Outcome {
    let container = ctx.store.open(&args.id).map_err(|e| failure("", &e))?;
    let pids = members::pids(&container).map_err(|e| failure("", &e))?;
    if args.format == Format::Json {
        ctx.ui.line(json!(pids));
        return Ok(Exit::OK);
    }
    // runc's contract: the host's ps with these options, less the lines of other processes.
    let options = if args.ps_args.is_empty() { vec!["-ef".to_owned()] } else { args.ps_args.clone() };
    let text = asking::host_ps(&options).map_err(|e| failure("ps", &e))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|w| w == "PID") else {
        return Err(Failure::new("the output of ps has no column PID"));
    };
    ctx.ui.line(header);
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|p| p.parse::<i32>().ok());
        if pid.is_some_and(|p| pids.contains(&p)) {
            ctx.ui.line(line);
        }
    }
    Ok(Exit::OK)
}

pub(super) fn events(args: &Events, ctx: &mut Ctx<'_>) -> Outcome {
    let container = ctx.store.open(&args.id).map_err(|e| failure("", &e))?;
    life::needs_running(container.status().map_err(|e| failure("", &e))?)?;
    let cgroup = container.cgroup().map_err(|e| failure("", &e))?;
    let cgroup = cgroup.ok_or_else(|| Failure::new("the container has no cgroup"))?;
    let stats = |ctx: &mut Ctx<'_>, cgroup: &Cgroup| -> Result<(), Failure> {
        let stats = cgroup.stats().map_err(|e| failure("", &e))?;
        ctx.ui.line(json!({ "type": "stats", "id": args.id, "data": document(&stats) }));
        ctx.ui.flush();
        Ok(())
    };
    stats(ctx, &cgroup)?;
    if args.stats {
        return Ok(Exit::OK);
    }
    let interval = parse_interval(&args.interval)?;
    let oom = cgroup.watch_oom().map_err(|e| failure("", &e))?;
    let init = process::open_identity(&container.state.init).map_err(|e| failure("", &e))?;
    let mut kills = cgroup.oom_kills().unwrap_or(0);
    while !ctx.ui.closed() {
        let came = event::wait_readable(&oom, Some(interval)).map_err(|e| failure("", &e))?;
        let now = cgroup.oom_kills().unwrap_or(kills);
        if came {
            oom.drain();
        }
        if now > kills {
            kills = now;
            ctx.ui.line(json!({ "type": "oom", "id": args.id }));
        }
        if !init.is_running().unwrap_or(false) {
            break;
        }
        if !came {
            stats(ctx, &cgroup)?;
        }
    }
    Ok(Exit::OK)
}

/// `5s`, `500ms`, `1m`.
fn parse_interval(text: &str) -> Result<Duration, Failure> {
    let wrong = || Failure::new(format!("invalid interval {text:?}"));
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let number: u64 = text[..at].parse().map_err(|_| wrong())?;
    let interval = match &text[at..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        _ => return Err(wrong()),
    };
    if interval.is_zero() {
        Err(Failure::new("duration interval must be greater than 0"))
    } else {
        Ok(interval)
    }
}

/// runc's shape of the numbers.
fn document(s: &Stats) -> serde_json::Value {
    super::resources::stats_document(s)
}
